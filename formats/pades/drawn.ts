/** Drawing areas of a document's annotations. */
import { displayedPlace, readRectangle, type Rectangle } from "./place.ts";
import type { PdfDocument } from "../pdf/document.ts";
import { findPage, pageRefs } from "../pdf/form.ts";
import { PdfDict, PdfRef } from "../pdf/value.ts";

/** A place that something is drawn in. */
export interface DrawnPlace {
  /** From 1. */
  page: number;
  /** In points, from the lower left corner of the page as it is displayed. */
  box: Rectangle;
  /** Of the page's area. */
  share: number;
}

/** Finds the places of annotations; the pages are looked through when they are first asked for. */
export class DrawnPlaces {
  #pages: Map<number, number[]> | undefined;

  constructor(readonly document: PdfDocument) {}

  /** On each page that has the annotation; none where it has no extent. */
  of(annotation: PdfRef): DrawnPlace[] {
    const { document } = this;
    const dict = document.resolve(annotation);
    const rectangle = dict instanceof PdfDict && readRectangle(document, dict.get("Rect"));
    if (!rectangle || rectangle[0] === rectangle[2] || rectangle[1] === rectangle[3]) return [];
    this.#pages ??= pagesOfAnnotations(document);
    return (this.#pages.get(annotation.num) ?? []).map((page) => ({
      page,
      ...displayedPlace(document, findPage(document, page), rectangle),
    }));
  }
}

function pagesOfAnnotations(document: PdfDocument): Map<number, number[]> {
  const out = new Map<number, number[]>();
  pageRefs(document).forEach((ref, i) => {
    const page = document.resolve(ref);
    const annotations = page instanceof PdfDict ? document.array(page, "Annots")?.items : undefined;
    for (const item of annotations ?? []) {
      if (!(item instanceof PdfRef)) continue;
      const known = out.get(item.num);
      if (known) known.push(i + 1);
      else out.set(item.num, [i + 1]);
    }
  });
  return out;
}
