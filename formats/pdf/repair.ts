import { FormatError } from "../error.ts";
import { PdfLexer, WINDOW_EXHAUSTED } from "./lexer.ts";
import { unlessMalformed } from "./malformed.ts";
import type { Definition, Scan } from "./scan.ts";
import { latin1, PdfDict, PdfName, type PdfRef, type PdfValue } from "./value.ts";
import type { PdfWindow } from "./window.ts";
import { NO_ODDITIES, type PlainEntry, type Xref, type XrefMap } from "./xref.ts";

const HEADER_CHUNK = 1 << 14;
/** Longest `num gen obj` that is recognised, white space included. */
const MAX_HEADER = 40;

/** Result of scanning a file with a broken cross-reference. */
export interface Recovered extends Xref {
  /** Object streams in the order of the file; what they hold can be decrypted only later. */
  containers: { num: number; offset: number }[];
}

/**
 * Makes a cross-reference of what a scan finds; of several objects with the same number the last one counts, and of
 * several trailers, as the newest is the last and a linearized file says the same in both.
 *
 * @throws FormatError `pdf_malformed` when there is neither a trailer nor a catalog
 */
export function recoverXref(window: PdfWindow, { definitions, trailers }: Scan): Recovered {
  const entries: XrefMap = new Map(
    definitions.map(({ num, offset, gen }) => [num, { offset, gen }]),
  );
  const containers = definitions.filter(({ type }) => type === "ObjStm");
  const trailer = trailers.at(-1)?.bytes ?? catalogTrailer(window, definitions);
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
    oddities: NO_ODDITIES,
  };
}

/** Whether the object at an offset can be read. */
export function isReadable(window: PdfWindow, place: { offset: number }): boolean {
  return valueOf(window, place) !== undefined;
}

function valueOf(window: PdfWindow, { offset }: { offset: number }): PdfValue | undefined {
  return unlessMalformed(() =>
    window.parse(offset, (lexer) => {
      lexer.objectHeader();
      return lexer.objectBody();
    })
  );
}

/** A trailer for a file that has none. */
function catalogTrailer(
  window: PdfWindow,
  definitions: readonly Definition[],
): Uint8Array | undefined {
  const catalog = definitions.findLast((each) => {
    const value = valueOf(window, each);
    const type = value instanceof PdfDict ? value.get("Type") : undefined;
    return type instanceof PdfName && type.value === "Catalog";
  });
  return catalog && latin1(`<< /Root ${catalog.num} ${catalog.gen} R >>`);
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
