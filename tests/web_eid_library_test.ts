/**
 * Every default check of the Web eID libraries for servers, written anew after their sources: what they require of a
 * token, of the person's certificate and of the answer about its revocation, tried on our tokens and the test PKI.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes, verify, X509Certificate } from "node:crypto";
import { readCertificate } from "../formats/x509/certificate.ts";
import { keyPurposes } from "../formats/x509/extensions.ts";
import { readOcspResponse } from "../formats/x509/ocsp.ts";
import { mayAuthenticate } from "../formats/json/web_eid.ts";
import { isSignedWith } from "../formats/x509/signed.ts";
import { PORTAL, testAgent } from "./fixtures/agent.ts";
import { extKeyUsage, keyUsage } from "./fixtures/extensions.ts";
import { issue, makeOcspResponse } from "./fixtures/issue.ts";
import { testKey } from "./fixtures/keys.ts";
import { makePki } from "./fixtures/pki.ts";
import { makeTrialPki } from "../trial/pki.ts";

const MINUTE = 60_000;
/** Policies that the libraries refuse: Estonian Mobile-ID. */
const REFUSED_POLICY = /^1\.3\.6\.1\.4\.1\.10015\.1\.3(\.[123])?$/;

/** The certificate's dates, purpose and policies. */
function checkPerson(der: Uint8Array, now: Date): void {
  const { notBefore, notAfter, keyUsage, extKeyUsage, policies } = readCertificate(der);
  assert.ok(notBefore <= now && now <= notAfter);
  assert.ok(keyUsage?.has("digitalSignature"));
  assert.ok(extKeyUsage === undefined || extKeyUsage.includes("1.3.6.1.5.5.7.3.2"));
  assert.ok(policies && policies.length > 0, "newer versions require the extension");
  assert.ok(!policies.some((each) => REFUSED_POLICY.test(each)));
}

Deno.test("a login's token and the test PKI's certificates and OCSP pass the checks of servers' libraries", async () => {
  const { officers, subCa, ocspResponder } = makePki({
    officers: [{ name: "Anita Das (TEST)", key: "p-256" }],
  });
  await using test = await testAgent({ officers });
  const client = await test.connect();
  const nonce = randomBytes(32).toString("base64");
  assert.equal(nonce.length, 44, "what their generator makes, and the shortest that we take");
  const token = await client.call("auth.authenticate", { nonce });

  const { length } = JSON.stringify(token);
  assert.ok(length >= 100 && length <= 65_536);
  assert.match(token.format, /^web-eid:1(\.(0|[1-9]\d{0,8}))?$/);
  assert.equal("unverifiedSigningCertificates" in token, false, "not allowed in 1.0");
  assert.match(token.algorithm, /^(ES|PS|RS)(256|384|512)$/);
  const der = Uint8Array.fromBase64(token.unverifiedCertificate);
  const now = new Date();
  checkPerson(der, now);
  const person = readCertificate(der);
  assert.ok(isSignedWith(person, subCa.certificate.publicKey), "by the authority that is trusted");
  const hash = (text: string) => createHash("sha256").update(text).digest();
  assert.ok(verify(
    "sha256",
    new Uint8Array([...hash(PORTAL), ...hash(nonce)]),
    { key: new X509Certificate(der).publicKey, dsaEncoding: "ieee-p1363" },
    Uint8Array.fromBase64(token.signature),
  ));
  // The libraries take an origin of https, without a path.
  assert.equal(new URL(PORTAL).origin, PORTAL);
  assert.equal(new URL(PORTAL).protocol, "https:");

  assert.equal(person.ocspUrls.length, 1, "the libraries ask there");
  const asked = new Uint8Array(randomBytes(32));
  const response = readOcspResponse(makeOcspResponse(
    { certificate: person, issuer: subCa.certificate, responder: ocspResponder },
    { status: "good" },
    { now, nonce: asked },
  ));
  const [answer, ...others] = response.answers;
  assert.equal(others.length, 0);
  const sha1 = (bytes: Uint8Array) => new Uint8Array(createHash("sha1").update(bytes).digest());
  assert.deepEqual(
    [answer!.hash, answer!.issuerNameHash, answer!.serialNumber, answer!.status],
    ["SHA-1", sha1(subCa.certificate.subject.der), person.serialNumber, "good"],
  );
  assert.ok(answer!.thisUpdate.getTime() >= now.getTime() - 2 * MINUTE);
  assert.ok(answer!.thisUpdate.getTime() <= now.getTime() + 15 * MINUTE);
  assert.ok(answer!.nextUpdate! >= answer!.thisUpdate);
  assert.ok(answer!.nextUpdate!.getTime() >= now.getTime() - 15 * MINUTE);
  assert.deepEqual(response.nonce?.subarray(-32), asked);
  const [responder] = response.certificates;
  assert.ok(responder!.extKeyUsage?.includes("1.3.6.1.5.5.7.3.9"), "id-kp-OCSPSigning");
  assert.ok(responder!.notBefore <= now && now <= responder!.notAfter);
  assert.ok(isSignedWith(responder!, subCa.certificate.publicKey));
});

Deno.test("a trial agent's officers pass the checks of a person's certificate", async () => {
  const now = new Date();
  for (const { certificate } of (await makeTrialPki(now)).officers) checkPerson(certificate, now);
});

Deno.test("a certificate that the libraries refuse for its purpose is not used to log in", () => {
  const now = Date.now();
  const may = (...extensions: ReturnType<typeof keyUsage>[]) => {
    const { certificate } = issue({
      subject: [["CN", "Anita Das (TEST)"]],
      key: testKey("p-256"),
      notBefore: new Date(now - MINUTE),
      notAfter: new Date(now + 60 * MINUTE),
      extensions,
    });
    return mayAuthenticate(certificate.der, new Date(now));
  };
  const { clientAuth, emailProtection } = keyPurposes;
  assert.ok(may(keyUsage("digitalSignature")));
  assert.ok(may(keyUsage("digitalSignature"), extKeyUsage([emailProtection, clientAuth])));
  assert.ok(!may(keyUsage("digitalSignature"), extKeyUsage([emailProtection])));
  assert.ok(!may(keyUsage("nonRepudiation")));
  assert.ok(!may());
});
