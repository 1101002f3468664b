/** Another program on D-Sign's port, in Chromium: pages take the agent that they know, and no other. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { AgentIdentity } from "../../agent/identity.ts";
import { build } from "../../tasks/build.ts";
import { startSquatter } from "../fakes/squatter.ts";
import { PORTAL, testAgent } from "../fixtures/agent.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { launch } from "./browser.ts";
import { serveSite } from "./sites.ts";

const WEB = new URL("../../dist/web/", import.meta.url);

type Sdk = typeof import("../../web/client.ts");
type Way = "connect" | "acceptNewAgent" | "connectByPopup";

/**
 * Calls the SDK on the page, and signs if it connects.
 *
 * @param click in a click of the person
 * @returns the error's code, or the agent's trust and key, and the signature
 */
async function use(
  page: Page,
  way: Way,
  options: Parameters<Sdk["connect"]>[0],
  click = false,
): Promise<Record<string, unknown>> {
  await page.evaluate(({ way, options, click }) => {
    const globals = globalThis as unknown as { used: Promise<unknown> };
    const go = async () => {
      try {
        const sdk: Sdk = await import("/client.js" as string);
        const client = await sdk[way](options);
        const agent = { ...client.agent };
        const { signature } = await client.call("sign.data", { content: { text: "Bill 7" } });
        client.close();
        return { ...agent, signature };
      } catch (error) {
        return { code: (error as { code: string }).code, message: (error as Error).message };
      }
    };
    const { promise, resolve } = Promise.withResolvers<unknown>();
    globals.used = promise;
    if (!click) return void go().then(resolve);
    document.onclick = () => {
      document.onclick = null;
      go().then(resolve);
    };
  }, { way, options, click });
  if (click) await page.mouse.click(50, 50);
  return await page.evaluate(() =>
    (globalThis as unknown as { used: Promise<Record<string, unknown>> }).used
  );
}

Deno.test("a program on D-Sign's port gets nothing", async (t) => {
  await build();
  await using site = serveSite();
  await inTempDir(async (dir) => {
    const identity = join(dir, "identity.json");
    await using test = await testAgent({ web: WEB, identity });
    const { port } = test.agent;
    await using relay = await startSquatter({ relayTo: port });
    await using impostor = await startSquatter();
    const browser = await launch();
    const ask = { scopes: ["certificates", "sign"] as const, request: "Bill 7", securePorts: [] };
    const at = (...ports: number[]) => ({ ...ask, scopes: [...ask.scopes], ports });
    try {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(site.origin);
      let key: unknown;

      await t.step(
        "one that relays everything cannot prove that it is the agent at its port",
        async () => {
          const refused = await use(page, "connect", at(relay.port));
          assert.equal(refused.code, "agent_changed");
          assert.match(String(refused.message), /cannot prove that it is D-Sign/);
          assert.deepEqual(relay.seen, ["agent.prove"]);
        },
      );

      await t.step("the agent behind it is found and remembered by the grant", async () => {
        const first = await use(page, "connect", at(relay.port, port));
        assert.equal(first.trust, "pinned", JSON.stringify(first));
        assert.ok(first.signature);
        ({ key } = first);
        assert.deepEqual(new Set(relay.seen), new Set(["agent.prove"]), "no more left the page");
      });

      await t.step("from then on no other agent is accepted on any port", async () => {
        const known = await use(page, "connect", at(impostor.port, relay.port, port));
        assert.deepEqual([known.trust, known.key], ["pinned", key]);
        const alone = await use(page, "connect", at(impostor.port));
        assert.equal(alone.code, "agent_changed");
        assert.deepEqual(new Set(impostor.seen), new Set(["agent.prove"]));
      });

      await t.step("its bridge page fails, and the agent's is used", async () => {
        for (const squatter of [relay, impostor]) {
          const refused = await use(page, "connectByPopup", at(squatter.port), true);
          assert.equal(refused.code, "agent_changed", JSON.stringify(refused));
          const bridged = await use(page, "connectByPopup", at(squatter.port, port), true);
          assert.deepEqual([bridged.trust, bridged.key], ["pinned", key], JSON.stringify(bridged));
          assert.deepEqual(new Set(squatter.seen), new Set(["agent.prove"]));
        }
      });

      await t.step("a new agent is accepted only on the person's click", async () => {
        // Code that a test evaluates counts as a click; code that a page runs by itself does not.
        await page.addInitScript((options) => {
          const sdk = import("/client.js" as string) as Promise<Sdk>;
          const tried = sdk.then(({ acceptNewAgent }) => acceptNewAgent(options));
          tried.then(() => "accepted", ({ code }) => code).then((code) => console.log(code));
        }, at(impostor.port));
        const logged = page.waitForEvent("console");
        await page.reload();
        assert.equal((await logged).text(), "agent_changed");
        await using other = await testAgent({ web: WEB });
        const changed = await use(page, "connect", at(other.agent.port));
        assert.equal(changed.code, "agent_changed");
        assert.match(String(changed.message), /not the one that this site knows/);
        const accepted = await use(page, "acceptNewAgent", at(other.agent.port), true);
        assert.equal(accepted.trust, "pinned");
        const both = await use(page, "connect", at(impostor.port, port));
        assert.equal(both.key, key, "the first one is still known");
      });

      await t.step("only the portal's own list counts", async () => {
        const listed = { ...at(impostor.port, port), agentKeys: [String(key)] };
        assert.equal((await use(page, "connect", listed)).trust, "listed");
        const none = await use(page, "connect", { ...at(port), agentKeys: [] });
        assert.equal(none.code, "agent_changed");
      });

      await t.step("a rotated key is followed", async () => {
        await (await AgentIdentity.load(identity)).rotate();
        await using again = await testAgent({ web: WEB, identity });
        const followed = await use(page, "connect", at(impostor.port, again.agent.port));
        assert.equal(followed.trust, "pinned");
        assert.notEqual(followed.key, key);
        const old = await use(page, "connect", at(port));
        assert.equal(old.code, "agent_changed", JSON.stringify(old));
      });

      await t.step("a site remembers eight agents, and forgets the oldest", async () => {
        /** The keys that the page's site remembers, oldest first; with `more`, these are put there first. */
        const remembered = (more: string[]) =>
          page.evaluate(async (more) => {
            const opening = indexedDB.open("dsign", 1);
            await new Promise((resolve) => opening.onsuccess = resolve);
            const store = opening.result.transaction("agents", "readwrite").objectStore("agents");
            if (more.length > 0) store.clear();
            for (const [i, key] of more.entries()) store.put({ key, added: i + 1 });
            const all = store.getAll();
            await new Promise((resolve) => all.onsuccess = resolve);
            opening.result.close();
            return (all.result as { key: string; added: number }[])
              .sort((a, b) => a.added - b.added).map(({ key }) => key);
          }, more);
        const eight = [..."ABCDEFGH"].map((letter) => letter.repeat(88));
        await remembered(eight);
        await using ninth = await testAgent({ web: WEB });
        const accepted = await use(page, "acceptNewAgent", at(ninth.agent.port), true);
        assert.equal(accepted.trust, "pinned", JSON.stringify(accepted));
        assert.deepEqual(await remembered([]), [...eight.slice(1), accepted.key]);
      });

      await t.step("another profile or another site is a first use", async () => {
        const fresh = await (await browser.newContext()).newPage();
        await fresh.goto(site.origin);
        const { trust } = await use(fresh, "connect", { ports: [port] });
        assert.equal(trust, "first_use");
        await using other = serveSite();
        await page.goto(other.origin);
        const elsewhere = await use(page, "connect", at(port));
        assert.notEqual(elsewhere.key, key, "another key for another site");
      });
    } finally {
      await browser.close();
    }
  });
});

Deno.test({
  name:
    "a program on D-Sign's port of [::1], which browsers ask first for localhost, is a stranger (optional: needs IPv6)",
  ignore: !Deno.networkInterfaces().some(({ address }) => address === "::1"),
  async fn() {
    await using test = await testAgent({ web: WEB });
    const { port } = test.agent;
    const page = () =>
      new Response("<h1>Not D-Sign</h1>", { headers: { "content-type": "text/html" } });
    const squatter = Deno.serve({ hostname: "::1", port, onListen: () => {} }, page);
    const browser = await launch();
    try {
      const tab = await browser.newPage();
      await tab.goto(`http://localhost:${port}/`);
      assert.equal(await tab.innerText("h1"), "Not D-Sign");
      const ask = (path: string) =>
        tab.evaluate(({ port, path }) =>
          new Promise<string>((resolve) => {
            const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
            const request = { jsonrpc: "2.0", id: 1, method: "certificate.list", params: {} };
            socket.onopen = () => socket.send(JSON.stringify(request));
            socket.onmessage = ({ data }) => resolve(data);
            socket.onerror = () => resolve("refused");
          }), { port, path });
      assert.match(await ask("/"), /"origin_not_allowed"/);
      assert.equal(await ask(`/bridge?origin=${encodeURIComponent(PORTAL)}`), "refused");
      // Once it has left, the browser asks the agent.
      await squatter.shutdown();
      const status = (path: string) =>
        tab.evaluate(async (path) => (await fetch(path, { method: "POST" })).status, path);
      assert.equal(await status("/console/sites"), 421);
      assert.equal(await status("/console/quit"), 421);
      await tab.goto(`http://localhost:${port}/web/style.css#a`);
      assert.equal(tab.url(), `http://127.0.0.1:${port}/web/style.css#a`);
    } finally {
      await browser.close();
      await squatter.shutdown();
    }
  },
});
