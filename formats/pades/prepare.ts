import { FormatError } from "../error.ts";
import { chooseField, type PreparedSignature, signatureObject, writeField } from "./field.ts";
import { checkLocks, lockDraft, readFieldLock, readLocks } from "./locks.ts";
import type { SignatureOptions, TimestampOptions } from "./options.ts";
import { checkSeedValue } from "./seed.ts";
import type { PdfDocument } from "../pdf/document.ts";
import { entry, locatedCatalog } from "../pdf/edit.ts";
import { type FormField, formFields } from "../pdf/form.ts";
import type { Source } from "../source.ts";
import { PdfUpdate, withDocument } from "../pdf/update.ts";
import { latin1, name, type PdfDraft, PdfRef, PdfString, textString } from "../pdf/value.ts";

export type { Appearance, PreparedSignature } from "./field.ts";
export type { SignatureOptions, TimestampOptions } from "./options.ts";
export type { Box, Place, Rectangle } from "./place.ts";

/**
 * Prepares a signature as a new revision of a PDF: PAdES (EN 319 142-1 §5) or, on request, the
 * older form. Nothing of the original is written anew; what is to be digested is had from
 * {@link signedBytes}.
 *
 * @example
 * ```ts ignore
 * const prepared = prepareSignature(source, { reason: "Approved", time: new Date() });
 * const digest = createHash("sha256");
 * for (const piece of signedBytes(source, prepared)) digest.update(piece);
 * const cms = prepareSignedData({ digest: digest.digest() }, signer);
 * const signature = await signer.sign({ message: cms.toBeSigned });
 * const appended = prepared.complete(cms.complete(signature));
 * ```
 * @param opened the same source, where it is open already
 * @throws FormatError `pdf_malformed`, `pdf_encrypted`, `document_locked`, `not_found` (page or
 *   field), `invalid_argument`, `algorithm_unsupported`, `limit_exceeded`
 */
export function prepareSignature(
  source: Source,
  options: SignatureOptions = {},
  opened?: PdfDocument,
): PreparedSignature {
  return withDocument(source, options.password, (document) => {
    const fields = formFields(document);
    const locks = readLocks(document, fields);
    const target = chooseField(
      document,
      fields,
      options.field,
      options.appearance?.place?.page ?? 1,
    );
    const visible = !target.existing && options.appearance !== undefined;
    checkLocks(locks, target.name, visible);
    if (options.certify !== undefined && locks.signatures > 0) {
      throw new FormatError(
        "invalid_argument",
        "A certification must be a document's first signature, and this document is already signed.",
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
    const { signerName } = options;
    const description = signerName === undefined ? undefined : `Signature of ${signerName}`;
    return writeField(update, target, signature, { ...options, description });
  }, opened);
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
    const target = chooseField(document, formFields(document), options.field, 1);
    const update = new PdfUpdate(document);
    const signature = signatureObject(update, options.contentsSize, {
      Type: name("DocTimeStamp"),
      Filter: name("Adobe.PPKLite"),
      SubFilter: name("ETSI.RFC3161"),
    });
    return writeField(update, target, signature, {
      withoutAppearance: true,
      description: "Timestamp of the document",
    });
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

/** `D:YYYYMMDDHHmmSSZ` (ISO 32000-2 §7.9.4). */
function pdfDate(time: Date): string {
  return `D:${time.toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`;
}

function setCertification(update: PdfUpdate, signature: PdfRef): void {
  const { document } = update;
  const catalog = locatedCatalog(document);
  const perms = entry(document, catalog, "Perms");
  if (perms) update.edit(perms.object).set(perms.dict, "DocMDP", signature);
  else update.edit(catalog.object).set(catalog.dict, "Perms", { DocMDP: signature });
}
