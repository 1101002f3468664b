/** Where a page's content draws something besides text (ISO 32000-2 §8): images and vector drawings. */
import { FormatError } from "../error.ts";
import { joinContents } from "./content.ts";
import type { PdfDocument } from "./document.ts";
import type { Page } from "./form.ts";
import { isRegular, isSpace, PdfLexer } from "./lexer.ts";
import { PdfArray, PdfDict, PdfName, PdfRef, PdfStream, type PdfValue } from "./value.ts";

/** Operators of a page with its forms that are looked at; what is beyond is not seen. */
const MAX_OPERATORS = 500_000;
const MAX_FORM_DEPTH = 8;
const MAX_OPERANDS = 64;

type Matrix = readonly [number, number, number, number, number, number];
/** Lower left and upper right corner in the page's own coordinates. */
type Box = [x1: number, y1: number, x2: number, y2: number];

/** Something that is drawn. */
export interface Drawing {
  box: Box;
  /** Else it is lines or areas, which may be a page's background or frame. */
  isImage: boolean;
}

const IDENTITY: Matrix = [1, 0, 0, 1, 0, 0];

/** `inner` first, then `outer`. */
const times = (inner: Matrix, outer: Matrix): Matrix => [
  inner[0] * outer[0] + inner[1] * outer[2],
  inner[0] * outer[1] + inner[1] * outer[3],
  inner[2] * outer[0] + inner[3] * outer[2],
  inner[2] * outer[1] + inner[3] * outer[3],
  inner[4] * outer[0] + inner[5] * outer[2] + outer[4],
  inner[4] * outer[1] + inner[5] * outer[3] + outer[5],
];

const FILLS = new Set(["f", "F", "f*"]);
const STROKES = new Set(["S", "s", "B", "B*", "b", "b*"]);

/**
 * A page's images, and its lines and areas, each path as a whole.
 *
 * What cannot be read ends the search: then what was found so far is given.
 */
export function drawingsOf(document: PdfDocument, page: Page): Drawing[] {
  const search = new Search(document);
  try {
    const resources = page.inherited("Resources");
    search.content(
      contentOf(document, page.dict.get("Contents")),
      resources instanceof PdfDict ? resources : undefined,
      IDENTITY,
      0,
    );
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  return search.found;
}

function contentOf(document: PdfDocument, value: PdfValue | undefined): Uint8Array {
  const target = document.resolve(value);
  const items = target instanceof PdfArray ? target.items : value === undefined ? [] : [value];
  const pieces = items.flatMap((item) => {
    const object = item instanceof PdfRef ? document.object(item) : undefined;
    return object?.value instanceof PdfStream ? [document.streamData(object)] : [];
  });
  return joinContents(pieces);
}

class Search {
  readonly found: Drawing[] = [];
  #operators = 0;

  constructor(readonly document: PdfDocument) {}

  content(data: Uint8Array, resources: PdfDict | undefined, start: Matrix, depth: number): void {
    const lexer = new PdfLexer(data);
    const saved: [matrix: Matrix, lineWidth: number][] = [];
    let matrix = start;
    let lineWidth = 1;
    let operands: PdfValue[] = [];
    let path: Box | undefined;
    const point = (x: number, y: number) => path = around(path, matrix, [[x, y]]);
    for (;;) {
      lexer.skipSpace();
      if (lexer.pos >= data.length) return;
      const c = data[lexer.pos];
      if (!isRegular(c) || /[0-9+.-]/.test(String.fromCharCode(c))) {
        operands.push(lexer.value());
        if (operands.length > MAX_OPERANDS) operands = operands.slice(-MAX_OPERANDS);
        continue;
      }
      if (++this.#operators > MAX_OPERATORS) return;
      const operator = lexer.word();
      const n = operands.map((value) => typeof value === "number" ? value : NaN);
      switch (operator) {
        case "q":
          saved.push([matrix, lineWidth]);
          break;
        case "Q":
          [matrix, lineWidth] = saved.pop() ?? [matrix, lineWidth];
          break;
        case "w":
          lineWidth = n.at(-1) ?? lineWidth;
          break;
        case "cm":
          if (n.length >= 6) matrix = times(n.slice(-6) as unknown as Matrix, matrix);
          break;
        case "re":
          if (n.length >= 4) {
            const [x, y, width, height] = n.slice(-4);
            point(x, y);
            point(x + width, y + height);
            point(x + width, y);
            point(x, y + height);
          }
          break;
        case "m":
        case "l":
        case "c":
        case "v":
        case "y":
          for (let i = 0; i + 1 < n.length; i += 2) point(n[i], n[i + 1]);
          break;
        case "n":
          path = undefined;
          break;
        case "Do": {
          const name = operands.at(-1);
          if (name instanceof PdfName) this.#drawObject(name.value, resources, matrix, depth);
          break;
        }
        case "BI":
          skipInlineImage(lexer);
          this.#addImage(matrix);
          break;
        default:
          if (STROKES.has(operator)) {
            const [a, b, c, d] = matrix;
            this.#addPath(
              path,
              Math.max(Math.hypot(a, b), Math.hypot(c, d)) * Math.abs(lineWidth) / 2,
            );
          } else if (FILLS.has(operator)) this.#addPath(path);
          else break;
          path = undefined;
      }
      operands = [];
    }
  }

  #drawObject(name: string, resources: PdfDict | undefined, matrix: Matrix, depth: number): void {
    const { document } = this;
    const ref = resources && document.dict(resources, "XObject")?.get(name);
    const object = ref instanceof PdfRef ? document.object(ref) : undefined;
    if (!object || !(object.value instanceof PdfStream)) return;
    const { dict } = object.value;
    if (document.name(dict, "Subtype") !== "Form") return this.#addImage(matrix);
    if (depth >= MAX_FORM_DEPTH) return;
    const own = document.array(dict, "Matrix")?.items.map((item) => document.resolve(item));
    const inner = own?.length === 6 && own.every((each) => typeof each === "number")
      ? own as unknown as Matrix
      : IDENTITY;
    this.content(
      document.streamData(object),
      document.dict(dict, "Resources") ?? resources,
      times(inner, matrix),
      depth + 1,
    );
  }

  #addImage(matrix: Matrix): void {
    const box = around(undefined, matrix, UNIT);
    if (box.every(Number.isFinite)) this.found.push({ box, isImage: true });
  }

  /** @param edge beyond the path on each side */
  #addPath(path: Box | undefined, edge = 0): void {
    if (!path) return;
    const box: Box = [path[0] - edge, path[1] - edge, path[2] + edge, path[3] + edge];
    if (box.every(Number.isFinite)) this.found.push({ box, isImage: false });
  }
}

const UNIT: readonly (readonly [number, number])[] = [[0, 0], [1, 0], [0, 1], [1, 1]];

/** The box around one that is there and further points. */
function around(
  box: Box | undefined,
  [a, b, c, d, e, f]: Matrix,
  points: readonly (readonly [number, number])[],
): Box {
  let [x1, y1, x2, y2] = box ?? [Infinity, Infinity, -Infinity, -Infinity];
  for (const [px, py] of points) {
    const x = a * px + c * py + e, y = b * px + d * py + f;
    [x1, y1, x2, y2] = [Math.min(x1, x), Math.min(y1, y), Math.max(x2, x), Math.max(y2, y)];
  }
  return [x1, y1, x2, y2];
}

/** To behind `EI` (§8.9.7); the position is behind `BI`. */
function skipInlineImage(lexer: PdfLexer): void {
  const { data } = lexer;
  for (let at = lexer.pos; at + 2 < data.length; at++) {
    const isEnd = isSpace(data[at]) && data[at + 1] === 0x45 && data[at + 2] === 0x49 &&
      (at + 3 >= data.length || isSpace(data[at + 3]));
    if (!isEnd) continue;
    lexer.pos = at + 3;
    return;
  }
  lexer.pos = data.length;
}
