import { isRegular, isSpace, PdfLexer } from "./lexer.ts";
import { unlessMalformed } from "./malformed.ts";
import { fromLatin1, PdfDict, PdfName, PdfRef, PdfStream, type PdfValue } from "./value.ts";
import type { PdfWindow } from "./window.ts";

/** Small at first behind each stream's data, where often little stands before the next stream. */
const FIRST_CHUNK = 1 << 13;
const CHUNK = 1 << 16;
/** Longest `num gen obj` that is recognised, white space and comments included. */
const MAX_HEADER = 1024;
/** As nearly all are. */
const SHORT_HEADER = 40;

/** An object as a reader finds it that looks for `num gen obj` instead of trusting a cross-reference. */
export interface Definition {
  num: number;
  gen: number;
  offset: number;
  /** The Type of a stream. */
  type?: string;
  /** It begins right behind `%%EOF`, as some writers have it, where others see a comment. */
  isGlued?: true;
  /**
   * A stream without filter that ends where its Length says, in whose dictionary nothing can be read in two ways, and
   * which neither holds objects nor is a form or a pattern.
   */
  isPlainStream?: true;
}

/** A dictionary that names a catalog: of a trailer, or of a cross-reference stream. */
export interface Trailer {
  offset: number;
  bytes: Uint8Array;
}

export interface Scan {
  /** In the order of the file. */
  definitions: Definition[];
  trailers: Trailer[];
}

/** An object that readers may see differently. */
export interface Ambiguity {
  object: number;
  /** The page that it belongs to, from 1; absent where it belongs to none. */
  page?: number;
}

/**
 * Finds the objects of a file by their headers. Data of streams are passed over where their Length is right, and so is
 * what an object without an end holds.
 *
 * @param lengthOf a stream's Length where it is a reference
 * @param intoStreams also finds what looks like objects in the data of streams, as poppler and pdf.js do
 */
export function scan(
  window: PdfWindow,
  lengthOf: (ref: PdfRef) => number | undefined = () => undefined,
  intoStreams = false,
): Scan {
  const definitions: Definition[] = [];
  const trailers: Trailer[] = [];
  const scanner = new Scanner(window);
  /** The object that has not ended yet. */
  let open: Definition | undefined;
  for (let at = 0;;) {
    const found = scanner.next(at);
    if (!found) return { definitions, trailers };
    at = found.end;
    if (found.kind === "endobj") open = undefined;
    else if (found.kind === "trailer") {
      const bytes = unlessMalformed(() =>
        window.parse(found.end, (lexer) => rootedBytes(lexer.data, lexer.value()))
      );
      if (bytes) trailers.push({ offset: found.offset, bytes });
    } else {
      // Only now it matters where that object ends: most have an end, and no stream.
      const body = open && readBody(window, open);
      if (open && body && found.offset < body.end) {
        at = Math.max(at, body.end);
        if (body.stream) {
          const { dict, dataStart } = body.stream;
          open.type = typeOf(dict);
          const start = open.offset + dataStart;
          const end = dataEnd(window, start, dict, lengthOf);
          at = intoStreams ? start : end ?? start;
          // What an object stream holds is to be read too.
          const isBare = open.type !== "ObjStm" &&
            ["Filter", "F", "Subtype", "PatternType"].every((key) => dict.get(key) === undefined);
          if (body.isPlain && end !== undefined && isBare) open.isPlainStream = true;
          if (open.type === "XRef" && body.root) {
            trailers.push({ offset: open.offset, bytes: body.root });
          }
        }
        open = undefined;
      } else if (found.kind === "object") {
        const { num, gen, offset, isGlued } = found;
        open = isGlued ? { num, gen, offset, isGlued } : { num, gen, offset };
        definitions.push(open);
      }
    }
  }
}

/** The value of an object and where it ends; `undefined` where it cannot be read. */
function readBody(window: PdfWindow, { offset }: Definition) {
  return unlessMalformed(() =>
    window.parse(offset, (lexer) => {
      lexer.objectHeader();
      const value = lexer.objectBody();
      const stream = value instanceof PdfStream ? value : undefined;
      const root = stream && rootedBytes(lexer.data, stream.dict);
      return { stream, root, end: offset + lexer.pos, isPlain: lexer.isPlain };
    })
  );
}

/** The bytes of a dictionary that names a catalog, as trailers do. */
function rootedBytes(data: Uint8Array, value: PdfValue): Uint8Array | undefined {
  if (!(value instanceof PdfDict) || !(value.get("Root") instanceof PdfRef)) return undefined;
  return data.slice(value.start, value.end);
}

function typeOf(dict: PdfDict): string | undefined {
  const type = dict.get("Type");
  return type instanceof PdfName ? type.value : undefined;
}

/** Position after the data of a stream if its Length is right. */
function dataEnd(
  window: PdfWindow,
  start: number,
  dict: PdfDict,
  lengthOf: (ref: PdfRef) => number | undefined,
): number | undefined {
  const entry = dict.get("Length");
  const length = entry instanceof PdfRef ? unlessMalformed(() => lengthOf(entry)) : entry;
  const isLength = typeof length === "number" && Number.isInteger(length) && length > 0;
  if (!isLength || start + length > window.source.size) return undefined;
  const ends = unlessMalformed(() => window.endsStream(start + length));
  return ends ? start + length : undefined;
}

type Found =
  & { offset: number; end: number }
  & (
    | { kind: "object"; num: number; gen: number; isGlued?: true }
    | { kind: "trailer" | "endobj" | "stream" }
  );

/** Looks for keywords a chunk at a time. */
class Scanner {
  #chunk: Uint8Array = new Uint8Array();
  #base = 0;

  constructor(readonly window: PdfWindow) {}

  /** The next keyword that begins at or after `at`. */
  next(at: number): Found | undefined {
    const { size } = this.window.source;
    const floor = at;
    while (at < size) {
      // A header that reaches over the chunk's end is left to the next chunk, which begins with it.
      if (at < this.#base || at + MAX_HEADER >= this.#base + this.#chunk.length) this.#load(at);
      const chunk = this.#chunk;
      const complete = this.#base + chunk.length >= size;
      const stop = complete ? chunk.length : chunk.length - MAX_HEADER;
      for (let i = at - this.#base; i < stop; i++) {
        const c = chunk[i];
        if (c !== OBJ && c !== TRAILER && c !== STREAM) continue;
        const found = this.#at(i, Math.max(0, floor - this.#base));
        if (found) return found;
      }
      if (complete) return undefined;
      at = this.#base + stop;
    }
    return undefined;
  }

  #at(i: number, floor: number): Found | undefined {
    const chunk = this.#chunk;
    const offset = this.#base + i;
    if (isWord(chunk, i, "obj")) {
      const end = offset + 3;
      if (isWord(chunk, i - 3, "end")) return { kind: "endobj", offset, end };
      const start = headerStart(chunk, i, floor);
      const ref = start < 0 ? undefined : new PdfLexer(chunk, start).objectHeader();
      if (!ref) return undefined;
      const { num, gen } = ref;
      const found = { kind: "object" as const, offset: this.#base + start, end, num, gen };
      return isWord(chunk, start - 5, "%%EOF") ? { ...found, isGlued: true } : found;
    }
    if (isWord(chunk, i, "trailer")) return { kind: "trailer", offset, end: offset + 7 };
    if (!isWord(chunk, i, "stream") || isWord(chunk, i - 3, "end")) return undefined;
    return { kind: "stream", offset, end: offset + 6 };
  }

  #load(at: number): void {
    const goesOn = at >= this.#base && at < this.#base + this.#chunk.length;
    this.#base = Math.max(0, at - MAX_HEADER);
    this.#chunk = this.window.source.read(this.#base, goesOn ? CHUNK : FIRST_CHUNK);
    this.window.spend(this.#chunk.length);
  }
}

/** First letters of the keywords. */
const OBJ = 0x6f, TRAILER = 0x74, STREAM = 0x73;

function isWord(chunk: Uint8Array, at: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) if (chunk[at + i] !== word.charCodeAt(i)) return false;
  return true;
}

/** Start of the `num gen` before an `obj`; -1 if there is none after `floor`. */
function headerStart(chunk: Uint8Array, obj: number, floor: number): number {
  let i = obj;
  const back = (test: (c: number) => boolean) => {
    const from = i;
    const limit = Math.max(floor, obj - SHORT_HEADER);
    while (i > limit && test(chunk[i - 1])) i--;
    return from - i;
  };
  const digit = (c: number) => c >= 48 && c <= 57;
  back(isSpace);
  if (back(digit) > 0 && back(isSpace) > 0 && back(digit) > 0) {
    if (i === 0 || !isRegular(chunk[i - 1]) || isWord(chunk, i - 5, "%%EOF")) return i;
  }
  // "endobj", as nearly always; else there may be a comment, or much white space.
  if (obj === 0 || isRegular(chunk[obj - 1])) return -1;
  const from = Math.max(floor, obj - MAX_HEADER);
  const before = fromLatin1(chunk.subarray(from, obj));
  const match =
    /(?<![^\s\0()<>[\]{}/%])\d+(?:[\s\0]|%[^\r\n]*[\r\n])+\d+(?:[\s\0]|%[^\r\n]*[\r\n])*$/
      .exec(before);
  return match ? from + match.index : -1;
}
