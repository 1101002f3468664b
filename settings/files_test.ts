import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { writeAtomically } from "./files.ts";

/** Runs `work` with the system's calls recorded; a rename fails if told so. */
async function recorded(work: () => Promise<void>, rename = Deno.rename): Promise<string[]> {
  const calls: string[] = [];
  const [realRename, realSync] = [Deno.rename, Deno.FsFile.prototype.sync];
  Deno.rename = (from, to) => {
    calls.push("rename");
    return rename(from, to);
  };
  Deno.FsFile.prototype.sync = function () {
    calls.push("sync");
    return realSync.call(this);
  };
  try {
    await work();
  } finally {
    [Deno.rename, Deno.FsFile.prototype.sync] = [realRename, realSync];
  }
  return calls;
}

Deno.test("a file is on the disk before it takes its name", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "file");
    await Deno.writeTextFile(path, "old");
    assert.deepEqual(await recorded(() => writeAtomically(path, "new")), ["sync", "rename"]);
    assert.equal(await Deno.readTextFile(path), "new");
  }));

Deno.test("a file that cannot be replaced stays unchanged, without temporary files", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "file");
    await Deno.writeTextFile(path, "old");
    const failing = () => Promise.reject(new Error("disk"));
    await recorded(
      () => assert.rejects(writeAtomically(path, "new"), { code: "storage_failed" }),
      failing,
    );
    assert.equal(await Deno.readTextFile(path), "old");
    assert.deepEqual((await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name), ["file"]);
  }));
