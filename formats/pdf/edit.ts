import type { PdfDocument, PdfObject } from "./document.ts";
import type { PdfUpdate } from "./update.ts";
import { PdfArray, PdfDict, type PdfDraft, PdfRef, type PdfValue } from "./value.ts";

/** A dictionary together with the indirect object that it stands in. */
export interface Located {
  object: PdfObject;
  dict: PdfDict;
  /** Its reference; undefined for a direct dictionary. */
  ref: PdfRef | undefined;
}

/** The dictionary that a value of `parent` is or refers to. */
export function locate(
  document: PdfDocument,
  parent: PdfObject,
  value: PdfValue | undefined,
): Located | undefined {
  if (value instanceof PdfDict) return { object: parent, dict: value, ref: undefined };
  const object = value instanceof PdfRef ? document.object(value) : undefined;
  if (!object || !(object.value instanceof PdfDict)) return undefined;
  return { object, dict: object.value, ref: value as PdfRef };
}

/** The dictionary under a key, wherever it stands. */
export function entry(document: PdfDocument, owner: Located, key: string): Located | undefined {
  return locate(document, owner.object, owner.dict.get(key));
}

/** The catalog, for changes to it. */
export function locatedCatalog(document: PdfDocument): Located {
  const object = document.catalog();
  return { object, dict: object.value, ref: new PdfRef(object.num, object.gen) };
}

/** Appends to the array under a key, wherever that stands; makes it where there is none. */
export function appendTo(
  update: PdfUpdate,
  owner: Located,
  key: string,
  items: readonly PdfDraft[],
): void {
  const value = owner.dict.get(key);
  const object = value instanceof PdfRef ? update.document.object(value) : owner.object;
  const array = value instanceof PdfRef ? object?.value : value;
  if (object && array instanceof PdfArray) {
    for (const item of items) update.edit(object).append(array, item);
  } else update.edit(owner.object).set(owner.dict, key, [...items]);
}
