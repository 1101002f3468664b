import assert from "node:assert/strict";
import { startSquatter } from "../tests/fakes/squatter.ts";
import { join } from "node:path";
import type { History, HistoryReport, PortHolder, Root, Site } from "../protocol/console.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { PORTAL, testAgent } from "../tests/fixtures/agent.ts";

async function atConsole(trust: string[] = []) {
  let language = "en";
  const test = await testAgent({
    trust,
    settings: {
      language: () => language,
      keepLanguage: (chosen) => (language = chosen, Promise.resolve()),
      quit: () => {},
    },
  });
  const { origin } = test.agent;
  const post = (name: string, body: unknown = {}, headers: Record<string, string> = { origin }) =>
    fetch(`${origin}/console/${name}`, { method: "POST", body: JSON.stringify(body), headers });
  return {
    ...test,
    post,
    ask: async <T>(name: string, body?: unknown): Promise<T> => {
      const response = await post(name, body);
      assert.equal(response.status, 200);
      return await response.json();
    },
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

Deno.test("sites are listed, and the person's grants can be withdrawn", async () => {
  await using test = await atConsole();
  const site = await test.connect("https://site.example");
  await site.call("origin.request", { scopes: ["certificates"] });
  const sites = await test.ask<Site[]>("sites");
  assert.deepEqual(sites.map(({ origin, scopes }) => [origin, scopes]), [
    [PORTAL, ["certificates", "sign", "sign_hash"]],
    ["https://site.example", ["certificates"]],
  ]);
  assert.deepEqual([sites[0].grantedAt, sites[0].expiresAt], [null, null]);
  assert.ok(sites[1].grantedAt && sites[1].expiresAt! > sites[1].grantedAt);

  await test.ask("revoke", { origin: "https://site.example" });
  assert.equal((await site.closed).code, 1001);
  const again = await test.connect("https://site.example");
  await assert.rejects(again.call("token.list", {}), { code: "origin_not_allowed" });
  assert.equal((await test.ask<Site[]>("sites")).length, 1);
  await test.ask("revoke", { origin: PORTAL });
  assert.equal((await test.ask<Site[]>("sites")).length, 1, "the administrator's stays");
  const [, revoked] = (await test.ask<History>("history")).entries;
  assert.deepEqual(
    [revoked.action, revoked.origin, revoked.scopes],
    ["revoke", "https://site.example", ["certificates"]],
  );
});

Deno.test("the history is shown page by page, and checked", async () => {
  await using test = await atConsole();
  const site = await test.connect();
  for (let i = 0; i < 60; i++) await site.call("sign.data", { content: { text: String(i) } });
  const { entries, more } = await test.ask<History>("history");
  assert.deepEqual([entries.length, entries[0].number, more], [50, 60, true]);
  const rest = await test.ask<History>("history", { before: entries.at(-1)!.number });
  assert.deepEqual([rest.entries.length, rest.entries[0].number, rest.more], [10, 10, false]);
  assert.deepEqual(await test.ask<HistoryReport>("verify"), { entries: 60, fault: null });
});

Deno.test("roots are added as they were shown, listed and removed; the administrator's stay", () =>
  inTempDir(async (dir) => {
    const [own, administrators] = ["own", "administrators"].map((name) => join(dir, name));
    await using test = await atConsole([own, administrators]);
    const pki = makePki({ officers: [] });
    const { der, fingerprint } = pki.root.certificate;
    const file = der.toBase64();
    assert.deepEqual(await test.ask<Root[]>("roots"), []);
    const [root] = await test.ask<Root[]>("roots/read", { file });
    assert.deepEqual(
      [root.subject, root.sha256, root.known, root.isOfCca, root.refused],
      [pki.root.certificate.subject.toString(), fingerprint, null, true, null],
    );
    const below = pki.ca.certificate.der.toBase64();
    const [refused] = await test.ask<Root[]>("roots/read", { file: below });
    assert.equal(refused.refused, "issued_by_another");

    const status = async (name: string, body: unknown) => {
      const response = await test.post(name, body);
      await response.body?.cancel();
      return response.status;
    };
    assert.equal(await status("roots/read", { file: btoa("no certificate") }), 500);
    assert.equal(await status("roots/add", { file, shown: ["0".repeat(64)] }), 400);
    const shown = [refused.sha256];
    assert.equal(await status("roots/add", { file: below, shown }), 400);
    assert.deepEqual(await test.ask<Root[]>("roots"), []);

    await test.ask("roots/add", { file, shown: [fingerprint] });
    await Deno.mkdir(administrators);
    await Deno.writeFile(join(administrators, "root.der"), der);
    const listed = (await test.ask<Root[]>("roots")).map(({ isAdministrators }) =>
      isAdministrators
    );
    assert.deepEqual(listed, [false, true]);
    await test.ask("roots/remove", { sha256: fingerprint });
    const left = await test.ask<Root[]>("roots");
    assert.deepEqual(left.map(({ isAdministrators }) => isAdministrators), [true]);
  }));

Deno.test("the language is kept, where it is one of ours", async () => {
  await using test = await atConsole();
  await test.ask("language", { language: "bn" });
  assert.deepEqual(await test.ask("settings"), { language: "bn" });
  const refused = await test.post("language", { language: "tlh" });
  assert.equal(refused.status, 400);
  await refused.body?.cancel();
});

Deno.test("no other page, and no site, gets to the console's requests", async () => {
  await using test = await atConsole();
  const { origin } = test.agent;
  const names = ["sites", "revoke", "history", "verify", "settings", "language"];
  for (const name of [...names, "roots", "roots/read", "roots/add", "roots/remove"]) {
    for (
      const headers of [
        {},
        { origin: "null" },
        { origin: PORTAL },
        { origin: "http://127.0.0.1:1" },
        { origin, "sec-fetch-site": "cross-site" },
        { origin, "sec-fetch-site": "same-site" },
        { origin, "sec-fetch-site": "none" },
      ] as Record<string, string>[]
    ) {
      const response = await test.post(name, { origin: PORTAL }, headers);
      assert.equal(response.status, 403, JSON.stringify(headers));
      await response.body?.cancel();
    }
    const got = await fetch(`${origin}/console/${name}`);
    assert.equal(got.status, 404);
    await got.body?.cancel();
  }
});

Deno.test("the console names the program at a port that comes before", async () => {
  await using squatter = await startSquatter();
  const test = await testAgent({ ports: [squatter.port, 0] });
  await using _ = test;
  const { origin } = test.agent;
  const response = await fetch(`${origin}/console/ports`, {
    method: "POST",
    body: "{}",
    headers: { origin },
  });
  const [holder, ...others] = await response.json() as PortHolder[];
  assert.deepEqual([holder.port, others], [squatter.port, []]);
  if (Deno.build.os === "linux") assert.match(holder.program!, /deno/i);
});
