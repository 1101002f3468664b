/**
 * The extra tables of a linearized file (ISO 32000-2 Annex F). Readers trust them as long as the file has the length
 * stated in its first object.
 */
import type { PdfDocument } from "./document.ts";
import { pageRefs } from "./form.ts";
import { unlessMalformed } from "./malformed.ts";
import type { Ambiguity, Scan } from "./scan.ts";
import { PdfArray, PdfDict, PdfName, PdfRef } from "./value.ts";

/** The linearization dictionary is within this many bytes (F.3.3). */
const WITHIN = 1024;

/** The linearization dictionary, where it counts, and where it ends. */
function dictionary(document: PdfDocument, { definitions: [first] }: Scan) {
  const dict = first && first.offset < WITHIN && document.objectAt(first)?.value;
  if (!(dict instanceof PdfDict) || dict.get("Linearized") === undefined) return undefined;
  if (dict.get("L") !== document.source.size) return undefined;
  return { dict, end: first.offset + dict.end };
}

/** Where the cross-reference of the first page begins. */
export function firstPageSection(document: PdfDocument, found: Scan): number | undefined {
  const linearized = dictionary(document, found);
  if (!linearized) return undefined;
  const { end } = linearized;
  const text = new TextDecoder("latin1").decode(document.source.read(end, WITHIN));
  const table = /^\s*endobj\s*(?=xref)/.exec(text);
  const [, second] = found.definitions;
  return table ? end + table[0].length : second?.type === "XRef" ? second.offset : undefined;
}

/** Pages that the file names otherwise than its page tree: the first one in its dictionary, others in its hints. */
export function otherPages(document: PdfDocument, found: Scan): Ambiguity[] {
  const linearized = dictionary(document, found);
  if (!linearized) return [];
  const { dict } = linearized;
  const pages = pageRefs(document);
  const first = document.number(dict, "P") ?? 0;
  const named = unlessMalformed(() => hintedPages(document, found, dict, pages.length)) ?? [];
  const object = document.number(dict, "O");
  if (object !== undefined) named[first] = object;
  return named.flatMap((object, i) =>
    object !== pages[i]?.num && isPage(document, object) ? [{ object, page: i + 1 }] : []
  );
}

function isPage(document: PdfDocument, num: number): boolean {
  const dict = document.resolve(new PdfRef(num, document.refOf(num).gen));
  const type = dict instanceof PdfDict ? document.get(dict, "Type") : null;
  return type instanceof PdfName && type.value === "Page";
}

/**
 * Numbers of the page objects by the page offset hint table (F.4.1): those behind the first page are numbered from 1,
 * each as many objects after the one before as that page has.
 */
function hintedPages(document: PdfDocument, found: Scan, dict: PdfDict, count: number): number[] {
  const hint = dict.get("H");
  const offset = hint instanceof PdfArray ? hint.items[0] : undefined;
  const definition = found.definitions.find((each) => each.offset === offset);
  const object = definition && document.objectAt(definition);
  if (!object) return [];
  const bits = new Bits(document.streamData(object));
  const least = bits.read(32);
  bits.read(32);
  const width = bits.read(16);
  // The other widths and least values of Table F.3, up to the 13th.
  for (const size of [32, 16, 32, 16, 32, 16, 16, 16, 16, 16]) bits.read(size);
  const out: number[] = [];
  let next = 1;
  for (let page = 0; page < count; page++) {
    const objects = least + bits.read(width);
    if (page === (document.number(dict, "P") ?? 0)) continue;
    out[page] = next;
    next += objects;
  }
  return out;
}

/** Reads numbers of some bits; zeros behind the end. */
class Bits {
  #at = 0;

  constructor(readonly data: Uint8Array) {}

  read(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++, this.#at++) {
      value = value * 2 + (((this.data[this.#at >> 3] ?? 0) >> (7 - (this.#at & 7))) & 1);
    }
    return value;
  }
}
