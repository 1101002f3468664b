/**
 * Checks that updates appended to a document follow ISO 32000-2 §7.5.4 to §7.5.8 exactly, so that no reader has
 * anything to repair or to choose.
 */
import type { PdfDocument } from "./document.ts";
import { PdfLexer } from "./lexer.ts";
import { unlessMalformed } from "./malformed.ts";
import type { Source } from "../source.ts";
import { PdfStream } from "./value.ts";
import { PdfWindow } from "./window.ts";
import { findStartXref, readSection, type Section } from "./xref.ts";

/** More is not looked at in one piece. */
const MAX_APPENDED = 64 << 20;
const END_OF_LINE = "(?:\\r\\n|\\n|\\r)";
/** §7.5.4: twenty bytes, the end of line among them. */
const ENTRY = "\\d{10} \\d{5} [nf](?: \\r| \\n|\\r\\n)";
const SUBSECTION = new RegExp(`(\\d+) (\\d+) ?${END_OF_LINE}((?:${ENTRY})*)`, "y");
const TABLE = new RegExp(`xref${END_OF_LINE}`, "y");
/** White space, and comments in which no reader can see an object. */
const GAP = "(?:[\\s\\0]|%(?!.*(?:obj|stream|xref|trailer|EOF))[^\\r\\n]*(?=[\\r\\n]))*";
const ONLY_GAP = new RegExp(`^${GAP}$`);
const TAIL = new RegExp(
  `${GAP}startxref${END_OF_LINE}(\\d+)${END_OF_LINE}%%EOF(?:${END_OF_LINE})*`,
  "y",
);
/** A rule that is broken; never leaves this file. */
class Loose extends Error {}

function demand(holds: unknown, otherwise: string): asserts holds {
  if (!holds) throw new Loose(otherwise);
}

/** One appended revision. */
interface Revision {
  section: Section;
  hidden?: Section;
  /** Start and end of the section with all its parts. */
  end: number;
}

/**
 * Finds deviations from the standard in the revisions after a given one.
 *
 * @param before the document as it was at that revision
 * @param after the whole document
 * @returns a clause for people, `undefined` where all is exact
 * @throws FormatError `limit_exceeded`
 */
export function looseness(before: PdfDocument, after: PdfDocument): string | undefined {
  try {
    demand(!before.recovered && !after.recovered, "a cross-reference is broken");
    const start = before.source.size;
    demand(after.source.size - start <= MAX_APPENDED, "too much was appended");
    const done = unlessMalformed(() => {
      new Appended(before, after).check();
      return true;
    });
    demand(done, "something in it cannot be read");
    return undefined;
  } catch (error) {
    if (error instanceof Loose) return error.message;
    throw error;
  }
}

class Appended {
  readonly #source: Source;
  readonly #start: number;
  readonly #text: string;
  readonly #window: PdfWindow;

  constructor(readonly before: PdfDocument, readonly after: PdfDocument) {
    this.#source = after.source;
    this.#start = before.source.size;
    const bytes = this.#source.read(this.#start, this.#source.size - this.#start);
    this.#text = new TextDecoder("latin1").decode(bytes);
    this.#window = new PdfWindow(this.#source);
  }

  check(): void {
    let from = this.#start;
    let size = this.before.xref.trailer.get("Size");
    for (const revision of this.#revisions()) {
      const { section, hidden } = revision;
      const rows = [...section.rows, ...hidden?.rows ?? []];
      const numbers = new Set(rows.map(([num]) => num));
      demand(numbers.size === rows.length, "an object has two entries");
      const next = section.trailer.get("Size");
      demand(typeof next === "number" && typeof size === "number", "a trailer has no Size");
      demand(next >= size && next > Math.max(...numbers, 0), "Size is too small");
      size = next;
      this.#layout(revision, rows, from);
      this.#packing(rows);
      from = revision.end;
    }
  }

  /** The appended revisions, the oldest first: their sections lead by Prev to that of the signed one. */
  #revisions(): Revision[] {
    const out: Revision[] = [];
    // The cross-reference that the end of the signed revision names; white space may come before the section.
    const signed = findStartXref(this.before.source);
    let at = findStartXref(this.#source), end = this.#source.size;
    while (at !== signed) {
      demand(at >= this.#start && at < end, "the cross-references do not follow one another");
      const section = readSection(this.#window, at);
      demand(section.start === at, "startxref does not lead to a cross-reference");
      const hybrid = section.style === "table" ? section.trailer.get("XRefStm") : undefined;
      const hidden = typeof hybrid === "number" ? readSection(this.#window, hybrid) : undefined;
      TAIL.lastIndex = this.#sectionEnd(section) - this.#start;
      const tail = TAIL.exec(this.#text);
      demand(tail && Number(tail[1]) === at, "a revision does not end in startxref and %%EOF");
      const stop = this.#start + TAIL.lastIndex;
      demand(out.length > 0 || stop === end, "something stands behind the end");
      out.unshift({ section, hidden, end: stop });
      const prev = section.trailer.get("Prev");
      demand(typeof prev === "number", "a trailer has no Prev");
      end = at;
      at = prev;
    }
    return out;
  }

  #sectionEnd({ start, style }: Section): number {
    if (style === "stream") return this.#objectEnd(start);
    const text = this.#text;
    let at = start - this.#start;
    const take = (pattern: RegExp) => {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (match) at = pattern.lastIndex;
      return match;
    };
    demand(take(TABLE), "a cross-reference table does not begin with its word alone");
    for (let rows; (rows = take(SUBSECTION));) {
      demand(rows[3].length === 20 * Number(rows[2]), "an entry does not have 20 bytes");
    }
    demand(text.startsWith("trailer", at), "an entry does not have 20 bytes");
    return this.#start + at + this.#window.parse(this.#start + at, (lexer) => {
      lexer.keyword("trailer");
      lexer.value();
      return lexer.pos;
    });
  }

  /** Every byte of a revision belongs to an object that an entry names, to its section, or to nothing. */
  #layout({ section, hidden, end }: Revision, rows: Section["rows"], from: number): void {
    const places = rows.flatMap(([num, entry]) =>
      entry && "offset" in entry ? [{ num, ...entry }] : []
    );
    for (const { num, gen, offset } of places) {
      const header = this.#text.slice(offset - this.#start).slice(0, 32);
      demand(offset >= from && offset < end, "an entry leads out of its revision");
      demand(
        new RegExp(`^${num} ${gen} obj(?![A-Za-z0-9])`).test(header),
        "an entry does not lead to its object",
      );
    }
    const extents = places.map(({ offset }) => [offset, this.#objectEnd(offset)]);
    const known = new Set(places.map(({ offset }) => offset));
    if (hidden && !known.has(hidden.start)) {
      extents.push([hidden.start, this.#objectEnd(hidden.start)]);
    }
    if (!known.has(section.start)) extents.push([section.start, this.#sectionEnd(section)]);
    extents.sort((a, b) => a[0] - b[0]);
    let at = from;
    for (const [start, stop] of extents) {
      demand(start >= at, "two objects overlap");
      const gap = this.#text.slice(at - this.#start, start - this.#start);
      demand(ONLY_GAP.test(gap), "something stands there that no cross-reference names");
      at = stop;
    }
  }

  #objectEnd(offset: number): number {
    const { value, end } = this.#window.parse(offset, (lexer) => {
      demand(lexer.objectHeader(), "an entry does not lead to its object");
      const value = lexer.objectBody();
      const isWhole = value instanceof PdfStream || lexer.keyword("endobj");
      demand(isWhole, "an object has no end");
      return { value, end: offset + lexer.pos };
    });
    if (!(value instanceof PdfStream)) return end;
    const length = this.after.resolve(value.dict.get("Length"));
    const isLength = typeof length === "number" && Number.isInteger(length) && length >= 0;
    demand(isLength, "a stream has no Length");
    const dataEnd = offset + value.dataStart + length;
    const tail = new PdfLexer(this.#source.read(dataEnd, 64));
    demand(tail.keyword("endstream"), "a stream's Length is wrong");
    demand(tail.keyword("endobj"), "an object has no end");
    return dataEnd + tail.pos;
  }

  /** Object streams name each object once, and as the cross-reference does (§7.5.7). */
  #packing(rows: Section["rows"]): void {
    const plain = new Set(rows.flatMap(([num, entry]) => entry && "offset" in entry ? [num] : []));
    const packed = new Map<number, Map<number, number>>();
    for (const [num, entry] of rows) {
      if (!entry || !("container" in entry)) continue;
      demand(plain.has(entry.container), "an object stream is not of its own revision");
      let indices = packed.get(entry.container);
      if (!indices) packed.set(entry.container, indices = new Map());
      indices.set(entry.index, num);
    }
    for (const [container, indices] of packed) {
      const named = this.after.packed(container);
      demand(
        named.length === indices.size && named.every(([num], i) => indices.get(i) === num),
        "an object stream and the cross-reference disagree",
      );
    }
  }
}
