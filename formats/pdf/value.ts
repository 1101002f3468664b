/** The objects of a PDF (ISO 32000-2 §7.3), as read from a file, with where each stood. */
import { Buffer } from "node:buffer";

/** A name, its #xx escapes decoded, one character a byte. */
export class PdfName {
  constructor(readonly value: string) {}
}

/** An indirect reference. */
export class PdfRef {
  constructor(readonly num: number, readonly gen: number) {}
}

/** A string; decrypted when it was read by a document that is encrypted. */
export class PdfString {
  /** `start` and `end`: where the token stood, brackets included; 0 where it was made, not read. */
  constructor(public bytes: Uint8Array, readonly start = 0, readonly end = 0) {}
}

/** `start` and `end`: where it stood, brackets included. */
export class PdfArray {
  constructor(
    readonly items: PdfValue[],
    readonly start: number,
    readonly end: number,
    /** Items that are whole numbers written as reals, as `5.0`: some programs take them for no integers. */
    readonly reals?: ReadonlySet<number>,
  ) {}
}

/** Position of one entry of a dictionary. */
export interface EntrySpan {
  key: string;
  keyStart: number;
  valueStart: number;
  valueEnd: number;
}

/** `start` and `end`: where it stood, `<<` and `>>` included. */
export class PdfDict {
  constructor(
    readonly entries: Map<string, PdfValue>,
    /** In the order of the file; a key that was given twice stands here twice. */
    readonly spans: EntrySpan[],
    readonly start: number,
    readonly end: number,
    /** Entries that are whole numbers written as reals; see {@linkcode PdfArray}. */
    readonly reals?: ReadonlySet<string>,
  ) {}

  get(key: string): PdfValue | undefined {
    return this.entries.get(key);
  }

  /** A key given twice is read differently by different readers. */
  get hasDuplicates(): boolean {
    return this.spans.length !== this.entries.size;
  }
}

/** A stream; its data stay in the file, see `PdfDocument.streamData`. */
export class PdfStream {
  /** `dataStart`: where the data begin, counted as the spans of `dict` are. */
  constructor(readonly dict: PdfDict, readonly dataStart: number) {}
}

/** A value as read. */
export type PdfValue =
  | null
  | boolean
  | number
  | PdfName
  | PdfString
  | PdfRef
  | PdfArray
  | PdfDict
  | PdfStream;

/** Whether a value is a reference to the same object. */
export function sameRef(a: PdfRef, b: PdfValue): boolean {
  return b instanceof PdfRef && a.num === b.num && a.gen === b.gen;
}

/** Whether bytes are the same. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Whether two values without children are equal. */
export function sameScalar(a: PdfValue, b: PdfValue): boolean {
  if (a instanceof PdfName && b instanceof PdfName) return a.value === b.value;
  if (a instanceof PdfString && b instanceof PdfString) return sameBytes(a.bytes, b.bytes);
  if (a instanceof PdfRef) return sameRef(a, b);
  return a === b && (a === null || typeof a !== "object");
}

/** Whether `b` has a whole number that is written as a real and not so in `a`. */
export function becameReal(a: PdfArray | PdfDict, b: PdfArray | PdfDict): boolean {
  const before = a.reals as ReadonlySet<string | number> | undefined;
  return b.reals !== undefined && [...b.reals].some((each) => !before?.has(each));
}

/** Whether two values are equal apart from white space and the order of entries. Does not follow references. */
export function sameValue(a: PdfValue, b: PdfValue): boolean {
  if (a instanceof PdfStream && b instanceof PdfStream) return sameValue(a.dict, b.dict);
  if (a instanceof PdfArray && b instanceof PdfArray) {
    return a.items.length === b.items.length && !becameReal(a, b) && !becameReal(b, a) &&
      a.items.every((x, i) => sameValue(x, b.items[i]));
  }
  if (a instanceof PdfDict && b instanceof PdfDict) {
    return a.entries.size === b.entries.size && !becameReal(a, b) && !becameReal(b, a) &&
      [...a.entries].every(([key, x]) => {
        const y = b.get(key);
        return y !== undefined && sameValue(x, y);
      });
  }
  return sameScalar(a, b);
}

/** Bytes that are already PDF syntax. */
export class PdfRaw {
  constructor(readonly bytes: Uint8Array) {}
}

/** Writable values: the same kinds, with plain arrays and objects for arrays and dictionaries. */
export type PdfDraft =
  | null
  | boolean
  | number
  | PdfName
  | PdfRef
  | PdfString
  | PdfRaw
  | PdfDraft[]
  | { [key: string]: PdfDraft | undefined };

/** A name to be written. */
export const name = (value: string): PdfName => new PdfName(value);

const utf8 = new TextEncoder();

/** One byte a character; for syntax, which is ASCII, and for bytes carried in strings. */
export function latin1(text: string): Uint8Array {
  const ascii = utf8.encode(text); // many times as fast
  if (ascii.length === text.length) return ascii;
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

/** The inverse of {@link latin1}. */
export function fromLatin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}

/**
 * A text string (ISO 32000-2 §7.9.2.2): ASCII as it is, anything else as UTF-16BE with its mark.
 */
export function textString(text: string): PdfString {
  if (/^[\x20-\x7e\n\r\t]*$/.test(text)) return new PdfString(latin1(text));
  const out = new Uint8Array(2 + 2 * text.length);
  out[0] = 0xfe;
  out[1] = 0xff;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    out[2 + 2 * i] = unit >> 8;
    out[3 + 2 * i] = unit & 0xff;
  }
  return new PdfString(out);
}

/** Reads a text string: UTF-16 or UTF-8 with their marks, else Latin-1 for PDFDocEncoding. */
export function textOf(value: PdfString): string {
  const b = value.bytes;
  if (b[0] === 0xfe && b[1] === 0xff) return new TextDecoder("utf-16be").decode(b.subarray(2));
  if (b[0] === 0xff && b[1] === 0xfe) return new TextDecoder("utf-16le").decode(b.subarray(2));
  if (b[0] === 0xef && b[1] === 0xbb && b[2] === 0xbf) {
    return new TextDecoder().decode(b.subarray(3));
  }
  return fromLatin1(b);
}

/** Lower case hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

function writeName(value: string): string {
  return "/" + value.replace(
    // Regular characters stand for themselves (ISO 32000-2 §7.3.5).
    /[^\x21-\x7e]|[#()<>[\]{}/%]/g,
    (c) => "#" + c.charCodeAt(0).toString(16).padStart(2, "0"),
  );
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError("a PDF number is finite");
  // No exponents in PDF (ISO 32000-2 §7.3.3).
  return Number.isInteger(value) ? value.toFixed(0) : value.toFixed(5).replace(/\.?0+$/, "");
}

/**
 * Writes a draft as PDF syntax, one character a byte.
 *
 * @param encrypt applied to the bytes of every string when the document is encrypted
 */
export function serialize(draft: PdfDraft, encrypt?: (bytes: Uint8Array) => Uint8Array): string {
  if (draft === null) return "null";
  if (typeof draft === "boolean") return String(draft);
  if (typeof draft === "number") return writeNumber(draft);
  if (draft instanceof PdfName) return writeName(draft.value);
  if (draft instanceof PdfRef) return `${draft.num} ${draft.gen} R`;
  if (draft instanceof PdfRaw) return fromLatin1(draft.bytes);
  if (draft instanceof PdfString) {
    return writeString(encrypt ? encrypt(draft.bytes) : draft.bytes);
  }
  if (Array.isArray(draft)) return `[${draft.map((item) => serialize(item, encrypt)).join(" ")}]`;
  let out = "<<";
  for (const [key, value] of Object.entries(draft)) {
    if (value !== undefined) out += ` ${writeName(key)} ${serialize(value, encrypt)}`;
  }
  return out + " >>";
}

/** A string as token: literal when it is printable ASCII, else hexadecimal. */
export function writeString(bytes: Uint8Array): string {
  for (const byte of bytes) {
    if (byte < 0x20 || byte > 0x7e) return `<${toHex(bytes)}>`;
  }
  return `(${fromLatin1(bytes).replace(/[\\()]/g, "\\$&")})`;
}
