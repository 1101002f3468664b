/** PIN and OTP: what is wrong tells nothing, what locks, who is locked, and deliveries that fail. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { argon2id } from "hash-wasm";
import { OIDS } from "../protocol/csc.ts";
import {
  authorize,
  EXPLICIT,
  HASH,
  hashOf,
  onPage,
  withService,
} from "../tests/fixtures/otp_calls.ts";
import {
  CLIENT,
  makeService,
  OTHER_CLIENT,
  PIN,
  type TestService,
} from "../tests/fixtures/otp_service.ts";
import { type Guard, RULES, wrongInARow } from "./authorize.ts";
import { Secrets } from "./secrets.ts";
import type { Client } from "./service.ts";

Deno.test("a wrong PIN, a wrong OTP, both, an unknown credential and a missing OTP request get the same text for the same work", () =>
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

Deno.test("five wrong answers mean a wait and a notice, fifty lock, and unlocking needs proof and a new PIN", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const attempt = (number: number, factors: { pin?: string; otp?: string } = {}) =>
      authorize(test, credentialID, [hashOf(new TextEncoder().encode(`${number}`))], factors);
    const told = () => test.sent.filter(({ message }) => /wrong answers/.test(message.text));
    for (let i = 0; i < 5; i++) {
      test.clock.now += RULES.resendAfter;
      const { body } = await attempt(i, i % 2 ? { pin: "493818" } : { otp: "0000000" });
      assert.equal(body.error, "invalid_authentication_data");
    }
    assert.equal(told().length, 1, "the person is told once");
    test.clock.now += RULES.resendAfter;
    const soon = await attempt(5);
    assert.deepEqual([soon.status, soon.body.error_description], [
      429,
      "Too many wrong answers; try again later",
    ]);
    test.clock.now += RULES.backOff;
    assert.equal((await attempt(6)).status, 200, "the right answer after the wait");

    await setTries(test, { answers: { paid: 48, right: 0, until: 0 } });
    for (let i = 7; i < 9; i++) {
      test.clock.now += RULES.longestBackOff;
      assert.equal((await attempt(i, { pin: "493818" })).status, 400);
    }
    assert.match(test.sent.at(-1)!.message.subject, /locked/);
    const token = await test.token();
    const info = await test.call("/csc/v2/credentials/info", { credentialID }, token);
    assert.equal(info.body.key.status, "disabled");
    const challenge = { credentialID, authObjectID: "OTP" };
    test.clock.now += RULES.longestBackOff;
    await test.call("/csc/v2/credentials/getChallenge", challenge, await test.token());
    const locked = await attempt(1000);
    assert.equal(locked.body.error_description, "Credential locked");
    const admin = await test.token();
    const noProof = await test.call("/portal/v1/persons/asen/unlock", {}, admin);
    assert.equal(noProof.status, 400);
    const proof = "Seen with identity card 1234 by R. Das";
    const unlocked = await test.call("/portal/v1/persons/asen/unlock", { proof }, admin);
    assert.deepEqual(unlocked.body, { enrolment: { sent: "mail" } });
    const code = `enrol-${/#enrol-(\S+)/.exec(test.sent.at(-1)!.message.text)![1]}`;
    assert.equal((await onPage(test, "view", code)).body.name, "Anita Sen");
    const set = (pin: string) => onPage(test, "answer", code, { decision: "set_pin", pin });
    assert.equal((await set("123456")).body.code, "weak_pin");
    assert.equal((await set("628194")).body.ok, true);
    assert.equal((await set("628194")).body.code, "ended", "once");
    test.clock.now += 3_600_000;
    assert.equal((await authorize(test, credentialID, [HASH], { pin: "628194" })).status, 200);
    assert.ok((await test.audit()).some((line) => line.proof === proof));
  }));

function setTries(test: TestService, tries: Partial<Guard>): Promise<void> {
  return test.service.store.run(async (tx) => {
    const row = (await tx.person("asen"))!;
    tx.savePerson({ ...row, guard: { ...row.guard, ...tries } });
  });
}

Deno.test("changing the PIN takes the old one and an OTP, and ends earlier authorizations", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const answer = (ticket: string, reply: unknown) => onPage(test, "answer", ticket, reply);
    const start = (pin: string) =>
      answer("x", { decision: "start_change", userID: "asen", pin }).then(({ body }) => body);
    const login = () =>
      test.handler(
        new Request("https://sign.works.example/csc/v2/auth/login", {
          method: "POST",
          headers: { authorization: `Basic ${btoa(`asen:${PIN}`)}` },
        }),
      ).then((response) => response.json());
    const { access_token } = await login();
    const list = () => test.call("/csc/v2/credentials/list", {}, access_token);
    assert.equal((await list()).status, 200);

    assert.deepEqual(await start("628195"), { ok: false, code: "wrong" });
    const { ticket } = await start(PIN);
    assert.equal((await onPage(test, "view", ticket)).body.kind, "change");
    const change = (otp: string, newPin: string, by = ticket) =>
      answer(by, { decision: "change_pin", otp, newPin }).then(({ body }) => body);
    assert.equal((await change("000000", "719384")).code, "wrong", "no OTP was asked for yet");
    assert.equal((await onPage(test, "send", ticket, {})).body.ok, true);
    assert.match(test.sent.at(-1)!.message.subject, /change your signing PIN/);
    const otp = test.lastOtp();
    assert.equal((await change(otp, "123456")).code, "weak_pin");
    assert.equal((await change(otp, PIN)).code, "weak_pin", "the old one");
    const wrong = otp === "000000" ? "000001" : "000000";
    assert.deepEqual(await change(wrong, "719384"), { ok: false, code: "wrong", triesLeft: 2 });

    // Another change, and an authorization, are under way when the PIN changes: they end.
    const { ticket: other } = await start(PIN);
    const { body: { SAD }, token } = await authorize(test, credentialID);
    assert.equal((await change(otp, "719384")).ok, true);
    assert.equal((await change(otp, "628194")).code, "ended", "once");
    assert.equal((await onPage(test, "send", other, {})).body.code, "ended");
    const signed = await test.call("/csc/v2/signatures/signHash", {
      credentialID,
      SAD,
      hashes: [HASH],
      signAlgo: OIDS.ecdsaWithSha256,
    }, token);
    assert.equal(signed.body.error_description, "Invalid parameter SAD");
    assert.equal((await list()).status, 401, "a token of the old PIN");
    assert.equal((await login()).error, "authentication_error");
    assert.deepEqual(await start(PIN), { ok: false, code: "wrong" });
    assert.ok((await start("719384")).ok);
  }));

Deno.test("a change under way does not overwrite a PIN that an administrator has reset", () =>
  withService(async (test) => {
    await test.enrol({ userID: "asen" });
    const { people, changePin } = test.service;
    const ticket = (await changePin.start("asen", PIN))!;
    await onPage(test, "send", ticket, {});
    const otp = test.lastOtp();
    const reset = people.unlock("asen", "Seen by R. Das", "test");
    const [changed] = await Promise.all([changePin.finish(ticket, otp, "719384"), reset]);
    const row = await test.service.store.read((tx) => tx.person("asen"));
    assert.equal(row!.pin, null);
    assert.equal(changed.ok, false);
  }));

Deno.test("strangers who know a name can neither stop its owner from signing nor keep notices away", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const signIn = (pin: string) => test.service.people.checkPin("asen", pin, "stranger");
    for (let i = 0; i < 20; i++) assert.equal(await signIn("000000"), null);
    assert.match(test.sent.at(-1)!.message.text, /wrong PINs in a row/);
    assert.equal(await signIn(PIN), null, "not looked at now, whether right or wrong");
    assert.equal((await authorize(test, credentialID)).status, 200);
    assert.ok(await signIn(PIN), "who signed has proved who it is");

    await setTries(test, { signIns: { paid: 48, right: 0, until: 0 } });
    for (let i = 0; i < 4; i++) {
      test.clock.now += RULES.longestBackOff;
      assert.equal(await signIn("000000"), null);
    }
    const { guard } = (await test.service.store.read((tx) => tx.person("asen")))!;
    assert.equal(guard.signIns.paid, RULES.lockAfter, "then the sign-in is closed");
    assert.match(test.sent.at(-1)!.message.subject, /closed/);
    assert.equal(await signIn(PIN), null);
    assert.equal((await authorize(test, credentialID, [HASH])).status, 200);
    assert.ok(await signIn(PIN), "and opens again");
  }));

Deno.test("the right answer sent several times at once gives one SAD and locks nobody", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    for (const count of [2, 3, 4, 8, 8, 8]) {
      test.clock.now += RULES.window;
      const token = await test.token();
      const what = { credentialID, hashes: [HASH], numSignatures: 1 };
      await test.call("/csc/v2/credentials/getChallenge", { ...what, authObjectID: "OTP" }, token);
      const authData = [{ id: "PIN", value: PIN }, { id: "OTP", value: test.lastOtp() }];
      const answers = await Promise.all(
        Array.from(
          { length: count },
          () => test.call("/csc/v2/credentials/authorize", { ...what, authData }, token),
        ),
      );
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    }
    const row = await test.service.store.read((tx) => tx.person("asen"));
    assert.equal(wrongInARow(row!.guard.answers), 0);
  }));

Deno.test("people turned away when the service is busy lose no try", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const running = [await test.pins.turn("stranger", "x"), await test.pins.turn("stranger", "x")];
    const crowd = Array.from(
      { length: 16 },
      () => test.pins.turn("stranger", "x").then((turn) => turn[Symbol.dispose](), () => {}),
    );
    const signIn = () => test.service.people.checkPin("asen", PIN, "stranger");
    for (let i = 0; i < 6; i++) await assert.rejects(signIn(), { code: "too_many" });
    const signing = authorize(test, credentialID, [HASH]);
    running[0][Symbol.dispose]();
    assert.equal((await signing).status, 200, "who has PIN and OTP comes first");
    running[1][Symbol.dispose]();
    await Promise.all(crowd);
    assert.ok(await signIn());
  }));

Deno.test("an administrator's lock stops signatures in progress", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const login = await test.handler(
      new Request("https://sign.works.example/csc/v2/auth/login", {
        method: "POST",
        body: JSON.stringify({ rememberMe: true }),
        headers: { authorization: `Basic ${btoa(`asen:${PIN}`)}` },
      }),
    );
    let { refresh_token } = await login.json();
    const refresh = () => test.call("/csc/v2/auth/login", { refresh_token });
    const renewed = await refresh();
    assert.equal(renewed.status, 200);
    refresh_token = renewed.body.refresh_token;
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

Deno.test("a client removed from the configuration is a stranger, and one without admin rights is no administrator", () =>
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
    const refreshed = await test.form("/oauth2/token", {
      grant_type: "refresh_token",
      refresh_token,
    });
    assert.equal(refreshed.status, 400);
    clients.unshift(portal);
    const again = { grant_type: "refresh_token", refresh_token };
    assert.equal((await test.form("/oauth2/token", again)).status, 200);
  }));

Deno.test("an undelivered enrolment link is reported, and the person is still created", () =>
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

Deno.test("a failed delivery is reported, and a later one continues the same authorization", () =>
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

Deno.test("a PIN hash from before rows were sealed is bound to its person at the next right PIN", async () => {
  const secret = new Uint8Array(32).fill(8);
  const test = makeService({ secret });
  try {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const salt = new Uint8Array(16).fill(3);
    const password = createHmac("sha256", new Secrets(secret).pepper.pepper()!).update(PIN)
      .digest();
    const hash = await argon2id({
      ...{ password: new Uint8Array(password), salt, hashLength: 32, outputType: "binary" },
      ...{ parallelism: 1, iterations: 2, memorySize: 19 * 1024 },
    });
    const text = (bytes: Uint8Array) =>
      bytes.toBase64({ alphabet: "base64url", omitPadding: true });
    const old = `v1.${text(salt)}.${text(hash)}`;
    const store = test.service.store;
    const set = () =>
      store.run(async (tx) => tx.savePerson({ ...(await tx.person("asen"))!, pin: old }));
    const bound = async () => (await store.read((tx) => tx.person("asen")))!.pin!;
    await set();
    assert.equal(await test.service.people.checkPin("asen", "628194", "stranger"), null);
    assert.equal((await authorize(test, credentialID, [HASH], { pin: "628194" })).status, 400);
    assert.equal(await bound(), old, "not by a wrong PIN");
    test.clock.now += RULES.window;
    assert.ok(await test.service.people.checkPin("asen", PIN, "stranger"));
    assert.match(await bound(), /^v3\./);
    await set();
    assert.equal((await authorize(test, credentialID)).status, 200);
    assert.match(await bound(), /^v3\./);
    assert.ok(await test.service.people.checkPin("asen", PIN, "stranger"));
  } finally {
    await test.close();
  }
});
