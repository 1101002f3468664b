import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { BlockSource } from "./source.ts";

const SIZE = 20 * 1024 * 1024 + 7; // more than is kept
const file = Uint8Array.from({ length: SIZE }, (_, at) => (at * 2654435761) >>> 13);

function counted() {
  let fills = 0;
  const source = new BlockSource(SIZE, (offset, length) => {
    fills++;
    assert.ok(offset + length <= SIZE);
    return file.slice(offset, offset + length);
  });
  return { source, fills: () => fills };
}

Deno.test("blocks: what is read anywhere, in any order, is what stands there, and stays so", () => {
  const { source } = counted();
  const kept: [offset: number, length: number, bytes: Uint8Array][] = [];
  for (let i = 0, seed = 1; i < 3000; i++) {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    // Some go on where the last one ended, which makes more be got at a time.
    const [last, by] = kept.at(-1) ?? [0, 0];
    const offset = seed % 4 === 0 ? seed % (SIZE + 100) : last + by;
    const length = seed % 90_000;
    kept.push([offset, length, source.read(offset, length)]);
  }
  for (const [offset, length, bytes] of kept) {
    assert.equal(Buffer.compare(bytes, file.subarray(offset, offset + length)), 0);
  }
});

Deno.test("blocks: more are got at a time while a file is read on, and one for a read elsewhere", () => {
  const { source, fills } = counted();
  for (let at = 0; at < SIZE; at += 10_000) source.read(at, 10_000);
  assert.ok(fills() < 40, `${fills()}`); // of 321 blocks
  const before = fills();
  source.read(0, 10);
  source.read(5_000_000, 10);
  assert.equal(fills(), before + 2);
});
