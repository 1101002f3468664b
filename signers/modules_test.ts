import assert from "node:assert/strict";
import { join } from "node:path";
import { findModule } from "../tests/fakes/pkcs11_tokens.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { findModules, parseModuleFile } from "./modules.ts";

Deno.test("a configured module that is not there is a problem, a known one is not", async () => {
  const path = "/nowhere/libtoken.so";
  const found = await findModules({ configured: [{ path }], search: true });
  assert.deepEqual(found.problems.map(({ driver, code }) => [driver, code]), [
    [path, "driver_not_found"],
  ]);
});

Deno.test("one library under several paths is used once, with the configured settings", () =>
  inTempDir(async (dir) => {
    const real = findModule(["softhsm/libsofthsm2.so"], "libsofthsm2");
    const link = join(dir, "link.so");
    await Deno.symlink(real, link);
    const configured = [{ path: real, initArgs: "x" }, { path: link, name: "mine" }];
    const { modules, duplicates } = await findModules({ configured, search: false });
    assert.deepEqual(modules, [{ name: "SoftHSM2", path: real, initArgs: "x" }]);
    assert.deepEqual(duplicates, [{ path: link, of: real }]);
    const all = await findModules({ configured, search: true });
    assert.equal(all.modules.filter(({ name }) => name.startsWith("SoftHSM2")).length, 1);
  }));

Deno.test("names are unique", () =>
  inTempDir(async (dir) => {
    const configured = ["a.so", "b.so"].map((name) => ({ path: join(dir, name), name: "Token" }));
    for (const { path } of configured) await Deno.writeTextFile(path, "");
    const { modules } = await findModules({ configured, search: false });
    assert.deepEqual(modules.map(({ name }) => name), ["Token", "Token (2)"]);
  }));

Deno.test({
  name: "the person's p11-kit configuration is read",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inTempDir(async (home) => {
      const folder = join(home, ".config/pkcs11/modules");
      await Deno.mkdir(folder, { recursive: true });
      const path = join(home, "libx.so");
      await Deno.writeTextFile(path, "");
      const here = async () => {
        const { modules } = await findModules({ configured: [], search: true, home });
        return modules.some((each) => each.path === path);
      };
      const file = join(folder, "x.module");
      await Deno.writeTextFile(file, `# mine\nmodule: ${path}\n`);
      assert.equal(await here(), true);
      for (const line of ["trust-policy: yes", "disable-in: x, dsign", "enable-in: firefox"]) {
        await Deno.writeTextFile(file, `module: ${path}\n${line}\n`);
        assert.equal(await here(), false, line);
      }
      await Deno.writeTextFile(file, `module: ../../../..${path}\n`);
      assert.equal(await here(), false, "not a way out of p11-kit's folder");
    }),
});

Deno.test("parseModuleFile: comments, spaces and nonsense", () => {
  assert.deepEqual(
    [...parseModuleFile("# a: b\n module :  /x y.so \n\nnonsense\nx-init-reserved:\n")],
    [["module", "/x y.so"], ["x-init-reserved", ""]],
  );
});
