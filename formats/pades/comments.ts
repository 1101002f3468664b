/** Comments that are added to a page: annotations that show the same to everybody and do nothing. */
import { isBounded } from "./drawn.ts";
import { readRectangle, type Rectangle } from "./place.ts";
import type { PdfDocument } from "../pdf/document.ts";
import { PdfArray, PdfDict, type PdfRef, PdfStream, type PdfValue } from "../pdf/value.ts";

/** Annotations of which a certification of level 3 speaks (ISO 32000-2 Table 171); no links, media, files or fields. */
const COMMENTS = new Set(
  ("Text FreeText Line Square Circle Polygon PolyLine Highlight Underline Squiggly StrikeOut " +
    "Caret Stamp Ink Popup").split(" "),
);
/** Entries that act, or show something else than the appearance. */
const ACTS = ["A", "AA", "PA", "OC", "MK", "RichMediaContent", "FS", "Movie", "Sound"];

/** Entries with points of what is drawn. */
const SHAPES = ["QuadPoints", "L", "InkList", "Vertices", "CL", "Path"];
/** Points, as of a line's width, by which they may stand outside. */
const MARGIN = 2;
/** An InkList has lists of points in it. */
const MAX_DEPTH = 2;

/** Whether pairs of coordinates, in arrays of arrays, are within a rectangle. */
function isWithin(
  document: PdfDocument,
  [left, bottom, right, top]: Rectangle,
  value: PdfValue | undefined,
  depth = 0,
): boolean {
  const points = document.resolve(value);
  if (!(points instanceof PdfArray)) return points === null;
  return points.items.every((item, i) => {
    const each = document.resolve(item);
    if (each instanceof PdfArray) {
      return depth < MAX_DEPTH &&
        isWithin(document, [left, bottom, right, top], each, depth + 1);
    }
    const [low, high] = i % 2 === 0 ? [left, right] : [bottom, top];
    return typeof each === "number" && each >= low - MARGIN && each <= high + MARGIN;
  });
}

/** Why an annotation may do or show more than its place says; undefined for a plain comment. */
export function commentDoubt(document: PdfDocument, ref: PdfRef): string | undefined {
  const dict = document.resolve(ref);
  const subtype = dict instanceof PdfDict ? document.name(dict, "Subtype") : undefined;
  if (!(dict instanceof PdfDict) || subtype === undefined || !COMMENTS.has(subtype)) {
    return "It is no comment.";
  }
  if (ACTS.some((key) => dict.get(key) !== undefined)) return "It may act, and not only show.";
  const rectangle = readRectangle(document, dict.get("Rect"));
  // poppler draws highlights by their points, whatever the appearance.
  const isPlaced = rectangle !== undefined &&
    SHAPES.every((key) => isWithin(document, rectangle, dict.get(key)));
  const appearance = document.dict(dict, "AP");
  // Without one each reader draws it in its own way, and not always within its rectangle.
  const isDrawn = subtype === "Popup" ||
    (appearance && isBounded(document, dict) && document.get(appearance, "N") instanceof PdfStream);
  return isPlaced && isDrawn ? undefined : "Readers show it in different ways.";
}
