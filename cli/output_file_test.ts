import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { FileError } from "./failure.ts";
import { abandonAll, createOutput } from "./output_file.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const namesIn = async (dir: string) =>
  (await Array.fromAsync(Deno.readDir(dir), ({ name }) => name)).sort();

Deno.test("an output file is written whole or not at all", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "out");
    const output = await createOutput(path, false);
    await output.write(utf8("half"));
    assert.ok(!(await namesIn(dir)).includes("out"));
    await output.write(utf8(" whole"));
    await output.finish();
    output.abandon(); // too late to do anything
    assert.equal(await Deno.readTextFile(path), "half whole");
    assert.deepEqual(await namesIn(dir), ["out"]);

    const abandoned = await createOutput(join(dir, "other"), false);
    await abandoned.write(utf8("half"));
    abandonAll();
    assert.deepEqual(await namesIn(dir), ["out"]);
  }));

Deno.test("an output file is flushed to disk before it is renamed into place", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "out");
    const sync = Deno.FsFile.prototype.sync;
    const named: boolean[] = [];
    Deno.FsFile.prototype.sync = async function () {
      named.push((await namesIn(dir)).includes("out"));
      return await sync.call(this);
    };
    try {
      for (const force of [false, true]) {
        const output = await createOutput(path, force);
        await output.finish();
        await Deno.remove(path);
      }
    } finally {
      Deno.FsFile.prototype.sync = sync;
    }
    assert.deepEqual(named, [false, false]);
  }));

Deno.test("a file that exists, or appears meanwhile, is replaced only with --force", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "out");
    const late = await createOutput(path, false);
    await Deno.writeTextFile(path, "mine");
    await late.write(utf8("new"));
    await assert.rejects(late.finish(), (error) => {
      return error instanceof FileError && /--force/.test(error.message);
    });
    late.abandon();
    await assert.rejects(createOutput(path, false), FileError);
    assert.equal(await Deno.readTextFile(path), "mine");
    assert.deepEqual(await namesIn(dir), ["out"]);

    const forced = await createOutput(path, true);
    await forced.write(utf8("new"));
    await forced.finish();
    assert.equal(await Deno.readTextFile(path), "new");
    assert.deepEqual(await namesIn(dir), ["out"]);
  }));

Deno.test("a missing folder is reported in plain words", () =>
  inTempDir(async (dir) => {
    await assert.rejects(createOutput(join(dir, "no", "out"), false), {
      name: "FileError",
      message: /no such file/,
    });
  }));

Deno.test({
  name: "what takes a file's place has its group and mode, or nothing for another group",
  ignore: Deno.build.os === "windows" || Deno.uid() !== 0,
  fn: () =>
    inTempDir(async (dir) => {
      const path = join(dir, "out");
      const { uid, chown } = Deno;
      const replaced = async () => {
        await Deno.writeTextFile(path, "mine");
        await chown(path, 0, 1234);
        await Deno.chmod(path, 0o664);
        const output = await createOutput(path, true);
        await output.finish();
        const { mode, gid } = await Deno.stat(path);
        return [mode! & 0o777, gid];
      };
      assert.deepEqual(await replaced(), [0o664, 1234]);
      try {
        Deno.uid = () => 1000;
        assert.deepEqual(await replaced(), [0o664, 1234]);
        Deno.chown = () => Promise.reject(new Deno.errors.PermissionDenied());
        assert.deepEqual(await replaced(), [0o604, 0]);
      } finally {
        Object.assign(Deno, { uid, chown });
      }
    }),
});
