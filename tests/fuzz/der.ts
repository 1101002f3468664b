/** Mutated DER: certificates, revocation lists, OCSP answers, timestamps. */
import { readAsn1 } from "../../formats/asn1/read.ts";
import { readCrl } from "../../formats/x509/crl.ts";
import { digest } from "../../formats/digest.ts";
import { indiaFacts } from "../../formats/x509/india.ts";
import { readOcspResponse } from "../../formats/x509/ocsp.ts";
import { validateCertificate } from "../../formats/x509/path.ts";
import { readTimestampResponse, verifyTimestamp } from "../../formats/cms/timestamp.ts";
import { readCertificate } from "../../formats/x509/certificate.ts";
import { makeCrl, makeOcspResponse } from "../fixtures/issue.ts";
import { makePki } from "../fixtures/pki.ts";
import { authorities, timestamp } from "../fixtures/signed_files.ts";
import { attempt } from "./attempt.ts";

const now = new Date();
const pki = makePki({ now, officers: [{ name: "Rsa" }, { name: "Ec", key: "p-256" }] });
const { certificate, chain } = pki.officers[0];
const { serialNumber } = certificate;
const lists = authorities(pki).map((each) =>
  makeCrl(each, [{ serialNumber, revokedAt: now, reason: "keyCompromise" }])
);
const crls = lists.map(readCrl);
const imprint = new TextEncoder().encode("order");
const pair = { certificate, issuer: pki.subCa.certificate, responder: pki.ocspResponder };

/** Tags and lengths that matter, object identifiers, times. */
export const words = [
  ...["\x30", "\x31", "\x02\x01", "\x05\x00", "\x04", "\x03\x02\x00", "\x01\x01\x7f", "\x0a\x01"],
  ...["\x30\x7f", "\x30\x00", "\x02\x7f", "\x06\x03U\x1d\x0f", "\x06\x03U\x1d\x13"],
  ...["\x06\x09", "\x17\x0d491231235959Z", "\x18\x0f99991231235959Z", "\x0c\x00", "\x24"],
];

export function seeds(): Promise<Uint8Array[]> {
  return Promise.resolve([
    ...pki.officers.map(({ certificate }) => certificate.der),
    ...chain,
    pki.timestampAuthority.certificate.der,
    ...lists,
    makeOcspResponse(pair, { status: "good" }),
    makeOcspResponse(pair, { status: "revoked", revokedAt: now, reason: "superseded" }),
    timestamp(pki, imprint, now),
  ]);
}

/** @throws whatever no reader may throw */
export function exercise(bytes: Uint8Array): void {
  attempt(() => readAsn1(bytes, { ber: true }));
  const read = attempt(() => readCertificate(bytes));
  if (read) {
    indiaFacts(read);
    const intermediates = [pki.subCa.certificate, pki.ca.certificate, read];
    const anchors = [pki.root.certificate];
    validateCertificate(read, { anchors, intermediates, crls, at: now, revocation: "require" });
  }
  const crl = attempt(() => readCrl(bytes));
  attempt(() => crl?.find(pki.subCa.certificate.subject, serialNumber));
  const answer = attempt(() => readOcspResponse(bytes));
  if (crl || answer) {
    validateCertificate(certificate, {
      anchors: [pki.root.certificate],
      intermediates: [pki.subCa.certificate, pki.ca.certificate],
      crls: crl ? [crl] : [],
      ocspResponses: answer ? [answer] : [],
      at: now,
      revocation: "require",
    });
  }
  attempt(() => verifyTimestamp(bytes, { digestOf: (hash) => digest(hash, imprint) }));
  attempt(() => readTimestampResponse(bytes));
}
