/** The place of a new field in the logical structure of a tagged PDF (ISO 32000-2 §14.7, ISO 14289-1 §7.18). */
import type { PdfDocument } from "../pdf/document.ts";
import { appendTo, entry, locate, type Located, locatedCatalog } from "../pdf/edit.ts";
import type { Page } from "../pdf/form.ts";
import type { PdfUpdate } from "../pdf/update.ts";
import { name, PdfArray, PdfDict, type PdfDraft, PdfRef } from "../pdf/value.ts";

/** Where the field's element goes. */
export interface Tagging {
  /** Number of the field in the parent tree, for its entry StructParent. */
  key: number;
  /** Adds the element once the field is there, and lets Tab follow the structure. */
  add(update: PdfUpdate, page: Page, field: PdfRef): void;
}

/** What it takes to tag a new field; undefined where the document is not tagged, or in no way that can be added to. */
export function taggingOf(document: PdfDocument): Tagging | undefined {
  const catalog = locatedCatalog(document);
  const marks = document.dict(catalog.dict, "MarkInfo");
  const root = entry(document, catalog, "StructTreeRoot");
  const tree = root && entry(document, root, "ParentTree");
  if (marks?.get("Marked") !== true || !root?.ref || !tree) return undefined;
  const numbered = tree.dict.get("Nums") !== undefined;
  if (!numbered && tree.dict.get("Kids") === undefined) return undefined;
  const parent = parentIn(document, root);
  if (!parent) return undefined;
  const next = document.number(root.dict, "ParentTreeNextKey");
  const key = numbered ? Math.max(next ?? 0, highest(document, tree) + 1) : next;
  if (key === undefined || !Number.isInteger(key) || key < 0) return undefined;
  return {
    key,
    add(update, page, field) {
      const element = update.add({
        Type: name("StructElem"),
        S: name("Form"),
        P: parent.ref!,
        Pg: page.ref,
        K: { Type: name("OBJR"), Obj: field, Pg: page.ref },
      });
      const kids = parent.dict.get("K");
      // A single kid, which is a reference here (see parentIn), becomes the first of two.
      if (kids === undefined || document.resolve(kids) instanceof PdfArray) {
        appendTo(update, parent, "K", [element]);
      } else update.edit(parent.object).set(parent.dict, "K", [kids as PdfDraft, element]);
      if (numbered) appendTo(update, tree, "Nums", [key, element]);
      else {
        const leaf = update.add({ Nums: [key, element], Limits: [key, key] });
        appendTo(update, tree, "Kids", [leaf]);
      }
      update.edit(root.object).set(root.dict, "ParentTreeNextKey", key + 1);
      if (page.dict.get("Tabs") === undefined) {
        update.edit(page.object).set(page.dict, "Tabs", name("S"));
      }
    },
  };
}

/** The element that holds all others, usually Document; else the root itself. */
function parentIn(document: PdfDocument, root: Located): Located | undefined {
  const canGrow = ({ dict }: Located) => {
    const kids = dict.get("K");
    return kids === undefined || kids instanceof PdfRef || kids instanceof PdfArray ||
      typeof kids === "number";
  };
  const kids = root.dict.get("K");
  const target = document.resolve(kids);
  const only = target instanceof PdfArray && target.items.length === 1 ? target.items[0] : kids;
  const element = only instanceof PdfRef ? locate(document, root.object, only) : undefined;
  if (element?.dict instanceof PdfDict && canGrow(element)) return element;
  return canGrow(root) ? root : undefined;
}

/** The highest number in a parent tree without levels. */
function highest(document: PdfDocument, tree: Located): number {
  const nums = document.array(tree.dict, "Nums")?.items ?? [];
  const keys = nums.filter((_, i) => i % 2 === 0).filter((each) => typeof each === "number");
  return keys.reduce((most, each) => Math.max(most, each), -1);
}
