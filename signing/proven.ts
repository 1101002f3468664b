/** Whose name in a certificate can be believed: that of a certificate that leads to a trusted root. */
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { validateCertificate } from "../formats/x509/path.ts";

/** The certificates this computer trusts. */
export interface Trust {
  /** Root certificates, DER. */
  anchors: Uint8Array[];
  /** ISO 8601 */
  now: string;
}

/** Whether a certificate leads to a trusted root now. Does not check revocation; `dsign verify` does. */
export function isProven(
  end: Certificate,
  intermediates: readonly Certificate[],
  { anchors, now }: Trust,
): boolean {
  return validateCertificate(end, {
    anchors: anchors.map((der) => readCertificate(der)),
    intermediates,
    at: new Date(now),
    revocation: "none",
  }).trusted;
}
