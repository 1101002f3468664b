/** The service by its routes: every error text of the specification that can be had, both modes, and what must not work. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { join } from "node:path";
import { inTempDir, openssl } from "../tests/fixtures/openssl.ts";
import {
  CLIENT,
  makeService,
  OTHER_CLIENT,
  PIN,
  pkce,
  POLICY,
  REDIRECT,
  type TestService,
} from "../tests/fixtures/otp_service.ts";
import { pem } from "../tests/fixtures/pki.ts";
import { indiaFacts } from "../formats/india.ts";
import { verifySignature } from "../formats/signature.ts";
import { readCertificate } from "../formats/x509.ts";
import { CSC_METHODS, type CscMethod, OIDS } from "../protocol/csc.ts";
import { verifyAudit } from "./audit.ts";
import { RULES } from "./authorize.ts";
import type { Client } from "./service.ts";
import { openSqlite } from "./store_sqlite.ts";

const TEXT = new TextEncoder().encode("Technical Sanction 7 of 2026\n");
const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("base64");
const HASH = hashOf(TEXT);

async function withService(body: (test: TestService) => Promise<void>): Promise<void> {
  const test = makeService();
  try {
    await body(test);
    // whatever happened: the audit is whole, and no secret stands in it
    const lines = await Array.fromAsync(test.service.store.audit());
    assert.ok((await verifyAudit(test.service.store.audit())).ok);
    assert.ok(!lines.join().includes(PIN), "a PIN in the audit");
    for (const { message } of test.sent) {
      const otp = /^(OTP )?(\d{6})\b/.exec(message.text)?.[2];
      assert.ok(
        !otp || !lines.some((line) => new RegExp(`\\b${otp}\\b`).test(line)),
        "an OTP in it",
      );
    }
  } finally {
    await test.close();
  }
}

/** Explicit mode up to the SAD. */
async function authorize(
  test: TestService,
  credentialID: string,
  hashes = [HASH],
  { token, pin = PIN, otp, numSignatures = hashes.length }: {
    token?: string;
    pin?: string;
    otp?: string;
    numSignatures?: number;
  } = {},
) {
  token ??= await test.token();
  const what = { credentialID, hashes, hashAlgorithmOID: OIDS.sha256, numSignatures };
  const challenge = { ...what, authObjectID: "OTP", description: "Sanction 7" };
  assert.equal((await test.call("/csc/v2/credentials/getChallenge", challenge, token)).status, 204);
  const authData = [{ id: "PIN", value: pin }, { id: "OTP", value: otp ?? test.lastOtp() }];
  const answer = await test.call("/csc/v2/credentials/authorize", { ...what, authData }, token);
  return { token, ...answer };
}

const EXPLICIT = { kind: "one-time", mode: "explicit" };
const STORED = { kind: "stored", mode: "explicit" };

Deno.test("info says what is there", () =>
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

Deno.test("OTPs of eight digits, where that is configured", async () => {
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

Deno.test("explicit mode, one-time credential: signHash gives signature and certificate", () =>
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

Deno.test("signDoc: CAdES verifies in openssl, of stored and of one-time credentials", () =>
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

Deno.test("stored credentials tell their certificate, one-time ones their kind of key", () =>
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

Deno.test("a further credential takes the place of one whose certificate was revoked", () =>
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

Deno.test("version 1.0.4: sendOTP, PIN and OTP as strings, hash and hashAlgo", () =>
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

Deno.test("the specification's error texts", () =>
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

Deno.test("the specification's error texts of OAuth 2.0 and of auth/login", () =>
  withService(async (test) => {
    const login = async (authorization?: string, body = {}) => {
      const response = await test.handler(
        new Request("https://sign.works.example/csc/v2/auth/login", {
          method: "POST",
          body: JSON.stringify(body),
          headers: authorization ? { authorization } : {},
        }),
      );
      return { status: response.status, body: await response.json() };
    };
    const basic = (text: string) => `Basic ${btoa(text)}`;
    for (
      const [header, body, status, description] of [
        [undefined, {}, 401, "Malformed authentication parameter"],
        ["Basic ???", {}, 401, "Malformed authentication parameter"],
        [basic("nocolon"), {}, 400, "Malformed username-password"],
        [basic("a:b"), { refresh_token: 7 }, 400, "Invalid string parameter: refresh_token"],
        [undefined, { refresh_token: "x" }, 400, "Invalid refresh_token"],
        [basic("a:b"), {}, 400, "An error occurred during authentication process"],
      ] as const
    ) {
      const answer = await login(header, body);
      assert.deepEqual([answer.status, answer.body.error_description], [status, description]);
    }
    await test.enrol({ userID: "asen" });
    const mine = await login(basic(`asen:${PIN}`), { rememberMe: true });
    const list = await test.call("/csc/v2/credentials/list", {}, mine.body.access_token);
    assert.equal(list.body.credentialIDs.length, 1);
    const others = await test.call(
      "/csc/v2/credentials/list",
      { userID: "x" },
      mine.body.access_token,
    );
    assert.equal(others.body.error_description, "userID parameter MUST be null");
    const renewed = await login(undefined, { refresh_token: mine.body.refresh_token });
    const { access_token, refresh_token } = { ...mine.body, ...renewed.body };
    assert.equal(
      (await test.call("/csc/v2/auth/revoke", { token: refresh_token }, access_token)).status,
      204,
    );
    assert.equal((await test.call("/csc/v2/credentials/list", {}, access_token)).status, 401);
    assert.equal(
      (await test.call("/csc/v2/credentials/list", {}, mine.body.access_token)).status,
      401,
    );

    for (
      const [fields, description] of [
        [{}, "Missing parameter grant_type"],
        [{ grant_type: "password" }, "Invalid parameter grant_type"],
        [{ grant_type: "authorization_code" }, "Missing parameter code"],
        [
          { grant_type: "authorization_code", code: "x" },
          "Authorization code is invalid or expired",
        ],
        [{ grant_type: "refresh_token" }, "Missing parameter refresh_token"],
        [{ grant_type: "refresh_token", refresh_token: "x" }, "Invalid parameter refresh_token"],
        [
          { grant_type: "client_credentials", client_secret: "x" },
          "Invalid parameter client_secret",
        ],
        [{ grant_type: "client_credentials", client_id: "x" }, "Invalid parameter client_id"],
      ] as [Record<string, string>, string][]
    ) {
      const { status, body } = await test.form("/oauth2/token", fields);
      assert.deepEqual([status, body.error_description], [400, description]);
    }
  }));

/** oauth2code mode up to the page. */
async function openPage(test: TestService, parameters: Record<string, string>, pushed = true) {
  const { verifier, challenge } = pkce();
  const fields = {
    response_type: "code",
    redirect_uri: REDIRECT,
    state: "s-1",
    code_challenge: challenge,
    code_challenge_method: "S256",
    ...parameters,
  };
  let query: Record<string, string> = { client_id: CLIENT.id, ...fields };
  if (pushed) {
    const { status, body } = await test.form("/oauth2/pushed_authorize", fields);
    assert.equal(status, 201, JSON.stringify(body));
    query = { client_id: CLIENT.id, request_uri: body.request_uri };
  }
  const response = await test.handler(
    new Request(`https://sign.works.example/oauth2/authorize?${new URLSearchParams(query)}`),
  );
  const location = response.headers.get("location") ?? "";
  return { verifier, status: response.status, location, ticket: location.split("/otp#")[1] };
}

async function onPage(test: TestService, path: string, ticket: string, reply?: unknown) {
  const response = await test.handler(
    new Request(`https://sign.works.example/otp/${path}`, {
      method: reply === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${ticket}`, origin: "https://sign.works.example" },
      body: reply === undefined ? undefined : JSON.stringify(reply),
    }),
  );
  return { status: response.status, body: response.status === 404 ? null : await response.json() };
}

/** PIN and OTP on the page, then the token. */
async function redeem(test: TestService, parameters: Record<string, string>) {
  const { ticket, verifier } = await openPage(test, parameters);
  await onPage(test, "send", ticket, {});
  const approve = { decision: "approve", pin: PIN, otp: test.lastOtp(), language: "en" };
  const { body } = await onPage(test, "answer", ticket, approve);
  const proof = parameters.code_challenge ? {} : { code_verifier: verifier };
  const granted = await test.form("/oauth2/token", {
    grant_type: "authorization_code",
    code: new URL(body.redirect).searchParams.get("code")!,
    redirect_uri: REDIRECT,
    ...proof as Record<string, string>,
  });
  return granted;
}

/** The PKCE challenge of an empty verifier. */
const NOTHING = createHash("sha256").update("").digest("base64url");

Deno.test("oauth2code: the page sees the document, takes PIN and OTP, and the token is the SAD", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    const token = await test.token();
    const upload = await test.handler(
      new Request("https://sign.works.example/portal/v1/documents?name=order.txt", {
        method: "POST",
        body: TEXT,
        headers: { authorization: `Bearer ${token}`, "content-type": "text/plain" },
      }),
    );
    assert.deepEqual((await upload.json()).hashes, {
      hashAlgorithmOID: OIDS.sha256,
      document: HASH,
    });
    const page = await openPage(test, {
      scope: "credential",
      credentialID,
      numSignatures: "1",
      hashes: Uint8Array.fromBase64(HASH).toBase64({ alphabet: "base64url" }),
      hashAlgorithmOID: OIDS.sha256,
      description: "Technical Sanction 7",
    });
    const { body: view } = await onPage(test, "view", page.ticket);
    assert.equal(view.documents[0].shown.text, new TextDecoder().decode(TEXT));
    assert.equal(view.otp.to, "a•••@works.example");
    assert.equal((await onPage(test, "send", page.ticket, {})).body.ok, true);
    assert.ok(test.sent.at(-1)!.message.text.includes(view.documents[0].hashPrefix));
    const approve = { decision: "approve", pin: PIN, otp: test.lastOtp(), language: "en" };
    const own = { ...approve, consent: { language: "en", text: "I do not consent." } };
    assert.equal((await onPage(test, "answer", page.ticket, own)).status, 400, "no other words");
    const wrong = await onPage(test, "answer", page.ticket, { ...approve, pin: "493818" });
    assert.deepEqual(wrong.body, { ok: false, code: "wrong", triesLeft: 2 });
    const { body: answered } = await onPage(test, "answer", page.ticket, approve);
    const back = new URL(answered.redirect);
    assert.equal(back.searchParams.get("x"), "1");
    assert.equal(back.searchParams.get("state"), "s-1");
    const exchange = {
      grant_type: "authorization_code",
      code: back.searchParams.get("code")!,
      redirect_uri: REDIRECT,
      code_verifier: page.verifier,
    };
    const { body: granted } = await test.form("/oauth2/token", exchange);
    assert.equal(granted.credentialID, credentialID);
    const [{ documentDigests, hashAlgorithmOID }] = granted.authorization_details;
    assert.deepEqual([documentDigests[0].hash, hashAlgorithmOID], [HASH, OIDS.sha256]);
    assert.equal((await test.form("/oauth2/token", exchange)).body.error, "invalid_grant", "once");
    const sign = {
      credentialID,
      documentDigests: [{ hashes: [HASH], hashAlgorithmOID: OIDS.sha256, signature_format: "C" }],
    };
    const signed = await test.call("/csc/v2/signatures/signDoc", sign, granted.access_token);
    assert.equal(signed.body.SignatureObject.length, 1);
    const replay = await test.call("/csc/v2/signatures/signDoc", sign, granted.access_token);
    assert.equal(replay.body.error_description, "Invalid parameter SAD");
    const made = (await test.audit()).find(({ event }) => event === "signature.made")!;
    assert.match(view.consent.bn, /^আমি, Anita Sen, .* ১টি নথিতে/);
    assert.match(view.consent.hi, /^मैं, Anita Sen, /);
    assert.match(view.consent.en, /^I, Anita Sen, have read .*“Technical Sanction 7”/);
    const consent = createHash("sha256").update(`en\n${view.consent.en}`).digest("hex");
    assert.equal(made.consent, consent, "of what the service's page shows");
    assert.equal((await onPage(test, "view", page.ticket)).status, 404, "the ticket is used up");
  }));

Deno.test("oauth2code: rejecting goes back with access_denied, and nothing can be signed", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    const details = JSON.stringify([{
      type: "credential",
      credentialID,
      documentDigests: [{ hash: HASH, label: "Order" }],
      hashAlgorithmOID: OIDS.sha256,
    }]);
    const page = await openPage(test, { authorization_details: details }, false);
    assert.equal((await onPage(test, "view", page.ticket)).body.documents[0].label, "Order");
    const { body } = await onPage(test, "answer", page.ticket, { decision: "reject" });
    assert.equal(new URL(body.redirect).searchParams.get("error"), "access_denied");
    const again = await onPage(test, "answer", page.ticket, {
      decision: "approve",
      pin: PIN,
      otp: "000000",
      language: "en",
    });
    assert.equal(again.body.code, "ended");
  }));

Deno.test("oauth2code: what a hostile page or portal may try", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    const explicit = await test.enrol({ userID: "bsen", credential: EXPLICIT });
    const base = {
      scope: "credential",
      credentialID,
      numSignatures: "1",
      hashes: HASH,
      hashAlgorithmOID: OIDS.sha256,
    };
    for (
      const [change, description] of [
        [{ hashes: "" }, "Missing parameter hashes"],
        [{ numSignatures: "2" }, "Invalid value for parameter numSignatures"],
        [{ hashAlgorithmOID: "1.3.14.3.2.26" }, "Invalid parameter hashAlgorithmOID"],
        [{ credentialID: "unknown" }, "Invalid parameter credentialID"],
        [{ credentialID: explicit }, "Invalid parameter credentialID"],
        [{ code_challenge_method: "plain" }, "Invalid parameter code_challenge_method"],
        [{ response_type: "token" }, "Invalid parameter response_type"],
        [{ authorization_details: "{" }, "Invalid parameter authorization_details"],
      ] as [Record<string, string>, string][]
    ) {
      const { location } = await openPage(test, { ...base, ...change }, false);
      const url = new URL(location);
      assert.equal(url.searchParams.get("error_description"), description);
      assert.equal(url.origin, "https://portal.example");
      assert.equal(url.searchParams.get("state"), "s-1");
    }
    for (const redirect_uri of [REDIRECT + "/", "https://evil.example/", `${REDIRECT}&y=1`]) {
      const { status, location } = await openPage(test, { ...base, redirect_uri }, false);
      assert.deepEqual(
        [status, location],
        [400, ""],
        "nobody is sent to an address that is not known",
      );
    }
    // Another site's page cannot answer, and another client cannot redeem.
    const page = await openPage(test, base);
    const foreign = await test.handler(
      new Request("https://sign.works.example/otp/answer", {
        method: "POST",
        body: JSON.stringify({ decision: "reject" }),
        headers: { authorization: `Bearer ${page.ticket}`, origin: "https://evil.example" },
      }),
    );
    assert.equal(foreign.status, 403);
    await onPage(test, "send", page.ticket, {});
    const { body } = await onPage(test, "answer", page.ticket, {
      decision: "approve",
      pin: PIN,
      otp: test.lastOtp(),
      language: "en",
    });
    const code = new URL(body.redirect).searchParams.get("code")!;
    const exchange = {
      grant_type: "authorization_code",
      code,
      redirect_uri: REDIRECT,
      code_verifier: page.verifier,
    };
    for (const code_verifier of ["", "short"]) {
      const { body } = await test.form("/oauth2/token", { ...exchange, code_verifier });
      assert.equal(body.error_description, "Invalid parameter code_verifier");
    }
    const stolen = await test.form("/oauth2/token", exchange, OTHER_CLIENT);
    assert.equal(stolen.body.error, "invalid_grant");
    assert.equal((await test.form("/oauth2/token", exchange)).status, 400, "and the code is gone");
    // Who asks with the challenge of nothing must still show something.
    test.clock.now += RULES.resendAfter;
    const unproven = await redeem(test, { ...base, code_challenge: NOTHING });
    assert.equal(unproven.body.error_description, "Authorization code is invalid or expired");
    // A SAD that was given back is good for nothing, wherever it is shown.
    test.clock.now += RULES.resendAfter;
    const { body: { access_token: SAD } } = await redeem(test, base);
    assert.equal((await test.form("/oauth2/revoke", { token: SAD }, OTHER_CLIENT)).status, 204);
    assert.equal((await test.form("/oauth2/revoke", { token: SAD })).status, 204);
    const revoked = await test.call("/csc/v2/signatures/signHash", {
      credentialID,
      SAD,
      hashes: [HASH],
      signAlgo: OIDS.ecdsaWithSha256,
    }, await test.token());
    assert.equal(revoked.body.error_description, "Invalid parameter SAD");
    assert.equal((await test.audit()).at(-3)!.reason, "revoked");
    const twice = await test.handler(
      new Request("https://sign.works.example/oauth2/token", {
        method: "POST",
        body: "grant_type=client_credentials&grant_type=refresh_token",
      }),
    );
    assert.equal(twice.status, 400);
  }));

Deno.test("scope service: a person signs in, and sees the own credentials only", () =>
  withService(async (test) => {
    await test.enrol({ userID: "asen" });
    const page = await openPage(test, { scope: "service" }, false);
    assert.equal((await onPage(test, "view", page.ticket)).body.kind, "sign_in");
    const signIn = (userID: string, pin: string) =>
      onPage(test, "answer", page.ticket, { decision: "sign_in", userID, pin });
    const unknown = await signIn("nobody", PIN);
    assert.deepEqual(unknown.body, (await signIn("asen", "111222")).body);
    const { body } = await signIn("asen", PIN);
    const { body: granted } = await test.form("/oauth2/token", {
      grant_type: "authorization_code",
      code: new URL(body.redirect).searchParams.get("code")!,
      redirect_uri: REDIRECT,
      code_verifier: page.verifier,
    });
    const list = await test.call("/csc/v2/credentials/list", {}, granted.access_token);
    assert.equal(list.body.credentialIDs.length, 1);
    assert.equal((await test.call("/portal/v1/persons", {}, granted.access_token)).status, 403);
  }));

Deno.test("wrong PIN, wrong OTP, both, unknown credential, no OTP asked for: one text, one amount of work", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const seen = new Map<string, unknown>();
    const ask = async (name: string, credential: string, pin: string, otp: () => string) => {
      const hashes = [hashOf(new TextEncoder().encode(name))];
      test.clock.now += 3_600_000;
      const token = await test.token();
      if (credential === credentialID && name !== "none sent") {
        const what = { credentialID, hashes, authObjectID: "OTP" };
        await test.call("/csc/v2/credentials/getChallenge", what, token);
      }
      const before = test.pins.work;
      const answer = await test.call("/csc/v2/credentials/authorize", {
        credentialID: credential,
        numSignatures: 1,
        hashes,
        authData: [{ id: "PIN", value: pin }, { id: "OTP", value: otp() }],
      }, token);
      seen.set(name, { ...answer, work: test.pins.work - before });
    };
    const otherOtp = () => test.lastOtp() === "000000" ? "000001" : "000000";
    await ask("wrong PIN", credentialID, "493818", () => test.lastOtp());
    await ask("wrong OTP", credentialID, PIN, otherOtp);
    await ask("both", credentialID, "493818", otherOtp);
    await ask("unknown", "0123456789abcdefghijkl", PIN, () => "000000");
    await ask("none sent", credentialID, PIN, () => "000000");
    for (const [name, answer] of seen) {
      assert.deepEqual(answer, {
        status: 400,
        body: {
          error: "invalid_authentication_data",
          error_description: "The authentication data is invalid",
        },
        work: 1,
      }, name);
    }
    // the same for signing in
    for (const [user, pin] of [["asen", "493818"], ["nobody", PIN]]) {
      const before = test.pins.work;
      const response = await test.handler(
        new Request("https://sign.works.example/csc/v2/auth/login", {
          method: "POST",
          headers: { authorization: `Basic ${btoa(`${user}:${pin}`)}` },
        }),
      );
      assert.equal((await response.json()).error, "authentication_error");
      assert.equal(test.pins.work - before, 1);
    }
  }));

Deno.test("five wrong PINs lock, the person is told, and unlocking needs proof and a new PIN", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    for (let i = 0; i < 5; i++) {
      test.clock.now += 3_600_000;
      const hashes = [hashOf(new TextEncoder().encode(`${i}`))];
      const { body } = await authorize(test, credentialID, hashes, { pin: "493818" });
      assert.equal(body.error_description, "The authentication data is invalid");
    }
    assert.match(test.sent.at(-1)!.message.subject, /locked/);
    const token = await test.token();
    const info = await test.call("/csc/v2/credentials/info", { credentialID }, token);
    assert.equal(info.body.key.status, "disabled");
    const challenge = { credentialID, authObjectID: "OTP" };
    const refused = await test.call("/csc/v2/credentials/getChallenge", challenge, token);
    assert.equal(refused.body.error_description, "Credential locked");
    const noProof = await test.call("/portal/v1/persons/asen/unlock", {}, token);
    assert.equal(noProof.status, 400);
    const proof = "Seen with identity card 1234 by R. Das";
    const unlocked = await test.call("/portal/v1/persons/asen/unlock", { proof }, token);
    assert.deepEqual(unlocked.body, { enrolment: { sent: "mail" } });
    const code = `enrol-${/#enrol-(\S+)/.exec(test.sent.at(-1)!.message.text)![1]}`;
    assert.equal((await onPage(test, "view", code)).body.name, "Anita Sen");
    const set = (pin: string) => onPage(test, "answer", code, { decision: "set_pin", pin });
    assert.equal((await set("123456")).body.code, "weak_pin");
    assert.equal((await set("628194")).body.ok, true);
    assert.equal((await set("628194")).body.code, "ended", "once");
    test.clock.now += 3_600_000;
    assert.equal((await authorize(test, credentialID, [HASH], { pin: "628194" })).status, 200);
    const change = (pin: string, newPin: string) =>
      onPage(test, "answer", "x", { decision: "change_pin", userID: "asen", pin, newPin });
    assert.equal((await change("493817", "719384")).body.code, "wrong");
    assert.equal((await change("628194", "719384")).body.ok, true);
    assert.ok((await test.audit()).some((line) => line.proof === proof));
  }));

Deno.test("a crowd of strangers turns people away, and costs them no try", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const crowd = Array.from({ length: 32 }, () => test.pins.admit());
    const signIn = () => test.service.people.checkPin("asen", PIN);
    for (let i = 0; i < 6; i++) await assert.rejects(signIn(), { code: "too_many" });
    for (let i = 0; i < 4; i++) {
      test.clock.now += RULES.resendAfter;
      assert.equal((await authorize(test, credentialID, [HASH])).status, 429);
      if (i === 2) test.clock.now += RULES.lifetime;
    }
    for (const place of crowd) place[Symbol.dispose]();
    assert.ok(await signIn());
    test.clock.now += RULES.resendAfter;
    assert.equal((await authorize(test, credentialID, [HASH])).status, 200);
  }));

Deno.test("an administrator's lock stops what is under way", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const login = await test.handler(
      new Request("https://sign.works.example/csc/v2/auth/login", {
        method: "POST",
        body: JSON.stringify({ rememberMe: true }),
        headers: { authorization: `Basic ${btoa(`asen:${PIN}`)}` },
      }),
    );
    const { refresh_token } = await login.json();
    const refresh = () => test.call("/csc/v2/auth/login", { refresh_token });
    assert.equal((await refresh()).status, 200);
    const { token, body: { SAD } } = await authorize(test, credentialID);
    await test.call("/portal/v1/persons/asen/lock", { reason: "left the department" }, token);
    const signed = await test.call("/csc/v2/signatures/signHash", {
      credentialID,
      SAD,
      hashes: [HASH],
      signAlgo: OIDS.ecdsaWithSha256,
    }, token);
    assert.equal(signed.body.error_description, "Invalid parameter SAD");
    assert.equal((await refresh()).body.error_description, "Invalid refresh_token");
    const other = await test.token(OTHER_CLIENT);
    const refused = await test.call("/portal/v1/persons/asen/lock", { reason: "none" }, other);
    assert.equal(refused.body.error, "unauthorized_client");
    // Nor after the person has a new PIN: who knew the old one may have got this SAD.
    const proof = "Seen by R. Das";
    await test.call("/portal/v1/persons/asen/unlock", { proof }, token);
    const code = /#enrol-(\S+)/.exec(test.sent.at(-1)!.message.text)![1];
    assert.equal(await test.service.people.setPin(code, "628194", undefined), "done");
    const sign = { credentialID, SAD, hashes: [HASH], signAlgo: OIDS.ecdsaWithSha256 };
    const late = await test.call("/csc/v2/signatures/signHash", sign, token);
    assert.equal(late.body.error_description, "Invalid parameter SAD");
    const ended = (await test.audit()).find(({ event }) => event === "authorization.ended")!;
    assert.equal(ended.reason, "locked");
  }));

Deno.test("a client that was taken out of the configuration is a stranger, and one without admin is none", () =>
  withService(async (test) => {
    const login = await test.handler(
      new Request("https://sign.works.example/csc/v2/auth/login", {
        method: "POST",
        body: JSON.stringify({ rememberMe: true }),
        headers: { authorization: `Basic ${btoa(`${CLIENT.id}:${CLIENT.secret}`)}` },
      }),
    );
    const { access_token, refresh_token } = await login.json();
    const persons = () =>
      test.handler(
        new Request("https://sign.works.example/portal/v1/persons", {
          headers: { authorization: `Bearer ${access_token}` },
        }),
      ).then(async (response) => (await response.body?.cancel(), response.status));
    assert.equal(await persons(), 200);
    const clients = test.service.clients as Client[];
    const [portal] = clients.splice(0, 1, { ...clients[0], admin: false });
    assert.equal(await persons(), 403);
    clients.shift();
    assert.equal(await persons(), 401);
    const refreshed = await test.call("/csc/v2/auth/login", { refresh_token });
    assert.equal(refreshed.body.error_description, "Invalid refresh_token");
    clients.unshift(portal);
    assert.equal((await test.call("/csc/v2/auth/login", { refresh_token })).status, 200);
  }));

Deno.test("an enrolment's link that cannot be delivered is told; the person is there", () =>
  withService(async (test) => {
    const token = await test.token();
    test.failDelivery = "mailbox full";
    const person = { userID: "asen", name: "Anita Sen", email: "anita@works.example" };
    const { status, body } = await test.call("/portal/v1/persons", person, token);
    assert.equal(status, 503);
    assert.match(body.error_description, /reset-pin/);
    test.failDelivery = undefined;
    const proof = "Seen by R. Das";
    const again = await test.call("/portal/v1/persons/asen/reset-pin", { proof }, token);
    assert.deepEqual(again.body, { enrolment: { sent: "mail" } });
  }));

Deno.test("a delivery that fails is told, and a later one goes on with the same authorization", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const token = await test.token();
    const challenge = { credentialID, authObjectID: "OTP", hashes: [HASH] };
    test.failDelivery = "mailbox full";
    const failed = await test.call("/csc/v2/credentials/getChallenge", challenge, token);
    assert.deepEqual([failed.status, failed.body.error_description], [
      503,
      "The OTP could not be delivered",
    ]);
    test.failDelivery = undefined;
    const soon = await test.call("/csc/v2/credentials/getChallenge", challenge, token);
    assert.equal(soon.status, 429);
    test.clock.now += RULES.resendAfter;
    assert.equal(
      (await test.call("/csc/v2/credentials/getChallenge", challenge, token)).status,
      204,
    );
    const authData = [{ id: "PIN", value: PIN }, { id: "OTP", value: test.lastOtp() }];
    const { status } = await test.call("/csc/v2/credentials/authorize", {
      credentialID,
      numSignatures: 1,
      hashes: [HASH],
      authData,
    }, token);
    assert.equal(status, 200);
    const events = (await test.audit()).map(({ event, reason }) => `${event} ${reason ?? ""}`);
    assert.ok(events.includes("otp.delivery_failed mailbox full"));
  }));

Deno.test("changed lists, order and count end the SAD; expired ones say so", () =>
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

Deno.test("several signHash calls of one authorization, by extendTransaction", () =>
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

Deno.test("1,000 parallel uses of one SAD over two instances: one signs", async () => {
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

Deno.test("bad input gets an answer: sizes, JSON, methods", () =>
  withService(async (test) => {
    const post = (body: BodyInit, headers: Record<string, string> = {}) =>
      test.handler(
        new Request("https://sign.works.example/csc/v2/info", { method: "POST", body, headers }),
      );
    for (
      const [body, status] of [["[]", 400], ["{", 400], ["\xff", 400], ["null", 400], [
        "{}",
        200,
      ]] as const
    ) {
      assert.equal((await post(body)).status, status, body);
    }
    const large = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(1024 * 1024)),
    });
    assert.equal((await post(large)).status, 413);
    const stranger = JSON.stringify({ clientData: "x".repeat(100_000) });
    assert.equal((await post(stranger)).status, 413, "strangers get little memory");
    const headers = (await post("{}")).headers;
    assert.equal(headers.get("cache-control"), "no-store");
  }));

Deno.test("whatever JSON comes, the answer is one of the contract's, in time (property)", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const token = await test.token();
    const values = fc.oneof(
      fc.constantFrom<unknown>(
        credentialID,
        HASH,
        OIDS.sha256,
        OIDS.ecPublicKey,
        "P",
        "C",
        "OTP",
        1,
        true,
      ),
      fc.string(),
      fc.jsonValue({ maxDepth: 2 }),
      fc.array(fc.constantFrom<unknown>(HASH, "", 7, null, { id: "PIN", value: "1" }), {
        maxLength: 12,
      }),
      fc.array(
        fc.record({
          document: fc.constantFrom("", "JVBERi0=", "QQ==", "?"),
          hashes: fc.constantFrom<unknown>([HASH], [], "x"),
          signature_format: fc.constantFrom("P", "C", "X"),
        }),
        { maxLength: 2 },
      ),
    );
    const names = [
      ...["credentialID", "SAD", "hashes", "hashAlgorithmOID", "signAlgo", "numSignatures"],
      ...["authData", "documents", "documentDigests", "handle", "authObjectID", "token", "userID"],
      ...["hash", "hashAlgo", "PIN", "OTP", "nonce", "description", "certificates", "__proto__"],
    ];
    const body = fc.array(fc.tuple(fc.constantFrom(...names), values), { maxLength: 8 })
      .map((entries) => Object.fromEntries(entries));
    const method = fc.constantFrom(...Object.keys(CSC_METHODS) as CscMethod[]);
    const version = fc.constantFrom("v1", "v2");
    await fc.assert(
      fc.asyncProperty(version, method, body, async (version, method, body) => {
        const { status } = await test.call(`/csc/${version}/${method}`, body, token);
        assert.ok([200, 204, 400, 401, 404, 429, 503].includes(status), `${status}`);
        // what was opened does not count against the next
        test.clock.now += 1;
      }),
      { numRuns: 400 },
    );
  }));

Deno.test("signing in: unknown, wrong and locked are the same in answers, hashes and writes", async () => {
  const inner = openSqlite(":memory:");
  let writes = 0;
  const test = makeService({
    database: {
      ...inner,
      transaction: (work) =>
        inner.transaction((query) =>
          work((statement, ...values) => {
            if (!/^\s*SELECT/i.test(statement)) writes++;
            return query(statement, ...values);
          })
        ),
    },
  });
  try {
    await test.enrol({ userID: "asen" });
    await test.enrol({ userID: "broy" });
    await test.service.people.lock("broy", "on leave", "test");
    const seen: unknown[] = [];
    for (const userID of ["nobody", "asen", "broy"]) {
      const before = { writes, work: test.pins.work };
      const answer = await test.handler(
        new Request("https://sign.works.example/csc/v2/auth/login", {
          method: "POST",
          headers: { authorization: `Basic ${btoa(`${userID}:000000`)}` },
        }),
      );
      seen.push([
        answer.status,
        await answer.text(),
        [...answer.headers],
        test.pins.work - before.work,
        writes - before.writes,
      ]);
    }
    assert.deepEqual(seen[1], seen[0]);
    assert.deepEqual(seen[2], seen[0]);
  } finally {
    await test.close();
  }
});
