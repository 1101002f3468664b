/** The popup bridge in Chromium, for a page that Local Network Access keeps from the agent. */
import assert from "node:assert/strict";
import type { BrowserContext, Page } from "playwright-core";
import { WindowConsent } from "../../signing/consent/window.ts";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { PIN } from "../fakes/memory_provider.ts";
import { testAgent } from "../fixtures/agent.ts";
import { axeFindings, launch, screenshot } from "./browser.ts";
import { asPublic, serveSite } from "./sites.ts";

const WEB = new URL("../../dist/web/", import.meta.url);
const en = AGENT_WORDS.en;

/** The page's own variables. */
type Globals = { dsign: import("../../web/client.ts").Client; outcome: string };

const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

/** Clicks on the page, which opens the bridge in it, and returns the window. */
async function openBridge(context: BrowserContext, page: Page, port: number): Promise<Page> {
  await page.evaluate(async (port) => {
    const path = "/client.js";
    const { connectByPopup }: typeof import("../../web/client.ts") = await import(path);
    const globals = globalThis as unknown as Globals;
    document.onclick = () =>
      connectByPopup({ ports: [port] }).then(
        (client) => {
          globals.dsign = client;
          globals.outcome = "connected";
        },
        (error) => globals.outcome = error.code,
      );
  }, port);
  const opened = context.waitForEvent("page");
  await page.mouse.click(50, 50);
  return await opened;
}

const outcome = async (page: Page): Promise<string> => {
  await page.waitForFunction(() => (globalThis as unknown as Globals).outcome);
  return await page.evaluate(() => (globalThis as unknown as Globals).outcome);
};

/** Asks for a signature without waiting; {@linkcode result} waits. */
const begin = (page: Page) =>
  page.evaluate(() => {
    const { dsign } = globalThis as unknown as Globals;
    const signing = dsign.call("sign.data", { content: { text: "Bill 7" } });
    Object.assign(globalThis, { signing: signing.catch((error) => error.code) });
  });
const result = (page: Page) =>
  page.evaluate(() => (globalThis as unknown as { signing: Promise<unknown> }).signing);

Deno.test("the popup bridge", async (t) => {
  await build();
  await using site = serveSite();
  await using framing = serveSite();
  await using test = await testAgent({
    officers: [{ name: "Anita Das (TEST)" }],
    web: WEB,
    allowedOrigins: [{ origin: "https://portal.example", scopes: ["certificates", "sign"] }],
    consent: (origin) =>
      new WindowConsent({
        origin,
        language: "en",
        openWindow: () => Promise.reject(new Error("another window was opened")),
      }),
  });
  const { port } = test.agent;
  const browser = await launch([asPublic(site, framing)]);
  try {
    const context = await browser.newContext({ viewport: { width: 560, height: 760 } });
    const page = await context.newPage();
    await page.goto(site.origin);

    await t.step("the page itself may not connect", async () => {
      const code = await page.evaluate(async (port) => {
        const path = "/client.js";
        const { connect }: typeof import("../../web/client.ts") = await import(path);
        return await connect({ ports: [port] }).then(() => "connected", (error) => error.code);
      }, port);
      assert.equal(code, "permission_denied");
    });

    const popup = await openBridge(context, page, port);
    await t.step("a window connects it, under the origin that the browser attests", async () => {
      assert.equal(await outcome(page), "connected");
      await popup.getByText(new URL(site.origin).host).waitFor();
      assert.deepEqual(await axeFindings(popup), []);
      await screenshot(popup, "bridge");
      const status = await page.evaluate(() =>
        (globalThis as unknown as Globals).dsign.call("origin.status", {})
      );
      assert.deepEqual([status.origin, status.scopes], [site.origin, []]);
    });

    await t.step("consent is asked in the same window", async () => {
      await page.evaluate(() => {
        const { dsign } = globalThis as unknown as Globals;
        const granting = dsign.call("origin.request", { scopes: ["certificates", "sign"] });
        Object.assign(globalThis, { granting });
      });
      await press(popup, en.do_grant);
      const { scopes } = await page.evaluate(() =>
        (globalThis as unknown as { granting: Promise<{ scopes: string[] }> }).granting
      );
      assert.deepEqual(scopes, ["certificates", "sign"]);
      await popup.getByText(en.bridge_leave_open).waitFor();

      await begin(page);
      await popup.getByLabel(en.pin).fill(PIN);
      await popup.getByRole("button", { name: en.do_sign_one, exact: true }).click();
      const signed = await result(page) as { algorithm: string };
      assert.match(signed.algorithm, /^(RS|ES)256$/);
      await popup.getByText(en.bridge_leave_open).waitFor();

      await begin(page);
      await press(popup, en.do_not_sign);
      assert.equal(await result(page), "user_cancelled");
    });

    await t.step("documents travel through it", async () => {
      await page.evaluate(() => {
        const { dsign } = globalThis as unknown as Globals;
        const file = new File([new Uint8Array(3_000_000)], "order.bin");
        Object.assign(globalThis, {
          signing: dsign.signDocument(file).catch((error) => error.code),
        });
      });
      await popup.getByText("order.bin").waitFor();
      await popup.getByLabel(en.pin).fill(PIN);
      await press(popup, en.do_sign_one);
      const { digest } = await result(page) as { digest: string };
      const expected = await crypto.subtle.digest("SHA-256", new Uint8Array(3_000_000));
      assert.equal(digest, new Uint8Array(expected).toBase64());
    });

    await t.step("a window too small to read takes no answer", async () => {
      await popup.setViewportSize({ width: 200, height: 120 });
      await begin(page);
      await popup.getByText(en.window_small).waitFor();
      assert.ok(await popup.locator("button[type=submit]").isDisabled());
      await popup.setViewportSize({ width: 560, height: 760 });
      await popup.locator("button[type=submit]:enabled").waitFor();
      await press(popup, en.do_not_sign);
      assert.equal(await result(page), "user_cancelled");
    });

    await t.step("closing the window declines, and ends the connection", async () => {
      await begin(page);
      await popup.getByLabel(en.pin).waitFor();
      await popup.close();
      assert.equal(await result(page), "connection_lost");
    });

    await t.step(
      "a page that goes elsewhere takes back what it asked, and ends the connection",
      async () => {
        await page.reload();
        const popup = await openBridge(context, page, port);
        assert.equal(await outcome(page), "connected");
        await begin(page);
        await popup.getByLabel(en.pin).waitFor();
        const gone = popup.waitForEvent("close");
        await page.goto(framing.origin);
        await gone;
        await page.goto(site.origin);
      },
    );

    await t.step("what a page says about itself counts for nothing", async () => {
      const liar = await context.newPage();
      await liar.goto(framing.origin);
      const opened = context.waitForEvent("page");
      const reply = liar.evaluate(async (agent) => {
        const popup = open(`${agent}/bridge`)!;
        const next = () =>
          new Promise<MessageEvent>((resolve) => addEventListener("message", resolve));
        await next();
        const origin = "https://portal.example";
        popup.postMessage({ dsign: "connect", origin, params: { origin } }, "*");
        const { ports: [port] } = await next();
        const answer = new Promise<string>((resolve) =>
          port!.onmessage = ({ data }) => resolve(data)
        );
        const call = { jsonrpc: "2.0", id: 1, method: "origin.status", params: { origin } };
        port!.postMessage(JSON.stringify({ ...call, origin }));
        return await answer;
      }, test.agent.origin);
      await opened;
      const { result } = JSON.parse(await reply);
      assert.deepEqual([result.origin, result.scopes], [framing.origin, []]);
      await liar.close();
    });

    await t.step("it is shown in nobody's frame, and speaks to its opener alone", async () => {
      const framer = await context.newPage();
      await framer.goto(framing.origin);
      await framer.evaluate((agent) => {
        const frame = document.createElement("iframe");
        frame.src = `${agent}/bridge`;
        document.body.append(frame);
        Object.assign(globalThis, { heard: [] });
        addEventListener("message", ({ data }) => {
          (globalThis as unknown as { heard: unknown[] }).heard.push(data);
        });
        return new Promise((resolve) => frame.onload = resolve);
      }, test.agent.origin);
      const frame = framer.frames().find((each) => each !== framer.mainFrame())!;
      assert.notEqual(new URL(frame.url()).origin, test.agent.origin);
      assert.deepEqual(
        await framer.evaluate(() => (globalThis as unknown as { heard: unknown[] }).heard),
        [],
      );
      await framer.close();
      const alone = await context.newPage();
      await alone.goto(`${test.agent.origin}/bridge`);
      await alone.getByText(en.bridge_alone).waitFor();
      await alone.close();
    });

    await t.step("where nobody listens, it says so", async () => {
      const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = nobody.addr;
      nobody.close();
      const fresh = await context.newPage();
      await fresh.goto(site.origin);
      await openBridge(context, fresh, port);
      assert.equal(await outcome(fresh), "not_installed");
    });
  } finally {
    await browser.close();
  }
});
