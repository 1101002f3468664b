/** The installation guide is true. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { UpdateSource } from "../settings/policy_file.ts";
import { readManifest } from "../cli/update/manifest.ts";
import { commandLine, readDoc, ROOT } from "./fixtures/docs.ts";
import { inTempDir } from "./fixtures/openssl.ts";

const guide = await readDoc("docs/install.md");

Deno.test("the guide names files of this version", async () => {
  const { version } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const named = [...guide.text.matchAll(/dsign[-_](\d+\.\d+\.\d+)/g)].map(([, each]) => each);
  assert.ok(named.length >= 4);
  assert.deepEqual([...new Set(named)], [version]);
});

Deno.test("the publisher's commands make a manifest that the program accepts", {
  ignore: Deno.build.os === "windows",
}, () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(join(dir, "dist/packages"), { recursive: true });
    await Deno.writeTextFile(join(dir, "dist/packages/dsign_0.1.0_amd64.deb"), "a package");
    const task = `'${Deno.execPath()}' run -A '${join(ROOT, "tasks/release_manifest.ts")}'`;
    const run = async (start: string) => {
      const line = commandLine(guide, start);
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

Deno.test("the command that starts the agent for all users leaves such an entry", {
  ignore: Deno.build.os === "windows",
}, () =>
  inTempDir(async (dir) => {
    const { AUTOSTART_ENTRY } = await import("../tasks/package/tree.ts");
    await Deno.writeTextFile(join(dir, "dsign.desktop"), AUTOSTART_ENTRY);
    const line = commandLine(guide, "sed ");
    const { success } = await new Deno.Command("sh", {
      args: ["-c", line.replace("/etc/xdg/autostart", dir)],
    }).output();
    assert.ok(success);
    const entry = await Deno.readTextFile(join(dir, "dsign.desktop"));
    assert.doesNotMatch(entry, /Hidden/);
    assert.match(entry, /^Exec=\/usr\/bin\/dsign agent$/m);
  }));

Deno.test("the command that checks the files finds a changed one", {
  ignore: Deno.build.os !== "linux",
}, () =>
  inTempDir(async (dir) => {
    const line = commandLine(guide, "sha256sum ");
    const check = async () =>
      (await new Deno.Command("sh", { args: ["-c", line], cwd: dir }).output()).success;
    await Deno.writeTextFile(join(dir, "dsign.deb"), "a package");
    const sum = createHash("sha256").update("a package").digest("hex");
    await Deno.writeTextFile(join(dir, "SHA256SUMS"), `${sum}  dsign.deb\n${sum}  other.rpm\n`);
    assert.equal(await check(), true);
    await Deno.writeTextFile(join(dir, "dsign.deb"), "another");
    assert.equal(await check(), false);
  }));
