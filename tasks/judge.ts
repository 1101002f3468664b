/**
 * `deno task judge pqc [--only PART]`: what D-Sign signs with ML-DSA keys is read by others, and theirs by us. Parts:
 * `token` (a kryoptic token signs; OpenSSL 3.5, Bouncy Castle, cryptography, pyHanko and jose judge), `keys` (OpenSSL's key files and CMS).
 * The first run builds kryoptic and OpenSSL 3.5 from crates.io, which takes about 15 minutes; they stay in the cache.
 */
import { parseArgs } from "node:util";
import { prepareJudges } from "./judge/build.ts";
import { judgeKeys } from "./judge/keys.ts";
import { judgeToken } from "./judge/token.ts";

const { values: { only }, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: { only: { type: "string" } },
});
if (positionals.join() !== "pqc") {
  console.error("Usage: deno task judge pqc [--only token|keys]");
  Deno.exit(2);
}
const judges = await prepareJudges((line) => console.log(line));
const folder = await Deno.makeTempDir({ prefix: "dsign_judge_" });
let faults = 0;
/** Tells a fact that must hold. */
const claim = (holds: boolean, text: string) => {
  if (!holds) faults++;
  console.log(`${holds ? "" : "FAULT "}${text}`);
};
try {
  if (only === undefined || only === "token") await judgeToken(judges, folder, claim);
  if (only === undefined || only === "keys") await judgeKeys(judges, folder, claim);
} finally {
  await Deno.remove(folder, { recursive: true });
}
console.log(faults === 0 ? "everything agrees" : `${faults} faults`);
Deno.exit(faults === 0 ? 0 : 1);
