/** A program that used the agent's port earlier may have left a service worker in the person's browser. */
import assert from "node:assert/strict";
import { WindowConsent } from "../../signing/consent/window.ts";
import { build } from "../../tasks/build.ts";
import { testAgent } from "../fixtures/agent.ts";
import { launch, openWindow } from "./browser.ts";
import { NextWindow } from "./next_window.ts";

const WEB = new URL("../../dist/web/", import.meta.url);

/** Replaces every page with its own. */
const WORKER = `
oninstall = () => skipWaiting();
onactivate = (event) => event.waitUntil(clients.claim());
onfetch = (event) => {
  if (event.request.mode !== "navigate") return;
  event.respondWith(new Response("<h1>Planted</h1>", { headers: { "content-type": "text/html" } }));
};
`;

const PLANTING = `<script>
navigator.serviceWorker.register("/worker.js").then(() => navigator.serviceWorker.ready)
  .then(() => document.title = "planted");
</script>`;

Deno.test("a service worker planted at the agent's address never sees a question, and is gone after its first page", async () => {
  await build();
  const browser = await launch();
  try {
    const context = await browser.newContext();
    const squatter = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
      const [body, type] = url.endsWith("/worker.js")
        ? [WORKER, "text/javascript"]
        : [PLANTING, "text/html"];
      return new Response(body, { headers: { "content-type": type } });
    });
    const { port } = squatter.addr;
    const lured = await context.newPage();
    await lured.goto(`http://127.0.0.1:${port}/`);
    await lured.waitForFunction(() => document.title === "planted");
    await lured.close();
    await squatter.shutdown();

    const next = new NextWindow<string>();
    await using test = await testAgent({
      ports: [port],
      web: WEB,
      consent: (origin) =>
        new WindowConsent({
          origin,
          language: "en",
          openWindow: (url) => Promise.resolve(next.opened(url)),
        }),
    });
    const client = await test.connect();
    const signed = client.call("sign.data", { content: { text: "Pay 1.00" } });
    signed.catch(() => {}); // nobody answers
    const consentUrl = await next.wait();
    assert.notEqual(new URL(consentUrl).port, String(port));
    const consent = await openWindow(context, consentUrl);
    await consent.waitForLoadState();
    assert.doesNotMatch(await consent.locator("body").innerText(), /Planted/);
    await consent.getByRole("heading", { name: "Do you want to sign this?" }).waitFor();

    const page = await openWindow(context, test.agent.origin);
    await page.locator(".brand").waitFor();
    const workers = () => navigator.serviceWorker.getRegistrations().then(({ length }) => length);
    assert.equal(await page.evaluate(workers), 0);
  } finally {
    await browser.close();
  }
});
