/** The page for PIN and OTP in a real browser, against the service's real side of it. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { OIDS } from "../../protocol/csc.ts";
import { base32 } from "../../otp_service/otp.ts";
import { concat } from "../../formats/asn1/der.ts";
import { prepareSignature, signedBytes } from "../../formats/pades/prepare.ts";
import { latin1, name } from "../../formats/pdf/value.ts";
import { bytesSource } from "../../formats/source.ts";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { OTP_WORDS } from "../../words/otp.ts";
import {
  CLIENT,
  makeService,
  PIN,
  pkce,
  REDIRECT,
  type TestService,
  type TestServiceOptions,
} from "../fixtures/otp_service.ts";
import { espOptions, FakeEsp } from "../fakes/esp.ts";
import { classicPdf, documentObjects } from "../fixtures/pdf.ts";
import { issue } from "../fixtures/issue.ts";
import {
  axeFindings,
  launch,
  lookAtAll,
  mustBeSeen,
  press,
  screenshot,
  watchConsole,
} from "./browser.ts";

const en = OTP_WORDS.en;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("base64");
const TEXT = new TextEncoder().encode(
  "TECHNICAL SANCTION No. 7 of 2026-27\n\nWork: Widening of the road from Belda to Egra, 12.4 km\n" +
    "Amount: Rs 4,58,37,500\nScheme: State plan, head 5054\n\nSanctioned technically.\n",
);

interface Desk {
  test: TestService;
  context: BrowserContext;
  page: Page;
  origin: string;
  errors: string[];
  /** Opens the page for these documents; gives what finishes it. */
  open(
    credentialID: string,
    documents: {
      bytes: Uint8Array;
      name: string;
      type: string;
      shown?: boolean;
      /** Of what is signed, where that is not the bytes. */
      digest?: string;
    }[],
  ): Promise<{ redeem(url: string): Promise<{ status: number; body: Record<string, unknown> }> }>;
}

async function atDesk(
  browser: Browser,
  body: (desk: Desk) => Promise<void>,
  options: TestServiceOptions = {},
): Promise<void> {
  // The port comes first: the service stands under its own address.
  let handler: TestService["handler"] = () => Promise.resolve(new Response());
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => handler(request),
  );
  const origin = `http://127.0.0.1:${server.addr.port}`;
  const test = makeService({ ...options, publicUrl: origin });
  handler = test.handler;
  const context = await browser.newContext({ viewport: { width: 800, height: 900 } });
  const errors = watchConsole(context);
  await context.route(
    "https://portal.example/**",
    (route) => route.fulfill({ body: "<h1>Portal</h1>", contentType: "text/html" }),
  );
  const page = await context.newPage();
  try {
    await body({
      test,
      context,
      page,
      origin,
      errors,
      async open(credentialID, documents) {
        const token = await test.token();
        for (const { bytes, name, type, shown = true } of documents) {
          if (!shown) continue;
          const { status } = await fetch(`${origin}/portal/v1/documents?name=${name}`, {
            method: "POST",
            body: new Uint8Array(bytes),
            headers: { authorization: `Bearer ${token}`, "content-type": type },
          }).then(async (response) => (await response.body?.cancel(), response));
          assert.equal(status, 201);
        }
        const { verifier, challenge } = pkce();
        const { body } = await test.form("/oauth2/pushed_authorize", {
          response_type: "code",
          redirect_uri: REDIRECT,
          code_challenge: challenge,
          code_challenge_method: "S256",
          description: "Technical Sanction 7, road Belda–Egra",
          authorization_details: JSON.stringify([{
            type: "credential",
            credentialID,
            documentDigests: documents.map(({ bytes, name, digest }) => ({
              hash: digest ?? sha256(bytes),
              label: name,
            })),
            hashAlgorithmOID: OIDS.sha256,
          }]),
        });
        await page.goto(
          `${origin}/oauth2/authorize?client_id=${CLIENT.id}&request_uri=${body.request_uri}`,
        );
        return {
          redeem: (url) =>
            test.form("/oauth2/token", {
              grant_type: "authorization_code",
              code: new URL(url).searchParams.get("code")!,
              redirect_uri: REDIRECT,
              code_verifier: verifier,
            }),
        };
      },
    });
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
    await server.shutdown();
    await test.close();
  }
}

const DOCUMENT = { bytes: TEXT, name: "sanction-7.txt", type: "text/plain; charset=utf-8" };

async function fill(page: Page, pin: string, otp: string): Promise<void> {
  await page.getByLabel(en.pin, { exact: true }).fill(pin);
  await page.getByLabel(en.otp, { exact: true }).fill(otp);
  await lookAtAll(page);
  await press(page, en.sign);
}

async function sentOtp(test: TestService, after: number): Promise<string> {
  for (let i = 0; test.sent.length <= after; i++) {
    if (i > 2000) throw new Error("no OTP was sent");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return test.lastOtp();
}

Deno.test("the page for PIN and OTP works in Chromium", async (t) => {
  await build();
  const browser = await launch();
  const step = (name: string, body: (desk: Desk) => Promise<void>) =>
    t.step(name, () => atDesk(browser, body));
  try {
    await step(
      "the document is shown, a wrong answer costs a try, and the right one returns to the portal",
      async (desk) => {
        const { test, page } = desk;
        const credentialID = await test.enrol({ userID: "asen", role: "Executive Engineer" });
        const before = test.sent.length;
        const { redeem } = await desk.open(credentialID, [DOCUMENT]);
        assert.equal(await page.locator("pre").innerText(), new TextDecoder().decode(TEXT));
        assert.equal(new URL(page.url()).hash, "#signing", "the ticket is not in the address");
        const otp = await sentOtp(test, before);
        const prefix = await page.locator(".prefix").innerText();
        assert.ok(
          test.sent.at(-1)!.message.text.includes(prefix),
          "the message names the same hash",
        );
        await page.getByText("a•••@works.example").waitFor();
        await screenshot(page, "otp-sign-en");
        await fill(page, "", "");
        await page.getByText(en.missing).waitFor();
        await fill(page, "493818", otp);
        await page.getByText(en.wrong).waitFor();
        await page.getByText("Tries left: 2").waitFor();
        assert.equal(await page.getByLabel(en.pin, { exact: true }).inputValue(), "", "emptied");
        await screenshot(page, "otp-wrong");
        await fill(page, PIN, `${otp.slice(0, 3)} ${otp.slice(3)}`);
        await page.waitForURL("https://portal.example/**");
        assert.equal((await redeem(page.url())).status, 200);
        const given = (await test.audit()).find(({ event }) => event === "authorization.given")!;
        assert.match(given.consent, /^[0-9a-f]{64}$/);
      },
    );

    await step(
      "a reload continues where it was, and Back from the portal says that it is over",
      async (desk) => {
        const { test, page, origin } = desk;
        const credentialID = await test.enrol({ userID: "asen" });
        const before = test.sent.length;
        await desk.open(credentialID, [DOCUMENT]);
        const otp = await sentOtp(test, before);
        await fill(page, "493818", otp);
        await page.getByText("Tries left: 2").waitFor();
        await page.reload();
        await page.getByText("Tries left: 2").waitFor();
        assert.equal(await page.locator("pre").innerText(), new TextDecoder().decode(TEXT));
        assert.equal(test.sent.length, before + 1, "no further OTP is spent");
        // a tab that the phone threw away comes back by its address
        await page.goto("about:blank");
        await page.goBack();
        await fill(page, PIN, otp);
        await page.waitForURL("https://portal.example/**");
        await page.goto(`${origin}/otp#signing`);
        await page.getByRole("heading", { name: en.over }).waitFor();
        await screenshot(page, "otp-over");
        assert.deepEqual(await axeFindings(page), []);
        await page.getByRole("link", { name: en.back }).click();
        await page.waitForURL("https://portal.example/");
      },
    );

    await step("if a stranger may have asked, the person signs in first", async (desk) => {
      const { test, page, origin } = desk;
      const credentialID = await test.enrol({ userID: "asen" });
      const before = test.sent.length;
      const query = new URLSearchParams({
        response_type: "code",
        client_id: CLIENT.id,
        redirect_uri: REDIRECT,
        scope: "credential",
        credentialID,
        numSignatures: "1",
        hashes: sha256(TEXT),
        code_challenge: pkce().challenge,
        code_challenge_method: "S256",
      });
      await page.goto(`${origin}/oauth2/authorize?${query}`);
      await page.getByText("wants your signature").waitFor();
      assert.equal(test.sent.length, before);
      await page.getByLabel(en.user).fill("asen");
      await page.getByLabel(en.pin, { exact: true }).fill(PIN);
      await press(page, en.sign_in);
      await page.getByText(en.not_shown).waitFor();
      await screenshot(page, "otp-blind");
      await fill(page, PIN, await sentOtp(test, before));
      await page.waitForURL("https://portal.example/**code=**");
    });

    await step("after too many wrong answers the page says how long to wait", async (desk) => {
      const { test, page } = desk;
      const credentialID = await test.enrol({ userID: "asen" });
      await test.service.store.run(async (tx) => {
        const row = (await tx.person("asen"))!;
        const answers = { paid: 4, right: 0, until: 0 };
        tx.savePerson({ ...row, guard: { ...row.guard, answers } });
      });
      const before = test.sent.length;
      await desk.open(credentialID, [DOCUMENT]);
      const otp = await sentOtp(test, before);
      await fill(page, "493818", otp);
      await page.getByText(en.wrong).waitFor();
      await fill(page, PIN, otp);
      await page.getByText(/Try again in 0:[0-5]\d/).waitFor();
      await screenshot(page, "otp-wait");
      assert.equal(
        await page.getByRole("button", { name: en.sign, exact: true }).isDisabled(),
        true,
      );
      assert.deepEqual(await axeFindings(page), []);
    });

    await step("rejecting signs nothing", async (desk) => {
      const credentialID = await desk.test.enrol({ userID: "asen" });
      await desk.open(credentialID, [DOCUMENT]);
      await press(desk.page, en.reject);
      await desk.page.waitForURL("https://portal.example/**error=access_denied**");
    });

    await step("three wrong answers end the request", async (desk) => {
      const credentialID = await desk.test.enrol({ userID: "asen" });
      const before = desk.test.sent.length;
      await desk.open(credentialID, [DOCUMENT]);
      const otp = await sentOtp(desk.test, before);
      const other = otp === "000000" ? "000001" : "000000";
      for (const left of ["2", "1"]) {
        await fill(desk.page, PIN, other);
        await desk.page.getByText(`Tries left: ${left}`).waitFor();
      }
      await fill(desk.page, PIN, other);
      await desk.page.getByRole("heading", { name: en.ended }).waitFor();
      await desk.page.getByRole("link", { name: en.back }).click();
      await desk.page.waitForURL("https://portal.example/**error=access_denied**");
    });

    await step("the OTP is sent again after 30 seconds, and not before", async (desk) => {
      const { test, page } = desk;
      const credentialID = await test.enrol({ userID: "asen" });
      // on a computer whose clock is wrong
      await page.clock.install({ time: Date.now() + 2 * 3_600_000 });
      const before = test.sent.length;
      await desk.open(credentialID, [DOCUMENT]);
      await sentOtp(test, before);
      const again = page.getByRole("button", { name: /^Send again/ });
      await page.getByText("Send again in").waitFor();
      assert.equal(await again.isDisabled(), true);
      test.clock.now += 31_000;
      await page.clock.fastForward(31_000);
      await press(page, en.resend);
      await sentOtp(test, before + 1);
    });

    await step("a failed delivery is reported", async (desk) => {
      const credentialID = await desk.test.enrol({ userID: "asen" });
      desk.test.failDelivery = "mailbox full";
      await desk.open(credentialID, [DOCUMENT]);
      await desk.page.getByText(en.send_failed).waitFor();
    });

    await step(
      "a PDF is shown page by page, missing documents are reported, and foreign text is never markup",
      async (desk) => {
        const { test, page } = desk;
        const hostile = "<img src=x onerror=alert(1)>\u202Efdp.exe";
        const credentialID = await test.enrol({ userID: "asen", name: hostile });
        const pdf = classicPdf(documentObjects({ pages: 2 }));
        await desk.open(credentialID, [
          { bytes: pdf, name: "order.pdf", type: "application/pdf" },
          { bytes: TEXT, name: "not-sent.txt", type: "text/plain", shown: false },
          { bytes: new Uint8Array(5000), name: "plan.dwg", type: "application/octet-stream" },
        ]);
        await page.locator("[data-drawn]:not([data-drawn=''])").waitFor();
        assert.ok(await page.getByText("Page 1").count() > 0);
        await page.getByText(en.not_shown).waitFor();
        await page.getByText(en.not_preview).waitFor();
        assert.equal(await page.locator("img").count(), 0);
        assert.ok(await page.locator(".unseen", { hasText: "U+202E" }).count() >= 1);
        await screenshot(page, "otp-pdf");
        assert.deepEqual(await axeFindings(page), []);
      },
    );

    await step(
      "a signature that covers a page is told in red, and seen, before an answer counts",
      async (desk) => {
        const { test, page } = desk;
        const credentialID = await test.enrol({ userID: "asen" });
        const objects = documentObjects({ signatureFields: ["Cover"] });
        const cover = Object.keys(objects).map(Number).find((num) =>
          objects[num].includes("(Cover)")
        )!;
        objects[cover] = objects[cover].replace(/\/Rect \[[^\]]*\]/, "/Rect [-600 0 1190 842]");
        const source = bytesSource(classicPdf(objects));
        const prepared = prepareSignature(source, {
          field: "Cover",
          appearance: {
            draw: (update, { width, height, matrix }) =>
              update.addStream({
                Type: name("XObject"),
                Subtype: name("Form"),
                BBox: [0, 0, width, height],
                Matrix: [...matrix],
              }, latin1(`0.5 g 0 0 ${width} ${height} re f`)),
          },
        });
        const bytes = concat(source.read(0, source.size), prepared.appended);
        const digest = createHash("sha256");
        for (const piece of signedBytes(source, prepared)) digest.update(piece);
        await desk.open(credentialID, [
          { bytes, name: "order.pdf", type: "application/pdf", digest: digest.digest("base64") },
        ]);
        await page.locator(".pdf-box.bad").waitFor();
        const texts = [AGENT_WORDS.en.pdf_box_over_text, AGENT_WORDS.en.pdf_box_large];
        assert.deepEqual(
          await page.locator(".document .warning").allInnerTexts(),
          texts.map((text) => text.replace("{page}", "1")),
        );
        for (const warning of await page.locator(".document .warning").all()) {
          await mustBeSeen(page, warning);
        }
        await screenshot(page, "otp-covered");
      },
    );

    await step("a page that opens this window has no hold on it", async (desk) => {
      const { test, page, context, origin } = desk;
      const credentialID = await test.enrol({ userID: "asen" });
      await desk.open(credentialID, [DOCUMENT]);
      const address = page.url();
      await page.goto("https://portal.example/");
      const opened = context.waitForEvent("page");
      await page.evaluate((url) => {
        Object.assign(globalThis, { popup: open(url, "", "popup,width=900,height=700") });
      }, address);
      const popup = await opened;
      await popup.waitForLoadState();
      assert.equal(new URL(popup.url()).origin, origin);
      assert.equal(await popup.evaluate(() => globalThis.opener), null);
      assert.ok(
        await page.evaluate(() => (globalThis as unknown as { popup: Window }).popup.closed),
      );
    });

    await step("the PIN is set and changed with an authenticator", async (desk) => {
      const { test, page, origin } = desk;
      const { people } = test.service;
      await people.add({
        userID: "csen",
        name: "Charulata Sen",
        email: "c@works.example",
        language: "en",
        otp: "totp",
        credential: { kind: "one-time", mode: "oauth2code" },
      }, "test");
      const link = /http\S+#enrol-\S+/.exec(test.sent.at(-1)!.message.text)![0];
      await page.goto(link);
      await page.getByAltText(en.totp_picture).waitFor();
      await screenshot(page, "otp-enrol");
      assert.deepEqual(await axeFindings(page), []);
      const set = async (pin: string, again: string, otp: string) => {
        await page.getByLabel(en.new_pin, { exact: true }).fill(pin);
        await page.getByLabel(en.again, { exact: true }).fill(again);
        await page.getByLabel(en.otp, { exact: true }).fill(otp);
        await press(page, en.set);
      };
      await set("628194", "628195", "000000");
      await page.getByText(en.pin_differs).waitFor();
      await set("123456", "123456", "000000");
      await page.getByText(en.pin_weak).waitFor();
      await page.getByText(en.totp_address).click();
      const uri = new URL(await page.locator("code.digits").innerText());
      const secret = uri.searchParams.get("secret")!;
      await set("628194", "628194", totp(secret, test.clock.now));
      await page.getByRole("heading", { name: en.set_done }).waitFor();
      await page.goto(`${origin}/otp`);
      await page.getByLabel(en.user).fill("csen");
      await page.getByLabel(en.old_pin).fill("628195");
      await press(page, en.change_go);
      await page.getByText(en.sign_in_wrong).waitFor();
      await page.getByLabel(en.old_pin).fill("628194");
      await screenshot(page, "otp-change-start");
      assert.deepEqual(await axeFindings(page), []);
      await press(page, en.change_go);
      test.clock.now += 30_000; // the step that set the PIN is used up
      await page.getByLabel(en.new_pin, { exact: true }).fill("719384");
      await page.getByLabel(en.again, { exact: true }).fill("719384");
      await page.getByLabel(en.otp, { exact: true }).fill(totp(secret, test.clock.now));
      await screenshot(page, "otp-change");
      assert.deepEqual(await axeFindings(page), []);
      await press(page, en.change_do);
      await page.getByRole("heading", { name: en.change_done }).waitFor();
    });

    await t.step(
      "with eSign, the browser carries the request to the ESP and its answer back",
      async () => {
        const asp = issue({
          subject: [["CN", "Portal (TEST)"]],
          notBefore: new Date(Date.now() - 60_000),
          notAfter: new Date(Date.now() + 3_600_000),
          extensions: [],
        });
        const fake = new FakeEsp({ id: "WORKS-1", certificate: asp.certificate.der });
        const esp = Deno.serve(
          { hostname: "127.0.0.1", port: 0, onListen() {} },
          (request) => fake.page(request, "Anita Sen"),
        );
        const url = `http://localhost:${esp.addr.port}/signdoc`;
        await atDesk(browser, async ({ test, page, origin }) => {
          const headers = { authorization: `Bearer ${await test.token()}` };
          const begin = async () => {
            const query = new URLSearchParams({
              name: "sanction-7.pdf",
              purpose: "Technical Sanction 7, road Belda–Egra",
              redirect_uri: REDIRECT,
              state: "s-7",
            });
            const response = await fetch(`${origin}/portal/v1/esign?${query}`, {
              method: "POST",
              headers,
              body: new Uint8Array(classicPdf(documentObjects())),
            });
            const { transaction, location } = await response.json();
            await page.goto(location);
            return transaction;
          };
          const ended = async (transaction: string) => {
            await page.waitForURL(
              `https://portal.example/**transaction=${transaction}&state=s-7**`,
            );
            const response = await fetch(`${origin}/portal/v1/esign/${transaction}`, { headers });
            return await response.json();
          };
          const first = await begin();
          for (const language of ["বাংলা", "हिन्दी", "English"]) {
            await press(page, language);
            await page.getByText("ESP eSign", { exact: true }).waitFor();
            assert.deepEqual(await axeFindings(page), []);
          }
          await screenshot(page, "esign");
          await press(page, "Go on to the eSign service");
          await press(page, "Cancel");
          assert.equal((await ended(first)).error.code, "ESP-944");
          const second = await begin();
          await press(page, "Go on to the eSign service");
          await press(page, "Approve");
          const { state, signer } = await ended(second);
          assert.deepEqual([state, signer], ["signed", "Anita Sen"]);
        }, { esp: espOptions(fake, asp, url) });
        await esp.shutdown();
      },
    );

    await step("a person signs in", async (desk) => {
      const { test, page, origin } = desk;
      await test.enrol({ userID: "asen" });
      const query = new URLSearchParams({
        response_type: "code",
        client_id: CLIENT.id,
        redirect_uri: REDIRECT,
        code_challenge: pkce().challenge,
        code_challenge_method: "S256",
      });
      await page.goto(`${origin}/oauth2/authorize?${query}`);
      await page.getByLabel(en.user).fill("asen");
      await page.getByLabel(en.pin, { exact: true }).fill("493818");
      await press(page, en.sign_in);
      await page.getByText(en.sign_in_wrong).waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await page.getByLabel(en.pin, { exact: true }).fill(PIN);
      await press(page, en.sign_in);
      await page.waitForURL("https://portal.example/**code=**");
    });

    for (const language of ["bn", "hi"] as const) {
      await step(`the page is translated and accessible in ${language}`, async (desk) => {
        const { test, page } = desk;
        const credentialID = await test.enrol({ userID: "asen", language, name: "অনিতা সেন" });
        await desk.open(credentialID, [DOCUMENT]);
        await page.getByRole("heading", { name: OTP_WORDS[language].ask }).waitFor();
        assert.equal(await page.locator("html").getAttribute("lang"), language);
        for (const more of await page.locator("summary").all()) await more.click();
        await screenshot(page, `otp-sign-${language}`);
        await page.getByRole("button", { name: OTP_WORDS[language].sign, exact: true }).click();
        await page.getByText(OTP_WORDS[language].missing).waitFor();
        assert.deepEqual(await axeFindings(page), []);
      });
    }

    await step(
      "the page in English fits a narrow screen, and an expired link says so",
      async (desk) => {
        const { test, page, origin } = desk;
        const credentialID = await test.enrol({ userID: "asen" });
        await page.setViewportSize({ width: 360, height: 740 });
        await desk.open(credentialID, [DOCUMENT]);
        await page.locator("pre").waitFor();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= 360, `it is ${wide} wide`);
        await screenshot(page, "otp-narrow");
        assert.deepEqual(await axeFindings(page), []);
        await page.goto(`${origin}/otp#used`); // in the open tab, as by a click in a mail program
        await page.getByRole("heading", { name: en.nothing }).waitFor();
        desk.errors.length = 0; // the 404 of the link
      },
    );
  } finally {
    await browser.close();
  }
});

/** RFC 6238 by node:crypto, from the secret as an app reads it. */
function totp(secret: string, now: number): string {
  const bits = [...secret].map((letter) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")
  ).join("");
  const key = Uint8Array.from(bits.match(/.{8}/g)!, (byte) => parseInt(byte, 2));
  assert.equal(base32(key), secret);
  const counter = new Uint8Array(8);
  new DataView(counter.buffer).setBigUint64(0, BigInt(Math.floor(now / 30_000)));
  const mac = createHmac("sha1", key).update(counter).digest();
  const number = mac.readUInt32BE(mac[19]! & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}
