import assert from "node:assert/strict";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { claimInstance, type Instance } from "./instance.ts";

Deno.test("the second start finds the first, and takes its place after it", () =>
  inTempDir(async (dir) => {
    const first = await claimInstance(dir) as Instance;
    await first.announce(7791);
    assert.deepEqual(await claimInstance(dir), { port: 7791, pid: Deno.pid });
    await first.release();
    const second = await claimInstance(dir) as Instance;
    assert.ok("announce" in second);
    await second.release();
  }));

Deno.test("a crashed agent's announcement does not count", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/agent.json`, '{"port":7791,"pid":1}');
    await Deno.writeTextFile(`${dir}/agent.lock`, "");
    const instance = await claimInstance(dir) as Instance;
    assert.ok("announce" in instance);
    await assert.rejects(Deno.stat(`${dir}/agent.json`), Deno.errors.NotFound);
    await instance.release();
  }));
