/** A short soak of the PIN/OTP service; `deno task soak otp` runs it for as long as wanted. */
import assert from "node:assert/strict";
import { inTempDir } from "./fixtures/openssl.ts";
import { soak } from "./fixtures/soak_otp.ts";

Deno.test("while everything around the PIN/OTP service fails, nothing is signed unasked and nothing is lost", () =>
  inTempDir(async (dir) => {
    const report = await soak(dir, {
      minutes: 2,
      seed: 7,
      people: 3,
      outage: 3_000,
      log: () => {},
    });
    assert.deepEqual(report.violations, []);
    assert.ok(report.signed > 0, "some got through");
    assert.ok(Object.keys(report.faults).length >= 4, "things went wrong");
  }));
