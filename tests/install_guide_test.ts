/** What the installation guide says is so. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { UpdateSource } from "../agent/policy_file.ts";
import { readManifest } from "../cli/update/manifest.ts";
import { inTempDir } from "./fixtures/openssl.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const guide = await Deno.readTextFile(join(ROOT, "docs/install.md"));
const commands = [...guide.matchAll(/^ {4}(\S.*)$/gm)].map(([, line]) => line);

Deno.test("every file that the installation guide names is there", async () => {
  for (const [, path] of guide.matchAll(/`((?:web|tasks|\.github)\/[\w./-]+)`/g)) {
    await Deno.stat(join(ROOT, path));
  }
});

Deno.test("the files that it names are of this version", async () => {
  const { version } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const named = [...guide.matchAll(/dsign[-_](\d+\.\d+\.\d+)/g)].map(([, each]) => each);
  assert.ok(named.length >= 4);
  assert.deepEqual([...new Set(named)], [version]);
});

Deno.test("the publisher's commands make a manifest that the program believes", {
  ignore: Deno.build.os === "windows",
}, () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(join(dir, "dist/packages"), { recursive: true });
    await Deno.writeTextFile(join(dir, "dist/packages/dsign_0.1.0_amd64.deb"), "a package");
    const task = `'${Deno.execPath()}' run -A '${join(ROOT, "tasks/release_manifest.ts")}'`;
    const run = async (start: string) => {
      const line = commands.filter((each) => each.startsWith(start)).at(-1)!;
      const { code, stdout, stderr } = await new Deno.Command("sh", {
        args: ["-c", line.replace("deno task manifest", task)],
        cwd: dir,
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      return new TextDecoder().decode(stdout).trim();
    };
    await run("openssl genpkey");
    const key = await run("deno task manifest --key release.pem --public-key");
    UpdateSource.parse({ manifest: "https://downloads.example/{channel}.json", keys: [key] });
    await run("deno task manifest --key release.pem --base");
    const manifest = await readManifest(await Deno.readFile(join(dir, "stable.json")), [key]);
    assert.equal(manifest.channel, "stable");
    assert.deepEqual(manifest.files.map(({ url, target }) => ({ url, target })), [{
      url: "https://downloads.example/0.1.0/dsign_0.1.0_amd64.deb",
      target: "x86_64-unknown-linux-gnu",
    }]);
  }));

Deno.test("the line that starts the agent for all leaves an entry that says so", {
  ignore: Deno.build.os === "windows",
}, () =>
  inTempDir(async (dir) => {
    const { AUTOSTART_ENTRY } = await import("../tasks/package/tree.ts");
    await Deno.writeTextFile(join(dir, "dsign.desktop"), AUTOSTART_ENTRY);
    const line = commands.find((each) => each.startsWith("sed "))!;
    const { success } = await new Deno.Command("sh", {
      args: ["-c", line.replace("/etc/xdg/autostart", dir)],
    }).output();
    assert.ok(success);
    const entry = await Deno.readTextFile(join(dir, "dsign.desktop"));
    assert.doesNotMatch(entry, /Hidden/);
    assert.match(entry, /^Exec=\/usr\/bin\/dsign agent$/m);
  }));
