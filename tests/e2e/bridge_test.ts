/** The popup bridge in Chromium, for a page that Local Network Access keeps from the agent. */
import assert from "node:assert/strict";
import type { BrowserContext, Page } from "playwright-core";
import { WindowConsent } from "../../signing/consent/window.ts";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { PIN } from "../fakes/memory_provider.ts";
import { testAgent } from "../fixtures/agent.ts";
import { freePort } from "../fixtures/free_port.ts";
import {
  axeFindings,
  launch,
  lookAtAll,
  openWindow,
  press,
  sayYes,
  screenshot,
} from "./browser.ts";
import { asPublic, serveSite } from "./sites.ts";
import { NextWindow } from "./next_window.ts";

const WEB = new URL("../../dist/web/", import.meta.url);
const en = AGENT_WORDS.en;

/** The page's own variables. */
type Globals = {
  dsign: import("../../web/client.ts").Client;
  outcome: string;
  popup: Window | null;
};

/** Clicks on the page, which opens the bridge in it, and returns the window. */
async function openBridge(context: BrowserContext, page: Page, port: number): Promise<Page> {
  await page.evaluate(async (port) => {
    const path = "/client.js";
    const { connectByPopup }: typeof import("../../web/client.ts") = await import(path);
    const globals = globalThis as unknown as Globals;
    const { open } = globalThis;
    globalThis.open = (...about) => globals.popup = open(...about);
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

Deno.test("the popup bridge connects a page that may not connect directly", async (t) => {
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
        openWindow: async (url) => next.opened(await openWindow(context, url)),
      }),
  });
  const { port } = test.agent;
  const next = new NextWindow<Page>();
  /** The window in which the agent asks. */
  const asked = () => next.wait();
  const browser = await launch([asPublic(site, framing)]);
  const context = await browser.newContext({ viewport: { width: 560, height: 760 } });
  context.setDefaultTimeout(20_000);
  try {
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

    await t.step("consent is asked in a window that no page opened", async () => {
      await page.evaluate(() => {
        const { dsign } = globalThis as unknown as Globals;
        const granting = dsign.call("origin.request", { scopes: ["certificates", "sign"] });
        Object.assign(globalThis, { granting });
      });
      const grant = await asked();
      assert.notEqual(new URL(grant.url()).origin, test.agent.origin, "a port of its own");
      assert.equal(await grant.evaluate(() => globalThis.opener), null);
      await sayYes(grant, en.do_grant);
      const { scopes } = await page.evaluate(() =>
        (globalThis as unknown as { granting: Promise<{ scopes: string[] }> }).granting
      );
      assert.deepEqual(scopes, ["certificates", "sign"]);
      assert.ok(await popup.getByText(en.bridge_leave_open).isVisible());

      await begin(page);
      const sign = await asked();
      await sign.getByLabel(en.pin).fill(PIN);
      await sayYes(sign, en.do_sign_one);
      const signed = await result(page) as { algorithm: string };
      assert.match(signed.algorithm, /^(RS|ES)256$/);

      await begin(page);
      await press(await asked(), en.do_not_sign);
      assert.equal(await result(page), "user_cancelled");
    });

    await t.step("the opener cannot influence the question through its window", async () => {
      await begin(page);
      const sign = await asked();
      await page.evaluate((agent) => {
        const { popup } = globalThis as unknown as { popup: Window };
        popup.location.href = `${agent}/bridge#pin`;
      }, test.agent.origin);
      await page.waitForTimeout(300);
      assert.equal(await popup.locator("#pin").count(), 0, "nothing is asked there");
      assert.equal(await sign.evaluate(() => scrollY + location.hash), "0");
      await press(sign, en.do_not_sign);
      assert.equal(await result(page), "user_cancelled");
    });

    await t.step("documents pass through it", async () => {
      await page.evaluate(() => {
        const { dsign } = globalThis as unknown as Globals;
        const file = new File([new Uint8Array(3_000_000)], "order.bin");
        Object.assign(globalThis, {
          signing: dsign.signDocument(file).catch((error) => error.code),
        });
      });
      const sign = await asked();
      await sign.getByText("order.bin").waitFor();
      await sign.getByLabel(en.pin).fill(PIN);
      await sayYes(sign, en.do_sign_one);
      const { digest } = await result(page) as { digest: string };
      const expected = await crypto.subtle.digest("SHA-256", new Uint8Array(3_000_000));
      assert.equal(digest, new Uint8Array(expected).toBase64());
    });

    await t.step("a window too small to read accepts no answer", async () => {
      await begin(page);
      const sign = await asked();
      await lookAtAll(sign);
      await sign.setViewportSize({ width: 200, height: 120 });
      await sign.getByText(en.window_small).waitFor();
      assert.ok(await sign.locator("button[type=submit]").isDisabled());
      await sign.setViewportSize({ width: 560, height: 760 });
      await sign.getByLabel(en.pin).fill(PIN);
      await sayYes(sign, en.do_sign_one);
      await result(page);
    });

    await t.step("a question that a page opens accepts no answer", async () => {
      await begin(page);
      const sign = await asked();
      await lookAtAll(sign);
      // Only one of the agent's own pages could: the others are cut off from the windows they open.
      const other = context.waitForEvent("page");
      await sign.evaluate(() => void open("/consent#x", "", "popup"));
      const opened = await other;
      assert.equal(await opened.evaluate(() => globalThis.opener !== null), true);
      await opened.close();
      await sign.getByLabel(en.pin).fill(PIN);
      await sayYes(sign, en.do_sign_one);
      await result(page);
    });

    await t.step("closing the window declines, and ends the connection", async () => {
      await begin(page);
      const sign = await asked();
      await sign.getByLabel(en.pin).waitFor();
      const gone = sign.waitForEvent("close");
      await popup.close();
      assert.equal(await result(page), "connection_lost");
      await gone;
    });

    await t.step(
      "a page that goes elsewhere takes back what it asked, and ends the connection",
      async () => {
        await page.reload();
        const popup = await openBridge(context, page, port);
        assert.equal(await outcome(page), "connected");
        await begin(page);
        await (await asked()).getByLabel(en.pin).waitFor();
        const gone = popup.waitForEvent("close");
        await page.goto(framing.origin);
        await gone;
        await page.goto(site.origin);
      },
    );

    await t.step("a page's own statement about its origin is ignored", async () => {
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

    await t.step("it cannot be framed, and talks only to its opener", async () => {
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

    await t.step("it says so if no agent is listening", async () => {
      const fresh = await context.newPage();
      await fresh.goto(site.origin);
      await openBridge(context, fresh, freePort());
      assert.equal(await outcome(fresh), "not_installed");
    });
  } finally {
    await browser.close();
  }
});
