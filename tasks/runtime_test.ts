import assert from "node:assert/strict";
import { runtime, runtimeProblem } from "./runtime.ts";

Deno.test("this runtime is the published one; one with other bytes or of another version is not", async () => {
  const found = await runtime();
  assert.equal(runtimeProblem(found), null);
  assert.match(
    runtimeProblem({ ...found, sha256: "0".repeat(64) }) ?? "",
    /^This Deno is not the published one: its SHA-256 is 0{64}, not [0-9a-f]{64}\./,
  );
  assert.match(runtimeProblem({ ...found, version: "2.9.5" }) ?? "", /^This is Deno 2\.9\.5\./);
  assert.match(runtimeProblem({ ...found, target: "sparc" }) ?? "", /^No checksum .* sparc\.$/);
});
