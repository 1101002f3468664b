/**
 * Checking JSON signatures: JWS (RFC 7515, RFC 7797) and JAdES (ETSI TS 119 182-1), with their countersignatures. What
 * cannot be checked is told apart from what does not hold.
 */
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { concat } from "../asn1/der.ts";
import type { VerificationAlgorithm } from "../keys/algorithm.ts";
import { ecdsaFromRaw } from "../keys/ecdsa.ts";
import { readCertificate } from "../x509/certificate.ts";
import { verifySignature } from "../x509/signature.ts";
import { type Header, isNamed, readHeader, readX5c } from "./header.ts";
import { encodeBase64url, orderBytes } from "./jws_header.ts";
import {
  decodeBase64url,
  hasRawPayload,
  jwsMalformed,
  readJsonObject,
  readJws,
  type SerializedJws,
  type SerializedSignature,
} from "./serialization.ts";
import { type JwsTimestamp, readUnsigned } from "./unsigned.ts";

/** Why a JSON signature does not hold. */
export type JwsProblem =
  | "malformed"
  | "algorithm_unsupported"
  | "certificate_missing"
  /** The header names another certificate. */
  | "certificate_not_as_signed"
  | "signature_wrong"
  /** Content that stands elsewhere is not what was signed. */
  | "content_changed"
  | "content_missing";

export interface JwsSignature {
  /** Empty: the signature is right. It says nothing of the certificate. */
  problems: JwsProblem[];
  /** With `algorithm_unsupported`: what is not supported. */
  unsupported: string[];
  certificate: Uint8Array | null;
  certificates: Uint8Array[];
  algorithm: VerificationAlgorithm | null;
  /** The signature as a key makes it: ECDSA in DER. Null where it cannot be read. */
  value: Uint8Array | null;
  /** The signer's claim. */
  signingTime: Date | null;
  /** The header says which certificate is meant, as JAdES asks. */
  namesCertificate: boolean;
  /** Content elsewhere that it covers. */
  files: string[];
  /** It covers several files as if they were one: where each ends is not signed. */
  isJoined: boolean;
  /** Signed parameters that are not looked at. */
  unread: string[];
  /** Unsigned parts from which nothing follows. */
  ignored: string[];
  timestamps: JwsTimestamp[];
  crls: Uint8Array[];
  ocspResponses: Uint8Array[];
  countersignatures: JwsSignature[];
}

export interface JwsResult {
  /** Null where the JWS is detached and no payload was given. */
  payload: Uint8Array | null;
  signatures: JwsSignature[];
}

export interface JwsVerifyOptions {
  /** The payload of a detached JWS. */
  payload?: Uint8Array;
  /** Content by the URI in a header; null where it is not at hand. */
  content?: (uri: string) => Uint8Array | null;
  /** Certificates (DER) among which a signer's may be that a JWS does not hold. */
  certificates?: readonly Uint8Array[];
}

const MAX_LEVELS = 4;
const utf8 = new TextEncoder();

/**
 * Checks every signature of a JWS: general or flattened JSON, or compact.
 *
 * @throws {FormatError} `jws_malformed`, `limit_exceeded`; `invalid_argument` where a payload is given beside another
 */
export function verifyJws(text: string, options: JwsVerifyOptions = {}): JwsResult {
  const jws = readJws(text);
  if (jws.payload !== undefined && options.payload) {
    throw new FormatError(
      "invalid_argument",
      "The JWS already contains its payload; do not pass another.",
    );
  }
  return { payload: payloadOf(jws, options), signatures: verifyEach(jws, options, 0) };
}

/**
 * The parts of a signature's signing input, where an archive timestamp can cover them.
 *
 * @param payload of a detached JWS
 * @returns undefined where the payload is missing, not in BASE64URL, or not a payload but files
 * @throws {FormatError} `jws_malformed`, `limit_exceeded`
 */
export function signedParts(
  text: string,
  index: number,
  payload?: Uint8Array,
): { protected: string; payload: string } | undefined {
  const jws = readJws(text);
  const { protected: header } = jws.signatures[index];
  const { content, isRaw } = readHeader(readJsonObject(decodeBase64url(header)));
  const signed = jws.payload ?? (payload && encodeBase64url(payload));
  return content || isRaw || signed === undefined
    ? undefined
    : { protected: header, payload: signed };
}

/**
 * Reads the payload of a JWS without checking any signature.
 *
 * @returns null if it is detached
 * @throws {FormatError} `jws_malformed`, `limit_exceeded`
 */
export function jwsPayload(text: string): Uint8Array | null {
  return payloadOf(readJws(text), {});
}

function payloadOf({ payload, signatures }: SerializedJws, given: JwsVerifyOptions) {
  if (payload === undefined) return given.payload ?? null;
  return hasRawPayload(signatures) ? utf8.encode(payload) : decodeBase64url(payload);
}

function verifyEach(jws: SerializedJws, options: JwsVerifyOptions, level: number): JwsSignature[] {
  return jws.signatures.map((each) => verifyOne(each, jws.payload, options, level));
}

function verifyOne(
  serialized: SerializedSignature,
  payload: string | undefined,
  options: JwsVerifyOptions,
  level: number,
): JwsSignature {
  const report: JwsSignature = {
    problems: [],
    unsupported: [],
    certificate: null,
    certificates: [],
    algorithm: null,
    value: null,
    signingTime: null,
    namesCertificate: false,
    files: [],
    isJoined: false,
    unread: [],
    ignored: [],
    timestamps: [],
    crls: [],
    ocspResponses: [],
    countersignatures: [],
  };
  try {
    if (serialized.protected === "") {
      report.problems.push("algorithm_unsupported");
      report.unsupported.push("a signature without a protected header");
      return report;
    }
    const parameters = readJsonObject(decodeBase64url(serialized.protected));
    // RFC 7515 §7.2.1: which of two would count is not said.
    if (Object.keys(serialized.header).some((name) => Object.hasOwn(parameters, name))) {
      throw jwsMalformed("A parameter appears in both headers.");
    }
    const header = readHeader(parameters);
    const { etsiU, x5c, ...others } = serialized.header;
    for (const name of ["alg", "crit", "b64"]) {
      if (!Object.hasOwn(others, name)) continue;
      header.unsupported.push(`${name} in an unprotected header`);
      header.isUnclear = true;
    }
    report.algorithm = header.algorithm ?? null;
    report.signingTime = header.signingTime;
    report.namesCertificate = header.named.length > 0;
    report.unread = header.unread;
    report.unsupported = header.unsupported;
    if (header.unsupported.length > 0) report.problems.push("algorithm_unsupported");
    const signed = signedPayload(header, payload, options, report);
    // An archive timestamp covers a payload in BASE64URL.
    const covered = typeof signed === "string" && !header.content
      ? { protected: serialized.protected, payload: signed }
      : undefined;
    const { countersignatures, ignored, certificates, ...unsigned } = readUnsigned(
      etsiU,
      serialized.signature,
      covered,
    );
    Object.assign(report, unsigned);
    report.ignored = [...serialized.others ?? [], ...Object.keys(others), ...ignored];
    const unsignedCertificates = [...unsignedX5c(x5c, report), ...certificates];
    report.certificates = [...header.certificates, ...unsignedCertificates];
    if (level < MAX_LEVELS) {
      report.countersignatures = countersignatures.flatMap((each) =>
        countersigned(each, serialized.signature, options, level)
      );
    } else if (countersignatures.length > 0) report.ignored.push("cSig");
    // RFC 7515 §4.1.6: the first is the signer's. Elsewhere it has to be looked for.
    const candidates = header.certificates.length > 0
      ? header.certificates.slice(0, 1)
      : [...unsignedCertificates, ...options.certificates ?? []];
    checkSignature(serialized, header, signed, candidates, report);
  } catch (error) {
    if (!(error instanceof FormatError || error instanceof SyntaxError)) throw error;
    const isUnsupported = error instanceof FormatError && error.code === "algorithm_unsupported";
    report.problems.push(isUnsupported ? "algorithm_unsupported" : "malformed");
    if (isUnsupported) report.unsupported.push(error.message);
  }
  return report;
}

function unsignedX5c(x5c: unknown, { ignored }: JwsSignature): Uint8Array[] {
  try {
    return readX5c(x5c);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    ignored.push("x5c");
    return [];
  }
}

/** The second part of the JWS Signing Input; undefined where it is not known. */
function signedPayload(
  { content, isRaw }: Header,
  payload: string | undefined,
  given: JwsVerifyOptions,
  report: JwsSignature,
): string | Uint8Array | undefined {
  const encoded = (bytes: Uint8Array) => isRaw ? bytes : encodeBase64url(bytes);
  if (!content) return payload ?? (given.payload && encoded(given.payload));
  if (payload !== undefined) {
    throw jwsMalformed("The JWS has a payload but also refers to other content.");
  }
  report.files = content.uris;
  const found = content.uris.map((uri) => given.content?.(uri) ?? null);
  if (found.includes(null)) report.problems.push("content_missing");
  if (content.kind === "joined") {
    report.isJoined = content.uris.length > 1;
    return found.includes(null) ? undefined : encoded(concat(...found as Uint8Array[]));
  }
  // §5.2.8.3.3: of each the digest of what would have been signed; the payload is empty.
  found.forEach((bytes, index) => {
    if (!bytes || !content.hash) return;
    const signed = encoded(bytes);
    const octets = typeof signed === "string" ? utf8.encode(signed) : signed;
    if (encodeBase64url(digest(content.hash, octets)) !== content.digests[index]) {
      report.problems.push("content_changed");
    }
  });
  return "";
}

function checkSignature(
  { protected: protectedHeader, signature }: SerializedSignature,
  header: Header,
  payload: string | Uint8Array | undefined,
  candidates: readonly Uint8Array[],
  report: JwsSignature,
): void {
  const { algorithm } = header;
  if (!algorithm) return;
  const named = candidates.filter((each) => isNamed(header, each));
  report.certificate = named[0] ?? candidates[0] ?? null;
  if (candidates.length === 0) report.problems.push("certificate_missing");
  else if (named.length === 0) report.problems.push("certificate_not_as_signed");
  if (header.isUnclear) return;
  if (payload === undefined) {
    if (!report.problems.includes("content_missing")) report.problems.push("content_missing");
    return;
  }
  const octets = typeof payload === "string" ? utf8.encode(payload) : payload;
  const message = concat(utf8.encode(`${protectedHeader}.`), octets);
  const raw = decodeBase64url(signature);
  const { curve } = algorithm;
  const isWhole = curve === undefined || raw.length === 2 * orderBytes[curve];
  const value = report.value = !isWhole ? null : curve ? ecdsaFromRaw(raw) : raw;
  const tried = named.length > 0 ? named : candidates;
  const signer = tried.find((certificate) => {
    if (curve && readCertificate(certificate).publicKey.curve !== curve) return false;
    return value !== null && verifySignature(certificate, algorithm, { message }, value);
  });
  if (signer) report.certificate = signer;
  else if (tried.length > 0) report.problems.push("signature_wrong");
}

/** §5.3.2: a JWS whose payload is the value of the signature that it countersigns. */
function countersigned(
  jws: SerializedJws,
  signature: string,
  { certificates }: JwsVerifyOptions,
  level: number,
): JwsSignature[] {
  const found = verifyEach({ ...jws, payload: signature }, { certificates }, level + 1);
  if (jws.payload !== undefined && jws.payload !== signature) {
    for (const each of found) each.problems.push("content_changed");
  }
  return found;
}
