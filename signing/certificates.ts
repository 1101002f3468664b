/** Certificates of open keys, read once: reading one takes longer than asking a token for a signature may. */
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
