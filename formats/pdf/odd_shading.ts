/** Shadings (ISO 32000-2 §8.7.4.5), as far as readers paint them differently. */
import { odd } from "./content.ts";
import type { PdfDocument } from "./document.ts";
import { checkSpace } from "./odd_colour.ts";
import { checkFunction, numbersOf, wholeOf } from "./odd_function.ts";
import { componentsOf, INDEXED } from "./odd_resources.ts";
import { PdfArray, PdfDict, PdfRef, PdfStream, type PdfValue } from "./value.ts";

const COORDINATE_BITS = new Set([1, 2, 4, 8, 12, 16, 24, 32]);
const COLOUR_BITS = new Set([1, 2, 4, 8, 12, 16]), FLAG_BITS = new Set([2, 4, 8]);

export function checkShading(document: PdfDocument, value: PdfValue | undefined): void {
  const shading = document.resolve(value);
  const dict = shading instanceof PdfStream ? shading.dict : shading;
  if (!(dict instanceof PdfDict)) return;
  const space = dict.get("ColorSpace");
  const components = componentsOf(document, "", document.resolve(space));
  if (components < 1 || components >= INDEXED) odd();
  checkSpace(document, space);
  if ((numbersOf(document, dict, "BBox")?.length ?? 4) !== 4) odd();
  const type = wholeOf(document, dict, "ShadingType") ?? 0;
  const functions = dict.get("Function");
  const isByFunction = document.resolve(functions) !== null;
  if (isByFunction) checkFunctions(document, functions, components);
  if (type === 2 || type === 3) {
    if (!isByFunction) odd();
    const domain = numbersOf(document, dict, "Domain") ?? [0, 1];
    const coordinates = numbersOf(document, dict, "Coords") ?? [];
    if (domain.length !== 2 || !(domain[0] < domain[1])) odd();
    if (coordinates.length !== 2 * type) odd();
    checkPlace(coordinates);
  } else if (type >= 4 && type <= 7 && value instanceof PdfRef && shading instanceof PdfStream) {
    checkMesh(document, value, dict, type, isByFunction ? 1 : components);
  } else odd();
}

function checkFunctions(document: PdfDocument, value: PdfValue | undefined, components: number) {
  const functions = document.resolve(value);
  if (!(functions instanceof PdfArray)) return checkFunction(document, value, 1, components);
  const { items } = functions;
  const each = items.length === components ? 1 : items.length === 1 ? components : odd();
  for (const item of items) checkFunction(document, item, 1, each);
}

/** From a point to itself, or from a circle to the same, some readers paint everything and others nothing. */
function checkPlace(coordinates: readonly number[]): void {
  if (coordinates.length === 4) {
    const [x, y, toX, toY] = coordinates;
    if (x === toX && y === toY) odd();
  } else {
    const [x, y, radius, toX, toY, toRadius] = coordinates;
    if (radius < 0 || toRadius < 0 || (x === toX && y === toY && radius === toRadius)) odd();
  }
}

function checkMesh(
  document: PdfDocument,
  ref: PdfRef,
  dict: PdfDict,
  type: number,
  colours: number,
): void {
  const bits = (key: string) => wholeOf(document, dict, key) ?? 0;
  const flagBits = bits("BitsPerFlag");
  const isRight = COORDINATE_BITS.has(bits("BitsPerCoordinate")) &&
    COLOUR_BITS.has(bits("BitsPerComponent")) &&
    (type === 5 ? bits("VerticesPerRow") >= 2 : FLAG_BITS.has(flagBits));
  if (!isRight || numbersOf(document, dict, "Decode")?.length !== 4 + 2 * colours) odd();
  // The first of them continues none.
  const [first = 0] = document.streamData(document.object(ref)!);
  if (type !== 5 && (first >> (8 - flagBits) & 3) !== 0) odd();
}
