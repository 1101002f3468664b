/** Ideas that attackers may have, tried on the service as it answers; each file beside holds those of its own matter. */
import assert from "node:assert/strict";
import {
  authorize,
  EXPLICIT,
  HASH,
  hashOf,
  onPage,
  openPage,
  STORED,
  withService,
} from "../tests/fixtures/otp_calls.ts";
import {
  CLIENT,
  makeService,
  OTHER_CLIENT,
  PIN,
  PUBLIC_URL,
} from "../tests/fixtures/otp_service.ts";
import { OIDS } from "../protocol/csc.ts";
import { entryOf } from "./audit.ts";
import { wrongInARow } from "./authorize.ts";
import { sealWithCurrent } from "./rotate_secret.ts";
import { openSqlite } from "./store_sqlite.ts";

Deno.test("a pending entry of the audit that is copied, or brought back after it was sealed, stops the sealing", async () => {
  for (const when of ["before", "after"] as const) {
    const database = openSqlite(":memory:");
    const test = makeService({ database });
    const write = (text: string) => database.transaction((query) => query(text));
    try {
      await test.token();
      await write("CREATE TABLE kept AS SELECT * FROM pending");
      if (when === "after") await test.service.store.auditHead();
      await write(
        "INSERT INTO pending (id, lines, delta, mac) SELECT id, lines, delta, mac FROM kept",
      );
      await assert.rejects(test.service.store.auditHead(), {
        name: "TamperedError",
        message: /somebody brought it back/,
      });
      await write("DELETE FROM pending WHERE number > (SELECT max(number) FROM kept)");
      assert.equal((await test.service.store.verifyAudit()).problem, undefined, "it goes on");
      await test.service.store.check();
    } finally {
      await test.close();
    }
  }
});

Deno.test("one link to set a PIN, used at once with two PINs, sets one", () =>
  withService(async (test) => {
    const { status } = await test.call("/portal/v1/persons", {
      userID: "asen",
      name: "Anita Sen",
      email: "anita@works.example",
    }, await test.token());
    assert.equal(status, 201);
    const [link] = /enrol-[\w-]+/.exec(test.sent.at(-1)!.message.text)!;
    const pins = ["719384", "628194"];
    const answers = await Promise.all(
      pins.map((pin) => onPage(test, "answer", link, { decision: "set_pin", pin })),
    );
    const set = answers.flatMap(({ body }, i) => body?.ok ? [pins[i]] : []);
    assert.equal(set.length, 1);
    for (const pin of pins) {
      const right = await test.service.people.checkPin("asen", pin, "stranger").catch(() => null);
      assert.equal(right !== null, pin === set[0]);
    }
  }));

Deno.test("a receipt is told to the portal that signed, and to no other", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: STORED });
    const { token, body: { SAD } } = await authorize(test, credentialID);
    const signing = { credentialID, SAD, hashes: [HASH], signAlgo: OIDS.ecdsaWithSha256 };
    assert.equal((await test.call("/csc/v2/signatures/signHash", signing, token)).status, 200);
    const lines = await Array.fromAsync(test.service.store.audit());
    const entry = entryOf(lines.find((line) => line.includes('"signature.made"'))!).toHex();
    const fetchedBy = async (client: typeof CLIENT) => {
      const headers = { authorization: `Bearer ${await test.token(client)}` };
      const request = new Request(`${PUBLIC_URL}/portal/v1/receipts/${entry}`, { headers });
      const response = await test.handler(request);
      await response.body?.cancel();
      return response.status;
    };
    assert.deepEqual([await fetchedBy(CLIENT), await fetchedBy(OTHER_CLIENT)], [200, 404]);
  }));

Deno.test("wrong OTPs given through two portals count together", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    for (const client of [CLIENT, OTHER_CLIENT, CLIENT]) {
      const wrong = () => test.lastOtp() === "000000" ? "000001" : "000000";
      const token = await test.token(client);
      const what = { credentialID, hashes: [HASH], numSignatures: 1 };
      const asked = { ...what, authObjectID: "OTP", description: "Sanction 7" };
      await test.call("/csc/v2/credentials/getChallenge", asked, token);
      const authData = [{ id: "PIN", value: PIN }, { id: "OTP", value: wrong() }];
      const { status } = await test.call(
        "/csc/v2/credentials/authorize",
        { ...what, authData },
        token,
      );
      assert.equal(status, 400);
      test.clock.now += 120_000;
    }
    const row = await test.service.store.read((tx) => tx.person("asen"));
    assert.equal(wrongInARow(row!.guard.answers), 3);
  }));

Deno.test("a form or JSON that says a thing twice, or in another kind, is refused", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const twice = new URLSearchParams([
      ["grant_type", "client_credentials"],
      ["client_id", CLIENT.id],
      ["client_secret", CLIENT.secret],
      ["client_id", OTHER_CLIENT.id],
    ]).toString();
    const response = await test.handler(
      new Request(`${PUBLIC_URL}/oauth2/token`, {
        method: "POST",
        body: twice,
        headers: { "content-length": String(twice.length) },
      }),
    );
    assert.equal(response.status, 400);
    await response.body?.cancel();
    const token = await test.token();
    for (
      const body of [
        `{"__proto__":{"credentialID":"${credentialID}"}}`,
        `{"credentialID":["${credentialID}"]}`,
        `{"credentialID":{"toString":"${credentialID}"}}`,
      ]
    ) {
      const request = new Request(`${PUBLIC_URL}/csc/v2/credentials/info`, {
        method: "POST",
        body,
        headers: { authorization: `Bearer ${token}` },
      });
      const { status, body: stream } = await test.handler(request);
      await stream?.cancel();
      assert.equal(status, 400, body);
    }
  }));

Deno.test("a SAD is good for its client, its credential and its hash alone, and a try with another ends it", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: STORED });
    const other = await test.enrol({ userID: "broy", credential: STORED });
    const tries: { by?: typeof CLIENT; credential?: string; hash?: string }[] = [
      { by: OTHER_CLIENT },
      { credential: other },
      { hash: hashOf(new TextEncoder().encode("another")) },
    ];
    for (const { by, credential = credentialID, hash = HASH } of tries) {
      const { token, body: { SAD } } = await authorize(test, credentialID);
      const sign = async (credentialID: string, hash: string, token: string) => {
        const body = { credentialID, SAD, hashes: [hash], signAlgo: OIDS.ecdsaWithSha256 };
        return (await test.call("/csc/v2/signatures/signHash", body, token)).status;
      };
      assert.equal(await sign(credential, hash, by ? await test.token(by) : token), 400);
      assert.equal(await sign(credentialID, HASH, token), 400, "it was ended");
      test.clock.now += 600_000;
    }
  }));

Deno.test("a page that was closed by a rejection in one tab signs in no other", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    const { ticket } = await openPage(test, {
      scope: "credential",
      credentialID,
      numSignatures: "1",
      hashes: HASH,
    });
    await onPage(test, "send", ticket, {});
    const otp = test.lastOtp();
    await onPage(test, "answer", ticket, { decision: "reject" });
    const late = await onPage(test, "answer", ticket, {
      decision: "approve",
      pin: PIN,
      otp,
      language: "en",
    });
    assert.ok(late.status >= 400 || late.body.redirect === undefined, JSON.stringify(late));
    const events = (await test.audit()).map(({ event }) => event);
    assert.ok(!events.includes("authorization.given"));
  }));

Deno.test("half of a character breaks no row's seal", () =>
  withService(async (test) => {
    await test.enrol({ userID: "asen" });
    const token = await test.token();
    const { store, people } = test.service;
    const half = "phone lost \ud83d";
    const refused = await test.call("/portal/v1/persons/asen/lock", { reason: half }, token);
    assert.equal(refused.status, 400);
    // whatever way it takes, what was sealed is what the database keeps
    await people.lock("asen", half, "test");
    assert.equal((await people.list())[0].reason, half.toWellFormed());

    const name = encodeURIComponent(`${"x".repeat(199)}😀`);
    const { body } = await test.call(`/portal/v1/documents?name=${name}`, "order", token);
    const shown = await store.read((tx) => tx.documentsOf(CLIENT.id, [body.hashes.document]));
    assert.equal(shown.length, 1);
    await store.check({ seals: true });
    await sealWithCurrent({ store, by: "test" });
  }));
