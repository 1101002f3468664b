import { FormatError } from "../error.ts";
import { isRegular, isSpace, PdfLexer, WINDOW_EXHAUSTED } from "./lexer.ts";
import { latin1, PdfDict, PdfName, PdfRef, PdfStream, type PdfValue } from "./value.ts";
import type { PdfWindow } from "./window.ts";
import type { PlainEntry, Xref, XrefMap } from "./xref.ts";

const CHUNK = 1 << 20;
const HEADER_CHUNK = 1 << 14;
/** Longest `num gen obj` that is recognised, white space included. */
const MAX_HEADER = 40;

/** What a scan of a file with a broken cross-reference finds. */
export interface Scan extends Xref {
  /** Object streams in the order of the file; what they hold can be decrypted only later. */
  containers: { num: number; offset: number }[];
}

/**
 * Finds the objects of a file by their headers; of several with the same number the last one
 * counts. Data of streams with a right Length are passed over.
 *
 * @throws FormatError `pdf_malformed` when there is neither a trailer nor a catalog
 */
export function scanObjects(window: PdfWindow): Scan {
  const entries: XrefMap = new Map();
  const containers: Scan["containers"] = [];
  const scanner = new Scanner(window);
  let trailer: Uint8Array | undefined;
  let catalog: PdfRef | undefined;
  for (let at = 0;;) {
    const found = scanner.next(at);
    if (!found) break;
    at = found.end;
    if (found.trailer) {
      // The newest is the last; a linearized file says the same in both of its trailers.
      const bytes = unlessMalformed(() =>
        window.parse(found.end, (lexer) => rootedBytes(lexer, lexer.value()))
      );
      trailer = bytes ?? trailer;
      continue;
    }
    const object = unlessMalformed(() =>
      window.parse(found.offset, (lexer) => {
        const ref = lexer.objectHeader();
        if (!ref) return undefined;
        const value = lexer.objectBody();
        const dict = value instanceof PdfStream ? value.dict : value;
        return { ref, value, end: lexer.pos, root: rootedBytes(lexer, dict) };
      })
    );
    if (!object) continue;
    const { ref, value } = object;
    entries.set(ref.num, { offset: found.offset, gen: ref.gen });
    at = found.offset + object.end;
    if (value instanceof PdfStream) {
      at = afterData(window, found.offset + value.dataStart, value.dict);
      const type = typeOf(value.dict);
      if (type === "ObjStm") containers.push({ num: ref.num, offset: found.offset });
      if (type === "XRef") trailer = object.root ?? trailer;
    } else if (value instanceof PdfDict && typeOf(value) === "Catalog") catalog = ref;
  }
  if (!trailer && catalog) trailer = latin1(`<< /Root ${catalog.num} ${catalog.gen} R >>`);
  if (!trailer) {
    throw new FormatError("pdf_malformed", "The PDF is damaged: it has no trailer and no catalog.");
  }
  return {
    entries,
    containers,
    trailer: new PdfLexer(trailer).dict(),
    trailerBytes: trailer,
    style: containers.length > 0 ? "stream" : "table",
    start: -1,
  };
}

/** Unreadable pieces are what a repair passes over; a limit still ends it. */
export function unlessMalformed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof FormatError && error.code === "pdf_malformed") return undefined;
    throw error;
  }
}

/** The numbers of those objects that are not where a cross-reference says. */
export function misplaced(window: PdfWindow, entries: XrefMap): Set<number> {
  const { source } = window;
  const out = new Set<number>();
  const plain: [num: number, entry: PlainEntry][] = [];
  for (const [num, entry] of entries) {
    if (entry && "offset" in entry) plain.push([num, entry]);
  }
  plain.sort((a, b) => a[1].offset - b[1].offset);
  let base = 0;
  let lexer = new PdfLexer(new Uint8Array(), 0, false);
  for (const [num, { offset, gen }] of plain) {
    if (offset + 2 * MAX_HEADER > base + lexer.data.length) {
      base = Math.min(offset, source.size);
      const last = base + HEADER_CHUNK >= source.size;
      lexer = new PdfLexer(source.read(base, HEADER_CHUNK), 0, last);
    }
    lexer.pos = Math.min(offset - base, lexer.data.length);
    let header: PdfRef | undefined;
    try {
      header = lexer.objectHeader();
    } catch (error) {
      if (error !== WINDOW_EXHAUSTED) throw error;
    }
    if (header?.num !== num || header.gen !== gen) out.add(num);
  }
  return out;
}

/** The bytes of a dictionary that names a catalog, as trailers do. */
function rootedBytes(lexer: PdfLexer, value: PdfValue): Uint8Array | undefined {
  if (!(value instanceof PdfDict) || !(value.get("Root") instanceof PdfRef)) return undefined;
  return lexer.data.slice(value.start, value.end);
}

function typeOf(dict: PdfDict): string | undefined {
  const type = dict.get("Type");
  return type instanceof PdfName ? type.value : undefined;
}

/** Where to go on after the data of a stream: behind them when its Length is right. */
function afterData(window: PdfWindow, start: number, dict: PdfDict): number {
  const length = dict.get("Length");
  if (typeof length !== "number" || !(length > 0) || start + length > window.source.size) {
    return start;
  }
  const ends = unlessMalformed(() =>
    window.parse(start + length, (lexer) => lexer.keyword("endstream"), 32)
  );
  return ends ? start + length : start;
}

class Scanner {
  #chunk = new Uint8Array();
  #base = 0;

  constructor(readonly window: PdfWindow) {}

  /** The next `trailer` or `num gen obj` whose keyword begins at or after `at`. */
  next(at: number): { offset: number; end: number; trailer: boolean } | undefined {
    const { size } = this.window.source;
    const floor = at;
    while (at < size) {
      // A header that reaches over the chunk's end is left to the next chunk, which begins with it.
      if (at < this.#base || at + MAX_HEADER >= this.#base + this.#chunk.length) this.#load(at);
      const chunk = this.#chunk;
      const complete = this.#base + chunk.length >= size;
      const stop = complete ? chunk.length : chunk.length - MAX_HEADER;
      let i = at - this.#base;
      for (; i < stop; i++) {
        const c = chunk[i];
        if (c === 0x6f && chunk[i + 1] === 0x62 && chunk[i + 2] === 0x6a) {
          const start = headerStart(chunk, i, Math.max(0, floor - this.#base));
          if (start >= 0) {
            return { offset: this.#base + start, end: this.#base + i + 3, trailer: false };
          }
        } else if (c === 0x74 && chunk[i + 1] === 0x72 && isTrailer(chunk, i)) {
          return { offset: this.#base + i, end: this.#base + i + 7, trailer: true };
        }
      }
      if (complete) return undefined;
      at = this.#base + i;
    }
    return undefined;
  }

  #load(at: number): void {
    this.#base = Math.max(0, at - MAX_HEADER);
    this.#chunk = this.window.source.read(this.#base, CHUNK).slice();
    this.window.spend(this.#chunk.length);
  }
}

function isTrailer(chunk: Uint8Array, at: number): boolean {
  const word = "trailer";
  for (let i = 0; i < word.length; i++) if (chunk[at + i] !== word.charCodeAt(i)) return false;
  return true;
}

/** Where the `num gen` before an `obj` begins; -1 when there is none after `floor`. */
function headerStart(chunk: Uint8Array, obj: number, floor: number): number {
  let i = obj;
  const back = (test: (c: number) => boolean) => {
    const from = i;
    const limit = Math.max(floor, obj - MAX_HEADER);
    while (i > limit && test(chunk[i - 1])) i--;
    return from - i;
  };
  const digit = (c: number) => c >= 48 && c <= 57;
  back(isSpace);
  if (back(digit) === 0 || back(isSpace) === 0 || back(digit) === 0) return -1;
  return i > 0 && isRegular(chunk[i - 1]) ? -1 : i;
}
