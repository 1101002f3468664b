/** Drawing areas of a document's annotations. */
import { displayedPlace, readRectangle, type Rectangle } from "./place.ts";
import { PdfDocument } from "../pdf/document.ts";
import type { Located } from "../pdf/edit.ts";
import { findPage, type FormField, formFields, pageRefs } from "../pdf/form.ts";
import type { Source } from "../source.ts";
import { unlessMalformed } from "../pdf/malformed.ts";
import { PdfDict, PdfRef, PdfStream } from "../pdf/value.ts";

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

/** The widgets of a field: its kids, or itself (ISO 32000-2 §12.7.4.1). */
export function widgetsOf(
  document: PdfDocument,
  { object, dict }: FormField,
): (Located & { ref: PdfRef })[] {
  const kids = document.array(dict, "Kids")?.items ?? [];
  if (kids.length === 0) return [{ object, dict, ref: new PdfRef(object.num, object.gen) }];
  return kids.flatMap((kid) => {
    const object = kid instanceof PdfRef ? document.object(kid) : undefined;
    return object?.value instanceof PdfDict
      ? [{ object, dict: object.value, ref: kid as PdfRef }]
      : [];
  });
}

/**
 * Where the signature of a field is seen.
 *
 * @throws {FormatError} as `PdfDocument.open`
 */
export function placesOfSignature(source: Source, name: string): DrawnPlace[] {
  const document = PdfDocument.open(source);
  const field = formFields(document).find((each) => each.name === name);
  const places = new DrawnPlaces(document);
  return field ? widgetsOf(document, field).flatMap(({ ref }) => places.of(ref)) : [];
}

/**
 * Whether the appearances of an annotation stay within its rectangle for every reader: PDFium draws over the whole page where
 * a BBox is empty.
 */
export function isBounded(document: PdfDocument, annotation: PdfDict): boolean {
  const states = [...(document.dict(annotation, "AP")?.entries.values() ?? [])].flatMap((state) => {
    const target = document.resolve(state);
    return target instanceof PdfDict ? [...target.entries.values()] : [state];
  });
  return states.every((state) => {
    const object = state instanceof PdfRef ? document.object(state) : undefined;
    if (!(object?.value instanceof PdfStream)) return document.resolve(state) === null;
    const box = readRectangle(document, object.value.dict.get("BBox"));
    if (box && box[0] < box[2] && box[1] < box[3]) return true;
    return unlessMalformed(() => document.streamData(object).length) === 0;
  });
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
