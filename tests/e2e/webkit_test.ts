/** A portal's page and its person in WebKit, the engine of Safari: one browser, two agents. */
import assert from "node:assert/strict";
import { issueIdentity } from "../../agent/tls.ts";
import { verifyBytes } from "../../formats/verify/verify.ts";
import { WindowConsent } from "../../signing/consent/window.ts";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { PIN } from "../fakes/memory_provider.ts";
import { testAgent } from "../fixtures/agent.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { makePki } from "../fixtures/pki.ts";
import { serveSite } from "./sites.ts";
import { hasWebKit, WebKit, type WebKitWindow } from "./webkit.ts";
import { NextWindow } from "./next_window.ts";

const WEB = new URL("../../dist/web/", import.meta.url);
const en = AGENT_WORDS.en;

/** The page's own variables. */
type Globals = {
  dsign: import("../../web/client.ts").Client;
  asked: Promise<unknown>;
  cancel: AbortController;
};

const button = (name: string) => `//button[normalize-space()="${name}"]`;

/** Result of `connect()`: the trust in the agent's key, or a code and a sentence. */
const connect = (page: WebKitWindow, options: { ports: number[]; securePorts: number[] }) =>
  page.evaluate(async (options) => {
    const sdk: typeof import("../../web/client.ts") = await import("/client.js" as string);
    return await sdk.connect(options).then(
      (dsign) => {
        Object.assign(globalThis, { dsign });
        return ["connected", dsign.agent?.trust];
      },
      ({ code, message }) => [code, message],
    );
  }, options);

/** Makes a request without waiting; {@linkcode result} waits. */
const request = (page: WebKitWindow, method: string, params: unknown) =>
  page.evaluate(
    (method, params) => {
      const globals = globalThis as unknown as Globals;
      const { signal } = globals.cancel = new AbortController();
      globals.asked = globals.dsign.call(method as "sign.data", params as never, { signal })
        .catch((error) => error.code);
    },
    method,
    params,
  );
const result = (page: WebKitWindow) =>
  page.evaluate(() => (globalThis as unknown as Globals).asked);
const cancel = (page: WebKitWindow) =>
  page.evaluate(() => (globalThis as unknown as Globals).cancel.abort());

const isArmed = () =>
  document.querySelector<HTMLButtonElement>("[type=submit]")?.disabled === false;

/** Looks at all of a consent page, as its person must before the answer counts. */
const lookAtAll = (window: WebKitWindow) =>
  window.waitFor(() => {
    document.querySelector<HTMLButtonElement>(".see-next button")?.click();
    return document.querySelector<HTMLButtonElement>("[type=submit]")?.disabled === false;
  });

Deno.test({
  name:
    "WebKit: a page finds D-Sign, and its person signs (optional: needs webkit2gtk-driver, root)",
  ignore: !hasWebKit(),
}, (t) =>
  inTempDir(async (folder) => {
    await build();
    const tls = await issueIdentity(new Date());
    const { officers, root } = makePki({ officers: [{ name: "Anita Das (TEST)" }] });
    await using site = serveSite("", {}, tls);
    await using local = serveSite();
    const next = new NextWindow<string>();
    await using trusted = await testAgent({
      officers,
      web: WEB,
      tls,
      securePorts: [0],
      allowedOrigins: [],
      consent: (origin) =>
        new WindowConsent({
          origin,
          language: "en",
          openWindow: (url) => Promise.resolve(next.opened(url)),
        }),
    });
    await using untrusted = await testAgent({
      officers,
      tls: await issueIdentity(new Date()),
      securePorts: [0],
    });
    /** The address of the window in which the agent asks. */
    const asked = () => next.wait();
    const portsOf = ({ agent: { port, securePort } }: typeof trusted) => ({
      ports: [port],
      securePorts: [securePort!],
    });
    const browser = await WebKit.launch(folder, tls.authority);
    try {
      const page = await browser.first();
      await page.goto(site.origin);

      await t.step(
        "it cannot tell whether the certificate is not trusted, and says what helps",
        async () => {
          const [code, message] = await connect(page, portsOf(untrusted));
          assert.equal(code, "cannot_tell");
          assert.match(message, /dsign trust install/);
        },
      );

      await t.step(
        "a page over https signs, with its person's PIN in the agent's window",
        async () => {
          assert.deepEqual(await connect(page, portsOf(trusted)), ["connected", "first_use"]);
          await request(page, "origin.request", { scopes: ["certificates", "sign", "sign_hash"] });
          const grant = await browser.openWindow(await asked());
          await lookAtAll(grant);
          await grant.click(button(en.do_grant));
          assert.deepEqual((await result(page) as { scopes: string[] }).scopes, [
            ...["certificates", "sign", "sign_hash"],
          ]);
          await request(page, "sign.data", { content: { text: "Bill 7" } });
          const sign = await browser.openWindow(await asked());
          await lookAtAll(sign);
          await sign.type('//input[@id="pin"]', PIN);
          await lookAtAll(sign);
          await sign.click(button(en.do_sign_one));
          const { signature } = await result(page) as { signature: string };
          const options = { now: new Date(), anchors: [root.certificate] };
          const report = verifyBytes(Uint8Array.fromBase64(signature), {
            ...options,
            revocation: "if_available",
          });
          assert.equal(report.indication, "TOTAL-PASSED");
        },
      );

      await t.step(
        "an answer counts once every warning was seen, and not after a jump",
        async () => {
          await request(page, "sign.hash", {
            digests: [crypto.getRandomValues(new Uint8Array(32)).toBase64()],
          });
          const sign = await browser.openWindow(await asked());
          await sign.resize(420, 420);
          await sign.waitFor(() => document.querySelector(".see-next button") !== null);
          assert.equal(await sign.evaluate(isArmed), false);
          await lookAtAll(sign);
          await sign.evaluate(() => {
            const submit = document.querySelector<HTMLButtonElement>("[type=submit]")!;
            new MutationObserver(() => {
              if (submit.disabled) document.body.dataset.disarmed = "";
            }).observe(submit, { attributes: true });
          });
          // The scrolling before may have taken effect a moment ago, and the window waits again.
          await sign.waitFor(() => {
            const submit = document.querySelector<HTMLButtonElement>("[type=submit]")!;
            if (location.hash === "" && !submit.disabled) {
              delete document.body.dataset.disarmed;
              location.hash = "#pin";
            }
            return location.hash !== "" && document.body.dataset.disarmed !== undefined;
          });
          await sign.click(button(en.do_not_sign));
          assert.equal(await result(page), "user_cancelled");
        },
      );

      await t.step("a page has no hold on the question, even if it opened its window", async () => {
        await request(page, "sign.data", { content: { text: "Bill 8" } });
        const url = await asked();
        const before = await browser.handles();
        await page.evaluate((url) => {
          document.body.textContent = "Win";
          document.onclick = () => {
            document.onclick = null;
            Object.assign(globalThis, { popup: open(url, "theirs", "popup,width=900,height=700") });
          };
        }, url);
        await page.click("//body");
        const theirs = await browser.opened(before);
        await theirs.waitFor(() => document.querySelector("#pin") !== null);
        assert.equal(await theirs.evaluate(() => globalThis.opener), null);
        // It would scroll by a fragment, and go elsewhere.
        const isCut = await page.evaluate((url) => {
          const { popup } = globalThis as unknown as { popup: Window };
          popup.location.href = `${url.split("#")[0]}#pin`;
          popup.location.href = "about:blank";
          return popup.closed;
        }, url);
        assert.ok(isCut);
        assert.equal(await theirs.evaluate(() => location.hash), "");
        await cancel(page);
        assert.equal(await result(page), "request_cancelled");
        await theirs.close();
      });

      await t.step("a page of this computer connects without TLS", async () => {
        await page.goto(local.origin);
        assert.deepEqual(await connect(page, portsOf(untrusted)), ["connected", "first_use"]);
      });
    } finally {
      await browser.close();
    }
  }));
