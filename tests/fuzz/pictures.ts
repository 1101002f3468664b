/** Mutated pictures for visible signatures: what is accepted is an image that a reader of PDFs can draw. */
import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { addImage } from "../../formats/pdf/image.ts";
import { PdfName, PdfRef } from "../../formats/pdf/value.ts";
import { png } from "../fixtures/png.ts";
import { attempt } from "./attempt.ts";

const rows = (length: number, height: number) =>
  new Uint8Array(deflateSync(new Uint8Array((length + 1) * height).fill(1)));

/** JPEG's frame and scan headers, as far as they are read. */
const jpeg = (components: number) =>
  Uint8Array.of(
    ...[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 8 + 3 * components, 8],
    ...[0, 9, 0, 16, components],
    ...Array.from({ length: components }, (_, i) => [i + 1, 0x11, 0]).flat(),
    ...[0xff, 0xda, 0, 2, 7, 7, 0xff, 0xd9],
  );

export const words = [
  ...["IHDR", "IDAT", "PLTE", "tRNS", "IEND", "\xff\xc0", "\xff\xc2", "\xff\xd8", "\xff\xff"],
  ...["\0\0\0\0", "\0\0\0\r", "\x7f\xff\xff\xff", "\x00\x00\x20\x00", "\x08\x06", "\x10\x02"],
];

export function seeds(): Promise<Uint8Array[]> {
  const size = { width: 16, height: 9 };
  return Promise.resolve([
    png({ ...size, bits: 8, type: 0 }, { IDAT: rows(16, 9) }),
    png({ ...size, bits: 8, type: 2 }, { IDAT: rows(48, 9) }),
    png({ ...size, bits: 4, type: 3 }, { PLTE: new Uint8Array(9), IDAT: rows(8, 9) }),
    png({ ...size, bits: 8, type: 3 }, {
      PLTE: new Uint8Array(9),
      tRNS: Uint8Array.of(0, 128),
      IDAT: rows(16, 9),
    }),
    png({ ...size, bits: 8, type: 6 }, { IDAT: rows(64, 9) }),
    png({ ...size, bits: 16, type: 2 }, { IDAT: rows(96, 9) }),
    jpeg(1),
    jpeg(3),
  ]);
}

/** @throws whatever no reader may throw */
export function exercise(bytes: Uint8Array): void {
  let dict: Record<string, unknown> = {};
  const update = {
    addStream(entries: Record<string, unknown>) {
      dict = entries;
      return new PdfRef(1, 0);
    },
  };
  const image = attempt(() => addImage(update, bytes));
  if (!image) return;
  const { Width, Height, BitsPerComponent: bits, ColorSpace: space } = dict;
  for (const side of [Width, Height]) assert.ok(Number(side) >= 1 && Number(side) <= 8192);
  // ISO 32000-2 Table 87
  assert.ok([1, 2, 4, 8, 16].includes(Number(bits)), `${bits} bits`);
  if (space instanceof PdfName) return;
  // §8.6.6.3
  const [, , highest] = space as unknown[];
  assert.ok(Number.isInteger(highest) && Number(highest) >= 0 && Number(highest) < 256);
  assert.ok(Number(bits) <= 8, `${bits} bits of an index`);
}
