/** `dsign modules`, the real command. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { buildFaultDriver } from "../tests/fakes/pkcs11_fault.ts";
import { softhsm } from "../tests/fakes/pkcs11_tokens.ts";
import { dsign, environment } from "../tests/fixtures/cli.ts";
import { FOREIGN, foreignLibrary } from "../tests/fixtures/libraries.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };

Deno.test(
  "modules are added, listed, tested and removed, and the rest of the configuration stays",
  LINUX,
  () =>
    inTempDir(async (dir) => {
      const { modulePath, env } = await softhsm(dir, []);
      const all = environment(dir, env);
      const json = async (...args: string[]) => {
        const { code, stdout, stderr } = await dsign(["modules", ...args, "--json"], all);
        assert.equal(stderr, "");
        return { code, ...JSON.parse(stdout) };
      };
      const config = join(dir, "config/dsign/config.json");
      const added = await json("add", modulePath, "--name", "Mine");
      assert.deepEqual(added, { code: 0, added: { path: modulePath, name: "Mine" } });
      await Deno.writeTextFile(
        config,
        JSON.stringify({
          ...JSON.parse(await Deno.readTextFile(config)),
          searchModules: false,
          language: "hi",
        }),
      );
      await json("add", modulePath, "--name", "Ours");
      assert.deepEqual(JSON.parse(await Deno.readTextFile(config)), {
        modules: [{ path: modulePath, name: "Ours" }],
        searchModules: false,
        language: "hi",
      });
      const { modules } = await json("list");
      assert.deepEqual(modules, [{
        name: "Ours",
        path: modulePath,
        source: "configuration",
        builtFor: Deno.build.arch,
        fault: null,
      }]);
      const before = await dsign(["--json", "modules", "test", "Ours"], all);
      const tested = await json("test", "Ours");
      assert.deepEqual({ code: before.code, ...JSON.parse(before.stdout) }, tested);
      assert.equal(tested.modules[0].state, "ready");
      assert.equal(tested.modules[0].tokens[0].label, "D-Sign test");
      assert.deepEqual((await json("remove", "Ours")).removed, [modulePath]);
      const again = await json("remove", "Ours");
      assert.equal(again.code, 2);
      assert.equal(again.error.code, "usage");
      // --json counts before the command too, and the group alone is its list
      const { stdout, stderr } = await dsign(["--json", "modules"], all);
      assert.deepEqual(JSON.parse(stdout).modules, [], stderr);

      await Deno.writeTextFile(config, "{");
      assert.equal((await json("add", modulePath)).error.code, "invalid_params");
      assert.equal(await Deno.readTextFile(config), "{", "a wrong file is not replaced");
    }),
);

Deno.test(
  "`modules test` distinguishes a wrong architecture, a missing file, a non-module, no token and a crash",
  LINUX,
  () =>
    inTempDir(async (dir) => {
      const driver = await buildFaultDriver(dir, await softhsm(dir, []));
      const env = environment(dir, driver.env);
      const state = async (path: string) => {
        const { code, stdout } = await dsign(["modules", "test", path, "--json"], env);
        const { modules: [{ state, message, builtFor }] } = JSON.parse(stdout);
        return { code, state, message, builtFor };
      };
      for (const [kind, { builtFor }] of Object.entries(FOREIGN)) {
        const path = await foreignLibrary(dir, kind);
        const seen = await state(path);
        assert.equal(seen.code, 4);
        assert.equal(seen.state, "driver_wrong_architecture");
        assert.equal(seen.builtFor, builtFor);
        assert.ok(seen.message.includes(builtFor), seen.message);
        const refused = await dsign(["modules", "add", path], env);
        assert.equal(refused.code, 2);
        assert.ok(refused.stderr.includes(builtFor), refused.stderr);
      }
      assert.equal((await state("/nowhere/lib.so")).state, "driver_not_found");
      const text = join(dir, "text.so");
      await Deno.writeTextFile(text, "no library");
      assert.equal((await state(text)).state, "driver_not_pkcs11");
      // A library, but not of this kind.
      const other = await state("/lib/x86_64-linux-gnu/libc.so.6");
      if (Deno.build.arch === "x86_64") assert.equal(other.state, "driver_not_pkcs11");

      driver.set("removed");
      const empty = await state(driver.modulePath);
      assert.deepEqual([empty.code, empty.state, empty.message], [0, "no_token", ""]);
      driver.set("crash C_GetSlotList");
      const crashed = await state(driver.modulePath);
      assert.deepEqual([crashed.code, crashed.state], [4, "driver_crashed"]);
      driver.set();
      assert.equal((await state(driver.modulePath)).state, "ready");
      assert.deepEqual(driver.logins(), [], "nobody was logged in");
    }),
);
