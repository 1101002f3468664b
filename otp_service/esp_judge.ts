/** Whether the signature in an eSign service provider's answer is of use; read in a reader (questions.ts). */
import { readSignedData } from "../formats/cms/read.ts";
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { indiaFacts } from "../formats/x509/india.ts";
import { validateCertificate } from "../formats/x509/path.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { isCurrent, type Outcome } from "./esp_answer.ts";

/** Clocks differ, in milliseconds. */
const TOLERANCE = 5 * 60_000;

/**
 * Checks that the ESP signed with a currently valid eSign certificate from a trusted authority.
 *
 * @param now milliseconds since 1970
 */
export function judge(
  certificate: Certificate,
  cms: Uint8Array,
  { space, anchors, now }: { space: number; anchors: readonly Certificate[]; now: number },
): Outcome {
  if (cms.length > space) {
    return { code: "too_large", message: "The eSign service's signature is too large." };
  }
  if (!isCurrent(certificate, now, TOLERANCE)) {
    return {
      code: "certificate_time",
      message: "The eSign certificate is not of this time. Is this server's clock right?",
    };
  }
  if (indiaFacts(certificate).kind !== "esign") {
    return { code: "certificate_kind", message: "The certificate is not one of eSign." };
  }
  const { notBefore, notAfter } = certificate;
  const within = Math.min(Math.max(now, notBefore.getTime()), notAfter.getTime());
  const { certificates, signers: [signer] } = readSignedData(cms);
  const trust = validateCertificate(certificate, {
    anchors,
    intermediates: certificates.flatMap(readable),
    at: new Date(within),
    // It lives half an hour. Those who verify the document look at the authorities' lists.
    revocation: "none",
  });
  return trust.trusted
    ? { certificate, cms, signature: new Uint8Array(digest("SHA-256", signer.signature)).toHex() }
    : { code: "certificate_untrusted", message: trust.failure.message };
}

/** An odd certificate beside the others helps nobody, and hurts nobody. */
function readable(der: Uint8Array): Certificate[] {
  try {
    return [readCertificate(der)];
  } catch (error) {
    if (error instanceof FormatError) return [];
    throw error;
  }
}
