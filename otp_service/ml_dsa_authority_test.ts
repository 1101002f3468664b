/** A service whose issuing authority has a post-quantum key. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { withMlDsa } from "../formats/keys/ml_dsa.ts";
import { readMaterial } from "../formats/verify/material.ts";
import { verifyBytes } from "../formats/verify/verify.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { encodeOcspRequest } from "../formats/x509/ocsp.ts";
import { isSignedWith } from "../formats/x509/signed.ts";
import { openKeyFile } from "../signers/pkcs12.ts";
import { openKeyFileReader } from "../tests/fixtures/key_files.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { makeRoot, makeService, PIN, PUBLIC_URL } from "../tests/fixtures/otp_service.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { initService } from "./init.ts";

Deno.test("init makes an ML-DSA authority whose key signs what its certificate verifies", () =>
  inTempDir(async (dir) => {
    const folder = join(dir, "service");
    await initService(folder, {
      organization: "Works Department (TEST)",
      publicUrl: PUBLIC_URL,
      policy: "2.999.6.1",
      redirectUris: [],
      authorityKey: "ml-dsa-65",
    });
    const password = (await Deno.readTextFile(join(folder, "authority.password"))).trim();
    const reader = openKeyFileReader();
    const signer = await openKeyFile(
      join(folder, "authority.p12"),
      new TextEncoder().encode(password),
      "SHA-256",
      reader,
    );
    await reader.close();
    assert.equal(signer.algorithm.scheme, "ML-DSA-65");
    const certificate = readCertificate(signer.certificate);
    assert.ok(await withMlDsa(() => isSignedWith(certificate, certificate.publicKey)));
    const tbs = new TextEncoder().encode("a certificate");
    const { signatureAlgorithm } = certificate;
    const signature = await signer.sign({ message: tbs });
    const signed = { tbs, signatureAlgorithm, signature };
    assert.ok(await withMlDsa(() => isSignedWith(signed, certificate.publicKey)));
    await signer.close();
  }));

Deno.test("certificates, CRL and OCSP answers of an ML-DSA authority are accepted, and a revoked one is told", async () => {
  const root = makeRoot(undefined, "ml-dsa-65");
  const test = makeService({ root });
  try {
    const credentialID = await test.enrol({
      userID: "asen",
      credential: { kind: "one-time", mode: "explicit" },
    });
    const pdf = classicPdf(documentObjects());
    const what = {
      credentialID,
      hashes: [createHash("sha256").update(pdf).digest("base64")],
      numSignatures: 1,
    };
    const token = await test.token();
    await test.call("/csc/v2/credentials/getChallenge", {
      ...what,
      authObjectID: "OTP",
      description: "Sanction 7",
    }, token);
    const authData = [{ id: "PIN", value: PIN }, { id: "OTP", value: test.lastOtp() }];
    const { body } = await test.call("/csc/v2/credentials/authorize", { ...what, authData }, token);
    const signed = await test.call("/csc/v2/signatures/signDoc", {
      credentialID,
      SAD: body.SAD,
      documents: [{ document: pdf.toBase64(), signature_format: "P" }],
    }, token);
    const bytes = Uint8Array.fromBase64(signed.body.DocumentWithSignature[0]);
    const get = async (path: string, init?: RequestInit) =>
      await (await test.handler(new Request(`${PUBLIC_URL}${path}`, init))).bytes();
    const verify = (material: { crls?: Uint8Array[]; ocspResponses?: Uint8Array[] }) =>
      withMlDsa(() =>
        verifyBytes(bytes, {
          now: new Date(test.clock.now),
          anchors: [root.certificate],
          material: readMaterial(material),
        }).signatures[0]
      );
    const good = await verify({ crls: [await get("/ca/crl")] });
    assert.equal(good.indication, "TOTAL-PASSED", JSON.stringify(good.findings));
    const list = await get("/portal/v1/persons/asen/certificates", {
      headers: { authorization: `Bearer ${token}` },
    });
    const [{ serialNumber, certificate }] = JSON.parse(new TextDecoder().decode(list)).certificates;
    const leaf = readCertificate(Uint8Array.fromBase64(certificate));
    const answer = () =>
      get("/ca/ocsp", {
        method: "POST",
        body: encodeOcspRequest(leaf, root.certificate) as Uint8Array<ArrayBuffer>,
        headers: { "content-type": "application/ocsp-request" },
      });
    const ocspResponses = [await answer()];
    assert.equal((await verify({ ocspResponses })).indication, "TOTAL-PASSED");

    const reason = { reason: "keyCompromise" };
    await test.call(`/portal/v1/certificates/${serialNumber}/revoke`, reason, token);
    for (const revoked of [{ crls: [await get("/ca/crl")] }, { ocspResponses: [await answer()] }]) {
      const { revocation, indication } = await verify(revoked);
      assert.deepEqual([revocation.status, indication], ["revoked", "INDETERMINATE"]);
    }
  } finally {
    await test.close();
  }
});
