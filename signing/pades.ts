/**
 * One signature in one PDF: prepared, signed by an open key, timestamped where that is wanted, and checked as a reader
 * would before it is released. Nothing of the original is written: the result is what is to be appended.
 */
import { createHash, type Hash } from "node:crypto";
import { readSignedData } from "../formats/cms/read.ts";
import { addUnsignedAttributes, encodeAttribute } from "../formats/cms/add.ts";
import { verifyCms } from "../formats/cms/verify.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { concat } from "../formats/asn1/der.ts";
import { FormatError } from "../formats/error.ts";
import { Oid } from "../formats/asn1/oids.ts";
import {
  type PreparedSignature,
  prepareSignature,
  prepareTimestamp,
  type SignatureOptions,
} from "../formats/pades/prepare.ts";
import { appendDss } from "../formats/pades/dss.ts";
import { inspectSignatures } from "../formats/pades/inspect.ts";
import { appendedSource, type Source } from "../formats/source.ts";
import type { Signer } from "../formats/signer.ts";
import { sameBytes } from "../formats/x509/certificate.ts";
import { DsignError } from "../protocol/errors.ts";
import type { HashAlgorithm, PdfOptions } from "../protocol/methods.ts";
import type { Appearances } from "./appearance.ts";
import { certificateOf } from "./certificates.ts";
import { type Document, HASH_NAMES } from "./documents.ts";
import type { Online } from "../online/validation_data.ts";
import type { Placement } from "./placement.ts";

/** A PDF that can be signed. */
export interface Pdf {
  source: Source;
  /** For reading from beginning to end: a piece is good until the next one. */
  sequential(): Source;
  algorithm: HashAlgorithm;
  /** A hash of the whole document that can go on with what follows it. */
  hashed(): Hash;
}

/** @throws {DsignError} `document_incomplete`, `document_malformed` where it was not announced as a PDF */
export function pdfOf(document: Document): Pdf {
  const { kept, algorithm } = document;
  document.digest(); // it is complete
  if (!kept) {
    throw new DsignError("document_malformed", "The document was not opened as application/pdf.");
  }
  return {
    source: kept,
    sequential: () => kept.sequential(),
    algorithm,
    hashed: () => document.hashed(),
  };
}

/** What signatures in PDFs need besides a key. */
export interface PadesServices {
  appearances: Appearances;
  online: Online;
  placement: Placement;
}

/** What a signature in a PDF is made with. */
export interface PadesSigner extends PadesServices {
  signer: Pick<Signer, "certificate" | "chain" | "algorithm">;
  /** What it gives need not be right: {@linkcode signPdf} lets nothing out that the certificate does not verify. */
  sign(toBeSigned: Uint8Array): Promise<Uint8Array>;
  now(): Date;
  signal: AbortSignal;
}

/** A signed PDF, as far as it is new. */
export interface SignedPdf {
  appended: Uint8Array;
  field: string;
}

/** Bytes kept free for a CMS besides its certificates; and for a timestamp token with its chain. */
const CMS_SPACE = 2048;
const TOKEN_SPACE = 14 * 1024;

/**
 * Finds out whether a PDF can be signed so, before anybody is asked.
 *
 * @throws {DsignError} `invalid_params`; {FormatError} as `prepareSignature`
 */
export async function checkPdf(
  { source }: Pick<Pdf, "source">,
  options: PdfOptions,
  appearances: Appearances,
): Promise<void> {
  const appearance = await appearances.make(options, { name: "", time: new Date(0) });
  refusing(() => prepareSignature(source, { ...signatureOptions(options), appearance }));
}

/**
 * Signs a PDF.
 *
 * @param options the place is found: {@linkcode Placement}
 *
 * @throws {DsignError} `invalid_params`, `signature_invalid`, `timestamp_unavailable`, `validation_data_unavailable`,
 *   `certificate_revoked`; {FormatError} as `prepareSignature`
 */
export async function signPdf(
  pdf: Pdf,
  options: PdfOptions,
  by: PadesSigner,
): Promise<SignedPdf> {
  const { source, algorithm } = pdf;
  const { signer, now, online, signal } = by;
  const { level, password } = options;
  const time = now();
  const { subject } = certificateOf(signer.certificate);
  const name = subject.commonName ?? subject.toString();
  const appearance = await by.appearances.make(options, { name, time });
  const prepared = refusing(() =>
    prepareSignature(source, {
      ...signatureOptions(options),
      time,
      signerName: name,
      appearance,
      contentsSize: CMS_SPACE + signer.certificate.length +
        signer.chain.reduce((sum, each) => sum + each.length, 0) +
        (level === "B-B" ? 0 : TOKEN_SPACE),
    })
  );
  const digest = digestOf(pdf, prepared);
  // EN 319 142-1 §6.3: in PAdES the time stands in the dictionary, not in the CMS.
  const signingTime = options.subFilter === "adbe.pkcs7.detached" ? time : undefined;
  const cms = prepareSignedData({ digest }, signer, { signingTime });
  let complete = cms.complete(await by.sign(cms.toBeSigned));
  if (level !== "B-B") complete = await timestamped(complete, algorithm, online, signal);
  const signed = prepared.complete(complete);
  checkSignature(pdf, signed, prepared.field, signer.certificate, password);
  if (level === "B-B" || level === "B-T") return { appended: signed, field: prepared.field };

  const contents = inspectSignatures(appendedSource(source, signed), password).signatures
    .find(({ field }) => field === prepared.field)!.contents;
  const data = await online.validationData(complete, signal);
  const dss = appendDss(appendedSource(source, signed), {
    signatures: [{ contents, ...data }],
    password,
  });
  const extended = concat(signed, dss);
  if (level === "B-LT") return { appended: extended, field: prepared.field };

  const archive = prepareTimestamp(appendedSource(source, extended), {
    contentsSize: CMS_SPACE + TOKEN_SPACE,
    password,
  });
  const archived = digestOf({ hashed: () => pdf.hashed().update(extended) }, archive);
  const token = await online.timestamp(algorithm, archived, signal);
  return { appended: concat(extended, archive.complete(token)), field: prepared.field };
}

const signatureOptions = (
  { subFilter, field, reason, location, certify, lock, password }: PdfOptions,
): SignatureOptions => ({ subFilter, field, reason, location, certify, lock, password });

/** Where what the page asked for does not fit the document, the page is told so. */
function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (
      error instanceof FormatError &&
      (error.code === "invalid_argument" || error.code === "not_found")
    ) throw new DsignError("invalid_params", error.message);
    throw error;
  }
}

/** The digest of what a prepared signature signs: the document, then what is appended without its own place. */
function digestOf({ hashed }: Pick<Pdf, "hashed">, prepared: PreparedSignature): Uint8Array {
  const { appended, byteRange: [, before, after, rest] } = prepared;
  const start = after + rest - appended.length;
  const hash = hashed().update(appended.subarray(0, before - start));
  return new Uint8Array(hash.update(appended.subarray(after - start)).digest());
}

/** Adds a timestamp over the signature (EN 319 122-1 §5.3). */
async function timestamped(
  cms: Uint8Array,
  algorithm: HashAlgorithm,
  online: Online,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const [{ signature }] = readSignedData(cms).signers;
  const digest = createHash(HASH_NAMES[algorithm]).update(signature).digest();
  const token = await online.timestamp(algorithm, new Uint8Array(digest), signal);
  return addUnsignedAttributes(cms, [0], [encodeAttribute(Oid.signatureTimestamp, token)]);
}

/** Looks at the signed document as a reader would: the bytes that were kept, not those that were hashed as they came. */
function checkSignature(
  { source, sequential, algorithm }: Pdf,
  appended: Uint8Array,
  field: string,
  certificate: Uint8Array,
  password: string | undefined,
): void {
  const made = inspectSignatures(appendedSource(source, appended), password).signatures
    .find((signature) => signature.field === field);
  if (made?.coverage !== "document") throw new DsignError("signature_invalid");
  const hash = createHash(HASH_NAMES[algorithm]);
  const whole = appendedSource(sequential(), appended);
  for (const piece of rangesOf(whole, made.ranges)) hash.update(piece);
  const digests = { [algorithm]: new Uint8Array(hash.digest()) };
  const [signer] = verifyCms(made.cms, { detached: { digests } }).signers;
  const isGood = signer?.status === "valid" && signer.certificate &&
    sameBytes(signer.certificate.der, certificate);
  if (!isGood) throw new DsignError("signature_invalid");
}

const PIECE = 1024 * 1024;

/** The signed ranges in pieces, each good until the next one. */
export function* rangesOf(
  source: Source,
  ranges: readonly (readonly [number, number])[],
): Generator<Uint8Array, void, undefined> {
  for (const [offset, length] of ranges) {
    for (let at = 0; at < length; at += PIECE) {
      yield source.read(offset + at, Math.min(PIECE, length - at));
    }
  }
}
