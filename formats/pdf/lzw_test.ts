import assert from "node:assert/strict";
import { fromLzw, fromRunLengths } from "./lzw.ts";

const MAX = 1 << 20;

Deno.test("LZW: the standard's example (ISO 32000-2 §7.4.4.2)", () => {
  const data = Uint8Array.fromHex("800b6050220c0c8501");
  assert.deepEqual(fromLzw(data, 1, MAX)?.toHex(), "2d2d2d2d2d412d2d2d42");
  for (const end of [0, 1, 5, 8]) {
    assert.equal(fromLzw(data.subarray(0, end), 1, MAX), undefined, "without its end");
  }
});

/** Codes for data, as an encoder writes them that knows the decoder's table only. */
function toLzw(data: Uint8Array, early: number): Uint8Array {
  const out: number[] = [];
  let held = 0, bits = 0;
  const put = (code: number, width: number) => {
    held = (held << width) | code;
    for (bits += width; bits >= 8; bits -= 8) out.push((held >> (bits - 8)) & 255);
    held &= (1 << bits) - 1;
  };
  let table = new Map<string, number>(), width = 9, next = 258, word = "";
  const codeOf = (text: string) => text.length === 1 ? text.charCodeAt(0) : table.get(text)!;
  put(256, width);
  for (const byte of data) {
    const longer = word + String.fromCharCode(byte);
    if (longer.length === 1 || table.has(longer)) {
      word = longer;
      continue;
    }
    put(codeOf(word), width);
    table.set(longer, next++);
    word = String.fromCharCode(byte);
    // The decoder knows one entry less.
    if (next - 1 + early >= 1 << width && width < 12) width++;
    if (next > 4000) {
      put(codeOf(word), width);
      put(256, width);
      [table, width, next, word] = [new Map(), 9, 258, ""];
    }
  }
  if (word !== "") put(codeOf(word), width);
  put(257, width);
  put(0, 8);
  return Uint8Array.from(out);
}

Deno.test("LZW: what was packed comes out again, past every change of the codes' width", () => {
  const data = Uint8Array.from({ length: 30_000 }, (_, i) => (i * i >> 3) % 61);
  for (const early of [0, 1]) {
    assert.deepEqual(fromLzw(toLzw(data, early), early, MAX), data);
    assert.equal(fromLzw(toLzw(data, early), early, 20_000), undefined, "longer than allowed");
  }
});

Deno.test("run lengths: copies and repetitions up to the end, which must be there", () => {
  const data = Uint8Array.of(2, 1, 2, 3, 254, 9, 128, 7);
  assert.deepEqual(fromRunLengths(data, MAX), Uint8Array.of(1, 2, 3, 9, 9, 9));
  for (const end of [0, 2, 4, 5, 6]) {
    assert.equal(fromRunLengths(data.subarray(0, end), MAX), undefined);
  }
  assert.equal(fromRunLengths(data, 3), undefined);
});
