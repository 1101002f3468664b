import assert from "node:assert/strict";
import { deflateSync, inflateSync } from "node:zlib";
import { concat } from "../formats/asn1/der.ts";
import { pngChunk, reduce, uint32 } from "./pictures.ts";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** One row of pixels, without a filter. */
const png = (pixels: number[][], kind = 2) =>
  concat(
    SIGNATURE,
    pngChunk("IHDR", concat(uint32(pixels.length), uint32(1), Uint8Array.of(8, kind, 0, 0, 0))),
    pngChunk("IDAT", new Uint8Array(deflateSync(Uint8Array.from([0, ...pixels.flat()])))),
    pngChunk("IEND", new Uint8Array()),
  );

/** The data of the only part of this name. */
function part(bytes: Uint8Array, name: string): Uint8Array {
  const at = new TextDecoder("latin1").decode(bytes).indexOf(name);
  return bytes.subarray(at + 4, at + 4 + new DataView(bytes.buffer).getUint32(at - 4));
}

Deno.test("a picture keeps its most frequent colours; another becomes the nearest of them", () => {
  const kept = Array.from({ length: 256 }, (_, i) => [i, 255 - i, 7]);
  const few = reduce(png([...kept, ...kept, [10, 244, 9]]));
  assert.deepEqual([...part(few, "IHDR").subarray(8)], [8, 3, 0, 0, 0]);
  const palette = part(few, "PLTE");
  const row = new Uint8Array(inflateSync(part(few, "IDAT")));
  const seen = [...row.subarray(1)].map((i) => [...palette.subarray(3 * i, 3 * i + 3)]);
  assert.deepEqual(seen, [...kept, ...kept, [10, 245, 7]]);
});

Deno.test("another kind of PNG is refused", () => {
  assert.throws(() => reduce(png([[1, 2, 3, 4]], 6)), /another kind/);
});
