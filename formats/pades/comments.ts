/** Comments that are added to a page: annotations that show the same to everybody and do nothing. */
import { isBounded } from "./drawn.ts";
import { readRectangle } from "./place.ts";
import type { PdfDocument } from "../pdf/document.ts";
import { PdfDict, type PdfRef, PdfStream } from "../pdf/value.ts";

/** Annotations of which a certification of level 3 speaks (ISO 32000-2 Table 171); no links, media, files or fields. */
const COMMENTS = new Set(
  ("Text FreeText Line Square Circle Polygon PolyLine Highlight Underline Squiggly StrikeOut " +
    "Caret Stamp Ink Popup").split(" "),
);
/** Entries that act, or show something else than the appearance. */
const ACTS = ["A", "AA", "PA", "OC", "MK", "RichMediaContent", "FS", "Movie", "Sound"];

/** Why an annotation may do or show more than its place says; undefined for a plain comment. */
export function commentDoubt(document: PdfDocument, ref: PdfRef): string | undefined {
  const dict = document.resolve(ref);
  const subtype = dict instanceof PdfDict ? document.name(dict, "Subtype") : undefined;
  if (!(dict instanceof PdfDict) || subtype === undefined || !COMMENTS.has(subtype)) {
    return "It is no comment.";
  }
  if (ACTS.some((key) => dict.get(key) !== undefined)) return "It may act, and not only show.";
  const isPlaced = readRectangle(document, dict.get("Rect")) !== undefined;
  const appearance = document.dict(dict, "AP");
  // Without one each reader draws it in its own way, and not always within its rectangle.
  const isDrawn = subtype === "Popup" ||
    (appearance && isBounded(document, dict) && document.get(appearance, "N") instanceof PdfStream);
  return isPlaced && isDrawn ? undefined : "Readers show it in different ways.";
}
