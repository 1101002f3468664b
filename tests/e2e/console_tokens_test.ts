/** The console in a real browser: a token that hides its certificates, its PIN, and key files. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { buildFaultDriver } from "../fakes/pkcs11_fault.ts";
import { spied } from "../fakes/pkcs11_modules.ts";
import { PIN } from "../fakes/pkcs11_tokens.ts";
import { officerTokens } from "../fixtures/officers.ts";
import { inTempDir, openssl } from "../fixtures/openssl.ts";
import { makePki } from "../fixtures/pki.ts";
import { startAgentProcess } from "./agent_process.ts";
import {
  axeFindings,
  closed,
  launch,
  openWindow,
  sayYes,
  screenshot,
  watchConsole,
} from "./browser.ts";

const en = AGENT_WORDS.en;

Deno.test("the console unlocks a token in the agent's own window, changes its PIN, and keeps key files", () =>
  inTempDir(async (dir) => {
    await build();
    const { officers } = makePki({ officers: [{ name: "Anita", key: "p-256" }] });
    const spy = spied(await officerTokens(dir, officers), join(dir, "spy"));
    const driver = await buildFaultDriver(dir, spy);
    driver.set("hide");
    await using agent = await startAgentProcess(
      dir,
      { searchModules: false, modules: [{ path: driver.modulePath }], ports: [0] },
      driver.env,
    );
    const browser = await launch();
    try {
      const context = await browser.newContext({
        locale: "en-IN",
        viewport: { width: 760, height: 900 },
      });
      const errors = watchConsole(context);
      const page = await context.newPage();
      await page.addInitScript("delete Uint8Array.prototype.toBase64"); // as in Firefox ESR 115
      await page.goto(`${agent.origin}/#tokens`);
      await page.getByText(en.console_hides).waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, "console_token_locked");

      /** What the person does in the window that comes. */
      const inWindow = async (button: string, fields: Record<string, string>, done: string) => {
        await page.getByRole("button", { name: button, exact: true }).click();
        const window = await openWindow(context, await agent.window());
        for (const [label, text] of Object.entries(fields)) {
          await window.getByLabel(label, { exact: true }).fill(text);
        }
        await sayYes(window, done);
        await closed(window);
      };
      await inWindow(en.do_unlock, { [en.pin]: PIN }, en.do_unlock);
      await page.getByText(en.console_usable).waitFor();
      // It stands in another part of the console.
      await page.getByText(en.start_ready).waitFor({ state: "attached" });
      assert.equal(await page.getByText(en.console_hides).count(), 0);
      const change = { [en.pin_old]: PIN, [en.pin_new]: "1357", [en.pin_again]: "1357" };
      await inWindow(en.do_change_pin, change, en.do_change_pin);
      assert.deepEqual(spy.pins(), ["C_Login", "C_SetPIN"]);

      const [key, certificate, file] = ["k.pem", "c.pem", "Bimal.p12"].map((name) =>
        join(dir, name)
      );
      const subject = ["-subj", "/CN=Bimal", "-addext", "basicConstraints=CA:FALSE"];
      const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
      await openssl(["req", "-x509", ...curve, ...subject, "-keyout", key, "-out", certificate]);
      const both = ["-inkey", key, "-in", certificate, "-passout", "pass:2468", "-out", file];
      await openssl(["pkcs12", "-export", ...both]);
      await page.getByLabel(en.keys_choose).setInputFiles(certificate);
      await page.getByText(en.keys_refused.replace("{file}", "c.pem")).waitFor();
      await page.getByLabel(en.keys_choose).setInputFiles(file);
      await page.getByText(en.console_hides).waitFor();
      await page.getByRole("button", { name: en.keys_rename_one.replace("{file}", "Bimal.p12") })
        .click();
      await page.getByLabel(en.keys_new_name).fill("mine.p12");
      await page.getByRole("button", { name: en.keys_rename, exact: true }).click();
      // Also among the tokens, where it is unlocked; the button there may still be that of the old name.
      const title = page.getByRole("heading", { name: en.console_tokens, exact: true });
      const tokens = page.locator("section", { has: title });
      await tokens.getByText("mine", { exact: true }).waitFor();
      await inWindow(en.do_unlock, { [en.password]: "2468" }, en.do_unlock);
      await page.getByText("Bimal", { exact: true }).first().waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, "console_key_file");
      await page.getByRole("button", { name: en.keys_remove_one.replace("{file}", "mine.p12") })
        .click();
      await page.getByText(en.keys_remove_ask).waitFor();
      await page.getByRole("button", { name: en.keys_do_remove }).click();
      await page.getByText("mine.p12").waitFor({ state: "detached" });
      assert.deepEqual(
        errors.filter((each) => !each.includes("status of 500") && !each.includes("status of 400")),
        [],
      );
      await context.close();
    } finally {
      await browser.close();
    }
  }));
