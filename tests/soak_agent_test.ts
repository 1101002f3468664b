/** A short soak of the agent; `deno task soak agent` runs it for as long as wanted. */
import assert from "node:assert/strict";
import { inTempDir } from "./fixtures/openssl.ts";
import { soakAgent } from "./fixtures/soak_agent.ts";

Deno.test({
  name: "tokens and drivers fail in many ways, and the agent ends with what it began with",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inTempDir(async (dir) => {
      // Eight kinds of faults or so, others every day.
      const seed = Math.floor(Date.now() / 86_400_000);
      const report = await soakAgent(dir, { minutes: 0.4, seed, pages: 2, log: () => {} });
      assert.deepEqual(report.violations, [], `seed ${seed}`);
      assert.ok(report.signatures > 0, "some were signed");
      assert.ok(Object.keys(report.faults).length >= 4, "things went wrong");
    }),
});
