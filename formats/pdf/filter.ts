import { constants, inflateRawSync, inflateSync } from "node:zlib";
import { FormatError } from "../error.ts";
import { isSpace } from "./lexer.ts";
import { fromLzw, fromRunLengths } from "./lzw.ts";
import { PdfArray, PdfDict, PdfName, type PdfValue } from "./value.ts";

/** Object streams and cross-reference streams larger than this are refused. */
const MAX_DECODED = 64 << 20;
const MAX_FILTERS = 4;

function malformed(what: string, cause?: unknown): FormatError {
  return new FormatError("pdf_malformed", `The PDF is damaged: ${what}.`, { cause });
}

/**
 * Decodes the data of a stream (ISO 32000-2 §7.4): FlateDecode, LZWDecode,
 * RunLengthDecode, ASCIIHexDecode and ASCII85Decode, which is what structure and contents are made with. The
 * abbreviations of inline images are accepted as other readers accept them.
 *
 * @param resolve follows references in the dictionary
 * @param isWhole refuses compressed data without their end, of which readers take different parts
 * @throws FormatError `algorithm_unsupported` for other filters, `limit_exceeded` above 64 MiB
 */
export function decodeStream(
  dict: PdfDict,
  data: Uint8Array,
  resolve: (value: PdfValue | undefined) => PdfValue,
  isWhole = false,
): Uint8Array {
  const filters = asList(resolve(dict.get("Filter")), resolve);
  const parms = asList(resolve(dict.get("DecodeParms")), resolve);
  if (filters.length > MAX_FILTERS) throw malformed("a stream has too many filters");
  filters.forEach((filter, i) => {
    if (!(filter instanceof PdfName)) throw malformed("a filter is not a name");
    const parm = parms[i];
    switch (filter.value) {
      case "FlateDecode":
      case "Fl":
        data = inflate(data, isWhole);
        if (parm instanceof PdfDict) data = unpredict(data, parm, resolve);
        break;
      case "ASCIIHexDecode":
      case "AHx":
        data = asciiHex(data);
        break;
      case "ASCII85Decode":
      case "A85":
        data = ascii85(data);
        break;
      case "LZWDecode":
      case "LZW": {
        const early = parm instanceof PdfDict ? resolve(parm.get("EarlyChange")) : null;
        data = whole(fromLzw(data, early === 0 ? 0 : 1, MAX_DECODED));
        if (parm instanceof PdfDict) data = unpredict(data, parm, resolve);
        break;
      }
      case "RunLengthDecode":
      case "RL":
        data = whole(fromRunLengths(data, MAX_DECODED));
        break;
      case "Crypt":
        break; // Handled with the decryption.
      default:
        throw new FormatError(
          "algorithm_unsupported",
          `The PDF stores its structure with the filter ${filter.value}, which is not supported.`,
        );
    }
  });
  return data;
}

const KNOWN = new Set(
  ["FlateDecode", "Fl", "ASCIIHexDecode", "AHx", "ASCII85Decode", "A85", "Crypt"],
);
const OTHERS = new Set(["LZWDecode", "LZW", "RunLengthDecode", "RL"]);
const OF_IMAGES = new Set(
  ["DCTDecode", "DCT", "JPXDecode", "CCITTFaxDecode", "CCF", "JBIG2Decode"],
);

/**
 * How a stream's data are coded: `plain` as {@linkcode decodeStream} decodes them; `other` as every reader does; `image`
 * by a filter that some readers know for images only, and others do not ask; `odd` in a way of which each reader makes
 * something else.
 */
export function codingOf(
  dict: PdfDict,
  resolve: (value: PdfValue | undefined) => PdfValue,
): "plain" | "other" | "image" | "odd" {
  // Data in another file, which some readers would take.
  if (dict.get("F") !== undefined) return "odd";
  let coding: "plain" | "other" | "image" = "plain";
  for (const filter of asList(resolve(dict.get("Filter")), resolve)) {
    const name = filter instanceof PdfName ? filter.value : "";
    if (OF_IMAGES.has(name)) coding = "image";
    else if (OTHERS.has(name)) coding = coding === "image" ? coding : "other";
    else if (!KNOWN.has(name)) return "odd";
  }
  // Some readers do not look for the parameters of a single filter in an array.
  const isSingle = resolve(dict.get("Filter")) instanceof PdfName;
  if (coding === "plain" && isSingle && resolve(dict.get("DecodeParms")) instanceof PdfArray) {
    return "odd";
  }
  return coding;
}

function asList(value: PdfValue, resolve: (value: PdfValue) => PdfValue): PdfValue[] {
  if (value === null) return [];
  return value instanceof PdfArray ? value.items.map(resolve) : [value];
}

function whole(data: Uint8Array | undefined): Uint8Array {
  if (!data) throw malformed("a compressed stream cannot be expanded");
  return data;
}

function inflate(data: Uint8Array, isWhole: boolean): Uint8Array {
  const maxOutputLength = MAX_DECODED;
  if (isWhole && data.length === 0) return data; // qpdf writes empty content so
  try {
    // A missing end or checksum is common, and other readers accept it.
    if (!isWhole) {
      return inflateSync(data, { maxOutputLength, finishFlush: constants.Z_SYNC_FLUSH });
    }
    try {
      return inflateSync(data, { maxOutputLength });
    } catch (error) {
      if ((error as { code?: string }).code !== "Z_BUF_ERROR") throw error;
      return inflateRawSync(data.subarray(2), { maxOutputLength }); // only the checksum may be missing
    }
  } catch (cause) {
    if ((cause as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") {
      throw new FormatError("limit_exceeded", "A stream of the PDF expands to too many bytes.");
    }
    throw malformed("a compressed stream cannot be expanded", cause);
  }
}

/** Undoes a PNG or TIFF predictor (ISO 32000-2 §7.4.4.4). */
function unpredict(
  data: Uint8Array,
  parms: PdfDict,
  resolve: (value: PdfValue | undefined) => PdfValue,
): Uint8Array {
  const parm = (key: string, fallback: number) => {
    const value = resolve(parms.get(key));
    return typeof value === "number" ? value : fallback;
  };
  const predictor = parm("Predictor", 1);
  if (predictor === 1) return data;
  const colors = parm("Colors", 1), bits = parm("BitsPerComponent", 8);
  const columns = parm("Columns", 1);
  if (bits !== 8 || !(colors >= 1 && colors <= 32) || !(columns >= 1 && columns <= 65536)) {
    throw malformed("a stream has an impossible predictor");
  }
  const row = Math.trunc(colors) * Math.trunc(columns);
  const distance = Math.trunc(colors);
  if (predictor === 2) {
    const out = data.slice();
    for (let i = 0; i < out.length; i++) {
      if (i % row >= distance) out[i] += out[i - distance];
    }
    return out;
  }
  if (predictor < 10) throw malformed("a stream has an unknown predictor");
  return unfilterPng(data, row, distance);
}

/**
 * Undoes the row filters of PNG (ISO/IEC 15948 §9.2).
 *
 * @param row bytes in a row, its filter type not counted
 * @param distance bytes from one pixel to the next
 */
export function unfilterPng(data: Uint8Array, row: number, distance: number): Uint8Array {
  const rows = Math.ceil(data.length / (row + 1));
  const out = new Uint8Array(rows * row);
  let length = 0;
  for (let r = 0; r < rows; r++) {
    const source = r * (row + 1);
    const type = data[source];
    const count = Math.min(row, data.length - source - 1);
    const at = r * row;
    for (let i = 0; i < count; i++) {
      const left = i >= distance ? out[at + i - distance] : 0;
      const up = r > 0 ? out[at + i - row] : 0;
      const corner = r > 0 && i >= distance ? out[at + i - row - distance] : 0;
      out[at + i] = data[source + 1 + i] + predicted(type, left, up, corner);
    }
    length += Math.max(0, count);
  }
  return out.subarray(0, length);
}

function predicted(type: number, left: number, up: number, corner: number): number {
  switch (type) {
    case 0:
      return 0;
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) >> 1;
    case 4: {
      const p = left + up - corner;
      const a = Math.abs(p - left), b = Math.abs(p - up), c = Math.abs(p - corner);
      return a <= b && a <= c ? left : b <= c ? up : corner;
    }
    default:
      throw malformed("a stream has an unknown row predictor");
  }
}

function asciiHex(data: Uint8Array): Uint8Array {
  const out = new Uint8Array((data.length + 1) >> 1);
  let digits = 0;
  for (const c of data) {
    if (c === 0x3e) break;
    if (isSpace(c)) continue;
    const value = parseInt(String.fromCharCode(c), 16);
    if (Number.isNaN(value)) throw malformed("a hexadecimal stream contains other characters");
    out[digits >> 1] |= digits & 1 ? value : value << 4;
    digits++;
  }
  return out.subarray(0, (digits + 1) >> 1);
}

function ascii85(data: Uint8Array): Uint8Array {
  const out: number[] = [];
  let group = 0, count = 0;
  for (const c of data) {
    if (c === 0x7e) break;
    if (isSpace(c)) continue;
    if (c === 0x7a && count === 0) {
      out.push(0, 0, 0, 0);
      continue;
    }
    if (c < 0x21 || c > 0x75) throw malformed("an ASCII85 stream contains other characters");
    group = group * 85 + (c - 0x21);
    if (++count === 5) {
      out.push((group / 0x1000000) & 255, (group >> 16) & 255, (group >> 8) & 255, group & 255);
      group = count = 0;
    }
  }
  if (count > 1) {
    for (let i = count; i < 5; i++) group = group * 85 + 84;
    const tail = [(group / 0x1000000) & 255, (group >> 16) & 255, (group >> 8) & 255];
    out.push(...tail.slice(0, count - 1));
  }
  return Uint8Array.from(out);
}
