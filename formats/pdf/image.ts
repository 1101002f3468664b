/** Pictures for content streams: JPEG as it is, PNG as far as it needs no other filter. */
import { deflateSync, inflateSync } from "node:zlib";
import { FormatError } from "../error.ts";
import { unfilterPng } from "./filter.ts";
import type { PdfUpdate } from "./update.ts";
import { name, type PdfDraft, type PdfRef, PdfString, toHex } from "./value.ts";

/** An image XObject and its size in pixels. */
export interface Image {
  ref: PdfRef;
  width: number;
  height: number;
}

const MAX_SIDE = 8192;
const MAX_PIXELS = 64 << 20;

function unusable(why: string): FormatError {
  return new FormatError("invalid_argument", `The picture cannot be used: ${why}.`);
}

/**
 * Adds a picture as an image XObject. Transparent parts are drawn on white, because PDF/A-1 has
 * no transparency.
 *
 * @throws FormatError `invalid_argument` for other formats, interlaced PNG and CMYK
 */
export function addImage(update: Pick<PdfUpdate, "addStream">, bytes: Uint8Array): Image {
  try {
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return addJpeg(update, bytes);
    if (toHex(bytes.subarray(0, 8)) === "89504e470d0a1a0a") return addPng(update, bytes);
  } catch (cause) {
    if (cause instanceof FormatError && cause.code === "invalid_argument") throw cause;
    throw unusable("it is damaged");
  }
  throw unusable("it is neither PNG nor JPEG");
}

function add(
  update: Pick<PdfUpdate, "addStream">,
  width: number,
  height: number,
  dict: { [key: string]: PdfDraft | undefined },
  data: Uint8Array,
): Image {
  const ref = update.addStream({
    Type: name("XObject"),
    Subtype: name("Image"),
    Width: width,
    Height: height,
    ...dict,
  }, data);
  return { ref, width, height };
}

function checkSize(width: number, height: number): void {
  if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) {
    throw unusable("its size is impossible");
  }
}

/** ITU-T T.81 Annex B: the frame header says size and components. */
function addJpeg(update: Pick<PdfUpdate, "addStream">, bytes: Uint8Array): Image {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 2; at + 4 <= bytes.length;) {
    if (bytes[at] !== 0xff) throw unusable("it is damaged");
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++;
      continue;
    }
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) {
      const height = data.getUint16(at + 5), width = data.getUint16(at + 7);
      checkSize(width, height);
      const space = ({ 1: "DeviceGray", 3: "DeviceRGB" } as Record<number, string>)[bytes[at + 9]];
      if (!space) throw unusable("its colours are neither grey nor RGB");
      // ISO 32000-2 §7.4.8
      if (bytes[at + 4] !== 8) throw unusable("it has other than 8 bits a colour");
      return add(update, width, height, {
        ColorSpace: name(space),
        BitsPerComponent: 8,
        Filter: name("DCTDecode"),
      }, bytes);
    }
    at += 2 + data.getUint16(at + 2);
  }
  throw unusable("it is damaged");
}

/** Colours and bits of each by PNG's colour type (ISO/IEC 15948 §11.2.1); a palette's are indices. */
const PNG_TYPES: Readonly<Record<number, { colors: number; depths: readonly number[] }>> = {
  0: { colors: 1, depths: [1, 2, 4, 8, 16] },
  2: { colors: 3, depths: [8, 16] },
  3: { colors: 1, depths: [1, 2, 4, 8] },
  4: { colors: 2, depths: [8, 16] },
  6: { colors: 4, depths: [8, 16] },
};

/** ISO/IEC 15948. */
function addPng(update: Pick<PdfUpdate, "addStream">, bytes: Uint8Array): Image {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  const chunks = new Map<string, Uint8Array>();
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = data.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const chunk = bytes.subarray(at + 8, at + 8 + length);
    if (type === "IDAT") parts.push(chunk);
    else if (!chunks.has(type)) chunks.set(type, chunk);
    at += 12 + length;
  }
  const header = chunks.get("IHDR");
  if (!header || header.length < 13) throw unusable("it is damaged");
  const head = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const width = head.getUint32(0), height = head.getUint32(4);
  const [bits, type, , , interlace] = header.subarray(8);
  checkSize(width, height);
  if (interlace !== 0) throw unusable("it is interlaced");
  const idat = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (idat.set(part, at), at + part.length), 0);
  const { colors, depths } = PNG_TYPES[type] ?? {};
  if (!colors || !depths.includes(bits)) throw unusable("it is damaged");
  const row = Math.ceil(width * colors * bits / 8);
  if (row * height > MAX_PIXELS) throw unusable("it is too large");
  const whole = (row + 1) * height;
  const rows = inflateSync(idat, { maxOutputLength: whole });
  if (rows.length !== whole) throw unusable("it is damaged");
  const palette = chunks.get("PLTE") ?? new Uint8Array();
  const entries = palette.length / 3;
  if (type === 3 && (!Number.isInteger(entries) || entries < 1 || entries > 2 ** bits)) {
    throw unusable("it is damaged");
  }
  if (type === 4 || type === 6 || chunks.has("tRNS")) {
    if (bits !== 8) throw unusable("it is transparent with other than 8 bits a colour");
    const pixels = unfilterPng(new Uint8Array(rows), row, colors);
    const rgb = onWhite(pixels, type, chunks);
    return add(update, width, height, {
      ColorSpace: name("DeviceRGB"),
      BitsPerComponent: 8,
      Filter: name("FlateDecode"),
    }, deflateSync(rgb));
  }
  const space: PdfDraft = type !== 3 ? name(type === 0 ? "DeviceGray" : "DeviceRGB") : [
    name("Indexed"),
    name("DeviceRGB"),
    entries - 1,
    new PdfString(palette),
  ];
  return add(update, width, height, {
    ColorSpace: space,
    BitsPerComponent: bits,
    Filter: name("FlateDecode"),
    DecodeParms: { Predictor: 15, Colors: colors, BitsPerComponent: bits, Columns: width },
  }, idat);
}

/** Pixels as RGB, mixed with white as far as they are transparent. */
function onWhite(
  pixels: Uint8Array,
  type: number,
  chunks: ReadonlyMap<string, Uint8Array>,
): Uint8Array {
  const palette = chunks.get("PLTE") ?? new Uint8Array();
  const clear = chunks.get("tRNS") ?? new Uint8Array();
  const { colors } = PNG_TYPES[type];
  const count = Math.floor(pixels.length / colors);
  const out = new Uint8Array(3 * count);
  for (let i = 0; i < count; i++) {
    const at = i * colors;
    const first = pixels[at];
    let rgb: ArrayLike<number>;
    let alpha = 255;
    if (type === 3) {
      rgb = palette.subarray(3 * first, 3 * first + 3);
      alpha = clear[first] ?? 255;
    } else if (type === 0 || type === 4) {
      rgb = [first, first, first];
      // tRNS names the one clear value with 16 bits.
      alpha = type === 4 ? pixels[at + 1] : first === clear[1] ? 0 : 255;
    } else {
      rgb = pixels.subarray(at, at + 3);
      if (type === 6) alpha = pixels[at + 3];
      else if ([1, 3, 5].every((place, c) => rgb[c] === clear[place])) alpha = 0;
    }
    for (let c = 0; c < 3; c++) {
      out[3 * i + c] = Math.round(((rgb[c] ?? 0) * alpha + 255 * (255 - alpha)) / 255);
    }
  }
  return out;
}
