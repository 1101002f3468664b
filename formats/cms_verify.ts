/**
 * Verifying CMS signatures over the received bytes (RFC 5652 §5.6), with the checks of CAdES
 * (EN 319 122-1). Whether the certificate may be trusted, and at what time, is not decided here:
 * the result carries what that decision needs.
 */
import {
  type Asn1Node,
  Fields,
  readAsn1,
  readOctetString,
  readOid,
  readTime,
  Tag,
} from "./asn1.ts";
import { attributeValues, readSignedData, readSignerInfo } from "./cms_read.ts";
import type { Attribute, SignedData, SignedDataOptions, SignerInfo } from "./cms_read.ts";
import { readSigningCertificates, refersTo } from "./cms_signing_certificate.ts";
import { digest } from "./digest.ts";
import { FormatError } from "./error.ts";
import { readName } from "./name.ts";
import { Oid } from "./oids.ts";
import { verifySignature as verifyOtherSignature } from "./public_key.ts";
import { verifySignature } from "./signature.ts";
import { readHash, readSignatureAlgorithm } from "./signature_algorithm.ts";
import type { VerificationAlgorithm } from "./signature_algorithm.ts";
import type { HashName, SignatureAlgorithm } from "./signer.ts";
import { type Certificate, readCertificate, sameBytes } from "./x509.ts";

/** What a finding means for the signature. */
export type Severity =
  /** The signature is wrong. */
  | "invalid"
  /** It cannot be told whether it is right. */
  | "indeterminate"
  /** It is right, but a policy may refuse it. */
  | "policy";

const severities = {
  /** The content is not what was signed. */
  digest_mismatch: "invalid",
  /** The signature value is not the key's over the signed attributes. */
  signature_invalid: "invalid",
  /** An attribute that must be there is not (RFC 5652 §5.3). */
  attribute_missing: "invalid",
  /** An attribute that must be there once, with one value, is there more often (§11). */
  attribute_repeated: "invalid",
  attribute_malformed: "invalid",
  /** The content-type attribute names another type than the content has (§11.1). */
  content_type_mismatch: "invalid",
  /** The signing-certificate attribute means another certificate (RFC 5035 §3). */
  signing_certificate_mismatch: "invalid",
  /** The protected algorithms are others than those stated (RFC 6211 §2). */
  algorithm_protection_mismatch: "invalid",
  /** The signer's certificate is neither in the signature nor given. */
  certificate_missing: "indeterminate",
  certificate_malformed: "indeterminate",
  /** The signature is detached and its content, or its digest, was not given. */
  content_missing: "indeterminate",
  algorithm_unsupported: "indeterminate",
  countersignature_malformed: "indeterminate",
  /** Countersignatures beyond 8 levels or 64 in all are not looked at. */
  countersignatures_unchecked: "indeterminate",
  /** SHA-1 or MD5. */
  weak_digest: "policy",
  /** RSA below 2048 bits. */
  weak_key: "policy",
  /** The attributes were digested by another algorithm than the content. */
  digest_algorithms_differ: "policy",
  /** The signature is over the bare content: no time, type or certificate is bound to it. */
  signed_attributes_absent: "policy",
  /** Nothing signed says which certificate was meant; CAdES and PAdES ask for it. */
  signing_certificate_absent: "policy",
} as const satisfies Record<string, Severity>;

export type CmsFindingCode = keyof typeof severities;

export interface CmsFinding {
  code: CmsFindingCode;
  severity: Severity;
  /** A sentence for people. */
  message: string;
}

export interface SignerResult {
  /** The worst of the findings; `valid` if none is worse than `policy`. */
  status: "valid" | "invalid" | "indeterminate";
  findings: readonly CmsFinding[];
  signer: SignerInfo;
  /** The signer's certificate, if it was found and can be read. */
  certificate?: Certificate;
  algorithm?: VerificationAlgorithm;
  /** Digest algorithm of the content. */
  hash?: HashName;
  /** The time that the signer claims; proves nothing. */
  signingTime?: Date;
  /** Signature timestamps (RFC 3161 tokens, ContentInfo as received) over `signer.signature`. */
  timestampTokens: readonly Uint8Array[];
  countersignatures: readonly SignerResult[];
}

export interface CmsResult {
  cms: SignedData;
  signers: readonly SignerResult[];
}

/** The content of a detached signature, or its digests by the algorithms that signers used. */
export type DetachedContent =
  | { content: Uint8Array }
  | { digests: Readonly<Partial<Record<HashName, Uint8Array>>> };

export interface CmsVerifyOptions extends SignedDataOptions {
  detached?: DetachedContent;
  /** Further certificates (DER) among which a signer's may be. */
  certificates?: readonly Uint8Array[];
}

const MAX_COUNTERSIGNATURE_LEVELS = 8;
const MAX_COUNTERSIGNATURES = 64;
const MAX_CANDIDATES = 8;

/** What all signers of one SignedData share. */
interface Verification {
  certificates: readonly Certificate[];
  unreadable: number;
  countersignaturesLeft: number;
}

/** What one SignerInfo signs. */
interface Signed {
  /** Absent for countersignatures, where the attribute has no meaning. */
  contentType?: string;
  /** The signed bytes, if known. */
  pieces?: readonly Uint8Array[];
  digestOf(hash: HashName): Uint8Array | undefined;
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
      "The signature holds its content already; no other may be given.",
    );
  }
  const pieces = cms.content ??
    (detached && "content" in detached ? [detached.content] : undefined);
  const digests = new Map<HashName, Uint8Array | undefined>();
  const signed: Signed = {
    contentType: cms.contentType,
    pieces,
    digestOf(hash) {
      if (detached && "digests" in detached) return detached.digests[hash];
      if (pieces && !digests.has(hash)) digests.set(hash, digest(hash, ...pieces));
      return digests.get(hash);
    },
  };
  const all = [...cms.certificates, ...options.certificates ?? []].map(tryReadCertificate);
  const certificates = all.filter((certificate) => certificate !== undefined);
  const verification: Verification = {
    certificates,
    unreadable: all.length - certificates.length,
    countersignaturesLeft: MAX_COUNTERSIGNATURES,
  };
  const signers = cms.signers.map((signer) => verifySigner(verification, signer, signed, 0));
  return { cms, signers };
}

/** The digest algorithms that a detached signature's content must be digested with. */
export function digestsNeeded({ signers }: SignedData): HashName[] {
  return [...new Set(signers.flatMap(({ digestAlgorithm }) => tryReadHash(digestAlgorithm) ?? []))];
}

function tryReadCertificate(der: Uint8Array): Certificate | undefined {
  try {
    return readCertificate(der);
  } catch (error) {
    if (error instanceof FormatError) return undefined; // it may be nobody's we need
    throw error;
  }
}

function tryReadHash(algorithm: Asn1Node): HashName | undefined {
  try {
    return readHash(algorithm);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Collects what is found about one signer. */
class Findings {
  readonly list: CmsFinding[] = [];

  add(code: CmsFindingCode, message: string): void {
    this.list.push({ code, severity: severities[code], message });
  }

  /** Runs a reading or checking step; its typed error becomes a finding. */
  attempt<T>(code: CmsFindingCode, step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const unsupported = error.code === "algorithm_unsupported";
      this.add(unsupported ? "algorithm_unsupported" : code, error.message);
      return undefined;
    }
  }

  get status(): SignerResult["status"] {
    const has = (severity: Severity) => this.list.some((each) => each.severity === severity);
    return has("invalid") ? "invalid" : has("indeterminate") ? "indeterminate" : "valid";
  }
}

function verifySigner(
  verification: Verification,
  signer: SignerInfo,
  signed: Signed,
  level: number,
): SignerResult {
  const findings = new Findings();
  const attributes = signer.signedAttributes?.attributes;
  const hash = findings.attempt("algorithm_unsupported", () => readHash(signer.digestAlgorithm));
  const algorithm = findings.attempt(
    "algorithm_unsupported",
    () => readSignatureAlgorithm(signer.signatureAlgorithm, hash),
  );
  checkStrength(findings, signer, hash, algorithm);
  if (attributes) checkAttributes(findings, attributes, signer, signed, hash);
  else checkBareContent(findings, signed);
  const certificate = findCertificate(findings, verification, signer, algorithm, signed);
  if (certificate?.publicKey.type.startsWith("rsa") && certificate.publicKey.bits < 2048) {
    findings.add("weak_key", `The RSA key has ${certificate.publicKey.bits} bits, less than 2048.`);
  }
  const time = attributes && single(findings, attributes, Oid.signingTime);
  const countersignatures = verifyCountersignatures(findings, verification, signer, level);
  return {
    status: findings.status,
    findings: findings.list,
    signer,
    certificate,
    algorithm,
    hash,
    signingTime: time && findings.attempt("attribute_malformed", () => readTime(time)),
    timestampTokens: attributeValues(signer.unsignedAttributes, Oid.signatureTimestamp)
      .map(({ bytes }) => bytes),
    countersignatures,
  };
}

function checkStrength(
  findings: Findings,
  signer: SignerInfo,
  hash: HashName | undefined,
  algorithm: VerificationAlgorithm | undefined,
): void {
  const named = [signer.digestAlgorithm, signer.signatureAlgorithm].map((node) =>
    findings.attempt(
      "algorithm_unsupported",
      () => readOid(new Fields(node, "an algorithm").take()),
    )
  );
  if (named.includes(Oid.md5) || named.includes(Oid.md5WithRsa)) {
    findings.add("weak_digest", "The signature is made with MD5, which can be forged.");
  }
  if (hash === "SHA-1" || algorithm?.hash === "SHA-1") {
    findings.add("weak_digest", "The signature is made with SHA-1, which can be forged.");
  }
  if (hash && algorithm?.hash && hash !== algorithm.hash) {
    findings.add(
      "digest_algorithms_differ",
      `The content was digested with ${hash}, the attributes with ${algorithm.hash}.`,
    );
  }
}

/** The one value of an attribute that may be there once; `undefined` if it is not there. */
function single(
  findings: Findings,
  attributes: readonly Attribute[],
  oid: string,
): Asn1Node | undefined {
  const found = attributes.filter((attribute) => attribute.oid === oid);
  if (found.length === 0) return undefined;
  if (found.length > 1 || found[0].values.length !== 1) {
    findings.add("attribute_repeated", `The signed attribute ${oid} must have exactly one value.`);
    return undefined;
  }
  return found[0].values[0];
}

/** RFC 5652 §5.3, §5.6, §11.1, §11.2. */
function checkAttributes(
  findings: Findings,
  attributes: readonly Attribute[],
  signer: SignerInfo,
  signed: Signed,
  hash: HashName | undefined,
): void {
  const missing = (oid: string) => !attributes.some((attribute) => attribute.oid === oid);
  // Countersignatures must not have a content-type; those of Authenticode do, without any harm.
  if (signed.contentType) {
    const type = single(findings, attributes, Oid.contentType);
    const named = type && findings.attempt("attribute_malformed", () => readOid(type));
    if (missing(Oid.contentType)) {
      findings.add("attribute_missing", "The signer did not sign the type of the content.");
    } else if (named && named !== signed.contentType) {
      findings.add("content_type_mismatch", "The content is of another type than was signed.");
    }
  }
  if (missing(Oid.messageDigest)) {
    findings.add("attribute_missing", "The signer did not sign the digest of the content.");
  }
  const value = single(findings, attributes, Oid.messageDigest);
  const expected = value &&
    findings.attempt("attribute_malformed", () => readOctetString(value));
  if (expected && hash) {
    const actual = signed.digestOf(hash);
    if (!actual) {
      findings.add("content_missing", `The signed content, or its ${hash} digest, was not given.`);
    } else if (!sameBytes(actual, expected)) {
      findings.add("digest_mismatch", "The content was changed after it was signed.");
    }
  }
  const protection = single(findings, attributes, Oid.cmsAlgorithmProtection);
  if (protection) {
    findings.attempt("attribute_malformed", () => {
      const fields = new Fields(protection, "The algorithm protection");
      const same = sameAlgorithm(fields.take(Tag.SEQUENCE), signer.digestAlgorithm) &&
        sameAlgorithm(fields.take(0xa1), signer.signatureAlgorithm);
      if (!same) {
        findings.add(
          "algorithm_protection_mismatch",
          "The signature states other algorithms than the signer used.",
        );
      }
    });
  }
}

/** AlgorithmIdentifiers are the same; absent parameters and NULL are too. */
function sameAlgorithm(a: Asn1Node, b: Asn1Node): boolean {
  const [left, right] = [a, b].map(({ children }) =>
    children.filter(({ tag }) => tag !== Tag.NULL).map(({ bytes }) => bytes)
  );
  return left.length === right.length && left.every((part, i) => sameBytes(part, right[i]));
}

/** A signature without signed attributes (RFC 5652 §5.3: allowed for id-data alone). */
function checkBareContent(findings: Findings, signed: Signed): void {
  if (signed.contentType && signed.contentType !== Oid.data) {
    findings.add("attribute_missing", "The signer did not sign the type of the content.");
    return;
  }
  findings.add("signed_attributes_absent", "The signature has no signed attributes.");
  if (signed.pieces && looksLikeAttributes(signed.pieces)) {
    // Else the signed attributes of another signature could be passed off as signed content.
    findings.add("signature_invalid", "The content is the signed attributes of a signature.");
  }
}

function looksLikeAttributes(pieces: readonly Uint8Array[]): boolean {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (pieces.find((piece) => piece.length > 0)?.[0] !== Tag.SET || length > 1 << 20) return false;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  try {
    return readAsn1(joined, { ber: true }).children.some((node) =>
      readOid(new Fields(node, "An attribute").take(Tag.OID)) === Oid.messageDigest
    );
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

/** Finds the signer's certificate and checks the signature with its key. */
function findCertificate(
  findings: Findings,
  verification: Verification,
  signer: SignerInfo,
  algorithm: VerificationAlgorithm | undefined,
  signed: Signed,
): Certificate | undefined {
  const candidates = findings.attempt(
    "certificate_missing",
    () =>
      verification.certificates.filter((certificate) => isNamed(certificate, signer)).slice(
        0,
        MAX_CANDIDATES,
      ),
  ) ?? [];
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
    if (verification.unreadable > 0) {
      findings.add("certificate_malformed", "A certificate in the signature cannot be read.");
    }
    findings.add("certificate_missing", "The signer's certificate is not in the signature.");
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
  if (!algorithm) return tried[0];
  // Certificates with the same issuer and serial number should not exist; then the key decides.
  const right = findings.attempt(
    "certificate_malformed",
    () => tried.find((certificate) => isSignedBy(certificate, algorithm, signer, signed)),
  );
  const failed = findings.list.some(({ severity }) => severity === "indeterminate");
  if (!right && !failed) {
    findings.add("signature_invalid", "The signature was not made with the certificate's key.");
  }
  return right ?? tried[0];
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

function isSignedBy(
  certificate: Certificate,
  algorithm: VerificationAlgorithm,
  signer: SignerInfo,
  signed: Signed,
): boolean {
  const { scheme, hash } = algorithm;
  const message = signer.signedAttributes?.toBeSigned;
  if (scheme === "DSA" || scheme === "Ed25519") {
    const whole = message ?? (signed.pieces?.length === 1 ? signed.pieces[0] : undefined);
    if (!whole) {
      throw new FormatError("algorithm_unsupported", `${scheme} needs the whole content.`);
    }
    return verifyOtherSignature(certificate.publicKey, algorithm, whole, signer.signature);
  }
  const input = message ? { message } : { digest: signed.digestOf(hash!) };
  if (!("message" in input) && !input.digest) {
    throw new FormatError("invalid_argument", "The signed content was not given.");
  }
  return verifySignature(
    certificate.der,
    algorithm as SignatureAlgorithm,
    input as { message: Uint8Array },
    signer.signature,
  );
}

function verifyCountersignatures(
  findings: Findings,
  verification: Verification,
  parent: SignerInfo,
  level: number,
): SignerResult[] {
  const signed: Signed = {
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
