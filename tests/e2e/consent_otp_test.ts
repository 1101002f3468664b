/** The question for an OTP in a real browser. */
import assert from "node:assert/strict";
import { WindowConsent } from "../../signing/consent/window.ts";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS, LANGUAGES } from "../../words/agent.ts";
import { otpRequest } from "../fakes/consent_requests.ts";
import { testAgent } from "../fixtures/agent.ts";
import {
  axeFindings,
  launch,
  lookAtAll,
  openWindow,
  pressKey,
  screenshot,
  watchConsole,
} from "./browser.ts";
import { NextWindow } from "./next_window.ts";

Deno.test("the OTP of a remote key is asked for in D-Sign's window", async () => {
  await build();
  const browser = await launch();
  try {
    const next = new NextWindow<string>();
    let consent: WindowConsent | undefined;
    await using _test = await testAgent({
      web: new URL("../../dist/web/", import.meta.url),
      settings: { language: () => "en", keepLanguage: () => Promise.resolve(), quit() {} },
      consent: (origin) =>
        consent = new WindowConsent({
          origin,
          language: "en",
          openWindow: (url) => Promise.resolve(next.opened(url)),
        }),
    });
    const context = await browser.newContext({ viewport: { width: 640, height: 760 } });
    const errors = watchConsole(context);
    const ask = async () => {
      const typed = consent!.otp(
        otpRequest(),
        () => Promise.resolve(),
        AbortSignal.timeout(60_000),
      );
      typed.catch(() => {}); // looked at below
      const page = await openWindow(context, await next.wait());
      await page.getByLabel(AGENT_WORDS.en.otp_label, { exact: true }).waitFor();
      return { typed, page };
    };
    const { typed, page } = await ask();
    await lookAtAll(page);
    await page.getByRole("button", { name: AGENT_WORDS.en.do_sign_one, exact: true }).click();
    await page.getByText(AGENT_WORDS.en.otp_missing).waitFor();
    for (const language of ["bn", "hi", "en"] as const) {
      await page.getByRole("button", { name: LANGUAGES[language] }).click();
      await page.getByRole("heading", { name: AGENT_WORDS[language].otp_title }).waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, `consent-otp-${language}`);
    }
    await page.getByLabel(AGENT_WORDS.en.otp_label, { exact: true }).fill("246810");
    await lookAtAll(page);
    const closed = page.waitForEvent("close");
    await pressKey(page, "Enter");
    await closed;
    assert.equal(new TextDecoder().decode(await typed), "246810");

    const second = await ask();
    const name = AGENT_WORDS.en.do_not_sign;
    await second.page.getByRole("button", { name, exact: true }).click();
    await assert.rejects(second.typed, { code: "user_cancelled" });
    assert.deepEqual(errors, []);
    await context.close();
  } finally {
    await browser.close();
  }
});
