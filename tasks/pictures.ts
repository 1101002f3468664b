/**
 * `deno task pictures`: brings the pictures that the guides show from `dist/screenshots`, if the browser tests leave
 * them, to `docs/images`, with 256 colours each. `deno task pictures gallery [STATE…]`: shows every question in every
 * state, in all languages, sizes and themes, in one page: `dist/gallery/index.html`.
 */
import { crc32, deflateSync, inflateSync } from "node:zlib";
import { unfilterPng } from "../formats/pdf/filter.ts";
import { concat } from "../formats/asn1/der.ts";
import { drawGallery } from "../tests/e2e/gallery.ts";

const IMAGES = new URL("../docs/images/", import.meta.url);
const SCREENSHOTS = new URL("../dist/screenshots/", import.meta.url);
const COLOURS = 256;

/** Four bytes, the highest first. */
export const uint32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
};

/** A part of a PNG (ISO/IEC 15948 §5.3). */
export function pngChunk(name: string, data: Uint8Array): Uint8Array {
  const named = concat(new TextEncoder().encode(name), data);
  return concat(uint32(data.length), named, uint32(crc32(named)));
}

/**
 * A PNG (ISO/IEC 15948) of 8 bits a colour without opacity, with its most frequent colours alone: another becomes the
 * nearest of them.
 *
 * @throws {Error} if it is another kind of PNG
 */
export function reduce(png: Uint8Array): Uint8Array<ArrayBuffer> {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = 8; at < png.length; at += 12 + view.getUint32(at)) {
    const type = new TextDecoder().decode(png.subarray(at + 4, at + 8));
    if (type === "IDAT") parts.push(png.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  // bits a sample, colour type 2 (truecolour), compression, filter, no interlacing
  if (png.subarray(24, 29).join() !== "8,2,0,0,0") throw new Error("It is another kind of PNG.");
  const pixels = unfilterPng(new Uint8Array(inflateSync(concat(...parts))), 3 * width, 3);
  const colourAt = (i: number) => pixels[i]! << 16 | pixels[i + 1]! << 8 | pixels[i + 2]!;

  const counts = new Map<number, number>();
  for (let i = 0; i < pixels.length; i += 3) {
    counts.set(colourAt(i), (counts.get(colourAt(i)) ?? 0) + 1);
  }
  const palette = [...counts].sort(([, a], [, b]) => b - a).slice(0, COLOURS).map(([each]) => each);
  const distance = (a: number, b: number) =>
    [16, 8, 0].reduce((sum, bits) => sum + ((a >> bits & 255) - (b >> bits & 255)) ** 2, 0);
  const nearest = new Map([...counts.keys()].map((colour) => {
    const far = palette.map((each) => distance(each, colour));
    return [colour, far.indexOf(Math.min(...far))];
  }));

  const rows = new Uint8Array(height * (1 + width)); // the first byte of a row: 0, no filter
  for (let i = 0; i < width * height; i++) {
    rows[i + Math.floor(i / width) + 1] = nearest.get(colourAt(3 * i))!;
  }
  return concat(
    png.subarray(0, 8),
    pngChunk("IHDR", concat(uint32(width), uint32(height), Uint8Array.of(8, 3, 0, 0, 0))),
    pngChunk("PLTE", Uint8Array.from(palette.flatMap((each) => [each >> 16, each >> 8, each]))),
    pngChunk("IDAT", new Uint8Array(deflateSync(rows, { level: 9 }))),
    pngChunk("IEND", new Uint8Array()),
  );
}

if (import.meta.main && Deno.args[0] === "gallery") {
  await drawGallery(Deno.args.slice(1));
} else if (import.meta.main) {
  const docs = new URL("../docs/", import.meta.url);
  for await (const { name } of Deno.readDir(docs)) {
    if (!name.endsWith(".md")) continue;
    const text = await Deno.readTextFile(new URL(name, docs));
    for (const [, picture] of text.matchAll(/\]\(images\/([\w-]+\.png)\)/g)) {
      const png = await Deno.readFile(new URL(picture!, SCREENSHOTS)).catch(() => null);
      if (png) await Deno.writeFile(new URL(picture!, IMAGES), reduce(png));
      console.log(`${picture}: ${png ? "taken" : "no test has left it"}`);
    }
  }
}
