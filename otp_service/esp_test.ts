/** Signing by an ESP: the request and the answer of the eSign API 2.1, and every answer that must not count. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readAsn1 } from "../formats/asn1.ts";
import { readEsignResponse, sentenceFor } from "../formats/esign.ts";
import { indiaFacts } from "../formats/india.ts";
import { prepareSignature, signedBytes } from "../formats/pades.ts";
import { inspectSignatures } from "../formats/pades_inspect.ts";
import { verifyPdf } from "../formats/pades_verify.ts";
import { bytesSource } from "../formats/pdf_source.ts";
import { readCertificate } from "../formats/x509.ts";
import { FakeEsp, indefinite } from "../tests/fakes/esp.ts";
import { digest } from "../formats/digest.ts";
import { inTempDir, openssl, run } from "../tests/fixtures/openssl.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { pdfsig } from "../tests/fixtures/pdf_tools.ts";
import { makePki, pem, signBytes } from "../tests/fixtures/pki.ts";
import { Esp } from "./esp.ts";

const PDF = classicPdf(documentObjects());
const { officers: [portal, other] } = makePki({
  officers: [{ name: "Portal (TEST)" }, { name: "Another" }],
});
const RESPONSE = "https://portal.example/esign";

function setUp(clock = { now: Date.now() }) {
  const asp = {
    certificate: portal!.certificate.der,
    chain: [],
    algorithm: portal!.key.algorithm,
    sign: (input: { message: Uint8Array } | { digest: Uint8Array }) =>
      Promise.resolve(signBytes(portal!.key, (input as { message: Uint8Array }).message)),
  };
  const fake = new FakeEsp({ id: "WORKS-1", certificate: asp.certificate }, () => clock.now);
  const esp = new Esp({
    url: "https://esp.example/2.1/signdoc",
    aspId: "WORKS-1",
    responseUrl: RESPONSE,
    asp,
    certificates: [fake.party.certificate.der],
    now: () => clock.now,
  });
  return { esp, fake, clock };
}

const start = (esp: Esp) =>
  esp.start({ pdf: PDF, info: "Technical Sanction 7", reason: "Sanction" });

Deno.test("a PDF signed by the ESP: BER of indefinite length within it, valid for others", async () => {
  const { esp, fake } = setUp();
  const { action, fields, txn } = await start(esp);
  assert.equal(action, "https://esp.example/2.1/signdoc");
  assert.deepEqual(Object.keys(fields), ["eSignRequest", "aspTxnID", "Content-Type"]);
  assert.equal(fields.aspTxnID, txn);
  const result = esp.finish(fake.approve(fields, "Anita Sen"));
  assert.ok(result.ok);
  assert.equal(result.signer, "Anita Sen");
  const source = bytesSource(result.pdf);
  const [signature] = inspectSignatures(source).signatures;
  assert.equal(signature!.subFilter, "adbe.pkcs7.detached");
  assert.equal(readAsn1(signature!.cms, { ber: true }).indefinite, true);
  const [verified] = verifyPdf(source).signatures;
  assert.equal(verified!.status, "valid");
  assert.equal(indiaFacts(readCertificate(result.certificate)).kind, "esign");
  assert.deepEqual(result.pdf.subarray(0, PDF.length), PDF);
  await inTempDir(async (dir) => {
    await Deno.writeFile(join(dir, "signed.pdf"), result.pdf);
    assert.deepEqual(await pdfsig(join(dir, "signed.pdf")), [{ valid: true, total: true }]);
  });
});

Deno.test("xmlsec1 accepts the request's signature", async () => {
  const { esp } = setUp();
  const { fields } = await start(esp);
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(join(dir, "request.xml"), fields.eSignRequest!);
    await Deno.writeTextFile(join(dir, "asp.pem"), pem("CERTIFICATE", portal!.certificate.der));
    await run("xmlsec1", "xmlsec1", [
      ...["--verify", "--pubkey-cert-pem", join(dir, "asp.pem"), join(dir, "request.xml")],
    ]);
  });
  assert.match(
    fields.eSignRequest!,
    /<Esign ver="2\.1" sc="Y" ts="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d" /,
  );
  assert.match(fields.eSignRequest!, / ekycIdType="A" /);
  assert.match(fields.eSignRequest!, / AuthMode="1" responseSigType="pkcs7" responseUrl="https:/);
  assert.match(
    fields.eSignRequest!,
    /<InputHash id="1" hashAlgorithm="SHA256" docInfo="Technical Sanction 7">[0-9a-f]{64}</,
  );
});

Deno.test("a PKCS #7 streamed by OpenSSL is embedded", async () => {
  const { fake } = setUp();
  const source = bytesSource(PDF);
  const prepared = prepareSignature(source, { subFilter: "adbe.pkcs7.detached" });
  const covered = new Uint8Array(
    await new Blob([...signedBytes(source, prepared)].map((piece) => piece.slice())).arrayBuffer(),
  );
  await inTempDir(async (dir) => {
    const person = makePki({ officers: [{ name: "Anita Sen" }] }).officers[0]!;
    await Deno.writeFile(join(dir, "covered"), covered);
    await Deno.writeTextFile(join(dir, "by.pem"), pem("CERTIFICATE", person.certificate.der));
    await Deno.writeTextFile(join(dir, "by.key"), pem("PRIVATE KEY", person.pkcs8));
    // This form of OpenSSL's streams has the content in it.
    const streamed = await openssl([
      ...["cms", "-sign", "-binary", "-stream", "-in", join(dir, "covered"), "-outform", "DER"],
      ...["-signer", join(dir, "by.pem"), "-inkey", join(dir, "by.key"), "-md", "sha256"],
    ]);
    assert.equal(readAsn1(streamed, { ber: true }).indefinite, true);
    const pkcs7 = indefinite(streamed);
    const { esp } = setUp();
    const { fields, txn } = await start(esp);
    const answer = fake.approve(fields, "x", { pkcs7, certificate: person.certificate.der });
    const expected = {
      txn,
      documents: [{ id: "1", digest: digest("SHA-256", covered) }],
      esp: [fake.party.certificate.der],
    };
    const read = readEsignResponse(new TextEncoder().encode(answer.eSignResponse), expected);
    assert.ok(read.ok);
    const signed = new Uint8Array([...PDF, ...prepared.complete(read.signatures.get("1")!)]);
    await Deno.writeFile(join(dir, "signed.pdf"), signed);
    assert.deepEqual(await pdfsig(join(dir, "signed.pdf")), [{ valid: true, total: true }]);
  });
});

Deno.test("an answer counts once, within its time, in the form of other ESPs too", async () => {
  const { esp, fake, clock } = setUp();
  const { fields } = await start(esp);
  const answer = fake.approve(fields, "Anita Sen", { withoutKeyInfo: true, der: true });
  assert.ok(esp.finish({ msg: answer.eSignResponse! }).ok);
  assert.throws(() => esp.finish(answer), { code: "not_found" }, "a replay");
  assert.throws(() => esp.finish({}), { code: "not_found" });

  const late = (await start(esp)).fields;
  const lateAnswer = fake.approve(late, "Anita Sen");
  clock.now += 31 * 60_000;
  assert.throws(() => esp.finish(lateAnswer), { code: "not_found" }, "too late");

  // a certificate that is over, though the transaction is not
  const { fields: early } = await start(esp);
  clock.now -= 40 * 60_000;
  const old = fake.approve({ ...early }, "Anita Sen");
  clock.now += 40 * 60_000;
  assert.throws(() => esp.finish(old), { code: "signature_mismatch" });
});

Deno.test("what is not the ESP's, or not of this document, is refused, and the true answer still counts", async () => {
  const { esp, fake } = setUp();
  const { fields, txn } = await start(esp);
  const good = fake.approve(fields, "Anita Sen");
  const again = (choices: Parameters<FakeEsp["approve"]>[2]) =>
    new FakeEsp(fake.asp, fake.now).approve(fields, "Anita Sen", {
      signer: fake.party,
      ...choices,
    });
  const xml = good.eSignResponse!;
  const changed = (from: string | RegExp, to: string) => {
    assert.notEqual(xml.replace(from, to), xml);
    return { eSignResponse: xml.replace(from, to) };
  };
  const body = /<UserX509Certificate>.*<\/Signatures>/s.exec(xml)![0];
  const hostile = {
    "signed by somebody else": again({ signer: other! }),
    "another document": again({ digest: new Uint8Array(32) }),
    "another person's certificate": again({ certificate: other!.certificate.der }),
    "a changed status": changed('status="1"', 'status="0"'),
    "a changed certificate": changed("<UserX509Certificate>MII", "<UserX509Certificate>MIJ"),
    "no signature": changed(/<ds:Signature .*<\/ds:Signature>/s, ""),
    "a second body": changed("<UserX509Certificate>", `${body}<UserX509Certificate>`),
    "wrapped": {
      eSignResponse: `<EsignResp status="1" txn="${txn}">${body}` +
        `${xml.replace(/^<\?xml[^>]*\?>/, "")}</EsignResp>`,
    },
  };
  for (const [name, answer] of Object.entries(hostile)) {
    assert.throws(() => esp.finish(answer), { code: "signature_mismatch" }, name);
  }
  assert.throws(() => esp.finish(again({ txn: "another" })), { code: "not_found" });
  assert.throws(() => esp.finish({ eSignResponse: "<EsignResp" }), { code: "xml_malformed" });
  assert.throws(
    () => esp.finish({ eSignResponse: '<!DOCTYPE x [<!ENTITY e "e">]><EsignResp txn="&e;"/>' }),
    { code: "xml_forbidden" },
  );
  assert.throws(() => esp.finish({ eSignResponse: "x".repeat(2_000_000) }), {
    code: "limit_exceeded",
  });
  // of one transaction an answer for another
  const second = await esp.start({ pdf: PDF, info: "Technical Sanction 8", reason: "Another" });
  const crossed = fake.approve(second.fields, "Anita Sen", { txn });
  assert.throws(() => esp.finish(crossed), { code: "signature_mismatch" });
  assert.ok(esp.finish(good).ok);
});

Deno.test("the ESP's no is told in a sentence, and ends the transaction", async () => {
  const { esp, fake, clock } = setUp();
  const { fields } = await start(esp);
  const forged = fake.cancel(fields, { signer: other! });
  assert.throws(() => esp.finish(forged), { code: "signature_mismatch" });
  const result = esp.finish(fake.cancel(fields));
  assert.ok(!result.ok);
  assert.equal(result.code, "ESP-944");
  assert.match(result.message, /You ended the signing/);
  assert.throws(() => esp.finish(fake.cancel(fields)), { code: "not_found" });

  const { fields: used } = await start(esp);
  fake.approve(used, "Anita Sen");
  const duplicate = esp.finish(fake.approve(used, "Anita Sen"));
  assert.equal(duplicate.ok ? "" : duplicate.code, "ESP-910");
  const { fields: slow } = await start(esp);
  clock.now += 29 * 60_000;
  const changed = { ...slow, eSignRequest: slow.eSignRequest!.replace("Sanction 7", "Sanction 8") };
  const refused = esp.finish(fake.approve(changed, "Anita Sen"));
  assert.equal(refused.ok ? "" : refused.code, "ESP-911");

  assert.equal(
    sentenceFor("ESP-777", "Odd\n\u001bthing"),
    "The eSign service says: Odd thing (ESP-777)",
  );
  assert.equal(sentenceFor("<b>", "NA"), "The eSign service did not sign.");
});

Deno.test("an ESP without TLS, and requests that make no sense, are refused", async () => {
  const { esp } = setUp();
  assert.throws(() => new Esp({ ...esp.options, url: "http://esp.example/" }), {
    code: "invalid_argument",
  });
  await assert.rejects(esp.start({ pdf: new TextEncoder().encode("no PDF"), info: "x" }), {
    code: "pdf_malformed",
  });
});
