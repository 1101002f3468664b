/** OAuth 2.0 and the page for PIN and OTP, and what a hostile page or portal may try. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { OIDS } from "../protocol/csc.ts";
import {
  EXPLICIT,
  HASH,
  hashOf,
  onPage,
  openPage,
  redeem,
  TEXT,
  withService,
} from "../tests/fixtures/otp_calls.ts";
import { CLIENT, makeService, OTHER_CLIENT, PIN, REDIRECT } from "../tests/fixtures/otp_service.ts";
import { RULES } from "./authorize.ts";
import { openSqlite } from "./store_sqlite.ts";

Deno.test("errors of OAuth 2.0 and auth/login have the specification's texts", () =>
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

/** The PKCE challenge of an empty verifier. */
const NOTHING = createHash("sha256").update("").digest("base64url");

Deno.test("with oauth2code, the page shows the document, takes PIN and OTP, and the token is the SAD", () =>
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

Deno.test("with oauth2code, rejecting returns access_denied, and nothing can be signed", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    const details = JSON.stringify([{
      type: "credential",
      credentialID,
      documentDigests: [{ hash: HASH, label: "Order" }],
      hashAlgorithmOID: OIDS.sha256,
    }]);
    const page = await openPage(test, { authorization_details: details });
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

Deno.test("with oauth2code, if a stranger may have asked, the person signs in before an OTP is sent", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    await test.enrol({ userID: "broy", email: "b@works.example" });
    const request = { scope: "credential", credentialID, numSignatures: "1", hashes: HASH };
    const before = { sent: test.sent.length, lines: (await test.audit()).length };
    for (let i = 0; i < 12; i++) {
      const { ticket } = await openPage(test, request, false);
      assert.equal((await onPage(test, "send", ticket, {})).body.code, "ended");
    }
    const now = { sent: test.sent.length, lines: (await test.audit()).length };
    assert.deepEqual(now, before, "a dozen strangers send nothing and fill nothing");

    const page = await openPage(test, request, false);
    const { body: view } = await onPage(test, "view", page.ticket);
    assert.deepEqual([view.kind, view.sign], ["sign_in", true]);
    const signIn = (userID: string, pin = PIN) =>
      onPage(test, "answer", page.ticket, { decision: "sign_in", userID, pin });
    const wrong = { ok: false, code: "wrong" };
    assert.deepEqual((await signIn("asen", "493818")).body, wrong);
    assert.deepEqual((await signIn("broy")).body, wrong, "somebody else");
    const answers = await Promise.all([signIn("asen"), signIn("asen"), signIn("asen")]);
    const tickets = answers.flatMap(({ body }) => body.ticket ?? []);
    assert.equal(tickets.length, 1, "one ticket gives one authorization");
    const [ticket] = tickets;
    assert.equal((await onPage(test, "view", ticket)).body.kind, "sign");
    assert.equal((await onPage(test, "send", ticket, {})).body.ok, true);
    const approve = { decision: "approve", pin: PIN, otp: test.lastOtp(), language: "en" };
    const { body } = await onPage(test, "answer", ticket, approve);
    const granted = await test.form("/oauth2/token", {
      grant_type: "authorization_code",
      code: new URL(body.redirect).searchParams.get("code")!,
      redirect_uri: REDIRECT,
      code_verifier: page.verifier,
    });
    assert.equal(granted.status, 200);
  }));

Deno.test("with oauth2code, a digest shown as a document is not signed as a bare digest", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    const token = await test.token();
    // what a JWS signs: to read, it is text like any other
    const input = new TextEncoder().encode("eyJhbGciOiJFUzI1NiJ9.eyJwYXkiOiJtYWxsb3J5In0");
    const hash = hashOf(input);
    const request = { scope: "credential", credentialID, numSignatures: "1", hashes: hash };
    const sign = (SAD: string) =>
      test.call("/csc/v2/signatures/signHash", {
        credentialID,
        hashes: [hash],
        signAlgo: OIDS.ecdsaWithSha256,
      }, SAD);
    const blind = await redeem(test, request);
    assert.equal((await sign(blind.body.access_token)).status, 200, "blind, as the page said");
    const given = (await test.audit()).find(({ event }) => event === "authorization.given")!;
    const line = blindConsent("Anita Sen");
    assert.equal(given.consent, createHash("sha256").update(`en\n${line}`).digest("hex"));

    await test.handler(
      new Request("https://sign.works.example/portal/v1/documents?name=leave.pdf", {
        method: "POST",
        body: input,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/pdf" },
      }),
    );
    test.clock.now += RULES.resendAfter;
    const page = await openPage(test, request);
    const { shown } = (await onPage(test, "view", page.ticket)).body.documents[0];
    assert.deepEqual([shown.as, shown.text], ["text", new TextDecoder().decode(input)]);
    const { body: { access_token } } = await redeem(test, request);
    const refused = await sign(access_token);
    assert.equal(refused.body.error_description, "Hash is not authorized by the SAD");
    const documents = [{ hashes: [hash], signature_format: "C" }];
    const late = await test.call("/csc/v2/signatures/signDoc", {
      credentialID,
      documentDigests: documents,
    }, access_token);
    assert.equal(late.body.error_description, "Invalid parameter SAD", "it has ended");
    test.clock.now += RULES.resendAfter;
    const again = await redeem(test, request);
    const signed = await test.call("/csc/v2/signatures/signDoc", {
      credentialID,
      documentDigests: documents,
    }, again.body.access_token);
    assert.equal(signed.body.SignatureObject.length, 1);
  }));

const blindConsent = (name: string) =>
  `I, ${name}, have read what is shown above. By giving my PIN and the OTP I sign what is named above (documents: 1, of which 1 blind, by the hash alone) for the purpose “—” with a departmental PIN/OTP signature of Works Department (TEST).`;

Deno.test("with oauth2code, a hostile page or portal gets nothing", () =>
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
    // Nor does another address get the code's tokens, or another client's name open what one client pushed.
    test.clock.now += RULES.resendAfter;
    const second = await openPage(test, base);
    await onPage(test, "send", second.ticket, {});
    const reply = { decision: "approve", pin: PIN, otp: test.lastOtp(), language: "en" };
    const approved = await onPage(test, "answer", second.ticket, reply);
    const elsewhere = await test.form("/oauth2/token", {
      ...exchange,
      code: new URL(approved.body.redirect).searchParams.get("code")!,
      code_verifier: second.verifier,
      redirect_uri: "https://evil.example/",
    });
    assert.equal(elsewhere.status, 400);
    const pushed = await test.form("/oauth2/pushed_authorize", {
      ...{ ...base, response_type: "code", redirect_uri: REDIRECT },
      ...{ code_challenge: NOTHING, code_challenge_method: "S256" },
    });
    const { request_uri } = pushed.body;
    for (const client_id of [OTHER_CLIENT.id, CLIENT.id]) {
      const query = new URLSearchParams({ client_id, request_uri });
      const { status } = await test.handler(
        new Request(`https://sign.works.example/oauth2/authorize?${query}`),
      );
      assert.equal(status, 400, "the first try has used it up");
    }
    const pushElsewhere = await test.form("/oauth2/pushed_authorize", {
      ...{ ...base, response_type: "code", redirect_uri: "https://evil.example/" },
      ...{ code_challenge: NOTHING, code_challenge_method: "S256" },
    });
    assert.equal(pushElsewhere.body.error_description, "Invalid parameter redirect_uri");
    // A client that sends the challenge of an empty verifier must still present a verifier.
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

Deno.test("in scope service, a signed-in person sees only their own credentials", () =>
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

Deno.test("an unknown person, a wrong PIN and a lock give the same answers, hashes and writes at sign-in", async () => {
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
      // the audit is sealed in the background
      await test.service.store.auditHead();
      await test.service.store.log.settle();
      const before = { writes, work: test.pins.work };
      const answer = await test.handler(
        new Request("https://sign.works.example/csc/v2/auth/login", {
          method: "POST",
          headers: {
            authorization: `Basic ${btoa(`${userID}:000000`)}`,
            "x-request-id": "the-same-for-all",
          },
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
