import { FormatError } from "../error.ts";
import { decodeStream } from "./filter.ts";
import { MAX_OBJECT_NUMBER, PdfLexer, WINDOW_EXHAUSTED } from "./lexer.ts";
import type { Source } from "../source.ts";
import {
  fromLatin1,
  PdfArray,
  PdfDict,
  PdfName,
  PdfRef,
  PdfStream,
  type PdfValue,
} from "./value.ts";
import type { PdfWindow } from "./window.ts";

/** An object that stands in the file itself. */
export interface PlainEntry {
  readonly offset: number;
  readonly gen: number;
}

/** An object out of an object stream (ISO 32000-2 §7.5.7). */
export interface PackedEntry {
  readonly container: number;
  readonly index: number;
}

/** Position of an object in use. */
export type XrefEntry = PlainEntry | PackedEntry;

/** Whether two cross-references place an object at the same position. */
export function sameEntry(
  a: XrefEntry | null | undefined,
  b: XrefEntry | null | undefined,
): boolean {
  if (!a || !b) return !a && !b;
  if ("offset" in a) return "offset" in b && a.offset === b.offset && a.gen === b.gen;
  return "container" in b && a.container === b.container && a.index === b.index;
}

/** By object number; `null` stands for one that is free. */
export type XrefMap = Map<number, XrefEntry | null>;

/** Choices that readers make differently. Files that follow the standard leave nothing to choose. */
export interface Manner {
  /** Which entry counts if a section has two for one number. */
  duplicates: "last" | "first";
  /** Whether the stream of a hybrid file fills the free entries of its table (§7.5.8.4), replaces it, or is ignored. */
  hybrids: "fill" | "replace" | "skip";
  /** Whether entries numbered Size or above count. */
  beyondSize: "keep" | "drop";
}

/** Ours. */
const USUAL: Manner = { duplicates: "last", hybrids: "fill", beyondSize: "keep" };

/**
 * Oddities that make readers find different entries, or lose older ones, as with a Prev that is not a number, or scan the
 * file, as with a cross-reference stream that does not end where its Length says, or give it up, as with a Size beyond
 * all object numbers.
 */
export type Oddity = keyof Manner | "prev" | "length" | "size";

export const NO_ODDITIES: ReadonlySet<Oddity> = new Set();

/** The cross-reference of a document, all its sections merged, the newest first. */
export interface Xref {
  entries: XrefMap;
  /** The dictionary of the newest trailer or cross-reference stream. */
  trailer: PdfDict;
  /** The bytes that the spans of `trailer` count in. */
  trailerBytes: Uint8Array;
  /** Style of the newest section. */
  style: "table" | "stream";
  /** Offset of the newest section; -1 when the file had to be scanned. */
  start: number;
  /** Where another manner may lead to other entries. */
  oddities: ReadonlySet<Oddity>;
}

/** One section as it stands in the file. */
export interface Section extends Pick<Xref, "trailer" | "trailerBytes" | "style" | "start"> {
  rows: [num: number, entry: XrefEntry | null][];
  /** Whether its stream does not end where its Length says. */
  endsElsewhere?: boolean;
}

/** Cost of an entry besides reading it, in bytes: mostly memory. */
const ENTRY_COST = 16;
const MAX_SECTIONS = 4096;
/** How far from the end `startxref` is looked for; other readers look at 1 to 2 KB. */
const TAIL = 2048;

function malformed(what: string): FormatError {
  return new FormatError("pdf_malformed", `The PDF is damaged: ${what}.`);
}

/** The number after the last `startxref`. */
export function findStartXref(source: Source): number {
  const from = Math.max(0, source.size - TAIL);
  const tail = fromLatin1(source.read(from, TAIL));
  const at = tail.lastIndexOf("startxref");
  const match = at < 0 ? null : /^startxref\s+(\d{1,15})\s/.exec(tail.slice(at));
  if (!match) throw malformed("it does not say where its cross-reference is");
  const offset = Number(match[1]);
  if (offset >= source.size) throw malformed("its cross-reference is beyond its end");
  return offset;
}

/**
 * Reads the chain of cross-reference sections (ISO 32000-2 §7.5.4, §7.5.8): tables, streams,
 * hybrids and their Prev.
 *
 * @param start offset of the newest section
 * @param before what the sections from a certain one on come to, where that is known
 * @throws FormatError `pdf_malformed` when any section of it cannot be read
 */
export function readXref(
  window: PdfWindow,
  manner: Partial<Manner> = {},
  start = findStartXref(window.source),
  before?: Xref,
): Xref {
  const { duplicates, hybrids, beyondSize } = { ...USUAL, ...manner };
  const { chain, isKnown } = readChain(window, start, before?.start);
  const oddities = new Set<Oddity>(isKnown ? before!.oddities : []);
  if (chain.some(hasOddPrev)) oddities.add("prev");
  if (chain.some(({ trailer }) => Number(trailer.get("Size")) > MAX_OBJECT_NUMBER + 1)) {
    oddities.add("size");
  }
  let entries: XrefMap | undefined = isKnown ? new Map(before!.entries) : undefined;
  // The oldest first, which is the largest in most files.
  for (const section of chain.toReversed()) {
    const own = mapOf(section, duplicates, oddities);
    const hybrid = section.style === "table" ? section.trailer.get("XRefStm") : undefined;
    if (typeof hybrid === "number") {
      oddities.add("hybrids");
      const hidden = readSection(window, checkOffset(window, hybrid));
      for (const [num, entry] of mapOf(hidden, duplicates, oddities)) {
        // Objects hidden from old readers are free in the table.
        if (hybrids === "replace" || (hybrids === "fill" && own.get(num) == null)) {
          own.set(num, entry);
        }
      }
    }
    if (entries) { for (const [num, entry] of own) entries.set(num, entry); }
    else entries = own;
  }
  const [{ trailer, trailerBytes, style }] = chain;
  const size = trailer.get("Size");
  for (const num of typeof size === "number" ? entries!.keys() : []) {
    if (num < (size as number)) continue;
    oddities.add("beyondSize");
    if (beyondSize === "drop") entries!.delete(num);
  }
  return { entries: entries!, trailer, trailerBytes, style, start: chain[0].start, oddities };
}

/**
 * The sections from the newest to the oldest, or to the one at `end`.
 *
 * @returns `isKnown`: it came to that one, which is not read
 */
function readChain(window: PdfWindow, start: number, end?: number) {
  const chain: Section[] = [];
  const seen = new Set<number>();
  for (let offset = start;;) {
    if (seen.has(offset) || seen.size > MAX_SECTIONS) {
      throw malformed("its cross-reference sections form a loop");
    }
    seen.add(offset);
    const section = readSection(window, offset);
    chain.push(section);
    const prev = section.trailer.get("Prev");
    // Some writers say "Prev 0" where there is none.
    if (prev === undefined || prev === 0) return { chain, isKnown: false };
    offset = checkOffset(window, prev);
    if (offset === end) return { chain, isKnown: true };
  }
}

function hasOddPrev({ trailer, trailerBytes }: Section): boolean {
  const written = trailer.spans.filter(({ key }) => key === "Prev").map((
    { valueStart, valueEnd },
  ) => fromLatin1(trailerBytes.subarray(valueStart, valueEnd)));
  return written.some((text) => !/^\d+$/.test(text));
}

/** Where each section of a document's cross-reference begins, the newest first; a hybrid's stream is part of its table. */
export function sectionStarts(window: PdfWindow): number[] {
  const { chain } = readChain(window, findStartXref(window.source));
  return chain.map(({ start }) => start);
}

function mapOf(
  { rows, endsElsewhere }: Section,
  duplicates: Manner["duplicates"],
  oddities: Set<Oddity>,
): XrefMap {
  const entries: XrefMap = new Map();
  if (endsElsewhere) oddities.add("length");
  for (const [num, entry] of rows) {
    const isTwice = entries.has(num);
    if (isTwice) oddities.add("duplicates");
    if (!isTwice || duplicates === "last") entries.set(num, entry);
  }
  return entries;
}

function checkOffset(window: PdfWindow, value: PdfValue): number {
  if (
    typeof value !== "number" || !Number.isInteger(value) || value < 0 ||
    value >= window.source.size
  ) throw malformed("a cross-reference section is stated to be beyond its end");
  return value;
}

/** Reads one section. */
export function readSection(window: PdfWindow, offset: number): Section {
  return window.parse(offset, (lexer) => {
    lexer.skipSpace();
    const start = offset + lexer.pos;
    if (!lexer.keyword("xref")) return readXrefStream(window, start);
    const rows = readTable(window, lexer);
    const trailer = lexer.value();
    if (!(trailer instanceof PdfDict)) throw malformed("a trailer is not a dictionary");
    return { rows, ...ownTrailer(lexer, trailer), style: "table", start };
  }, 4096);
}

/** The trailer with bytes of its own, in which its spans count. */
function ownTrailer(lexer: PdfLexer, dict: PdfDict): Pick<Xref, "trailer" | "trailerBytes"> {
  const trailerBytes = lexer.data.slice(dict.start, dict.end);
  return { trailer: new PdfLexer(trailerBytes).dict(), trailerBytes };
}

/** Reads the subsections of a table up to and including the word `trailer`. */
function readTable(window: PdfWindow, lexer: PdfLexer): Section["rows"] {
  const rows: Section["rows"] = [];
  while (!lexer.keyword("trailer")) {
    const first = lexer.integer();
    const count = first === undefined ? undefined : lexer.integer();
    if (count === undefined || first! + count - 1 > MAX_OBJECT_NUMBER) {
      throw malformed("a cross-reference table has an impossible subsection");
    }
    // Entries have 20 bytes: rather ask for them at once than read most of them several times.
    if (!lexer.last && lexer.pos + 20 * count > lexer.data.length) throw WINDOW_EXHAUSTED;
    window.spend(ENTRY_COST * count);
    for (let num = first!; num < first! + count; num++) {
      const offset = lexer.integer();
      const gen = lexer.integer();
      if (offset === undefined || gen === undefined) {
        throw malformed("a cross-reference table has an unreadable entry");
      }
      if (lexer.keyword("n")) {
        // Offset 0 is the header's; writers use it for objects that do not exist.
        rows.push([num, offset === 0 ? null : { offset, gen }]);
      } else if (lexer.keyword("f")) rows.push([num, null]);
      else throw malformed("a cross-reference table has an unreadable entry");
    }
  }
  return rows;
}

/** Reads a cross-reference stream at its object header. */
function readXrefStream(window: PdfWindow, start: number): Section {
  return window.parse(start, (lexer) => {
    const header = lexer.objectHeader();
    const stream = header && lexer.objectBody();
    if (!(stream instanceof PdfStream)) {
      throw malformed("it has no cross-reference at the stated position");
    }
    const { dict } = stream;
    const type = dict.get("Type");
    const length = dict.get("Length");
    if (!(type instanceof PdfName) || type.value !== "XRef" || typeof length !== "number") {
      throw malformed("its cross-reference stream has no type or length");
    }
    const from = start + stream.dataStart;
    if (!Number.isInteger(length) || length < 0 || from + length > window.source.size) {
      throw malformed("its cross-reference stream is truncated");
    }
    // Everything in this dictionary is direct (ISO 32000-2 §7.5.8.2).
    const direct = (value: PdfValue | undefined) =>
      value === undefined || value instanceof PdfRef ? null : value;
    const data = decodeStream(dict, window.source.read(from, length), direct);
    window.spendInflated(data.length);
    const rows = readStreamRows(window, dict, data);
    const endsElsewhere = !window.endsStream(from + length);
    return { rows, ...ownTrailer(lexer, dict), style: "stream", start, endsElsewhere };
  });
}

function readStreamRows(window: PdfWindow, dict: PdfDict, data: Uint8Array): Section["rows"] {
  const [w1, w2, w3, ...more] = integers(dict.get("W"));
  if (w3 === undefined || more.length > 0 || [w1, w2, w3].some((w) => w > 8)) {
    throw malformed("its cross-reference stream has impossible field widths");
  }
  const row = w1 + w2 + w3;
  if (row === 0) throw malformed("its cross-reference stream has no fields");
  const size = dict.get("Size");
  const index = dict.get("Index") === undefined
    ? [0, typeof size === "number" ? size : 0]
    : integers(dict.get("Index"));
  const rows: Section["rows"] = [];
  let at = 0;
  const field = (width: number, fallback: number) => {
    if (width === 0) return fallback;
    let value = 0;
    for (let i = 0; i < width; i++) value = value * 256 + data[at++];
    return value;
  };
  for (let i = 0; i + 1 < index.length; i += 2) {
    const end = index[i] + index[i + 1];
    if (end - 1 > MAX_OBJECT_NUMBER) throw malformed("an object number is too large");
    window.spend(ENTRY_COST * index[i + 1]);
    for (let num = index[i]; num < end; num++) {
      if (at + row > data.length) throw malformed("its cross-reference stream is too short");
      const type = field(w1, 1), second = field(w2, 0), third = field(w3, 0);
      if (type === 1) rows.push([num, second === 0 ? null : { offset: second, gen: third }]);
      else if (type === 2) rows.push([num, { container: second, index: third }]);
      // Types to come are references to the null object (ISO 32000-2 §7.5.8.3).
      else rows.push([num, null]);
    }
  }
  return rows;
}

function integers(value: PdfValue | undefined): number[] {
  if (!(value instanceof PdfArray)) return [];
  return value.items.map((item) => {
    if (typeof item !== "number" || !Number.isInteger(item) || item < 0) {
      throw malformed("its cross-reference stream has an impossible number");
    }
    return item;
  });
}
