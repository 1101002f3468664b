/** Apps that cannot keep a secret (RFC 6749 §2.1): the EUDI library's public client, and what strangers make of one. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { OIDS } from "../protocol/csc.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { HASH, onPage, STORED, withService } from "../tests/fixtures/otp_calls.ts";
import { PIN, pkce, PUBLIC_URL, type TestService } from "../tests/fixtures/otp_service.ts";
import { readOtpConfig } from "./config.ts";
import { initService } from "./init.ts";

const APP = "in.gov.example.wallet:/signed";

const withApp = (body: (test: TestService) => Promise<void>) =>
  withService(async (test) => {
    (test.service.clients as TestService["service"]["clients"][number][]).push({
      id: "wallet",
      name: "Wallet",
      redirectUris: [APP],
      listsPersons: false,
      admin: false,
    });
    await body(test);
  });

/** Sends a form as the library does: with its name, and no secret unless it stands in `fields`. */
async function post(test: TestService, path: string, fields: Record<string, string>) {
  const body = new URLSearchParams({ client_id: "wallet", ...fields });
  const response = await test.handler(new Request(PUBLIC_URL + path, { method: "POST", body }));
  return { status: response.status, body: await response.json() };
}

const push = (test: TestService, challenge: string, fields: Record<string, string>) =>
  post(test, "/oauth2/pushed_authorize", {
    response_type: "code",
    redirect_uri: APP,
    code_challenge: challenge,
    code_challenge_method: "S256",
    state: "6f1b",
    prompt: "login",
    ...fields,
  });

async function ticketOf(test: TestService, request_uri: string, client_id = "wallet") {
  const query = new URLSearchParams({ client_id, state: "6f1b", request_uri });
  const response = await test.handler(new Request(`${PUBLIC_URL}/oauth2/authorize?${query}`));
  return response.headers.get("location")?.split("/otp#")[1];
}

const signingIn = { decision: "sign_in", userID: "asen", pin: PIN };
const codeIn = (body: { redirect: string }) => new URL(body.redirect).searchParams.get("code")!;

const redeem = (test: TestService, code: string, code_verifier: string, more = {}) =>
  post(test, "/oauth2/token", {
    grant_type: "authorization_code",
    code,
    redirect_uri: APP,
    code_verifier,
    ...more,
  });

/** Up to the code of a signature, as an app asks for it. */
async function signingCode(test: TestService, credentialID: string, challenge: string) {
  const authorization_details = JSON.stringify([{
    type: "https://cloudsignatureconsortium.org/2025/credential",
    credentialID,
    numSignatures: 1,
    documentDigests: [{ hash: HASH, label: "Sanction 7", hashType: "DTBSR" }],
    hashAlgorithmOID: OIDS.sha256,
  }]);
  const { body } = await push(test, challenge, { scope: "credential", authorization_details });
  const ticket = await ticketOf(test, body.request_uri);
  const view = (await onPage(test, "view", ticket!)).body;
  assert.deepEqual([view.kind, view.anybody, test.sent.length], ["sign_in", true, 0]);
  const signedIn = await onPage(test, "answer", ticket!, signingIn);
  const asked = signedIn.body.ticket;
  assert.equal((await onPage(test, "view", asked)).body.anybody, true);
  await onPage(test, "send", asked, {});
  const approve = { decision: "approve", pin: PIN, otp: test.lastOtp(), language: "en" };
  return codeIn((await onPage(test, "answer", asked, approve)).body);
}

Deno.test("an app without a secret gets its person's signature, as the EUDI library asks for it", () =>
  withApp(async (test) => {
    const credentialID = await test.enrol({
      userID: "asen",
      credential: { ...STORED, mode: "oauth2code" },
    });
    test.sent.length = 0;
    const metadata = await test.handler(
      new Request(`${PUBLIC_URL}/.well-known/oauth-authorization-server`),
    );
    assert.ok((await metadata.json()).token_endpoint_auth_methods_supported.includes("none"));
    const service = pkce();
    const { status, body } = await push(test, service.challenge, { scope: "service" });
    assert.equal(status, 201, JSON.stringify(body));
    const ticket = await ticketOf(test, body.request_uri);
    const code = codeIn((await onPage(test, "answer", ticket!, signingIn)).body);
    // a client of the kind "Post" sends a secret with it, which counts for nothing
    const first = await redeem(test, code, service.verifier, { client_secret: "of no use" });
    assert.equal(first.status, 200, JSON.stringify(first.body));
    const list = await test.call("/csc/v2.2/credentials/list", {}, first.body.access_token);
    assert.deepEqual(list.body.credentialIDs, [credentialID]);
    const others = { userID: "asen" };
    const asked = await test.call("/csc/v2.2/credentials/list", others, first.body.access_token);
    assert.equal(asked.status, 400);

    const { refresh_token } = first.body;
    const again = await post(test, "/oauth2/token", { grant_type: "refresh_token", refresh_token });
    assert.equal(again.status, 200, JSON.stringify(again.body));
    const twice = await post(test, "/oauth2/token", { grant_type: "refresh_token", refresh_token });
    assert.equal(twice.status, 400);
    const ended = await test.call("/csc/v2.2/credentials/list", {}, again.body.access_token);
    assert.equal(ended.status, 401, "a refresh token that was used again ends its family");

    const { verifier, challenge } = pkce();
    const granted = await redeem(test, await signingCode(test, credentialID, challenge), verifier);
    assert.equal(granted.status, 200, JSON.stringify(granted.body));
    const signed = await test.call("/csc/v2.2/signatures/signHash", {
      credentialID,
      hashes: [HASH],
      hashAlgorithmOID: OIDS.sha256,
      signAlgo: OIDS.ecdsaWithSha256,
      operationMode: "S",
    }, granted.body.access_token);
    assert.equal(signed.status, 200, JSON.stringify(signed.body));
  }));

Deno.test("a code that somebody else caught gives nothing without the app's verifier, and is spent", () =>
  withApp(async (test) => {
    const credentialID = await test.enrol({
      userID: "asen",
      credential: { ...STORED, mode: "oauth2code" },
    });
    test.sent.length = 0;
    const { verifier, challenge } = pkce();
    const code = await signingCode(test, credentialID, challenge);
    const caught = await redeem(test, code, pkce().verifier);
    assert.deepEqual([caught.status, caught.body.error], [400, "invalid_grant"]);
    const late = await redeem(test, code, verifier);
    assert.equal(late.status, 400);
  }));

Deno.test("in a public client's name nobody gets a token, an OTP or a row, and no other address is gone to", () =>
  withApp(async (test) => {
    await test.enrol({ userID: "asen" });
    test.sent.length = 0;
    const lines = (await test.audit()).length;
    const token = await post(test, "/oauth2/token", { grant_type: "client_credentials" });
    assert.deepEqual([token.status, token.body.error], [400, "unauthorized_client"]);
    const empty = { client_id: "wallet", client_secret: "" };
    const basic = { authorization: `Basic ${btoa("wallet:")}` };
    for (const headers of [undefined, basic]) {
      const body = new URLSearchParams({ ...empty, grant_type: "client_credentials" });
      const request = new Request(`${PUBLIC_URL}/oauth2/token`, { method: "POST", body, headers });
      assert.equal((await test.handler(request)).status, 400);
    }
    const elsewhere = { redirect_uri: "in.gov.example.wallet.evil:/signed" };
    assert.equal((await push(test, pkce().challenge, elsewhere)).status, 400);
    const { challenge, verifier } = pkce();
    const weaker = [["plain", verifier], ["", challenge], ["S256", ""]];
    for (const [code_challenge_method, code_challenge] of weaker) {
      const { status } = await push(test, code_challenge, { code_challenge_method });
      assert.equal(status, 400, `PKCE is not left out: ${code_challenge_method}`);
    }
    const { body } = await push(test, pkce().challenge, { scope: "service" });
    assert.equal(await ticketOf(test, body.request_uri, "portal"), undefined, "another client's");
    assert.equal(await ticketOf(test, `${body.request_uri}0`), undefined, "changed");
    test.clock.now += 91_000;
    assert.equal(await ticketOf(test, body.request_uri), undefined, "too old");
    // a confidential client still has to show its secret
    assert.equal((await push(test, pkce().challenge, { client_id: "portal" })).status, 401);
    assert.deepEqual([test.sent.length, (await test.audit()).length], [0, lines]);
  }));

Deno.test("a client is public only where its configuration says so, with an address that is its app's", () =>
  inTempDir(async (dir) => {
    const folder = join(dir, "service");
    const options = { organization: "Works (TEST)", policy: "2.999.6.1", redirectUris: [] };
    await initService(folder, { ...options, publicUrl: "http://127.0.0.1:7795" });
    const path = join(folder, "config.json");
    const config = JSON.parse(await Deno.readTextFile(path));
    const read = async (client: object) => {
      const clients = [{ id: "wallet", name: "Wallet", ...client }];
      await Deno.writeTextFile(path, JSON.stringify({ ...config, clients }));
      return (await readOtpConfig(path)).clients[0];
    };
    const good = { public: true, redirectUris: [APP, "https://wallet.example/signed"] };
    assert.equal((await read(good)).secretHash, undefined);
    const wrong: [object, RegExp][] = [
      [{ redirectUris: [APP] }, /secretHash or public/],
      [{ ...good, secretHash: "00".repeat(32) }, /secretHash or public/],
      [{ ...good, admin: true }, /admin/],
      [{ ...good, listsPersons: true }, /listsPersons/],
      [{ ...good, redirectUris: [] }, /redirectUris/],
      [{ ...good, redirectUris: ["http://wallet.example/"] }, /redirectUris/],
      [{ ...good, redirectUris: ["http://localhost:3000/"] }, /redirectUris/],
      [{ ...good, redirectUris: ["javascript:alert(1)"] }, /redirectUris/],
      [{ ...good, redirectUris: ["wallet:/signed"] }, /redirectUris/],
      [{ ...good, redirectUris: ["no address"] }, /redirectUris/],
    ];
    for (const [client, message] of wrong) {
      await assert.rejects(read(client), { name: "SetupError", message }, JSON.stringify(client));
    }
  }));
