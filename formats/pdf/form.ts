import { FormatError } from "../error.ts";
import { entry, locate, type Located, locatedCatalog } from "./edit.ts";
import type { PdfDocument, PdfObject } from "./document.ts";
import { PdfArray, PdfDict, PdfName, PdfRef, PdfString, type PdfValue, textOf } from "./value.ts";
import type { Xref } from "./xref.ts";

const MAX_FIELDS = 200_000;
const MAX_FIELD_DEPTH = 64;
const MAX_PAGE_DEPTH = 64;

/** A terminal field of the interactive form (ISO 32000-2 §12.7.4). */
export interface FormField {
  /** Fully qualified name (§12.7.4.2). */
  name: string;
  object: PdfObject;
  dict: PdfDict;
  /** Tx, Btn, Ch or Sig; inherited. */
  type: string | undefined;
  /** The field's V, references not followed; inherited. */
  value: PdfValue;
}

/** The form of a document; undefined when it has none. */
function acroForm(document: PdfDocument): PdfDict | undefined {
  return document.dict(document.catalog().value, "AcroForm");
}

const known = new WeakMap<PdfDocument, { xref: Xref; fields: readonly FormField[] }>();

/** All terminal fields. A field whose kids have no names of their own is terminal; they are its widgets. */
export function formFields(document: PdfDocument): readonly FormField[] {
  const { xref } = document;
  const last = known.get(document);
  if (last?.xref === xref) return last.fields;
  const fields = readFields(document);
  // One that is mended on the way has another cross-reference afterwards.
  if (document.xref === xref) known.set(document, { xref, fields });
  return fields;
}

function readFields(document: PdfDocument): FormField[] {
  const form = acroForm(document);
  const out: FormField[] = [];
  const seen = new Set<number>();
  const visit = (
    items: readonly PdfValue[],
    prefix: string,
    type: string | undefined,
    value: PdfValue,
    depth: number,
  ) => {
    for (const item of items) {
      // Fields are indirect objects (§12.7.4.1); what is not cannot be signed or found.
      if (!(item instanceof PdfRef) || seen.has(item.num)) continue;
      seen.add(item.num);
      const object = document.object(item);
      if (!object || !(object.value instanceof PdfDict)) continue;
      if (depth > MAX_FIELD_DEPTH || seen.size > MAX_FIELDS) {
        throw new FormatError("limit_exceeded", "The PDF's form has too many fields.");
      }
      const dict = object.value;
      const partial = document.get(dict, "T");
      const name = partial instanceof PdfString
        ? prefix === "" ? textOf(partial) : `${prefix}.${textOf(partial)}`
        : prefix;
      const ownType = document.name(dict, "FT") ?? type;
      const ownValue = dict.get("V") ?? value;
      const kids = document.array(dict, "Kids");
      const named = kids?.items.some((kid) => {
        const child = document.resolve(kid);
        return child instanceof PdfDict && child.get("T") !== undefined;
      });
      if (named) visit(kids!.items, name, ownType, ownValue, depth + 1);
      else out.push({ name, object, dict, type: ownType, value: ownValue });
    }
  };
  const fields = form && document.array(form, "Fields");
  if (fields) visit(fields.items, "", undefined, null, 0);
  return out;
}

/** The objects from which a field or a page inherits, the nearest first. */
export function ancestorsOf(document: PdfDocument, heir: PdfDict): PdfObject[] {
  const out: PdfObject[] = [];
  for (let at = heir; out.length <= MAX_FIELD_DEPTH;) {
    const parent = at.get("Parent");
    const object = parent instanceof PdfRef ? document.object(parent) : undefined;
    if (!object || !(object.value instanceof PdfDict)) break;
    out.push(object);
    at = object.value;
  }
  return out;
}

/** A page together with what it inherits. */
export interface Page extends Located {
  /** Rotate, MediaBox, CropBox and Resources, inherited (ISO 32000-2 §7.7.3.4). */
  inherited(key: string): PdfValue;
}

/**
 * Finds a page by its number, the first being 1; subtrees before it are passed by their Count.
 *
 * @throws FormatError `not_found`; `pdf_malformed` when the page tree cannot be followed
 */
export function findPage(document: PdfDocument, number: number): Page {
  const path: Located[] = [];
  const seen = new Set<number>();
  let left = number - 1;
  let visited = 0;
  const search = (node: Located): boolean => {
    if (path.length > MAX_PAGE_DEPTH) {
      throw new FormatError("pdf_malformed", "The PDF is damaged: its pages nest too deeply.");
    }
    path.push(node);
    const kids = document.array(node.dict, "Kids");
    if (!kids) {
      if (document.name(node.dict, "Type") !== "Pages" && left-- === 0) return true;
      path.pop();
      return false;
    }
    for (const item of kids.items) {
      if (++visited > MAX_FIELDS) {
        throw new FormatError("limit_exceeded", "The PDF has too many pages.");
      }
      if (item instanceof PdfRef) {
        if (seen.has(item.num)) continue;
        seen.add(item.num);
      }
      const kid = locate(document, node.object, item);
      if (!kid) continue;
      const count = kid.dict.get("Kids") === undefined
        ? undefined
        : document.number(kid.dict, "Count");
      if (count !== undefined && count >= 0 && count <= left) left -= count;
      else if (search(kid)) return true;
    }
    path.pop();
    return false;
  };
  const root = entry(document, locatedCatalog(document), "Pages");
  if (!root) throw new FormatError("pdf_malformed", "The PDF is damaged: it has no pages.");
  if (!Number.isInteger(number) || number < 1 || !search(root)) {
    throw new FormatError("not_found", `The PDF has no page ${number}.`);
  }
  const page = path[path.length - 1];
  return {
    ...page,
    inherited(key) {
      for (let i = path.length - 1; i >= 0; i--) {
        const value = document.get(path[i].dict, key);
        if (value !== null) return value;
      }
      return null;
    },
  };
}

/**
 * From which objects of the page tree pages, and nodes of the tree, have an entry by their places in it: some readers go
 * by these, others by Parent. Undefined where it has several places that differ, or inherits none.
 */
export function inheritedFrom(document: PdfDocument, key: string): Map<number, number | undefined> {
  const out = new Map<number, number | undefined>();
  type Place = { value: PdfValue; from?: number };
  const stack: Place[] = [{ value: document.catalog().value.get("Pages") ?? null }];
  while (stack.length > 0) {
    const { value, from } = stack.pop()!;
    if (!(value instanceof PdfRef)) continue;
    const isKnown = out.has(value.num);
    const known = out.get(value.num);
    if (isKnown && (known === undefined || known === from)) continue;
    out.set(value.num, isKnown ? undefined : from);
    const node = document.resolve(value);
    if (!(node instanceof PdfDict)) continue;
    const owner = node.get(key) === undefined ? from : value.num;
    for (const kid of document.array(node, "Kids")?.items ?? []) {
      stack.push({ value: kid, from: owner });
    }
  }
  return out;
}

/** The pages in their order, those that are objects. */
export function pageRefs(document: PdfDocument): PdfRef[] {
  const out: PdfRef[] = [];
  const seen = new Set<number>();
  const stack: PdfValue[] = [document.catalog().value.get("Pages") ?? null];
  while (stack.length > 0) {
    const value = stack.pop()!;
    if (value instanceof PdfRef) {
      if (seen.has(value.num)) continue;
      seen.add(value.num);
    }
    const node = document.resolve(value);
    if (!(node instanceof PdfDict)) continue;
    const kids = document.array(node, "Kids");
    if (kids) stack.push(...kids.items.toReversed());
    else if (value instanceof PdfRef) out.push(value);
  }
  return out;
}

/** Entries of a signature field's value (ISO 32000-2 §12.8.1). */
export function signatureValue(document: PdfDocument, field: FormField): PdfDict | undefined {
  if (field.type !== "Sig") return undefined;
  const value = document.resolve(field.value);
  return value instanceof PdfDict ? value : undefined;
}

/** The strings or names of an array, whatever else is in it left out. */
export function texts(document: PdfDocument, value: PdfValue | undefined): string[] {
  const array = document.resolve(value);
  if (!(array instanceof PdfArray)) return [];
  return array.items.flatMap((item) => {
    const text = document.resolve(item);
    return text instanceof PdfString ? [textOf(text)] : text instanceof PdfName ? [text.value] : [];
  });
}
