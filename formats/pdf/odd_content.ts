/**
 * Checks whether readers draw the same of the contents that they find: of pages, forms, patterns, soft masks, glyphs of
 * Type 3 fonts, and appearances of annotations. One error is enough for another amount: poppler ends a page at the first
 * `Q` too many; of too many operands MuPDF takes the first, others the last.
 */
import { FormatError } from "../error.ts";
import { ContentReader, isStrict, joinContents, odd, operator, operators } from "./content.ts";
import type { PdfDocument } from "./document.ts";
import { InlineImages } from "./inline_image.ts";
import { checkAnnotation, isDrawnAnew, isXfaAlone } from "./odd_annotation.ts";
import { checkSpace } from "./odd_colour.ts";
import { checkFont } from "./odd_font.ts";
import { type Budget, checkImage } from "./odd_image.ts";
import {
  checkDefaults,
  checkState,
  componentsOf,
  INDEXED,
  PATTERN,
  UNKNOWN,
} from "./odd_resources.ts";
import { checkShading } from "./odd_shading.ts";
import { OptionalContent } from "./optional_content.ts";
import type { Ambiguity } from "./scan.ts";
import { PdfArray, PdfDict, PdfName, PdfRef, PdfStream, type PdfValue } from "./value.ts";

/** More are not worth telling. */
const MAX_TOLD = 20;
const MAX_PAGE_DEPTH = 64;
/** Deeper, some readers draw nothing. */
const MAX_FORM_DEPTH = 30, MAX_SAVED = 512;
/** Limit on the content that is read, in bytes: this many, and this many times the file's size. */
const MAX_READ = 64 << 20, MAX_TIMES = 8;
/** Of images and fonts, which only their data's size is read of. */
const MAX_IMAGES = 256 << 20, MAX_IMAGE_TIMES = 16;
/** Of each content and each annotation, however short it is; in bytes. */
const CONTENT_COST = 64;

const codes = (words: string) => words.split(" ").map(operator);
const [Q_SAVE, Q_RESTORE, BT, ET, BI, DO, TF, GS, BDC, DP, TM, D0, D1, SH] = codes(
  "q Q BT ET BI Do Tf gs BDC DP Tm d0 d1 sh",
);
const [M, L, C, V, Y, RE, W, W_EVEN_ODD] = codes("m l c v y re W W*");
const [CS_FILL, SC_FILL, SCN_FILL, CS, SC, SCN] = codes("cs sc scn CS SC SCN");
const PAINTS = operators("S s f F f* B B* b b* n");
const SHOWS = operators("Tj TJ ' \"");
const COLOURS = operators("g rg k cs sc scn G RG K CS SC SCN");
const components = (words: string) => new Map(codes(words).map((code, i) => [code, [1, 3, 4][i]]));
const FILLS = components("g rg k"), STROKES = components("G RG K");

/** Resources, and the number of the object that has them. */
interface Resources {
  dict?: PdfDict;
  of: number;
}

/** Looks at a resource that content uses, where it has not been looked at. */
type Use = (kind: string, look: (value: PdfValue | undefined) => void) => void;

/** Something that is drawn: streams that are one content. */
interface Drawing {
  kind: "page" | "form" | "glyph";
  streams: PdfRef[];
  resources: Resources;
  /** How many are drawn around it. */
  depth: number;
}

/**
 * @returns contents that readers may draw differently, by page
 * @throws {FormatError} `limit_exceeded`
 */
export function oddContents(document: PdfDocument): Ambiguity[] {
  const contents = new Contents(document);
  const { num, value } = document.catalog();
  contents.tree(value.get("Pages"), { of: 0 }, 0);
  return [
    ...contents.odd.values(),
    ...replacesPages(document, value) ? [{ object: num, page: 1 }] : [],
  ];
}

/**
 * Whether some readers show something else in place of the pages: a file of a portfolio (ISO 32000-2 §12.3.5), or a form
 * that is drawn from its XFA (ISO 32000-1 §7.7.2, `NeedsRendering`), or has nothing else.
 */
const replacesPages = (document: PdfDocument, catalog: PdfDict): boolean =>
  document.resolve(catalog.get("Collection")) instanceof PdfDict ||
  document.resolve(catalog.get("NeedsRendering")) === true || isXfaAlone(document);

class Contents {
  readonly odd = new Map<number, Ambiguity>();
  readonly #optional: OptionalContent;
  readonly #nodes = new Set<number>();
  /** How deep streams were drawn, each with the object whose resources they have. */
  readonly #drawn = new Map<string, number>();
  /** Images, fonts, shadings and annotations that were looked at. */
  readonly #looked = new Set<number>();
  readonly #waiting: Drawing[] = [];
  readonly #isAnew: boolean;
  #page = 0;
  #left: number;
  #imagesLeft: number;

  constructor(readonly document: PdfDocument) {
    this.#optional = new OptionalContent(document);
    this.#left = MAX_READ + MAX_TIMES * document.source.size;
    this.#imagesLeft = MAX_IMAGES + MAX_IMAGE_TIMES * document.source.size;
    this.#isAnew = isDrawnAnew(document);
  }

  /** Visits a node of the page tree; what is no page is told elsewhere. */
  tree(value: PdfValue | undefined, above: Resources, depth: number): void {
    if (!(value instanceof PdfRef) || depth > MAX_PAGE_DEPTH) return;
    const isRead = unlessUnreadable(() => {
      this.#visit(value, above, depth);
      return true;
    });
    if (!isRead) this.#tell(value.num);
  }

  #visit(value: PdfRef, above: Resources, depth: number): void {
    const { document } = this;
    const node = document.resolve(value);
    if (!(node instanceof PdfDict)) return;
    const own = document.dict(node, "Resources");
    const resources = own ? { dict: own, of: value.num } : above;
    const kids = document.array(node, "Kids");
    if (!kids) this.#page++;
    if (this.#nodes.has(value.num)) return;
    this.#nodes.add(value.num);
    if (!kids) return this.#drawPage(node, resources);
    for (const kid of kids.items) this.tree(kid, resources, depth + 1);
  }

  #tell(object: number): void {
    if (this.odd.size < MAX_TOLD) this.odd.set(object, { object, page: this.#page });
  }

  #drawPage(page: PdfDict, resources: Resources): void {
    const { document } = this;
    this.#waiting.length = 0;
    const contents = page.get("Contents");
    const target = document.resolve(contents);
    const parts = target instanceof PdfArray ? target.items : [contents];
    const streams = parts.filter((each) => each instanceof PdfRef);
    this.#waiting.push({ kind: "page", streams, resources, depth: 0 });
    for (const item of document.array(page, "Annots")?.items ?? []) {
      this.#spend(CONTENT_COST);
      const annotation = document.resolve(item);
      if (!(annotation instanceof PdfDict)) continue;
      const check = () => checkAnnotation(document, annotation, this.#isAnew, this.#images.spend);
      if (item instanceof PdfRef) this.#look(item.num, check);
      else check();
      this.#addAppearances(annotation, resources);
    }
    for (let next; (next = this.#waiting.pop());) this.#draw(next);
  }

  #addAppearances(annotation: PdfDict, resources: Resources): void {
    const { document } = this;
    const normal = document.dict(annotation, "AP")?.get("N");
    const states = document.resolve(normal);
    for (const each of states instanceof PdfDict ? states.entries.values() : [normal]) {
      this.#add(each, { kind: "form", streams: [], resources, depth: 0 });
    }
  }

  /** Adds a form or the like, which has resources or takes those of what it is drawn in. */
  #add(
    value: PdfValue | undefined,
    { resources, depth }: Drawing,
    kind: "form" | "glyph" = "form",
  ): void {
    const { document } = this;
    const stream = document.resolve(value);
    if (!(value instanceof PdfRef) || !(stream instanceof PdfStream)) return;
    this.#spend(CONTENT_COST);
    const dict = document.dict(stream.dict, "Resources");
    const own = dict ? { dict, of: value.num } : resources;
    this.#waiting.push({ kind, streams: [value], resources: own, depth: depth + 1 });
  }

  #draw(drawing: Drawing): void {
    const { streams, resources, depth } = drawing;
    const [first] = streams;
    if (!first) return;
    const key = `${streams.map(({ num }) => num)} ${resources.of}`;
    if ((this.#drawn.get(key) ?? -1) >= depth) return;
    this.#drawn.set(key, depth);
    const data = unlessUnreadable(() => this.#contentOf(streams));
    if (data && isStrict(() => this.#run(data, drawing))) return;
    this.#tell(first.num);
  }

  readonly #images: Budget = {
    has: (bytes) => bytes <= this.#imagesLeft,
    spend: (bytes) => {
      this.#imagesLeft -= bytes;
      this.#spend(0);
    },
  };

  #spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= 0 && this.#imagesLeft >= 0) return;
    throw new FormatError("limit_exceeded", "The PDF's pages take too much work to read.");
  }

  #contentOf(streams: readonly PdfRef[]): Uint8Array {
    const { document } = this;
    const pieces = streams.map((ref) => {
      const object = document.object(ref);
      if (!(object?.value instanceof PdfStream)) return new Uint8Array();
      // Data may come to less than what they are written as.
      this.#spend(document.rawStream(object).length);
      const data = document.streamData(object);
      this.#spend(data.length);
      return data;
    });
    return joinContents(pieces);
  }

  /** Follows the operators as far as what readers make of one depends on those before it. */
  #run(data: Uint8Array, drawing: Drawing): void {
    const { kind, resources } = drawing;
    if (drawing.depth > MAX_FORM_DEPTH) odd();
    const { document } = this;
    checkDefaults(document, resources.dict && document.dict(resources.dict, "ColorSpace"));
    const reader = new ContentReader(data);
    const spaces = new Map<string, number>();
    const space = (name: string) =>
      spaces.getOrInsertComputed(
        name,
        () => {
          const value = this.#find("ColorSpace", name, resources);
          checkSpace(document, value);
          return componentsOf(document, name, value);
        },
      );
    const used = new Set<string>();
    const use: Use = (kind, look) => {
      const { name } = reader;
      const key = `${kind} ${name}`;
      if (used.has(key)) return;
      used.add(key);
      look(this.#find(kind, name, resources));
    };
    const images = new InlineImages(reader, (name) => {
      const components = space(name);
      return components >= INDEXED ? 1 : components;
    });
    /** Components of the colours; a form begins with the colours of what it is drawn in. */
    let fill = kind === "page" ? 1 : UNKNOWN, stroke = fill;
    const saved: number[] = [];
    let isText = false, hasPoint = false, isClip = false, isFirst = true, isStencil = false;
    /** Text goes on behind `Q`, where some readers restore its place too. */
    let isLost = false;
    for (let code; (code = reader.next()) !== 0; isFirst = false) {
      switch (code) {
        case L:
        case C:
        case V:
        case Y:
          if (!hasPoint) odd();
          break;
        case M:
        case RE:
          hasPoint = true;
          break;
        case W:
        case W_EVEN_ODD:
          isClip = true;
          break;
        case Q_SAVE:
          if (saved.push(fill, stroke) > 2 * MAX_SAVED) odd();
          break;
        case Q_RESTORE:
          if (saved.length === 0) odd();
          stroke = saved.pop()!;
          fill = saved.pop()!;
          isLost = isText;
          break;
        case BT:
        case ET:
          isText = code === BT;
          isLost = false;
          break;
        case TM:
          isLost = false;
          break;
        case TF:
          use("Font", (font) => this.#useFont(font, drawing));
          break;
        case DO:
          use("XObject", (object) => this.#useObject(object, drawing));
          break;
        case SH:
          use("Shading", (shading) => checkShading(document, shading));
          break;
        case GS:
          use("ExtGState", (state) => this.#useState(state, drawing));
          break;
        case CS_FILL:
          fill = space(reader.name);
          break;
        case CS:
          stroke = space(reader.name);
          break;
        case SC_FILL:
        case SCN_FILL:
          this.#useColour(reader, fill, drawing, use);
          break;
        case SC:
        case SCN:
          this.#useColour(reader, stroke, drawing, use);
          break;
        case BDC:
        case DP:
          if (reader.endsInName) use("Properties", (value) => this.#optional.check(value));
          break;
        case BI:
          images.skip();
          break;
        case D0:
        case D1:
          if (kind === "glyph" && !isFirst) odd();
          isStencil = kind === "glyph" && code === D1;
          break;
        default:
          if (PAINTS[code] === 1) {
            if (isClip && !hasPoint) odd();
            isClip = hasPoint = false;
          } else if (SHOWS[code] === 1) {
            if (isLost) odd();
          } else {
            fill = FILLS.get(code) ?? fill;
            stroke = STROKES.get(code) ?? stroke;
          }
      }
      // A glyph that is a stencil has no colours (§9.6.4), and some readers draw with them.
      if (isStencil && COLOURS[code] === 1) odd();
    }
    images.check();
  }

  #find(kind: string, name: string, { dict }: Resources): PdfValue | undefined {
    return dict && this.document.dict(dict, kind)?.get(name);
  }

  #useColour(
    { number, numbers, endsInName }: ContentReader,
    wanted: number,
    drawing: Drawing,
    use: Use,
  ): void {
    if (!endsInName) {
      const isTable = wanted >= INDEXED;
      if (wanted !== UNKNOWN && numbers !== (isTable ? 1 : wanted)) odd();
      if (isTable && !(number >= 0 && number <= wanted - INDEXED)) odd();
      return;
    }
    if (wanted !== UNKNOWN && wanted !== PATTERN) odd();
    use("Pattern", (pattern) => {
      const { document } = this;
      const value = document.resolve(pattern);
      if (value === null) odd();
      if (value instanceof PdfDict) checkShading(document, value.get("Shading"));
      this.#add(pattern, drawing);
    });
  }

  #useFont(value: PdfValue | undefined, drawing: Drawing): void {
    const { document } = this;
    const { resources } = drawing;
    const font = document.resolve(value);
    if (!(font instanceof PdfDict)) odd();
    const check = () => checkFont(document, font, this.#images.spend);
    if (value instanceof PdfRef) this.#look(value.num, check);
    else check();
    const glyphs = document.dict(font, "CharProcs");
    if (!glyphs) return;
    const dict = document.dict(font, "Resources");
    const of = value instanceof PdfRef ? value.num : resources.of;
    const own = { ...drawing, resources: dict ? { dict, of } : resources };
    for (const glyph of glyphs.entries.values()) this.#add(glyph, own, "glyph");
  }

  #useObject(value: PdfValue | undefined, drawing: Drawing): void {
    const { document } = this;
    const object = document.resolve(value);
    if (!(object instanceof PdfStream)) return;
    this.#optional.check(object.dict.get("OC"));
    const subtype = document.get(object.dict, "Subtype");
    if (!(subtype instanceof PdfName)) odd();
    if (subtype.value === "Form") this.#add(value, drawing);
    else if (subtype.value === "Image" && value instanceof PdfRef) {
      this.#look(value.num, () => checkImage(document, value, this.#images));
    }
  }

  /** Looks once at an object that pages share, and names it where it is odd. */
  #look(num: number, check: () => void): void {
    if (this.#looked.has(num)) return;
    this.#looked.add(num);
    if (!unlessUnreadable(() => isStrict(check))) this.#tell(num);
  }

  #useState(value: PdfValue | undefined, drawing: Drawing): void {
    const { document } = this;
    const state = document.resolve(value);
    if (!(state instanceof PdfDict)) return;
    checkState(document, state);
    this.#add(document.dict(state, "SMask")?.get("G"), drawing);
  }
}

/** A limit still ends it. */
function unlessUnreadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const isUnreadable = error instanceof FormatError && error.code !== "limit_exceeded";
    if (isUnreadable) return undefined;
    throw error;
  }
}
