/**
 * Allowed differences in the logical structure (ISO 32000-2 §14.7), which is not drawn but read aloud: a new field gets an
 * element; what there was stays as it was and in its order, and nothing is added that says anything.
 */
import type { Comparison } from "./compare.ts";
import type { Path } from "./difference.ts";
import { PdfArray, PdfDict, PdfName, PdfRef, type PdfValue, sameScalar } from "../pdf/value.ts";

/** Entries of the root and of its trees that get more items; those with a tree's pairs of key and value. */
const GROWING = new Set(["K", "Kids", "Nums", "Names"]);
const PAIRED = new Set(["Nums", "Names"]);
/** Entries that lead to more of the structure, and those of them that only lead back to its elements. */
const WITHIN = new Set(["P", "ParentTree", "IDTree"]);
const TREES = new Set(["ParentTree", "IDTree", "Kids", "Nums", "Names"]);
/** Entries of an element that only holds others. */
const WRAPPING = new Set("Type S P K".split(" "));
/** Entries of a new element or reference to a field that say nothing. */
const SILENT = new Set(
  "Type S P Pg K Obj ID Nums Kids Names Limits ParentTree ParentTreeNextKey IDTree".split(" "),
);

export function structure(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  if (a === null) return added(c, b, path);
  if (a instanceof PdfArray && b instanceof PdfArray) {
    // Elements by the numbers of the content marked for them.
    if (a.items.length !== b.items.length) return c.refuse(path);
    a.items.forEach((item, i) =>
      c.compare(item, b.items[i], "structure", { parent: path, step: i })
    );
    return;
  }
  if (!(a instanceof PdfDict) || !(b instanceof PdfDict)) {
    if (b === null || !sameScalar(a, b)) c.refuse(path);
    return;
  }
  const isRoot = isOfType(a, "StructTreeRoot");
  c.dicts(a, b, path, (key) => {
    if (isRoot && key === "K") {
      return (x, y, step) => grow(c, x, wrapped(c, y)?.get("K") ?? y, step, false);
    }
    // An element that stood in the root.
    if (key === "P") {
      return (x, y, step) => {
        const root = c.resolve("before", x), parent = c.after.resolve(y);
        const isWrapped = root instanceof PdfDict && isOfType(root, "StructTreeRoot") &&
          parent instanceof PdfDict && parent === wrapped(c, rootOf(c).get("K") ?? null);
        if (isWrapped) c.resolve("after", y);
        else c.compare(x, y, "structure", step);
      };
    }
    if (key === "ParentTreeNextKey" || key === "Limits") return "free";
    if (GROWING.has(key)) return (x, y, step) => grow(c, x, y, step, PAIRED.has(key));
    if (key === "Obj") return "annotation";
    // Some software writes an empty RoleMap.
    if (a.get(key) === undefined && isEmptyDict(c.after.get(b, key))) return "free";
    return WITHIN.has(key) ? "structure" : key === "Pg" ? "pages" : "strict";
  });
}

const isOfType = (value: PdfDict, type: string) => {
  const name = value.get("Type");
  return name instanceof PdfName && name.value === type;
};

/** The root of the present structure tree. */
function rootOf({ after }: Comparison): PdfDict {
  return after.dict(after.catalog().value, "StructTreeRoot") ?? new PdfDict(new Map(), [], 0, 0);
}

/** A new element that is the only one in the root and says nothing but `Document`: iText 8 puts the others into one. */
function wrapped(c: Comparison, kids: PdfValue): PdfDict | undefined {
  const list = c.after.resolve(kids);
  const [only, ...others] = list instanceof PdfArray ? list.items : [kids];
  if (others.length > 0 || !(only instanceof PdfRef) || c.before.object(only)) return undefined;
  const element = c.resolve("after", only);
  if (!(element instanceof PdfDict) || c.after.name(element, "S") !== "Document") return undefined;
  return element.entries.keys().every((key) => WRAPPING.has(key)) ? element : undefined;
}

const isEmptyDict = (value: PdfValue) => value instanceof PdfDict && value.entries.size === 0;

/** Compares an array whose items stay in their order, with others between them; a single value counts as such an array. */
function grow(c: Comparison, a: PdfValue, b: PdfValue, path: Path, isPaired: boolean): void {
  const list = (which: "before" | "after", value: PdfValue) => {
    const target = c.resolve(which, value);
    return target instanceof PdfArray ? target.items : target === null ? [] : [value];
  };
  const old = list("before", a), young = list("after", b);
  let i = 0;
  for (const item of young) {
    const step = { parent: path, step: i };
    if (i < old.length && isLike(c, old[i], item)) c.compare(old[i++], item, "structure", step);
    else if (!isPaired || item instanceof PdfRef || item instanceof PdfArray) {
      added(c, item, step, isPaired);
    }
  }
  if (i < old.length) c.refuse(path, "An entry was removed.");
}

/** Whether an item may correspond to another one; their contents are compared separately. */
function isLike(c: Comparison, a: PdfValue, b: PdfValue): boolean {
  if (b instanceof PdfRef && !(a instanceof PdfRef)) b = c.after.resolve(b);
  if (a instanceof PdfArray) return b instanceof PdfArray;
  return a instanceof PdfDict ? b instanceof PdfDict : sameScalar(a, b);
}

function added(c: Comparison, value: PdfValue, path: Path, isInTree = false): void {
  if (!isSilent(c, value, isInTree)) return c.doubt(path, "It may change what is read aloud.");
  c.report({ kind: "metadata", name: "structure tree" });
  c.free(value);
}

/** Whether new structure has neither text nor content, but at most new fields. */
function isSilent(c: Comparison, value: PdfValue, isInTree: boolean): boolean {
  const seen = new Set<number>();
  const stack: { item: PdfValue; isInTree: boolean }[] = [{ item: value, isInTree }];
  while (stack.length > 0) {
    const { item, isInTree } = stack.pop()!;
    if (item instanceof PdfRef) {
      // What was there would be read again; a tree only leads back to it.
      if (c.before.object(item) && !isInTree) return false;
      if (c.before.object(item) || seen.has(item.num)) continue;
      seen.add(item.num);
    }
    const target = c.after.resolve(item);
    if (target instanceof PdfArray) {
      for (const each of target.items) stack.push({ item: each, isInTree });
    } else if (target instanceof PdfDict) {
      for (const [key, entry] of target.entries) {
        if (!SILENT.has(key)) return false;
        if (key === "Obj" && !(entry instanceof PdfRef && !c.before.object(entry))) return false;
        if (key === "K") stack.push({ item: entry, isInTree: false });
        else if (TREES.has(key)) stack.push({ item: entry, isInTree: true });
      }
    } // A number is content that is marked with it.
    else if (target !== null && !isInTree) return false;
  }
  return true;
}
