/** A short soak of the agent; `deno task soak agent` runs it for as long as wanted. */
import assert from "node:assert/strict";
import { inTempDir } from "./fixtures/openssl.ts";
import { soakAgent } from "./fixtures/soak_agent.ts";

Deno.test({
  name: "tokens and drivers fail in every way, and the agent ends with what it began with " +
    "(optional: two minutes; DSIGN_TEST_SOAK=1)",
  ignore: Deno.build.os !== "linux" || Deno.env.get("DSIGN_TEST_SOAK") !== "1",
  fn: () =>
    inTempDir(async (dir) => {
      const report = await soakAgent(dir, { minutes: 2, seed: 7, pages: 2, log: () => {} });
      assert.deepEqual(report.violations, []);
      assert.ok(report.signatures > 0, "some were signed");
      assert.ok(Object.keys(report.faults).length >= 4, "things went wrong");
    }),
});
