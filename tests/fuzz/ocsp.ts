/** Mutated OCSP answers. */
import assert from "node:assert/strict";
import { readCrl } from "../../formats/x509/crl.ts";
import { readOcspResponse } from "../../formats/x509/ocsp.ts";
import { validateCertificate } from "../../formats/x509/path.ts";
import { makeOcspResponse } from "../fixtures/issue.ts";
import { attempt } from "./attempt.ts";
import { certificate, judged, lists, now, pki } from "./der_files.ts";

export { words } from "./der_files.ts";

const pair = { certificate, issuer: pki.subCa.certificate, responder: pki.ocspResponder };
/** Of the authorities above. */
const crls = lists.slice(0, 2).map(readCrl);

export function seeds(): Promise<Uint8Array[]> {
  return Promise.resolve([
    makeOcspResponse(pair, { status: "revoked", revokedAt: now, reason: "superseded" }, { now }),
    makeOcspResponse(pair, { status: "revoked", revokedAt: now, reason: "keyCompromise" }, { now }),
  ]);
}

/** @throws whatever no reader may throw */
export function exercise(bytes: Uint8Array): void {
  const answer = attempt(() => readOcspResponse(bytes));
  if (!answer) return;
  const { trusted } = validateCertificate(certificate, {
    ...judged,
    crls,
    ocspResponses: [answer],
  });
  assert.ok(!trusted, "good by an answer that says it is revoked");
}
