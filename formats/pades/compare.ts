import { commentDoubt } from "./comments.ts";
import {
  type Difference,
  identityOf,
  MAX_DIFFERENCES,
  type Path,
  pathName,
  TOO_MANY,
} from "./difference.ts";
import { DrawnPlaces } from "./drawn.ts";
import type { PdfDocument, PdfObject } from "../pdf/document.ts";
import { ancestorsOf, type FormField, formFields, inheritedFrom, pageRefs } from "../pdf/form.ts";
import {
  becameReal,
  PdfArray,
  PdfDict,
  PdfName,
  PdfRef,
  PdfStream,
  type PdfValue,
  sameBytes,
  sameRef,
  sameScalar,
} from "../pdf/value.ts";
import { sameEntry } from "../pdf/xref.ts";

/**
 * The role in which a value is used. `strict` values must be identical; the other roles know which of their
 * entries may differ. An object reached in several roles must satisfy all of them.
 */
export type Role =
  | "strict"
  | "trailer"
  | "catalog"
  | "extensions"
  | "structure"
  | "pages"
  | "annots"
  | "annotation"
  | "form"
  | "fields"
  | "field"
  | "resources"
  | "dictionary"
  | "dss"
  | "vri"
  | "vriEntry";

/** The same thing in both revisions; its object may have got another number. */
export interface Pair {
  before: PdfRef;
  after: PdfRef;
}

/** Compares a value in its role. `self`: the objects that it is, where it is one. */
export type Compare = (
  comparison: Comparison,
  a: PdfValue,
  b: PdfValue,
  path: Path,
  self?: Pair,
) => void;

/** How one entry of a dictionary is compared; `free`: whatever it holds is allowed. */
export type EntryRule = Role | "free" | ((a: PdfValue, b: PdfValue, path: Path) => void);

const MAX_DEPTH = 500;
/** How far is looked for something that was touched. */
const MAX_STILL_DEPTH = 4;

/**
 * Compares two revisions of a document by value, from the trailer on, following every reference.
 *
 * Objects whose place in the file is the same are the same. Only others are compared, but all that may lead to them are
 * walked through, because it is what refers to an object that decides what may change in it.
 */
export class Comparison {
  /** Fields and widgets that are new. */
  readonly newFields = new Set<number>();
  /** Annotations that are new on a page; judged when all new fields are known. */
  readonly newAnnotations: { ref: PdfRef; path: Path }[] = [];
  readonly drawn: DrawnPlaces;
  readonly drawnBefore: DrawnPlaces;
  readonly #touched = new Set<number>();
  /** Objects with only one role: pages, fields, the form, the catalog. */
  readonly #identities = new Map<number, Role>();
  readonly #pages = { before: new Map<number, number>(), after: new Map<number, number>() };
  readonly #fields = { before: new Map<number, FormField>(), after: new Map<number, FormField>() };
  #heirs: Map<number, FormField[]> | undefined;
  #named: Map<string, FormField[]> | undefined;
  readonly #inherited = new Map<string, Map<number, number | undefined>>();
  readonly #queue: (Pair & { role: Role; path: Path })[] = [];
  readonly #seen = new Set<string>();
  readonly #free = new Set<PdfValue>();
  readonly #still = new Map<number, boolean>();
  /** Touched objects that some rule has looked at. */
  readonly #explained = new Set<number>();
  readonly #out = new Map<string, Difference>();

  constructor(
    readonly before: PdfDocument,
    readonly after: PdfDocument,
    readonly roles: Readonly<Record<Role, Compare>>,
  ) {
    this.drawn = new DrawnPlaces(after);
    this.drawnBefore = new DrawnPlaces(before);
  }

  run(): Difference[] {
    this.#findTouched();
    this.#findFields();
    this.#findIdentities();
    const { before, after } = this;
    this.compare(before.xref.trailer, after.xref.trailer, "trailer", { step: "trailer" });
    for (let task; (task = this.#queue.pop());) this.#visit(task, task.role, task.path);
    for (const { ref, path } of this.newAnnotations) {
      if (this.newFields.has(ref.num)) continue;
      const doubt = commentDoubt(this.after, ref);
      this.report({ kind: "annotation", name: pathName(path), places: this.drawn.of(ref), doubt });
      this.free(ref);
    }
    for (const num of this.#touched) {
      if (!this.#explained.has(num)) this.#unreached(num);
      else if (this.after.object(this.after.refOf(num))?.isOdd) {
        this.doubt(
          { step: `object ${num}` },
          "It is written so that programs read it differently.",
        );
      }
    }
    return [...this.#out.values()];
  }

  report(difference: Difference): void {
    const key = `${difference.kind} ${identityOf(difference)}`;
    const known = this.#out.get(key);
    // A field and its widgets are compared one by one, and not each of them is drawn anew.
    if (known && (known.places?.length || !difference.places?.length)) return;
    if (known || this.#out.size < MAX_DIFFERENCES) this.#out.set(key, difference);
    else this.#out.set("", TOO_MANY);
  }

  /** Signed content is different or missing. */
  refuse(path: Path, reason?: string): void {
    this.report({ kind: "other", name: pathName(path), reason });
  }

  /** Something was added that no rule knows. */
  doubt(path: Path, reason?: string): void {
    this.report({ kind: "other", name: pathName(path), reason, isAddition: true });
  }

  /** The field that an object is, or is a widget of. */
  fieldOf(which: "before" | "after", ref: PdfRef | undefined): FormField | undefined {
    return ref && this.#fields[which].get(ref.num);
  }

  /** Whether another signature field has the same name now. */
  hasNamesake({ name }: FormField): boolean {
    this.#named ??= Map.groupBy(
      formFields(this.after).filter(({ type }) => type === "Sig"),
      (each) => each.name,
    );
    return (this.#named.get(name)?.length ?? 0) > 1;
  }

  /** The fields of the signed revision. */
  signedFields(): Iterable<FormField> {
    return new Set(this.#fields.before.values());
  }

  /** Those of them that inherit from an object. */
  heirsOf({ num }: PdfRef): readonly FormField[] {
    if (!this.#heirs) {
      this.#heirs = new Map();
      for (const field of this.signedFields()) {
        for (const ancestor of ancestorsOf(this.before, field.dict)) {
          const known = this.#heirs.get(ancestor.num);
          if (known) known.push(field);
          else this.#heirs.set(ancestor.num, [field]);
        }
      }
    }
    return this.#heirs.get(num) ?? [];
  }

  /** A signed page's entry that it inherits, by its place in the tree and by its Parent alike. */
  inherited({ num }: PdfRef, page: PdfDict, key: string): PdfValue | undefined {
    const from = this.#inherited.getOrInsertComputed(key, () => inheritedFrom(this.before, key))
      .get(num);
    const values = ancestorsOf(this.before, page).map(({ num, value }) => ({
      num,
      value: (value as PdfDict).get(key),
    }));
    const nearest = values.find(({ value }) => value !== undefined);
    return nearest?.num === from ? nearest?.value : undefined;
  }

  /** Present drawing areas of a field's widgets. */
  placesOf(field: FormField): Difference["places"] {
    const { object: { num, gen }, dict } = field;
    const kids = this.after.array(dict, "Kids")?.items ?? [];
    return [new PdfRef(num, gen), ...kids].flatMap((ref) =>
      ref instanceof PdfRef ? this.drawn.of(ref) : []
    );
  }

  #findTouched(): void {
    const before = this.before.xref.entries, after = this.after.xref.entries;
    for (const [num, entry] of before) {
      if (entry && !sameEntry(entry, after.get(num))) this.#touched.add(num);
    }
    // A reference may have existed to a missing object.
    for (const num of after.keys()) if (!before.get(num)) this.#touched.add(num);
    // An object in an object stream changes with the stream.
    for (const [num, entry] of before) {
      if (entry && "container" in entry && this.#touched.has(entry.container)) {
        this.#touched.add(num);
      }
    }
  }

  #findFields(): void {
    for (const which of ["before", "after"] as const) {
      const document = this[which];
      for (const field of formFields(document)) {
        this.#fields[which].set(field.object.num, field);
        for (const kid of document.array(field.dict, "Kids")?.items ?? []) {
          if (kid instanceof PdfRef) this.#fields[which].set(kid.num, field);
        }
      }
      pageRefs(document).forEach(({ num }, i) => this.#pages[which].set(num, i));
    }
  }

  #findIdentities(): void {
    const { before } = this;
    const set = (num: number, role: Role) => {
      const known = this.#identities.get(num);
      this.#identities.set(num, known !== undefined && known !== role ? "strict" : role);
    };
    const catalog = before.catalog();
    set(catalog.num, "catalog");
    const form = catalog.value.get("AcroForm");
    if (form instanceof PdfRef) set(form.num, "form");
    const walk = (role: Role, roots: readonly PdfValue[]) => {
      const stack = [...roots];
      const seen = new Set<number>();
      while (stack.length > 0) {
        const value = stack.pop();
        if (value instanceof PdfRef) {
          if (seen.has(value.num)) continue;
          seen.add(value.num);
        }
        const dict = before.resolve(value);
        if (!(dict instanceof PdfDict)) continue;
        if (value instanceof PdfRef) set(value.num, role);
        for (const kid of before.array(dict, "Kids")?.items ?? []) stack.push(kid);
      }
    };
    walk("pages", [catalog.value.get("Pages") ?? null]);
    const acro = before.dict(catalog.value, "AcroForm");
    walk("field", acro ? before.array(acro, "Fields")?.items ?? [] : []);
  }

  #visit(pair: Pair, role: Role, path: Path): void {
    const { before: from, after: to } = pair;
    const identity = this.#identities.get(from.num);
    if (identity && (role === "strict" || role === "annotation" || role === "structure")) {
      role = identity;
    }
    const before = this.before.object(from);
    const isSame = sameRef(from, to) && !this.#touched.has(from.num);
    if (isSame && (!before || this.#leadsNowhere(before, role))) return;
    const key = `${from.num} ${to.num} ${role}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    if (isSame) return this.roles[role](this, before!.value, before!.value, path, pair);
    if (this.#pages.before.get(from.num) !== this.#pages.after.get(to.num)) {
      return this.refuse(path, "It refers to another page.");
    }
    this.#explained.add(from.num).add(to.num);
    const after = this.after.object(to);
    this.roles[role](this, before?.value ?? null, after?.value ?? null, path, pair);
    if (
      before?.value instanceof PdfStream && after?.value instanceof PdfStream &&
      !this.#sameData(before, after)
    ) this.refuse(path);
  }

  /**
   * Whether walking through an untouched object cannot lead to a touched one, pages aside that it belongs to: these are
   * compared in their tree.
   */
  #leadsNowhere(object: PdfObject, role: Role): boolean {
    if (!STRICT_WITHIN.has(role)) return false;
    const { within, page, parent } = outgoing(object);
    return this.#isPage(page) && (role === "pages" ? this.#isPage(parent) : !parent) &&
      within.every((ref) => this.#isStill(ref, 0));
  }

  #isPage(ref: PdfRef | undefined): boolean {
    return !ref || this.#identities.get(ref.num) === "pages";
  }

  /** Whether an object and all that it leads to is untouched, and may be seen in one role only. */
  #isStill(ref: PdfRef, depth: number): boolean {
    const { num } = ref;
    if (this.#touched.has(num) || this.#identities.has(num)) return false;
    const known = this.#still.get(num);
    if (known !== undefined || depth > MAX_STILL_DEPTH) return known ?? false;
    const object = this.before.object(ref);
    const { within, page, parent } = object ? outgoing(object) : NOTHING;
    const isStill = this.#isPage(page) && !parent &&
      within.every((each) => this.#isStill(each, depth + 1));
    this.#still.set(num, isStill);
    return isStill;
  }

  #sameData(before: PdfObject, after: PdfObject): boolean {
    return sameBytes(this.before.rawStream(before), this.after.rawStream(after));
  }

  compare(a: PdfValue, b: PdfValue, role: Role, path: Path): void {
    if (a instanceof PdfRef && b instanceof PdfRef) {
      this.#queue.push({ before: a, after: b, role, path });
    } else if (a instanceof PdfRef || b instanceof PdfRef) {
      // An indirect object became a direct one, or the other way round.
      this.compare(this.resolve("before", a), this.resolve("after", b), role, path);
    } else this.roles[role](this, a, b, path);
  }

  /** Compares dictionaries entry by entry as `rule` says. */
  dicts(a: PdfDict, b: PdfDict, path: Path, rule: (key: string) => EntryRule): void {
    if (a !== b && b.hasDuplicates) this.refuse(path, "An entry is given twice.");
    for (const key of new Set([...a.entries.keys(), ...b.entries.keys()])) {
      const step = { parent: path, step: key };
      const x = a.get(key) ?? null, y = b.get(key) ?? null;
      if (b.reals?.has(key) && !a.reals?.has(key) && x === y) this.doubt(step, REAL);
      const role = rule(key);
      if (typeof role === "function") role(x, y, step);
      else if (role === "free") this.free(x, y);
      else this.compare(x, y, role, step);
    }
  }

  /** Follows a reference of either revision for a rule that looks through it. */
  resolve(which: "before" | "after", value: PdfValue | undefined): PdfValue {
    if (value instanceof PdfRef) this.#explained.add(value.num);
    return this[which].resolve(value);
  }

  /** Whether two values and everything they refer to are equal, not following pages and fields. */
  equal(a: PdfValue, b: PdfValue, depth = 0, seen = new Set<string>()): boolean {
    if (depth > MAX_DEPTH) return false;
    if (a instanceof PdfRef && b instanceof PdfRef) {
      const isSame = sameRef(a, b);
      if (this.#identities.has(a.num)) return isSame;
      const key = `${a.num} ${b.num}`;
      if (seen.has(key)) return true;
      seen.add(key);
      const x = this.before.object(a);
      if (isSame && !this.#touched.has(a.num)) {
        return !x || this.equal(x.value, x.value, depth + 1, seen);
      }
      const y = this.after.object(b);
      if (x?.value instanceof PdfStream && y?.value instanceof PdfStream) {
        if (!this.#sameData(x, y)) return false;
      }
      return this.equal(x?.value ?? null, y?.value ?? null, depth + 1, seen);
    }
    const next = (x: PdfValue, y: PdfValue) => this.equal(x, y, depth + 1, seen);
    if (a instanceof PdfRef) return next(this.before.resolve(a), b);
    if (b instanceof PdfRef) return next(a, this.after.resolve(b));
    if (a instanceof PdfStream && b instanceof PdfStream) return next(a.dict, b.dict);
    if (a instanceof PdfArray && b instanceof PdfArray) {
      return a.items.length === b.items.length && !becameReal(a, b) &&
        a.items.every((x, i) => next(x, b.items[i]));
    }
    if (a instanceof PdfDict && b instanceof PdfDict) {
      return a.entries.size === b.entries.size && !becameReal(a, b) &&
        [...a.entries].every(([key, x]) => {
          const y = b.get(key);
          return y !== undefined && next(x, y);
        });
    }
    return sameScalar(a, b);
  }

  /** Takes what values refer to, in either revision, as looked at; pages and fields aside. */
  free(...values: PdfValue[]): void {
    while (values.length > 0) {
      const value = values.pop()!;
      if (value instanceof PdfRef) {
        if (this.#identities.has(value.num)) continue;
        this.#explained.add(value.num);
        for (const document of [this.before, this.after]) {
          const target = document.object(value)?.value ?? null;
          if (target === null || typeof target !== "object" || this.#free.has(target)) continue;
          this.#free.add(target);
          values.push(target);
        }
      } else if (value instanceof PdfArray) { for (const item of value.items) values.push(item); }
      else if (value instanceof PdfDict) values.push(...value.entries.values());
      else if (value instanceof PdfStream) values.push(...value.dict.entries.values());
    }
  }

  /** An object that changed although nothing in the signed revision refers to it. */
  #unreached(num: number): void {
    const ref = this.before.refOf(num);
    const before = this.before.object(ref), after = this.after.object(ref);
    if (isSection(before?.value) && isSection(after?.value)) return;
    if (!before || this.equal(ref, ref)) return;
    this.doubt({ step: `object ${num}` }, "An object that nothing refers to was replaced.");
  }
}

/** Roles in which an untouched object is walked through strictly, but for its kids and parents. */
const STRICT_WITHIN: ReadonlySet<Role> = new Set(["strict", "annotation", "field", "pages"]);

/** What an object refers to: the page it says it is on, its parent, and all else. */
interface Outgoing {
  within: readonly PdfRef[];
  page?: PdfRef;
  parent?: PdfRef;
}

const NOTHING: Outgoing = { within: [] };
const outgoings = new WeakMap<PdfObject, Outgoing>();

function outgoing(object: PdfObject): Outgoing {
  const found = outgoings.get(object);
  if (found) return found;
  const out: Outgoing & { within: PdfRef[] } = { within: [] };
  const stack: PdfValue[] = [];
  const top = object.value instanceof PdfStream ? object.value.dict : object.value;
  if (top instanceof PdfDict) {
    for (const [key, value] of top.entries) {
      if (key === "P" && value instanceof PdfRef) out.page = value;
      else if (key === "Parent" && value instanceof PdfRef) out.parent = value;
      else stack.push(value);
    }
  } else stack.push(top);
  for (let value; (value = stack.pop()) !== undefined;) {
    if (value instanceof PdfRef) out.within.push(value);
    else if (value instanceof PdfArray) { for (const item of value.items) stack.push(item); }
    else if (value instanceof PdfDict) stack.push(...value.entries.values());
  }
  outgoings.set(object, out);
  return out;
}

/** Programs that want an integer overlook `90.0`, or take it for 0. */
export const REAL = "A whole number is written as a real.";

/** Whether it is part of the file structure, whose entries were compared one by one. */
function isSection(value: PdfValue | undefined): boolean {
  const type = value instanceof PdfStream ? value.dict.get("Type") : undefined;
  return type instanceof PdfName && (type.value === "XRef" || type.value === "ObjStm");
}
