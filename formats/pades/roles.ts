import {
  type Compare,
  type Comparison,
  type EntryRule,
  type Pair,
  REAL,
  type Role,
} from "./compare.ts";
import { commentDoubt } from "./comments.ts";
import { type Path, pathName } from "./difference.ts";
import { field, fields, form, grow } from "./form_roles.ts";
import { structure } from "./structure_roles.ts";
import { dss, validationData } from "./validation_roles.ts";
import {
  becameReal,
  PdfArray,
  PdfDict,
  PdfName,
  PdfStream,
  PdfString,
  type PdfValue,
  sameScalar,
  textOf,
} from "../pdf/value.ts";

/** Allowed differences in each role, and how they are reported. */
export const ROLES: Readonly<Record<Role, Compare>> = {
  strict,
  trailer: inDicts(trailerRule),
  catalog: inDicts(catalogRule),
  extensions,
  structure,
  pages,
  annots,
  annotation,
  form,
  fields,
  field,
  resources,
  dictionary: additive("strict"),
  dss,
  vri: additive("vriEntry", "Type"),
  vriEntry: validationData,
};

/** Longest title that is told, in UTF-16 units. */
const MAX_TITLE = 100;

const EMPTY = new PdfDict(new Map(), [], 0, 0);

function strict(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  if (a instanceof PdfDict && b instanceof PdfDict) c.dicts(a, b, path, () => "strict");
  else if (a instanceof PdfStream && b instanceof PdfStream) {
    c.dicts(a.dict, b.dict, path, () => "strict");
  } else if (a instanceof PdfArray && b instanceof PdfArray) {
    if (a.items.length !== b.items.length) return c.refuse(path);
    if (becameReal(a, b)) c.doubt(path, REAL);
    a.items.forEach((item, i) => c.compare(item, b.items[i], "strict", { parent: path, step: i }));
  } else if (a === null && b !== null) c.doubt(path);
  else if (!sameScalar(a, b)) c.refuse(path);
}

function inDicts(rule: (c: Comparison, key: string) => EntryRule): Compare {
  return (c, a, b, path) => {
    if (!(a instanceof PdfDict) || !(b instanceof PdfDict)) return strict(c, a, b, path);
    c.dicts(a, b, path, (key) => rule(c, key));
  };
}

/** All but these belong to the section (ISO 32000-2 Tables 15 and 17), or mean something to their writer only. */
function trailerRule(c: Comparison, key: string): EntryRule {
  if (key === "Root") return "catalog";
  if (key === "Encrypt") return "strict";
  return key === "Info" ? information(c) : () => {};
}

function catalogRule(c: Comparison, key: string): EntryRule {
  switch (key) {
    case "Pages":
      return "pages";
    case "AcroForm":
      return "form";
    case "DSS":
      return "dss";
    case "Extensions":
      return "extensions";
    case "StructTreeRoot":
      return "structure";
    case "Metadata":
      return metadata(c, "XMP metadata");
    case "Version":
      return (_, b, path) => {
        if (!(b instanceof PdfName)) c.refuse(path);
      };
    default:
      return "strict";
  }
}

function metadata(c: Comparison, name: string) {
  return (a: PdfValue, b: PdfValue) => {
    if (!c.equal(a, b)) c.report({ kind: "metadata", name });
    c.free(a, b);
  };
}

/** The title is told by itself: many readers show it in their window's title bar. */
function information(c: Comparison): EntryRule {
  const titleOf = (which: "before" | "after", value: PdfValue): string => {
    const info = c.resolve(which, value);
    const title = info instanceof PdfDict ? c[which].get(info, "Title") : null;
    return title instanceof PdfString ? textOf(title).slice(0, MAX_TITLE) : "";
  };
  return (a, b) => {
    const title = titleOf("after", b);
    if (title !== titleOf("before", a)) c.report({ kind: "metadata", name: `title “${title}”` });
    metadata(c, "document information")(a, b);
  };
}

/** Which extensions of PDF a document uses (§7.12): their levels rise, and others are added. */
function extensions(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  if (!c.equal(a, b)) c.report({ kind: "metadata", name: "developer extensions" });
  c.free(a, b);
  if (a !== null && b === null) c.refuse(path);
}

/** Of pages (ISO 32000-2 §7.7.3.4). */
const INHERITED = new Set(["Resources", "MediaBox", "CropBox", "Rotate"]);

/** The page tree: its shape stays, and of a page only the annotations may grow. */
function pages(c: Comparison, a: PdfValue, b: PdfValue, path: Path, self?: Pair): void {
  if (a instanceof PdfArray && b instanceof PdfArray && a.items.length === b.items.length) {
    a.items.forEach((item, i) => c.compare(item, b.items[i], "pages", { parent: path, step: i }));
    return;
  }
  if (!(a instanceof PdfDict) || !(b instanceof PdfDict)) return strict(c, a, b, path);
  c.dicts(a, b, path, (key) => {
    if (key === "Kids" || key === "Parent") return "pages";
    if (key === "Annots") return "annots";
    // The order of tabbing; Acrobat sets it when it adds a field.
    if (key === "Tabs") return (_, y, step) => y instanceof PdfName ? undefined : c.refuse(step);
    // iText leaves its name in the tree's root.
    if (key === "ITXT" && a.get("Kids") !== undefined) return "free";
    // iText and OpenPDF write into a page what it inherits.
    if (INHERITED.has(key) && a.get(key) === undefined) {
      return (_, y, step) => {
        const inherited = self && c.inherited(self.before, a, key);
        const isSame = inherited !== undefined && !b.reals?.has(key) && c.equal(inherited, y);
        if (!isSame) strict(c, null, y, step);
        else c.free(y);
      };
    }
    // Its place in the structure tree.
    if (key === "StructParents" && a.get(key) === undefined) return "free";
    return "strict";
  });
}

function annots(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  grow(c, a, b, path, {
    role: "annotation",
    added: (ref, step) => c.newAnnotations.push({ ref, path: step }),
    removed: (ref, step) => {
      if (c.fieldOf("before", ref)) c.refuse(step, "A form field was taken from the page.");
      else c.report({ kind: "annotation", name: pathName(step), places: c.drawnBefore.of(ref) });
    },
  });
}

function annotation(c: Comparison, a: PdfValue, b: PdfValue, path: Path, self?: Pair): void {
  // Unchanged ones are walked, for what they refer to may have been changed.
  if (a === b) return strict(c, a, b, path);
  if (c.equal(a, b)) return;
  // Where it was, something may be seen now that it covered.
  const all = self ? [...c.drawnBefore.of(self.before), ...c.drawn.of(self.after)] : [];
  const places = [...new Map(all.map((place) => [JSON.stringify(place), place])).values()];
  const doubt = self && commentDoubt(c.after, self.after);
  c.report({ kind: "annotation", name: pathName(path), places, doubt });
  c.free(a, b);
}

/** The form's resources, which fields use in what they say about themselves (DA): its XObjects nobody does. */
function resources(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  additive("dictionary", "XObject")(c, a, b, path);
}

/** A dictionary that may get more entries, and in which one is of no account. */
function additive(role: "strict" | "dictionary" | "vriEntry", idle = "ProcSet"): Compare {
  return (c, a, b, path) => {
    const before = c.resolve("before", a) ?? EMPTY, after = c.resolve("after", b);
    if (!(before instanceof PdfDict) || !(after instanceof PdfDict)) {
      return strict(c, before === EMPTY ? null : before, after, path);
    }
    c.dicts(before, after, path, (key) => {
      // Nobody reads ProcSet any more (§14.2).
      if (key === "ProcSet" || key === idle) return "free";
      if (before.get(key) !== undefined) return role;
      if (role === "vriEntry") c.report({ kind: "validation_data", name: "DSS" });
      return "free";
    });
  };
}
