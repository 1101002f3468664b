/** The SDK in Firefox: WebSockets with and without TLS, the permission, and the popup bridge. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Browser, ElementHandle, Page } from "puppeteer-core";
import { WindowConsent } from "../../signing/consent/window.ts";
import { issueIdentity } from "../../agent/tls.ts";
import { nssStore, readAuthority, run } from "../../agent/trust.ts";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { PIN } from "../fakes/memory_provider.ts";
import { testAgent } from "../fixtures/agent.ts";
import { LETTER_PDF, signedByStranger } from "../fixtures/deceits.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { classicPdf, documentObjects } from "../fixtures/pdf.ts";
import { asPublic, launchFirefox, loopbackPermission } from "./firefox.ts";
import { startSquatter } from "../fakes/squatter.ts";
import { connectOutcome, serveSite } from "./sites.ts";
import { NextWindow } from "./next_window.ts";

const WEB = new URL("../../dist/web/", import.meta.url);
const en = AGENT_WORDS.en;

type Globals = {
  dsign: import("../../web/client.ts").Client;
  outcome?: string;
  prompted?: boolean;
};

/** Clicks; the window may close before the browser has told that it did. */
async function press(window: Page, selector: string): Promise<void> {
  const gone = new AbortController();
  window.once("close", () => gone.abort());
  await window.locator(selector).click({ signal: gone.signal }).catch((error) => {
    if (!gone.signal.aborted) throw error;
  });
}

Deno.test("the SDK works in Firefox", (t) =>
  inTempDir(async (dir) => {
    await build();
    const tls = await issueIdentity(new Date());
    await using site = serveSite();
    await using test = await testAgent({
      officers: [{ name: "Anita Das (TEST)" }],
      web: WEB,
      tls,
      securePorts: [0],
      consent: (origin) =>
        new WindowConsent({
          origin,
          language: "en",
          openWindow: (url) => Promise.resolve(next.opened(url)),
        }),
    });
    const { port, securePort } = test.agent;
    const next = new NextWindow<string>();
    /** Runs `work` on the site's page in a Firefox with these preferences. */
    const inFirefox = async (
      profile: string,
      preferences: Record<string, unknown>,
      work: (page: Page, browser: Browser) => Promise<void>,
    ) => {
      const folder = join(dir, profile);
      await Deno.mkdir(join(folder, "home"), { recursive: true });
      const browser = await launchFirefox(folder, preferences);
      try {
        const page = await browser.newPage();
        await page.goto(site.origin);
        await work(page, browser);
      } finally {
        await browser.close();
      }
    };

    await t.step(
      "a page connects by ws, and a file signed on the console is among the downloads",
      async () => {
        const downloads = join(dir, "downloads");
        await Deno.mkdir(downloads);
        const order = new Uint8Array(classicPdf(documentObjects({ pages: 1 })));
        await Deno.writeFile(join(dir, "order.pdf"), order);
        using changes = Deno.watchFs(downloads);
        const preferences = { "browser.download.folderList": 2, "browser.download.dir": downloads };
        await inFirefox("plain", preferences, async (page, browser) => {
          assert.equal(await page.evaluate(connectOutcome, { ports: [port] }), "connected");
          await page.goto(test.agent.origin);
          const input = await page.waitForSelector(".desk input[type=file]:enabled");
          await (input as ElementHandle<HTMLInputElement>).uploadFile(join(dir, "order.pdf"));
          const window = await browser.newPage();
          await window.goto(await next.wait());
          await window.bringToFront();
          await window.waitForSelector('[data-drawn="1 1"]');
          await window.locator("#pin").fill(PIN);
          await press(window, ".see-next button");
          await press(window, "button[type=submit]");
          await page.waitForSelector(
            `::-p-text(${en.desk_saved.replace("{file}", "order-signed.pdf")})`,
          );
          const saved = join(downloads, "order-signed.pdf");
          // Firefox makes an empty file of that name first.
          const isThere = () => Deno.stat(saved).then(({ size }) => size > 0, () => false);
          if (!await isThere()) { for await (const _ of changes) if (await isThere()) break; }
          assert.deepEqual((await Deno.readFile(saved)).subarray(0, order.length), order);
        });
      },
    );

    await t.step("ws from a public page works only with the browser's permission", async () => {
      const publicly = asPublic([site.port]);
      const granted = { ...publicly, ...loopbackPermission("granted") };
      await using relay = await startSquatter({ relayTo: port });
      await inFirefox("granted", granted, async (page) => {
        // A program on an earlier port that passes everything on cannot prove to be the agent there.
        const squatted = { ports: [relay.port] };
        assert.equal(await page.evaluate(connectOutcome, squatted), "agent_changed");
        const both = { ports: [relay.port, port] };
        assert.equal(await page.evaluate(connectOutcome, both), "connected");
        assert.equal(await page.evaluate(connectOutcome, { ports: [port] }), "connected");
      });
      await inFirefox("pending", { ...publicly, ...loopbackPermission("ask") }, async (page) => {
        await page.evaluate(async (port) => {
          const path = "/client.js";
          const { connect }: typeof import("../../web/client.ts") = await import(path);
          const globals = globalThis as unknown as Globals;
          connect({ ports: [port], onPrompt: () => globals.prompted = true }).then(
            () => globals.outcome = "connected",
            (error) => globals.outcome = error.code,
          );
        }, port);
        await page.waitForFunction(() => (globalThis as unknown as Globals).prompted);
        assert.equal(
          await page.evaluate(() => (globalThis as unknown as Globals).outcome ?? "waiting"),
          "waiting",
        );
      });
    });

    await t.step("the popup bridge connects though the permission is denied", async () => {
      const denied = { ...asPublic([site.port]), ...loopbackPermission("denied") };
      await inFirefox("denied", denied, async (page, browser) => {
        // A denial by default is not what `navigator.permissions` tells, so it looks as if nothing were there.
        assert.equal(await page.evaluate(connectOutcome, { ports: [port] }), "not_installed");
        await page.evaluate(async (port) => {
          const path = "/client.js";
          const { connectByPopup }: typeof import("../../web/client.ts") = await import(path);
          const globals = globalThis as unknown as Globals;
          document.onclick = () =>
            connectByPopup({ ports: [port], scopes: ["certificates", "sign"], request: "Bills" })
              .then(
                (client) => {
                  globals.dsign = client;
                  globals.outcome = "connected";
                },
                (error) => globals.outcome = error.code,
              );
        }, port);
        /** The window in which the agent asks. */
        const asked = async () => {
          const window = await browser.newPage();
          await window.goto(await next.wait());
          await window.bringToFront();
          return window;
        };
        await page.mouse.click(50, 50);
        await press(await asked(), `::-p-text(${en.do_grant})`);
        await page.waitForFunction(() => (globalThis as unknown as Globals).outcome);
        assert.equal(
          await page.evaluate(() => (globalThis as unknown as Globals).outcome),
          "connected",
        );
        const cosign = signedByStranger("Bill 7", "Chief Secretary").toBase64();
        await page.evaluate((cosign) => {
          const { dsign } = globalThis as unknown as Globals;
          Object.assign(globalThis, {
            signing: dsign.call("sign.data", { content: { text: "Bill 7" }, cosign }),
          });
        }, cosign);
        const sign = await asked();
        const signer = await sign.waitForSelector(".signers li.unproven");
        const claims = en.route_claims.replace("{name}", "Chief Secretary");
        assert.equal(await signer!.evaluate((each) => each.textContent), claims);
        await sign.locator("#pin").fill(PIN);
        await press(sign, "button[type=submit]");
        const { algorithm } = await page.evaluate(() =>
          (globalThis as unknown as { signing: Promise<{ algorithm: string }> }).signing
        );
        assert.match(algorithm, /^(RS|ES)256$/);

        await page.evaluate((bytes) => {
          const { dsign } = globalThis as unknown as Globals;
          const about = { type: "text/plain" };
          const letter = new File(
            [Uint8Array.from(atob(bytes), (byte) => byte.charCodeAt(0))],
            "leave.txt",
            about,
          );
          Object.assign(globalThis, { signing: dsign.signDocument(letter) });
        }, LETTER_PDF.toBase64());
        const letter = await asked();
        await letter.waitForSelector('[data-drawn="1 1"]');
        const shown = await letter.evaluate(() => document.body.textContent ?? "");
        assert.ok(!shown.includes("Casual leave"), "a PDF, though its site calls it a text");
        await letter.locator("#pin").fill(PIN);
        await press(letter, "button[type=submit]");
        await page.evaluate(() => (globalThis as unknown as { signing: Promise<unknown> }).signing);
      });
    });

    await t.step("wss connects only once the authority is trusted", async () => {
      const options = { ports: [], securePorts: [securePort!] };
      await inFirefox("secure", {}, async (page) => {
        assert.equal(await page.evaluate(connectOutcome, options), "not_installed");
      });
      await Deno.writeTextFile(join(dir, "authority.pem"), tls.authority);
      const authority = await readAuthority(join(dir, "authority.pem"));
      await nssStore(run, join(dir, "secure"), "Firefox").install(authority);
      await inFirefox("secure", {}, async (page) => {
        assert.equal(await page.evaluate(connectOutcome, options), "connected");
      });
    });
  }));
