/** The API of the Cloud Signature Consortium: explicit mode, both versions, and every error text of the specification that can be had. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { indiaFacts } from "../formats/x509/india.ts";
import { verifySignature } from "../formats/x509/signature.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { CSC_METHODS, OIDS } from "../protocol/csc.ts";
import { inTempDir, openssl } from "../tests/fixtures/openssl.ts";
import {
  authorize,
  EXPLICIT,
  HASH,
  hashOf,
  STORED,
  TEXT,
  withService,
} from "../tests/fixtures/otp_calls.ts";
import { makeService, OTHER_CLIENT, PIN, POLICY } from "../tests/fixtures/otp_service.ts";
import { pem } from "../formats/asn1/pem.ts";
import { RULES } from "./authorize.ts";
import { openSqlite } from "./store_sqlite.ts";

Deno.test("info lists the supported methods", () =>
  withService(async (test) => {
    const { status, body } = await test.call("/csc/v2/info");
    assert.equal(status, 200);
    CSC_METHODS.info.result.parse(body);
    assert.equal(body.specs, "2.0.0.2");
    assert.ok(!body.methods.includes("signatures/timestamp"), "no authority is configured");
    const v1 = (await test.call("/csc/v1/info")).body;
    assert.equal(v1.specs, "1.0.4.0");
    assert.ok(v1.methods.includes("credentials/sendOTP"));
  }));

Deno.test("OTPs have eight digits if so configured", async () => {
  const test = makeService({ otpDigits: 8 });
  try {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const { body } = await authorize(test, credentialID);
    assert.match(test.lastOtp(), /^\d{8}$/);
    assert.ok(body.SAD);
  } finally {
    await test.close();
  }
});

Deno.test("in explicit mode, signHash with a one-time credential gives a signature and a certificate", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const { token, body: { SAD, expiresIn } } = await authorize(test, credentialID);
    assert.equal(expiresIn, 600);
    const request = {
      credentialID,
      SAD,
      hashes: [HASH],
      hashAlgorithmOID: OIDS.sha256,
      signAlgo: OIDS.ecdsaWithSha256,
    };
    const { status, body } = await test.call("/csc/v2/signatures/signHash", request, token);
    assert.equal(status, 200);
    const certificate = readCertificate(Uint8Array.fromBase64(body.certificates[0]));
    const algorithm = { scheme: "ECDSA", hash: "SHA-256" } as const;
    const signature = Uint8Array.fromBase64(body.signatures[0]);
    assert.ok(verifySignature(certificate.der, algorithm, { message: TEXT }, signature));
    assert.equal(indiaFacts(certificate, [POLICY]).kind, "departmental");
    assert.equal(indiaFacts(certificate).class, undefined, "it claims no class of India's PKI");
    assert.equal(certificate.notAfter.getTime() - test.clock.now <= 30 * 60_000, true);
    const again = await test.call("/csc/v2/signatures/signHash", request, token);
    assert.deepEqual(again.body, {
      error: "invalid_request",
      error_description: "Invalid parameter SAD",
    });
    const events = (await test.audit()).map(({ event }) => event);
    for (const event of ["otp.sent", "authorization.given", "sad.used", "signature.made"]) {
      assert.ok(events.includes(event), event);
    }
  }));

Deno.test("OpenSSL accepts signDoc's CAdES of stored and of one-time credentials", () =>
  withService((test) =>
    inTempDir(async (dir) => {
      const root = join(dir, "root.pem");
      await Deno.writeTextFile(root, pem("CERTIFICATE", test.root.certificate.der));
      for (const [userID, credential] of [["asen", EXPLICIT], ["bsen", STORED]] as const) {
        const credentialID = await test.enrol({ userID, credential });
        const { token, body: { SAD } } = await authorize(test, credentialID);
        const sign = (document: Uint8Array, signAlgo: string, SAD: string) =>
          test.call("/csc/v2/signatures/signDoc", {
            credentialID,
            SAD,
            documents: [{ document: document.toBase64(), signature_format: "C", signAlgo }],
            returnValidationInfo: true,
          }, token);
        const other = await sign(TEXT, OIDS.sha256WithRsa, SAD);
        assert.equal(other.body.error_description, "Invalid parameter signAlgo");
        const { body } = await sign(TEXT, OIDS.ecdsaWithSha256, SAD);
        test.clock.now += RULES.resendAfter;
        const { body: next } = await authorize(test, credentialID, [HASH], { token });
        assert.equal(
          (await sign(TEXT.subarray(1), OIDS.ecdsaWithSha256, next.SAD)).body.error_description,
          "documentDigests or documents are not authorized by the SAD",
        );
        const file = join(dir, "signed.p7s");
        await Deno.writeFile(file, Uint8Array.fromBase64(body.SignatureObject[0]));
        const content = await openssl([
          ...["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", file],
          ...["-CAfile", root, "-purpose", "any"],
        ]);
        assert.deepEqual(new Uint8Array(content), TEXT);
        const crl = join(dir, "crl.der");
        await Deno.writeFile(crl, Uint8Array.fromBase64(body.validationInfo.crl[0]));
        await openssl(["crl", "-in", crl, "-inform", "DER", "-CAfile", root, "-noout"]);
      }
    })
  ));

Deno.test("stored credentials list their certificate, and one-time ones their kind of key", () =>
  withService(async (test) => {
    const token = await test.token();
    const stored = await test.enrol({ userID: "bsen", credential: STORED });
    const info = { credentialID: stored, certificates: "chain", certInfo: true, authInfo: true };
    const { body } = await test.call("/csc/v2/credentials/info", info, token);
    CSC_METHODS["credentials/info"].result.parse(body);
    assert.equal(body.cert.certificates.length, 2);
    assert.equal(body.cert.status, "valid");
    assert.match(body.cert.subjectDN, /Anita Sen/);
    assert.match(body.cert.validFrom, /^\d{14}Z$/);
    assert.deepEqual([body.auth.mode, body.SCAL, body.multisign], ["explicit", "1", 10]);
    const page = await test.enrol({ userID: "csen" });
    const other = (await test.call("/csc/v2/credentials/info", { credentialID: page }, token)).body;
    assert.deepEqual([other.auth.mode, other.SCAL], ["oauth2code", "2"]);
    assert.deepEqual(other.cert.certificates, []);
    assert.equal(other.auth.objects, undefined);
    const v1 = (await test.call("/csc/v1/credentials/info", info, token)).body;
    assert.deepEqual([v1.authMode, v1.PIN.presence, v1.OTP.type], ["explicit", "true", "online"]);
    const list = await test.call("/csc/v2/credentials/list", {
      userID: "bsen",
      credentialInfo: true,
    }, token);
    CSC_METHODS["credentials/list"].result.parse(list.body);
    assert.equal(list.body.credentialInfos[0].credentialID, stored);
  }));

Deno.test("a new credential replaces one whose certificate was revoked", () =>
  withService(async (test) => {
    const first = await test.enrol({ userID: "asen", credential: STORED });
    const token = await test.token();
    const list = async (onlyValid: boolean) => {
      const asked = { userID: "asen", onlyValid, credentialInfo: true, certInfo: true };
      return (await test.call("/csc/v2/credentials/list", asked, token)).body.credentialInfos;
    };
    const [{ cert: { serialNumber } }] = await list(true);
    const path = `/portal/v1/certificates/${serialNumber}/revoke`;
    await test.call(path, { reason: "superseded" }, token);
    assert.deepEqual(await list(true), []);
    assert.equal((await list(false))[0].cert.status, "revoked");
    const { body: { SAD } } = await authorize(test, first, [HASH], { token });
    const sign = { credentialID: first, SAD, hashes: [HASH], signAlgo: OIDS.ecdsaWithSha256 };
    const refused = await test.call("/csc/v2/signatures/signHash", sign, token);
    assert.match(refused.body.error_description, /is disabled/);
    const add = (who: string, caller: string) =>
      test.call(`/portal/v1/persons/${who}/credentials`, STORED, caller);
    const promote = (role: string, caller = token) =>
      test.call("/portal/v1/persons/asen/role", { role }, caller);
    assert.equal((await promote("Chief", await test.token(OTHER_CLIENT))).status, 403);
    assert.equal((await promote("Chief\nEngineer")).status, 400);
    assert.equal((await promote("Chief Engineer")).status, 200);
    assert.equal((await add("asen", await test.token(OTHER_CLIENT))).status, 403);
    assert.equal((await add("nobody", token)).status, 404);
    const { body: { credentialID } } = await add("asen", token);
    assert.deepEqual(
      (await list(true)).map((each: { credentialID: string }) => each.credentialID),
      [
        credentialID,
      ],
    );
    assert.match((await list(true))[0].cert.subjectDN, /Chief Engineer/);
    test.clock.now += RULES.resendAfter;
    assert.equal((await authorize(test, credentialID, [HASH], { token })).status, 200);
  }));

Deno.test("version 1.0.4 works: sendOTP, PIN and OTP as strings, hash and hashAlgo", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "bsen", credential: STORED });
    const token = await test.token();
    assert.equal(
      (await test.call("/csc/v1/credentials/sendOTP", { credentialID }, token)).status,
      204,
    );
    assert.match(test.sent.at(-1)!.message.text, /did not say which document/);
    const what = { credentialID, numSignatures: 1, hash: [HASH] };
    const { body } = await test.call("/csc/v1/credentials/authorize", {
      ...what,
      PIN,
      OTP: test.lastOtp(),
    }, token);
    const signed = await test.call("/csc/v1/signatures/signHash", {
      credentialID,
      SAD: body.SAD,
      hash: [HASH],
      hashAlgo: OIDS.sha256,
      signAlgo: OIDS.ecPublicKey,
    }, token);
    assert.equal(signed.body.signatures.length, 1);
    assert.equal(signed.body.certificates, undefined);
    const unsaid = { credentialID, SAD: "x", hash: [HASH], signAlgo: OIDS.ecPublicKey };
    const { body: wrong } = await test.call("/csc/v1/signatures/signHash", unsaid, token);
    assert.equal(
      wrong.error_description,
      "Missing (or invalid type) string parameter hashAlgo",
    );
  }));

Deno.test("errors have the specification's texts", () =>
  withService(async (test) => {
    const explicit = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const page = await test.enrol({ userID: "bsen" });
    const token = await test.token();
    const ok = { credentialID: explicit, numSignatures: 1, hashes: [HASH], authData: [] };
    const sign = {
      credentialID: explicit,
      SAD: "x",
      hashes: [HASH],
      signAlgo: OIDS.ecdsaWithSha256,
    };
    const cases: [method: string, body: Record<string, unknown>, description: string][] = [
      ["credentials/list", { userID: "asen", certificates: "x" }, "Invalid parameter certificates"],
      ["credentials/list", { userID: "nobody" }, "Invalid parameter userID"],
      ["credentials/list", { userID: 7 }, "Invalid parameter userID"],
      ["credentials/info", {}, "Missing (or invalid type) string parameter credentialID"],
      [
        "credentials/info",
        { credentialID: 1 },
        "Missing (or invalid type) string parameter credentialID",
      ],
      ["credentials/info", { credentialID: "x" }, "Invalid parameter credentialID"],
      [
        "credentials/info",
        { credentialID: page, certificates: "all" },
        "Invalid parameter certificates",
      ],
      [
        "credentials/authorize",
        { ...ok, credentialID: undefined },
        "Missing (or invalid type) string parameter credentialID",
      ],
      ["credentials/authorize", { ...ok, credentialID: page }, "Invalid parameter credentialID"],
      [
        "credentials/authorize",
        { ...ok, numSignatures: "1" },
        "Missing (or invalid type) integer parameter numSignatures",
      ],
      [
        "credentials/authorize",
        { ...ok, numSignatures: 0 },
        "Invalid value for parameter numSignatures",
      ],
      ["credentials/authorize", { ...ok, numSignatures: 11 }, "Numbers of signatures is too high"],
      [
        "credentials/authorize",
        { ...ok, hashes: [HASH, HASH] },
        "Numbers of signatures is too high",
      ],
      ["credentials/authorize", { ...ok, hashes: ["QUJD"] }, "Invalid digest value length"],
      [
        "credentials/authorize",
        { ...ok, hashAlgorithmOID: "1.3.14.3.2.26" },
        "Invalid parameter hashAlgorithmOID",
      ],
      ["credentials/authorize", ok, "The authentication data is invalid"],
      ["credentials/authorizeCheck", { handle: "x" }, "Invalid parameter handle"],
      ["credentials/authorizeCheck", {}, "Missing (or invalid type) string parameter handle"],
      [
        "credentials/getChallenge",
        { credentialID: explicit, authObjectID: "PIN" },
        "Invalid parameter authObjectID",
      ],
      [
        "credentials/getChallenge",
        { credentialID: "x", authObjectID: "OTP" },
        "Invalid parameter credentialID",
      ],
      [
        "credentials/extendTransaction",
        { credentialID: explicit },
        "Missing (or invalid type) string parameter SAD",
      ],
      [
        "credentials/extendTransaction",
        { credentialID: explicit, SAD: "xxx" },
        "Invalid parameter SAD",
      ],
      [
        "signatures/signHash",
        { ...sign, SAD: undefined },
        "Missing (or invalid type) string parameter SAD",
      ],
      ["signatures/signHash", sign, "Invalid parameter SAD"],
      [
        "signatures/signHash",
        { ...sign, credentialID: undefined },
        "Missing (or invalid type) string parameter credentialID",
      ],
      [
        "signatures/signHash",
        { ...sign, hashes: undefined },
        "Missing (or invalid type) array parameter hash",
      ],
      ["signatures/signHash", { ...sign, hashes: [] }, "Empty hash array"],
      ["signatures/signHash", { ...sign, hashes: ["?"] }, "Invalid Base64 hash string parameter"],
      ["signatures/signHash", { ...sign, hashes: ["QUJD"] }, "Invalid digest value length"],
      [
        "signatures/signHash",
        { ...sign, signAlgo: undefined },
        "Missing (or invalid type) string parameter signAlgo",
      ],
      ["signatures/signHash", { ...sign, signAlgo: "1.2.3" }, "Invalid parameter signAlgo"],
      [
        "signatures/signHash",
        { ...sign, signAlgo: OIDS.rsaEncryption },
        "Missing (or invalid type) string parameter hashAlgorithmOID",
      ],
      [
        "signatures/signHash",
        { ...sign, signAlgo: OIDS.ecPublicKey, hashAlgorithmOID: "1.2" },
        "Invalid parameter hashAlgorithmOID",
      ],
      ["signatures/signHash", { ...sign, operationMode: "A" }, "Invalid parameter operationMode"],
      ...([
        [{}, "Empty documentDigests and documents objects"],
        [{ documents: [], documentDigests: [] }, "Empty documentDigests and documents objects"],
        [{ documents: "x" }, "Invalid array parameter documents"],
        [{ documentDigests: "x" }, "Invalid object parameter documentDigests"],
        [
          { documents: [{ document: "?", signature_format: "C" }] },
          "Invalid Base64 documents string parameter",
        ],
        [
          { documents: [{ document: "QQ==", signature_format: "X" }] },
          "Invalid parameter signature_format",
        ],
        [
          { documents: [{ document: "QQ==" }] },
          "Missing (or invalid type) string parameter signature_format",
        ],
        [
          { documentDigests: [{ hashes: ["?"], signature_format: "C" }] },
          "Invalid Base64 hashes string parameter",
        ],
        [
          { documents: [{ document: "QQ==", signature_format: "C", signAlgo: "1.2" }] },
          "Invalid parameter signAlgo",
        ],
        [{
          documentDigests: [{
            hashes: [HASH],
            signature_format: "C",
            signAlgo: OIDS.ecdsaWithSha384,
            hashAlgorithmOID: OIDS.sha256,
          }],
        }, "String parameter hashAlgorithmOID contradicts with signAlgo parameter"],
      ] as [Record<string, unknown>, string][]).map((
        [body, text],
      ): [string, Record<string, unknown>, string] => [
        "signatures/signDoc",
        { credentialID: explicit, SAD: "x", ...body },
        text,
      ]),
      ["signatures/timestamp", { hash: "" }, "Empty hash parameter"],
      ["signatures/timestamp", {}, "Missing (or invalid type) string parameter hash"],
      [
        "signatures/timestamp",
        { hash: "?", hashAlgo: "1" },
        "Invalid Base64 hash string parameter",
      ],
      ["auth/revoke", {}, "Missing (or invalid type) string parameter token"],
    ];
    for (const [method, body, description] of cases) {
      const answer = await test.call(`/csc/v2/${method}`, body, token);
      assert.equal(answer.body.error_description, description, `${method} ${JSON.stringify(body)}`);
      assert.equal(answer.status, 400);
    }
    const without = await test.call("/csc/v2/credentials/list");
    assert.equal(without.body.error_description, "Malformed authorization header");
    const wrong = await test.call("/csc/v2/credentials/list", {}, "nonsense");
    assert.deepEqual([wrong.status, wrong.body.error], [401, "invalid_token"]);
    assert.equal((await test.call("/csc/v2/nothing")).status, 404);
  }));

Deno.test("a changed list, order or count ends the SAD, and an expired SAD says so", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const [a, b] = ["a", "b"].map((text) => hashOf(new TextEncoder().encode(text)));
    const sign = (token: string, SAD: string, hashes: string[]) =>
      test.call("/csc/v2/signatures/signHash", {
        credentialID,
        SAD,
        hashes,
        signAlgo: OIDS.ecdsaWithSha256,
      }, token);
    for (const hashes of [[b, a], [a], [a, b, a], [a, HASH]]) {
      test.clock.now += 3_600_000;
      const { token, body: { SAD } } = await authorize(test, credentialID, [a, b]);
      const changed = await sign(token, SAD, hashes);
      assert.equal(changed.body.error_description, "Hash is not authorized by the SAD");
      assert.equal((await sign(token, SAD, [a, b])).status, 400, "it has ended");
    }
    test.clock.now += 3_600_000;
    const { token, body: { SAD } } = await authorize(test, credentialID, [a, b]);
    test.clock.now += RULES.lifetime;
    assert.equal((await sign(token, SAD, [a, b])).body.error_description, "SAD expired");
    assert.ok(!(await test.audit()).some(({ event }) => event === "signature.made"));
  }));

Deno.test("extendTransaction allows several signHash calls in one authorization", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const [a, b] = ["a", "b"].map((text) => hashOf(new TextEncoder().encode(text)));
    const { token, body } = await authorize(test, credentialID, [a], { numSignatures: 2 });
    const sign = (SAD: string, hashes: string[]) =>
      test.call("/csc/v2/signatures/signHash", {
        credentialID,
        SAD,
        hashes,
        signAlgo: OIDS.ecdsaWithSha256,
      }, token);
    assert.equal((await sign(body.SAD, [a])).status, 200);
    const extended = await test.call("/csc/v2/credentials/extendTransaction", {
      credentialID,
      SAD: body.SAD,
      hashes: [b],
      hashAlgorithmOID: OIDS.sha256,
    }, token);
    assert.equal((await sign(extended.body.SAD, [b])).status, 200);
    const more = await test.call("/csc/v2/credentials/extendTransaction", {
      credentialID,
      SAD: extended.body.SAD,
      hashes: [a],
    }, token);
    assert.equal(more.body.error_description, "Invalid parameter SAD");
  }));

Deno.test("only one of 1,000 parallel uses of a SAD over two instances signs", async () => {
  const folder = await Deno.makeTempDir({ prefix: "dsign_test_" });
  const clock = { now: Date.now() };
  const shared = { clock, secret: new Uint8Array(32).fill(7) };
  const one = makeService({ ...shared, database: openSqlite(join(folder, "db")) });
  const two = makeService({ ...shared, root: one.root, database: openSqlite(join(folder, "db")) });
  try {
    const credentialID = await one.enrol({ userID: "asen", credential: EXPLICIT });
    const { token, body: { SAD } } = await authorize(one, credentialID);
    const request = { credentialID, SAD, hashes: [HASH], signAlgo: OIDS.ecdsaWithSha256 };
    const answers: number[] = [];
    for (let round = 0; round < 5; round++) {
      answers.push(
        ...await Promise.all(
          Array.from(
            { length: 200 },
            (_, i) =>
              (i % 2 ? one : two).call("/csc/v2/signatures/signHash", request, token)
                .then(({ status }) => status),
          ),
        ),
      );
    }
    assert.equal(answers.filter((status) => status === 200).length, 1);
    assert.equal(answers.filter((status) => status === 400).length, 999);
    assert.equal((await one.audit()).filter(({ event }) => event === "signature.made").length, 1);
  } finally {
    await one.close();
    await two.close();
    await Deno.remove(folder, { recursive: true });
  }
});
