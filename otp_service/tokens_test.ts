/** Tokens, tickets and codes: whose they are, how often they are good, and with what they end. */
import assert from "node:assert/strict";
import { HASH, onPage, openPage, withService } from "../tests/fixtures/otp_calls.ts";
import {
  CLIENT,
  OTHER_CLIENT,
  PIN,
  REDIRECT,
  type TestService,
} from "../tests/fixtures/otp_service.ts";
import { OIDS } from "../protocol/csc.ts";
import { RULES } from "./authorize.ts";
import type { Client } from "./service.ts";

async function login(test: TestService, credentials: string | null, body = {}) {
  const response = await test.handler(
    new Request("https://sign.works.example/csc/v2/auth/login", {
      method: "POST",
      headers: credentials === null ? {} : { authorization: `Basic ${btoa(credentials)}` },
      body: JSON.stringify(body),
    }),
  );
  return { status: response.status, body: await response.json() };
}

const portal = `${CLIENT.id}:${CLIENT.secret}`;
const other = `${OTHER_CLIENT.id}:${OTHER_CLIENT.secret}`;

Deno.test("a client's refresh token is useless without the client's secret", () =>
  withService(async (test) => {
    const { body } = await login(test, portal, { rememberMe: true });
    const refresh = { refresh_token: body.refresh_token };
    const alone = await login(test, null, refresh);
    assert.deepEqual([alone.status, alone.body.error_description], [
      401,
      "Client authorization required",
    ]);
    assert.equal((await login(test, other, refresh)).status, 400, "another client's secret");
    const elsewhere = { grant_type: "refresh_token", ...refresh };
    assert.equal((await test.form("/oauth2/token", elsewhere, OTHER_CLIENT)).status, 400);
    assert.equal((await login(test, portal, refresh)).status, 200);
  }));

Deno.test("a refresh token works once, and using it again ends everything issued from it", () =>
  withService(async (test) => {
    await test.enrol({ userID: "asen" });
    const first = await login(test, `asen:${PIN}`, { rememberMe: true });
    const list = (token: string) =>
      test.call("/csc/v2/credentials/list", {}, token).then(({ status }) => status);
    const refresh = (refresh_token: string) => login(test, null, { refresh_token });
    const second = await refresh(first.body.refresh_token);
    assert.equal(second.status, 200);
    assert.equal(await list(second.body.access_token), 200);
    const stolen = await refresh(first.body.refresh_token);
    assert.deepEqual([stolen.status, stolen.body.error_description], [
      400,
      "Invalid refresh_token",
    ]);
    for (const { body } of [first, second]) {
      assert.equal(await list(body.access_token), 401);
      assert.equal((await refresh(body.refresh_token)).status, 400);
    }
    assert.ok((await test.audit()).some(({ event }) => event === "token.used_again"));
    const many = await login(test, `asen:${PIN}`, { rememberMe: true });
    const at = await Promise.all(
      Array.from({ length: 6 }, () => refresh(many.body.refresh_token)),
    );
    assert.equal(at.filter(({ status }) => status === 200).length, 1);
  }));

Deno.test("a person's tokens end with a PIN change, a lock, or wrong answers that lock", () =>
  withService(async (test) => {
    await test.enrol({ userID: "asen" });
    const { people, store } = test.service;
    const setPin = async () => {
      const code = /#enrol-(\S+)/.exec(test.sent.at(-1)!.message.text)![1];
      assert.equal(await people.setPin(code, PIN, undefined), "done");
    };
    const ends: [string, () => Promise<unknown>][] = [
      ["a lock", () => people.lock("asen", "left the department", "test")],
      ["a reset of the PIN", () => people.unlock("asen", "Seen by R. Das", "test")],
      ["fifty wrong answers", () =>
        store.run(async (tx) => {
          const row = (await tx.person("asen"))!;
          const answers = { paid: RULES.lockAfter, right: 0, until: 0 };
          tx.savePerson({ ...row, guard: { ...row.guard, answers } });
        })],
    ];
    for (const [name, end] of ends) {
      const { body } = await login(test, `asen:${PIN}`, { rememberMe: true });
      const { ticket, verifier } = await openPage(test, { scope: "service" });
      const sign = { decision: "sign_in", userID: "asen", pin: PIN };
      const { redirect } = (await onPage(test, "answer", ticket, sign)).body;
      const list = () => test.call("/csc/v2/credentials/list", {}, body.access_token);
      assert.equal((await list()).status, 200);
      await end();
      assert.equal((await list()).status, 401, `an access token after ${name}`);
      const refresh = { refresh_token: body.refresh_token };
      assert.equal((await login(test, null, refresh)).status, 400, `a refresh token after ${name}`);
      const code = await test.form("/oauth2/token", {
        grant_type: "authorization_code",
        code: new URL(redirect).searchParams.get("code")!,
        redirect_uri: REDIRECT,
        code_verifier: verifier,
      });
      assert.equal(code.body.error, "invalid_grant", `a code after ${name}`);
      await people.unlock("asen", "Seen by R. Das", "test");
      await setPin();
    }
    assert.equal((await login(test, `asen:${PIN}`)).status, 200);
  }));

Deno.test("using a code twice ends the authorization it gave", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    const request = { scope: "credential", credentialID, numSignatures: "1", hashes: HASH };
    const { ticket, verifier } = await openPage(test, request);
    await onPage(test, "send", ticket, {});
    const approve = { decision: "approve", pin: PIN, otp: test.lastOtp(), language: "en" };
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => onPage(test, "answer", ticket, approve)),
    );
    const redirects = answers.flatMap(({ body }) => body.ok ? [body.redirect] : []);
    assert.equal(redirects.length, 1, "one ticket gives one code");
    const exchange = () =>
      test.form("/oauth2/token", {
        grant_type: "authorization_code",
        code: new URL(redirects[0]).searchParams.get("code")!,
        redirect_uri: REDIRECT,
        code_verifier: verifier,
      });
    const both = await Promise.all([exchange(), exchange()]);
    const granted = both.filter(({ status }) => status === 200);
    assert.equal(granted.length, 1);
    assert.equal((await exchange()).body.error, "invalid_grant");
    const signed = await test.call("/csc/v2/signatures/signHash", {
      credentialID,
      hashes: [HASH],
      signAlgo: OIDS.ecdsaWithSha256,
    }, granted[0].body.access_token);
    assert.equal(signed.status, 401, "the SAD has ended with it");
    const used = (await test.audit()).filter(({ event }) => event === "sad.used");
    assert.equal(used.length, 0);
  }));

Deno.test("several sign-ins with one ticket give one code", () =>
  withService(async (test) => {
    await test.enrol({ userID: "asen" });
    const { ticket } = await openPage(test, { scope: "service" });
    const sign = { decision: "sign_in", userID: "asen", pin: PIN };
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => onPage(test, "answer", ticket, sign)),
    );
    assert.equal(answers.filter(({ body }) => body.redirect).length, 1);
  }));

Deno.test("a client that may not list persons cannot learn whether someone exists", () =>
  withService(async (test) => {
    await test.enrol({ userID: "asen" });
    const clients = test.service.clients as Client[];
    clients[1] = { ...clients[1], listsPersons: false };
    const token = await test.token(OTHER_CLIENT);
    const ask = (userID: string) => test.call("/csc/v2/credentials/list", { userID }, token);
    assert.deepEqual(await ask("asen"), await ask("nobody"));
  }));
