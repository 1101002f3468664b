import assert from "node:assert/strict";
import { join } from "node:path";
import { Ajv2020 as Ajv } from "ajv/dist/2020.js";
import known from "./modules.json" with { type: "json" };
import { findModule } from "../tests/fakes/pkcs11_tokens.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { findModules } from "./modules.ts";

Deno.test("a missing configured module is a problem, and a missing known one is not", async () => {
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
    assert.deepEqual(modules, [
      { name: "SoftHSM2", path: real, initArgs: "x", source: "configuration" },
    ]);
    assert.deepEqual(duplicates, [{ path: link, of: real }]);
    const all = await findModules({ configured, search: true });
    assert.equal(all.modules.filter(({ name }) => name.startsWith("SoftHSM2")).length, 1);
  }));

Deno.test("module names are unique", () =>
  inTempDir(async (dir) => {
    const configured = ["a.so", "b.so"].map((name) => ({ path: join(dir, name), name: "Token" }));
    for (const { path } of configured) await Deno.writeTextFile(path, "");
    const { modules } = await findModules({ configured, search: false });
    assert.deepEqual(modules.map(({ name }) => name), ["Token", "Token (2)"]);
  }));

Deno.test("a registered module is found by its settings; a critical one that is missing is a problem", () =>
  inTempDir(async (home) => {
    const folder = join(home, "pkcs11/modules");
    await Deno.mkdir(folder, { recursive: true });
    const path = join(home, "libx.so");
    await Deno.writeTextFile(path, "");
    await Deno.writeTextFile(join(folder, "x.module"), `module: ${path}\nx-init-reserved: a=b\n`);
    await Deno.writeTextFile(
      join(folder, "y.module"),
      "module: /nowhere/liby.so\ncritical: yes\n",
    );
    await Deno.writeTextFile(join(folder, "z.module"), "module: /nowhere/libz.so\n");
    const env = (name: string) => name === "XDG_CONFIG_HOME" ? home : undefined;
    const { modules, problems } = await findModules({ configured: [], search: true, env });
    assert.deepEqual(modules.filter((each) => each.path === path), [
      { name: "libx.so", path, initArgs: "a=b", source: "p11-kit" },
    ]);
    assert.deepEqual(problems.map(({ driver }) => driver), ["/nowhere/liby.so"]);
  }));

Deno.test("the list of known products matches its schema and has each product of the survey", async () => {
  const schema = JSON.parse(
    await Deno.readTextFile(new URL("modules.schema.json", import.meta.url)),
  );
  const validate = new Ajv({ allErrors: true }).compile(schema);
  assert.ok(validate(known), JSON.stringify(validate.errors));
  for (
    const wrong of [
      { products: [{ name: "X" }] },
      { products: [{ name: "X", linux: ["lib.so"] }] },
      { products: [{ name: "X", linux: ["/usr/../lib.so"] }] },
      { products: [{ name: "X", windows: ["x\\y.dll"] }] },
      { products: [{ name: "X", windows: ["x.so"] }] },
      { products: [{ name: "X", darwin: ["/x.dylib"], freebsd: [] }] },
    ]
  ) assert.equal(validate(wrong), false, JSON.stringify(wrong));
  const names = known.products.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

const SURVEY = new URL("../../shared/driver-paths.md", import.meta.url);
const survey = await Deno.readTextFile(SURVEY).catch(() => null);

Deno.test({
  name: "every path of the survey is known (optional: needs ../shared/driver-paths.md)",
  ignore: survey === null,
  fn() {
    const cells = survey!.split("\n").filter((line) => line.startsWith("| ")).slice(1)
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
    for (const [name, ...columns] of cells) {
      const product = known.products.find((each) => each.name === name.replace(/ \(.*/, "")) as
        | Record<string, unknown>
        | undefined;
      assert.ok(product, name);
      for (const [i, os] of ["windows", "linux", "darwin"].entries()) {
        const listed = ((product[os] ?? []) as string[]).join(" ").replaceAll(
          "$ARCH",
          "x86_64-linux-gnu",
        );
        for (const path of columns[i].split(", ").filter((each) => /\.(dll|so|dylib)/.test(each))) {
          const file = path.split(/[\\/]/).at(-1)!;
          assert.ok(listed.includes(os === "windows" ? file : path), `${name}: ${path}`);
        }
      }
    }
  },
});
