/** The consent page in a real browser, against the agent's real side of it and a token that answers as scripted. */
import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { bytesSource } from "../../formats/source.ts";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { ERROR_WORDS } from "../../words/errors.ts";
import { axeFindings, closed, launch, lookAtAll, press, pressKey, screenshot } from "./browser.ts";
import { classicPdf, documentObjects } from "../fixtures/pdf.ts";
import {
  atDesk,
  BILL,
  choice,
  type Desk,
  type DeskOptions,
  GRANT,
  item,
  pinRequest,
  signRequest,
  token,
  wrong,
} from "./consent_desk.ts";

const en = AGENT_WORDS.en;

const never = new AbortController().signal;
const pinField = (page: Page) => page.getByLabel(en.pin);

/** Rejections are looked at later; until then nobody handles them. */
function outcome(asked: Promise<unknown>): Promise<string> {
  return asked.then(() => "ok", (error) => error.code ?? String(error));
}

await build();

Deno.test("the consent page works in a browser", async (t) => {
  const browser = await launch();
  const step = (
    name: string,
    test: (desk: Desk) => Promise<void>,
    options: DeskOptions = {},
  ) => t.step(name, () => atDesk(browser, options, test));
  try {
    await step(
      "a wrong PIN is reported, the right one signs, and the window closes",
      async (desk) => {
        const { unlock, attempts, typed } = token(wrong("many"));
        const answered = outcome(desk.consent.sign(signRequest(), unlock, never));
        const page = await desk.shown();
        assert.equal(new URL(page.url()).hash, "", "the ticket stays in the address");
        await pinField(page).fill("1111");
        await press(page, en.do_sign_one);
        await page.getByText(ERROR_WORDS.en.pin_incorrect).waitFor();
        assert.equal(await pinField(page).inputValue(), "");
        await pinField(page).fill("পিন-1234");
        await pressKey(page, "Enter");
        await closed(page);
        assert.equal(await answered, "ok");
        assert.deepEqual(typed, ["1111", "পিন-1234"]);
        assert.equal(attempts[1]!.binding, signRequest().binding);
        assert.equal(attempts[1]!.finalTry, false);
      },
    );

    await step(
      "a token's PIN is changed: empty and different fields are told, a wrong PIN too",
      async (desk) => {
        const typed: (string | null)[][] = [];
        const answered = outcome(desk.consent.pin(pinRequest("change"), ({ pin, newPin }) => {
          typed.push([pin, newPin].map((bytes) => bytes && new TextDecoder().decode(bytes)));
          return Promise.resolve(typed.length === 1 ? wrong("many") : { ok: true });
        }, never));
        const page = await desk.shown();
        const fill = async (old: string, next: string, again: string) => {
          await page.getByLabel(en.pin_old).fill(old);
          await page.getByLabel(en.pin_new, { exact: true }).fill(next);
          await page.getByLabel(en.pin_again).fill(again);
          await press(page, en.do_change_pin);
        };
        await fill("1111", "", "");
        await page.getByText(en.pin_missing).waitFor();
        await fill("1111", "2222", "2223");
        await page.getByText(en.pin_differs).waitFor();
        await fill("1111", "2222", "2222");
        await page.getByText(ERROR_WORDS.en.pin_incorrect).waitFor();
        assert.equal(await page.getByLabel(en.pin_old).inputValue(), "");
        await screenshot(page, "consent-pin-wrong-en");
        await fill("3333", "2222", "2222");
        await closed(page);
        assert.equal(await answered, "ok");
        assert.deepEqual(typed, [["1111", "2222"], ["3333", "2222"]]);
      },
    );

    await step(
      "the focus starts at the question and walks to the PIN and both buttons",
      async (desk) => {
        const { unlock, typed } = token();
        const answered = outcome(desk.consent.sign(signRequest(), unlock, never));
        const page = await desk.shown();
        await page.locator("button[type=submit]:enabled").waitFor();
        const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
        assert.equal(await focused(), en.ask_sign_one);
        const seen: string[] = [];
        for (let i = 0; i < 8; i++) {
          await pressKey(page, "Tab");
          seen.push(
            await page.evaluate(() =>
              document.activeElement?.id || document.activeElement?.textContent || ""
            ),
          );
        }
        assert.deepEqual(seen.slice(1), [
          ...[en.exact_text, en.details, en.law_more],
          ...["pin", en.time_more, en.do_not_sign, en.do_sign_one],
        ]);
        await pressKey(page, "Enter");
        await page.getByText(en.pin_missing).waitFor();
        assert.equal(await page.evaluate(() => document.activeElement?.id), "pin");
        await page.keyboard.type("1234");
        await pressKey(page, "Enter");
        assert.equal(await answered, "ok");
        assert.deepEqual(typed, ["1234"]);
      },
    );

    await step("the last try must be confirmed", async (desk) => {
      const { unlock, attempts } = token();
      const request = signRequest({ choices: [choice("Anita Das", { state: "pin_final_try" })] });
      const answered = outcome(desk.consent.sign(request, unlock, never));
      const page = await desk.shown();
      await page.getByText(en.tries_final).waitFor();
      await pinField(page).fill("1234");
      await press(page, en.do_sign_one);
      await page.getByText(en.confirm_missing.replace("{button}", en.do_not_sign)).waitFor();
      assert.equal(attempts.length, 0);
      await screenshot(page, "consent-final-try");
      await lookAtAll(page);
      await page.getByLabel(en.final_confirm).check();
      await press(page, en.do_sign_one);
      assert.equal(await answered, "ok");
      assert.equal(attempts[0]!.finalTry, true);
    });

    await step(
      "a count that becomes dangerous or is unknown must be confirmed too",
      async (desk) => {
        const { unlock, attempts } = token(
          wrong("unknown"),
          wrong("final", { code: "pin_final_try" }),
        );
        const answered = outcome(desk.consent.sign(signRequest(), unlock, never));
        const page = await desk.shown();
        await pinField(page).fill("1");
        await press(page, en.do_sign_one);
        await page.getByLabel(en.unknown_confirm).check();
        await pinField(page).fill("2");
        await press(page, en.do_sign_one);
        const confirm = page.getByLabel(en.final_confirm);
        await confirm.waitFor();
        assert.equal(await confirm.isChecked(), false, "each danger is confirmed anew");
        await confirm.check();
        await pinField(page).fill("3");
        await press(page, en.do_sign_one);
        assert.equal(await answered, "ok");
        assert.deepEqual(attempts.map(({ finalTry }) => finalTry), [false, true, true]);
      },
    );

    await step("a locked PIN ends it with an explanation that stays", async (desk) => {
      const { unlock } = token(wrong("none", { code: "pin_locked", again: false }));
      const answered = outcome(desk.consent.sign(signRequest(), unlock, never));
      const page = await desk.shown();
      await pinField(page).fill("1");
      await press(page, en.do_sign_one);
      await page.getByText(ERROR_WORDS.en.pin_locked).waitFor();
      await page.getByText(en.end_failed, { exact: true }).waitFor();
      assert.equal(await answered, "pin_locked");
      assert.deepEqual(await axeFindings(page), []);
      await press(page, en.do_close);
      await closed(page);
    });

    await step(
      "no PIN is asked for a token with a keypad, one of Windows', an unlocked or a locked one",
      async (desk) => {
        const keypad = choice("Anita Das", { protectedAuthenticationPath: true }, "a1");
        const unlocked = choice("Bikram Sen", {}, "b2", { unlocked: true });
        const locked = choice("Charulata Roy", { state: "pin_locked" }, "c3");
        const windows = choice("Dipankar Das", { windowsAsks: true }, "d4");
        const { unlock, attempts } = token();
        const choices = [keypad, unlocked, locked, windows];
        const request = signRequest({ choices, preferred: unlocked.certificate.id });
        const answered = outcome(desk.consent.sign(request, unlock, never));
        const page = await desk.shown();
        assert.equal(await page.getByRole("radio", { checked: true }).count(), 0);
        await page.getByRole("radio", { name: "Bikram Sen" }).check();
        await page.getByText(en.pin_not_needed).waitFor();
        await lookAtAll(page);
        await page.getByRole("radio", { name: "Charulata Roy" }).check();
        await page.getByText(ERROR_WORDS.en.pin_locked).waitFor();
        assert.ok(
          await page.getByRole("button", { name: en.do_sign_one, exact: true }).isDisabled(),
        );
        await page.getByRole("radio", { name: "Dipankar Das" }).check();
        await page.getByText(en.pin_windows).waitFor();
        assert.equal(await pinField(page).count(), 0);
        await page.getByRole("radio", { name: "Anita Das" }).check();
        await page.getByText(en.pin_keypad).waitFor();
        assert.equal(await pinField(page).count(), 0);
        await press(page, en.do_sign_one);
        assert.equal(await answered, "ok");
        assert.equal(attempts[0]!.pin, null);
        assert.equal(attempts[0]!.certificate, keypad.certificate.id);
      },
    );

    await step("the danger of one token is remembered while another is looked at", async (desk) => {
      const choices = [choice("Anita Das", {}, "a1"), choice("Bikram Sen", {}, "b2")];
      const { unlock } = token(wrong("final"));
      const answered = outcome(desk.consent.sign(signRequest({ choices }), unlock, never));
      const page = await desk.shown();
      await page.getByRole("radio", { name: "Anita Das" }).check();
      await pinField(page).fill("1");
      await press(page, en.do_sign_one);
      await page.getByText(en.tries_final).waitFor();
      await page.getByRole("radio", { name: "Bikram Sen" }).check();
      await page.getByText(en.tries_final).waitFor({ state: "detached" });
      await page.getByRole("radio", { name: "Anita Das" }).check();
      await page.getByText(en.tries_final).waitFor();
      assert.equal(await page.getByLabel(en.final_confirm).isChecked(), false);
      await press(page, en.do_not_sign);
      assert.equal(await answered, "user_cancelled");
    });

    await step("a PIN typed for one certificate is not sent for another", async (desk) => {
      const choices = [choice("Anita Das", {}, "a1"), choice("Bikram Sen", {}, "b2")];
      const { unlock, typed } = token();
      const answered = outcome(desk.consent.sign(signRequest({ choices }), unlock, never));
      const page = await desk.shown();
      await page.getByRole("status").getByText(en.certificate_many).waitFor();
      assert.equal(await page.getByRole("radio", { checked: true }).count(), 0);
      assert.equal(await pinField(page).count(), 0, "nothing is preselected among several");
      await page.getByRole("radio", { name: "Anita Das" }).check();
      await page.getByText(`${en.pin}: ProxKey 1, Anita Das`).waitFor();
      await pinField(page).fill("for Anita");
      await page.getByRole("radio", { name: "Bikram Sen" }).check();
      assert.equal(await pinField(page).inputValue(), "");
      await screenshot(page, "consent-choices");
      await press(page, en.do_not_sign);
      await closed(page);
      assert.equal(await answered, "user_cancelled");
      assert.deepEqual(typed, []);
    });

    await step("foreign text is shown as text, with its hidden characters", async (desk) => {
      const { unlock } = token();
      const hostile = '<img src=x onerror="document.title=1">\u202E\u200Bfdp.exe';
      const request = signRequest({
        asker: { origin: "https://treasury.example.in", trustedSince: null, purpose: hostile },
        items: [item(hostile, "text/plain", `${hostile}\nnext line${"\n.".repeat(60)}`)],
        choices: [choice(hostile, { label: hostile })],
      });
      const answered = outcome(desk.consent.sign(request, unlock, never));
      const page = await desk.shown();
      assert.equal(await page.locator("img").count(), 0);
      assert.ok(await page.locator(".unseen", { hasText: "U+202E" }).count() >= 5);
      assert.match(
        await page.locator("pre").innerText(),
        /^<img src=x onerror="document.title=1">U\+202EU\+200Bfdp.exe\nnext line\n/,
      );
      await page.getByText(en.scroll_more).waitFor();
      await page.locator(".pane").press("End");
      await page.getByText(en.scroll_more).waitFor({ state: "detached" });
      await screenshot(page, "consent-hostile");
      await press(page, en.do_not_sign);
      assert.equal(await answered, "user_cancelled");
    });

    await step("a text in a batch is fetched when it is opened", async (desk) => {
      const items = ["a", "b"].map((name) => ({ ...BILL, name, preview: null }));
      const contents = [Uint8Array.of(1, 2, 3), new TextEncoder().encode(BILL.preview!.text)];
      const sources = contents.map((bytes) => ({ size: bytes.length, read: () => bytes }));
      const answered = outcome(
        desk.consent.sign(
          signRequest({ items, batch: true }),
          token().unlock,
          never,
          (i) => Promise.resolve({ source: sources[i]!, facts: () => Promise.reject() }),
        ),
      );
      const page = await desk.shown();
      await page.locator("details.listed > summary").last().click();
      await page.getByText("4,58,375.00", { exact: true }).waitFor();
      await page.locator("details.listed > summary").first().click();
      await page.locator(".notice", { hasText: en.not_shown }).waitFor();
      await press(page, en.do_not_sign);
      assert.equal(await answered, "user_cancelled");
    });

    await step(
      "the files of a container are shown one below the other, before it is signed",
      async (desk) => {
        const signedBy = [{ name: "Stranger", proven: false }];
        const items = ["Pay 7 to A", "Pay 900 to B"].map((text, i) => ({
          ...item(`order${i}.txt`, "text/plain", text),
          signedBy,
        }));
        const answered = outcome(desk.consent.sign(signRequest({ items }), token().unlock, never));
        const page = await desk.shown();
        for (const text of ["Pay 7 to A", "Pay 900 to B"]) await page.getByText(text).waitFor();
        assert.equal(await page.getByText("claims to be Stranger").count(), 2);
        await press(page, en.do_not_sign);
        assert.equal(await answered, "user_cancelled");
      },
    );

    await step("of a container of many files, every name must have been in view", async (desk) => {
      const items = Array.from({ length: 60 }, (_, i) => item(`order${i}.txt`, "text/plain", "a"));
      const request = signRequest({ items });
      const answered = outcome(desk.consent.sign(request, token().unlock, never));
      const page = await desk.shown();
      await page.locator(".see-next").waitFor();
      assert.ok(await page.locator("button[type=submit]").isDisabled());
      await lookAtAll(page);
      assert.equal(
        await page.locator(".pane").evaluate((pane) => {
          const last = document.querySelectorAll("details.listed")[59]!;
          return last.getBoundingClientRect().bottom <= pane.getBoundingClientRect().bottom;
        }),
        true,
      );
      await press(page, en.do_not_sign);
      assert.equal(await answered, "user_cancelled");
    });

    await step(
      "a PDF beside which the signature goes is drawn before an answer counts",
      async (desk) => {
        const bytes = classicPdf(documentObjects());
        const { promise: arrived, resolve: bring } = Promise.withResolvers<void>();
        const facts = { password: null, damaged: false, permitted: true, signatures: [] };
        const { unlock } = token();
        const answered = outcome(
          desk.consent.sign(
            signRequest({
              items: [{ ...item("order.pdf", "application/pdf", null), pdf: { adds: null } }],
            }),
            unlock,
            never,
            async () => {
              await arrived;
              return { source: bytesSource(bytes), facts: () => Promise.resolve(facts) };
            },
          ),
        );
        const page = await desk.shown();
        try {
          await page.locator(".see-next, button[type=submit]:enabled").first().waitFor();
          assert.ok(await page.locator("button[type=submit]").isDisabled());
        } finally {
          bring();
        }
        await lookAtAll(page);
        assert.equal(await page.locator('[data-drawn="1 1"]').count(), 1);
        await press(page, en.do_not_sign);
        assert.equal(await answered, "user_cancelled");
      },
    );

    await step("a closed window has declined", async (desk) => {
      const answered = outcome(desk.consent.sign(signRequest(), token().unlock, never));
      await (await desk.shown()).close();
      assert.equal(await answered, "user_cancelled");
    });

    await step("a withdrawn or expired request says so", async (desk) => {
      const cancel = new AbortController();
      const taken = outcome(desk.consent.sign(signRequest(), token().unlock, cancel.signal));
      const page = await desk.shown();
      cancel.abort();
      await page.getByText(en.end_withdrawn).waitFor();
      assert.equal(await taken, "request_cancelled");
      await page.goto("about:blank");
      await page.goBack();
      await page.getByText(en.end_nothing).waitFor();
      desk.errors.length = 0; // the 404 of the second look
    }, { stays: true });

    await step("more time can be had, and Escape does not sign", async (desk) => {
      const answered = outcome(desk.consent.sign(signRequest(), token().unlock, never));
      const page = await desk.shown();
      const left = async () => {
        const [, minutes, seconds] = /(\d+):(\d\d)/.exec(
          await page.getByRole("timer").innerText(),
        )!;
        return 60 * Number(minutes) + Number(seconds);
      };
      const before = await left();
      assert.ok(before <= 60);
      await press(page, en.time_more);
      await page.getByRole("timer").filter({ hasText: /1:[1-5]\d|2:\d\d/ }).waitFor();
      assert.ok(await left() > before);
      // The limit is reached.
      await press(page, en.time_more);
      await page.getByRole("button", { name: en.time_more }).waitFor({ state: "detached" });
      await pressKey(page, "Escape");
      await closed(page);
      assert.equal(await answered, "user_cancelled");
    }, { timeout: 60_000, limit: 130_000 });

    await step("the password of a key file is called that", async (desk) => {
      const file = choice("Anita Das");
      const { unlock } = token(wrong("many", { pin: { ...file.pin, password: true } }));
      const request = signRequest({ choices: [{ ...file, pin: { ...file.pin, password: true } }] });
      const answered = outcome(desk.consent.sign(request, unlock, never));
      const page = await desk.shown();
      await page.getByLabel(en.password).fill("1");
      await press(page, en.do_sign_one);
      await page.getByText(en.password_wrong).waitFor();
      await pressKey(page, "Escape");
      assert.equal(await answered, "user_cancelled");
    });

    await step("the time left is shown, and so is its end", async (desk) => {
      const answered = outcome(desk.consent.sign(signRequest(), token().unlock, never));
      const page = await desk.shown();
      assert.match(await page.getByRole("timer").innerText(), /0:0\d/);
      await page.getByText(en.end_timeout).waitFor();
      assert.equal(await answered, "consent_timeout");
    }, { stays: true, timeout: 9000 });

    await step("a click that comes with the window does not count", async (desk) => {
      await desk.context.addInitScript(() => {
        const seen: boolean[] = [];
        new MutationObserver(() => {
          const button = document.querySelector<HTMLButtonElement>("button[type=submit]");
          if (button) seen.push(button.disabled);
        }).observe(document, { childList: true, subtree: true, attributes: true });
        Object.assign(globalThis, { seen });
      });
      const answered = outcome(desk.consent.grant(GRANT, never));
      const page = await desk.shown();
      await page.locator("button[type=submit]:enabled").waitFor();
      const seen = await page.evaluate(() => (globalThis as unknown as { seen: boolean[] }).seen);
      assert.deepEqual([seen[0], seen.at(-1)], [true, false], "disabled first, enabled later");
      await press(page, en.do_grant);
      await closed(page);
      assert.equal(await answered, "ok");
    });

    await step(
      "a click that comes while the window comes to the front does not count",
      async (desk) => {
        // A browser that is driven tells every page that it has the focus.
        await desk.context.addInitScript(() => {
          Object.assign(globalThis, { inFront: false });
          document.hasFocus = () => (globalThis as unknown as { inFront: boolean }).inFront;
        });
        /** @returns whether an answer counts at that moment, however late this test hears of it */
        const turn = (page: Page, inFront: boolean) =>
          page.evaluate(async (inFront) => {
            Object.assign(globalThis, { inFront });
            dispatchEvent(new Event(inFront ? "focus" : "blur"));
            await null; // the page has been drawn anew
            return !document.querySelector<HTMLButtonElement>("[type=submit]")!.disabled;
          }, inFront);
        const answered = outcome(desk.consent.grant(GRANT, never));
        const page = await desk.shown();
        const submit = page.locator("button[type=submit]");
        await page.waitForTimeout(700);
        assert.ok(await submit.isDisabled(), "behind another window");
        assert.equal(await turn(page, true), false, "just in front");
        await page.locator("button[type=submit]:enabled").waitFor();
        await turn(page, false);
        await page.locator("button[type=submit]:disabled").waitFor();
        await turn(page, true);
        await press(page, en.do_grant);
        assert.equal(await answered, "ok");
      },
    );

    // screen_test.ts has the barriers and the measures of every state.
    for (const language of ["en", "bn", "hi"] as const) {
      const words = AGENT_WORDS[language];
      await step(`the questions in ${language}, for the guides`, async (desk) => {
        const look = async (
          name: string,
          asked: Promise<unknown>,
          decline: string,
          marked: (page: Page) => Locator[] = () => [],
        ) => {
          const answered = outcome(asked);
          const page = await desk.shown();
          assert.equal(await page.locator("html").getAttribute("lang"), language);
          for (const first of (await page.getByRole("radio").all()).slice(0, 1)) {
            await first.check();
          }
          await lookAtAll(page);
          await page.getByText(`${words.phrase_yours} green mango`).waitFor();
          await screenshot(page, `consent-${name}-${language}`, { marks: marked(page) });
          await press(page, decline);
          assert.equal(await answered, "user_cancelled");
        };
        await look("grant", desk.consent.grant(GRANT, never), words.do_not_grant);
        const choices = [choice("Anita Das", {}, "a1"), choice("Bikram Sen", {}, "b2")];
        await look(
          "choose",
          desk.consent.choose({ kind: "choose", asker: GRANT.asker, choices }, never),
          words.do_not_choose,
        );
        await look(
          "sign",
          desk.consent.sign(signRequest(), token().unlock, never),
          words.do_not_sign,
          (page) => [
            ...[
              ...[words.phrase_yours, words.asked_by, words.purpose],
              ...[words.items_one, words.exact_text, words.certificate_one],
            ].map((text) => page.getByText(text).first()),
            page.getByLabel(words.pin),
            ...[words.do_not_sign, words.do_sign_one].map((name) =>
              page.getByRole("button", { name, exact: true })
            ),
          ],
        );
        const items = [
          item("order.pdf", "application/pdf", null),
          item("note.txt", "text/plain", "Sanctioned.\n".repeat(40)),
        ];
        const choiceOfFew = choice("Anita Das", { state: "pin_low" });
        await look(
          "many",
          desk.consent.sign(signRequest({ items, choices: [choiceOfFew] }), token().unlock, never),
          words.do_not_sign,
        );
      }, { language });
    }

    await step("who is asked for the time, and a weak hash, are told", async (desk) => {
      const network = { level: "B-LT", timestampAuthority: "tsa.example" } as const;
      const weak = [{ ...BILL, hash: { algorithm: "SHA-1", hex: "5e".repeat(20) } }];
      for (
        const [more, told] of [
          [
            { network },
            en.network_lasting.replace("{level}", "B-LT").replace("{service}", "tsa.example"),
          ],
          [{ items: weak }, en.weak_explain],
        ] as const
      ) {
        const answered = outcome(desk.consent.sign(signRequest(more), token().unlock, never));
        const page = await desk.shown();
        await page.getByText(told).waitFor();
        await press(page, en.do_not_sign);
        assert.equal(await answered, "user_cancelled");
      }
    });

    await step("the language can be switched in the window", async (desk) => {
      const answered = outcome(desk.consent.sign(signRequest(), token().unlock, never));
      const page = await desk.shown();
      const kept: string[] = [];
      desk.consent.options.keepLanguage = (chosen) => (kept.push(chosen), Promise.resolve());
      await press(page, "বাংলা");
      await page.getByRole("heading", { name: AGENT_WORDS.bn.ask_sign_one }).waitFor();
      assert.equal(await page.locator("html").getAttribute("lang"), "bn");
      await press(page, AGENT_WORDS.bn.do_not_sign);
      assert.equal(await answered, "user_cancelled");
      assert.deepEqual(kept, ["bn"], "for all of D-Sign");
    });
  } finally {
    await browser.close();
  }
});
