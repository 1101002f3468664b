/** Allowed differences in a form and its fields. */
import type { Comparison, Pair } from "./compare.ts";
import { type Difference, type Path, pathName } from "./difference.ts";
import { isBounded } from "./drawn.ts";
import { readRectangle } from "./place.ts";
import { ancestorsOf, type FormField } from "../pdf/form.ts";
import {
  fromLatin1,
  PdfArray,
  PdfDict,
  PdfName,
  PdfRef,
  PdfString,
  type PdfValue,
} from "../pdf/value.ts";

/** Keys changed by filling in or signing a field. */
const FILL_KEYS = new Set("V AP AS I M RV DA Q".split(" "));
/** Allowed keys of a signature field, without actions. */
const SIGNATURE_FIELD_KEYS = new Set(
  ("Type Subtype FT T TU TM V DV F Ff Rect P AP AS MK BS Border H DR Lock SV DA Q NM M Kids Parent " +
    "StructParent").split(" "),
);
/** Entries that draw a widget, and entries that show or hide it. */
const DRAWN_BY = ["AP", "MK", "BS", "Border"];
const SHOWN_BY = new Set([...DRAWN_BY, "AS", "F", "Rect", "Subtype", "Kids"]);
const READ_ONLY = 1;
/** ISO 32000-2 Table 228. */
const PUSH_BUTTON = 65536;

const EMPTY = new PdfDict(new Map(), [], 0, 0);

export function fields(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  grow(c, a, b, path, {
    role: "field",
    added: (ref, step) => newField(c, ref, step),
    removed: (_, step) => c.refuse(step, "A form field was removed."),
  });
}

/** Compares arrays of references that may grow; what stays keeps its order. */
export function grow(
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
  if (!listable(before) || !listable(after)) return c.refuse(path);
  const old = before instanceof PdfArray ? before.items : [];
  const young = after instanceof PdfArray ? after.items : [];
  const key = (item: PdfValue) => item instanceof PdfRef ? item.num + item.gen * 2 ** 32 : -1;
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

export function form(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  const before = c.resolve("before", a) ?? EMPTY, after = c.resolve("after", b);
  if (after === null && before === EMPTY) return;
  if (!(before instanceof PdfDict) || !(after instanceof PdfDict)) return c.refuse(path);
  c.dicts(before, after, path, (key) => {
    switch (key) {
      case "Fields":
        return "fields";
      case "DR":
        return (x, y, step) => {
          if (changesFonts(c, before, x, y)) {
            c.doubt(step, "Fields without an appearance get another font.");
          }
          c.compare(x, y, "resources", step);
        };
      case "SigFlags":
        return (x, y, step) => {
          const kept = (typeof x === "number" ? x : 0) & 3;
          if (typeof y !== "number" || (y & kept) !== kept) c.refuse(step);
        };
      case "NeedAppearances":
        return (x, y, step) => {
          const isOff = (value: PdfValue) => value === false || value === null;
          // It decides whether a reader shows the stored appearances or its own.
          const isSame = y === x || (isOff(y) && (isOff(x) || !hasFilledFields(c)));
          if (!isSame) c.doubt(step);
        };
      case "DA":
      case "Q": {
        // Defaults that a form gets with its first field.
        const isHarmless = before.get(key) === undefined &&
          drawnByReader(c, before).every((field) => inherited(c, field, key) !== undefined);
        return isHarmless ? "free" : "strict";
      }
      default:
        return "strict";
    }
  });
}

export function field(c: Comparison, a: PdfValue, b: PdfValue, path: Path, self?: Pair): void {
  if (!(a instanceof PdfDict) || !(b instanceof PdfDict)) return c.refuse(path);
  const known = c.fieldOf("before", self?.before);
  const name = known?.name ?? pathName(path);
  const isSignature = known?.type === "Sig";
  const wasSigned = isSignature && c.before.resolve(known.value) !== null;
  // A push button keeps no value (ISO 32000-2 §12.7.5.2.2); what it shows stays as it is.
  const flags = known?.type === "Btn" ? c.before.number(a, "Ff") ?? 0 : 0;
  const fills = (key: string) => {
    if (wasSigned || (flags & PUSH_BUTTON) !== 0) return false;
    if (FILL_KEYS.has(key)) return true;
    return isSignature &&
      (key === "F" || (a.get(key) === undefined && SIGNATURE_FIELD_KEYS.has(key)));
  };
  const changed = new Set<string>();
  c.dicts(a, b, path, (key) => {
    if (key === "Kids") return "fields";
    if (key === "Parent") return "field";
    if (key === "Type" && a.get(key) === undefined && isName(b.get(key), "Annot")) return "free";
    if (key === "Ff") return (x, y, step) => flagsRule(c, x, y, step, name);
    if (!fills(key)) return "strict";
    return (x, y) => {
      if (!c.equal(x, y)) changed.add(key);
      c.free(x, y);
    };
  });
  if (changed.size === 0) return;
  if (!known) return inheritedFill(c, path, self);
  const now = c.fieldOf("after", self?.after);
  const isShownAnew = changed.keys().some((key) => SHOWN_BY.has(key));
  if (now && isShownAnew && !widgetsOf(c, now).every((each) => isBounded(c.after, each))) {
    return c.doubt(path, UNBOUNDED);
  }
  if (!isSignature) {
    return c.report({
      kind: "form_field",
      name,
      field: known.object.num,
      places: now && c.placesOf(now),
    });
  }
  if (!now) return c.refuse(path);
  const isPlaced = ["Subtype", "FT", "Rect"].some((key) => changed.has(key));
  if (isPlaced && !widgetsOf(c, now).every((widget) => isPlain(c, widget))) {
    return c.doubt(path, UNKNOWN_PARTS);
  }
  report(c, now, path, { isShownAnew });
}

const isName = (value: PdfValue | undefined, name: string) =>
  value instanceof PdfName && value.value === name;

/** What fields inherit was changed: each of them was filled in. */
function inheritedFill(c: Comparison, path: Path, self: Pair | undefined): void {
  const heirs = self ? c.heirsOf(self.before) : [];
  if (heirs.length === 0 || heirs.some(({ type }) => type === "Sig")) return c.refuse(path);
  for (const heir of heirs) {
    const { name, object } = heir;
    c.report({ kind: "form_field", name, field: object.num, places: c.placesOf(heir) });
  }
}

const inherited = (c: Comparison, { dict }: FormField, key: string): PdfValue | undefined =>
  [dict, ...ancestorsOf(c.before, dict).map(({ value }) => value as PdfDict)]
    .find((each) => each.get(key) !== undefined)?.get(key);

const hasFilledFields = (c: Comparison) => [...c.signedFields()].some(({ type }) => type !== "Sig");

/** Fields that each reader draws by itself, because they have no appearance or the form asks for it. */
function drawnByReader(c: Comparison, form: PdfDict): FormField[] {
  const { before } = c;
  const isAsked = before.get(form, "NeedAppearances") === true;
  return [...c.signedFields()].filter(({ type, dict }) => {
    const kids = before.array(dict, "Kids")?.items.map((kid) => before.resolve(kid)) ?? [dict];
    return type !== "Sig" &&
      (isAsked || kids.some((kid) => kid instanceof PdfDict && !before.dict(kid, "AP")));
  });
}

/** Whether fonts were added under names that fields drawn by the reader have used without having them. */
function changesFonts(c: Comparison, form: PdfDict, a: PdfValue, b: PdfValue): boolean {
  const namesIn = (which: "before" | "after", value: PdfValue) => {
    const resources = c.resolve(which, value);
    const fonts = resources instanceof PdfDict ? c[which].dict(resources, "Font") : undefined;
    return new Set(fonts?.entries.keys());
  };
  const added = namesIn("after", b).difference(namesIn("before", a));
  if (added.size === 0) return false;
  return drawnByReader(c, form).some((field) => {
    const text = c.before.resolve(inherited(c, field, "DA") ?? form.get("DA"));
    const words = text instanceof PdfString ? fromLatin1(text.bytes).split(/[\s/]+/) : [];
    return words.some((word) => added.has(word));
  });
}

/** A signature may make a field read-only; nothing else of its nature changes. */
function flagsRule(c: Comparison, a: PdfValue, b: PdfValue, path: Path, name: string): void {
  const before = c.resolve("before", a) ?? 0, after = c.resolve("after", b) ?? 0;
  if (before === after) return;
  const isLocked = typeof before === "number" && after === (before | READ_ONLY);
  if (isLocked) c.report({ kind: "read_only", name });
  else c.refuse(path);
}

function signatureKind(c: Comparison, field: FormField | undefined): Difference["kind"] {
  const value = c.after.resolve(field?.value);
  if (!(value instanceof PdfDict)) return "empty_signature_field";
  const isTimestamp = c.after.name(value, "Type") === "DocTimeStamp" &&
    c.after.name(value, "SubFilter") === "ETSI.RFC3161";
  return isTimestamp ? "timestamp" : "signature";
}

const widgetsOf = (c: Comparison, { dict }: FormField): PdfDict[] => [
  dict,
  ...(c.after.array(dict, "Kids")?.items ?? []).map((kid) => c.after.resolve(kid))
    .filter((kid) => kid instanceof PdfDict),
];

/** Reports a signature field, with the places where something is drawn in it, or where a reader may mark that it is empty. */
function report(
  c: Comparison,
  field: FormField,
  path: Path,
  { isNew, isShownAnew }: { isNew?: boolean; isShownAnew: boolean },
): void {
  // Its appearance would count as that of a signature in the other one.
  if (c.hasNamesake(field)) return c.doubt(path, "Another signature field has the same name.");
  const kind = signatureKind(c, field);
  const isBare = !widgetsOf(c, field).some((widget) =>
    DRAWN_BY.some((key) => widget.get(key) !== undefined)
  );
  const isSeen = isShownAnew && (!isBare || kind === "empty_signature_field");
  const places = isSeen ? c.placesOf(field) : [];
  c.report({ kind, name: field.name, field: field.object.num, isNew, places, isBare });
}

/** Whether every reader sees nothing but a widget of a signature field in it, in the same place. */
function isPlain(c: Comparison, widget: PdfDict): boolean {
  const { after } = c;
  const rectangle = widget.get("Rect");
  const subtype = after.name(widget, "Subtype");
  const type = after.name(widget, "FT");
  return (subtype === "Widget" || (subtype === undefined && rectangle === undefined)) &&
    (type === undefined || type === "Sig") &&
    (rectangle === undefined || readRectangle(after, rectangle) !== undefined);
}

const UNBOUNDED = "Its appearance has no bounds, and readers draw it anywhere.";
const UNKNOWN_PARTS = "A signature field with unknown parts was added.";

/** A new field has to be one for signatures, with nothing in it that acts. */
function newField(c: Comparison, ref: PdfRef, path: Path): void {
  const dict = c.after.object(ref)?.value;
  const field = c.fieldOf("after", ref);
  if (!(dict instanceof PdfDict) || !field || field.type !== "Sig") {
    return c.doubt(path, "A form field that is not for signatures was added.");
  }
  const widgets = [dict];
  c.newFields.add(ref.num);
  for (const kid of c.after.array(dict, "Kids")?.items ?? []) {
    const widget = c.after.resolve(kid);
    const isWidget = kid instanceof PdfRef && widget instanceof PdfDict && !c.before.object(kid) &&
      widget.get("Kids") === undefined;
    if (!isWidget) return c.doubt(path, UNKNOWN_PARTS);
    c.newFields.add(kid.num);
    widgets.push(widget);
  }
  const isKnown = widgets.every((widget) =>
    !widget.hasDuplicates && isPlain(c, widget) &&
    widget.entries.keys().every((key) => SIGNATURE_FIELD_KEYS.has(key))
  );
  if (!isKnown || c.before.object(ref)) return c.doubt(path, UNKNOWN_PARTS);
  c.free(dict);
  if (!widgets.every((widget) => isBounded(c.after, widget))) return c.doubt(path, UNBOUNDED);
  report(c, field, path, { isNew: true, isShownAnew: true });
}
