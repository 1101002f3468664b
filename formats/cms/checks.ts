/** Checks of one signer's attributes and algorithms (RFC 5652 §5.3, §11). */
import { type Asn1Node, Fields, readAsn1, readOctetString, readOid, Tag } from "../asn1/read.ts";
import type { Findings } from "./findings.ts";
import type { Attribute, SignerInfo } from "./read.ts";
import { concat, derOf, sequence } from "../asn1/der.ts";
import { HASHES } from "../digest.ts";
import { FormatError } from "../error.ts";
import { Oid } from "../asn1/oids.ts";
import { readSignatureAlgorithm, type VerificationAlgorithm } from "../keys/algorithm.ts";
import { isMlDsa, ML_DSA } from "../keys/ml_dsa.ts";
import type { DigestName } from "../signer.ts";
import { sameBytes } from "../x509/certificate.ts";

/** Content signed by one SignerInfo. */
export interface SignedContent {
  /** Absent for countersignatures, where the attribute has no meaning. */
  contentType?: string;
  /** The signed bytes, if known. */
  pieces?: readonly Uint8Array[];
  /** The same where it costs a reading: the file beside a detached signature. */
  bytes?(): Uint8Array;
  digestOf(hash: DigestName): Uint8Array | undefined;
}

/** Digest algorithms that can be forged, or that do not fit together. */
export function checkStrength(
  findings: Findings,
  signer: SignerInfo,
  hash: DigestName | undefined,
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
  const scheme = algorithm?.scheme;
  if (hash && scheme && isMlDsa(scheme) && HASHES[hash].length < ML_DSA[scheme].digest) {
    findings.add(
      "digest_weaker",
      `The content was digested with ${hash}, which is weaker than ${scheme}.`,
    );
  }
}

/** The one value of an attribute that may be there once; `undefined` if it is not there. */
export function single(
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
export function checkAttributes(
  findings: Findings,
  attributes: readonly Attribute[],
  signer: SignerInfo,
  signed: SignedContent,
  hash: DigestName | undefined,
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

/** RFC 6211 §3: AlgorithmIdentifiers are compared by value; absent parameters and NULL are the same. */
function sameAlgorithm(a: Asn1Node, b: Asn1Node): boolean {
  const [left, right] = [a, b].map(({ children }) =>
    children.filter(({ tag }) => tag !== Tag.NULL).map(derOf)
  );
  if (left.length === right.length && left.every((part, i) => sameBytes(part, right[i]))) {
    return true;
  }
  // Of PSS the parameters may be spelled out or left to their defaults (RFC 4055 §3.1).
  const [stated, used] = [a, b].map(({ children }) => {
    try {
      return JSON.stringify(readSignatureAlgorithm(sequence(...children.map(derOf))));
    } catch (error) {
      if (error instanceof FormatError) return undefined;
      throw error;
    }
  });
  return stated !== undefined && stated === used;
}

/** A signature without signed attributes (RFC 5652 §5.3: allowed for id-data alone). */
export function checkBareContent(findings: Findings, signed: SignedContent): void {
  if (signed.contentType && signed.contentType !== Oid.data) {
    findings.add("attribute_missing", "The signer did not sign the type of the content.");
    return;
  }
  findings.add("signed_attributes_absent", "The signature has no signed attributes.");
  const pieces = signed.pieces ?? (signed.bytes && [signed.bytes()]);
  if (pieces && looksLikeAttributes(pieces)) {
    // Else the signed attributes of another signature could be passed off as signed content.
    findings.add("signature_invalid", "The content is the signed attributes of a signature.");
  }
}

function looksLikeAttributes(pieces: readonly Uint8Array[]): boolean {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (pieces.find((piece) => piece.length > 0)?.[0] !== Tag.SET || length > 1 << 20) return false;
  try {
    return readAsn1(concat(...pieces), { ber: true }).children.some((node) =>
      readOid(new Fields(node, "An attribute").take(Tag.OID)) === Oid.messageDigest
    );
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
