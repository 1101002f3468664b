import { FormatError } from "../error.ts";
import { fillContents } from "./contents.ts";
import { type FieldLock, lockDraft } from "./locks.ts";
import { type DrawnPlace, DrawnPlaces, widgetsOf } from "./drawn.ts";
import {
  type Box,
  boxOf,
  displayedPlace,
  findSpot,
  type Place,
  readRectangle,
  type Rectangle,
  visiblePart,
} from "./place.ts";
import { type Tagging, taggingOf } from "./tagged.ts";
import type { PdfDocument } from "../pdf/document.ts";
import { appendTo, entry, locatedCatalog } from "../pdf/edit.ts";
import { findPage, type FormField, type Page } from "../pdf/form.ts";
import type { PdfUpdate } from "../pdf/update.ts";
import {
  latin1,
  name,
  PdfDict,
  type PdfDraft,
  PdfRef,
  serialize,
  textString,
} from "../pdf/value.ts";

/** Appearance of a visible signature. */
export interface Appearance {
  /** Place of a new field; an existing field has its own. Pages count from 1. */
  place?: Place;
  /**
   * Adds what it needs to the revision and gives back a form XObject, its BBox of the size of
   * the box with the origin at the lower left.
   */
  draw(update: Pick<PdfUpdate, "add" | "addStream">, box: Box): PdfRef;
}

/**
 * A revision with room for a signature. What is signed is the original and `appended` without
 * that room, in this order: see {@link signedBytes}.
 */
export interface PreparedSignature {
  /** Name of the signed field. */
  readonly field: string;
  /** The field was not there before. */
  readonly isNew: boolean;
  /** Where its appearance is drawn; of a field that is there already, each of its widgets. */
  readonly places: readonly DrawnPlace[];
  /** The bytes to append, the signature still zeros. */
  readonly appended: Uint8Array;
  /** ISO 32000-2 §12.8.1: two pairs of offset and length in the whole file. */
  readonly byteRange: readonly [0, number, number, number];
  /** Whether the file's cross-reference was broken, so that the revision contains a complete one. */
  readonly repaired: boolean;
  /**
   * Puts a CMS (DER) or timestamp token into its place.
   *
   * @returns the bytes to append to the original
   * @throws FormatError `space_too_small`
   */
  complete(cms: Uint8Array): Uint8Array;
}

/** Enough for a chain of four certificates and a timestamp. */
const CONTENTS_SIZE = 16 * 1024;
const MAX_CONTENTS_SIZE = 1 << 20;
/** Print and Locked (ISO 32000-2 Table 167); PDF/A demands Print. */
const WIDGET_FLAGS = 4 | 128;
/** Invisible, Hidden, NoView and ToggleNoView: drawn in print alone, or at times. */
const UNSEEN_FLAGS = 1 | 2 | 32 | 256;
/** SignaturesExist and AppendOnly (ISO 32000-2 Table 225). */
const SIG_FLAGS = 3;

/** Properties of a new field. */
export interface FieldOptions {
  /** Locks fields of the form from this signature on. */
  lock?: FieldLock;
  appearance?: Appearance;
  /** For screen readers, in place of the field's name. */
  description?: string;
  /** Not even an empty one, which validators take for a change that a certification forbids. */
  withoutAppearance?: boolean;
}

/** The field that will be signed; new unless it exists. */
export interface Target {
  name: string;
  existing?: FormField;
  /** Of a new field. */
  page?: Page;
  /** Of a new field in a tagged document without signatures. */
  tagging?: Tagging;
}

/**
 * Finds an empty signature field by its name, or a name and the page for a new one.
 *
 * @throws FormatError `not_found` (page, field); `invalid_argument` for a field that is signed or no signature's
 */
export function chooseField(
  document: PdfDocument,
  fields: readonly FormField[],
  wanted: string | undefined,
  page: number,
): Target {
  const fresh = (name: string): Target => {
    const found = findPage(document, page);
    // Read now, see PdfUpdate.
    document.get(found.dict, "Annots");
    // Validators may call a change of the structure a change of what was signed before.
    const isSigned = fields.some(({ type, value }) => type === "Sig" && value !== null);
    return { name, page: found, tagging: isSigned ? undefined : taggingOf(document) };
  };
  if (wanted === undefined) {
    const taken = new Set(fields.map((field) => field.name));
    let number = 1;
    while (taken.has(`Signature${number}`)) number++;
    return fresh(`Signature${number}`);
  }
  const existing = fields.find((field) => field.name === wanted);
  if (!existing) {
    if (fields.some((field) => field.name.startsWith(`${wanted}.`))) {
      throw new FormatError(
        "invalid_argument",
        `“${wanted}” is a group of fields. Name one field of it.`,
      );
    }
    if (wanted === "" || wanted.includes(".")) {
      throw new FormatError("not_found", `The PDF has no field “${wanted}”.`);
    }
    return fresh(wanted);
  }
  if (existing.type !== "Sig") {
    throw new FormatError("invalid_argument", `The field “${wanted}” is not a signature field.`);
  }
  if (document.resolve(existing.value) !== null) {
    throw new FormatError("invalid_argument", `The field “${wanted}” is already signed.`);
  }
  return { name: wanted, existing };
}

/** A signature dictionary whose ByteRange and Contents are still to be filled in. */
export interface SignatureObject {
  ref: PdfRef;
  /** Within the object's syntax: where ByteRange's array and Contents' token begin. */
  rangeAt: number;
  contentsAt: number;
  size: number;
}

/** Room for `[0 n n n]` with numbers of up to 15 digits. */
const RANGE_WIDTH = 51;

/** Writes the signature dictionary, ByteRange and Contents first so that their places are known. */
export function signatureObject(
  update: PdfUpdate,
  size = CONTENTS_SIZE,
  entries: { [key: string]: PdfDraft | undefined },
): SignatureObject {
  if (!Number.isInteger(size) || size < 1 || size > MAX_CONTENTS_SIZE) {
    throw new FormatError(
      "invalid_argument",
      "The space reserved for a signature must be 1 byte to 1 MiB.",
    );
  }
  const ref = update.reserve();
  const { crypt } = update.document;
  const rest = serialize(
    entries,
    crypt && ((bytes) => crypt.encryptString(bytes, ref.num, ref.gen)),
  );
  const range = "<< /ByteRange ";
  const contents = " /Contents ";
  update.putRaw(
    ref,
    latin1(range + " ".repeat(RANGE_WIDTH) + contents + "<"),
    new Uint8Array(2 * size).fill(0x30),
    latin1(">" + rest.slice(2)),
  );
  return {
    ref,
    rangeAt: range.length,
    contentsAt: range.length + RANGE_WIDTH + contents.length,
    size,
  };
}

/**
 * Puts the signature into its field, adds the field where it is new, and finishes the revision.
 *
 * @throws FormatError `not_found`, `invalid_argument` and `pdf_malformed` of a new field's page
 */
export function writeField(
  update: PdfUpdate,
  target: Target,
  signature: SignatureObject,
  options: FieldOptions,
): PreparedSignature {
  const { document } = update;
  let places: readonly DrawnPlace[] = [];
  if (target.existing) {
    const { object, dict } = target.existing;
    update.edit(object).set(dict, "V", signature.ref);
    if (options.appearance) places = drawExisting(update, target.existing, options.appearance);
  } else places = addField(update, target, signature.ref, options);
  setSigFlags(update);

  const { bytes, offsets } = update.finish();
  const { size } = document.file;
  const header = `${signature.ref.num} 0 obj\n`.length;
  const body = offsets.get(signature.ref.num)! + header;
  const contentsAt = body + signature.contentsAt;
  const contentsEnd = contentsAt + 2 * signature.size + 2;
  const byteRange = [
    0,
    size + contentsAt,
    size + contentsEnd,
    bytes.length - contentsEnd,
  ] as const;
  bytes.set(latin1(`[${byteRange.join(" ")}]`), body + signature.rangeAt);
  return {
    field: target.name,
    isNew: !target.existing,
    places,
    appended: bytes,
    byteRange,
    repaired: document.recovered,
    complete: (cms) => fillContents(bytes, contentsAt, contentsEnd, cms),
  };
}

/** Adds a field that is its own widget to the form and to its page. */
function addField(
  update: PdfUpdate,
  target: Target,
  value: PdfRef,
  options: FieldOptions,
): DrawnPlace[] {
  const { document } = update;
  const { appearance, lock } = options;
  if (appearance && !appearance.place) {
    throw new FormatError(
      "invalid_argument",
      "A new visible signature needs a page and a rectangle.",
    );
  }
  const page = target.page!;
  const spot = appearance && findSpot(document, page, appearance.place!);
  const drawn = () =>
    appearance
      ? appearance.draw(update, spot!.box)
      // PDF/A-1 wants an appearance of every field (ISO 19005-1 §6.9).
      : update.addStream(
        { Type: name("XObject"), Subtype: name("Form"), BBox: [0, 0, 0, 0] },
        new Uint8Array(),
      );
  const field = update.add({
    Type: name("Annot"),
    Subtype: name("Widget"),
    FT: name("Sig"),
    T: textString(target.name),
    V: value,
    F: WIDGET_FLAGS,
    Rect: spot?.rectangle ?? [0, 0, 0, 0],
    P: page.ref,
    TU: options.description === undefined ? undefined : textString(options.description),
    StructParent: target.tagging?.key,
    AP: options.withoutAppearance ? undefined : { N: drawn() },
    Lock: lock && update.add({ Type: name("SigFieldLock"), ...lockDraft(lock) }),
  });
  appendTo(update, page, "Annots", [field]);
  target.tagging?.add(update, page, field);
  const catalog = locatedCatalog(document);
  const acro = entry(document, catalog, "AcroForm");
  if (acro) appendTo(update, acro, "Fields", [field]);
  else {update.edit(catalog.object).set(catalog.dict, "AcroForm", {
      Fields: [field],
      SigFlags: SIG_FLAGS,
    });}
  if (!spot) return [];
  return [{ page: appearance.place!.page, ...displayedPlace(document, page, spot.rectangle) }];
}

function setSigFlags(update: PdfUpdate): void {
  const { document } = update;
  const catalog = locatedCatalog(document);
  const acro = entry(document, catalog, "AcroForm");
  // A form that was only just made has its flags.
  if (!acro) return;
  const flags = document.number(acro.dict, "SigFlags") ?? 0;
  if ((flags & SIG_FLAGS) !== SIG_FLAGS) {
    update.edit(acro.object).set(acro.dict, "SigFlags", flags | SIG_FLAGS);
  }
}

/** Draws in each widget of a field, no further than its page goes. */
function drawExisting(
  update: PdfUpdate,
  field: FormField,
  appearance: Appearance,
): DrawnPlace[] {
  const { document } = update;
  const places = new DrawnPlaces(document);
  return widgetsOf(document, field).flatMap(({ object, dict, ref }) => {
    const rectangle = readRectangle(document, dict.get("Rect"));
    const found = places.of(ref);
    // A field without extent is an invisible one.
    if (!rectangle || found.length === 0) return [];
    if (found.length > 1) {
      throw new FormatError(
        "invalid_argument",
        `The field “${field.name}” appears on several pages.`,
      );
    }
    const flags = document.number(dict, "F") ?? 0;
    if ((flags & UNSEEN_FLAGS) !== 0 || dict.get("OC") !== undefined) {
      throw new FormatError(
        "invalid_argument",
        `The field “${field.name}” is not shown on every screen and in every print.`,
      );
    }
    const page = findPage(document, found[0].page);
    const seen = visiblePart(document, page, rectangle);
    if (seen[0] === seen[2] || seen[1] === seen[3]) {
      throw new FormatError("invalid_argument", `The field “${field.name}” is not on its page.`);
    }
    const form = appearance.draw(update, boxOf(seen, widgetRotation(document, dict)));
    update.edit(object).set(dict, "AP", { N: within(update, form, seen, rectangle) });
    return found;
  });
}

/** A form for the whole of a rectangle that draws another one in the part that is seen. */
function within(
  update: PdfUpdate,
  form: PdfRef,
  seen: Rectangle,
  [x1, y1, x2, y2]: Rectangle,
): PdfRef {
  const [x, y] = [seen[0] - x1, seen[1] - y1];
  if (x === 0 && y === 0 && seen[2] === x2 && seen[3] === y2) return form;
  return update.addStream(
    {
      Type: name("XObject"),
      Subtype: name("Form"),
      BBox: [0, 0, x2 - x1, y2 - y1],
      Resources: { XObject: { Seen: form } },
    },
    latin1(`q 1 0 0 1 ${x.toFixed(4)} ${y.toFixed(4)} cm /Seen Do Q\n`),
  );
}

/** How the page turns that a widget says it is on. */
function widgetRotation(document: PdfDocument, widget: PdfDict): number {
  // Inherited rotations are not looked for from below; widgets of rotated pages say so themselves.
  const page = document.dict(widget, "P");
  const own = document.dict(widget, "MK");
  return (own && document.number(own, "R")) ?? (page && document.number(page, "Rotate")) ?? 0;
}
