/**
 * Reading certificates (RFC 5280 §4). The bytes are kept as received, and what is signed is checked
 * over them. Fields that decide about trust are read strictly; those that only help (key
 * identifiers, addresses of OCSP and CRL services) count as absent when they are malformed.
 */
import { Fields, only, readAsn1, readBitString, readInteger, readTime, Tag } from "../asn1/read.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import type { GeneralName } from "./general_name.ts";
import { type Name, readName } from "./name.ts";
import { type PublicKey, readPublicKey } from "../keys/public_key.ts";
import {
  type DistributionPoint,
  type Extension,
  keyPurposes,
  type KeyUsage,
  type NameConstraints,
  type PolicyConstraints,
  readExtensions,
  readHelpfulExtensions,
  readTrustExtensions,
} from "./extensions.ts";

/** A certificate as {@link readCertificate} returns it. */
export interface Certificate {
  /** The whole certificate as received. */
  readonly der: Uint8Array;
  /** TBSCertificate: the bytes under the issuer's signature. */
  readonly tbs: Uint8Array;
  readonly version: 1 | 2 | 3;
  /** Content octets of the serial number as encoded: big-endian two's complement. */
  readonly serialNumber: Uint8Array;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: PublicKey;
  /** AlgorithmIdentifier of the issuer's signature, DER. */
  readonly signatureAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
  /** By object identifier, in the order of the certificate. */
  readonly extensions: ReadonlyMap<string, Extension>;
  /** Absent: the key may serve any use. */
  readonly keyUsage?: ReadonlySet<KeyUsage>;
  /** Purposes, dotted; absent: any. */
  readonly extKeyUsage?: readonly string[];
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number };
  /** Certificate policies, dotted. */
  readonly policies?: readonly string[];
  readonly policyMappings?: readonly { readonly issuer: string; readonly subject: string }[];
  readonly policyConstraints?: PolicyConstraints;
  readonly inhibitAnyPolicy?: number;
  readonly nameConstraints?: NameConstraints;
  readonly subjectAltNames: readonly GeneralName[];
  readonly subjectKeyIdentifier?: Uint8Array;
  readonly authorityKeyIdentifier?: Uint8Array;
  readonly distributionPoints?: readonly DistributionPoint[];
  /** Addresses of delta CRLs (RFC 5280 §4.2.1.15). */
  readonly freshestCrl?: readonly DistributionPoint[];
  readonly ocspUrls: readonly string[];
  readonly caIssuerUrls: readonly string[];
  /** HTTP and LDAP addresses of full CRLs. */
  readonly crlUrls: readonly string[];
  /** SHA-256 of the certificate, lower-case hex; computed when first asked for. */
  readonly fingerprint: string;
}

/** Larger than any certificate in use; a bound on the work for hostile ones. */
const MAX_CERTIFICATE_BYTES = 256 * 1024;

const malformed = (message: string, cause?: unknown) =>
  new FormatError("certificate_malformed", message, { cause });

/**
 * Reads one certificate (RFC 5280 §4.1).
 *
 * @param der a Certificate in DER; it is kept, not copied
 * @throws {FormatError} `certificate_malformed`; `limit_exceeded` beyond 256 KiB
 */
export function readCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    throw new FormatError("limit_exceeded", "The certificate is larger than 256 KiB.");
  }
  try {
    return readFields(der);
  } catch (error) {
    if (error instanceof FormatError && error.code === "asn1_malformed") {
      throw malformed(`The certificate cannot be read: ${error.message}`, error);
    }
    throw error;
  }
}

/** By content; the one asked for last stands last. */
const known = new Map<string, Certificate>();
const MAX_KNOWN = 256;
/** Longest that is kept, in bytes: certificates in use have a quarter of that. */
const MAX_KEPT_BYTES = 8 * 1024;

/**
 * {@link readCertificate} for certificates that come again and again, as an authority's and a frequent signer's do:
 * reading a chain takes longer than checking a signature. Those asked for last are kept, with bytes of their own.
 *
 * @throws {FormatError} as there
 */
export function readKnownCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_KEPT_BYTES) return readCertificate(der);
  const content = der.toBase64();
  let certificate = known.get(content);
  if (certificate) known.delete(content);
  else certificate = readCertificate(der.slice());
  if (known.size === MAX_KNOWN) known.delete(known.keys().next().value!);
  known.set(content, certificate);
  return certificate;
}

function readFields(der: Uint8Array): Certificate {
  const outer = new Fields(readAsn1(der), "a certificate");
  const tbs = outer.take(Tag.SEQUENCE);
  const signatureAlgorithm = outer.take(Tag.SEQUENCE).bytes;
  const signature = readBitString(outer.take(Tag.BIT_STRING));
  outer.end();
  if (signature.unused !== 0) throw malformed("The certificate's signature is not whole bytes.");

  const fields = new Fields(tbs, "a certificate");
  const versionField = fields.maybe(0xa0);
  const version = versionField ? readInteger(only(versionField, "A version")) + 1 : 1;
  if (version !== 1 && version !== 2 && version !== 3) {
    throw malformed("The certificate has an unknown version.");
  }
  const serialNumber = fields.take(Tag.INTEGER).content;
  if (serialNumber.length === 0) throw malformed("The certificate has no serial number.");
  // RFC 5280 §4.1.1.2: both statements of the algorithm must agree; only the inner one is signed.
  if (!sameBytes(fields.take(Tag.SEQUENCE).bytes, signatureAlgorithm)) {
    throw malformed("The certificate names two different signature algorithms.");
  }
  const issuer = readName(fields.take(Tag.SEQUENCE));
  const validity = new Fields(fields.take(Tag.SEQUENCE), "a validity period");
  const notBefore = readTime(validity.take());
  const notAfter = readTime(validity.take());
  validity.end();
  const subject = readName(fields.take(Tag.SEQUENCE));
  const publicKey = readPublicKey(fields.take(Tag.SEQUENCE));
  fields.maybe(0x81); // issuerUniqueID
  fields.maybe(0x82); // subjectUniqueID
  const extensionField = fields.maybe(0xa3);
  fields.end();
  if (extensionField && version !== 3) {
    throw malformed("A certificate with extensions must have version 3.");
  }
  const extensions = extensionField
    ? readExtensions(only(extensionField, "The extensions"))
    : new Map<string, Extension>();

  return {
    der,
    tbs: tbs.bytes,
    version,
    serialNumber,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    signatureAlgorithm,
    signature: signature.bytes,
    extensions,
    ...readTrustExtensions(extensions),
    ...readHelpfulExtensions(extensions),
    get fingerprint() {
      const value = digest("SHA-256", der).toHex();
      Object.defineProperty(this, "fingerprint", { value, enumerable: true });
      return value;
    },
  };
}

/** Whether two byte strings are the same. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && Buffer.compare(a, b) === 0);
}

/** Whether issuer and subject have the same name: self-signed, or reissued by an authority to itself for a new key. */
export function isSelfIssued(certificate: Certificate): boolean {
  return certificate.issuer.equals(certificate.subject);
}

/** Why a certificate does not serve to sign documents. */
export type UnusableReason =
  | "certificate_expired"
  | "certificate_not_yet_valid"
  /** Its key may encrypt, but not sign. */
  | "encryption_only"
  | "ca_certificate"
  /** Its key serves something else alone: TLS servers, timestamps, OCSP answers, code. */
  | "not_for_documents"
  /** The type or curve of its key is none that we sign with. */
  | "algorithm_unsupported";

export interface SigningUse {
  readonly usable: boolean;
  readonly reason?: UnusableReason;
}

const otherPurposes: ReadonlySet<string> = new Set([
  keyPurposes.serverAuth,
  keyPurposes.codeSigning,
  keyPurposes.timeStamping,
  keyPurposes.ocspSigning,
  "1.3.6.1.4.1.311.10.3.4", // Microsoft encrypting file system
]);

/**
 * Whether a certificate can sign documents at a given time. Looks only at the certificate itself, not at its issuers
 * or its revocation.
 */
export function signingUse(certificate: Certificate, at: Date): SigningUse {
  const reason = unusableReason(certificate, at);
  return reason ? { usable: false, reason } : { usable: true };
}

function unusableReason(certificate: Certificate, at: Date): UnusableReason | undefined {
  const { publicKey, keyUsage, extKeyUsage, basicConstraints } = certificate;
  if (basicConstraints?.ca) return "ca_certificate";
  if (keyUsage && !keyUsage.has("digitalSignature") && !keyUsage.has("nonRepudiation")) {
    return "encryption_only";
  }
  if (extKeyUsage?.every((purpose) => otherPurposes.has(purpose))) return "not_for_documents";
  const { type, curve } = publicKey;
  if (!type.startsWith("rsa") && !(type === "ec" && curve?.startsWith("P-")) && type !== "ml-dsa") {
    return "algorithm_unsupported";
  }
  if (at < certificate.notBefore) return "certificate_not_yet_valid";
  if (at > certificate.notAfter) return "certificate_expired";
  return undefined;
}
