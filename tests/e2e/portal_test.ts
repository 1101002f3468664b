/**
 * The whole way: a portal's page in a real browser, the real agent, its consent window, SoftHSM, and OpenSSL as the
 * judge of what comes out.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { build } from "../../tasks/build.ts";
import { asPublic, serveSite } from "./sites.ts";
import { portalChecks } from "../../tasks/demo_checks.ts";
import { startPortal } from "../../tasks/demo_portal.ts";
import { pem } from "../../formats/asn1/pem.ts";
import { AGENT_WORDS, LANGUAGES } from "../../words/agent.ts";
import type { Language } from "../../words/speech.ts";
import { ERROR_WORDS } from "../../words/errors.ts";
import { BILL } from "../../web/portal/bill.ts";
import { spied } from "../fakes/pkcs11_modules.ts";
import { PIN } from "../fakes/pkcs11_tokens.ts";
import { writePkcs12 } from "../../signers/pkcs12_write.ts";
import { freePort } from "../fixtures/free_port.ts";
import { officerTokens } from "../fixtures/officers.ts";
import { inTempDir, openssl } from "../fixtures/openssl.ts";
import { makePki } from "../fixtures/pki.ts";
import { classicPdf, documentObjects } from "../fixtures/pdf.ts";
import { pdfsig, run } from "../fixtures/pdf_tools.ts";
import { startAgentProcess } from "./agent_process.ts";
import {
  axeFindings,
  closed,
  launch,
  lookAtAll,
  openWindow,
  press,
  screenshot,
  watchConsole,
} from "./browser.ts";

const WEB = new URL("../../dist/web/", import.meta.url);
const en = AGENT_WORDS.en;
const [ANITA, BIKRAM, CHARULATA] = ["Anita Das", "Bikram Sen", "Charulata Roy"];
/** She comes later, with a key file. */
const DEVIKA = "Devika Pal";

/** The portal's pages without its server's headers, so that they can be framed. */
function servePages(): Deno.HttpServer<Deno.NetAddr> {
  const types: Record<string, string> = {
    html: "text/html; charset=utf-8",
    js: "text/javascript; charset=utf-8",
    css: "text/css; charset=utf-8",
  };
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const name = pathname === "/" ? "portal.html" : pathname.replace(/^\/web\//, "");
    const type = types[name.split(".").at(-1)!];
    if (!type || name.includes("/")) return new Response(null, { status: 204 });
    return new Response(await Deno.readFile(new URL(name, WEB)), {
      headers: {
        "content-type": type,
        "content-security-policy":
          "default-src 'self'; connect-src 'self' http://127.0.0.1:* ws://127.0.0.1:*",
      },
    });
  });
}

const fill = (text: string, values: Record<string, string>) =>
  text.replace(/\{(\w+)\}/g, (_, name) => values[name]!);

async function save(page: Page, name: string): Promise<Uint8Array> {
  const downloaded = page.waitForEvent("download");
  await press(page, `Save ${name}`);
  const download = await downloaded;
  assert.equal(download.suggestedFilename(), name);
  return await Deno.readFile(await download.path());
}

/** A page of A4 with an order on it. */
async function makeOrder(dir: string): Promise<Uint8Array> {
  const objects = documentObjects();
  const lines = [
    "ORDER No. 7 of 2026",
    "Sanction of the repair of the school building, second part",
    "Net amount: Rs. 4,58,375.00",
  ];
  const text = `BT /F1 14 Tf 72 760 Td 24 TL ${
    lines.map((line) => `(${line}) Tj T*`).join(" ")
  } ET`;
  objects[4] = `<< /Length ${text.length} >>\nstream\n${text}\nendstream`;
  const bytes = classicPdf(objects);
  await Deno.writeFile(join(dir, "order.pdf"), bytes);
  return bytes;
}

Deno.test("three officers sign a bill in the browser", async (t) => {
  await build();
  const browser = await launch();
  const server = startPortal(WEB);
  const { host } = new URL(server.url);
  try {
    await inTempDir(async (dir) => {
      const { officers, root } = makePki({
        officers: [
          { name: ANITA, key: "rsa-2048" },
          { name: BIKRAM, key: "rsa-2048" },
          { name: CHARULATA, key: "p-256" },
          { name: DEVIKA, key: "p-256" },
        ],
      });
      const anchors = join(dir, "root.pem");
      await Deno.writeTextFile(anchors, pem("CERTIFICATE", root.certificate.der));
      server.open({
        sanctions: {} as never,
        mail: {} as never,
        checks: portalChecks(anchors, dir),
      });
      const softhsm = join(dir, "softhsm");
      const home = join(dir, "home");
      const keyFiles = join(dir, "keys");
      for (const each of [softhsm, home, keyFiles]) await Deno.mkdir(each);
      const spy = spied(await officerTokens(softhsm, officers.slice(0, 3)), join(dir, "spy"));
      const { modulePath, env } = spy;
      await using agent = await startAgentProcess(home, {
        modules: [{ name: "SoftHSM", path: modulePath }],
        searchModules: false,
        pkcs12: [keyFiles],
        language: "en",
      }, env);
      const context = await browser.newContext({ viewport: { width: 1050, height: 741 } });
      const errors = watchConsole(context);
      const portal = await context.newPage();
      /** Everything that carried the PIN out of a page. */
      const carriers = new Set<string>();
      context.on("request", (request) => {
        const { pathname, search } = new URL(request.url());
        if ((search + request.postData()).includes(PIN)) {
          carriers.add(`${request.method()} ${pathname}`);
        }
      });
      portal.on("websocket", (socket) =>
        socket.on("framesent", ({ payload }) => {
          if (typeof payload === "string" && payload.includes(PIN)) carriers.add("WebSocket");
        }));

      /** The window that the agent has opened, ready for an answer. */
      const consentWindow = async () => {
        const page = await openWindow(context, await agent.window());
        await page.getByRole("heading", { level: 1 }).waitFor();
        return page;
      };
      const sign = async (role: string, name: string, pin = PIN) => {
        await press(portal, `Sign as ${role}`);
        const page = await consentWindow();
        await page.getByRole("radio", { name }).check();
        await page.getByLabel(en.pin).fill(pin);
        await lookAtAll(page);
        await press(page, en.do_sign_one);
        return page;
      };
      const verify = async (signature: Uint8Array, content?: Uint8Array) => {
        const file = join(dir, "signature.p7s");
        await Deno.writeFile(file, signature);
        const detached = content && ["-content", join(dir, "content")];
        if (content) await Deno.writeFile(join(dir, "content"), content);
        return await openssl([
          ...["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", file],
          ...["-CAfile", anchors, "-purpose", "any", ...detached ?? []],
        ]);
      };

      try {
        await t.step("the console shows tokens and certificates and tests the socket", async () => {
          const page = await context.newPage();
          await page.goto(`${agent.origin}/#tokens`);
          await press(page, en.console_test);
          await page.getByText(en.console_opened).waitFor();
          await page.getByText(en.console_usable).nth(2).waitFor();
          for (const name of [ANITA, BIKRAM, CHARULATA]) {
            assert.equal(await page.getByText(name, { exact: true }).count(), 2);
          }
          assert.equal(await page.getByText(en.console_usable).count(), 3);
          await screenshot(page, "console");
          assert.deepEqual(await axeFindings(page), []);
          for (const language of ["bn", "hi", "en"] as const) {
            const words = AGENT_WORDS[language];
            await press(page, LANGUAGES[language]);
            await page.getByRole("heading", { name: words.console_title }).waitFor();
            assert.deepEqual(await axeFindings(page), []);
          }
          await page.close();
        });

        await t.step("the portal connects after the person has allowed it", async () => {
          await portal.goto(`${server.url}/?port=${agent.port}`);
          assert.deepEqual(await axeFindings(portal), []);
          await press(portal, "Connect to D-Sign");
          const page = await consentWindow();
          await page.getByText(host).waitFor();
          await page.getByText("To sign treasury bills and orders").waitFor();
          await press(page, en.do_not_grant);
          await closed(page);
          await portal.getByText("You declined. You did not allow it").waitFor();
          await press(portal, "Connect to D-Sign");
          const again = await consentWindow();
          await press(again, en.do_grant);
          await closed(again);
          await portal.getByText("Connected to D-Sign").waitFor();
        });

        await t.step("the maker signs with the right PIN", async () => {
          await press(portal, "Sign as maker");
          const page = await consentWindow();
          await page.getByText(BILL.payee, { exact: true }).waitFor();
          await page.getByRole("radio", { name: ANITA }).check();
          const names = await page.locator(".rows dt").allInnerTexts();
          assert.deepEqual(names.map((each) => each.split("\n")).slice(0, 2), [
            ["bill", "Bill number"],
            ["office", "Office"],
          ], "the page's order, its labels beside the signed names");
          await screenshot(page, "consent-bill");
          await page.getByLabel(en.pin).fill(PIN);
          await lookAtAll(page);
          await press(page, en.do_sign_one);
          await closed(page);
          await portal.getByText(`Signed by ${ANITA}`).waitFor();
          await portal.getByText("The portal's server has checked it").waitFor();
          assert.deepEqual(spy.pins(), ["C_Login"]);
        });

        await t.step("the checker mistypes the PIN once", async () => {
          const page = await sign("checker", BIKRAM, "0000");
          await page.getByText(ERROR_WORDS.en.pin_incorrect).waitFor();
          await page.getByLabel(en.pin).fill(PIN);
          // SoftHSM says only that fewer tries are left, or nothing: tick where it is asked for.
          const confirm = page.getByRole("checkbox");
          if (await confirm.count() > 0) await confirm.check();
          await lookAtAll(page);
          await press(page, en.do_sign_one);
          await closed(page);
          await portal.getByText(`Signed by ${BIKRAM}`).waitFor();
          assert.equal(spy.pins().length, 3, "each typed PIN is one C_Login");
        });

        await t.step(
          "the approver declines, closes the window, and is told what that means",
          async () => {
            await press(portal, "Sign as approver");
            const declined = await consentWindow();
            await press(declined, en.do_not_sign);
            await closed(declined);
            await portal.getByText("You did not sign.").waitFor();
            await screenshot(portal, "portal-declined");
            await press(portal, "Sign as approver");
            const closing = await consentWindow();
            await closing.getByRole("radio", { name: CHARULATA }).check();
            await lookAtAll(closing);
            await closing.close();
            await portal.getByText("You did not sign.").waitFor();
          },
        );

        await t.step("an officer who has already signed is refused", async () => {
          await closed(await sign("approver", ANITA));
          await portal.getByText("This officer has signed the bill already.").waitFor();
        });

        await t.step("the approver signs with an elliptic curve key", async () => {
          await closed(await sign("approver", CHARULATA));
          await portal.getByText("The bill is signed by all three officers.").waitFor();
          await screenshot(portal, "portal");
          assert.deepEqual(await axeFindings(portal), []);
        });

        await t.step("OpenSSL accepts each signature, and its content is the bill", async () => {
          for (const role of ["maker", "checker", "approver"]) {
            const content = await verify(await save(portal, `bill-${role}.p7s`));
            assert.deepEqual(JSON.parse(new TextDecoder().decode(content)), BILL);
          }
        });

        await t.step("the bill goes its signing route through three tokens", async () => {
          const signOnRoute = async (button: string, look: (page: Page) => Promise<unknown>) => {
            await press(portal, button);
            const page = await consentWindow();
            await look(page);
            // Only whose turn it is can be chosen.
            assert.equal(await page.getByRole("radio").count(), 0);
            await page.getByLabel(en.pin).fill(PIN);
            await lookAtAll(page);
            await press(page, en.do_sign_one);
            await closed(page);
          };
          await signOnRoute(
            "Set the route up",
            (page) => page.getByText("bill.json", { exact: true }).first().waitFor(),
          );
          for (const role of ["Maker", "Checker", "Approver"]) {
            await portal.getByText("The route is not complete yet.").waitFor();
            await signOnRoute(`Sign the route as ${role}`, async (page) => {
              const now = page.locator("[aria-current=step]");
              await now.getByText(role, { exact: true }).waitFor();
              if (role === "Checker") {
                // This computer trusts no authority yet: the maker may be anybody.
                await page.getByText(/claims to be \p{L}/u).first().waitFor();
                await page.getByLabel(en.pin).fill(PIN);
                await lookAtAll(page);
                await press(page, en.do_sign_one);
                await page.getByText(/^Tick the box to continue/).waitFor();
                await page.getByLabel(en.route_accept).check();
                await screenshot(page, "consent-route");
              } else assert.equal(await page.getByLabel(en.route_accept).count(), 0);
              assert.deepEqual(await axeFindings(page), []);
            });
            if (role === "Checker") {
              const trust = join(home, "config", "dsign", "trust");
              await Deno.mkdir(trust);
              await Deno.copyFile(anchors, join(trust, "root.pem"));
            }
          }
          await portal.getByText("The route is complete.").waitFor();
          await portal.getByText("all three have signed in their turn").waitFor();
          await press(portal, "Verify the route");
          // Revocation cannot be checked here.
          await portal.getByText(/^INDETERMINATE: 4 signatures/).waitFor();
          await screenshot(portal, "portal-route");
          assert.deepEqual(await axeFindings(portal), []);
        });

        await t.step("a file that the officer chooses is streamed and signed", async () => {
          const bytes = new Uint8Array(5_000_000).map((_, index) => index % 251);
          await Deno.writeFile(join(dir, "order.bin"), bytes);
          await portal.getByLabel("File").setInputFiles(join(dir, "order.bin"));
          await press(portal, "Sign the file");
          const page = await consentWindow();
          await page.getByText("order.bin", { exact: true }).waitFor();
          await page.getByRole("radio", { name: ANITA }).check();
          await page.getByLabel(en.pin).fill(PIN);
          await lookAtAll(page);
          await press(page, en.do_sign_one);
          await closed(page);
          await portal.getByText("it is over the file that you chose").waitFor();
          await verify(await save(portal, "order.bin.p7s"), bytes);
        });

        await t.step("an order is signed within itself by three officers", async () => {
          const original = await makeOrder(dir);
          await portal.getByLabel("Order").setInputFiles(join(dir, "order.pdf"));
          for (
            const [role, name] of [["maker", ANITA], ["checker", BIKRAM], ["approver", CHARULATA]]
          ) {
            await press(portal, `Sign the order as ${role}`);
            const page = await consentWindow();
            await page.locator(".pdf-page[data-drawn^='1 ']").waitFor();
            const before = ["maker", "checker", "approver"].indexOf(role!);
            // The verdicts on earlier signatures may come after the page is drawn.
            const valid = page.getByText(en.pdf_status_proven);
            if (before > 0) await valid.nth(before - 1).waitFor();
            assert.equal(await valid.count(), before);
            await page.getByRole("radio", { name: name! }).check();
            if (role === "approver") {
              await screenshot(page, "consent-order");
              assert.deepEqual(await axeFindings(page), []);
            }
            await page.getByLabel(en.pin).fill(PIN);
            await lookAtAll(page);
            await press(page, en.do_sign_one);
            await closed(page);
            await portal.getByText(`signed by ${name}`, { exact: false }).last().waitFor();
            await portal.getByText("every signature in it holds").waitFor();
          }
          await portal.getByText("The order is signed by all three officers.").waitFor();
          await screenshot(portal, "portal-order");
          assert.deepEqual(await axeFindings(portal), []);
          const downloaded = portal.waitForEvent("download");
          await press(portal, "Save the order");
          const download = await downloaded;
          assert.equal(download.suggestedFilename(), "order-signed.pdf");
          const file = join(dir, "order-signed.pdf");
          await download.saveAs(file);
          const bytes = await Deno.readFile(file);
          assert.deepEqual(bytes.subarray(0, original.length), original);
          assert.deepEqual(
            (await pdfsig(file)).map(({ valid, total }) => [valid, total]),
            [[true, false], [true, false], [true, true]],
          );
          const { text } = await run("pdftotext", "-layout", file, "-");
          for (const seen of [ANITA, BIKRAM, CHARULATA, "Approver"]) assert.ok(text.includes(seen));
          await run("pdftoppm", "-r", "80", "-png", "-singlefile", file, join(dir, "page"));
          await Deno.copyFile(
            join(dir, "page.png"),
            new URL("../../dist/screenshots/order-signed.png", import.meta.url),
          );
        });

        await t.step("leaving the page withdraws the question", async () => {
          await press(portal, "Sign the file");
          const page = await consentWindow();
          await portal.goto("about:blank");
          await closed(page);
        });
        await t.step("an inserted token appears in the console by itself", async () => {
          const page = await context.newPage();
          await page.goto(`${agent.origin}/#tokens`);
          await page.getByText(ANITA, { exact: true }).first().waitFor();
          assert.equal(await page.getByText(DEVIKA).count(), 0);
          const { certificate, pkcs8, chain } = officers[3]!;
          const file = await writePkcs12({
            key: pkcs8,
            certificates: [certificate.der, ...chain],
            password: new TextEncoder().encode(PIN),
            friendlyName: DEVIKA,
          });
          await Deno.writeFile(join(dir, "devika.p12"), file);
          await Deno.rename(join(dir, "devika.p12"), join(keyFiles, "devika.p12"));
          await page.getByText(DEVIKA, { exact: true }).first().waitFor();
          await Deno.remove(join(keyFiles, "devika.p12"));
          await page.getByText(DEVIKA).first().waitFor({ state: "detached" });
          await page.close();
        });

        await t.step("the console shows what was signed, and checks the record", async () => {
          const page = await context.newPage();
          await page.goto(`${agent.origin}/#history`);
          const history = page.getByRole("region", { name: en.history_title });
          await history.getByText("order.bin").first().waitFor();
          await history.getByText(en.history_declined).first().waitFor();
          await press(page, en.history_verify);
          const sound = en.history_sound.replace("{count}", "\\d+");
          await page.getByText(new RegExp(`^${sound}$`)).waitFor();
          const part = page.locator("section", { hasText: en.history_title });
          await screenshot(page, "history-en", { part, height: 430 });
          assert.deepEqual(await axeFindings(page), []);
          await page.close();
        });

        await t.step(
          "the language chosen in the console applies to the windows",
          async () => {
            const page = await context.newPage();
            await page.goto(`${agent.origin}/#history`);
            await page.getByText("is running").waitFor();
            const choose = async (language: Language) => {
              const kept = page.waitForResponse((each) => each.url().endsWith("/console/language"));
              await press(page, LANGUAGES[language]);
              await kept;
            };
            await choose("bn");
            await page.getByRole("heading", { name: AGENT_WORDS.bn.console_title }).waitFor();
            await page.reload();
            await page.getByRole("heading", { name: AGENT_WORDS.bn.console_title }).waitFor();
            await screenshot(page, "console-bn");
            const part = page.locator("section", {
              hasText: AGENT_WORDS.bn.history_title,
            });
            await part.getByText("order.bin").first().waitFor();
            await screenshot(page, "history-bn", { part, height: 430 });
            assert.deepEqual(await axeFindings(page), []);
            await choose("hi");
            const hindi = page.locator("section", { hasText: AGENT_WORDS.hi.history_title });
            await hindi.getByText("order.bin").first().waitFor();
            await screenshot(page, "history-hi", { part: hindi, height: 430 });
            await choose("en");
            await page.getByRole("heading", { name: en.console_title }).waitFor();
            await page.close();
          },
        );

        await t.step("a site that is revoked in the console is a stranger again", async () => {
          await portal.goto(`${server.url}/?port=${agent.port}`);
          await press(portal, "Connect to D-Sign");
          await portal.getByText("Connected to D-Sign").waitFor();
          const page = await context.newPage();
          await page.goto(`${agent.origin}/#sites`);
          const site = host;
          await press(page, fill(en.sites_revoke_one, { site }));
          await press(page, en.sites_keep);
          await press(page, fill(en.sites_revoke_one, { site }));
          await press(page, en.sites_do_revoke);
          await page.getByText(en.sites_none).waitFor();
          await page.close();
          await portal.reload();
          await press(portal, "Connect to D-Sign");
          const asked = await consentWindow();
          await asked.getByText(en.not_trusted_yet).waitFor();
          await press(asked, en.do_not_grant);
          await closed(asked);
        });

        assert.deepEqual(errors, []);
        assert.deepEqual([...carriers], ["POST /consent/answer"]);

        await t.step("the console says when D-Sign stops", async () => {
          const page = await context.newPage();
          await page.goto(agent.origin);
          await page.getByText("is running").waitFor();
          await agent.stop();
          await page.getByText(en.console_stopped).waitFor();
        });
      } finally {
        await context.close();
      }
    });
  } finally {
    await browser.close();
    await server.close();
  }
});

Deno.test("the portal says what to do if D-Sign is not running, or the browser keeps it away", async () => {
  await build();
  const portalServer = servePages();
  const portal = `http://127.0.0.1:${portalServer.addr.port}/?port=${freePort()}`;
  await using framing = serveSite(`<iframe src="${portal}"></iframe>`);
  const browser = await launch([asPublic(portalServer.addr, framing)]);
  try {
    const told = async (permissions: string[], url: string) => {
      const page = await (await browser.newContext({ permissions })).newPage();
      await page.goto(url);
      const frame = page.frames().at(-1)!;
      await frame.getByRole("button", { name: "Connect to D-Sign" }).click();
      const title = await frame.getByRole("alert").locator("strong").textContent();
      return { page, frame, title };
    };
    const denied = await told([], portal);
    assert.equal(denied.title, "The browser denies this site access to D-Sign.");
    await denied.frame.getByRole("button", { name: "Connect through a D-Sign window" }).waitFor();
    const blocked = await told([], framing.origin);
    assert.equal(blocked.title, "The browser blocks D-Sign.");
    await blocked.frame.getByRole("button", { name: "Connect through a D-Sign window" }).waitFor();

    const { page } = await told(["local-network-access"], portal);
    await page.getByText("D-Sign does not answer on this computer.").waitFor();
    await page.getByRole("link", { name: "Install D-Sign" }).click();
    await page.getByRole("heading", { level: 1 }).waitFor();
    assert.equal(new URL(page.url()).pathname, "/web/install.html");
  } finally {
    await browser.close();
    await portalServer.shutdown();
  }
});
