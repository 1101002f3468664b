import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readCertificates } from "./bundle.ts";
import { readCertificate } from "./certificate.ts";
import { readCrl } from "./crl.ts";
import { readOcspResponse } from "./ocsp.ts";
import { type TrustResult, validateCertificate } from "./path.ts";
import { isSignedWith } from "./signed.ts";
import { withMlDsa } from "../keys/ml_dsa.ts";
import { makeCrl, makeOcspResponse } from "../../tests/fixtures/issue.ts";
import { testKey } from "../../tests/fixtures/keys.ts";
import { makePki } from "../../tests/fixtures/pki.ts";

const rfc9881 = await Deno.readFile(
  new URL("../../tests/fixtures/ml_dsa/rfc9881_ml_dsa_65.crt.pem", import.meta.url),
);

Deno.test("RFC 9881's ML-DSA-65 certificate is signed by its own key; not where a byte was changed", async () => {
  const [der] = readCertificates(rfc9881);
  const certificate = readCertificate(der);
  assert.equal(certificate.publicKey.parameterSet, "ML-DSA-65");
  const check = (tbs = certificate.tbs, signature = certificate.signature) =>
    withMlDsa(() => isSignedWith({ ...certificate, tbs, signature }, certificate.publicKey));
  assert.equal(await check(), true);
  for (let at = 0; at < certificate.tbs.length; at += 97) {
    const tbs = certificate.tbs.slice();
    tbs[at] ^= 1;
    assert.equal(await check(tbs), false, `byte ${at}`);
  }
  for (let at = 0; at < certificate.signature.length; at += 101) {
    const signature = certificate.signature.slice();
    signature[at] ^= 1;
    assert.equal(await check(undefined, signature), false, `byte ${at} of the signature`);
  }
});

const now = new Date("2026-12-01T00:00:00Z");
const { root, ca, subCa, ocspResponder, officers: [officer] } = makePki({
  now,
  officers: [{ name: "A. Basu" }],
  newKey: () => testKey("ml-dsa-65"),
});

const validate = (crls: Uint8Array[], ocsps: Uint8Array[]) =>
  withMlDsa(() =>
    validateCertificate(officer.certificate, {
      anchors: [root.certificate],
      intermediates: [subCa.certificate, ca.certificate],
      crls: crls.map((each) => readCrl(each)),
      ocspResponses: ocsps.map((each) => readOcspResponse(each)),
      at: now,
      revocation: "require",
    })
  );
const aboveCrls = [makeCrl(root, [], { now }), makeCrl(ca, [], { now })];

Deno.test("a path of ML-DSA certificates with ML-DSA CRLs is trusted; a revoked or changed one is not", async () => {
  const result = await validate([...aboveCrls, makeCrl(subCa, [], { now })], []);
  assert.equal(result.trusted, true);

  const { serialNumber } = officer.certificate;
  const revoked = makeCrl(subCa, [{ serialNumber, revokedAt: now }], { now });
  const refused = await validate([...aboveCrls, revoked], []);
  assert.equal(!refused.trusted && refused.failure.code, "certificate_revoked");

  const forged = makeCrl(subCa, [], { now });
  forged[forged.length - 1] ^= 1;
  const unknown = await validate([...aboveCrls, forged], []);
  assert.equal(!unknown.trusted && unknown.failure.code, "revocation_unknown");
});

Deno.test("an OCSP answer signed with ML-DSA counts, and does not where a byte was changed", async () => {
  const about = {
    certificate: officer.certificate,
    issuer: subCa.certificate,
    responder: ocspResponder,
  };
  const good = makeOcspResponse(about, { status: "good" }, { now });
  const crls = [...aboveCrls, makeCrl(subCa, [], { now })];
  const result = await validate(crls, [good]);
  assert.equal(sourceOf(result), "ocsp");

  const revoked = makeOcspResponse(about, { status: "revoked", revokedAt: now }, { now });
  const refused = await validate(crls, [revoked]);
  assert.equal(!refused.trusted && refused.failure.code, "certificate_revoked");

  const signature = readOcspResponse(revoked).signature;
  revoked[Buffer.from(revoked).indexOf(signature)] ^= 1;
  const passed = await validate(crls, [revoked]);
  assert.equal(sourceOf(passed), "crl");
});

function sourceOf(result: TrustResult): "crl" | "ocsp" | undefined {
  const status = result.trusted ? result.revocation[0] : undefined;
  return status?.status === "good" ? status.source : undefined;
}
