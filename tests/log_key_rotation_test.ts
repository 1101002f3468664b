/** `dsign otp-service rotate log-key`, of a service whose key was derived from its secret, up to the end. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "./fixtures/openssl.ts";
import { dsign } from "./fixtures/otp_process.ts";

Deno.test("a log's key that was derived moves into a file, is replaced, and what it signed stays good", () =>
  inTempDir(async (dir) => {
    const folder = join(dir, "service");
    const made = await dsign(
      ...["init", folder, "--organization", "Works (TEST)", "--policy", "2.999.6.1"],
      ...["--instances", "2"],
    );
    assert.equal(made.code, 0, made.stderr);
    const configs = ["1.json", "2.json"].map((name) => join(folder, name));
    const file = join(folder, "log-key");
    const change = async (path: string, more: Record<string, unknown>) => {
      const config = { ...JSON.parse(await Deno.readTextFile(path)), ...more };
      await Deno.writeTextFile(path, JSON.stringify(config));
    };
    for (const path of configs) await change(path, { logKeyFile: undefined });
    await Deno.remove(file);
    const run = (...args: string[]) => dsign(...args, "--config", configs[0]!);
    const good = async (...args: string[]) => {
      const { code, stdout, stderr } = await run(...args);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const filed = join(dir, "filed");
    await Deno.writeTextFile(filed, await good("audit", "checkpoint"));
    const before = await good("audit", "key");
    const early = await run("rotate", "log-key", "--use");
    assert.match(early.stderr, /derived from the secret: --prepare first/);

    // a database that cannot be asked: no file is made, no configuration changed
    await change(configs[0]!, { database: "missing/otp.db" });
    const files = [configs[0]!, join(folder, "secret")];
    const texts = () => Promise.all(files.map((path) => Deno.readTextFile(path)));
    const unchanged = await texts();
    for (const what of ["log-key", "secret"]) {
      assert.match((await run("rotate", what, "--prepare")).stderr, /it cannot be opened/);
    }
    assert.deepEqual(await texts(), unchanged);
    await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
    await change(configs[0]!, { database: undefined });

    await good("rotate", "log-key", "--prepare", "--also", configs[1]!);
    for (const path of configs) {
      assert.equal(JSON.parse(await Deno.readTextFile(path)).logKeyFile, file);
    }
    assert.equal(await good("audit", "key"), before, "the key of before, until the next is used");
    await good("rotate", "log-key", "--use");
    assert.notEqual(await good("audit", "key"), before);
    await good("audit", "verify", "--expect", filed);
    await good("rotate", "log-key", "--retire");
    await good("audit", "verify", "--expect", filed);
    const shown = await good("audit", "show");
    const steps = [...shown.matchAll(/"step":"([^"]+)"/g)].map(([, step]) => step);
    assert.deepEqual(steps, ["prepared", "in use", "old ones retired"]);
  }));
