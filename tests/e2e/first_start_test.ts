/** The first start in a real browser: from no driver to "ready", start at login, and the person's own words. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { DOCTOR_WORDS as DOCTOR } from "../../words/doctor.ts";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS, LANGUAGES } from "../../words/agent.ts";
import { pem } from "../../formats/asn1/pem.ts";
import { listRoots } from "../../settings/roots.ts";
import { buildFaultDriver } from "../fakes/pkcs11_fault.ts";
import { officerTokens } from "../fixtures/officers.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { makePki } from "../fixtures/pki.ts";
import { startAgentProcess } from "./agent_process.ts";
import { axeFindings, launch, screenshot, watchConsole } from "./browser.ts";

const en = AGENT_WORDS.en;

Deno.test("the console leads from the first start to ready", () =>
  inTempDir(async (dir) => {
    await build();
    const pki = makePki({ officers: [{ name: "Anita", key: "p-256" }] });
    const { officers } = pki;
    const driver = await buildFaultDriver(dir, await officerTokens(dir, officers));
    driver.set("removed");
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
      await page.goto(agent.origin);
      const { seen, action } = DOCTOR.en.tickets.token_missing;
      await page.getByText(seen).waitFor();
      await page.getByText(action).waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, "first_start_next");
      await page.getByRole("button", { name: "বাংলা" }).click();
      await page.getByText(DOCTOR.bn.tickets.token_missing.action).waitFor();
      await page.getByRole("button", { name: "English" }).click();

      driver.set();
      await page.getByText(en.start_ready).waitFor();

      await page.getByText(en.start_login_off).waitFor();
      await page.getByRole("button", { name: en.start_login_do_on }).click();
      await page.getByText(en.start_login_on).waitFor();
      const entry = await Deno.readTextFile(join(dir, "config/autostart/dsign.desktop"));
      assert.match(entry, /^Exec=.* agent$/m);
      await page.getByRole("button", { name: en.start_login_do_off }).click();
      await page.getByText(en.start_login_off).waitFor();

      const words = page.getByLabel(en.start_phrase);
      const keep = page.getByRole("button", { name: en.start_phrase_keep });
      assert.equal(await keep.isDisabled(), true);
      await words.fill("green mango");
      await keep.click();
      await page.getByText(en.start_phrase_kept).waitFor();
      await page.waitForFunction(() =>
        document.querySelector<HTMLButtonElement>("form button")?.disabled
      );
      assert.equal(
        (await Deno.readTextFile(join(dir, "state/dsign/phrase.txt"))).trim(),
        "green mango",
      );
      await page.reload();
      await page.waitForFunction(() =>
        document.querySelector<HTMLInputElement>("#phrase")?.value === "green mango"
      );
      assert.deepEqual(await axeFindings(page), []);
      for (const language of ["bn", "hi", "en"] as const) {
        const words = AGENT_WORDS[language];
        await page.getByRole("button", { name: LANGUAGES[language] }).click();
        await page.getByText(words.start_ready).waitFor();
        const part = page.locator("section", { hasText: words.start_title });
        await screenshot(page, `first_start-${language}`, { part });
      }
      await page.getByRole("link", { name: en.view_sites }).click();
      const roots = page.locator("section", { hasText: en.roots_title });
      await roots.getByText(en.roots_none).waitFor();
      const { der, fingerprint } = pki.root.certificate;
      const buffer = Buffer.from(pem("CERTIFICATE", der));
      await roots.locator("input").setInputFiles({
        name: "root.crt",
        mimeType: "application/x-x509-ca-cert",
        buffer,
      });
      await roots.getByText(en.roots_compare_cca).waitFor();
      await roots.getByText(fingerprint.toUpperCase().replace(/..(?=.)/g, "$& ")).waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, "console_roots", { part: roots });
      await roots.getByRole("button", { name: en.roots_add }).click();
      await roots.getByText(/is trusted now/).waitFor();
      const [trusted] = await listRoots([join(dir, "config/dsign/trust")]);
      assert.equal(trusted.certificate.fingerprint, fingerprint);
      await roots.getByRole("button", { name: /^Remove: / }).click();
      await roots.getByRole("button", { name: en.roots_do_remove }).click();
      await roots.getByText(en.roots_none).waitFor();

      await page.getByRole("button", { name: en.console_test }).click();
      await page.getByText(en.console_opened).waitFor();
      assert.deepEqual(errors, []);
      await page.getByRole("button", { name: en.console_quit }).click();
      await page.getByText(en.console_quit_explain).waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await page.getByRole("button", { name: en.console_do_quit }).click();
      await page.getByText(en.console_stopped).waitFor();
      await page.getByText(en.console_opened).waitFor({ state: "detached" });
      const dataTransfer = await page.evaluateHandle(() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(["Sanctioned."], "note.txt"));
        return transfer;
      });
      await page.dispatchEvent("body", "drop", { dataTransfer });
      await page.locator(".desk").getByText(en.console_stopped).waitFor();
      assert.deepEqual(driver.logins(), []);
    } finally {
      await browser.close();
    }
  }));
