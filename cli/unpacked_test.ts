import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { holdUnpacked, removeOldVersions, unpackedFolder } from "./unpacked.ts";

Deno.test("unpacked versions that neither run nor have just started are removed; everything else stays", () =>
  inTempDir(async (dir) => {
    const base = join(dir, "dsign");
    const version = (digit: string) => join(base, digit.repeat(64));
    const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);
    const make = async (folder: string, hours: number) => {
      await Deno.mkdir(folder, { recursive: true });
      await Deno.writeTextFile(join(folder, "whole"), "\n");
      await Deno.utime(join(folder, "whole"), hoursAgo(hours), hoursAgo(hours));
      await Deno.utime(folder, hoursAgo(hours), hoursAgo(hours));
    };
    const [own, running, started, idle, link] = ["a", "b", "c", "d", "e"].map(version);
    for (const each of [own, running, idle]) await make(each, 100);
    await make(started, 0);
    for (const name of ["new.aaaaaa", "old.x", "notes"]) await make(join(base, name), 100);
    await make(join(base, "new.bbbbbb"), 0);
    await make(join(dir, "elsewhere"), 100);
    await Deno.symlink(join(dir, "elsewhere"), link);

    const names = async () => (await Array.fromAsync(Deno.readDir(base))).map(({ name }) => name);
    const kept = [own, running, started, link, join(base, "notes"), join(base, "new.bbbbbb")]
      .map((path) => path.slice(base.length + 1)).sort();
    using held = holdUnpacked(running);
    await removeOldVersions(own);
    assert.deepEqual((await names()).sort(), kept);
    await Deno.stat(join(dir, "elsewhere/whole"));

    // when it has ended, it goes too
    held.unlockSync();
    await removeOldVersions(own);
    assert.deepEqual((await names()).sort(), kept.filter((name) => !running.endsWith(name)));
  }));

Deno.test("unpackedFolder accepts only folders where the launcher unpacks", () => {
  const folder = `/home/a/.cache/dsign/${"0".repeat(64)}`;
  assert.equal(
    unpackedFolder(`file://${folder}/main.js`),
    Deno.build.os === "windows" ? null : folder,
  );
  assert.equal(unpackedFolder("file:///home/a/D-Sign/main.ts"), null);
});
