/**
 * The levels of a signature in a PDF, from B-B to B-LTA (EN 319 142-1 §6): one ladder for agent, command line and PIN/OTP
 * service. Every step is checked as a reader would check it before anything is released.
 */
import { concat } from "../formats/asn1/der.ts";
import { verifyCms } from "../formats/cms/verify.ts";
import { verifyTimestamp } from "../formats/cms/timestamp.ts";
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { appendDss, type ValidationData } from "../formats/pades/dss.ts";
import { inspectSignatures, type PdfSignature } from "../formats/pades/inspect.ts";
import {
  type PreparedSignature,
  prepareSignature,
  prepareTimestamp,
  type SignatureOptions,
} from "../formats/pades/prepare.ts";
import type { PdfDocument } from "../formats/pdf/document.ts";
import type { HashName, Signer } from "../formats/signer.ts";
import { appendedSource, digestOf, type Ranges, type Source } from "../formats/source.ts";
import { readKnownCertificate, sameBytes } from "../formats/x509/certificate.ts";
import { maxSignatureLength } from "../formats/x509/signature.ts";
import { OnlineError } from "./error.ts";

export type Level = "B-B" | "B-T" | "B-LT" | "B-LTA";

/** A PDF as signing reads it. */
export interface Pdf {
  source: Source;
  /** Of the signature and of what is asked of the time-stamping service. */
  algorithm: HashName;
}

/** Signatures to prepare for long-term validation: a CMS, or certificates. */
export type ValidatedLater = Uint8Array | { ends: Uint8Array[]; known: Uint8Array[] };

/** For whom something is asked of the network and of the reader, and until when. */
export interface Asking {
  signal: AbortSignal;
  /** One asker's questions are answered one after another. */
  origin?: string;
}

/** Network requests of the levels above B-B. */
export interface LevelServices {
  /** @returns a TimeStampToken (RFC 3161), checked against the request */
  timestamp(hash: HashName, digest: Uint8Array, asking: Asking): Promise<Uint8Array>;
  /**
   * @param of a CMS with its timestamp, or certificates of signers and timestamp authorities with others at hand, DER
   * @returns all that a later validation of it needs
   */
  validationData(of: ValidatedLater, asking: Asking): Promise<ValidationData>;
}

export interface PadesOptions extends Omit<SignatureOptions, "contentsSize"> {
  level: Level;
}

/** A revision that is finished but for the signature's value. */
export interface PreparedPades {
  /** Name of the signed field. */
  readonly field: string;
  /** The field was not there before. */
  readonly isNew: boolean;
  /** Where the signature is seen. */
  readonly places: PreparedSignature["places"];
  /** The bytes to append, with zeros for the signature: what can be shown before anything is signed. */
  readonly appended: Uint8Array;
  /** Signed part of the document with these bytes. */
  readonly ranges: Ranges;
}

/** Bytes kept free for a CMS besides its certificates and the signature's value. */
const CMS_SPACE = 1792;

/**
 * Bytes kept free for a timestamp token with its chain. An authority may have ML-DSA keys where the signer has one:
 * with ML-DSA-87 and three certificates a token takes 28 KB.
 */
const tokenSpace = (certificate: Uint8Array) =>
  (readKnownCertificate(certificate).publicKey.type === "ml-dsa" ? 32 : 14) * 1024;

/** Bytes to keep free for a document timestamp beside a signature with this certificate. */
export const timestampSpace = (certificate: Uint8Array): number =>
  CMS_SPACE + tokenSpace(certificate);

/**
 * Prepares a signature in a PDF. The same input gives the same bytes.
 *
 * @param opened the same source, where it is open already
 * @throws {FormatError} as `prepareSignature`; {OnlineError} `signature_invalid` where a reader would not find it
 */
export function preparePades(
  source: Source,
  { certificate, chain }: Pick<Signer, "certificate" | "chain">,
  { level, ...options }: PadesOptions,
  opened?: PdfDocument,
): PreparedPades {
  const prepared = prepareSignature(source, {
    ...options,
    contentsSize: CMS_SPACE + maxSignatureLength(certificate) + certificate.length +
      chain.reduce((sum, each) => sum + each.length, 0) +
      (level === "B-B" ? 0 : tokenSpace(certificate)),
  }, opened);
  const { field, isNew, places, appended } = prepared;
  const ranges = rangesOf(prepared);
  // A reader must find it in what will be signed: nothing but the signature's value comes in later.
  const found = last(appendedSource(source, appended), options.password, opened);
  if (found.field !== field || String(found.ranges) !== String(ranges)) throw invalid();
  return { field, isNew, places, appended, ranges };
}

/** How a prepared signature becomes a finished one. */
export interface Completion {
  level: Level;
  /** Whose signature it must be, DER. */
  certificate: Uint8Array;
  /** Opens an encrypted document. */
  password?: string;
}

/**
 * Checks a signature that is in its place, and climbs to the level above B-T that it is to have.
 *
 * @param signed the bytes appended to the PDF, with the signature in them
 * @param cms that signature
 * @returns further bytes to append; none for B-B and B-T
 * @throws {OnlineError} all its codes
 */
export async function finishPades(
  pdf: Pdf,
  signed: Uint8Array,
  cms: Uint8Array,
  { level, certificate, password }: Completion,
  services: LevelServices,
  signal: AbortSignal,
): Promise<Uint8Array> {
  checkSignature(pdf, signed, certificate, password);
  if (level === "B-B" || level === "B-T") return new Uint8Array();
  const data = await services.validationData(cms, { signal });
  const dss = dssFor(pdf, signed, data, password);
  if (level === "B-LT") return dss;
  const space = timestampSpace(certificate);
  return concat(dss, await archive(pdf, concat(signed, dss), space, services, signal, password));
}

/**
 * A revision with the validation data of the PDF's last signature (EN 319 142-1 §5.4).
 *
 * @param appended what follows the PDF already, that signature at its end
 * @returns the further bytes to append
 */
export function dssFor(
  { source }: Pick<Pdf, "source">,
  appended: Uint8Array,
  data: ValidationData,
  password?: string,
): Uint8Array {
  const signed = appendedSource(source, appended);
  const { contents } = last(signed, password);
  const dss = appendDss(signed, { signatures: [{ contents, ...data }], password });
  const after = inspectSignatures(appendedSource(source, concat(appended, dss)), password);
  if (!after.signatures.some((each) => sameBytes(each.contents, contents))) throw invalid();
  return dss;
}

/** A revision with a timestamp over the whole document (EN 319 142-1 §5.4.3). */
async function archive(
  pdf: Pdf,
  appended: Uint8Array,
  space: number,
  services: LevelServices,
  signal: AbortSignal,
  password: string | undefined,
): Promise<Uint8Array> {
  const { algorithm } = pdf;
  const prepared = prepareTimestamp(appendedSource(pdf.source, appended), {
    contentsSize: space,
    password,
  });
  const whole = appendedSource(pdf.source, concat(appended, prepared.appended));
  const imprint = digestOf(whole, algorithm, rangesOf(prepared));
  const stamp = prepared.complete(await services.timestamp(algorithm, imprint, { signal }));
  const all = concat(appended, stamp);
  const made = last(appendedSource(pdf.source, all), password);
  const { problems } = verifyTimestamp(made.cms, {
    digestOf: (hash) => hash === algorithm ? readDigest(pdf, all, made) : undefined,
  });
  if (problems.length > 0) throw invalid();
  return stamp;
}

export const rangesOf = (
  { byteRange: [start, before, after, rest] }: PreparedSignature,
): Ranges => [
  [start, before],
  [after, rest],
];

/**
 * Looks at a signed document as a reader would.
 *
 * @param certificate of the one whose signature must be the last one, DER
 * @throws {OnlineError} `signature_invalid`
 */
export function checkSignature(
  pdf: Pdf,
  appended: Uint8Array,
  certificate: Uint8Array,
  password?: string,
): void {
  const made = last(appendedSource(pdf.source, appended), password);
  checkCms(made.cms, { [pdf.algorithm]: readDigest(pdf, appended, made) }, certificate);
}

/**
 * Looks at a signature as a reader would, by itself.
 *
 * @param digests of what it signs
 * @throws {OnlineError} `signature_invalid`
 */
export function checkCms(
  cms: Uint8Array,
  digests: Partial<Record<HashName, Uint8Array>>,
  certificate: Uint8Array,
): void {
  const [signer] = verifyCms(cms, { detached: { digests } }).signers;
  const isGood = signer?.status === "valid" && signer.certificate &&
    sameBytes(signer.certificate.der, certificate);
  if (!isGood) throw invalid();
  const { signature } = signer.signer;
  const stamped = signer.timestampTokens.every((token) =>
    verifyTimestamp(token, { digestOf: (hash) => digest(hash, signature) }).problems.length === 0
  );
  if (!stamped) throw invalid();
}

/** The signature or timestamp that covers the whole document. @throws {OnlineError} `signature_invalid` */
function last(
  source: Source,
  password: string | undefined,
  before?: PdfDocument,
): PdfSignature {
  try {
    const { signatures } = inspectSignatures(source, password, before);
    const found = signatures.find(({ coverage }) => coverage === "document");
    if (found) return found;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new OnlineError("signature_invalid", undefined, error.message);
  }
  throw invalid();
}

/** The digest of what a signature covers. */
const readDigest = ({ source, algorithm }: Pdf, appended: Uint8Array, { ranges }: PdfSignature) =>
  digestOf(appendedSource(source, appended), algorithm, ranges);

const invalid = () => new OnlineError("signature_invalid");
