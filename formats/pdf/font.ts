/** TrueType fonts: reading them (also out of WOFF) and making subsets (OpenType 1.9). */
import { inflateSync } from "node:zlib";
import { FormatError } from "../error.ts";

const MAX_FONT = 32 << 20;

function malformed(what: string): FormatError {
  return new FormatError("invalid_argument", `The font cannot be used: ${what}.`);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A font with TrueType outlines. */
export interface TrueTypeFont {
  /** The whole font as sfnt, as shaping needs it. */
  sfnt: Uint8Array;
  tables: Map<string, Uint8Array>;
  unitsPerEm: number;
  glyphCount: number;
  /** All in font units. */
  ascent: number;
  descent: number;
  capHeight: number;
  box: [number, number, number, number];
  postScriptName: string;
}

/**
 * Reads a font: sfnt, or WOFF 1.0, which is sfnt with compressed tables.
 *
 * @throws FormatError `invalid_argument` for other formats, outlines of another kind, and fonts
 *   that may not be embedded
 */
export function readFont(bytes: Uint8Array): TrueTypeFont {
  if (bytes.length > MAX_FONT || bytes.length < 12) throw malformed("its size is invalid");
  const magic = view(bytes).getUint32(0);
  let tables: Map<string, Uint8Array>;
  try {
    if (magic === 0x774f4646) tables = readTables(bytes, 44, 20);
    else if (magic === 0x00010000) tables = readTables(bytes, 12, 16);
    else throw malformed("it is neither TrueType nor WOFF");
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw malformed("it is damaged");
  }
  const table = (name: string, length: number) => {
    const data = tables.get(name);
    if (!data || data.length < length) throw malformed(`it has no table ${name}`);
    return view(data);
  };
  const head = table("head", 54), hhea = table("hhea", 36), maxp = table("maxp", 6);
  table("glyf", 0), table("loca", 0), table("hmtx", 0);
  const os2 = tables.get("OS/2");
  // fsType 2: restricted licence embedding (OS/2 §fsType).
  if (os2 && os2.length > 10 && (view(os2).getUint16(8) & 0xf) === 2) {
    throw malformed("its licence forbids embedding");
  }
  const ascent = hhea.getInt16(4);
  return {
    sfnt: magic === 0x00010000 ? bytes : writeSfnt(tables),
    tables,
    unitsPerEm: head.getUint16(18) || 1000,
    glyphCount: maxp.getUint16(4),
    ascent,
    descent: hhea.getInt16(6),
    capHeight: os2 && os2.length >= 90 ? view(os2).getInt16(88) : ascent,
    box: [head.getInt16(36), head.getInt16(38), head.getInt16(40), head.getInt16(42)],
    postScriptName: postScriptName(tables.get("name")) ?? "Font",
  };
}

function readTables(bytes: Uint8Array, start: number, entry: number): Map<string, Uint8Array> {
  const data = view(bytes);
  const count = data.getUint16(entry === 20 ? 12 : 4);
  const tables = new Map<string, Uint8Array>();
  let total = 0;
  for (let i = 0; i < count; i++) {
    const at = start + i * entry;
    const tag = String.fromCharCode(...bytes.subarray(at, at + 4));
    // WOFF: offset, stored length, length; sfnt: checksum, offset, length.
    const [offset, stored, length] = entry === 20
      ? [data.getUint32(at + 4), data.getUint32(at + 8), data.getUint32(at + 12)]
      : [data.getUint32(at + 8), data.getUint32(at + 12), data.getUint32(at + 12)];
    total += length;
    if (offset + stored > bytes.length || total > MAX_FONT) throw malformed("it is truncated");
    const raw = bytes.subarray(offset, offset + stored);
    const table = stored < length ? inflateSync(raw, { maxOutputLength: length }) : raw;
    tables.set(tag, new Uint8Array(table));
  }
  return tables;
}

/** Name 6 of the name table, in characters that a PDF name can have. */
function postScriptName(table: Uint8Array | undefined): string | undefined {
  if (!table || table.length < 6) return undefined;
  const data = view(table);
  const strings = data.getUint16(4);
  for (let i = 0; i < data.getUint16(2); i++) {
    const at = 6 + 12 * i;
    if (at + 12 > table.length) break;
    if (data.getUint16(at + 6) !== 6) continue;
    const start = strings + data.getUint16(at + 10);
    const text = String.fromCharCode(...table.subarray(start, start + data.getUint16(at + 8)));
    const name = text.replace(/[^A-Za-z0-9-]/g, "");
    if (name !== "") return name;
  }
  return undefined;
}

/** Puts tables together to a font file. */
function writeSfnt(tables: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const sorted = [...tables].sort(([a], [b]) => a < b ? -1 : 1);
  const count = sorted.length;
  const sizes = sorted.map(([, data]) => (data.length + 3) & ~3);
  const out = new Uint8Array(12 + 16 * count + sizes.reduce((sum, size) => sum + size, 0));
  const data = view(out);
  const power = Math.floor(Math.log2(count));
  data.setUint32(0, 0x00010000);
  data.setUint16(4, count);
  data.setUint16(6, 16 << power);
  data.setUint16(8, power);
  data.setUint16(10, 16 * count - (16 << power));
  let offset = 12 + 16 * count;
  sorted.forEach(([tag, table], i) => {
    out.set(table, offset);
    let sum = 0;
    for (let at = offset; at < offset + sizes[i]; at += 4) sum = (sum + data.getUint32(at)) >>> 0;
    const entry = 12 + 16 * i;
    for (let c = 0; c < 4; c++) out[entry + c] = tag.charCodeAt(c);
    data.setUint32(entry + 4, sum);
    data.setUint32(entry + 8, offset);
    data.setUint32(entry + 12, table.length);
    offset += sizes[i];
  });
  return out;
}

/** Width of a glyph in font units. */
export function advanceWidth(font: TrueTypeFont, glyph: number): number {
  const count = view(font.tables.get("hhea")!).getUint16(34);
  const hmtx = view(font.tables.get("hmtx")!);
  const at = 4 * Math.min(glyph, count - 1);
  return at >= 0 && at + 2 <= hmtx.byteLength ? hmtx.getUint16(at) : 0;
}

function glyphData(font: TrueTypeFont, glyph: number): Uint8Array {
  const glyf = font.tables.get("glyf")!;
  const loca = view(font.tables.get("loca")!);
  const long = view(font.tables.get("head")!).getInt16(50) !== 0;
  const size = long ? 4 : 2;
  if (size * (glyph + 2) > loca.byteLength) return new Uint8Array();
  const read = (i: number) => long ? loca.getUint32(4 * i) : 2 * loca.getUint16(2 * i);
  return glyf.subarray(read(glyph), read(glyph + 1));
}

/** Positions of a composite glyph's components (glyf table, “Composite Glyph Description”). */
function componentPlaces(glyph: Uint8Array): number[] {
  if (glyph.length < 12) return [];
  const data = view(glyph);
  if (data.getInt16(0) >= 0) return [];
  const out: number[] = [];
  for (let at = 10; at + 4 <= glyph.length;) {
    const flags = data.getUint16(at);
    out.push(at + 2);
    // Arguments are words or bytes; a scale, two scales or a matrix may follow.
    at += 4 + (flags & 1 ? 4 : 2) + (flags & 8 ? 2 : flags & 0x40 ? 4 : flags & 0x80 ? 8 : 0);
    if (!(flags & 0x20)) break;
  }
  return out;
}

/**
 * A font with only some glyphs, in the given order, what they are composed of behind them.
 *
 * @param glyphs numbers in `font`; the first has to be 0
 * @returns the font file, without tables that a PDF does not need, and how many glyphs it has
 */
export function subsetFont(
  font: TrueTypeFont,
  glyphs: readonly number[],
): { bytes: Uint8Array; glyphCount: number } {
  const numbers = new Map(glyphs.map((glyph, i) => [glyph, i]));
  const outlines: Uint8Array[] = [];
  // Composites add to the map while it is walked.
  for (const glyph of numbers.keys()) {
    const outline = glyphData(font, glyph).slice();
    const data = view(outline);
    for (const place of componentPlaces(outline)) {
      const component = data.getUint16(place);
      if (!numbers.has(component)) numbers.set(component, numbers.size);
      data.setUint16(place, numbers.get(component)!);
    }
    outlines.push(outline);
  }
  const count = outlines.length;
  const loca = new DataView(new ArrayBuffer(4 * (count + 1)));
  const hmtx = new DataView(new ArrayBuffer(4 * count));
  const glyf = new Uint8Array(outlines.reduce((sum, { length }) => sum + ((length + 3) & ~3), 0));
  let offset = 0, i = 0;
  for (const glyph of numbers.keys()) {
    glyf.set(outlines[i], offset);
    offset += (outlines[i].length + 3) & ~3;
    loca.setUint32(4 * (i + 1), offset);
    hmtx.setUint16(4 * i, advanceWidth(font, glyph));
    // The left side bearing is the outline's xMin.
    hmtx.setInt16(4 * i + 2, outlines[i].length >= 4 ? view(outlines[i]).getInt16(2) : 0);
    i++;
  }
  const copy = (name: string) => font.tables.get(name)!.slice();
  const head = copy("head"), hhea = copy("hhea"), maxp = copy("maxp");
  view(head).setUint32(8, 0);
  view(head).setInt16(50, 1);
  view(hhea).setUint16(34, count);
  view(maxp).setUint16(4, count);
  const tables = new Map<string, Uint8Array>([["head", head], ["hhea", hhea], ["maxp", maxp], [
    "glyf",
    glyf,
  ]]);
  tables.set("loca", new Uint8Array(loca.buffer));
  tables.set("hmtx", new Uint8Array(hmtx.buffer));
  for (const name of ["cvt ", "fpgm", "prep"]) {
    const table = font.tables.get(name);
    if (table) tables.set(name, table);
  }
  return { bytes: writeSfnt(tables), glyphCount: count };
}
