import { FormatError } from "./error.ts";
import {
  checkLocks,
  type DocMdp,
  type FieldLock,
  readFieldLock,
  readLocks,
} from "./pades_locks.ts";
import { PdfDocument } from "./pdf_document.ts";
import { appendTo, entry, type Located, locatedCatalog } from "./pdf_edit.ts";
import { findPage, type FormField, formFields } from "./pdf_form.ts";
import type { Source } from "./pdf_source.ts";
import { PdfUpdate } from "./pdf_update.ts";
import {
  latin1,
  name,
  PdfDict,
  type PdfDraft,
  PdfName,
  PdfRef,
  PdfString,
  serialize,
  textOf,
  textString,
  toHex,
} from "./pdf_value.ts";

/** Lower left and upper right corner in the page's own coordinates (ISO 32000-2 §7.9.5). */
export type Rectangle = [x1: number, y1: number, x2: number, y2: number];

/** Adds a stream to the revision; its strings and data are encrypted as the document is. */
export type AddStream = (
  dict: { [key: string]: PdfDraft | undefined },
  data: Uint8Array,
) => PdfRef;

/** What a visible signature looks like. */
export interface Appearance {
  /** Where a new field goes; an existing field has its own place. Pages count from 1. */
  place?: { page: number; rectangle: Rectangle };
  /** Draws into a box with its origin at the lower left; gives back a form XObject. */
  draw(add: AddStream, width: number, height: number): PdfRef;
}

export interface SignatureOptions {
  /** `adbe.pkcs7.detached` only for portals that know nothing newer. */
  subFilter?: "ETSI.CAdES.detached" | "adbe.pkcs7.detached";
  /** An empty signature field to sign, or the name of a new one. Default: a free name. */
  field?: string;
  /** Claimed time of signing, to the second. */
  time?: Date;
  signerName?: string;
  reason?: string;
  location?: string;
  contactInfo?: string;
  /** Certifies the document and says what may follow; only as the first signature. */
  certify?: DocMdp;
  /** Locks fields of the form from this signature on. */
  lock?: FieldLock;
  appearance?: Appearance;
  /** Bytes kept free for the CMS; the file grows by twice as many. */
  contentsSize?: number;
  /** Opens an encrypted document. */
  password?: string;
}

export interface TimestampOptions {
  field?: string;
  contentsSize?: number;
  password?: string;
}

/**
 * A revision with room for a signature. What is signed is the original and `appended` without
 * that room, in this order: see {@link signedBytes}.
 */
export interface PreparedSignature {
  /** Name of the signed field. */
  readonly field: string;
  /** The bytes to append, the signature still zeros. */
  readonly appended: Uint8Array;
  /** ISO 32000-2 §12.8.1: two pairs of offset and length in the whole file. */
  readonly byteRange: readonly [0, number, number, number];
  /** Whether the file's cross-reference was broken and the revision brings a complete one. */
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
/** SignaturesExist and AppendOnly (ISO 32000-2 Table 225). */
const SIG_FLAGS = 3;

/**
 * Prepares a signature as a new revision of a PDF: PAdES (EN 319 142-1 §5) or, on request, the
 * older form. Nothing of the original is written anew; what is to be digested is had from
 * {@link signedBytes}.
 *
 * @throws FormatError `pdf_malformed`, `pdf_encrypted`, `document_locked`, `not_found` (page or
 *   field), `invalid_argument`, `algorithm_unsupported`, `limit_exceeded`
 */
export function prepareSignature(
  source: Source,
  options: SignatureOptions = {},
): PreparedSignature {
  return withDocument(source, options.password, (document) => {
    const fields = formFields(document);
    const locks = readLocks(document, fields);
    const target = chooseField(document, fields, options.field);
    const visible = !target.existing && options.appearance !== undefined;
    checkLocks(locks, target.name, visible);
    if (options.certify !== undefined && locks.signatures > 0) {
      throw new FormatError(
        "invalid_argument",
        "A certification has to be the first signature of a document, and this one is signed.",
      );
    }
    const seed = target.existing && document.dict(target.existing.dict, "SV");
    const subFilter = options.subFilter ?? "ETSI.CAdES.detached";
    if (seed) checkSeedValue(document, seed, subFilter, options);
    const update = new PdfUpdate(document);
    const text = (value: string | undefined) => value === undefined ? undefined : textString(value);
    const signature = signatureObject(update, options.contentsSize, {
      Type: name("Sig"),
      Filter: name("Adobe.PPKLite"),
      SubFilter: name(subFilter),
      Name: text(options.signerName),
      Reason: text(options.reason),
      Location: text(options.location),
      ContactInfo: text(options.contactInfo),
      M: options.time && new PdfString(latin1(pdfDate(options.time))),
      Reference: references(document, target.existing, options),
    });
    if (options.certify !== undefined) setCertification(update, signature.ref);
    return writeField(update, target, signature, options);
  });
}

/**
 * Prepares a document timestamp (EN 319 142-1 §5.4.3): the token is one of RFC 3161 over
 * {@link signedBytes}. Locks and certifications allow it.
 *
 * @throws FormatError as {@link prepareSignature}
 */
export function prepareTimestamp(
  source: Source,
  options: TimestampOptions = {},
): PreparedSignature {
  return withDocument(source, options.password, (document) => {
    const target = chooseField(document, formFields(document), options.field);
    const update = new PdfUpdate(document);
    const signature = signatureObject(update, options.contentsSize, {
      Type: name("DocTimeStamp"),
      Filter: name("Adobe.PPKLite"),
      SubFilter: name("ETSI.RFC3161"),
    });
    return writeField(update, target, signature, {});
  });
}

/** The bytes that a prepared signature signs, in pieces that are good until the next one. */
export function* signedBytes(
  source: Source,
  prepared: PreparedSignature,
): Generator<Uint8Array, void, void> {
  const PIECE = 1 << 20;
  for (let at = 0; at < source.size; at += PIECE) yield source.read(at, PIECE);
  const [, before, after] = prepared.byteRange;
  yield prepared.appended.subarray(0, before - source.size);
  yield prepared.appended.subarray(after - source.size);
}

/**
 * Opens a document and builds a revision of it; anew when a broken cross-reference came to
 * light on the way.
 */
export function withDocument<T>(
  source: Source,
  password: string | undefined,
  build: (document: PdfDocument) => T,
): T {
  const document = PdfDocument.open(source, password);
  const before = document.recovered;
  try {
    const result = build(document);
    if (document.recovered === before) return result;
  } catch (error) {
    if (document.recovered === before) throw error;
  }
  return build(document);
}

interface Target {
  name: string;
  existing?: FormField;
}

function chooseField(
  document: PdfDocument,
  fields: readonly FormField[],
  wanted: string | undefined,
): Target {
  if (wanted === undefined) {
    const taken = new Set(fields.map((field) => field.name));
    let number = 1;
    while (taken.has(`Signature${number}`)) number++;
    return { name: `Signature${number}` };
  }
  const existing = fields.find((field) => field.name === wanted);
  if (!existing) {
    if (fields.some((field) => field.name.startsWith(`${wanted}.`))) {
      throw new FormatError("invalid_argument", `“${wanted}” is a group of fields.`);
    }
    if (wanted === "" || wanted.includes(".")) {
      throw new FormatError("not_found", `The PDF has no field “${wanted}”.`);
    }
    return { name: wanted };
  }
  if (existing.type !== "Sig") {
    throw new FormatError("invalid_argument", `The field “${wanted}” is not for signatures.`);
  }
  if (document.resolve(existing.value) !== null) {
    throw new FormatError("invalid_argument", `The field “${wanted}” is already signed.`);
  }
  return { name: wanted, existing };
}

/**
 * What the author demands of a signature in this field (ISO 32000-2 Table 237). Demands that we
 * cannot meet or do not know are refused.
 */
function checkSeedValue(
  document: PdfDocument,
  seed: PdfDict,
  subFilter: string,
  { reason, certify }: SignatureOptions,
): void {
  const required = document.number(seed, "Ff") ?? 0;
  const values = (key: string) =>
    (document.array(seed, key)?.items ?? []).map((item) => {
      const value = document.resolve(item);
      return value instanceof PdfName
        ? value.value
        : value instanceof PdfString
        ? value
        : undefined;
    });
  const refuse = (what: string) => {
    throw new FormatError("document_locked", `The field's author demands ${what}.`);
  };
  const filter = document.name(seed, "Filter");
  if (required & 1 && filter !== undefined && filter !== "Adobe.PPKLite") {
    refuse(`the signature handler ${filter}`);
  }
  if (required & 2 && !values("SubFilter").includes(subFilter)) {
    refuse("another form of signature (SubFilter)");
  }
  if (required & 8) {
    const reasons = values("Reasons").filter((value) => value instanceof PdfString);
    const given = reason === undefined ? undefined : serialize(textString(reason));
    if (!reasons.some((value) => serialize(value) === given)) {
      refuse("one of the reasons that the field lists");
    }
  }
  // The digest is chosen with the key; the one that all keys can use has to be welcome.
  if (required & 64) {
    const digests = values("DigestMethod").map((value) =>
      value instanceof PdfString ? textOf(value) : value
    );
    if (!digests.includes("SHA256")) refuse("a digest other than SHA-256");
  }
  const mdp = document.dict(seed, "MDP");
  const level = mdp && (document.number(mdp, "P") ?? 0);
  if (level !== undefined && level !== (certify ?? 0)) {
    refuse(level === 0 ? "a signature that does not certify" : `a certification (level ${level})`);
  }
  const version = document.number(seed, "V") ?? 1;
  // LegalAttestation, AddRevInfo, LockDocument, AppearanceFilter.
  if (required & (16 | 32 | 128 | 256) || (required & 4 && version > 3)) {
    refuse("what this program does not know");
  }
}

function references(
  document: PdfDocument,
  field: FormField | undefined,
  options: SignatureOptions,
): PdfDraft | undefined {
  const out: PdfDraft[] = [];
  const add = (method: string, params: { [key: string]: PdfDraft }, data?: PdfRef) =>
    out.push({
      Type: name("SigRef"),
      TransformMethod: name(method),
      TransformParams: { Type: name("TransformParams"), V: name("1.2"), ...params },
      Data: data,
    });
  if (options.certify !== undefined) add("DocMDP", { P: options.certify });
  const lockDict = field && document.dict(field.dict, "Lock");
  const lock = options.lock ?? (lockDict && readFieldLock(document, lockDict));
  if (lock) {
    const { num, gen } = document.catalog();
    add("FieldMDP", lockDraft(lock), new PdfRef(num, gen));
  }
  return out.length > 0 ? out : undefined;
}

function lockDraft(lock: FieldLock): { [key: string]: PdfDraft } {
  return lock.action === "All"
    ? { Action: name("All") }
    : { Action: name(lock.action), Fields: lock.fields.map(textString) };
}

/** `D:YYYYMMDDHHmmSSZ` (ISO 32000-2 §7.9.4). */
function pdfDate(time: Date): string {
  return `D:${time.toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`;
}

interface SignatureObject {
  ref: PdfRef;
  /** Within the object's syntax: where ByteRange's array and Contents' token begin. */
  rangeAt: number;
  contentsAt: number;
  size: number;
}

/** Room for `[0 n n n]` with numbers of up to 15 digits. */
const RANGE_WIDTH = 51;

/** Writes the signature dictionary, ByteRange and Contents first so that their places are known. */
function signatureObject(
  update: PdfUpdate,
  size = CONTENTS_SIZE,
  entries: { [key: string]: PdfDraft | undefined },
): SignatureObject {
  if (!Number.isInteger(size) || size < 1 || size > MAX_CONTENTS_SIZE) {
    throw new FormatError("invalid_argument", "The space for a signature is 1 byte to 1 MiB.");
  }
  const ref = update.reserve();
  const { crypt } = update.document;
  const rest = serialize(
    entries,
    crypt && ((bytes) => crypt.encryptString(bytes, ref.num, ref.gen)),
  );
  const range = "<< /ByteRange ";
  const contents = " /Contents ";
  const text = range + " ".repeat(RANGE_WIDTH) + contents + `<${"0".repeat(2 * size)}>` +
    rest.slice(2);
  update.putRaw(ref, latin1(text));
  return {
    ref,
    rangeAt: range.length,
    contentsAt: range.length + RANGE_WIDTH + contents.length,
    size,
  };
}

function setCertification(update: PdfUpdate, signature: PdfRef): void {
  const { document } = update;
  const catalog = locatedCatalog(document);
  const perms = entry(document, catalog, "Perms");
  if (perms) update.edit(perms.object).set(perms.dict, "DocMDP", signature);
  else update.edit(catalog.object).set(catalog.dict, "Perms", { DocMDP: signature });
}

function writeField(
  update: PdfUpdate,
  target: Target,
  signature: SignatureObject,
  options: Pick<SignatureOptions, "appearance" | "lock">,
): PreparedSignature {
  const { document } = update;
  if (target.existing) {
    const { object, dict } = target.existing;
    update.edit(object).set(dict, "V", signature.ref);
    if (options.appearance) drawExisting(update, target.existing, options.appearance);
  } else addField(update, target.name, signature.ref, options);
  setSigFlags(update);

  const { bytes, offsets } = update.finish();
  const { size } = document.source;
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
    appended: bytes,
    byteRange,
    repaired: document.recovered,
    complete(cms) {
      if (cms.length > signature.size) {
        throw new FormatError(
          "space_too_small",
          `The signature has ${cms.length} bytes and the space kept for it ${signature.size}.`,
        );
      }
      const out = bytes.slice();
      out.set(latin1(toHex(cms)), contentsAt + 1);
      return out;
    },
  };
}

/** Adds a field that is its own widget to the form and to its page. */
function addField(
  update: PdfUpdate,
  fieldName: string,
  value: PdfRef,
  options: Pick<SignatureOptions, "appearance" | "lock">,
): void {
  const { document } = update;
  const { appearance, lock } = options;
  if (appearance && !appearance.place) {
    throw new FormatError("invalid_argument", "A new visible signature needs a page and a place.");
  }
  const page = findPage(document, appearance?.place?.page ?? 1);
  const rectangle = appearance ? normalize(appearance.place!.rectangle) : [0, 0, 0, 0];
  const [x1, y1, x2, y2] = rectangle;
  const form = appearance
    ? appearance.draw((dict, data) => update.addStream(dict, data), x2 - x1, y2 - y1)
    // PDF/A-1 wants an appearance of every field (ISO 19005-1 §6.9).
    : update.addStream(
      { Type: name("XObject"), Subtype: name("Form"), BBox: [0, 0, 0, 0] },
      new Uint8Array(),
    );
  const field = update.add({
    Type: name("Annot"),
    Subtype: name("Widget"),
    FT: name("Sig"),
    T: textString(fieldName),
    V: value,
    F: WIDGET_FLAGS,
    Rect: rectangle,
    P: page.ref,
    AP: { N: form },
    Lock: lock && update.add({ Type: name("SigFieldLock"), ...lockDraft(lock) }),
  });
  appendTo(update, page, "Annots", [field]);
  const catalog = locatedCatalog(document);
  const acro = entry(document, catalog, "AcroForm");
  if (acro) appendTo(update, acro, "Fields", [field]);
  else {update.edit(catalog.object).set(catalog.dict, "AcroForm", {
      Fields: [field],
      SigFlags: SIG_FLAGS,
    });}
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

function drawExisting(update: PdfUpdate, field: FormField, appearance: Appearance): void {
  const { document } = update;
  let widget: Located = { object: field.object, dict: field.dict, ref: undefined };
  const kid = document.array(field.dict, "Kids")?.items[0];
  if (kid instanceof PdfRef) {
    const object = document.object(kid);
    if (object?.value instanceof PdfDict) widget = { object, dict: object.value, ref: kid };
  }
  const corners = (document.array(widget.dict, "Rect")?.items ?? []).map((item) =>
    document.resolve(item)
  );
  if (corners.length !== 4 || !corners.every((corner) => typeof corner === "number")) return;
  const [x1, y1, x2, y2] = normalize(corners as Rectangle);
  // A field without extent is an invisible one.
  if (x1 === x2 || y1 === y2) return;
  const form = appearance.draw((dict, data) => update.addStream(dict, data), x2 - x1, y2 - y1);
  update.edit(widget.object).set(widget.dict, "AP", { N: form });
}

function normalize([x1, y1, x2, y2]: Rectangle): Rectangle {
  if (![x1, y1, x2, y2].every(Number.isFinite)) {
    throw new FormatError("invalid_argument", "A rectangle has four numbers.");
  }
  return [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
}
