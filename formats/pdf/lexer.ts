import { FormatError } from "../error.ts";
import {
  type EntrySpan,
  PdfArray,
  PdfDict,
  PdfName,
  PdfRef,
  PdfStream,
  PdfString,
  type PdfValue,
} from "./value.ts";

/** Thrown when more of the file must be read to finish a token; see `readWindow`. */
export const WINDOW_EXHAUSTED = Symbol("the window ended inside a token");

const MAX_DEPTH = 200;
/** Above every object number in use (ISO 32000-1 Annex C.2); bounds what a file can make us allot. */
export const MAX_OBJECT_NUMBER = 8_388_607;

const REGULAR = 0, SPACE = 1, DELIMITER = 2;
const CLASS = new Uint8Array(256);
for (const c of [0, 9, 10, 12, 13, 32]) CLASS[c] = SPACE;
for (const c of "()<>[]{}/%") CLASS[c.charCodeAt(0)] = DELIMITER;

/** From this many digits on, the runtime's own reader is faster: a signature has thousands. */
const LONG_HEX = 256;
const HEX_VALUE = new Int8Array(256).fill(-1);
for (let i = 0; i < 16; i++) {
  HEX_VALUE["0123456789abcdef".charCodeAt(i)] = i;
  HEX_VALUE["0123456789ABCDEF".charCodeAt(i)] = i;
}

/** Programs count larger integers in different ways. */
const MAX_INTEGER = 0x7fff_ffff;

/** White space (ISO 32000-2 Table 1). */
export const isSpace = (c: number): boolean => CLASS[c] === SPACE;
/** Neither white space nor a delimiter. */
export const isRegular = (c: number): boolean => CLASS[c] === REGULAR;

function malformed(what: string): never {
  throw new FormatError("pdf_malformed", `The PDF is damaged: ${what}.`);
}

/**
 * Reads PDF syntax (ISO 32000-2 §7.2–7.3) out of a window of the file and keeps where each
 * value stood, so that one entry of a dictionary can be replaced without writing the rest anew.
 */
export class PdfLexer {
  #depth = 0;
  #highestReference = 0;
  /** A number or name was read that programs read in different ways: `5-3`, `99999999999`, `/A#`. */
  isOdd = false;
  /** A dictionary with two values for one key was read. */
  saidTwice = false;
  /** A reference to a generation other than 0 was read; many programs do not look at generations. */
  namedGeneration = false;
  /** A Type 3 font or a soft mask was read: they draw streams that nothing else tells from others. */
  drawsStreams = false;
  /** Whether the last number was a whole one written as a real. */
  #isReal = false;

  /** `last`: the window ends where the file ends, so that its end also ends a token. */
  constructor(readonly data: Uint8Array, public pos = 0, readonly last = true) {}

  /** The highest number in any reference that was read. */
  get highestReference(): number {
    return this.#highestReference;
  }

  /** What was read is the same for all readers, without a look at what it refers to. */
  get isPlain(): boolean {
    return !this.saidTwice && !this.namedGeneration && !this.drawsStreams;
  }

  /** Skips white space and comments. */
  skipSpace(): void {
    const { data } = this;
    for (;;) {
      if (this.pos >= data.length) return this.#end();
      const c = data[this.pos];
      if (CLASS[c] === SPACE) this.pos++;
      else if (c === 0x25) {
        while (this.pos < data.length && data[this.pos] !== 10 && data[this.pos] !== 13) this.pos++;
      } else return;
    }
  }

  #end(): void {
    if (!this.last) throw WINDOW_EXHAUSTED;
  }

  /** Reads a run of regular characters; empty at a delimiter. */
  word(): string {
    const { data } = this;
    const start = this.pos;
    let pos = start;
    while (pos < data.length && CLASS[data[pos]] === REGULAR) pos++;
    if (pos >= data.length) this.#end();
    if (pos - start > 127) malformed("a keyword has no end");
    this.pos = pos;
    return latin1Of(data, start, pos);
  }

  /** Consumes the next word if it is the expected one, and says whether it was. */
  keyword(expected: string): boolean {
    this.skipSpace();
    const start = this.pos;
    if (CLASS[this.data[start] ?? 0] === REGULAR && this.word() === expected) return true;
    this.pos = start;
    return false;
  }

  /** A non-negative integer; undefined (nothing consumed) when something else stands here. */
  integer(): number | undefined {
    this.skipSpace();
    const { data } = this;
    let pos = this.pos;
    let value = 0;
    for (; pos < data.length; pos++) {
      const digit = data[pos] - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (pos >= data.length) this.#end();
    if (pos === this.pos || pos - this.pos > 15) return undefined;
    if (value > MAX_INTEGER) this.isOdd = true;
    if (pos < data.length && CLASS[data[pos]] === REGULAR) return undefined;
    this.pos = pos;
    return value;
  }

  /** Reads one value. */
  value(): PdfValue {
    this.skipSpace();
    const { data } = this;
    if (this.pos >= data.length) malformed("it ends inside an object");
    const c = data[this.pos];
    if (c === 0x2f) return new PdfName(this.name());
    if (c === 0x28) return this.#literal();
    if (c === 0x5b) return this.#array();
    if (c === 0x3c) {
      if (this.pos + 1 >= data.length) this.#end();
      return data[this.pos + 1] === 0x3c ? this.dict() : this.#hex();
    }
    if (CLASS[c] !== REGULAR) malformed("a delimiter appears in place of a value");
    if (c >= 48 && c <= 57) {
      const number = this.integer();
      if (number !== undefined) return this.#reference(number) ?? number;
    }
    return this.#wordValue();
  }

  #reference(num: number): PdfRef | undefined {
    const start = this.pos;
    // The usual case: a number that is not followed by another one.
    const gen = this.integer();
    if (gen !== undefined && gen <= 65535) {
      this.skipSpace();
      const { data } = this;
      if (data[this.pos] === 0x52) {
        if (this.pos + 1 >= data.length) this.#end();
        if (this.pos + 1 >= data.length || CLASS[data[this.pos + 1]] !== REGULAR) {
          this.pos++;
          if (num > MAX_OBJECT_NUMBER) malformed("an object number is too large");
          this.#highestReference = Math.max(this.#highestReference, num);
          if (gen !== 0) this.namedGeneration = true;
          return new PdfRef(num, gen);
        }
      }
    }
    this.pos = start;
    return undefined;
  }

  #wordValue(): PdfValue {
    const word = this.word();
    if (word === "true") return true;
    if (word === "false") return false;
    if (word === "null") return null;
    if (/^[+-]*[0-9]*\.?[0-9-]*$/.test(word) && /[0-9]/.test(word)) {
      if (!/^[+-]?(?:[0-9]{1,10}\.?[0-9]{0,15}|\.[0-9]{1,15})$/.test(word)) this.isOdd = true;
      const number = parseFloat(word.replace(/^[+-]*-/, "-").replace(/^\++/, ""));
      this.#isReal = word.includes(".") && Number.isInteger(number);
      return Number.isFinite(number) ? number : 0;
    }
    malformed(`“${word.replace(/[^\x21-\x7e]/g, "?")}” is not a value`);
  }

  /** Reads a name and decodes its #xx escapes (ISO 32000-2 §7.3.5). */
  name(): string {
    const { data } = this;
    let pos = this.pos + 1;
    const start = pos;
    let escaped = false;
    while (pos < data.length && CLASS[data[pos]] === REGULAR) {
      if (data[pos] === 0x23) escaped = true;
      pos++;
    }
    if (pos >= data.length) this.#end();
    this.pos = pos;
    if (pos - start > 4096) malformed("a name is too long");
    const raw = latin1Of(data, start, pos);
    if (!escaped) return raw;
    if (/#(?![0-9a-fA-F]{2})|#00/.test(raw)) this.isOdd = true;
    return raw.replace(/#([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  }

  #literal(): PdfString {
    const { data } = this;
    const start = this.pos++;
    const out: number[] = [];
    let nesting = 1;
    for (;;) {
      if (this.pos >= data.length) {
        this.#end();
        malformed("a string has no end");
      }
      let c = data[this.pos++];
      if (c === 0x28) nesting++;
      else if (c === 0x29 && --nesting === 0) {
        return new PdfString(Uint8Array.from(out), start, this.pos);
      } else if (c === 0x5c) {
        const escape = this.#escape();
        if (escape < 0) continue;
        c = escape;
      } else if (c === 13) {
        // An end of line reads as LF, whatever it was.
        if (this.pos >= data.length) this.#end();
        if (data[this.pos] === 10) this.pos++;
        c = 10;
      }
      out.push(c);
    }
  }

  /** The byte after a backslash; -1 for a line that goes on. */
  #escape(): number {
    const { data } = this;
    if (this.pos + 3 > data.length) this.#end();
    const c = data[this.pos++];
    switch (c) {
      case 0x6e:
        return 10;
      case 0x72:
        return 13;
      case 0x74:
        return 9;
      case 0x62:
        return 8;
      case 0x66:
        return 12;
      case 10:
        return -1;
      case 13:
        if (data[this.pos] === 10) this.pos++;
        return -1;
    }
    if (c >= 48 && c <= 55) {
      let value = c - 48;
      for (let i = 0; i < 2; i++) {
        const digit = data[this.pos] - 48;
        if (!(digit >= 0 && digit <= 7)) break;
        value = value * 8 + digit;
        this.pos++;
      }
      return value & 0xff;
    }
    return c;
  }

  #hex(): PdfString {
    const { data } = this;
    const start = this.pos++;
    const close = data.indexOf(0x3e, this.pos);
    if (close < 0) {
      this.#end();
      malformed("a hexadecimal string has no end");
    }
    if (close - this.pos >= LONG_HEX) {
      const bytes = plainHex(data.subarray(this.pos, close));
      if (bytes) {
        this.pos = close + 1;
        return new PdfString(bytes, start, this.pos);
      }
    }
    const out = new Uint8Array((close - this.pos + 1) >> 1);
    let digits = 0;
    for (let pos = this.pos; pos < close; pos++) {
      const value = HEX_VALUE[data[pos]];
      if (value < 0) {
        if (CLASS[data[pos]] === SPACE) continue;
        malformed("a hexadecimal string contains other characters");
      }
      out[digits >> 1] |= digits & 1 ? value : value << 4;
      digits++;
    }
    this.pos = close + 1;
    return new PdfString(out.subarray(0, (digits + 1) >> 1), start, this.pos);
  }

  #array(): PdfArray {
    this.#enter();
    const start = this.pos++;
    const items: PdfValue[] = [];
    let reals: Set<number> | undefined;
    for (;;) {
      this.skipSpace();
      if (this.data[this.pos] === 0x5d) break;
      this.#isReal = false;
      const value = this.value();
      if (this.#isReal && typeof value === "number") (reals ??= new Set()).add(items.length);
      items.push(value);
    }
    this.pos++;
    this.#depth--;
    return new PdfArray(items, start, this.pos, reals);
  }

  /** Reads a dictionary; the position is at its `<<`. */
  dict(): PdfDict {
    this.#enter();
    const { data } = this;
    const start = this.pos;
    this.pos += 2;
    const entries = new Map<string, PdfValue>();
    const spans: EntrySpan[] = [];
    let reals: Set<string> | undefined;
    for (;;) {
      this.skipSpace();
      if (this.pos + 1 >= data.length) this.#end();
      const c = data[this.pos];
      if (c === 0x3e && data[this.pos + 1] === 0x3e) break;
      if (c !== 0x2f) malformed("a dictionary key is not a name");
      const keyStart = this.pos;
      const key = this.name();
      this.skipSpace();
      const valueStart = this.pos;
      this.#isReal = false;
      const value = this.value();
      if (this.#isReal && typeof value === "number") (reals ??= new Set()).add(key);
      spans.push({ key, keyStart, valueStart, valueEnd: this.pos });
      entries.set(key, value);
    }
    this.pos += 2;
    this.#depth--;
    if (spans.length !== entries.size) this.saidTwice = true;
    if (entries.has("CharProcs") || entries.has("G")) this.drawsStreams = true;
    return new PdfDict(entries, spans, start, this.pos, reals);
  }

  #enter(): void {
    if (++this.#depth > MAX_DEPTH) {
      throw new FormatError("limit_exceeded", "The PDF nests its objects too deeply.");
    }
  }

  /** Reads `num gen obj`; undefined (nothing consumed) when something else stands here. */
  objectHeader(): PdfRef | undefined {
    const start = this.pos;
    const num = this.integer();
    const gen = num === undefined ? undefined : this.integer();
    // Object 0 is the head of the free list and never an object (ISO 32000-2 §7.5.4).
    if (gen !== undefined && gen <= 65535 && num! >= 1 && num! <= MAX_OBJECT_NUMBER) {
      this.skipSpace();
      const { data, pos } = this;
      if (pos + 3 >= data.length) this.#end();
      // "obj" may touch what follows it, as in "1 0 obj<<".
      if (data[pos] === 0x6f && data[pos + 1] === 0x62 && data[pos + 2] === 0x6a) {
        this.pos += 3;
        return new PdfRef(num!, gen);
      }
    }
    this.pos = start;
    return undefined;
  }

  /** Reads the value of an indirect object, which may be a stream, after its header. */
  objectBody(): PdfValue {
    const value = this.value();
    if (!(value instanceof PdfDict)) return value;
    const end = this.pos;
    if (!this.keyword("stream")) {
      this.pos = end;
      return value;
    }
    // CRLF or LF ends the keyword's line (ISO 32000-2 §7.3.8.1); a lone CR is tolerated.
    const { data } = this;
    if (this.pos + 1 >= data.length) this.#end();
    if (data[this.pos] === 13) this.pos++;
    if (data[this.pos] === 10) this.pos++;
    return new PdfStream(value, this.pos);
  }
}

/** The text of bytes that are few: a view of them would cost more than they do. */
function latin1Of(data: Uint8Array, start: number, end: number): string {
  let out = "";
  for (let i = start; i < end; i++) out += String.fromCharCode(data[i]);
  return out;
}

/** Reads hexadecimal digits and nothing else; `undefined` where there is anything else, or an odd number. */
function plainHex(digits: Uint8Array): Uint8Array | undefined {
  try {
    return Uint8Array.fromHex(new TextDecoder("utf-8", { ignoreBOM: true }).decode(digits));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
