/** How OCSP (RFC 6960) names things and certificates. */
import { nullValue, octetString, oid, sequence, tlv } from "../asn1/der.ts";
import { Tag } from "../asn1/read.ts";
import { digest } from "../digest.ts";
import type { Certificate } from "./certificate.ts";

/** Object identifiers of RFC 6960 §4.2, §4.4. */
export const ocspIds = {
  basicResponse: "1.3.6.1.5.5.7.48.1.1",
  nonce: "1.3.6.1.5.5.7.48.1.2",
  noCheck: "1.3.6.1.5.5.7.48.1.5",
  archiveCutoff: "1.3.6.1.5.5.7.48.1.6",
} as const;

/** CertID (§4.1.1) with SHA-1, which every responder knows; it protects nothing. */
export function encodeCertId(certificate: Certificate, issuer: Certificate): Uint8Array {
  return sequence(
    sequence(oid("1.3.14.3.2.26"), nullValue()),
    octetString(digest("SHA-1", issuer.subject.der)),
    octetString(digest("SHA-1", issuer.publicKey.bytes)),
    tlv(Tag.INTEGER, certificate.serialNumber),
  );
}
