/**
 * `deno task soak otp [--minutes N] [--seed S] [--people N] [--steady]`: the PIN/OTP service under load while
 * everything around it fails, or, steady, nothing. Exit code 1 if anything was signed that was not authorized, or lost without trace, or memory grew.
 */
import { parseArgs } from "node:util";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { soak, type SoakReport } from "../tests/fixtures/soak_otp.ts";

const { values, positionals: [target] } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "2" },
    seed: { type: "string", default: String(Date.now() % 100_000) },
    people: { type: "string", default: "4" },
    steady: { type: "boolean", default: false },
  },
});
const [minutes, seed, people] = [values.minutes, values.seed, values.people].map(Number);
if (target !== "otp" || !(minutes > 0) || !Number.isInteger(seed) || !(people > 0)) {
  console.error("Usage: deno task soak otp [--minutes N] [--seed S] [--people N] [--steady]");
  Deno.exit(2);
}
console.log(`${minutes} minutes, seed ${seed}, ${people} people`);
// the long outage fits into a long run alone
const outage = minutes >= 10 ? 60_000 : 5_000;
const log = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
let report: SoakReport | undefined;
await inTempDir(async (dir) => {
  report = await soak(dir, { minutes, seed, people, outage, steady: values.steady, log });
});
const { violations, memory } = report!;
console.log(JSON.stringify(report, null, 2));
if (memory.length === 0) console.log("Memory was not judged: that needs ten minutes or more.");
Deno.exit(violations.length > 0 ? 1 : 0);
