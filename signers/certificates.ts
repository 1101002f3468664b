/** Certificates, as providers need them. */
import type { KeySelector } from "../pkcs11_ffi/client.ts";
import { FormatError } from "../formats/error.ts";
import type { HashName, SignatureAlgorithm } from "../formats/signer.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { SignerError } from "./provider.ts";

/** A longer path is no real one. */
const MAX_CHAIN = 8;

/** A certificate found on a token: parsed, or null if it cannot be read. */
export interface Found {
  der: Uint8Array;
  parsed: Certificate | null;
}

/** Reads a certificate as far as it can be read. */
export function find(der: Uint8Array): Found {
  try {
    return { der, parsed: readCertificate(der) };
  } catch (error) {
    if (error instanceof FormatError) return { der, parsed: null };
    throw error;
  }
}

function isIssuer(issuer: Certificate, certificate: Certificate): boolean {
  if (!issuer.subject.equals(certificate.issuer)) return false;
  const wanted = certificate.authorityKeyIdentifier?.toHex();
  const given = issuer.subjectKeyIdentifier?.toHex();
  return wanted === undefined || given === undefined || wanted === given;
}

/**
 * The issuers of `certificate` among `others`, nearest first, by name and key identifier (RFC 5280 §6.1 is for those
 * who have to trust them).
 */
export function chainOf(certificate: Found, others: readonly Found[]): Uint8Array[] {
  const chain: Uint8Array[] = [];
  const left = new Set(others.filter((other) => other !== certificate && other.parsed !== null));
  let last = certificate.parsed;
  while (last && chain.length < MAX_CHAIN && !last.subject.equals(last.issuer)) {
    const issuer = [...left].find((other) => isIssuer(other.parsed!, last!));
    if (!issuer) break;
    left.delete(issuer);
    chain.push(issuer.der);
    last = issuer.parsed;
  }
  return chain;
}

/** What is known of a certificate's private key: enough to find it on a token. */
export function selectorOf(certificate: Uint8Array, id?: string): KeySelector {
  const { type, bits } = find(certificate).parsed?.publicKey ?? {};
  const family = type === "rsa-pss" ? "rsa" : type;
  const publicKey = bits && (family === "rsa" || family === "ec")
    ? { type: family, bits } as const
    : undefined;
  return { id, certificate, publicKey };
}

/**
 * How a certificate's key signs: RSASSA-PKCS1-v1_5, unless its SubjectPublicKeyInfo binds it to RSASSA-PSS
 * (RFC 4055 §1.2); ECDSA for EC; ML-DSA with SHA-512, whatever `hash` is. Whoever asks for SHA-1 has looked whether it may be; only RSA has it.
 *
 * @throws {SignerError} `algorithm_forbidden` (SHA-1), `certificate_malformed`, `mechanism_unsupported`
 */
export function algorithmFor(certificate: Uint8Array, hash: HashName): SignatureAlgorithm {
  const { parsed } = find(certificate);
  if (!parsed) {
    throw new SignerError("certificate_malformed", "The certificate on the token cannot be read.");
  }
  if (hash === "SHA-1" && parsed.publicKey.type !== "rsa") {
    throw new SignerError("algorithm_forbidden", "D-Sign does not use this key with SHA-1.");
  }
  switch (parsed.publicKey.type) {
    case "rsa":
      return { scheme: "RSASSA-PKCS1-v1_5", hash };
    case "rsa-pss":
      return { scheme: "RSASSA-PSS", hash };
    case "ec":
      return { scheme: "ECDSA", hash };
    case "ml-dsa":
      return { scheme: parsed.publicKey.parameterSet!, hash: "SHA-512" }; // RFC 9882 §3.3
    default:
      throw new SignerError(
        "mechanism_unsupported",
        `D-Sign does not sign with keys of type ${parsed.publicKey.type}.`,
      );
  }
}
