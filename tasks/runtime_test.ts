import assert from "node:assert/strict";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { runtime, runtimeProblem } from "./runtime.ts";

Deno.test("this runtime is the published one; one with other bytes or of another version is not", async () => {
  const found = await runtime();
  assert.equal(runtimeProblem(found), null);
  assert.match(
    runtimeProblem({ ...found, sha256: "0".repeat(64) }) ?? "",
    /^This Deno is not the published one: its SHA-256 is 0{64}, not [0-9a-f]{64}\./,
  );
  await inTempDir(async (dir) => {
    const copy = `${dir}/deno`;
    await Deno.copyFile(Deno.execPath(), copy);
    {
      using file = await Deno.open(copy, { read: true, write: true });
      const { size } = await file.stat();
      const byte = new Uint8Array(1);
      await file.seek(size >> 1, Deno.SeekMode.Start);
      await file.read(byte);
      await file.seek(size >> 1, Deno.SeekMode.Start);
      await file.write(Uint8Array.of(byte[0] ^ 1));
    }
    assert.match(runtimeProblem(await runtime(copy)) ?? "", /^This Deno is not the published one/);
  });
  assert.match(runtimeProblem({ ...found, version: "2.9.5" }) ?? "", /^This is Deno 2\.9\.5\./);
  assert.match(runtimeProblem({ ...found, target: "sparc" }) ?? "", /^No checksum .* sparc\.$/);
});
