/**
 * `deno task soak otp [--minutes N] [--seed S] [--people N] [--steady]`: the PIN/OTP service under load while
 * everything around it fails, or, steady, nothing. Exit code 1 if anything was signed that was not authorized, or lost without trace, or memory grew.
 *
 * `deno task soak agent [--minutes N] [--seed S] [--pages N]`: the agent, with tokens that are pulled out and drivers that
 * fail. Exit code 1 if it does not hold at the end what it held at the beginning, or a signature is wrong or not written down.
 */
import { parseArgs } from "node:util";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { soakAgent } from "../tests/fixtures/soak_agent.ts";
import { soak } from "../tests/fixtures/soak_otp.ts";

const USAGE = `Usage: deno task soak otp [--minutes N] [--seed S] [--people N] [--steady]
       deno task soak agent [--minutes N] [--seed S] [--pages N]`;

const { values, positionals: [target] } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "2" },
    seed: { type: "string", default: String(Date.now() % 100_000) },
    people: { type: "string", default: "4" },
    pages: { type: "string", default: "4" },
    steady: { type: "boolean", default: false },
    help: { type: "boolean" },
  },
});
if (values.help) {
  console.log(USAGE);
  Deno.exit(0);
}
const [minutes, seed, people, pages] = [values.minutes, values.seed, values.people, values.pages]
  .map(Number);
const isFine = minutes > 0 && Number.isInteger(seed) && people > 0 && pages > 0;
if (!["otp", "agent"].includes(target ?? "") || !isFine) {
  console.error(USAGE);
  Deno.exit(2);
}
console.log(`${minutes} minutes, seed ${seed}`);
// the long outage fits into a long run alone
const outage = minutes >= 10 ? 60_000 : 5_000;
const log = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
let violations: string[] = [];
let isJudged = false;
await inTempDir(async (dir) => {
  const report = target === "agent"
    ? await soakAgent(dir, { minutes, seed, pages, log })
    : await soak(dir, { minutes, seed, people, outage, steady: values.steady, log });
  console.log(JSON.stringify(report, null, 2));
  violations = report.violations;
  isJudged = Array.isArray(report.memory) ? report.memory.length > 0 : report.memory !== null;
});
if (!isJudged) console.log("Memory was not judged: that needs ten minutes or more.");
Deno.exit(violations.length > 0 ? 1 : 0);
