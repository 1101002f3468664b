/** PIN and OTP: what is wrong tells nothing, what locks, who is locked, and deliveries that fail. */
import assert from "node:assert/strict";
import { OIDS } from "../protocol/csc.ts";
import {
  authorize,
  EXPLICIT,
  HASH,
  hashOf,
  onPage,
  withService,
} from "../tests/fixtures/otp_calls.ts";
import { CLIENT, OTHER_CLIENT, PIN } from "../tests/fixtures/otp_service.ts";
import { RULES } from "./authorize.ts";
import type { Client } from "./service.ts";

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
