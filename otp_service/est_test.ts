/** An issuing authority elsewhere: the real `openssl ca` behind EST, and what must not be taken from it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { EST_AUTHORIZATION, startEst } from "../tests/fakes/est_server.ts";
import { tlsFront } from "../tests/fakes/tls_front.ts";
import { inTempDir, openssl } from "../tests/fixtures/openssl.ts";
import { makeRoot, makeService, PIN, POLICY, testReader } from "../tests/fixtures/otp_service.ts";
import { issue, type Party } from "../tests/fixtures/issue.ts";
import { pem } from "../formats/asn1/pem.ts";
import { makeKey, signBytes } from "../tests/fixtures/keys.ts";
import { rereadRequest } from "../tests/fixtures/second_reader.ts";
import {
  basicConstraints,
  type Extension,
  extKeyUsage,
  keyUsage,
  subjectAltIp,
} from "../tests/fixtures/extensions.ts";
import { prepareRequest } from "../formats/x509/request.ts";
import { readSignedData } from "../formats/cms/read.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { estClient } from "./est.ts";

const reader = testReader();

const TEXT = new TextEncoder().encode("order");
const HASH = createHash("sha256").update(TEXT).digest("base64");
const validity = { "one-time": 30 * 60_000, stored: 24 * 3_600_000 };

Deno.test("a remote authority issues by EST, and OpenSSL accepts the request and the signature", () =>
  inTempDir(async (dir) => {
    const root = makeRoot();
    await using est = await startEst(root);
    est.next = { minutes: 29, policy: POLICY };
    const client = estClient({ reader, url: est.url, authorization: EST_AUTHORIZATION });
    const certificates = [root.certificate.der];
    const test = makeService({
      root,
      issuer: { certificates, enrol: client.enrol, validity },
    });
    const sign = async (credentialID: string) => {
      const token = await test.token();
      const what = { credentialID, hashes: [HASH], numSignatures: 1 };
      await test.call("/csc/v2/credentials/getChallenge", {
        ...what,
        authObjectID: "OTP",
        description: "Sanction 7",
      }, token);
      const authData = [{ id: "PIN", value: PIN }, { id: "OTP", value: test.lastOtp() }];
      const { body } = await test.call(
        "/csc/v2/credentials/authorize",
        { ...what, authData },
        token,
      );
      return await test.call("/csc/v2/signatures/signDoc", {
        credentialID,
        SAD: body.SAD,
        documents: [{ document: TEXT.toBase64(), signature_format: "C" }],
      }, token);
    };
    try {
      const file = async (name: string, data: Uint8Array | string) => {
        const path = join(dir, name);
        await (typeof data === "string"
          ? Deno.writeTextFile(path, data)
          : Deno.writeFile(path, data));
        return path;
      };
      const rootFile = await file("root.pem", pem("CERTIFICATE", root.certificate.der));
      for (
        const [userID, kind, keyType] of [
          ["asen", "one-time", "p-256"],
          ["broy", "one-time", "rsa-2048"],
          ["cdas", "stored", "p-384"],
        ]
      ) {
        const credentialID = await test.enrol({
          userID,
          role: "Executive Engineer",
          credential: { kind, mode: "explicit", keyType },
        });
        const { status, body } = await sign(credentialID);
        assert.equal(status, 200, `${userID}: ${(await test.audit()).at(-1)!.reason}`);
        const cms = Uint8Array.fromBase64(body.SignatureObject[0]);
        await openssl([
          ...["cms", "-verify", "-cades", "-binary", "-inform", "DER"],
          ...["-in", await file("signed.p7s", cms), "-CAfile", rootFile, "-purpose", "any"],
        ]);
        const leaf = readSignedData(cms).certificates.map((der) => readCertificate(der))
          .find(({ subject }) => subject.commonName === "Anita Sen")!;
        assert.deepEqual(leaf.policies, [POLICY]);
        await rereadRequest(est.requests.at(-1)!);
        const request = await file("request.der", est.requests.at(-1)!);
        const text = await openssl([
          ...["req", "-inform", "DER", "-in", request, "-verify", "-noout", "-text"],
        ]);
        const shown = new TextDecoder().decode(text);
        assert.match(shown, /Digital Signature, Non Repudiation/);
        assert.match(shown, /2\.999\.6\.1[^]*email:anita@works\.example/);
      }

      // whatever is wrong with the answer: nothing is signed, and the audit says why
      let people = 0;
      const next = () =>
        test.enrol({
          userID: `person${people++}`,
          credential: { kind: "one-time", mode: "explicit" },
        });
      const good = { ...est.next };
      const reasons: [() => void, RegExp][] = [
        [() => est.next.minutes = 40, /lives too long/],
        [() => est.next.minutes = -1, /is not good/],
        [() => est.next.policy = "2.999.9", /department's policy/],
        [() => est.next.ca = true, /is an authority's/],
        [() => est.next.subject = "/CN=Somebody Else", /names somebody else/],
        [() => est.behave = "another", /for another key/],
        [() => est.behave = "later", /status 202/],
        [() => est.behave = "page", /type "text\/html"/],
        [() => est.behave = "redirect", /issuing authority/],
        [() => est.behave = "endless", /issuing authority/],
      ];
      for (const [spoil, reason] of reasons) {
        Object.assign(est, { behave: "sign", next: { ...good } });
        spoil();
        const { status, body } = await sign(await next());
        assert.equal(status, 503, String(reason));
        assert.equal(body.SignatureObject, undefined);
        const last = (await test.audit()).at(-1)!;
        assert.equal(last.event, "signature.failed");
        assert.match(last.reason, reason);
      }
      Object.assign(est, { behave: "sign", next: good });
      assert.equal((await sign(await next())).status, 200);

      // lists and answers are that authority's own
      for (const path of ["crl", "ocsp/AAAA"]) {
        const answer = await test.handler(new Request(`https://sign.works.example/ca/${path}`));
        assert.equal(answer.status, 404, path);
      }
    } finally {
      client.close();
      await test.close();
    }
  }));

Deno.test("a remote authority that is not the configured one, or does not know us, issues nothing", async () => {
  const root = makeRoot();
  await using est = await startEst(makeRoot());
  est.next = { minutes: 29, policy: POLICY };
  for (
    const [authorization, reason] of [
      [EST_AUTHORIZATION, /is not good/],
      ["Bearer wrong", /status 401/],
    ] as const
  ) {
    const client = estClient({ reader, url: est.url, authorization });
    const test = makeService({
      issuer: { certificates: [root.certificate.der], enrol: client.enrol, validity },
    });
    try {
      await assert.rejects(
        test.enrol({ userID: "asen", credential: { kind: "stored", mode: "explicit" } }),
        ({ code, reason: why }: { code: string; reason: string }) =>
          code === "unavailable" && reason.test(why),
      );
    } finally {
      client.close();
      await test.close();
    }
  }
});

Deno.test("a remote authority can identify us by our TLS certificate and use the department's anchor for its own", () =>
  inTempDir(async (dir) => {
    const now = Date.now();
    const validity = { notBefore: new Date(now - 60_000), notAfter: new Date(now + 3_600_000) };
    const authority = (name: string) =>
      issue({
        ...validity,
        key: "p-256",
        subject: [["CN", name]],
        extensions: [basicConstraints(true), keyUsage("keyCertSign", "digitalSignature")],
      });
    const leaf = (issuer: Party, name: string, extensions: Extension[]) =>
      issue({ ...validity, issuer, key: "p-256", subject: [["CN", name]], extensions });
    const [department, root] = [authority("Department (TEST)"), makeRoot()];
    const host = leaf(department, "est", [subjectAltIp("127.0.0.1")]);
    const client = (issuer: Party) => {
      const { certificate: { der }, pkcs8 } = leaf(issuer, "dsign", [
        extKeyUsage(["1.3.6.1.5.5.7.3.2"]),
      ]);
      return { cert: pem("CERTIFICATE", der), key: pem("PRIVATE KEY", pkcs8) };
    };
    await using est = await startEst(root);
    est.next = { minutes: 29, policy: POLICY };
    const { port: target, pathname } = new URL(est.url);
    const key = makeKey("p-256");
    const prepared = prepareRequest({
      subject: root.certificate.subject.der,
      publicKey: key.publicKey,
      extensions: [],
      algorithm: key.algorithm,
    });
    const request = prepared.complete(signBytes(key, prepared.toBeSigned));
    const enrol = async (identity?: { cert: string; key: string }, anchor?: Party) => {
      await using front = await tlsFront(dir, Number(target), host, department);
      const { enrol, close } = estClient({
        reader,
        url: `https://127.0.0.1:${front.port}${pathname}`,
        authorization: EST_AUTHORIZATION,
        tlsAnchors: anchor && pem("CERTIFICATE", anchor.certificate.der),
        tlsIdentity: identity,
      });
      try {
        return (await enrol(request)).length;
      } finally {
        close();
      }
    };
    const ours = client(department);
    assert.equal(await enrol(ours, department), 2);
    for (
      const [identity, anchor] of [
        [undefined, department],
        [client(authority("Somebody (TEST)")), department],
        [ours, undefined],
        [ours, root],
      ] as const
    ) {
      await assert.rejects(enrol(identity, anchor), { code: "unavailable" });
    }
    assert.equal(est.requests.length, 1);
  }));

Deno.test.afterAll(() => reader.close());
