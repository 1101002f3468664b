/** Results judged by OpenSSL and poppler, and keys in a real module. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { PIN as TOKEN_PIN, softhsm } from "../tests/fakes/pkcs11_tokens.ts";
import { startPkiServices } from "../tests/fakes/pki_services.ts";
import { inTempDir, openssl } from "../tests/fixtures/openssl.ts";
import {
  makeRoot,
  makeService,
  moduleClient,
  PIN,
  POLICY,
  type TestService,
} from "../tests/fixtures/otp_service.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { pdfsig } from "../tests/fixtures/pdf_tools.ts";
import { pem } from "../formats/asn1/pem.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import {
  rereadCertificate,
  rereadCms,
  rereadCrl,
  rereadOcsp,
} from "../tests/fixtures/second_reader.ts";
import { answerTimestampRequest } from "../tests/fixtures/tsa.ts";
import { X509CrlReason } from "@peculiar/x509";
import { encodeOcspRequest } from "../formats/x509/ocsp.ts";
import { prepareSignature, signedBytes } from "../formats/pades/prepare.ts";
import { digest } from "../formats/digest.ts";
import type { DigestName } from "../formats/signer.ts";
import { bytesSource } from "../formats/source.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { verifyBytes } from "../formats/verify/verify.ts";
import { OIDS } from "../protocol/csc.ts";
import { moduleKeys, type ModuleSession } from "./keys.ts";
import type { KeyType } from "./rows.ts";
import { requestTimestamp } from "../online/timestamp.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("base64");
const PDF = classicPdf(documentObjects({ pages: 2 }));
const EXPLICIT = { kind: "one-time", mode: "explicit" };

/** The whole ceremony in explicit mode, then signDoc. */
async function signDoc(
  test: TestService,
  credentialID: string,
  hashes: string[],
  request: Record<string, unknown>,
) {
  test.clock.now += 60_000;
  const token = await test.token();
  const what = { credentialID, hashes, numSignatures: hashes.length };
  await test.call("/csc/v2/credentials/getChallenge", {
    ...what,
    authObjectID: "OTP",
    description: "Sanction 7",
  }, token);
  const authData = [{ id: "PIN", value: PIN }, { id: "OTP", value: test.lastOtp() }];
  const { body } = await test.call("/csc/v2/credentials/authorize", { ...what, authData }, token);
  return await test.call("/csc/v2/signatures/signDoc", {
    credentialID,
    SAD: body.SAD,
    ...request,
  }, token);
}

Deno.test("pdfsig accepts PAdES signatures of whole documents and of prepared ones", () =>
  inTempDir(async (dir) => {
    const test = makeService();
    try {
      const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
      const whole = await signDoc(test, credentialID, [sha256(PDF)], {
        documents: [{ document: PDF.toBase64(), signature_format: "P" }],
      });
      const file = join(dir, "signed.pdf");
      await Deno.writeFile(file, Uint8Array.fromBase64(whole.body.DocumentWithSignature[0]));
      assert.deepEqual(await pdfsig(file), [{ valid: true, total: true }]);

      // The portal prepares; only the digest goes to the service, and the page could show the bytes.
      const source = bytesSource(PDF);
      const prepared = prepareSignature(source, { reason: "Sanction 7" });
      const hash = createHash("sha256");
      for (const piece of signedBytes(source, prepared)) hash.update(piece);
      const digest = hash.digest("base64");
      const unsigned = new Uint8Array([...PDF, ...prepared.appended]);
      const upload = async (body: Uint8Array<ArrayBuffer>) => {
        const headers = {
          authorization: `Bearer ${await test.token()}`,
          "content-type": "application/pdf",
        };
        const url = "https://sign.works.example/portal/v1/documents?name=order.pdf";
        return await test.handler(new Request(url, { method: "POST", body, headers }));
      };
      const { hashes } = await (await upload(unsigned)).json();
      assert.equal(hashes.byteRange, digest, "known by what is signed");
      const detached = await signDoc(test, credentialID, [digest], {
        documentDigests: [{
          hashes: [digest],
          hashAlgorithmOID: OIDS.sha256,
          signature_format: "P",
        }],
      });
      const cms = Uint8Array.fromBase64(detached.body.SignatureObject[0]);
      await Deno.writeFile(file, new Uint8Array([...PDF, ...prepared.complete(cms)]));
      assert.deepEqual(await pdfsig(file), [{ valid: true, total: true }]);

      const objects = documentObjects();
      objects[4] = "<< /Length 5 >>\nstream\nq Q Q\nendstream"; // readers mend it differently
      const refused = [PDF.subarray(0, 100), classicPdf(objects)];
      for (const document of refused) {
        const { status, body } = await signDoc(test, credentialID, [sha256(document)], {
          documents: [{ document: document.toBase64(), signature_format: "P" }],
        });
        assert.deepEqual([status, body.error_description], [400, "The document cannot be signed"]);
      }
      const { appended } = prepareSignature(bytesSource(refused[1]), {});
      const odd = await upload(new Uint8Array([...refused[1], ...appended]));
      assert.equal(odd.status, 400);
      assert.equal((await odd.json()).error_description, "The document cannot be signed");
      const failed = (await test.audit()).filter(({ event }) => event === "signature.failed");
      assert.equal(failed.length, refused.length, "the audit says what became of each SAD");
    } finally {
      await test.close();
    }
  }));

Deno.test("AdES-B-T contains the configured authority's timestamp, and a wrong one is refused", async () => {
  const { timestampAuthority, subCa, ca, root } = makePki({ officers: [] });
  let wrong = false;
  const tsa = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/elsewhere") {
        return new Response(null, { status: 307, headers: { location: "/" } });
      }
      return new Response(
        new Uint8Array(
          answerTimestampRequest(
            timestampAuthority,
            new Uint8Array(await request.arrayBuffer()),
            {
              chain: [subCa, ca, root].map(({ certificate }) => certificate.der),
              ...wrong && { imprint: new Uint8Array(32) },
            },
          ),
        ),
      );
    },
  );
  const url = `http://127.0.0.1:${tsa.addr.port}/`;
  const digest = new Uint8Array(32);
  const test = makeService({ tsa: url });
  const { reader } = test.service;
  await assert.rejects(requestTimestamp(reader, `${url}elsewhere`, "SHA-256", digest), {
    code: "timestamp_unavailable",
  });
  try {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const text = new TextEncoder().encode("order");
    const request = {
      documents: [{
        document: text.toBase64(),
        signature_format: "C",
        conformance_level: "AdES-B-T",
      }],
    };
    const good = await signDoc(test, credentialID, [sha256(text)], request);
    // id-aa-signatureTimeStampToken stands in it
    assert.match(
      Uint8Array.fromBase64(good.body.SignatureObject[0]).toHex(),
      /060b2a864886f70d010910020e/,
    );
    wrong = true;
    const bad = await signDoc(test, credentialID, [sha256(text)], request);
    assert.deepEqual([bad.status, bad.body.error_description], [
      503,
      "The time-stamping service did not answer",
    ]);
    wrong = false;
    const { body } = await test.call("/csc/v2/signatures/timestamp", {
      hash: sha256(text),
      hashAlgo: OIDS.sha256,
      nonce: "0a0b0c",
    }, await test.token());
    assert.ok(body.timestamp.length > 1000);
  } finally {
    await tsa.shutdown();
    await test.close();
  }
});

Deno.test("documents are signed at every level, and none is released below the one asked for", async () => {
  await using services = await startPkiServices({ officers: [] });
  const { timestampAuthority, subCa, ca, root } = services.pki;
  let chain = [subCa, ca, root].map(({ certificate }) => certificate.der);
  const tsa = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) =>
      new Response(
        new Uint8Array(
          answerTimestampRequest(timestampAuthority, await request.bytes(), {
            chain,
            now: new Date(test.clock.now),
          }),
        ),
      ),
  );
  const test = makeService({ tsa: `http://127.0.0.1:${tsa.addr.port}/` });
  const content = { digest: (hash: DigestName) => digest(hash, PDF), bytes: () => PDF };
  const sign = async (userID: string, params: Record<string, unknown>) =>
    await signDoc(
      test,
      await test.enrol({ userID, credential: EXPLICIT }),
      [sha256(PDF)],
      params,
    );
  const whole = { document: PDF.toBase64() };
  const cades = { ...whole, signature_format: "C" };
  const byDigest = { hashes: [sha256(PDF)], hashAlgorithmOID: OIDS.sha256 };
  const forms: Record<string, Record<string, unknown>> = {
    pdf: { documents: [{ ...whole, signature_format: "P" }] },
    attached: { documents: [cades] },
    detached: { documents: [{ ...cades, signed_envelope_property: "Detached" }] },
    digest: { documentDigests: [{ ...byDigest, signature_format: "C" }] },
  };
  const at = (form: string, conformance_level: string) => {
    const [[name, list]] = Object.entries(forms[form]) as [string, object[]][];
    return { [name]: list.map((each) => ({ ...each, conformance_level })) };
  };
  try {
    const info = await test.call("/csc/v2/info");
    const levels: string[] = info.body.conformance_levels;
    assert.deepEqual(levels, ["AdES-B-B", "AdES-B-T", "AdES-B-LT", "AdES-B-LTA"]);
    for (const form of Object.keys(forms)) {
      for (const level of form === "pdf" || form === "detached" ? levels : levels.slice(-1)) {
        const { status, body } = await sign(`${form}.${level}`.toLowerCase(), at(form, level));
        const name = `${form} ${level}`;
        assert.equal(status, 200, `${name} ${body.error_description}`);
        const [made] = body.DocumentWithSignature ?? body.SignatureObject;
        const signed = Uint8Array.fromBase64(made);
        if (form === "pdf") assert.deepEqual(signed.subarray(0, PDF.length), PDF, "a pure append");
        const { signatures: [report] } = verifyBytes(signed, {
          now: new Date(test.clock.now + 2000),
          anchors: [test.root.certificate, root.certificate],
          departmentalPolicies: [POLICY],
          revocation: "if_available",
          content: () => form === "pdf" || form === "attached" ? null : content,
        });
        assert.deepEqual(
          [report.indication, `AdES-${report.level}`],
          ["TOTAL-PASSED", level],
          name,
        );
      }
    }
    // What B-LT adds to a PDF does not fit into its CMS.
    const inPdf = { documentDigests: [{ ...byDigest, signature_format: "P" }] };
    forms.inPdf = inPdf;
    const refused = await sign("broy", at("inPdf", "AdES-B-LT"));
    assert.deepEqual([refused.status, refused.body.error_description], [
      400,
      "Invalid parameter conformance_level",
    ]);

    chain = [];
    for (const [userID, form] of [["cdas", "pdf"], ["dsen", "detached"]]) {
      const { status, body } = await sign(userID, at(form, "AdES-B-LT"));
      assert.deepEqual([status, body.DocumentWithSignature, body.SignatureObject], [
        503,
        undefined,
        undefined,
      ]);
      assert.match((await test.audit()).at(-1)!.reason, /^validation_data_unavailable: /);
    }
  } finally {
    await tsa.shutdown();
    await test.close();
  }
});

Deno.test("OpenSSL believes the authority's OCSP answers and CRL, before and after a revocation", () =>
  inTempDir(async (dir) => {
    const test = makeService();
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => test.handler(request),
    );
    try {
      const file = async (name: string, text: string | Uint8Array) => {
        const path = join(dir, name);
        if (typeof text === "string") await Deno.writeTextFile(path, text);
        else await Deno.writeFile(path, text);
        return path;
      };
      const root = await file("root.pem", pem("CERTIFICATE", test.root.certificate.der));
      await test.enrol({ userID: "asen", credential: { kind: "stored", mode: "explicit" } });
      const token = await test.token();
      const list = await fetch(
        `http://127.0.0.1:${server.addr.port}/portal/v1/persons/asen/certificates`,
        { headers: { authorization: `Bearer ${token}` } },
      ).then((response) => response.json());
      const [{ serialNumber, certificate }] = list.certificates;
      const der = Uint8Array.fromBase64(certificate);
      await rereadCertificate(der, test.root.certificate.der);
      const { ocspUrls, crlUrls } = readCertificate(der);
      assert.deepEqual([ocspUrls[0], crlUrls[0]], [
        `https://sign.works.example/ca/${test.service.authority.name}/ocsp`,
        `https://sign.works.example/ca/${test.service.authority.name}/crl`,
      ]);
      const leaf = await file("leaf.pem", pem("CERTIFICATE", der));
      const said = await openssl(["x509", "-in", leaf, "-noout", "-text"]);
      assert.match(
        new TextDecoder().decode(said),
        /Policy: 2\.999\.6\.1\s+User Notice:\s+Explicit Text: Departmental PIN\/OTP signature of Works/,
      );
      const ask = async (subject: string) => {
        const text = await openssl([
          ...["ocsp", "-issuer", root, "-cert", subject, "-CAfile", root],
          ...["-url", `http://127.0.0.1:${server.addr.port}/ca/ocsp`],
        ]);
        return new TextDecoder().decode(text);
      };
      assert.match(await ask(leaf), /: good/);
      const { body } = await test.call(
        `/portal/v1/certificates/${serialNumber}/revoke`,
        { reason: "affiliationChanged" },
        token,
      );
      assert.deepEqual(body, { revoked: true });
      assert.match(await ask(leaf), /: revoked[^]*affiliationChanged/);
      const crl = await fetch(`http://127.0.0.1:${server.addr.port}/ca/crl`);
      const crlDer = await crl.bytes();
      const reread = await rereadCrl(crlDer, test.root.certificate.der);
      assert.equal(reread.findRevoked(serialNumber)?.reason, X509CrlReason.affiliationChanged);
      const crlFile = await file("crl.der", crlDer);
      const text = await openssl(["crl", "-in", crlFile, "-inform", "DER", "-noout", "-text"]);
      assert.match(new TextDecoder().decode(text), new RegExp(serialNumber, "i"));
      const ca = test.root.certificate;
      const post = (request: Uint8Array) =>
        fetch(`http://127.0.0.1:${server.addr.port}/ca/ocsp`, {
          method: "POST",
          body: new Uint8Array(request),
        });
      const answer = await post(encodeOcspRequest(readCertificate(der), ca));
      const { tbsResponseData } = rereadOcsp(await answer.bytes(), ca.der);
      assert.ok(tbsResponseData.responses[0]!.certStatus.revoked);
      // the same key issues certificates, so strangers do not keep it busy
      const request = encodeOcspRequest(readCertificate(der), ca);
      const many = await Promise.all(
        Array.from(
          { length: 40 },
          async () => [...await test.service.authority.ocsp(request)].join(),
        ),
      );
      const later = [0x30, 3, 0x0a, 1, 3].join();
      assert.ok(many.includes(later) && many.some((each) => each !== later), "tryLater");
      const others = await post(encodeOcspRequest(ca, ca));
      assert.deepEqual([...await others.bytes()], [0x30, 3, 0x0a, 1, 6], "unauthorized");
      for (const path of ["ca/ocsp/%%%", "ca/ocsp/AAAA"]) {
        const answer = await fetch(`http://127.0.0.1:${server.addr.port}/${path}`);
        assert.deepEqual([...await answer.bytes()], [0x30, 3, 0x0a, 1, 1], "malformedRequest");
      }
    } finally {
      await server.shutdown();
      await test.close();
    }
  }));

Deno.test("keys of every kind and lifetime sign in a PKCS#11 module, and a crash is survived", () =>
  inTempDir(async (dir) => {
    const token = await softhsm(dir, [], "otp keys");
    const client = moduleClient(token);
    let logins = 0;
    const open = async (): Promise<ModuleSession> => {
      logins++;
      const session = await client.openSession("pkcs11:token=otp%20keys");
      await session.login(new TextEncoder().encode(TOKEN_PIN));
      return session;
    };
    // Each ceremony takes a minute of the service's clock; OpenSSL's is the real one.
    const clock = { now: Date.now() - 20 * 60_000 };
    const test = makeService({ keys: moduleKeys(open), root: makeRoot(), clock });
    try {
      const text = new TextEncoder().encode("order");
      const root = join(dir, "root.pem");
      await Deno.writeTextFile(root, pem("CERTIFICATE", test.root.certificate.der));
      const sign = async (credentialID: string) => {
        const { status, body } = await signDoc(test, credentialID, [sha256(text)], {
          documents: [{ document: text.toBase64(), signature_format: "C" }],
        });
        if (status !== 200) return status;
        const file = join(dir, "signed.p7s");
        const cms = Uint8Array.fromBase64(body.SignatureObject[0]);
        rereadCms(cms, { content: text });
        await Deno.writeFile(file, cms);
        await openssl([
          ...["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", file],
          ...["-CAfile", root, "-purpose", "any"],
        ]);
        return status;
      };
      for (const keyType of ["p-256", "p-384", "rsa-2048"] satisfies KeyType[]) {
        for (const kind of ["one-time", "stored"]) {
          const credentialID = await test.enrol({
            userID: `${keyType}.${kind}`,
            credential: { kind, mode: "explicit", keyType },
          });
          assert.equal(await sign(credentialID), 200, `${keyType} ${kind}`);
        }
      }
      assert.equal(logins, 1);
      const credentialID = await test.enrol({ userID: "after", credential: EXPLICIT });
      for (const pid of client.pids) Deno.kill(pid, "SIGKILL");
      // The signature in progress fails, its SAD is lost and the caller is told; the next one logs in again.
      const statuses = [
        await sign(credentialID),
        await sign(credentialID),
        await sign(credentialID),
      ];
      assert.equal(statuses.at(-1), 200, String(statuses));
      assert.equal(logins, 2);
    } finally {
      await client.close();
      await test.close();
    }
  }));

Deno.test("a PIN that a module refused is not tried again", async () => {
  let logins = 0;
  const keys = moduleKeys(() => {
    logins++;
    return Promise.reject(Object.assign(new Error("The PIN is wrong."), { code: "pin_incorrect" }));
  });
  for (let i = 0; i < 3; i++) {
    await assert.rejects(keys.oneTime("p-256"), /cannot do this now/);
  }
  assert.equal(logins, 1);
});
