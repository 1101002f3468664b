import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir, run } from "../tests/fixtures/openssl.ts";
import { zip } from "./zip.ts";

Deno.test("unzip finds the archive whole, with names in UTF-8, times and modes", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "a.zip");
    const large = crypto.getRandomValues(new Uint8Array(60_000));
    const entries = [
      { name: "দলিল.txt", bytes: new TextEncoder().encode("x".repeat(1000)) },
      { name: "large", bytes: large },
      { name: "empty", bytes: new Uint8Array() },
    ];
    await Deno.writeFile(path, zip(entries, new Date("2026-11-21T10:20:30Z")));
    const unzip = (...args: string[]) => run("unzip", "unzip", args);
    await unzip("-tq", path);
    assert.deepEqual(await unzip("-p", path, "large"), large);
    const listing = new TextDecoder().decode(await run("zipinfo", "unzip", [path]));
    assert.match(listing, /-rw-------.* 1000 .*26-Nov-21 10:20/);
    const out = join(dir, "out");
    await unzip("-q", path, "-d", out);
    const names = await Array.fromAsync(Deno.readDir(out), ({ name }) => name);
    assert.equal(names.length, 3);
  }));

Deno.test("no files make an archive too", () => {
  assert.equal(zip([], new Date()).length, 22);
});
