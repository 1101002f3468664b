import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { Journals } from "./journal.ts";

const result = (n: number) => ({ field: `Signature${n}`, bytes: new Uint8Array(1000 + n).fill(n) });

Deno.test("a journal is read back unchanged; an incomplete last line is dropped", () =>
  inTempDir(async (dir) => {
    const journals = new Journals(join(dir, "batches"));
    assert.deepEqual(await journals.signed("ab"), []);
    const first = await journals.open("ab");
    for (const item of [0, 2, 1]) first.add(item, result(item));
    await assert.rejects(journals.open("ab"), { code: "busy" });
    first.close();
    first.close();
    const path = join(dir, "batches", "ab");
    const whole = await Deno.readFile(path);
    for (let cut = whole.length; cut > 0; cut -= 97) {
      await Deno.writeFile(path, whole.subarray(0, cut));
      const journal = await journals.open("ab");
      const { length } = journal.items;
      assert.deepEqual(journal.items, [0, 2, 1].slice(0, length), String(cut));
      for (const item of journal.items) {
        const { field, bytes } = journal.find(item)!;
        assert.deepEqual({ field, bytes: new Uint8Array(bytes) }, result(item));
      }
      if (length === 3) assert.equal(cut, whole.length);
      journal.add(7, result(7));
      journal.close();
      assert.deepEqual((await journals.signed("ab")).at(-1), 7, "it goes on behind what is whole");
    }
    await Deno.writeFile(path, new Uint8Array(5000));
    assert.deepEqual(await journals.signed("ab"), []);
    (await journals.open("ab")).close(true);
    assert.deepEqual([...Deno.readDirSync(join(dir, "batches"))], []);
  }));

Deno.test("old journals are removed, others stay", () =>
  inTempDir(async (dir) => {
    const journals = new Journals(join(dir, "batches"));
    await journals.tidy(new Date());
    for (const name of ["aa", "bb"]) (await journals.open(name)).close();
    await Deno.utime(join(dir, "batches", "aa"), 0, 0);
    await journals.tidy(new Date());
    assert.deepEqual([...Deno.readDirSync(join(dir, "batches"))].map(({ name }) => name), ["bb"]);
  }));
