/**
 * The Web eID authentication token, format `web-eid:1.0`: a signature by which a person signs in to a site. It is over
 * hash(origin) || hash(nonce), with the digest of the signature algorithm in both places, so that a signature for one
 * site is worth nothing to another.
 */
import { concat } from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { ecdsaToRaw } from "../keys/ecdsa.ts";
import { jwaNameOf } from "./jws_header.ts";
import type { HashName, SignatureAlgorithm } from "../signer.ts";
import { readCertificate, signingUse } from "../x509/certificate.ts";
import { keyPurposes } from "../x509/extensions.ts";

export interface WebEidToken {
  readonly format: "web-eid:1.0";
  /** DER, Base64: not validated by whoever made the token. */
  readonly unverifiedCertificate: string;
  /** JWA name (RFC 7518 §3.1). */
  readonly algorithm: string;
  /** Base64; ECDSA: r || s (RFC 7518 §3.4). */
  readonly signature: string;
  /** URI of the program that made it. */
  readonly appVersion: string;
}

/** The signed content. */
export function webEidMessage(origin: string, nonce: string, hash: HashName): Uint8Array {
  const utf8 = new TextEncoder();
  return concat(digest(hash, utf8.encode(origin)), digest(hash, utf8.encode(nonce)));
}

/** The digest that goes with a certificate's key: ES256, ES384, ES512 by the curve, and SHA-256 for RSA. */
export function webEidHash(certificate: Uint8Array): "SHA-256" | "SHA-384" | "SHA-512" {
  const { type, curve } = readCertificate(certificate).publicKey;
  if (type !== "ec") return "SHA-256";
  return curve === "P-384" ? "SHA-384" : curve === "P-521" ? "SHA-512" : "SHA-256";
}

/**
 * Whether a person may sign in with this certificate, as servers' libraries judge it: its key usage is stated and has
 * digitalSignature; its extended key usage, if it has one, has clientAuth (RFC 5280 §4.2.1.12).
 */
export function mayAuthenticate(certificate: Uint8Array, at: Date): boolean {
  const x509 = readCertificate(certificate);
  return signingUse(x509, at).usable && x509.keyUsage?.has("digitalSignature") === true &&
    (x509.extKeyUsage?.includes(keyPurposes.clientAuth) ?? true);
}

/**
 * Puts the token together.
 *
 * @param signature of {@link webEidMessage}; ECDSA: DER `ECDSA-Sig-Value`
 */
export function webEidToken(
  certificate: Uint8Array,
  algorithm: SignatureAlgorithm,
  signature: Uint8Array,
  appVersion: string,
): WebEidToken {
  const size = { "SHA-256": 32, "SHA-384": 48, "SHA-512": 66, "SHA-1": 0 }[algorithm.hash];
  const isEcdsa = algorithm.scheme === "ECDSA";
  return {
    format: "web-eid:1.0",
    unverifiedCertificate: certificate.toBase64(),
    algorithm: jwaNameOf(algorithm),
    signature: (isEcdsa ? ecdsaToRaw(signature, size) : signature).toBase64(),
    appVersion,
  };
}
