/** Which of several words on one certificate counts. */
import assert from "node:assert/strict";
import { makeCrl, makeOcspResponse, type OcspStatus } from "../../tests/fixtures/issue.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { readCrl } from "./crl.ts";
import type { CrlReason } from "./extensions.ts";
import { readOcspResponse } from "./ocsp.ts";
import { validateCertificate } from "./path.ts";

const DAY = 24 * 3600 * 1000;
const now = new Date("2026-06-10T00:00:00Z");
const before = (days: number) => new Date(now.getTime() - days * DAY);
const pki = makePki({ now, officers: [{ name: "Asha", key: "p-256" }] });
const [{ certificate }] = pki.officers;

const ocsp = (said: OcspStatus | OcspStatus[], at = now) =>
  readOcspResponse(makeOcspResponse(
    { certificate, issuer: pki.subCa.certificate, responder: pki.subCa },
    said,
    { now: at },
  ));
const crl = (reason: CrlReason | null, at = now) => {
  const { serialNumber } = certificate;
  const revoked = reason ? [{ serialNumber, revokedAt: before(9), reason }] : [];
  return readCrl(makeCrl(pki.subCa, revoked, { now: at }));
};
const good: OcspStatus = { status: "good" };
const revoked = (reason: CrlReason): OcspStatus => ({
  status: "revoked",
  revokedAt: before(9),
  reason,
});

function verdict(
  ocspResponses: ReturnType<typeof ocsp>[],
  crls: ReturnType<typeof crl>[],
): string {
  const above = [pki.root, pki.ca].map((each) => readCrl(makeCrl(each, [], { now })));
  const result = validateCertificate(certificate, {
    anchors: [pki.root.certificate],
    intermediates: [pki.ca.certificate, pki.subCa.certificate],
    crls: [...above, ...crls],
    ocspResponses,
    at: now,
    revocation: "require",
  });
  return result.trusted ? "trusted" : result.failure.code;
}

Deno.test("a revocation stands, whatever other answers say", () => {
  const final = revoked("keyCompromise");
  for (const said of [[good, final], [final, good]]) {
    assert.equal(verdict([ocsp(said)], []), "certificate_revoked");
  }
  assert.equal(verdict([ocsp(good), ocsp(final)], []), "certificate_revoked");
  assert.equal(verdict([ocsp(good), ocsp(final, before(0.5))], []), "certificate_revoked");
  assert.equal(verdict([ocsp(good)], [crl("superseded", before(3))]), "certificate_revoked");
  assert.equal(verdict([], [crl(null), crl("superseded", before(3))]), "certificate_revoked");
  assert.equal(verdict([ocsp(final, before(0.5))], [crl(null)]), "certificate_revoked");
});

Deno.test("a hold is lifted only by newer evidence", () => {
  const hold = revoked("certificateHold");
  assert.equal(verdict([ocsp(hold)], []), "certificate_on_hold");
  assert.equal(verdict([ocsp([good, hold])], []), "certificate_on_hold");
  assert.equal(verdict([ocsp(good), ocsp(hold, before(0.5))], []), "trusted");
  assert.equal(verdict([ocsp(hold), ocsp(good, before(0.5))], []), "certificate_on_hold");
  assert.equal(verdict([], [crl(null), crl("certificateHold", before(3))]), "trusted");
  assert.equal(verdict([], [crl("certificateHold"), crl(null, before(3))]), "certificate_on_hold");
  assert.equal(verdict([ocsp(good)], [crl("certificateHold", before(3))]), "trusted");
  assert.equal(verdict([ocsp(hold, before(0.5))], [crl(null)]), "trusted");
});

Deno.test("if no evidence is usable, every reason is given", () => {
  const result = validateCertificate(certificate, {
    anchors: [pki.root.certificate],
    intermediates: [pki.ca.certificate, pki.subCa.certificate],
    crls: [pki.root, pki.ca].map((each) => readCrl(makeCrl(each, [], { now }))),
    ocspResponses: [ocsp(good, before(9))],
    at: now,
    revocation: "require",
  });
  assert.ok(!result.trusted);
  assert.match(result.failure.message, /out of date, and is not covered by any revocation list/);
});
