/**
 * Checks whether all readers see the same document. A file that follows the standard can be read in only one way;
 * readers repair other files differently, and one may show what another does not.
 */
import type { PdfDocument, PdfObject } from "./document.ts";
import { pageRefs } from "./form.ts";
import { PdfLexer } from "./lexer.ts";
import { firstPageSection, otherPages } from "./linearized.ts";
import { unlessMalformed } from "./malformed.ts";
import { drawsAlike, oddPages } from "./odd_pages.ts";
import type { Ambiguity, Definition, Scan } from "./scan.ts";
import {
  PdfArray,
  PdfDict,
  PdfRef,
  PdfStream,
  type PdfValue,
  sameBytes,
  sameValue,
} from "./value.ts";
import { type Manner, sameEntry, type Xref, type XrefEntry } from "./xref.ts";

/** More are not worth telling. */
const MAX_TOLD = 20;
const MAX_VISITS = 2_000_000;
/** Of more objects, those that can be reached are often few. */
const MAX_GLANCED = 20_000;
/** Of the catalog: they neither draw nor act, and hybrids hide them from old readers. */
const UNSEEN = new Set(["StructTreeRoot", "Metadata"]);

const OTHER_MANNERS: Partial<Manner>[] = [
  { duplicates: "first" },
  { hybrids: "replace" },
  { hybrids: "skip" },
  { beyondSize: "drop" },
];

/**
 * The objects, reachable from the catalog in some reading, that are not the same by value in all of them.
 *
 * @param found what stands in the file, see {@linkcode PdfDocument.scan}
 * @returns empty where there is one reading only
 * @throws FormatError `limit_exceeded`, `pdf_malformed` where even our reading cannot be followed
 */
export const ambiguities = (document: PdfDocument, found: Scan): Ambiguity[] =>
  readings(document, found).ambiguities;

/**
 * The same, and whether there is one reading only, of all objects, reachable or not.
 *
 * @throws FormatError as there
 */
export function readings(
  document: PdfDocument,
  found: Scan,
): { ambiguities: Ambiguity[]; isOne: boolean } {
  document.catalog(); // there must be one
  let isFound = document.isFoundBy(found);
  const plain = found.definitions.flatMap((each) => each.isPlainStream ? [each.num] : []);
  // Its objects need not be read again then.
  const known = isFound ? oddPages(document, new Set(plain)) : undefined;
  const isSound = !document.hasOddXref && isPlain(document, found, isFound);
  if (!isSound && document.isDamaged) {
    found = withStreams(document, found);
    isFound = false;
  }
  const others = otherReadings(document, found, isFound);
  const later = isFound ? new Map() : laterDefinitions(document, found);
  const linearized = otherPages(document, found);
  const isOne = isSound && others.length === 0 && later.size === 0;
  const walked = isOne ? [] : new Walk(document, others, later).run();
  const all = [...walked, ...linearized, ...known ?? oddPages(document, new Set())];
  return {
    ambiguities: [...new Map(all.map((each) => [each.object, each])).values()],
    isOne: isOne && all.length === 0,
  };
}

/**
 * Whether a document with one reading still has one after updates that follow the standard exactly, as far as what they
 * added tells; it may say no where it has.
 *
 * @param before with one reading
 * @param added what a scan finds behind it, of which {@linkcode looseness} has nothing to say
 */
export function staysOne(before: PdfDocument, after: PdfDocument, added: Scan): boolean {
  const { entries, trailer, oddities } = after.xref;
  const last = added.trailers.at(-1);
  const root = last && new PdfLexer(last.bytes).dict().get("Root");
  if (
    !root || !sameValue(root, trailer.get("Root") ?? null) ||
    oddities.size > before.xref.oddities.size || after.hasOddXref || isLostToSome(after)
  ) return false;
  const newest = new Map(added.definitions.map((each) => [each.num, each]));
  for (const [num, entry] of entries) {
    const old = before.xref.entries.get(num);
    if (sameEntry(entry, old)) continue;
    if (!entry) return false;
    const isFound = "offset" in entry
      ? newest.get(num)?.offset === entry.offset
      : newest.get(entry.container)?.type === "ObjStm";
    if (!isFound) return false;
    const isHarmless = unlessMalformed(() => {
      const value = after.object(after.refOf(num))?.value ?? null;
      return drawsAlike(after, value) && (!old || isReplaceable(value));
    });
    if (!isHarmless) return false;
  }
  return added.definitions.every((each) => !each.isGlued && after.isPlain(each));
}

/** Whether objects that refer to one may be left as they are when it is replaced: it is neither data nor a number. */
function isReplaceable(value: PdfValue): boolean {
  return value instanceof PdfDict ||
    (value instanceof PdfArray && value.items.every((item) => item instanceof PdfRef));
}

/** @param isFound a scan comes to the document's own cross-reference */
function otherReadings(document: PdfDocument, found: Scan, isFound: boolean): PdfDocument[] {
  const { oddities, entries } = document.xref;
  const xrefs = [
    ...OTHER_MANNERS.filter((manner) => oddities.has(Object.keys(manner)[0] as keyof Manner))
      .map((manner) => () => document.readXref(manner)),
    ...isFound ? [] : [() => document.scanned(found)],
  ];
  const first = firstPageSection(document, found);
  if (first !== undefined) xrefs.push(() => document.readXref({}, first));
  const out: PdfDocument[] = [];
  // A reader to which the file is unreadable shows nothing.
  const add = (read: () => PdfDocument | undefined) => {
    const reading = unlessMalformed(read);
    if (reading && unlessMalformed(() => reading.catalog())) out.push(reading);
  };
  add(() => document.fromFirstByte());
  for (const read of xrefs) {
    add(() => {
      const xref = read();
      return sameXref(document.xref, xref) ? undefined : document.reading(xref);
    });
  }
  if (isPackedOddly(document, entries)) {
    for (const packing of ["index", "first", "last"] as const) {
      add(() => document.reading(document.xref, packing));
    }
  }
  return out;
}

/** With what looks like objects in the data of streams: readers that have to scan a file may take them for some. */
function withStreams(document: PdfDocument, found: Scan): Scan {
  const known = new Set(found.definitions.map(({ offset }) => offset));
  const { definitions, trailers } = document.scan(true);
  const hidden = definitions.filter(({ offset, isGlued }) => !isGlued && !known.has(offset));
  const all = [...found.definitions, ...hidden].sort((a, b) => a.offset - b.offset);
  return { definitions: all, trailers };
}

/**
 * Whether some readers stop at a `/Prev`, and find no page or only new ones; or cannot open the file, for its `/Size`,
 * which also may exclude the encryption's dictionary.
 */
function isLostToSome({ xref: { oddities }, crypt }: PdfDocument): boolean {
  return oddities.has("prev") || oddities.has("size") ||
    (crypt !== undefined && oddities.has("beyondSize"));
}

/** Whether every object is found by a scan in its place, and can be read in one way only. */
function isPlain(document: PdfDocument, { definitions }: Scan, isFound: boolean): boolean {
  if (isLostToSome(document) || definitions.length > MAX_GLANCED) return false;
  return (isFound || areFound(document, definitions)) &&
    definitions.every((each) => document.isPlain(each));
}

/** Whether a scan finds every object that is in use, in its place. */
function areFound(document: PdfDocument, definitions: readonly Definition[]): boolean {
  const { entries } = document.xref;
  const inUse = new Map(definitions.map((each) => [each.num, each]));
  for (const [num, entry] of entries) {
    if (!entry) continue;
    const isFound = "offset" in entry
      ? inUse.get(num)?.offset === entry.offset
      : inUse.get(entry.container)?.type === "ObjStm";
    if (!isFound) return false;
  }
  return true;
}

function sameXref(a: Xref, b: Xref): boolean {
  const root = a.trailer.get("Root") ?? null;
  return sameValue(root, b.trailer.get("Root") ?? null) &&
    a.entries.entries().every(([num, entry]) => sameEntry(entry, b.entries.get(num))) &&
    b.entries.entries().every(([num, entry]) => a.entries.has(num) || entry === null);
}

/** Whether an object stream lists an object twice, or at another index than the cross-reference says (§7.5.7). */
function isPackedOddly(document: PdfDocument, entries: Xref["entries"]): boolean {
  const numbers = new Map<number, readonly (readonly [number, number])[]>();
  for (const [num, entry] of entries) {
    if (!entry || !("container" in entry)) continue;
    const { container, index } = entry;
    let packed = numbers.get(container);
    if (!packed) {
      packed = unlessMalformed(() => document.packed(container)) ?? [];
      numbers.set(container, packed);
      if (new Set(packed.map(([inner]) => inner)).size < packed.length) return true;
    }
    if (packed[index]?.[0] !== num) return true;
  }
  return false;
}

/** Objects that stand behind the one that counts, by number: a reader that scans may take any of them for newer. */
function laterDefinitions(document: PdfDocument, found: Scan): Map<number, Definition[]> {
  const { entries } = document.xref;
  const placeOf = (entry: XrefEntry | null | undefined): number =>
    !entry ? -1 : "offset" in entry ? entry.offset : placeOf(entries.get(entry.container));
  const out = new Map<number, Definition[]>();
  for (const definition of found.definitions) {
    const { num, offset, type } = definition;
    if (type === "XRef" || type === "ObjStm" || offset <= placeOf(entries.get(num))) continue;
    const known = out.get(num);
    if (known) known.push(definition);
    else out.set(num, [definition]);
  }
  return out;
}

/** An object as one reader sees it. */
interface Version {
  reading: PdfDocument;
  object: PdfObject | undefined;
}

/** Follows every reference from the pages and the catalog, in all readings at once. */
class Walk {
  readonly #seen = new Set<number>();
  readonly #pages = new Set<number>();
  readonly #out = new Map<number, Ambiguity>();
  #visits = 0;

  constructor(
    readonly document: PdfDocument,
    readonly others: readonly PdfDocument[],
    readonly later: ReadonlyMap<number, Definition[]>,
  ) {}

  run(): Ambiguity[] {
    const all = [this.document, ...this.others];
    const lists = all.map((reading) => unlessMalformed(() => pageRefs(reading)) ?? []);
    for (const { num } of lists.flat()) this.#pages.add(num);
    for (const list of lists) list.forEach((ref, i) => this.#follow(ref, i + 1));
    for (const reading of all) this.#follow(reading.xref.trailer.get("Root") ?? null);
    const roots = this.others.map((other) => ({ reading: other, object: other.catalog() }));
    const catalog = this.document.catalog();
    if (!roots.every((root) => this.#same({ reading: this.document, object: catalog }, root))) {
      this.#tell(catalog.num);
    }
    if (isLostToSome(this.document)) this.#tell(catalog.num);
    return [...this.#out.values()];
  }

  #tell(object: number, page?: number): void {
    if (this.#out.size < MAX_TOLD && !this.#out.has(object)) {
      this.#out.set(object, { object, page });
    }
  }

  /** An object belongs to the first page that refers to it; other pages are followed separately. */
  #follow(from: PdfValue, page?: number): void {
    const stack: PdfValue[] = [from];
    while (stack.length > 0) {
      const value = stack.pop()!;
      if (value instanceof PdfRef) {
        if (this.#seen.has(value.num) || (value !== from && this.#pages.has(value.num))) continue;
        this.#seen.add(value.num);
        if (++this.#visits > MAX_VISITS) return this.#tell(value.num);
        stack.push(...this.#versions(value, page));
      } else if (value instanceof PdfArray) { for (const item of value.items) stack.push(item); }
      else if (value instanceof PdfStream) stack.push(value.dict);
      else if (value instanceof PdfDict) {
        this.#checkDrawn(value, page);
        for (const [key, item] of value.entries) {
          const isPassed = page === undefined ? UNSEEN.has(key) : key === "Parent";
          if (!isPassed) stack.push(item);
        }
      }
    }
  }

  /** What a Type 3 font (§9.6.4) or a soft mask (§11.6.5.2) draws. */
  #checkDrawn(dict: PdfDict, page: number | undefined): void {
    const { document } = this;
    const glyphs = unlessMalformed(() => document.resolve(dict.get("CharProcs")));
    const isBound = document.fourNumbers(dict.get("FontBBox")) !== undefined;
    for (const glyph of glyphs instanceof PdfDict ? glyphs.entries.values() : []) {
      if (!(glyph instanceof PdfRef)) continue;
      const { object } = read(document, glyph);
      if (object && !(isBound && document.isDecodable(object))) {
        this.#tell(glyph.num, page);
      }
    }
    const group = dict.get("G");
    // A dictionary of resources may use that name too.
    const kind = unlessMalformed(() => document.name(dict, "S"));
    if (!(group instanceof PdfRef) || kind === undefined) return;
    const { object } = read(document, group);
    const isAlike = object?.value instanceof PdfStream &&
      (kind !== "Luminosity" || hasColourSpace(document, object.value.dict)) &&
      document.isDrawnAlike({ ...object, value: object.value });
    if (object && !isAlike) this.#tell(group.num, page);
  }

  /** Objects that readers find under a reference. */
  #versions(ref: PdfRef, page: number | undefined): PdfValue[] {
    const ours = read(this.document, ref);
    const { object } = ours;
    const others = this.#others(ref);
    const isCut = object?.value instanceof PdfStream && object.offset !== undefined &&
      (!this.document.endsOnce(object.value, object.offset) ||
        !this.document.isCodedPlainly({ ...object, value: object.value }));
    if (others.length === 0 && !object?.saysTwice && !isCut) return [object?.value ?? null];
    const versions = others.filter((version) => !this.#same(ours, version));
    const isTwice = object?.saysTwice && saysOtherwise(object.value, object.bytes);
    if (versions.length > 0 || isTwice || isCut) this.#tell(ref.num, page);
    return [ours, ...versions].map(({ object }) => object?.value ?? null);
  }

  /** The versions of the object that other readers may find. */
  #others({ num, gen }: PdfRef): Version[] {
    const { document } = this;
    const out: Version[] = [];
    // Many readers do not look at generation numbers.
    const inUse = document.refOf(num);
    if (inUse.gen !== gen) out.push(read(document, inUse));
    for (const other of this.others) {
      if (!this.#isSamePlace(other, num)) out.push(read(other, other.refOf(num)));
    }
    for (const definition of this.later.get(num) ?? []) {
      out.push({ reading: document, object: document.objectAt(definition) });
    }
    return out;
  }

  /** Whether another reading finds an object in the same place as ours. */
  #isSamePlace(other: PdfDocument, num: number): boolean {
    if (this.document.source.size !== other.source.size) return false;
    const a = this.document.xref.entries.get(num), b = other.xref.entries.get(num);
    return sameEntry(a, b) && !(a && "container" in a);
  }

  #same(a: Version, b: Version): boolean {
    const x = a.object, y = b.object;
    const isSameFile = a.reading.source.size === b.reading.source.size;
    if (x === y || (x?.offset !== undefined && isSameFile && x.offset === y?.offset)) return true;
    // An object that is not there and null are the same (§7.3.10).
    if (!sameValue(x?.value ?? null, y?.value ?? null)) return false;
    // What is equal for us is not for everybody.
    if (x?.isOdd || y?.isOdd) return false;
    if (!(x?.value instanceof PdfStream)) return true;
    return sameBytes(a.reading.rawStream(x), b.reading.rawStream(y!));
  }
}

/** §11.6.6: luminosity is that of a colour space; where there is none, each reader takes one. */
function hasColourSpace(document: PdfDocument, form: PdfDict): boolean {
  const group = unlessMalformed(() => document.dict(form, "Group"));
  return group !== undefined && group.get("CS") !== undefined;
}

function read(reading: PdfDocument, ref: PdfRef): Version {
  return { reading, object: unlessMalformed(() => reading.object(ref)) };
}

/** Whether it contains a dictionary with two values for one key that are not the same. */
function saysOtherwise(value: PdfValue, bytes: Uint8Array): boolean {
  if (value instanceof PdfArray) return value.items.some((item) => saysOtherwise(item, bytes));
  if (value instanceof PdfStream) return saysOtherwise(value.dict, bytes);
  if (!(value instanceof PdfDict)) return false;
  if (value.hasDuplicates) {
    const said = new Map<string, Uint8Array>();
    for (const { key, valueStart, valueEnd } of value.spans) {
      const text = bytes.subarray(valueStart, valueEnd);
      if (!sameBytes(said.get(key) ?? text, text)) return true;
      said.set(key, text);
    }
  }
  for (const item of value.entries.values()) {
    if (item !== null && typeof item === "object" && saysOtherwise(item, bytes)) return true;
  }
  return false;
}
