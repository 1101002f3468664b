/** Building one SignerInfo with CAdES attributes: prepare, sign elsewhere, complete. */
import { constructedTag, readAsn1 } from "../asn1/read.ts";
import {
  directoryString,
  explicit,
  ia5String,
  integer,
  octetString,
  oid,
  sequence,
  setOf,
  time,
  tlv,
  utf8String,
} from "../asn1/der.ts";
import { digest, HASHES } from "../digest.ts";
import { FormatError } from "../error.ts";
import { Oid } from "../asn1/oids.ts";
import { maxSignatureLength } from "../x509/signature.ts";
import { encodeHash, encodeSignatureAlgorithm } from "../keys/algorithm.ts";
import { isMlDsa } from "../keys/ml_dsa.ts";
import type { HashName, SignatureAlgorithm, Signer } from "../signer.ts";
import { type Certificate, readKnownCertificate } from "../x509/certificate.ts";

/** The signer; a {@link Signer} fits, but its key is not used here. */
export type CmsSigner = Pick<Signer, "certificate" | "chain" | "algorithm">;

/** The signer's statements with the signature (EN 319 122-1 §5.2.3). */
export type CommitmentType =
  | "proofOfOrigin"
  | "proofOfReceipt"
  | "proofOfDelivery"
  | "proofOfSender"
  | "proofOfApproval"
  | "proofOfCreation";

export interface SignaturePolicy {
  /** Dotted object identifier of the policy. */
  oid: string;
  hash: HashName;
  /** Digest of the policy document. */
  digest: Uint8Array;
  /** Address of the document. */
  uri?: string;
}

/** Signed attributes beside the content's type and digest and the signing certificate. */
export interface SignerStatements {
  /** The time the signer claims, to the second. CAdES asks for it; PAdES forbids it. */
  signingTime?: Date;
  commitment?: CommitmentType;
  policy?: SignaturePolicy;
  /** Country code and place (EN 319 122-1 §5.2.5). */
  location?: { country?: string; locality?: string };
  /** Media type of the content (EN 319 122-1 §5.2.4.2); not for countersignatures. */
  mimeType?: string;
}

/** A signature in the making. */
export interface PreparedCms {
  /** Input for the signer: the signed attributes, DER `SET OF` (RFC 5652 §5.4). */
  readonly toBeSigned: Uint8Array;
  /** No result of {@link complete} is longer, in bytes. */
  readonly maxLength: number;
  /**
   * Puts the signature in.
   *
   * @param signature as {@link Signer.sign} returns it; checking it is up to the caller
   * @param timestamp over the signature's value (EN 319 122-1 §5.3), a TimeStampToken
   * @returns the complete ContentInfo
   * @throws {FormatError} `signature_mismatch` if it is longer than the key can make
   */
  complete(signature: Uint8Array, timestamp?: Uint8Array): Uint8Array;
}

const attribute = (type: string, value: Uint8Array) => sequence(oid(type), setOf([value]));

/**
 * Builds the parts of a SignerInfo.
 *
 * @param contentType absent for countersignatures, which must not have it (RFC 5652 §11.4)
 * @param contentDigest made with the signer's digest algorithm
 */
export function prepareSignerInfo(
  signer: CmsSigner,
  contentType: string | undefined,
  contentDigest: Uint8Array,
  statements: SignerStatements,
) {
  const { algorithm, certificate } = signer;
  if (contentDigest.length !== HASHES[algorithm.hash].length) {
    throw new FormatError(
      "invalid_argument",
      `The content's digest has the wrong length for ${algorithm.hash}.`,
    );
  }
  const known = readKnownCertificate(certificate);
  const { issuer, serialNumber } = known;
  const attributes = [
    attribute(Oid.messageDigest, octetString(contentDigest)),
    signingCertificate(known, algorithm.hash),
    ...encodeStatements(statements),
  ];
  if (contentType) attributes.push(attribute(Oid.contentType, oid(contentType)));
  // RFC 9882 §4: an attacker must not replace the algorithms.
  if (isMlDsa(algorithm.scheme)) {
    attributes.push(attribute(Oid.cmsAlgorithmProtection, encodeProtection(algorithm)));
  }
  const toBeSigned = setOf(attributes);
  const maximum = maxSignatureLength(certificate);

  const before = [
    integer(1),
    sequence(issuer.der, tlv(0x02, serialNumber)),
    encodeHash(algorithm.hash),
    signedUnderContextTag(toBeSigned),
    encodeSignatureAlgorithm(algorithm),
  ];
  return {
    toBeSigned,
    maxSignatureLength: maximum,
    complete(signature: Uint8Array, timestamp?: Uint8Array): Uint8Array {
      if (signature.length === 0 || signature.length > maximum) {
        throw new FormatError(
          "signature_mismatch",
          "The signature has the wrong length for the certificate's key.",
        );
      }
      const unsigned = timestamp
        ? [setOf([attribute(Oid.signatureTimestamp, timestamp)], constructedTag(1))]
        : [];
      return sequence(...before, octetString(signature), ...unsigned);
    },
  };
}

/** CMSAlgorithmProtection (RFC 6211 §2): `signatureAlgorithm` stands under `[1] IMPLICIT`. */
function encodeProtection(algorithm: SignatureAlgorithm): Uint8Array {
  const signature = readAsn1(encodeSignatureAlgorithm(algorithm)).content;
  return sequence(encodeHash(algorithm.hash), tlv(constructedTag(1), signature));
}

/** `[0] IMPLICIT SignedAttributes`: the same bytes but for the identifier. */
function signedUnderContextTag(set: Uint8Array): Uint8Array {
  const tagged = set.slice();
  tagged[0] = constructedTag(0);
  return tagged;
}

/**
 * SigningCertificateV2 with the signer's certificate (RFC 5035 §3). The issuerSerial is left out:
 * the SignerInfo names issuer and serial number already, and the attributes' digest covers both
 * through the certificate's.
 */
function signingCertificate(certificate: Certificate, signatureHash: HashName): Uint8Array {
  const hash = signatureHash === "SHA-1" ? "SHA-256" : signatureHash;
  return signingCertificates.getOrInsertComputed(certificate, () => new Map())
    .getOrInsertComputed(hash, () => {
      const algorithm = hash === "SHA-256" ? [] : [encodeHash(hash)]; // SHA-256 is the default
      const id = sequence(...algorithm, octetString(digest(hash, certificate.der)));
      return attribute(Oid.signingCertificateV2, sequence(sequence(id)));
    });
}

/** Known certificates are signed with again. */
const signingCertificates = new WeakMap<Certificate, Map<HashName, Uint8Array>>();

function encodeStatements(statements: SignerStatements): Uint8Array[] {
  const { signingTime, commitment, policy, location, mimeType } = statements;
  const attributes: Uint8Array[] = [];
  if (signingTime) attributes.push(attribute(Oid.signingTime, time(signingTime)));
  if (commitment) {
    attributes.push(attribute(Oid.commitmentType, sequence(oid(Oid[commitment]))));
  }
  if (policy) {
    const qualifier = policy.uri === undefined
      ? []
      : [sequence(sequence(oid(Oid.signaturePolicyUri), ia5String(policy.uri)))];
    const hash = sequence(encodeHash(policy.hash), octetString(policy.digest));
    attributes.push(
      attribute(Oid.signaturePolicy, sequence(oid(policy.oid), hash, ...qualifier)),
    );
  }
  if (location) {
    const { country, locality } = location;
    const parts: Uint8Array[] = [];
    if (country !== undefined) parts.push(explicit(0, directoryString(country)));
    if (locality !== undefined) parts.push(explicit(1, directoryString(locality)));
    attributes.push(attribute(Oid.signerLocation, sequence(...parts)));
  }
  if (mimeType !== undefined) attributes.push(attribute(Oid.mimeType, utf8String(mimeType)));
  return attributes;
}
