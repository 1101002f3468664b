import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";

const icon = (form: string) => Deno.readFile(new URL(`dsign.${form}`, import.meta.url));
const PNG = "89504e470d0a1a0a";

/** Width and a pixel's colours and opacity of a PNG without filters. */
function readPng(bytes: Uint8Array) {
  assert.equal(bytes.subarray(0, 8).toHex(), PNG);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = view.getUint32(16);
  const rows = inflateSync(bytes.subarray(41, 41 + view.getUint32(33)));
  const pixel = (x: number, y: number) =>
    [...rows.subarray(y * (4 * size + 1) + 1 + 4 * x)].slice(0, 4);
  return { size, pixel };
}

Deno.test("the icons for Windows and macOS have each size", async () => {
  const [ico, icns] = await Promise.all([icon("ico"), icon("icns")]);
  const view = new DataView(ico.buffer, ico.byteOffset, ico.length);
  const images = Array.from({ length: view.getUint16(4, true) }, (_, i) => {
    const [length, offset] = [14, 18].map((at) => view.getUint32(16 * i + at, true));
    const image = readPng(ico.subarray(offset, offset + length));
    assert.equal(view.getUint8(16 * i + 6), image.size & 0xff);
    return image;
  });
  assert.deepEqual(images.map(({ size }) => size), [16, 24, 32, 48, 64, 256]);
  const { pixel } = images.at(-1)!;
  assert.deepEqual(pixel(0, 0), [0x0b, 0x4f, 0x8a, 0], "a corner is round");
  assert.deepEqual(pixel(128, 8), [0x0b, 0x4f, 0x8a, 255]);
  assert.deepEqual(pixel(128, 8 * 25), [255, 255, 255, 255], "the line below");

  const head = new DataView(icns.buffer, icns.byteOffset, icns.length);
  assert.equal(head.getUint32(4), icns.length);
  const sizes: Record<string, number> = {};
  for (let at = 8; at < icns.length; at += head.getUint32(at + 4)) {
    const type = new TextDecoder().decode(icns.subarray(at, at + 4));
    sizes[type] = readPng(icns.subarray(at + 8, at + head.getUint32(at + 4))).size;
  }
  assert.deepEqual(sizes, { ic11: 32, ic12: 64, ic07: 128, ic08: 256, ic09: 512 });
});
