/** Files of certificates: PEM (RFC 7468), or one certificate in DER. */
import { FormatError } from "../error.ts";

/**
 * Splits a file into the certificates that it holds, in their order. Everything in a PEM file that is not a certificate
 * is skipped; a file without PEM counts as one certificate in DER.
 *
 * @returns DER, not parsed yet
 * @throws {FormatError} `certificate_malformed`: a certificate's Base64 is damaged
 */
export function readCertificates(bytes: Uint8Array): Uint8Array[] {
  const text = new TextDecoder("latin1").decode(bytes);
  const found = text.matchAll(
    /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g,
  );
  const certificates: Uint8Array[] = [];
  for (const [, base64] of found) {
    try {
      certificates.push(Uint8Array.fromBase64(base64));
    } catch {
      throw new FormatError("certificate_malformed", "A certificate in the PEM file is damaged.");
    }
  }
  return certificates.length > 0 || text.includes("-----BEGIN ") ? certificates : [bytes];
}
