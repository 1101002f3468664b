/**
 * Verifying CMS signatures over the received bytes (RFC 5652 §5.6), with the checks of CAdES
 * (EN 319 122-1). Whether the certificate may be trusted, and at what time, is not decided here:
 * the result carries what that decision needs.
 */
import { type Asn1Node, readAsn1, readTime } from "../asn1/read.ts";
import {
  checkAttributes,
  checkBareContent,
  checkStrength,
  type SignedContent,
  single,
} from "./checks.ts";
import { type CmsFinding, Findings, type SignatureStatus } from "./findings.ts";
import { attributeValues, readSignedData, readSignerInfo } from "./read.ts";
import type { SignedData, SignedDataOptions, SignerInfo } from "./read.ts";
import { readSigningCertificates, refersTo } from "./signing_certificate.ts";
import { concat } from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { readName } from "../x509/name.ts";
import { Oid } from "../asn1/oids.ts";
import { verifySignature } from "../x509/signature.ts";
import { readHash, readSignatureAlgorithm } from "../keys/algorithm.ts";
import { isMlDsa } from "../keys/ml_dsa.ts";
import type { VerificationAlgorithm } from "../keys/algorithm.ts";
import type { DigestName } from "../signer.ts";
import { type Certificate, readKnownCertificate, sameBytes } from "../x509/certificate.ts";

export interface SignerResult {
  status: SignatureStatus;
  findings: readonly CmsFinding[];
  signer: SignerInfo;
  /** The signer's certificate, if it was found and can be read. */
  certificate?: Certificate;
  algorithm?: VerificationAlgorithm;
  /** Digest algorithm of the content. */
  hash?: DigestName;
  /** The time that the signer claims; proves nothing. */
  signingTime?: Date;
  /** Signature timestamps (RFC 3161 tokens, ContentInfo as received) over `signer.signature`. */
  timestampTokens: readonly Uint8Array[];
  countersignatures: readonly SignerResult[];
}

export interface CmsResult {
  cms: SignedData;
  /** Those in the signature, or given, that can be read. */
  certificates: readonly Certificate[];
  signers: readonly SignerResult[];
}

/** The content of a detached signature, or its digests by the algorithms that signers used. */
export type DetachedContent =
  | { content: Uint8Array }
  | {
    digests: Readonly<Partial<Record<DigestName, Uint8Array>>>;
    /** The content itself, where it is at hand. */
    bytes?: () => Uint8Array;
  };

export interface CmsVerifyOptions extends SignedDataOptions {
  detached?: DetachedContent;
  /** Further certificates (DER) among which a signer's may be. */
  certificates?: readonly Uint8Array[];
}

const MAX_COUNTERSIGNATURE_LEVELS = 8;
const MAX_COUNTERSIGNATURES = 64;
const MAX_CANDIDATES = 3;

/** Shared by all signers of one SignedData. */
interface Verification {
  certificates: readonly Certificate[];
  /** Why some cannot be read. */
  unreadable: readonly string[];
  countersignaturesLeft: number;
}

/**
 * Verifies every signer of a SignedData, and their countersignatures.
 *
 * @throws {FormatError} `cms_malformed`, `limit_exceeded`; `invalid_argument` if `detached` is given
 *   for a signature that holds its content. Anything else wrong is a finding.
 */
export function verifyCms(bytes: Uint8Array, options: CmsVerifyOptions = {}): CmsResult {
  const cms = readSignedData(bytes, options);
  const { detached } = options;
  if (cms.content && detached) {
    throw new FormatError(
      "invalid_argument",
      "The signature already contains its content; do not pass another.",
    );
  }
  const pieces = cms.content ??
    (detached && "content" in detached ? [detached.content] : undefined);
  const digests = new Map<DigestName, Uint8Array | undefined>();
  const signed: SignedContent = {
    contentType: cms.contentType,
    pieces,
    bytes: detached && "digests" in detached ? detached.bytes : undefined,
    digestOf(hash) {
      if (detached && "digests" in detached) return detached.digests[hash];
      if (pieces && !digests.has(hash)) digests.set(hash, digest(hash, ...pieces));
      return digests.get(hash);
    },
  };
  const all = [...cms.certificates, ...options.certificates ?? []].map(tryReadCertificate);
  const certificates = all.filter((each) => typeof each !== "string");
  const verification: Verification = {
    certificates,
    unreadable: all.filter((each) => typeof each === "string"),
    countersignaturesLeft: MAX_COUNTERSIGNATURES,
  };
  const signers = cms.signers.map((signer) => verifySigner(verification, signer, signed, 0));
  return { cms, certificates, signers };
}

/** The digest algorithms that a detached signature's content must be digested with. */
export function digestsNeeded({ signers }: SignedData): DigestName[] {
  return [...new Set(signers.flatMap(({ digestAlgorithm }) => tryReadHash(digestAlgorithm) ?? []))];
}

/** @returns a sentence where it cannot be read: it may be nobody's we need */
function tryReadCertificate(der: Uint8Array): Certificate | string {
  try {
    return readKnownCertificate(der);
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

function tryReadHash(algorithm: Asn1Node): DigestName | undefined {
  try {
    return readHash(algorithm);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function verifySigner(
  verification: Verification,
  signer: SignerInfo,
  signed: SignedContent,
  level: number,
): SignerResult {
  const findings = new Findings();
  const attributes = signer.signedAttributes?.attributes;
  const algorithm = findings.attempt(
    "algorithm_unsupported",
    () => readSignatureAlgorithm(signer.signatureAlgorithm, tryReadHash(signer.digestAlgorithm)),
  );
  // RFC 9882 §3.3: without signed attributes ML-DSA has no use for a digest.
  const hash = !attributes && algorithm && isMlDsa(algorithm.scheme)
    ? undefined
    : findings.attempt("algorithm_unsupported", () => readHash(signer.digestAlgorithm));
  checkStrength(findings, signer, hash, algorithm);
  if (attributes) checkAttributes(findings, attributes, signer, signed, hash);
  else checkBareContent(findings, signed);
  const certificate = findCertificate(findings, verification, signer, algorithm, signed);
  if (certificate?.publicKey.type.startsWith("rsa") && certificate.publicKey.bits < 2048) {
    findings.add("weak_key", `The RSA key has ${certificate.publicKey.bits} bits, less than 2048.`);
  }
  const time = attributes && single(findings, attributes, Oid.signingTime);
  const signingTime = time && findings.attempt("attribute_malformed", () => readTime(time));
  const countersignatures = verifyCountersignatures(findings, verification, signer, level);
  return {
    status: findings.status,
    findings: findings.list,
    signer,
    certificate,
    algorithm,
    hash,
    signingTime,
    timestampTokens: attributeValues(signer.unsignedAttributes, Oid.signatureTimestamp)
      .map(({ bytes }) => bytes),
    countersignatures,
  };
}

/** Finds the signer's certificate and checks the signature with its key. */
function findCertificate(
  findings: Findings,
  verification: Verification,
  signer: SignerInfo,
  algorithm: VerificationAlgorithm | undefined,
  signed: SignedContent,
): Certificate | undefined {
  const candidates = findings.attempt(
    "certificate_missing",
    () => verification.certificates.filter((each) => isNamed(each, signer)),
  )?.slice(0, MAX_CANDIDATES) ?? [];
  const references = signer.signedAttributes && findings.attempt(
    "attribute_malformed",
    () => readSigningCertificates(signer.signedAttributes!.attributes),
  );
  if (references?.length === 0 || !signer.signedAttributes) {
    findings.add(
      "signing_certificate_absent",
      "The signer did not sign which certificate is meant.",
    );
  }
  if (candidates.length === 0) {
    const [why] = verification.unreadable;
    if (why) {
      findings.add("certificate_malformed", `A certificate in the signature is not usable: ${why}`);
    } else {
      findings.add(
        "certificate_missing",
        "The signer's certificate is neither in the signature nor given.",
      );
    }
    return undefined;
  }
  const meant = candidates.filter((certificate) =>
    (references ?? []).every((reference) =>
      findings.attempt("attribute_malformed", () => refersTo(reference, certificate))
    )
  );
  if (meant.length === 0) {
    findings.add(
      "signing_certificate_mismatch",
      "The signer meant another certificate than the one in the signature.",
    );
  }
  const tried = meant.length > 0 ? meant : candidates;
  // Certificates with the same issuer and serial number should not exist; then the key decides.
  return findings.attempt("certificate_malformed", () => {
    const check = algorithm && signatureCheck(algorithm, signer, signed);
    const right = check && tried.find(check);
    if (check && !right) {
      findings.add("signature_invalid", "The signature was not made with the certificate's key.");
    }
    if (algorithm && !check) {
      if (algorithm.hash) findings.add("content_missing", "The signed content was not given.");
      else {
        findings.add(
          "algorithm_unsupported",
          `A detached ${algorithm.scheme} signature is only checked where it has signed attributes.`,
        );
      }
    }
    return right;
  }) ?? tried[0];
}

function isNamed({ issuer, serialNumber, subjectKeyIdentifier }: Certificate, signer: SignerInfo) {
  const { sid } = signer;
  if ("subjectKeyIdentifier" in sid) {
    return subjectKeyIdentifier !== undefined &&
      sameBytes(subjectKeyIdentifier, sid.subjectKeyIdentifier);
  }
  return sameBytes(serialNumber, sid.serialNumber) &&
    (sameBytes(issuer.der, sid.issuer) ||
      readName(readAsn1(sid.issuer, { ber: true })).equals(issuer));
}

/** The check against a certificate's key; `undefined` if what was signed is not known. */
function signatureCheck(
  algorithm: VerificationAlgorithm,
  { signature, signedAttributes }: SignerInfo,
  signed: SignedContent,
): ((certificate: Certificate) => boolean) | undefined {
  const { pieces } = signed;
  const message = signedAttributes?.toBeSigned ??
    (pieces?.length === 1 ? pieces[0] : pieces && !algorithm.hash ? concat(...pieces) : undefined);
  const hashed = message || !algorithm.hash ? undefined : signed.digestOf(algorithm.hash);
  const input = message ? { message } : hashed && { digest: hashed };
  return input &&
    (({ publicKey }) => verifySignature(publicKey, algorithm, input, signature));
}

function verifyCountersignatures(
  findings: Findings,
  verification: Verification,
  parent: SignerInfo,
  level: number,
): SignerResult[] {
  const signed: SignedContent = {
    pieces: [parent.signature],
    digestOf: (hash) => digest(hash, parent.signature),
  };
  const results: SignerResult[] = [];
  for (const node of attributeValues(parent.unsignedAttributes, Oid.countersignature)) {
    if (level >= MAX_COUNTERSIGNATURE_LEVELS || verification.countersignaturesLeft-- <= 0) {
      findings.add("countersignatures_unchecked", "There are too many countersignatures.");
      break;
    }
    const signer = findings.attempt("countersignature_malformed", () => readSignerInfo(node));
    if (signer) results.push(verifySigner(verification, signer, signed, level + 1));
  }
  return results;
}
