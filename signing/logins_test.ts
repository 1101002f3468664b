import assert from "node:assert/strict";
import { MemoryProvider, PIN } from "../tests/fakes/memory_provider.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { Logins } from "./logins.ts";
import type { Credential } from "./tokens.ts";

Deno.test("a kept login ends by the clock, also where timers stood still or the clock was set back", async () => {
  const provider = new MemoryProvider(makePki({ officers: [{ name: "Anita" }] }).officers);
  const { keys: [key] } = await provider.list();
  const credential: Credential = { id: "a", choice: "a", key, provider };
  let now = 1_000_000;
  const logins = new Logins(60_000, () => now);
  const open = async () => {
    const askPin = () => Promise.resolve(new TextEncoder().encode(PIN));
    const signer = await provider.open(key, { hash: "SHA-256", askPin });
    await logins.add(credential, signer).release(true);
  };
  const isKept = () => logins.has(credential, "SHA-256");
  await open();
  assert.equal(isKept(), true);
  assert.equal(logins.find("a"), credential);
  now += 59_999;
  assert.equal(isKept(), true);
  now += 1; // the lid was closed for a while
  assert.equal(isKept(), false);
  assert.equal(logins.find("a"), undefined);
  assert.equal(logins.reuse(credential, "SHA-256"), undefined);
  await logins.makeRoom(credential);
  assert.deepEqual(provider.story, ["login 0", "logout 0"]);

  await open();
  now -= 1000;
  assert.equal(isKept(), false);
  await logins.close();
});

Deno.test("a token is logged in to again only after the last signature of a login that has failed", async () => {
  const provider = new MemoryProvider(makePki({ officers: [{ name: "Anita" }] }).officers);
  const { keys: [key] } = await provider.list();
  const credential: Credential = { id: "a", choice: "a", key, provider };
  const logins = new Logins(60_000);
  const askPin = () => Promise.resolve(new TextEncoder().encode(PIN));
  const signer = await provider.open(key, { hash: "SHA-256", askPin });
  const failing = logins.add(credential, signer);
  const working = logins.reuse(credential, "SHA-256")!;
  await failing.release(false);
  assert.equal(logins.has(credential, "SHA-256"), false);
  assert.equal(logins.find("a"), undefined);
  let isFree = false;
  const room = logins.makeRoom(credential).then(() => void (isFree = true));
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isFree, false);
  assert.deepEqual(provider.story, ["login 0"]);
  await working.release(true);
  await room;
  assert.deepEqual(provider.story, ["login 0", "logout 0"]);
  await logins.close();
  assert.deepEqual(provider.story, ["login 0", "logout 0"]);
});
