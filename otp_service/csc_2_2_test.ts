/**
 * Version 2.2 of the CSC's API, and 1.0.4's OAuth, as clients speak them. The requests of the EUDI wallet's libraries are
 * written as their public source writes them (eu-digital-identity-wallet, eudi-lib-jvm-rqes-csc-kt and
 * eudi-lib-ios-rqes-csc-swift, read November 2026).
 */
import assert from "node:assert/strict";
import { OIDS } from "../protocol/csc.ts";
import { HASH, onPage, openPage, STORED, withService } from "../tests/fixtures/otp_calls.ts";
import { CLIENT, PIN, pkce, PUBLIC_URL, REDIRECT } from "../tests/fixtures/otp_service.ts";
import type { TestService } from "../tests/fixtures/otp_service.ts";

const CREDENTIAL_2025 = "https://cloudsignatureconsortium.org/2025/credential";
const BASIC = `Basic ${btoa(`${CLIENT.id}:${CLIENT.secret}`)}`;
const OAUTH2 = ["oauth2code", "oauth2client"];
const HASH_URL = Uint8Array.fromBase64(HASH).toBase64({ alphabet: "base64url" });

/** Asks as a program elsewhere would. */
async function ask(test: TestService, path: string, init: RequestInit = {}) {
  const response = await test.handler(new Request(PUBLIC_URL + path, init));
  const text = await response.text();
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    location: response.headers.get("location"),
    body: text.startsWith("{") ? JSON.parse(text) : text,
  };
}

const form = (fields: Record<string, string>, headers: Record<string, string> = {}) => ({
  method: "POST",
  body: new URLSearchParams(fields),
  headers,
});

/** Up to the page, and on it with what the person does there; then the token. */
async function authorized(
  test: TestService,
  address: string,
  verifier: string,
  more: Record<string, string> = {},
  base = "",
  query = "",
) {
  const { status, location } = await ask(test, address);
  assert.equal(status, 302);
  let ticket = location!.split("/otp#")[1];
  let redirect: string | undefined;
  if ((await onPage(test, "view", ticket)).body.kind === "sign_in") {
    const signIn = { decision: "sign_in", userID: "asen", pin: PIN };
    const { body } = await onPage(test, "answer", ticket, signIn);
    redirect = body.redirect; // of a request to sign that was not pushed, the page comes now
    ticket = body.ticket ?? ticket;
  }
  if (redirect === undefined) {
    await onPage(test, "send", ticket, {});
    const approve = { decision: "approve", pin: PIN, otp: test.lastOtp(), language: "en" };
    redirect = (await onPage(test, "answer", ticket, approve)).body.redirect as string;
  }
  const code = new URL(redirect).searchParams.get("code")!;
  return await ask(
    test,
    `${base}/oauth2/token${query}`,
    form({
      grant_type: "authorization_code",
      code,
      redirect_uri: REDIRECT,
      code_verifier: verifier,
      client_id: CLIENT.id,
      ...more,
    }, { authorization: BASIC }),
  );
}

Deno.test("info of 2.2 is as the EUDI libraries want it, and older clients get theirs", () =>
  withService(async (test) => {
    const { body } = await test.call("/csc/v2.2/info", { lang: "en-US" });
    assert.equal(body.specs, "2.2.0.0");
    // their parser refuses both together, and needs the servers to cover the OAuth types
    assert.deepEqual([body.oauth2, body.oauth2Issuer, body.supportsRar], Array(3).fill(undefined));
    assert.deepEqual(body.oauth2Servers, [{
      label: "Works PIN/OTP",
      issuerIdentifier: PUBLIC_URL,
      authType: OAUTH2,
      supportsRar: true,
    }]);
    for (const name of ["name", "logo", "region", "lang", "description"]) {
      assert.equal(typeof body[name], "string", name);
    }
    for (const name of ["authType", "supportedHashTypes", "methods", "conformance_levels"]) {
      assert.ok(body[name].length > 0, name);
    }
    assert.ok(body.signAlgorithms.algos.includes(OIDS.ecdsaWithSha256));
    assert.ok(body.supportedHashTypes.includes("dtbsr"));
    const logo = await ask(test, new URL(body.logo).pathname);
    assert.deepEqual([logo.status, logo.type], [200, "image/png"]);

    const v2 = (await test.call("/csc/v2/info")).body;
    assert.deepEqual(
      [v2.specs, v2.oauth2, v2.supportsRar, v2.oauth2Servers],
      ["2.0.0.2", PUBLIC_URL, true, undefined],
    );
    const v1 = (await test.call("/csc/v1/info")).body;
    assert.deepEqual([v1.specs, v1.oauth2], ["1.0.4.0", `${PUBLIC_URL}/csc/v1`]);
  }));

Deno.test("the EUDI libraries' requests, one after the other, give a signature", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({
      userID: "asen",
      credential: { ...STORED, mode: "oauth2code" },
    });
    assert.equal((await ask(test, "/.well-known/openid-configuration")).status, 404);
    const { body: server } = await ask(test, "/.well-known/oauth-authorization-server");
    assert.equal(server.issuer, PUBLIC_URL);
    assert.ok(server.authorization_details_types_supported.includes(CREDENTIAL_2025));
    const path = (endpoint: string) => new URL(server[endpoint]).pathname;

    const push = async (challenge: string, fields: Record<string, string>) => {
      const { status, body } = await ask(
        test,
        path("pushed_authorization_request_endpoint"),
        form({
          response_type: "code",
          client_id: CLIENT.id,
          redirect_uri: REDIRECT,
          code_challenge: challenge,
          code_challenge_method: "S256",
          state: "6f1b",
          prompt: "login",
          ...fields,
        }, { authorization: BASIC }),
      );
      assert.equal(status, 201, JSON.stringify(body));
      const { request_uri } = body;
      const query = new URLSearchParams({ client_id: CLIENT.id, state: "6f1b", request_uri });
      return `${path("authorization_endpoint")}?${query}`;
    };
    const service = pkce();
    const first = await authorized(
      test,
      await push(service.challenge, { scope: "service" }),
      service.verifier,
    );
    const token = first.body.access_token;
    const listed = await test.call("/csc/v2.2/credentials/list", {
      credentialInfo: true,
      certificates: "chain",
      certInfo: true,
      authInfo: true,
      onlyValid: true,
    }, token);
    assert.deepEqual(listed.body.credentialIDs, [credentialID]);
    const [{ key, cert, auth, multisign }] = listed.body.credentialInfos;
    assert.deepEqual([key.status, cert.status, auth.mode], ["enabled", "valid", "oauth2code"]);
    assert.match(cert.validTo, /^\d{14}Z$/);
    assert.equal(typeof multisign, "number");

    const detail = {
      type: CREDENTIAL_2025,
      credentialID,
      numSignatures: 1,
      documentDigests: [{ hash: HASH, label: "Sanction 7", hashType: "DTBSR" }],
      hashAlgorithmOID: OIDS.sha256,
    };
    const authorization_details = JSON.stringify([detail]);
    const credential = pkce();
    const fields = { scope: "credential", authorization_details };
    const second = await authorized(
      test,
      await push(credential.challenge, fields),
      credential.verifier,
      { authorization_details },
    );
    assert.deepEqual([second.status, second.body.token_type], [200, "Bearer"]);
    const [{ hashType: _, ...digest }] = detail.documentDigests;
    assert.deepEqual(second.body.authorization_details, [{ ...detail, documentDigests: [digest] }]);
    const sad = second.body.access_token;
    const info = { credentialID, certificates: "chain", certInfo: true, authInfo: true };
    assert.equal((await test.call("/csc/v2.2/credentials/info", info, sad)).status, 200);
    const signed = await test.call("/csc/v2.2/signatures/signHash", {
      credentialID,
      hashes: [HASH],
      hashAlgorithmOID: OIDS.sha256,
      signAlgo: OIDS.ecdsaWithSha256,
      operationMode: "S",
    }, sad);
    assert.equal(signed.status, 200, JSON.stringify(signed.body));
    assert.equal(signed.body.signatures.length, 1);
  }));

Deno.test("an app that has a scheme gets its person back, from the page's end too", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    const redirect_uri = "example.wallet:/signed";
    (test.service.clients[0].redirectUris as string[]).push(redirect_uri);
    const asked = { scope: "credential", credentialID, numSignatures: "1", hashes: HASH_URL };
    const { ticket } = await openPage(test, { ...asked, redirect_uri });
    assert.equal((await onPage(test, "view", ticket)).body.portal, redirect_uri);
    const { body } = await onPage(test, "answer", ticket, { decision: "reject" });
    assert.match(body.redirect, /^example\.wallet:\/signed\?error=access_denied&/);
  }));

Deno.test("what an authorization's details may say, in the type of 2025", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    const detail = {
      type: CREDENTIAL_2025,
      credentialID,
      numSignatures: 1,
      documentDigests: [{ hash: HASH, label: "Sanction 7", hashType: "SODR" }],
      hashAlgorithmOID: OIDS.sha256,
    };
    const errorOf = async (change: object) => {
      const { location } = await ask(
        test,
        `/oauth2/authorize?${new URLSearchParams({
          response_type: "code",
          client_id: CLIENT.id,
          redirect_uri: REDIRECT,
          code_challenge: pkce().challenge,
          code_challenge_method: "S256",
          authorization_details: JSON.stringify([{ ...detail, ...change }]),
        })}`,
      );
      return new URL(location!).searchParams.get("error_description");
    };
    assert.equal(await errorOf({}), null);
    assert.match((await errorOf({ type: `${CREDENTIAL_2025}-deletion` }))!, /type/);
    assert.match((await errorOf({ numSignatures: 2 }))!, /numSignatures/);
    const documentDigests = [{ hash: HASH, hashType: "dtbs" }];
    assert.match((await errorOf({ documentDigests }))!, /hashType/);
    const without = { credentialID: undefined, signatureQualifier: "eu_eidas_qes" };
    assert.match((await errorOf(without))!, /credentialID/);
  }));

Deno.test("1.0.4 calls the digests `hash`, and the token of a credential SAD", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({
      userID: "asen",
      credential: { ...STORED, mode: "oauth2code" },
    });
    const { challenge, verifier } = pkce();
    const query = new URLSearchParams({
      response_type: "code",
      client_id: CLIENT.id,
      redirect_uri: REDIRECT,
      scope: "credential",
      credentialID,
      numSignatures: "1",
      hash: HASH_URL,
      description: "Sanction 7",
      code_challenge: challenge,
      code_challenge_method: "S256",
    });
    const granted = await authorized(
      test,
      `/csc/v1/oauth2/authorize?${query}`,
      verifier,
      {},
      "/csc/v1",
    );
    assert.deepEqual([granted.status, granted.body.token_type], [200, "SAD"]);
    const service = await ask(
      test,
      "/csc/v1/oauth2/token",
      form({ grant_type: "client_credentials" }, { authorization: BASIC }),
    );
    assert.equal(service.body.token_type, "Bearer");
    const signed = await test.call("/csc/v1/signatures/signHash", {
      credentialID,
      SAD: granted.body.access_token,
      hash: [HASH],
      hashAlgo: OIDS.sha256,
      signAlgo: OIDS.ecdsaWithSha256,
    }, service.body.access_token);
    assert.equal(signed.status, 200, JSON.stringify(signed.body));
  }));

/** As `URLComponents` of Apple's Foundation writes a query: a plus sign stays as it is. */
const foundation = (items: [string, string][]) =>
  items.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2B", "+")}`)
    .join("&");

Deno.test("the requests of the EUDI library for iOS, one after the other, give a signature", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({
      userID: "asen",
      credential: { ...STORED, mode: "oauth2code" },
    });
    const { body: info } = await test.call("/csc/v2/info", { lang: "en-US" });
    assert.equal(info.oauth2, PUBLIC_URL);
    const state = crypto.randomUUID();
    const address = (scope: string, challenge: string, more: [string, string][] = []) =>
      `/oauth2/authorize?${
        foundation([
          ["response_type", "code"],
          ["client_id", CLIENT.id],
          ["redirect_uri", REDIRECT],
          ["scope", scope],
          ["code_challenge", challenge],
          ["code_challenge_method", "S256"],
          ["state", state],
          ...more,
        ])
      }`;
    const service = pkce();
    const first = await authorized(test, address("service", service.challenge), service.verifier, {
      state,
    });
    const token = first.body.access_token;
    const wanted = { credentialInfo: true, certificates: "chain", certInfo: true };
    const list = await test.call("/csc/v2/credentials/list", wanted, token);
    assert.deepEqual(list.body.credentialIDs, [credentialID]);
    const one = { credentialID, ...wanted, auth_info: true };
    assert.equal((await test.call("/csc/v2/credentials/info", one, token)).status, 200);

    // its earlier versions write Base64 into the address, the present one Base64url without padding
    const plus = Uint8Array.fromHex("fb".repeat(32));
    const forms = [plus.toBase64(), plus.toBase64({ alphabet: "base64url", omitPadding: true })];
    for (const hash of forms) {
      const details = (hash: string) =>
        JSON.stringify([{
          documentDigests: [{ label: "A sample pdf", hash }],
          credentialID,
          hashAlgorithmOID: OIDS.sha256,
          locations: [],
          type: "credential",
        }]);
      const { challenge, verifier } = pkce();
      const to = address("credential", challenge, [["authorization_details", details(hash)]]);
      // the token's request has them in the address too
      const query = foundation([["authorization_details", details(plus.toBase64())]]);
      const granted = await authorized(test, to, verifier, { state }, "", `?${query}`);
      assert.equal(granted.status, 200, JSON.stringify(granted.body));
      const signed = await test.call("/csc/v2/signatures/signHash", {
        credentialID,
        hashes: [plus.toBase64()],
        hashAlgorithmOID: OIDS.sha256,
        signAlgo: OIDS.ecdsaWithSha256,
        operationMode: "S",
      }, granted.body.access_token);
      assert.equal(signed.status, 200, JSON.stringify(signed.body));
    }
  }));
