import type { Compare, Comparison, EntryRule, Role } from "./compare.ts";
import { type Path, pathName, sameScalar } from "./difference.ts";
import { PdfArray, PdfDict, PdfName, PdfRef, PdfStream, type PdfValue } from "../pdf/value.ts";

/** Entries of a trailer that belong to its section (ISO 32000-2 Tables 15 and 17). */
const SECTION_KEYS = new Set(
  "Size Prev XRefStm ID Type W Index Length Filter DecodeParms DL".split(" "),
);
/** What filling in or signing a field changes in it. */
const FILL_KEYS = new Set("V AP AS I M RV DA Q".split(" "));
/** What a new signature field may consist of; no actions among them. */
const NEW_FIELD_KEYS = new Set(
  ("Type Subtype FT T TU TM V F Ff Rect P AP AS MK BS Border Lock SV DA Q NM M Kids Parent " +
    "StructParent").split(" "),
);

const EMPTY = new PdfDict(new Map(), [], 0, 0);

/** What may differ in each role, and how it is reported. */
export const ROLES: Readonly<Record<Role, Compare>> = {
  strict,
  trailer: inDicts(trailerRule),
  catalog: inDicts(catalogRule),
  pages,
  annots,
  annotation,
  form,
  fields,
  field,
  resources: additive("dictionary"),
  dictionary: additive("strict"),
  dss,
  vri: additive("vriEntry"),
  vriEntry: validationData,
};

function strict(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  if (a instanceof PdfDict && b instanceof PdfDict) c.dicts(a, b, path, () => "strict");
  else if (a instanceof PdfStream && b instanceof PdfStream) {
    c.dicts(a.dict, b.dict, path, () => "strict");
  } else if (a instanceof PdfArray && b instanceof PdfArray) {
    if (a.items.length !== b.items.length) return c.refuse(path);
    a.items.forEach((item, i) => c.compare(item, b.items[i], "strict", { parent: path, step: i }));
  } else if (!sameScalar(a, b)) c.refuse(path);
}

function inDicts(rule: (c: Comparison, key: string) => EntryRule): Compare {
  return (c, a, b, path) => {
    if (!(a instanceof PdfDict) || !(b instanceof PdfDict)) return strict(c, a, b, path);
    c.dicts(a, b, path, (key) => rule(c, key));
  };
}

function trailerRule(c: Comparison, key: string): EntryRule {
  if (SECTION_KEYS.has(key)) return () => {};
  if (key === "Root") return "catalog";
  return key === "Info" ? metadata(c, "document information") : "strict";
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
      return "dictionary";
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

function metadata(c: Comparison, name: string): EntryRule {
  return (a, b) => {
    if (!c.equal(a, b)) c.report("metadata", name);
    c.free(a, b);
  };
}

/** The page tree: its shape stays, and of a page only the annotations may grow. */
function pages(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
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
    return "strict";
  });
}

function annots(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  grow(c, a, b, path, {
    role: "annotation",
    added: (ref, step) => c.newAnnotations.push({ ref, path: step }),
    removed: (ref, step) => {
      if (c.fieldOf("before", ref)) c.refuse(step, "A form field was taken from the page.");
      else c.report("annotation", pathName(step));
    },
  });
}

function fields(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  grow(c, a, b, path, {
    role: "field",
    added: (ref, step) => newField(c, ref, step),
    removed: (_, step) => c.refuse(step, "A form field was removed."),
  });
}

/** Compares arrays of references that may grow; what stays keeps its order. */
function grow(
  c: Comparison,
  a: PdfValue,
  b: PdfValue,
  path: Path,
  rules: {
    role: "annotation" | "field";
    added: (ref: PdfRef, path: Path) => void;
    removed: (ref: PdfRef, path: Path) => void;
  },
): void {
  const before = c.resolve("before", a) ?? null, after = c.resolve("after", b) ?? null;
  const listable = (value: PdfValue) => value === null || value instanceof PdfArray;
  if (!listable(before) || !listable(after)) return strict(c, before, after, path);
  const old = before instanceof PdfArray ? before.items : [];
  const young = after instanceof PdfArray ? after.items : [];
  const key = (item: PdfValue) => item instanceof PdfRef ? `${item.num} ${item.gen}` : "direct";
  const was = old.map(key), is = young.map(key);
  const present = { before: new Set(was), after: new Set(is) };
  const order = was.filter((each) => present.after.has(each));
  const stayed = is.filter((each) => present.before.has(each));
  if (order.length !== stayed.length || order.some((each, i) => each !== stayed[i])) {
    return c.refuse(path, "The order of its entries was changed.");
  }
  const direct = old.filter((item) => !(item instanceof PdfRef));
  young.forEach((item, i) => {
    const step = { parent: path, step: i };
    if (present.before.has(is[i])) {
      c.compare(item instanceof PdfRef ? item : direct.shift()!, item, rules.role, step);
    } else if (item instanceof PdfRef) rules.added(item, step);
    else c.refuse(step);
  });
  old.forEach((item, i) => {
    if (present.after.has(was[i])) return;
    const step = { parent: path, step: i };
    if (item instanceof PdfRef) rules.removed(item, step);
    else c.refuse(step, "An entry was removed.");
  });
}

function annotation(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  // Unchanged ones are walked, for what they refer to may have been changed.
  if (a === b) return strict(c, a, b, path);
  if (c.equal(a, b)) return;
  c.report("annotation", pathName(path));
  c.free(a, b);
}

function form(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  const before = c.resolve("before", a) ?? EMPTY, after = c.resolve("after", b);
  if (!(before instanceof PdfDict) || !(after instanceof PdfDict)) {
    return strict(c, before === EMPTY ? null : before, after, path);
  }
  c.dicts(before, after, path, (key) => {
    switch (key) {
      case "Fields":
        return "fields";
      case "DR":
        return "resources";
      case "SigFlags":
        return (x, y, step) => {
          const kept = (typeof x === "number" ? x : 0) & 3;
          if (typeof y !== "number" || (y & kept) !== kept) c.refuse(step);
        };
      case "NeedAppearances":
        return (x, y, step) => y === x || y === false || y === null ? undefined : c.refuse(step);
      case "DA":
      case "Q":
        // Defaults that a form gets with its first field.
        return before.get(key) === undefined ? "free" : "strict";
      default:
        return "strict";
    }
  });
}

function field(c: Comparison, a: PdfValue, b: PdfValue, path: Path, self?: PdfRef): void {
  if (!(a instanceof PdfDict) || !(b instanceof PdfDict)) return strict(c, a, b, path);
  const known = c.fieldOf("before", self);
  const isSignature = known?.type === "Sig";
  const wasSigned = isSignature && c.before.resolve(known.value) !== null;
  // A push button keeps no value (ISO 32000-2 §12.7.5.2.2); what it shows stays as it is.
  const isPushButton = known?.type === "Btn" && ((c.before.number(a, "Ff") ?? 0) & 65536) !== 0;
  let filled = false;
  c.dicts(a, b, path, (key) => {
    if (key === "Kids") return "fields";
    if (key === "Parent") return "field";
    const fills = FILL_KEYS.has(key) || (key === "F" && isSignature);
    if (!fills || wasSigned || isPushButton) return "strict";
    return (x, y) => {
      if (!c.equal(x, y)) filled = true;
      c.free(x, y);
    };
  });
  if (!filled) return;
  const name = known?.name ?? pathName(path);
  const value = isSignature ? c.after.resolve(c.fieldOf("after", self)?.value) : null;
  if (value instanceof PdfDict) c.report(signatureKind(c, value), name);
  else c.report("form_field", name);
}

function signatureKind(c: Comparison, value: PdfDict): "signature" | "timestamp" {
  const timestamp = c.after.name(value, "Type") === "DocTimeStamp" &&
    c.after.name(value, "SubFilter") === "ETSI.RFC3161";
  return timestamp ? "timestamp" : "signature";
}

/** A new field has to be one for signatures, with nothing in it that acts. */
function newField(c: Comparison, ref: PdfRef, path: Path): void {
  const dict = c.after.object(ref)?.value;
  const field = c.fieldOf("after", ref);
  if (!(dict instanceof PdfDict) || !field || field.type !== "Sig") {
    return c.refuse(path, "A form field that is not for signatures was added.");
  }
  const widgets = [dict];
  c.newFields.add(ref.num);
  for (const kid of c.after.array(dict, "Kids")?.items ?? []) {
    const widget = c.after.resolve(kid);
    if (!(kid instanceof PdfRef) || !(widget instanceof PdfDict) || c.before.object(kid)) {
      return c.refuse(path, "A signature field with unknown parts was added.");
    }
    c.newFields.add(kid.num);
    widgets.push(widget);
  }
  const known = widgets.every((widget) =>
    !widget.hasDuplicates && [...widget.entries.keys()].every((key) => NEW_FIELD_KEYS.has(key))
  );
  if (!known || c.before.object(ref)) {
    return c.refuse(path, "A signature field with unknown parts was added.");
  }
  c.free(dict);
  const visible = widgets.some((widget) => hasExtent(c, widget));
  const value = c.after.resolve(field.value);
  const kind = value instanceof PdfDict ? signatureKind(c, value) : "empty_signature_field";
  c.report(kind, field.name, visible);
}

function hasExtent(c: Comparison, widget: PdfDict): boolean {
  const corners = c.after.array(widget, "Rect")?.items.map((item) => c.after.resolve(item));
  if (!corners) return false;
  return corners[0] !== corners[2] && corners[1] !== corners[3];
}

/** A dictionary that may get more entries. */
function additive(role: "strict" | "dictionary" | "vriEntry"): Compare {
  return (c, a, b, path) => {
    const before = c.resolve("before", a) ?? EMPTY, after = c.resolve("after", b);
    if (!(before instanceof PdfDict) || !(after instanceof PdfDict)) {
      return strict(c, before === EMPTY ? null : before, after, path);
    }
    c.dicts(before, after, path, (key) => {
      if (before.get(key) !== undefined) return role;
      if (role === "vriEntry") c.report("validation_data", "DSS");
      return "free";
    });
  };
}

function dss(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  if (a === null) {
    c.report("validation_data", "DSS");
    return c.free(b);
  }
  validationData(c, a, b, path);
}

/** A DSS or VRI dictionary: its lists of streams may grow (EN 319 142-1 §5.4.2). */
function validationData(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  const before = c.resolve("before", a), after = c.resolve("after", b);
  if (!(before instanceof PdfDict) || !(after instanceof PdfDict)) {
    return strict(c, before, after, path);
  }
  c.dicts(before, after, path, (key) => {
    if (key === "VRI") return "vri";
    if (!/^(Certs?|CRLs?|OCSPs?)$/.test(key)) return "strict";
    return (x, y, step) => {
      const old = c.resolve("before", x) ?? null, young = c.resolve("after", y);
      if (!(young instanceof PdfArray) || !(old === null || old instanceof PdfArray)) {
        return strict(c, old, young, step);
      }
      const kept = old === null ? [] : old.items;
      const key = (item: PdfValue) => item instanceof PdfRef ? `${item.num} ${item.gen}` : "";
      const present = new Set(young.items.map(key));
      for (const [i, item] of kept.entries()) {
        if (!present.has(key(item))) c.refuse(step, "Validation data were removed.");
        else c.compare(item, item, "strict", { parent: step, step: i });
      }
      if (young.items.length > kept.length) c.report("validation_data", "DSS");
      const known = new Set(kept.map(key));
      c.free(...young.items.filter((item) => !known.has(key(item))));
    };
  });
}
