import { readFirstAsn1 } from "../asn1/read.ts";
import { FormatError } from "../error.ts";
import { type DocMdp, type FieldLock, signatureLocks } from "./locks.ts";
import { PdfDocument, type PdfObject } from "../pdf/document.ts";
import { type FormField, formFields, signatureValue } from "../pdf/form.ts";
import { Revisions } from "../pdf/revisions.ts";
import type { Source } from "../source.ts";
import { PdfDict, PdfRef, PdfString, textOf } from "../pdf/value.ts";

/** A signature or document timestamp, as the file has it; nothing in it has been verified. */
export interface PdfSignature {
  /** Fully qualified name of its field. */
  field: string;
  kind: "signature" | "timestamp";
  subFilter: string;
  /** As it stands in the file, whatever that is. */
  byteRange: number[];
  /**
   * - `document`: everything but the signature itself.
   * - `revision`: everything up to the end of a revision; see `changesAfter` for what follows.
   * - `partial`: something else. Such a signature says nothing about the document.
   */
  coverage: "document" | "revision" | "partial";
  /** Offset and length of the signed ranges, in order; empty when they make no sense. */
  ranges: [offset: number, length: number][];
  /** End of the signed revision. */
  revisionEnd: number;
  /** The value of Contents, its padding included. */
  contents: Uint8Array;
  /** The CMS or timestamp token without padding; empty when there is none. */
  cms: Uint8Array;
  /** Claimed by the signer, as are the next four. */
  time?: string;
  signerName?: string;
  reason?: string;
  location?: string;
  contactInfo?: string;
  /** Changes allowed after the signature. */
  docMdp?: DocMdp;
  /** Fields that the signature locks. */
  fieldLocks: FieldLock[];
}

/** The signature fields of a document. */
export interface Inspection {
  /** The earliest revision first. */
  signatures: PdfSignature[];
  /** Names of signature fields that wait for a signature. */
  emptyFields: string[];
  /** The cross-reference is broken; what other readers show may differ. */
  recovered: boolean;
}

/** Each costs reading a revision. */
const MAX_SIGNATURES = 500;

/**
 * Lists the signatures of a document with what they cover.
 *
 * @param before see `PdfDocument.open`
 * @throws FormatError `pdf_malformed`, `pdf_encrypted`, `algorithm_unsupported`, `limit_exceeded`
 */
export const inspectSignatures = (
  source: Source,
  password?: string,
  before?: PdfDocument,
): Inspection => inspect(PdfDocument.open(source, password, before));

/** The same of a document that is open. @throws FormatError as there */
export function inspect(
  document: PdfDocument,
  revisions: Revisions = new Revisions(document.file, document.password),
): Inspection {
  const signed: { signature: PdfSignature; field: FormField }[] = [];
  const emptyFields: string[] = [];
  for (const field of formFields(document)) {
    if (field.type !== "Sig") continue;
    const value = signatureValue(document, field);
    if (signed.length >= MAX_SIGNATURES) {
      throw new FormatError("limit_exceeded", "The PDF has too many signatures.");
    }
    if (value) signed.push({ signature: readSignature(document, field, value), field });
    else emptyFields.push(field.name);
  }
  signed.sort((a, b) => a.signature.revisionEnd - b.signature.revisionEnd);
  for (const { signature, field } of signed) {
    if (signature.coverage !== "revision") continue;
    const offset = signatureObject(document, field)?.offset;
    if (!isRevision(revisions, signature, offset)) signature.coverage = "partial";
  }
  const signatures = signed.map(({ signature }) => signature);
  return { signatures, emptyFields, recovered: document.recovered };
}

function readSignature(
  document: PdfDocument,
  field: FormField,
  value: PdfDict,
): PdfSignature {
  const text = (key: string) => {
    const string = document.get(value, key);
    return string instanceof PdfString ? textOf(string) : undefined;
  };
  const type = document.name(value, "Type");
  const subFilter = document.name(value, "SubFilter") ?? "";
  const contents = document.get(value, "Contents");
  const bytes = contents instanceof PdfString ? contents.bytes.slice() : new Uint8Array();
  const numbers = document.array(value, "ByteRange")?.items.map((item) => document.resolve(item));
  const byteRange = (numbers ?? []).filter((item) => typeof item === "number");
  const { docMdp, fieldLocks } = signatureLocks(document, field, value);
  return {
    field: field.name,
    kind: type === "DocTimeStamp" || subFilter === "ETSI.RFC3161" ? "timestamp" : "signature",
    subFilter,
    byteRange,
    ...readCoverage(document, field, value, byteRange),
    contents: bytes,
    cms: withoutPadding(bytes),
    time: text("M"),
    signerName: text("Name"),
    reason: text("Reason"),
    location: text("Location"),
    contactInfo: text("ContactInfo"),
    docMdp,
    fieldLocks,
  };
}

function withoutPadding(contents: Uint8Array): Uint8Array {
  if (!(contents[0] > 0)) return new Uint8Array(); // not signed yet
  try {
    return readFirstAsn1(contents, { ber: true }).bytes;
  } catch (error) {
    if (error instanceof FormatError) return new Uint8Array();
    throw error;
  }
}

/**
 * A byte range counts only as two pieces around this very signature's Contents token, from the
 * first byte to the end of a revision in which the field already has this value. All else would
 * let what is shown differ from what is signed.
 */
function readCoverage(
  document: PdfDocument,
  field: FormField,
  value: PdfDict,
  range: readonly number[],
): Pick<PdfSignature, "coverage" | "ranges" | "revisionEnd"> {
  const { file, headerAt } = document;
  const partial = { coverage: "partial", ranges: [], revisionEnd: 0 } as const;
  const [start, before, after, length] = range;
  const sound = range.length === 4 && range.every(Number.isSafeInteger) && start === 0 &&
    before > 0 && after > before && length > 0 && after + length <= file.size;
  if (!sound) return { ...partial, ranges: [] };
  const revisionEnd = after + length;
  const ranges: PdfSignature["ranges"] = [[0, before], [after, length]];
  const owner = signatureObject(document, field);
  const contents = value.get("Contents");
  if (
    owner?.offset === undefined || !(contents instanceof PdfString) || value.hasDuplicates ||
    headerAt + owner.offset + contents.start !== before ||
    headerAt + owner.offset + contents.end !== after || file.read(before, 1)[0] !== 0x3c
  ) return { coverage: "partial", ranges, revisionEnd };
  if (revisionEnd === file.size) return { coverage: "document", ranges, revisionEnd };
  return { coverage: "revision", ranges, revisionEnd };
}

/** The indirect object that the signature dictionary stands in. */
function signatureObject(document: PdfDocument, field: FormField): PdfObject | undefined {
  if (field.value instanceof PdfRef) return document.object(field.value);
  return field.dict.get("V") === field.value ? field.object : undefined;
}

/** Whether the file up to a signature's end is a document with this signature, at an offset, in its field. */
function isRevision(
  revisions: Revisions,
  { field, revisionEnd }: PdfSignature,
  offset: number | undefined,
): boolean {
  try {
    const earlier = revisions.open(revisionEnd);
    if (earlier.recovered) return false;
    const same = formFields(earlier).find(({ name }) => name === field);
    return same !== undefined && signatureObject(earlier, same)?.offset === offset;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

/** `D:YYYYMMDDHHmmSSOHH'mm` (ISO 32000-2 §7.9.4); `undefined` for what is no date. */
export function readPdfDate(text: string | undefined): Date | undefined {
  const match = /^(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:Z|([+-])(\d\d)'?(\d\d)?)?/
    .exec(
      text ?? "",
    );
  if (!match) return undefined;
  const [, year, month = "01", day = "01", hour = "00", minute = "00", second = "00"] = match;
  const [sign, hours = "00", minutes = "00"] = match.slice(7);
  const zone = sign ? `${sign}${hours}:${minutes}` : "Z";
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
