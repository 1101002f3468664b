import assert from "node:assert/strict";
import { join } from "node:path";
import { concat } from "../formats/asn1/der.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { Spool } from "./spool.ts";

Deno.test("small and large documents read back the same, in any order, and leave no file", () =>
  inTempDir(async (dir) => {
    const folder = join(dir, "spool");
    const spool = Spool.open(folder);
    for (const size of [0, 1, 1000, 256 * 1024, 256 * 1024 + 1, 3_000_001]) {
      const bytes = new Uint8Array(size).map((_, i) => (i * 7919) >> 5);
      const kept = spool.keep(size, "a");
      for (let at = 0; at < size; at += 100_000) kept.append(bytes.subarray(at, at + 100_000));
      assert.deepEqual([...Deno.readDirSync(folder)], [], "it has no name");
      assert.equal(kept.size, size);
      const views: [Uint8Array, number][] = [];
      for (let i = 0; i < 300; i++) {
        const offset = (i * 104_729) % (size + 10);
        views.push([kept.read(offset, (i * 37) % 70_000), offset]);
      }
      views.push([kept.read(Math.max(0, size - 5), 100), Math.max(0, size - 5)]);
      for (const [i, [view, offset]] of views.entries()) {
        const length = i === 300 ? 100 : (i * 37) % 70_000;
        assert.deepEqual(view, bytes.slice(offset, offset + length), `${offset} of ${size}`);
      }
      const pieces: Uint8Array[] = [];
      const sequential = kept.sequential();
      for (let at = 0; at < size; at += 999_983) {
        pieces.push(sequential.read(at, 999_983).slice());
      }
      assert.deepEqual(concat(...pieces), bytes);
      kept.close();
      kept.close();
    }
    await Deno.writeTextFile(join(folder, "left over"), "");
    Spool.open(folder);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
    const { mode } = await Deno.stat(folder);
    if (Deno.build.os !== "windows") assert.equal(mode! & 0o777, 0o700);
  }));

Deno.test("stored documents are limited", () =>
  inTempDir((dir) => {
    const spool = Spool.open(join(dir, "spool"));
    const most = 1024 ** 3;
    const kept = ["a", "a", "b", "b"].map((asker) => spool.keep(most, asker));
    assert.throws(() => spool.keep(1, "c"), { code: "busy" });
    kept[0].close();
    spool.keep(1, "c").close();
    for (const each of kept) each.close();
    // Files take descriptors, of which there are few.
    const files = Array.from({ length: 128 }, (_, i) => spool.keep(300_000, i % 2 ? "a" : "b"));
    assert.throws(() => spool.keep(300_000, "c"), { code: "busy" });
    spool.keep(1000, "c").close();
    files[0].close();
    spool.keep(300_000, "c").close();
    for (const each of files) each.close();
    // One asker gets half of each, however little it has sent of what it announces.
    const own = [spool.keep(most, "a"), spool.keep(most, "a")];
    assert.throws(() => spool.keep(1, "a"), { code: "busy" });
    spool.keep(most, "b").close();
    for (const each of own) each.close();
    const some = Array.from({ length: 64 }, () => spool.keep(300_000, "a"));
    assert.throws(() => spool.keep(300_000, "a"), { code: "busy" });
    spool.keep(300_000, "b").close();
    for (const each of some) each.close();
    return Promise.resolve();
  }));

Deno.test("a folder that cannot be used is a storage failure", () => {
  assert.throws(() => Spool.open("/dev/null/spool"), { code: "storage_failed" });
});
