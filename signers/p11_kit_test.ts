import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { type P11KitFolders, p11KitFolders, parseSettings, registeredModules } from "./p11_kit.ts";

/** Folders below `dir`, with these files in them. */
async function folders(dir: string, files: Record<string, string>): Promise<P11KitFolders> {
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(dir, name)), { recursive: true });
    await Deno.writeTextFile(join(dir, name), text);
  }
  return {
    system: join(dir, "etc/pkcs11.conf"),
    user: join(dir, "home/pkcs11.conf"),
    packages: join(dir, "usr"),
    administrator: join(dir, "etc"),
    person: join(dir, "home"),
    modules: [join(dir, "lib"), join(dir, "lib64")],
  };
}

const found = (files: Record<string, string>) => {
  let paths: string[] = [];
  return inTempDir(async (dir) => {
    const modules = await registeredModules(await folders(dir, files));
    paths = modules.map(({ path }) => path.replace(`${dir}/`, ""));
  }).then(() => paths);
};

Deno.test("a person's settings override the administrator's, and those override the packages'", () =>
  inTempDir(async (dir) => {
    const modules = await registeredModules(
      await folders(dir, {
        "usr/a.module": "module: /usr/a.so\npriority: 5\nx-init-reserved: x=1\n",
        "etc/a.module": "module: /etc/a.so\ncritical: yes\n",
        "home/a.module": "priority: 7\n",
        "usr/b.module": "module: /usr/b.so\npriority: 6\n",
        "usr/c.module": "module: /usr/c.so\n",
        "home/c.module": "module:\n",
      }),
    );
    assert.deepEqual(modules, [
      { name: "a", path: "/etc/a.so", initArgs: "x=1", critical: true },
      { name: "b", path: "/usr/b.so", initArgs: undefined, critical: false },
    ]);
  }));

Deno.test("user-config may be none, merge or only, and a person cannot override the system's none", async () => {
  const files = { "etc/a.module": "module: /a.so\n", "home/b.module": "module: /b.so\n" };
  assert.deepEqual(await found(files), ["/a.so", "/b.so"]);
  const set = (system: string, user: string) => ({
    ...files,
    "etc/pkcs11.conf": system,
    "home/pkcs11.conf": user,
  });
  assert.deepEqual(await found(set("user-config: none", "user-config: only")), ["/a.so"]);
  assert.deepEqual(await found(set("", "user-config: only")), ["/b.so"]);
  assert.deepEqual(await found(set("user-config: only", "")), ["/b.so"]);
  assert.deepEqual(await found(set("user-config: merge", "user-config: none")), ["/a.so"]);
});

Deno.test("programs are enabled and disabled by name, and an empty enable-in enables none", async () => {
  const with_ = (line: string) => found({ "etc/a.module": `module: /a.so\n${line}\n` });
  for (const line of ["enable-in: dsign", "enable-in: x, dsign", "disable-in: x dsignx", ""]) {
    assert.deepEqual(await with_(line), ["/a.so"], line);
  }
  for (
    const line of ["enable-in: firefox", "enable-in:", "disable-in: x, dsign", "disable-in: dsign"]
  ) assert.deepEqual(await with_(line), [], line);
});

Deno.test("trust modules, the proxy, remote modules and invalid names are left out", async () => {
  assert.deepEqual(
    await found({
      "etc/trust.module": "module: /a.so\ntrust-policy: yes\n",
      "etc/proxy.module": "module: /usr/lib/p11-kit-proxy.so\n",
      "etc/remote.module": "module: /a.so\nremote: |ssh elsewhere\n",
      "etc/.hidden.module": "module: /a.so\n",
      "etc/a.module.bak": "module: /a.so\n",
      "etc/large.module": "#".repeat(70_000) + "\nmodule: /a.so\n",
    }),
    [],
  );
});

Deno.test("relative names resolve inside p11-kit's folder and nowhere else", async () => {
  const files = {
    "etc/a.module": "module: a.so\n",
    "etc/b.module": "module: b.so\n",
    "etc/c.module": "module: ../home/c.so\n",
    "etc/d.module": "module: absent.so\n",
  };
  assert.deepEqual(
    await found({ ...files, "lib/a.so": "", "lib64/b.so": "", "home/c.so": "" }),
    ["lib/a.so", "lib64/b.so", "lib/absent.so"],
  );
});

Deno.test("XDG_CONFIG_HOME replaces ~/.config, and a relative one is ignored", () => {
  const person = (env: Record<string, string>) => p11KitFolders((name) => env[name]).person;
  assert.equal(person({ HOME: "/h" }), "/h/.config/pkcs11/modules");
  assert.equal(person({ HOME: "/h", XDG_CONFIG_HOME: "/x" }), "/x/pkcs11/modules");
  assert.equal(person({ HOME: "/h", XDG_CONFIG_HOME: "x" }), "/h/.config/pkcs11/modules");
  assert.equal(person({}), null);
});

Deno.test("parseSettings handles comments, spaces and malformed lines", () => {
  assert.deepEqual(
    [...parseSettings("# a: b\n module :  /x y.so # no comment\n\nnonsense\nx-init-reserved:\r\n")],
    [["module", "/x y.so # no comment"], ["x-init-reserved", ""]],
  );
});

/** Names of modules by `p11-kit list-modules`, not as root, for whom it reads no person's files; null without p11-kit. */
async function byP11Kit(config: string): Promise<string[] | null> {
  const command = ["p11-kit", "list-modules"];
  if (Deno.uid() === 0) command.unshift("setpriv", "--reuid=65534", "--clear-groups");
  try {
    const { code, stdout } = await new Deno.Command(command[0], {
      args: command.slice(1),
      env: { XDG_CONFIG_HOME: config, HOME: config },
      stderr: "null",
    }).output();
    if (code === 127) return null;
    const lines = new TextDecoder().decode(stdout).split("\n");
    return lines.flatMap((line) => /^([\w.-]+): \S/.exec(line)?.[1] ?? []);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
const before = Deno.build.os === "linux" ? await byP11Kit("/nowhere") : null;

Deno.test({
  name: "the person's settings mean the same to D-Sign and p11-kit (optional: needs p11-kit)",
  ignore: before === null,
  fn: () =>
    inTempDir(async (config) => {
      await Deno.chmod(config, 0o755);
      const env = (name: string) => name === "XDG_CONFIG_HOME" ? config : undefined;
      const mine = async () =>
        (await registeredModules(p11KitFolders(env))).map(({ name }) => name);
      // A module that cannot start here is not listed by p11-kit.
      const name = (await mine()).find((each) => before!.includes(each));
      assert.ok(name, "p11-kit and we have no module in common");
      const folder = join(config, "pkcs11/modules");
      await Deno.mkdir(folder, { recursive: true });
      for (const line of ["enable-in:", "enable-in: x", "module:", "disable-in: x", "# nothing"]) {
        await Deno.writeTextFile(join(folder, `${name}.module`), line + "\n");
        const theirs = (await byP11Kit(config))!.includes(name);
        assert.equal((await mine()).includes(name), theirs, line);
        assert.equal(theirs, /disable|#/.test(line), line);
      }
    }),
});
