/** Files of certificates and of revocation lists: PEM (RFC 7468) or DER. */
import { readFirstAsn1 } from "../asn1/read.ts";
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

/**
 * The bytes of a file that PEM may wrap, or that ends with a line end, as some services send their lists.
 *
 * @param label such as `X509 CRL`
 * @throws {FormatError} `asn1_malformed`; `crl_malformed` where the Base64 is damaged
 */
export function unwrapPem(bytes: Uint8Array, label: string): Uint8Array {
  if (bytes[0] === 0x30) {
    const { end } = readFirstAsn1(bytes);
    const isBlank = bytes.subarray(end).every((byte) => byte === 0x0a || byte === 0x0d);
    return isBlank ? bytes.subarray(0, end) : bytes;
  }
  const text = new TextDecoder("latin1").decode(bytes);
  const block = new RegExp(`-----BEGIN ${label}-----([^-]+)-----END ${label}-----`).exec(text);
  if (!block) return bytes;
  try {
    return Uint8Array.fromBase64(block[1]);
  } catch (cause) {
    throw new FormatError("crl_malformed", "The PEM file is damaged.", { cause });
  }
}
