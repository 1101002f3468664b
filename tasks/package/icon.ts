/** The icon in the forms that Windows and macOS want, drawn from the one SVG: the same bytes on every machine. */
import { crc32, deflateSync } from "node:zlib";
import { concat } from "../../formats/asn1/der.ts";

type Point = readonly [x: number, y: number];

/** What `web/icon.svg` is made of: a rounded square, and lines with round ends upon it. */
interface Drawing {
  /** Units along each side. */
  side: number;
  radius: number;
  fill: number[];
  lines: Point[][];
  stroke: number[];
  /** Half of the lines' width. */
  reach: number;
}

/** Straight pieces that a curve is made of. */
const CURVE_STEPS = 8;

/** @throws {Error} for what this does not draw */
function readDrawing(svg: string): Drawing {
  const attribute = (element: string, name: string) => {
    const found = new RegExp(`<${element}\\b[^>]*?\\s${name}="([^"]*)"`).exec(svg)?.[1];
    if (found === undefined) throw new Error(`The icon has no ${element} with ${name}.`);
    return found;
  };
  const color = (text: string) => {
    const digits = text.length === 4 ? text.replace(/\w/g, "$&$&") : text;
    return [1, 3, 5].map((at) => parseInt(digits.slice(at, at + 2), 16));
  };
  return {
    side: Number(attribute("rect", "width")),
    radius: Number(attribute("rect", "rx")),
    fill: color(attribute("rect", "fill")),
    lines: readPath(attribute("path", "d")),
    stroke: color(attribute("path", "stroke")),
    reach: Number(attribute("path", "stroke-width")) / 2,
  };
}

/** Path data (SVG 1.1 §8.3) of M, c, s and h, as straight lines. */
function readPath(data: string): Point[][] {
  const lines: Point[][] = [];
  let [x, y] = [0, 0];
  /** How the last curve ended: `s` goes on so. */
  let tangent: Point = [0, 0];
  const curve = (a: Point, b: Point, end: Point) => {
    for (let step = 1; step <= CURVE_STEPS; step++) {
      const t = step / CURVE_STEPS;
      const at = (i: 0 | 1) =>
        3 * (1 - t) ** 2 * t * a[i] + 3 * (1 - t) * t ** 2 * b[i] + t ** 3 * end[i];
      lines.at(-1)!.push([x + at(0), y + at(1)]);
    }
    tangent = [end[0] - b[0], end[1] - b[1]];
    [x, y] = [x + end[0], y + end[1]];
  };
  for (const [, command, rest] of data.matchAll(/([A-Za-z])([^A-Za-z]*)/g)) {
    const numbers = (rest.match(/-?(?:\d+\.?\d*|\.\d+)/g) ?? []).map(Number);
    const next = (): Point => [numbers.shift()!, numbers.shift()!];
    while (numbers.length > 0) {
      if (command === "M") lines.push([[x, y] = next()]);
      else if (command === "c") curve(next(), next(), next());
      else if (command === "s") curve(tangent, next(), next());
      else if (command === "h") lines.at(-1)!.push([x += numbers.shift()!, y]);
      else throw new Error(`The icon's path has ${command}, which is not drawn here.`);
    }
  }
  return lines;
}

/** Square of the distance of a point from the straight line between two others. */
function toLine(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const [dx, dy] = [bx - ax, by - ay];
  const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1);
  const t = along < 0 ? 0 : along > 1 ? 1 : along;
  return (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2;
}

/** Red, green, blue and opacity of each pixel; edges are as soft as one pixel is wide. */
function draw({ side, radius, fill, lines, stroke, reach }: Drawing, size: number): Uint8Array {
  const pixels = new Uint8Array(4 * size * size);
  const unit = size / side;
  const segments = lines.flatMap((line) => line.slice(1).map((end, i) => [...line[i], ...end]));
  const cover = (distance: number) => Math.max(0, Math.min(1, 0.5 - distance * unit));
  for (let i = 0; i < size * size; i++) {
    const [x, y] = [(i % size + 0.5) / unit, (Math.floor(i / size) + 0.5) / unit];
    const [ox, oy] = [x, y].map((v) => Math.abs(v - side / 2) - side / 2 + radius);
    const outside = Math.hypot(Math.max(ox, 0), Math.max(oy, 0)) + Math.min(Math.max(ox, oy), 0);
    let nearest = Infinity;
    for (const [ax, ay, bx, by] of segments) {
      nearest = Math.min(nearest, toLine(x, y, ax, ay, bx, by));
    }
    const ink = cover(Math.sqrt(nearest) - reach);
    pixels.set(fill.map((value, c) => Math.round(value + ink * (stroke[c] - value))), 4 * i);
    pixels[4 * i + 3] = Math.round(255 * cover(outside - radius));
  }
  return pixels;
}

/** Four bytes, the highest first. */
export const uint32 = (value: number, littleEndian = false): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, littleEndian);
  return bytes;
};

/** A part of a PNG (ISO/IEC 15948 §5.3). */
export function pngChunk(name: string, data: Uint8Array): Uint8Array {
  const named = concat(new TextEncoder().encode(name), data);
  return concat(uint32(data.length), named, uint32(crc32(named)));
}

/** PNG (ISO/IEC 15948): 8 bits a colour and opacity, no filter. */
function png(pixels: Uint8Array, size: number): Uint8Array {
  const rows = Array.from({ length: size }, (_, y) => [
    Uint8Array.of(0),
    pixels.subarray(4 * size * y, 4 * size * (y + 1)),
  ]).flat();
  return concat(
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    pngChunk("IHDR", concat(uint32(size), uint32(size), Uint8Array.of(8, 6, 0, 0, 0))),
    pngChunk("IDAT", deflateSync(concat(...rows), { level: 9 })),
    pngChunk("IEND", new Uint8Array(0)),
  );
}

/** Windows: ICONDIR, an ICONDIRENTRY of 16 bytes each, and the PNGs (Windows Vista and later). */
function ico(images: { size: number; bytes: Uint8Array }[]): Uint8Array {
  let offset = 6 + 16 * images.length;
  const entries = images.map(({ size, bytes }) => {
    const entry = concat(
      Uint8Array.of(size & 0xff, size & 0xff, 0, 0, 1, 0, 32, 0), // 256 is written as 0
      uint32(bytes.length, true),
      uint32(offset, true),
    );
    offset += bytes.length;
    return entry;
  });
  const head = Uint8Array.of(0, 0, 1, 0, images.length, 0);
  return concat(head, ...entries, ...images.map(({ bytes }) => bytes));
}

/** Apple Icon Image: four letters and a length before each PNG. */
function icns(images: { type: string; bytes: Uint8Array }[]): Uint8Array {
  const element = (type: string, data: Uint8Array) =>
    concat(new TextEncoder().encode(type), uint32(8 + data.length), data);
  return element("icns", concat(...images.map(({ type, bytes }) => element(type, bytes))));
}

/** Both forms of the icon. @throws {Error} where the SVG has what is not drawn here */
export function iconFiles(svg: string): { ico: Uint8Array; icns: Uint8Array } {
  const drawing = readDrawing(svg);
  const image = (size: number) => png(draw(drawing, size), size);
  // 16 and 32 points at two pixels a point, then 128, 256 and 512
  const types = { ic11: 32, ic12: 64, ic07: 128, ic08: 256, ic09: 512 };
  return {
    ico: ico([16, 24, 32, 48, 64, 256].map((size) => ({ size, bytes: image(size) }))),
    icns: icns(Object.entries(types).map(([type, size]) => ({ type, bytes: image(size) }))),
  };
}
