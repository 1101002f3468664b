import assert from "node:assert/strict";
import { startPkiServices } from "../tests/fakes/pki_services.ts";
import { validateCertificate } from "../formats/x509/path.ts";
import type { Certificate } from "../formats/x509/certificate.ts";
import { collectEvidence, type Evidence } from "./evidence.ts";
import { PkiHttp, publicFetch } from "./pki_http.ts";
import { explicit, integer, oid, sequence, setOf } from "../formats/asn1/der.ts";
import { Oid } from "../formats/asn1/oids.ts";
import { extKeyUsage, keyUsage } from "../tests/fixtures/extensions.ts";
import { issue, makeCrl, makeOcspResponse } from "../tests/fixtures/issue.ts";
import { keyPurposes } from "../formats/x509/extensions.ts";
import { pem } from "../formats/asn1/pem.ts";
import { makePki } from "../tests/fixtures/pki.ts";

const never = new AbortController().signal;
const local = () => new PkiHttp(publicFetch(() => true), never);

const judge = (end: Certificate, anchors: Certificate[], known: Certificate[], got: Evidence) =>
  validateCertificate(end, {
    anchors,
    intermediates: [...known, ...got.certificates],
    crls: got.crls,
    ocspResponses: got.ocspResponses,
    at: new Date(),
    revocation: "require",
  });

Deno.test("issuers, OCSP answers and CRLs of a chain are collected, and a revocation is found", async () => {
  await using services = await startPkiServices({
    officers: [{ name: "Good", key: "p-256" }, { name: "Revoked", key: "p-256" }],
  });
  const { pki, requests } = services;
  await services.revoke("Revoked", new Date(Date.now() - 60_000));
  const anchors = [pki.root.certificate];
  const known = [pki.ca.certificate]; // the sub-CA is fetched
  const [good, revoked] = pki.officers.map(({ certificate }) => certificate);

  const evidence = await collectEvidence([good, revoked], known, anchors, local(), new Date());
  assert.deepEqual(evidence.problems, []);
  assert.equal(evidence.certificates[0].fingerprint, pki.subCa.certificate.fingerprint);
  assert.equal(evidence.ocspResponses.length, 2);
  assert.equal(judge(good, anchors, known, evidence).trusted, true);
  const refused = judge(revoked, anchors, known, evidence);
  assert.ok(!refused.trusted && refused.failure.code === "certificate_revoked");
  assert.deepEqual(requests.toSorted(), [
    ...["GET /ca.crl", "GET /root.crl", "GET /sub-ca.cer", "GET /sub-ca.crl"],
    ...["POST /ocsp", "POST /ocsp"],
  ]);
});

Deno.test("without an OCSP answer the CRL decides, failures are reported, and private addresses are not contacted", async () => {
  await using services = await startPkiServices({ officers: [{ name: "Anita", key: "p-256" }] });
  const { pki } = services;
  const anchors = [pki.root.certificate];
  const known = [pki.ca.certificate, pki.subCa.certificate];
  const [{ certificate }] = pki.officers;
  const http = new PkiHttp(
    (url, init) =>
      url.endsWith("/ocsp")
        ? Promise.resolve(new Response("no", { status: 500 }))
        : publicFetch(() => true)(url, init),
    never,
  );
  const evidence = await collectEvidence([certificate], known, anchors, http, new Date());
  assert.match(evidence.problems.join(), /ocsp answered with status 500/);
  assert.equal(judge(certificate, anchors, known, evidence).trusted, true);

  const before = services.requests.length;
  const nothing = await collectEvidence(
    [certificate],
    known,
    anchors,
    new PkiHttp(publicFetch(), never),
    new Date(),
  );
  assert.ok(nothing.problems.every((each) => /private network/.test(each)));
  assert.equal(nothing.problems.length, 4);
  assert.equal(services.requests.length, before);
});

Deno.test("an unusable OCSP answer is reported and the CRL is fetched; .p7c issuers and PEM CRLs are read", async () => {
  const now = new Date();
  const DAY = 24 * 3600 * 1000;
  const pki = makePki({ now, officers: [{ name: "Anita", key: "p-256" }] });
  const [{ certificate }] = pki.officers;
  const past = (days: number) => new Date(now.getTime() - days * DAY);
  const expired = issue({
    subject: [["CN", "Responder (TEST)"]],
    issuer: pki.subCa,
    key: "p-256",
    notBefore: past(300),
    notAfter: past(1),
    extensions: [keyUsage("digitalSignature"), extKeyUsage([keyPurposes.ocspSigning])],
  });
  const answer = (responder: typeof expired, at: Date) =>
    makeOcspResponse(
      { certificate, issuer: pki.subCa.certificate, responder },
      { status: "good" },
      { now: at },
    );
  const bundle = sequence(
    oid(Oid.signedData),
    explicit(
      0,
      sequence(
        integer(1),
        setOf([]),
        sequence(oid(Oid.data)),
        explicit(0, pki.subCa.certificate.der),
        setOf([]),
      ),
    ),
  );
  const cases: [Uint8Array, RegExp][] = [
    [answer(expired, now), /signature is not trusted/],
    [answer(pki.ocspResponder, past(9)), /out of date/],
    [answer(pki.ca, now), /signature is not trusted/],
  ];
  for (const [response, why] of cases) {
    const http = new PkiHttp((url) => {
      const name = new URL(url).pathname;
      const authority =
        { "/sub-ca.crl": pki.subCa, "/ca.crl": pki.ca, "/root.crl": pki.root }[name];
      const body = name === "/ocsp"
        ? response
        : authority
        ? pem("X509 CRL", makeCrl(authority, [], { now }))
        : bundle;
      return Promise.resolve(new Response(body as BodyInit));
    }, never);
    const anchors = [pki.root.certificate];
    const known = [pki.ca.certificate];
    const evidence = await collectEvidence([certificate], known, anchors, http, now);
    assert.match(evidence.problems.join(), why);
    assert.equal(judge(certificate, anchors, known, evidence).trusted, true, String(why));
  }
});
