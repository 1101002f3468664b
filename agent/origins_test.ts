import assert from "node:assert/strict";
import { join } from "node:path";
import { DsignError } from "../protocol/errors.ts";
import type { Asker } from "../protocol/consent.ts";
import { answerTo, testAgent } from "../tests/fixtures/agent.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { Origins } from "./origins.ts";

const SITE = "https://site.example";

Deno.test("a site asks for a grant once, for what it needs, and gets no more", async () => {
  await using test = await testAgent();
  const client = await test.connect(SITE);
  assert.deepEqual(await client.call("origin.status", {}), {
    origin: SITE,
    scopes: [],
    expiresAt: null,
  });
  await assert.rejects(client.call("token.list", {}), { code: "origin_not_allowed" });
  await assert.rejects(client.call("sign.data", { content: { text: "a" } }), {
    code: "origin_not_allowed",
  });
  const granted = await client.call("origin.request", { scopes: ["certificates"] });
  assert.deepEqual(granted.scopes, ["certificates"]);
  assert.ok(await client.call("token.list", {}));
  await assert.rejects(client.call("sign.hash", { digests: ["AAAA"] }), {
    code: "scope_not_granted",
  });
  await client.call("origin.request", { scopes: ["certificates"] });
  assert.deepEqual(test.person.asked, ["grant certificates"]);
  const more = await client.call("origin.request", { scopes: ["sign"] });
  assert.deepEqual(more.scopes, ["certificates", "sign"]);
  assert.deepEqual(test.person.asked, ["grant certificates", "grant certificates,sign"]);
  // Other sites, and the same host by another scheme or port, have nothing of it.
  for (const origin of ["https://site.example:8443", "https://www.site.example"]) {
    const other = await test.connect(origin);
    await assert.rejects(other.call("token.list", {}), { code: "origin_not_allowed" });
  }
  const { mode } = await Deno.stat(test.grants);
  if (Deno.build.os !== "windows") assert.equal(mode! & 0o777, 0o600);
  assert.deepEqual(
    (await Array.fromAsync(Deno.readDir(test.dir))).map(({ name }) => name).sort(),
    ["audit", "origins.json", "spool"],
  );
});

Deno.test("a declined grant gives nothing, and also declines the site's requests made meanwhile", async () => {
  await using test = await testAgent();
  const asked = Promise.withResolvers<() => void>();
  test.person.grant = () =>
    new Promise((_, reject) => asked.resolve(() => reject(new DsignError("user_cancelled"))));
  const client = await test.connect(SITE);
  const all = [1, 2, 3].map(() => client.call("origin.request", { scopes: ["sign"] }));
  const decline = await asked.promise;
  await client.call("agent.info", {}); // by now, all have arrived
  decline();
  for (const each of all) await assert.rejects(each, { code: "user_cancelled" });
  assert.deepEqual((await client.call("origin.status", {})).scopes, []);
});

Deno.test("the agent's own pages ask for signatures as the person's own, and can be granted nothing more", async () => {
  await using test = await testAgent();
  const askers: Asker[] = [];
  test.person.sign = async (request, unlock) => {
    askers.push(request.asker);
    await unlock(answerTo(request));
  };
  const client = await test.connect(test.agent.origin);
  assert.equal((await client.call("certificate.list", {})).certificates.length, 2);
  const content = { text: "a" };
  await client.call("sign.data", { content });
  await assert.rejects(client.call("sign.data", { content, format: "raw" }), {
    code: "scope_not_granted",
  });
  await assert.rejects(client.call("origin.request", { scopes: ["sign_hash"] }), {
    code: "scope_not_granted",
  });
  assert.deepEqual(askers.map(({ origin, own }) => [origin, own]), [[null, true]]);
});

Deno.test("the certificate that a person chose for a site is offered first there", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  test.person.choose = ({ choices }) => Promise.resolve(choices[1].certificate.id);
  const { id } = await client.call("certificate.choose", {});
  let preferred: string | undefined;
  test.person.choose = (request) => {
    preferred = request.preferred;
    return Promise.resolve("0".repeat(64));
  };
  await assert.rejects(client.call("certificate.choose", {}), { code: "certificate_not_found" });
  assert.equal(preferred, id);
  const other = await test.connect(SITE);
  await other.call("origin.request", { scopes: ["certificates"] });
  await assert.rejects(other.call("certificate.choose", {}));
  assert.equal(preferred, undefined);
});

Deno.test("grants outlive the agent, and lapse after a year", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "origins.json");
    let now = new Date("2026-03-01T00:00:00Z");
    const origins = await Origins.load(path, [], () => now);
    await origins.set(SITE, origins.proposal(SITE, ["sign"]));
    const again = await Origins.load(path, [], () => now);
    assert.deepEqual(again.get(SITE), {
      scopes: ["sign"],
      grantedAt: "2026-03-01T00:00:00.000Z",
      expiresAt: "2027-03-01T00:00:00.000Z",
    });
    now = new Date("2027-03-01T00:00:00Z");
    assert.equal(again.get(SITE), undefined);
    assert.deepEqual(again.proposal(SITE, ["certificates"]).scopes, ["certificates"]);
  }));

Deno.test("a damaged file of grants stops the start and is kept", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "origins.json");
    for (const text of ["", "{", "[]", '{"https://a.example":{"scopes":["all"]}}']) {
      await Deno.writeTextFile(path, text);
      await assert.rejects(Origins.load(path, [], () => new Date()), { code: "storage_failed" });
      assert.equal(await Deno.readTextFile(path), text);
    }
  }));

Deno.test("a grant that cannot be written does not hold", () =>
  inTempDir(async (dir) => {
    const origins = await Origins.load(join(dir, "gone", "origins.json"), [], () => new Date());
    await assert.rejects(origins.set(SITE, origins.proposal(SITE, ["sign"])), {
      code: "storage_failed",
    });
    assert.equal(origins.get(SITE), undefined);
  }));

Deno.test("where the administrator refuses other sites, an earlier grant of the person's is void too", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "origins.json");
    const allowed = [{ origin: "https://portal.example", scopes: ["certificates" as const] }];
    const now = () => new Date();
    const before = await Origins.load(path, allowed, now);
    await before.set("https://other.example", before.proposal("https://other.example", ["sign"]));
    assert.ok((await Origins.load(path, allowed, now)).get("https://other.example"));
    const after = await Origins.load(path, allowed, now, "refuse");
    assert.equal(after.get("https://other.example"), undefined);
    assert.equal(after.mayBeGranted("https://other.example"), false);
    assert.deepEqual(after.get("https://portal.example")?.scopes, ["certificates"]);
  }));

Deno.test("a site refused by the administrator gets an error, and nobody is asked", async () => {
  await using test = await testAgent({ otherOrigins: "refuse" });
  const client = await test.connect(SITE);
  await assert.rejects(client.call("origin.request", { scopes: ["sign"] }), {
    code: "origin_not_allowed",
    message: /administrator/,
  });
  assert.deepEqual(test.person.asked, []);
  assert.ok((await (await test.connect()).call("token.list", {})).tokens.length > 0);
});

Deno.test("a site that nobody knows cannot keep the window by many names, by failures or by waiting", async () => {
  await using test = await testAgent({ allowedOrigins: [] });
  const waits: (number | undefined)[] = [];
  let code: "user_cancelled" | "consent_unavailable" = "user_cancelled";
  test.person.grant = ({ asker }) => {
    waits.push(asker.answerWithin);
    return Promise.reject(new DsignError(code));
  };
  const ask = async (origin: string) => {
    const client = await test.connect(origin);
    const asked = client.call("origin.request", { scopes: ["sign"], answerWithin: 1800 });
    return await asked.then(() => "granted", (error) => error.code);
  };
  for (let i = 0; i < 5; i++) assert.equal(await ask(`https://a${i}.evil.example`), code);
  assert.equal(await ask("https://b.evil.example"), "busy");
  code = "consent_unavailable"; // where the browser cannot be started, for example
  for (let i = 0; i < 5; i++) assert.equal(await ask("https://weather.example"), code);
  assert.equal(await ask("https://weather.example"), "busy");
  test.person.grant = () => Promise.resolve();
  assert.equal(await ask("https://portal.example"), "granted");
  assert.deepEqual(waits, new Array(10).fill(undefined));
});
