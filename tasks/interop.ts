/**
 * `deno task interop ades [--only PART] [--mutants N] [--dss FOLDER]`: what others sign is read here, what we sign is read
 * by others, and changed XML is the same to all. Parts: `characters`, `conformance` (the W3C's
 * suite), `mutants` (libxml2, xmlsec1), `theirs` (EU DSS
 * signs), `pyhanko` (pyHanko signs), `ours` (OpenSSL, xmlsec1, Java, Bouncy Castle, DSS judge). What is missing on this machine is skipped, and named.
 * `deno task interop pdf [--write]`: see `interop/pdf.ts`; with `--bases`: see `interop/pdf_bases.ts`.
 * `deno task interop verapdf`: see `interop/verapdf.ts`.
 */
import { parseArgs } from "node:util";
import { characters } from "./interop/characters.ts";
import { conformance } from "./interop/conformance.ts";
import { prepareDss } from "./interop/dss.ts";
import { mutants } from "./interop/mutants.ts";
import { ours } from "./interop/ours.ts";
import { interopPdf } from "./interop/pdf.ts";
import { interopBases } from "./interop/pdf_bases.ts";
import { pyhanko, theirs } from "./interop/theirs.ts";
import { interopVerapdf } from "./interop/verapdf.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    only: { type: "string" },
    mutants: { type: "string", default: "100000" },
    dss: { type: "string" },
    write: { type: "boolean", default: false },
    bases: { type: "boolean", default: false },
    dir: { type: "string" },
  },
});
if (positionals.join() === "pdf") {
  const bad = values.bases ? await interopBases(values.dir) : await interopPdf(values.write);
  Deno.exit(bad === 0 ? 0 : 1);
}
if (positionals.join() === "verapdf") Deno.exit(await interopVerapdf() === 0 ? 0 : 1);
if (positionals.join() !== "ades") {
  console.error("Usage: deno task interop ades [--only PART] [--mutants N] [--dss FOLDER]");
  console.error("       deno task interop pdf [--write] [--bases [--dir FOLDER]]");
  console.error("       deno task interop verapdf");
  Deno.exit(2);
}

const folder = await Deno.makeTempDir({ prefix: "dsign_interop_" });
let faults = 0;
const tell = (line: string) => console.log(line);
const fault = (line: string) => {
  faults++;
  console.log(`FAULT ${line}`);
};

try {
  const wants = (part: string) => values.only === undefined || values.only === part;
  if (wants("characters")) characters(tell, fault);
  if (wants("conformance")) await conformance(folder, tell, fault);
  if (wants("mutants")) await mutants(Number(values.mutants), tell, fault);
  const dss = ["theirs", "pyhanko", "ours"].some(wants)
    ? await prepareDss(values.dss, folder)
    : undefined;
  if (typeof dss === "string") tell(`skipped: EU DSS (${dss})`);
  const judge = typeof dss === "string" ? undefined : dss;
  if (wants("theirs") && judge) await theirs(judge, folder, tell, fault);
  if (wants("pyhanko") && judge) await pyhanko(judge, folder, tell, fault);
  if (wants("ours")) await ours(judge, folder, tell, fault);
} finally {
  await Deno.remove(folder, { recursive: true });
}
tell(faults === 0 ? "everything agrees" : `${faults} faults`);
Deno.exit(faults === 0 ? 0 : 1);
