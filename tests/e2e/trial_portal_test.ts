/** The trial agent in browsers: the sample portal with answers by script, and an officer's window. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build } from "../../tasks/build.ts";
import { portalChecks } from "../../tasks/demo_checks.ts";
import { startPortal } from "../../tasks/demo_portal.ts";
import { startTrial } from "../../web/client/testing.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { freePort } from "../fixtures/free_port.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { MAIN } from "../fixtures/program.ts";
import { within } from "../fixtures/within.ts";
import { addressesOf, noteWindows } from "./agent_process.ts";
import { closed, launch, lookAtAll, openWindow, press } from "./browser.ts";
import { launchFirefox } from "./firefox.ts";

const WEB = new URL("../../dist/web/", import.meta.url);
const DSIGN = [Deno.execPath(), "run", "-A", MAIN];
const en = AGENT_WORDS.en;

/** What a portal's test needs of a page, in either browser. */
interface Tab {
  open(url: string): Promise<unknown>;
  press(button: string): Promise<unknown>;
  /** Resolves once the page says it. */
  says(text: string): Promise<unknown>;
}

const browsers: Record<string, (dir: string) => Promise<Tab & AsyncDisposable>> = {
  async Chromium() {
    const browser = await launch();
    const page = await browser.newPage();
    return {
      open: (url) => page.goto(url),
      press: (button) => press(page, button),
      says: (text) => page.getByText(text).first().waitFor(),
      [Symbol.asyncDispose]: () => browser.close(),
    };
  },
  async Firefox(dir) {
    const profile = join(dir, "profile");
    await Deno.mkdir(profile);
    const browser = await launchFirefox(profile);
    const page = await browser.newPage();
    return {
      open: (url) => page.goto(url),
      press: (button) => page.locator(`button ::-p-text(${button})`).click(),
      says: (text) =>
        page.waitForFunction(`document.body.innerText.includes(${JSON.stringify(text)})`, {
          timeout: 60_000,
        }).catch(async (error) => {
          throw new Error(`${text}: ${await page.evaluate("document.body.innerText")}`, {
            cause: error,
          });
        }),
      [Symbol.asyncDispose]: () => browser.close(),
    };
  },
};

for (const [name, start] of Object.entries(browsers)) {
  Deno.test(`in ${name}, the sample portal says: not installed, declined, signed, checked`, () =>
    inTempDir(async (dir) => {
      await build();
      const trial = await startTrial({ command: DSIGN, answer: "decline" });
      const portal = startPortal(WEB);
      const checks = portalChecks(trial.root, dir, true);
      portal.open({ sanctions: {} as never, mail: {} as never, checks });
      try {
        await using page = await start(dir);
        await page.open(`${portal.url}/?port=${freePort()}`);
        await page.press("Connect to D-Sign");
        await page.says("D-Sign is not installed, or not running.");
        await page.open(`${portal.url}/?trial=${trial.port}`);
        await page.press("Connect to D-Sign");
        await page.says("You declined. You did not allow it, so nothing can be signed here.");
        await trial.set({ answer: "sign" });
        await page.press("Connect to D-Sign");
        await page.says("A trial: its signatures are worth nothing.");
        await trial.set({ answer: "decline" });
        await page.press("Sign as maker");
        await page.says("You did not sign. Nothing has changed. You can sign later.");
        await trial.set({ answer: "sign" });
        await page.press("Sign as maker");
        await page.says("Signed by Anita Das (TRIAL)");
        await page.says("The portal's server has checked it: the signature holds");
      } finally {
        await portal.close();
        await trial.stop();
      }
    }));
}

Deno.test("with --answer window, an officer sees the bill of the trial and types its PIN", () =>
  inTempDir(async (dir) => {
    await build();
    const windows = join(dir, "windows");
    await Deno.mkdir(windows);
    const noting = join(dir, "browser.sh");
    await noteWindows(noting, dir, windows);
    const opened = Deno.watchFs(windows);
    const addresses = addressesOf(opened);
    const command = ["env", `BROWSER=${noting}`, "LC_ALL=C", ...DSIGN];
    const trial = await startTrial({ command, answer: "window" });
    const portal = startPortal(WEB);
    const checks = portalChecks(trial.root, dir, true);
    portal.open({ sanctions: {} as never, mail: {} as never, checks });
    try {
      await using browser = await launch();
      const context = await browser.newContext({ viewport: { width: 1050, height: 741 } });
      const nextWindow = async () => {
        const { value } = await within(addresses.next(), "The trial agent opened no window.");
        return await openWindow(context, value!);
      };
      const page = await context.newPage();
      await page.goto(`${portal.url}/?trial=${trial.port}`);
      await press(page, "Connect to D-Sign");
      const grant = await nextWindow();
      await press(grant, en.do_grant);
      await closed(grant);
      await press(page, "Sign as maker");
      const window = await nextWindow();
      await window.getByText("Sample Builders, Kolkata", { exact: true }).waitFor();
      await window.getByRole("radio", { name: trial.officers[1]!.name }).check();
      await window.getByLabel(en.pin).fill(trial.pin);
      await lookAtAll(window);
      await press(window, en.do_sign_one);
      await closed(window);
      await page.getByText("Signed by Bimal Roy (TRIAL)").waitFor();
      await assert.rejects(trial.set({ officer: 1 }), /a person answers/);
    } finally {
      opened.close();
      await portal.close();
      await trial.stop();
    }
  }));
