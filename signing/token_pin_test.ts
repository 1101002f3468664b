import assert from "node:assert/strict";
import { DsignError } from "../protocol/errors.ts";
import type { History } from "../protocol/console.ts";
import type { Unlocked } from "../protocol/consent.ts";
import { PIN } from "../tests/fakes/memory_provider.ts";
import { PORTAL, testAgent } from "../tests/fixtures/agent.ts";

const TEXT = { content: { text: "Pay 1200.00 to the treasury" } } as const;
const OFFICER = { officers: [{ name: "Anita Das (TEST)" }] };
const bytes = (text: string) => new TextEncoder().encode(text);

/** What the agent's own page is answered. */
async function console<T>(origin: string, path: string, body: unknown): Promise<[number, T]> {
  const headers = { "content-type": "application/json", origin };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(`${origin}/console/${path}`, init);
  return [response.status, await response.json()];
}

/** Entries of the audit log, newest first, without their numbers and times. */
async function history(origin: string) {
  const [, { entries }] = await console<History>(origin, "history", {});
  return entries.map(({ number: _, time: __, ...entry }) => entry);
}

Deno.test("a token that hides its certificates is opened for a request that finds no other; the signature asks again", async () => {
  await using test = await testAgent(OFFICER);
  const client = await test.connect();
  test.provider.hides = true;
  const { tokens } = await client.call("token.list", {});
  assert.equal(tokens[0].state, "ready");
  assert.ok(!("hidesCertificates" in tokens[0]), "a page does not learn it");
  assert.deepEqual((await client.call("certificate.list", {})).certificates, []);
  await client.call("sign.data", TEXT);
  assert.deepEqual(test.person.asked.slice(-2), ["pin for certificates", "sign"]);
  assert.deepEqual(test.provider.story, ["reveal", "login 0", "sign 0", "logout 0"]);
  assert.equal((await client.call("certificate.list", {})).certificates.length, 1);
});

Deno.test("without its PIN nothing is signed, and a wrong one is tried once", async () => {
  await using test = await testAgent(OFFICER);
  const client = await test.connect();
  test.provider.hides = true;
  const seen: Unlocked[] = [];
  test.person.pin = async (request, attempt) => {
    assert.equal(request.asker.origin, PORTAL);
    for (const finalTry of [false, false, true]) {
      seen.push(await attempt({ pin: bytes("0000"), newPin: null, finalTry }));
    }
    throw new DsignError("user_cancelled");
  };
  await assert.rejects(client.call("sign.data", TEXT), { code: "user_cancelled" });
  assert.equal(test.provider.triesLeft, 0);
  assert.deepEqual(seen.map((each) => !each.ok && [each.code, each.pin?.tries ?? each.pin?.why]), [
    ["pin_incorrect", "low"],
    ["pin_incorrect", "final"],
    ["pin_incorrect", "pin_locked"],
  ]);
  assert.deepEqual(test.provider.story, []);
  const [entry] = await history(test.agent.origin);
  assert.deepEqual(entry, {
    action: "unlock",
    origin: PORTAL,
    token: { uri: "pkcs11:token=Officer%200;serial=0", label: "Officer 0" },
    outcome: "pin_incorrect",
  });
});

Deno.test("the console opens hidden certificates, and changes a PIN after checking the new one", async () => {
  await using test = await testAgent(OFFICER);
  test.provider.hides = true;
  const { origin } = test.agent;
  const [, [{ uri, driver, ...pin }]] = await console<Record<string, unknown>[]>(
    origin,
    "pins",
    {},
  );
  assert.deepEqual(pin, { hides: true, changes: true });
  const seen: Unlocked[] = [];
  const change = test.person.pin;
  test.person.pin = async (request, attempt, signal) => {
    assert.deepEqual(request.length, { min: 4, max: 8 });
    const type = (pin: string, newPin: string) =>
      attempt({ pin: bytes(pin), newPin: bytes(newPin), finalTry: false });
    seen.push(await type(PIN, "123"), await type(PIN, "123456789"));
    await change(request, attempt, signal);
  };
  assert.deepEqual(await console(origin, "pin", { uri, driver, purpose: "change" }), [200, {}]);
  assert.ok(seen.every((each) => !each.ok && each.code === "pin_invalid" && each.again));
  assert.deepEqual(test.provider.story, ["PIN 13579"], "a PIN of a wrong length is not tried");
  test.person.pin = change;
  assert.deepEqual(await console(origin, "pin", { uri, driver, purpose: "certificates" }), [
    200,
    {},
  ]);
  assert.equal(test.provider.hides, false);
  const [status] = await console(origin, "pin", { uri: "pkcs11:", driver, purpose: "change" });
  assert.equal(status, 500);
  const told = await history(origin);
  assert.deepEqual(told.map(({ action, outcome }) => [action, outcome]), [
    ["unlock", "done"],
    ["change_pin", "done"],
  ]);
  for (const secret of [PIN, "13579"]) assert.ok(!JSON.stringify(told).includes(`"${secret}"`));
});
