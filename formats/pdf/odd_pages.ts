/**
 * Checks whether readers that find the same objects also make the same pages of them. The standard leaves one way
 * (ISO 32000-2 §7.7.3, §7.8.2); where a page tree, a page or its content departs from it, each reader makes do in its
 * own way, and some show another page.
 */
import type { PdfDocument } from "./document.ts";
import { codingOf } from "./filter.ts";
import { ancestorsOf } from "./form.ts";
import { isRegular, isSpace } from "./lexer.ts";
import { unlessMalformed } from "./malformed.ts";
import type { Ambiguity } from "./scan.ts";
import {
  fromLatin1,
  PdfArray,
  PdfDict,
  PdfName,
  PdfRef,
  PdfStream,
  type PdfValue,
} from "./value.ts";

/** Of pages, from the nodes above them (§7.7.3.4). */
const INHERITED = ["Resources", "MediaBox", "CropBox", "Rotate"] as const;
const MAX_DEPTH = 64;
/** More are not worth telling. */
const MAX_TOLD = 20;

/** An entry that pages inherit, and the number of the object that has it. */
type Inherited = ReadonlyMap<string, { value: PdfValue; from: number }>;

/** A node of the page tree. */
interface Node {
  num: number;
  inherited: Inherited;
  /** Each node on the way names the one above it as its Parent. */
  isStraight: boolean;
  depth: number;
}

/**
 * @param plain numbers of streams that are known to have no filter and to end once
 * @returns pages that readers may show differently
 */
export function oddPages(document: PdfDocument, plain: ReadonlySet<number>): Ambiguity[] {
  const { num, value } = document.catalog();
  const pages = new Pages(document, plain);
  const top = { num, inherited: new Map(), isStraight: true, depth: 0 };
  const isRead = unlessMalformed(() => {
    pages.visit(value.get("Pages") ?? null, top);
    return true;
  });
  return isRead ? pages.odd : [...pages.odd, { object: num, page: 1 }];
}

/** Whether the appearances of an annotation, if it is one, are drawn alike by all readers. */
export const drawsAlike = (document: PdfDocument, value: PdfValue): boolean =>
  oddAppearances(document, value).length === 0;

/** Numbers of an annotation's appearances that are not drawn alike; those that say that they are forms are looked at elsewhere. */
function oddAppearances(document: PdfDocument, annotation: PdfValue): number[] {
  const resolve = (value: PdfValue | undefined) =>
    unlessMalformed(() => document.resolve(value)) ?? null;
  const appearances = annotation instanceof PdfDict ? resolve(annotation.get("AP")) : null;
  if (!(annotation instanceof PdfDict) || !(appearances instanceof PdfDict)) return [];
  const isPlaced = document.fourNumbers(annotation.get("Rect")) !== undefined;
  const isInState = resolve(annotation.get("AS")) instanceof PdfName;
  const isAlike = (ref: PdfRef) => {
    const object = unlessMalformed(() => document.object(ref));
    const value = object?.value;
    if (!(value instanceof PdfStream)) return !(value instanceof PdfRef);
    const isForm = unlessMalformed(() => document.name(value.dict, "Subtype")) === "Form";
    return isPlaced && (isForm || document.isDrawnAlike({ ...object!, value }));
  };
  return [...appearances.entries.values()].flatMap((appearance) => {
    const states = resolve(appearance);
    const isOne = !(states instanceof PdfDict);
    const refs = (isOne ? [appearance] : [...states.entries.values()])
      .filter((each) => each instanceof PdfRef);
    // Where it is in none of its states, some readers draw the first; of states in an object of their own, one draws none.
    const isOdd = !isOne && (!isInState || appearance instanceof PdfRef);
    return refs.filter((each) => isOdd || !isAlike(each)).map(({ num }) => num);
  });
}

class Pages {
  readonly odd: Ambiguity[] = [];
  #count = 0;
  readonly #seen = new Set<number>();
  /** Annotations; many pages may have the same. */
  readonly #annotations = new Set<number>();

  constructor(readonly document: PdfDocument, readonly plain: ReadonlySet<number>) {}

  visit(value: PdfValue, above: Node): void {
    const page = this.#count + 1;
    const num = value instanceof PdfRef ? value.num : above.num;
    const tell = () => {
      if (this.odd.length < MAX_TOLD) this.odd.push({ object: num, page });
    };
    const object = value instanceof PdfRef
      ? unlessMalformed(() => this.document.object(value))
      : undefined;
    const dict = object?.value;
    const depth = above.depth + 1;
    if (!(dict instanceof PdfDict) || depth > MAX_DEPTH) return void tell();
    const type = this.document.name(dict, "Type");
    const parent = dict.get("Parent");
    // Where a Parent is missing, some readers inherit nothing.
    const isChild = parent instanceof PdfRef && parent.num === above.num;
    const isStraight = above.isStraight && (above.depth === 0 ? parent === undefined : isChild);
    if (dict.get("Kids") === undefined) {
      this.#count++;
      const isOdd = (type !== undefined && type !== "Page") ||
        !this.#isPlaced(dict, above.inherited) ||
        (!isStraight && !this.#inheritsAlike(dict, above.inherited));
      if (isOdd || !this.#isContentPlain(dict.get("Contents"))) tell();
      this.#checkAppearances(dict, page);
      return;
    }
    const kids = this.document.array(dict, "Kids");
    // The root is one whatever it says.
    const isNode = type === "Pages" || (type === undefined && above.depth === 0);
    if (!kids || !isNode || this.#seen.has(num)) return void tell();
    this.#seen.add(num);
    const inherited = new Map(above.inherited);
    for (const key of INHERITED) {
      const value = dict.get(key);
      if (value !== undefined) inherited.set(key, { value, from: num });
    }
    for (const kid of kids.items) this.visit(kid, { num, inherited, isStraight, depth });
    // Some readers count the pages before one, others walk through them.
    if (this.document.get(dict, "Count") !== this.#count - page + 1) tell();
  }

  /** Those that do not say that they are forms, and are drawn all the same; others are looked at as forms. */
  #checkAppearances(page: PdfDict, number: number): void {
    const { document } = this;
    const annotations = unlessMalformed(() => document.array(page, "Annots"))?.items ?? [];
    for (const annotation of annotations) {
      if (annotation instanceof PdfRef) {
        if (this.#annotations.has(annotation.num)) continue;
        this.#annotations.add(annotation.num);
      }
      const value = unlessMalformed(() => document.resolve(annotation)) ?? null;
      for (const object of oddAppearances(document, value)) {
        if (this.odd.length < MAX_TOLD) this.odd.push({ object, page: number });
      }
    }
  }

  /** Whether a page inherits the same by its place in the tree as by its Parent. */
  #inheritsAlike(page: PdfDict, inherited: Inherited): boolean {
    const ancestors = ancestorsOf(this.document, page);
    return INHERITED.every((key) => {
      if (page.get(key) !== undefined) return true;
      const owner = ancestors.find(({ value }) => (value as PdfDict).get(key) !== undefined);
      return owner?.num === inherited.get(key)?.from;
    });
  }

  /** Whether a page is turned by right angles, and its boxes are some. */
  #isPlaced(page: PdfDict, inherited: Inherited): boolean {
    const valueOf = (key: string) =>
      this.document.resolve(page.get(key) ?? inherited.get(key)?.value);
    const rotate = valueOf("Rotate");
    const isTurned = rotate === null ||
      (typeof rotate === "number" && rotate % 90 === 0 && !page.reals?.has("Rotate"));
    const media = this.#box(valueOf("MediaBox")), crop = this.#box(valueOf("CropBox"));
    if (!isTurned || media === null || crop === null) return false;
    if (!media || !crop) return true;
    return Math.min(media[2], crop[2]) > Math.max(media[0], crop[0]) &&
      Math.min(media[3], crop[3]) > Math.max(media[1], crop[1]);
  }

  /** Left, bottom, right, top; undefined where there is none, null where it is no rectangle. */
  #box(value: PdfValue): readonly number[] | undefined | null {
    if (value === null) return undefined;
    if (!(value instanceof PdfArray) || value.items.length !== 4) return null;
    const [a, b, c, d] = value.items.map((item) => this.document.resolve(item));
    const areNumbers = typeof a === "number" && typeof b === "number" && typeof c === "number" &&
      typeof d === "number";
    if (!areNumbers || a === c || b === d) return null;
    return [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
  }

  /** Whether a page's content is streams, each once, that are decoded alike and divided between tokens (§7.8.2). */
  #isContentPlain(contents: PdfValue | undefined): boolean {
    if (contents instanceof PdfRef && this.plain.has(contents.num)) return true;
    const target = this.document.resolve(contents);
    if (target === null) return true;
    const parts = target instanceof PdfArray ? target.items : [contents!];
    const numbers = new Set(parts.map((part) => part instanceof PdfRef ? part.num : -1));
    if (numbers.size !== parts.length || numbers.has(-1)) return false;
    if (parts.length === 1 && this.plain.has((parts[0] as PdfRef).num)) return true;
    const pieces: Uint8Array[] = [];
    for (const part of parts) {
      const data = this.#decoded(part as PdfRef);
      if (data === null) return false;
      if (data) pieces.push(data);
    }
    return pieces.length < parts.length || isDividedRightly(pieces);
  }

  /** The data of a stream; null where readers decode them differently, undefined where we cannot decode them. */
  #decoded(ref: PdfRef): Uint8Array | undefined | null {
    const { document } = this;
    let object = document.object(ref);
    for (let hops = 0; object?.value instanceof PdfRef && hops < MAX_DEPTH; hops++) {
      object = document.object(object.value);
    }
    if (!object || !(object.value instanceof PdfStream)) return null;
    const coding = codingOf(object.value.dict, (value) => document.resolve(value));
    if (coding === "odd" || coding === "image") return null;
    if (coding === "other") return undefined;
    return unlessMalformed(() => document.streamData(object, true)) ?? null;
  }
}

/**
 * Whether no token reaches from one piece of a page's content into the next. Some readers put white space there, others
 * do not, and then find two operators in `ETBT`, but one in `Tj`.
 */
function isDividedRightly(pieces: readonly Uint8Array[]): boolean {
  return pieces.every((piece, i) => {
    const next = pieces.slice(i + 1).find(({ length }) => length > 0);
    if (piece.length === 0 || !next) return true;
    if (!endsBetweenTokens(piece)) return false;
    const [before, behind] = [piece.at(-1)!, next[0]];
    if (before === SLASH ? isRegular(behind) : before === GREATER && behind === GREATER) {
      return false;
    }
    const start = piece.findLastIndex((c) => !isRegular(c)) + 1;
    const end = next.findIndex((c) => !isRegular(c));
    const last = fromLatin1(piece.subarray(start)),
      first = fromLatin1(next.subarray(0, end < 0 ? undefined : end));
    return last === "" || first === "" || (piece[start - 1] !== SLASH && isDivided(last, first));
  });
}

/** Longer than any operator or number. */
const MAX_WORD = 32;
const OPERATORS = new Set(
  ("b B b* B* BDC BI BMC BT BX c cm CS cs d d0 d1 Do DP EI EMC ET EX f F f* G g gs h i ID j J K k l m M MP n q Q re RG rg ri " +
    "s S SC sc SCN scn sh T* Tc Td TD Tf Tj TJ TL Tm Tr Ts Tw Tz v w W W* y").split(" "),
);

/** Whether two words are the same two words without white space between them. */
function isDivided(last: string, first: string): boolean {
  if (last.length > MAX_WORD || first.length > MAX_WORD) return false;
  if (!OPERATORS.has(last)) return /^[-+.\d]+$/.test(last) && !/^[-+.\deE]/.test(first);
  return !Array.from(first, (_, i) => last + first.slice(0, i + 1)).some((word) =>
    OPERATORS.has(word)
  );
}

const SLASH = 0x2f,
  OPEN = 0x28,
  CLOSE = 0x29,
  BACKSLASH = 0x5c,
  LESS = 0x3c,
  GREATER = 0x3e,
  PERCENT = 0x25;

/** Whether content ends neither within a string, nor a comment, nor the data of an inline image. */
function endsBetweenTokens(data: Uint8Array): boolean {
  for (let i = 0; i < data.length; i++) {
    switch (data[i]) {
      case PERCENT:
        while (i < data.length && data[i] !== 10 && data[i] !== 13) i++;
        if (i === data.length) return false;
        break;
      case OPEN: {
        let depth = 1;
        while (depth > 0) {
          if (++i >= data.length) return false;
          if (data[i] === BACKSLASH) i++;
          else if (data[i] === OPEN) depth++;
          else if (data[i] === CLOSE) depth--;
        }
        break;
      }
      case LESS:
        if (data[i + 1] === LESS) i++;
        else if ((i = data.indexOf(GREATER, i)) < 0) return false;
        break;
      case 0x49: // I
        if (data[i + 1] === 0x44 && isAlone(data, i)) {
          i = imageEnd(data, i + 2);
          if (i < 0) return false;
        }
    }
  }
  return true;
}

/** Whether a word of two letters stands by itself. */
const isAlone = (data: Uint8Array, at: number) =>
  (at === 0 || !isRegular(data[at - 1])) &&
  (at + 2 >= data.length || isSpace(data[at + 2]));

/** Position of the last letter of the `EI` behind an inline image's data; -1 if there is none. */
function imageEnd(data: Uint8Array, from: number): number {
  for (let at = from; (at = data.indexOf(0x45, at)) >= 0; at++) {
    if (data[at + 1] === 0x49 && isAlone(data, at)) return at + 1;
  }
  return -1;
}
