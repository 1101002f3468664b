import assert from "node:assert/strict";
import { freePort } from "../../tests/fixtures/free_port.ts";
import { readAsn1 } from "../asn1/read.ts";
import { readCrl } from "./crl.ts";
import { integer, octetString, sequence } from "../asn1/der.ts";
import { FormatError } from "../error.ts";
import { encodeOcspRequest, readOcspResponse } from "./ocsp.ts";
import { validateCertificate } from "./path.ts";
import { inTempDir, openssl } from "../../tests/fixtures/openssl.ts";
import { makeCrl, makeOcspResponse, type Party } from "../../tests/fixtures/issue.ts";
import { pem } from "../asn1/pem.ts";
import { makePki } from "../../tests/fixtures/pki.ts";

const pki = makePki({
  officers: [{ name: "Good", key: "p-256" }, { name: "Revoked", key: "p-256" }],
});

Deno.test("an OCSP answer reads back as it was made", () => {
  const [{ certificate }] = pki.officers;
  const producedAt = new Date("2026-06-01T00:00:00Z");
  const revokedAt = new Date("2026-05-01T00:00:00Z");
  const response = readOcspResponse(
    makeOcspResponse(
      { certificate, issuer: pki.subCa.certificate, responder: pki.ocspResponder },
      { status: "revoked", revokedAt, reason: "keyCompromise" },
      { now: producedAt, nonce: octetString(Uint8Array.of(1, 2, 3)) },
    ),
  );
  const [answer] = response.answers;
  assert.deepEqual(
    [answer.status, answer.revokedAt, answer.reason, answer.serialNumber],
    ["revoked", revokedAt, "keyCompromise", certificate.serialNumber],
  );
  assert.deepEqual(response.producedAt, producedAt);
  assert.deepEqual(readAsn1(response.nonce!).content, Uint8Array.of(1, 2, 3));
});

Deno.test("an OCSP server's error is reported as an error", () => {
  const tryLater = sequence(integer(3, 0x0a));
  assert.throws(() => readOcspResponse(tryLater), { code: "ocsp_malformed", message: /tryLater/ });
});

Deno.test("an OCSP answer with any signed byte altered is not trusted", () => {
  const [{ certificate }] = pki.officers;
  const crls = [pki.root, pki.ca].map((each) => readCrl(makeCrl(each, [])));
  const judge = (response: Uint8Array) => {
    try {
      return validateCertificate(certificate, {
        anchors: [pki.root.certificate],
        intermediates: [pki.ca.certificate, pki.subCa.certificate],
        crls,
        ocspResponses: [readOcspResponse(response)],
        at: new Date(),
        revocation: "require",
      }).trusted;
    } catch (error) {
      assert.ok(error instanceof FormatError, String(error));
      return false;
    }
  };
  const response = makeOcspResponse(
    { certificate, issuer: pki.subCa.certificate, responder: pki.subCa },
    { status: "good" },
  );
  assert.ok(judge(response));
  const { tbs } = readOcspResponse(response);
  const start = tbs.byteOffset - response.byteOffset;
  for (let index = start; index < start + tbs.length; index++) {
    const altered = response.slice();
    altered[index] ^= 0x02;
    assert.ok(!judge(altered), `byte ${index}`);
  }
});

Deno.test("OpenSSL's OCSP server answers our request, and we judge its answer", async () => {
  await inTempDir(async (dir) => {
    const path = (name: string) => `${dir}/${name}`;
    const [good, revoked] = pki.officers;
    const responder = pki.ocspResponder;
    await Deno.writeTextFile(path("ca.pem"), pem("CERTIFICATE", pki.subCa.certificate.der));
    await Deno.writeTextFile(path("ocsp.pem"), pem("CERTIFICATE", responder.certificate.der));
    await Deno.writeTextFile(path("ocsp.key"), pem("PRIVATE KEY", responder.pkcs8));
    const line = ({ certificate }: Party, status: string) => {
      const serial = certificate.serialNumber.toHex().toUpperCase();
      return `${status}\t${serial}\tunknown\t/CN=${certificate.subject.commonName}\n`;
    };
    await Deno.writeTextFile(
      path("index.txt"),
      line(good, "V\t401231235959Z\t") +
        line(revoked, "R\t401231235959Z\t260101000000Z,keyCompromise"),
    );
    const port = freePort();
    const server = new Deno.Command("openssl", {
      args: [
        ...["ocsp", "-port", String(port), "-index", path("index.txt"), "-CA", path("ca.pem")],
        ...["-rsigner", path("ocsp.pem"), "-rkey", path("ocsp.key"), "-nmin", "5"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      const nonce = crypto.getRandomValues(new Uint8Array(16));
      const ask = async ({ certificate }: Party) => {
        const request = encodeOcspRequest(certificate, pki.subCa.certificate, nonce);
        return readOcspResponse(await post(`http://127.0.0.1:${port}/`, request));
      };
      const judge = async (party: Party) => {
        const response = await ask(party);
        assert.deepEqual(readAsn1(response.nonce!).content, nonce);
        const result = validateCertificate(party.certificate, {
          anchors: [pki.root.certificate],
          intermediates: [pki.ca.certificate, pki.subCa.certificate],
          // The responder itself is looked up in the sub-CA's list.
          crls: [pki.root, pki.ca, pki.subCa].map((each) => readCrl(makeCrl(each, []))),
          ocspResponses: [response],
          at: new Date(),
          revocation: "require",
        });
        return result.trusted ? result.revocation[0] : result.failure.code;
      };
      const status = await judge(good);
      assert.ok(typeof status === "object" && status.status === "good");
      assert.equal(status.source, "ocsp");
      assert.equal(await judge(revoked), "certificate_revoked");
    } finally {
      server.kill();
      await server.status;
    }
    // The program also reads our requests by itself.
    await Deno.writeFile(
      path("request.der"),
      encodeOcspRequest(good.certificate, pki.subCa.certificate),
    );
    const text = await openssl(["ocsp", "-reqin", path("request.der"), "-req_text"]);
    const serial = good.certificate.serialNumber.toHex().toUpperCase();
    assert.ok(new TextDecoder().decode(text).includes(serial));
  });
});

/** Posts a request to a server that may still be starting. */
async function post(url: string, body: Uint8Array): Promise<Uint8Array> {
  const headers = { "content-type": "application/ocsp-request" };
  for (let attempt = 0;; attempt++) {
    try {
      const response = await fetch(url, { method: "POST", headers, body: body.slice() });
      return new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
