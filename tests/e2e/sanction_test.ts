/**
 * The Technical Sanction page in a real browser: the portal of the demonstration, the PIN/OTP service with its own page,
 * mail over SMTP, the agent with its consent window, and pdfsig as the judge.
 */
import assert from "node:assert/strict";
import { WindowConsent } from "../../signing/consent/window.ts";
import { build } from "../../tasks/build.ts";
import { withParts, withPortal } from "../../tasks/demo.ts";
import { ENGINEER } from "../../tasks/demo_otp.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { OTP_WORDS } from "../../words/otp.ts";
import { pdfsig } from "../fixtures/pdf_tools.ts";
import { makePki } from "../fixtures/pki.ts";
import { signPdf } from "../fixtures/sign_pdf.ts";
import {
  axeFindings,
  launch,
  lookAtAll,
  openWindow,
  press,
  screenshot,
  watchConsole,
} from "./browser.ts";
import { NextWindow } from "./next_window.ts";

const en = AGENT_WORDS.en;
const otpWords = OTP_WORDS.en;

Deno.test("a Technical Sanction is drafted, issued with PIN and OTP, signed by a token, and verified", async (t) => {
  await build();
  const browser = await launch();
  const next = new NextWindow<string>();
  const consent = () => (origin: string) =>
    new WindowConsent({
      origin,
      language: "en",
      openWindow: (url) => Promise.resolve(next.opened(url)),
    });
  try {
    await withParts({ consent, ports: [0] }, async (parts) => {
      await withPortal(parts, async (portal, mail) => {
        const { agent, tokens, folder } = parts;
        const context = await browser.newContext({ viewport: { width: 800, height: 900 } });
        const errors = watchConsole(context);
        const page = await context.newPage();
        /** Addresses to which a page sent the engineer's PIN. */
        const carriers = new Set<string>();
        context.on("request", (request) => {
          if ((request.url() + request.postData()).includes(ENGINEER.pin)) {
            carriers.add(new URL(request.url()).origin);
          }
        });
        const consentWindow = async () => {
          const opened = await openWindow(context, await next.wait());
          await opened.getByRole("heading", { level: 1 }).waitFor();
          return opened;
        };
        const otpOf = async (after: number) => {
          for (let i = 0; mail.mails.length <= after; i++) {
            assert.ok(i < 2000, "no OTP came");
            await new Promise((resolve) => setTimeout(resolve, 25));
          }
          return /^OTP (\d{6}) /.exec(mail.mails.at(-1)!.text)![1];
        };

        await t.step("the engineer drafts the order", async () => {
          await page.goto(`${portal.url}/sanction?port=${agent.port}`);
          await page.getByLabel("Amount in rupees").fill("4,58,37,500.00");
          assert.deepEqual(await axeFindings(page), []);
          await screenshot(page, "sanction-draft");
          await press(page, "Make the order");
          await page.getByRole("heading", { name: /^Technical Sanction TS\// }).waitFor();
          await page.getByText("Nobody has signed the order yet.").waitFor();
          assert.deepEqual(await axeFindings(page), []);
          await screenshot(page, "sanction-order");
        });
        const id = new URL(page.url()).searchParams.get("id")!;
        const verifyUrl = `${portal.url}/verify/${id}`;

        await t.step("a draft is not called genuine", async () => {
          const other = await context.newPage();
          await other.goto(verifyUrl);
          await other.getByRole("heading", { name: /is not issued$/ }).waitFor();
          await other.close();
        });

        await t.step("declined at the service, nothing is signed", async () => {
          const shown = page.waitForResponse(/\/otp\/document/);
          await press(page, "Sign with PIN and OTP");
          await shown;
          await page.getByLabel(otpWords.pin, { exact: true }).waitFor();
          await page.waitForLoadState("networkidle");
          await press(page, otpWords.reject);
          await page.getByText("You did not sign. The order is as it was.").waitFor();
          await page.getByText("Nobody has signed the order yet.").waitFor();
        });

        await t.step("another order is issued by eSign, and the page says so", async () => {
          const other = await context.newPage();
          await other.goto(`${portal.url}/sanction?port=${agent.port}`);
          await press(other, "Make the order");
          await press(other, "Sign by eSign");
          await press(other, "Go on to the eSign service");
          await press(other, "Cancel");
          await other.getByText("You ended the signing at the eSign service.").waitFor();
          await press(other, "Sign by eSign");
          await press(other, "Go on to the eSign service");
          await press(other, "Approve");
          await other.getByRole("status").getByText("Issued.").waitFor();
          await other.getByRole("heading", { name: `${ENGINEER.name} ESP eSign` }).waitFor();
          await other.getByText("Valid", { exact: true }).waitFor();
          await other.getByText(/^Stands in the department's log as number \d+ of \d+\./).waitFor();
          assert.equal(await other.getByText("Departmental PIN/OTP signature").count(), 0);
          await screenshot(other, "sanction-esign");
          await other.close();
        });

        await t.step("the order is issued with PIN and OTP", async () => {
          const before = mail.mails.length;
          await page.goto(`${portal.url}/sanction?id=${id}&port=${agent.port}`);
          await press(page, "Sign with PIN and OTP");
          const otp = await otpOf(before);
          await screenshot(page, "sanction-otp");
          await page.getByLabel(otpWords.pin, { exact: true }).fill(ENGINEER.pin);
          await page.getByLabel(otpWords.otp, { exact: true }).fill(otp);
          await lookAtAll(page);
          await press(page, otpWords.sign);
          await page.getByRole("status").getByText("Issued.").waitFor();
          await page.getByText("Departmental PIN/OTP signature").first().waitFor();
          assert.ok(!carriers.has(portal.url), "the portal saw the PIN");
          assert.deepEqual(await axeFindings(page), []);
          await screenshot(page, "sanction-issued");
        });

        await t.step("an officer's token signs the same order", async () => {
          const { name, pin } = tokens.officers[0]!;
          await page.goto(`${portal.url}/sanction?id=${id}&port=${agent.port}`);
          await press(page, "Sign with a token");
          await press(await consentWindow(), en.do_grant);
          const asked = await consentWindow();
          await asked.getByRole("radio", { name }).check();
          await asked.getByLabel(en.pin).fill(pin);
          await lookAtAll(asked);
          await press(asked, en.do_sign_one);
          await page.getByRole("heading", { name: new RegExp(`^${name}`) }).waitFor();
          assert.equal(await page.getByText("PAdES B-LT").count(), 2);
        });

        await t.step("anyone can verify it", async () => {
          await page.goto(verifyUrl);
          await page.getByRole("heading", { name: /is genuine$/ }).waitFor();
          assert.equal(await page.getByText("Valid", { exact: true }).count(), 2);
          assert.deepEqual(await axeFindings(page), []);
          await screenshot(page, "sanction-verified");
          const logged = page.getByText(/^Stands in the department's log as number \d+ of \d+\./);
          assert.equal(await logged.count(), 1, "of the departmental one alone");
          const path = await page.getByRole("link", { name: "Receipt" }).getAttribute("href");
          const receipt = await (await fetch(portal.url + path)).text();
          assert.match(receipt, /^c2sp\.org\/tlog-proof@v1\n/);
          const file = `${folder}/order.pdf`;
          const pdf = await (await fetch(`${portal.url}/sanctions/${id}.pdf`)).bytes();
          await Deno.writeFile(file, pdf);
          assert.deepEqual((await pdfsig(file)).map(({ valid }) => valid), [true, true]);
        });

        await t.step(
          "anything but the order with one more valid signature is refused",
          async () => {
            const pdf = await (await fetch(`${portal.url}/sanctions/${id}.pdf`)).bytes();
            const put = async (body: Uint8Array<ArrayBuffer>, origin = portal.url) => {
              const path = `${portal.url}/api/sanctions/${id}/pdf`;
              const response = await fetch(path, { method: "PUT", body, headers: { origin } });
              await response.body?.cancel();
              return response.status;
            };
            const changed = pdf.slice();
            changed[1000] ^= 1;
            const longer = new Uint8Array([...pdf, 0x20]);
            const stranger = signPdf(
              pdf,
              makePki({ officers: [{ name: "Stranger" }] }).officers[0],
            ) as typeof pdf;
            for (const each of [pdf, changed, longer, stranger, new Uint8Array()]) {
              assert.equal(await put(each), 409);
            }
            assert.equal(await put(longer, "https://elsewhere.example"), 403);
            const stolen = await fetch(`${portal.url}/signed?code=x&state=y`, {
              redirect: "manual",
            });
            await stolen.body?.cancel();
            assert.match(stolen.headers.get("location")!, /problem=This\+request\+is\+over/);
            const after = await (await fetch(`${portal.url}/sanctions/${id}.pdf`)).bytes();
            assert.deepEqual(after, pdf);
          },
        );

        await t.step("the mail can be read", async () => {
          await page.goto(`${portal.url}/mail`);
          await screenshot(page, "sanction-mail");
          assert.deepEqual(await axeFindings(page), []);
        });
        assert.deepEqual(errors, []);
        await context.close();
      });
    });
  } finally {
    await browser.close();
  }
});
