/**
 * The levels of a signature in a PDF, from B-B to B-LTA (EN 319 142-1 §6): one ladder for agent, command line and PIN/OTP
 * service. Every step is checked as a reader would check it before anything is released.
 */
import type { Hash } from "node:crypto";
import { concat } from "../formats/asn1/der.ts";
import { verifyCms } from "../formats/cms/verify.ts";
import { verifyTimestamp } from "../formats/cms/timestamp.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { digest, hasher } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { appendDss, type ValidationData } from "../formats/pades/dss.ts";
import { inspectSignatures, type PdfSignature } from "../formats/pades/inspect.ts";
import {
  type PreparedSignature,
  prepareSignature,
  prepareTimestamp,
  type SignatureOptions,
} from "../formats/pades/prepare.ts";
import type { HashName, Signer } from "../formats/signer.ts";
import { appendedSource, bytesSource, type Source } from "../formats/source.ts";
import { sameBytes } from "../formats/x509/certificate.ts";
import { OnlineError } from "./error.ts";
import { timestampSignature } from "./timestamp.ts";

export type Level = "B-B" | "B-T" | "B-LT" | "B-LTA";

/** A PDF as signing reads it. */
export interface Pdf {
  source: Source;
  /** For reading from beginning to end: a piece is good until the next one. */
  sequential(): Source;
  /** Of the signature and of what is asked of the time-stamping service. */
  algorithm: HashName;
  /** A hash of the whole document that can go on with what follows it. */
  hashed(): Hash;
}

/** A PDF in memory. */
export function pdfOfBytes(bytes: Uint8Array, algorithm: HashName): Pdf {
  const source = bytesSource(bytes);
  return {
    source,
    sequential: () => source,
    algorithm,
    hashed: () => hasher(algorithm).update(bytes),
  };
}

/** What the levels above B-B ask of the network. */
export interface LevelServices {
  /** @returns a TimeStampToken (RFC 3161), checked against the request */
  timestamp(hash: HashName, digest: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  /** @returns all that a later validation of the CMS and its timestamp needs */
  validationData(cms: Uint8Array, signal: AbortSignal): Promise<ValidationData>;
}

export interface PadesOptions extends Omit<SignatureOptions, "contentsSize"> {
  level: Level;
}

/** A revision that is finished but for the signature's value. */
export interface PreparedPades {
  /** Name of the signed field. */
  readonly field: string;
  /** The bytes to append, with zeros for the signature: what can be shown before anything is signed. */
  readonly appended: Uint8Array;
  /** The CMS's signed attributes; the key signs their digest. */
  readonly toBeSigned: Uint8Array;
  /**
   * Puts the signature in and climbs to the level. The signature need not be right: nothing is returned that does not
   * verify with the certificate.
   *
   * @returns the bytes to append to the original
   * @throws {OnlineError} all its codes; {FormatError} `space_too_small`
   */
  complete(
    signature: Uint8Array,
    services: LevelServices,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
}

/** Bytes kept free for a CMS besides its certificates; and for a timestamp token with its chain. */
const CMS_SPACE = 2048;
const TOKEN_SPACE = 14 * 1024;

/**
 * Prepares a signature in a PDF. The same input gives the same bytes.
 *
 * @throws {FormatError} as `prepareSignature`
 */
export function preparePades(
  pdf: Pdf,
  signer: Pick<Signer, "certificate" | "chain" | "algorithm">,
  { level, ...options }: PadesOptions,
): PreparedPades {
  const { certificate, chain } = signer;
  const prepared = prepareSignature(pdf.source, {
    ...options,
    contentsSize: CMS_SPACE + certificate.length +
      chain.reduce((sum, each) => sum + each.length, 0) +
      (level === "B-B" ? 0 : TOKEN_SPACE),
  });
  // EN 319 142-1 §6.3: in PAdES the time stands in the dictionary, not in the CMS.
  const signingTime = options.subFilter === "adbe.pkcs7.detached" ? options.time : undefined;
  const cms = prepareSignedData({ digest: digestOf(pdf, prepared) }, signer, { signingTime });
  const { field, appended } = prepared;
  return {
    field,
    appended,
    toBeSigned: cms.toBeSigned,
    async complete(signature, services, signal) {
      let complete = cms.complete(signature);
      if (level !== "B-B") {
        complete = await timestampSignature(
          complete,
          pdf.algorithm,
          (hash, digest) => services.timestamp(hash, digest, signal),
        );
      }
      const signed = prepared.complete(complete);
      checkSignature(pdf, signed, certificate, options.password);
      if (level === "B-B" || level === "B-T") return signed;
      const data = await services.validationData(complete, signal);
      const extended = concat(signed, dssFor(pdf, signed, data, options.password));
      if (level === "B-LT") return extended;
      return concat(extended, await archive(pdf, extended, services, signal, options.password));
    },
  };
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
  services: LevelServices,
  signal: AbortSignal,
  password: string | undefined,
): Promise<Uint8Array> {
  const { algorithm } = pdf;
  const prepared = prepareTimestamp(appendedSource(pdf.source, appended), {
    contentsSize: CMS_SPACE + TOKEN_SPACE,
    password,
  });
  const imprint = digestOf({ hashed: () => pdf.hashed().update(appended) }, prepared);
  const stamp = prepared.complete(await services.timestamp(algorithm, imprint, signal));
  const all = concat(appended, stamp);
  const made = last(appendedSource(pdf.source, all), password);
  const { problems } = verifyTimestamp(made.cms, {
    digestOf: (hash) => hash === algorithm ? readDigest(pdf, all, made) : undefined,
  });
  if (problems.length > 0) throw invalid();
  return stamp;
}

/** The digest of what a prepared signature signs: the document, then what is appended without its own place. */
function digestOf({ hashed }: Pick<Pdf, "hashed">, prepared: PreparedSignature): Uint8Array {
  const { appended, byteRange: [, before, after, rest] } = prepared;
  const start = after + rest - appended.length;
  const hash = hashed().update(appended.subarray(0, before - start));
  return new Uint8Array(hash.update(appended.subarray(after - start)).digest());
}

/**
 * Looks at a signed document as a reader would: at the bytes that were kept, not those that were hashed as they came.
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
  const digests = { [pdf.algorithm]: readDigest(pdf, appended, made) };
  const [signer] = verifyCms(made.cms, { detached: { digests } }).signers;
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
function last(source: Source, password: string | undefined): PdfSignature {
  try {
    const { signatures } = inspectSignatures(source, password);
    const found = signatures.find(({ coverage }) => coverage === "document");
    if (found) return found;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new OnlineError("signature_invalid", undefined, error.message);
  }
  throw invalid();
}

/** The digest of what a signature covers, read from the document anew. */
function readDigest({ sequential, algorithm }: Pdf, appended: Uint8Array, made: PdfSignature) {
  const hash = hasher(algorithm);
  const whole = appendedSource(sequential(), appended);
  for (const piece of rangesOf(whole, made.ranges)) hash.update(piece);
  return new Uint8Array(hash.digest());
}

const invalid = () => new OnlineError("signature_invalid");

const PIECE = 1024 * 1024;

/** The signed ranges in pieces, each good until the next one. */
function* rangesOf(
  source: Source,
  ranges: readonly (readonly [number, number])[],
): Generator<Uint8Array, void, undefined> {
  for (const [offset, length] of ranges) {
    for (let at = 0; at < length; at += PIECE) {
      yield source.read(offset + at, Math.min(PIECE, length - at));
    }
  }
}
