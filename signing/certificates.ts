/** Certificates of open keys, read once: reading one takes longer than asking a token for a signature may. */
import type { HashName } from "../formats/signer.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";

const read = new WeakMap<Uint8Array, Certificate>();

/**
 * @param der bytes that do not change, as a signer has them
 * @throws {FormatError} `certificate_malformed`
 */
export function certificateOf(der: Uint8Array): Certificate {
  let certificate = read.get(der);
  if (!certificate) read.set(der, certificate = readCertificate(der));
  return certificate;
}

const texts = new WeakMap<Uint8Array, string>();

/** Base64 of a certificate, as requests and answers carry it. */
export const base64Of = (der: Uint8Array): string =>
  texts.getOrInsertComputed(der, () => der.toBase64());

/** Whether a certificate (DER) is that of an ML-DSA key. */
export const isPostQuantum = (der: Uint8Array): boolean =>
  certificateOf(der).publicKey.type === "ml-dsa";

/**
 * The digest that goes with a certificate: the one that was asked for, but with ML-DSA always SHA-512 (RFC 9882 §3.3).
 * Where none was asked for, one as strong as the key's curve (FIPS 186-5 §6.1.1).
 */
export function hashWith(certificate: Uint8Array, asked: HashName | undefined): HashName {
  const { type, curve } = certificateOf(certificate).publicKey;
  if (type === "ml-dsa") return "SHA-512";
  return asked ?? (curve === "P-384" ? "SHA-384" : curve === "P-521" ? "SHA-512" : "SHA-256");
}
