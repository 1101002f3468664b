/** The console's desk in a real browser: the first signature on a fresh profile, batches, and reports on signed files. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { pem } from "../../formats/asn1/pem.ts";
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import type { Language } from "../../words/speech.ts";
import { REPORT_WORDS } from "../../words/report.ts";
import { spied } from "../fakes/pkcs11_modules.ts";
import { PIN } from "../fakes/pkcs11_tokens.ts";
import { officerTokens } from "../fixtures/officers.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { classicPdf, documentObjects } from "../fixtures/pdf.ts";
import { makePki } from "../fixtures/pki.ts";
import { startAgentProcess } from "./agent_process.ts";
import { speakIn } from "./states.ts";
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

const en = AGENT_WORDS.en;
const PDF = Buffer.from(classicPdf(documentObjects({ pages: 1 })));
interface File {
  name: string;
  mimeType: string;
  buffer: Buffer;
}
const pdf = (name: string): File => ({ name, mimeType: "application/pdf", buffer: PDF });
const text = (name: string, words: string): File => ({
  name,
  mimeType: "text/plain",
  buffer: Buffer.from(words),
});

/** The person's clicks on all pages of a context. */
async function countClicks(context: BrowserContext): Promise<string[]> {
  const clicks: string[] = [];
  await context.exposeBinding("clicked", (_, what: string) => void clicks.push(what));
  await context.addInitScript(() => {
    const { clicked } = globalThis as unknown as { clicked(what: string): void };
    addEventListener("click", ({ target, isTrusted }) => {
      // The browser clicks on the field of a label that was clicked on.
      const isField = target instanceof HTMLInputElement;
      if (isTrusted && !isField) clicked((target as HTMLElement).textContent!.trim());
    }, true);
  });
  return clicks;
}

/** The next download, before which the person looks, types and agrees: that may take a busy machine a while. */
const downloaded = (page: Page) => page.waitForEvent("download", { timeout: 60_000 });

/**
 * Stands in for the dialogs in which a person chooses a folder or a file: in a folder of the browser's own, with real
 * files.
 */
const chooseOwnFolder = (page: Page) =>
  page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle("orders", { create: true });
    await folder.getFileHandle("b-signed.pdf", { create: true });
    Object.assign(globalThis, {
      showDirectoryPicker: () => Promise.resolve(folder),
      showSaveFilePicker: ({ suggestedName }: { suggestedName: string }) =>
        folder.getFileHandle(`by hand ${suggestedName}`, { create: true }),
    });
  });

const namesInFolder = (page: Page) =>
  page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle("orders");
    const sizes: [string, number][] = [];
    for await (const handle of folder.values()) {
      if (handle.kind === "file") sizes.push([handle.name, (await handle.getFile()).size]);
    }
    return sizes.sort();
  });

/** What a person would have to scroll for, of what each view of the console must show at once. */
async function outOfSight(page: Page, language: Language): Promise<string[]> {
  const words = AGENT_WORDS[language];
  const faults: string[] = [];
  for (const view of ["history", "sites", "tokens", "sign"]) {
    await page.locator(`.views a[href="#${view}"]`).click();
    await page.locator(`.views a[href="#${view}"][aria-current]`).waitFor();
    const must = [words.view_history, words.console_test, words.console_quit].concat(
      view === "sign" ? [words.desk_choose] : [],
    );
    for (const name of must) {
      const box = await page.getByText(name, { exact: true }).boundingBox();
      const { width, height } = page.viewportSize()!;
      const isIn = box && box.x >= 0 && box.y >= 0 && box.x + box.width <= width &&
        box.y + box.height <= height;
      if (!isIn) faults.push(`${view} ${language} ${width}x${height}: ${name}`);
    }
    const scrolls = await page.evaluate(() => {
      const { scrollWidth, scrollHeight } = document.documentElement;
      return scrollWidth > innerWidth || scrollHeight > innerHeight;
    });
    if (scrolls) faults.push(`${view} ${language}: scrolls as a whole`);
  }
  return faults;
}

Deno.test("a person signs and checks files in the console", () =>
  inTempDir(async (dir) => {
    await build();
    const { officers, root } = makePki({ officers: [{ name: "Anita Das", key: "p-256" }] });
    const spy = spied(await officerTokens(dir, officers), join(dir, "spy"));
    const { modulePath, env } = spy;
    const trust = join(dir, "config/dsign/trust");
    await Deno.mkdir(trust, { recursive: true });
    await Deno.writeTextFile(join(trust, "root.pem"), pem("CERTIFICATE", root.certificate.der));
    const browser = await launch();
    const context = await browser.newContext({
      locale: "en-IN",
      viewport: { width: 1050, height: 741 },
      acceptDownloads: true,
    });
    context.setDefaultTimeout(20_000);
    const errors = watchConsole(context);
    const clicks = await countClicks(context);

    // The first click starts the downloaded program.
    const began = performance.now();
    await using agent = await startAgentProcess(
      dir,
      { searchModules: false, modules: [{ path: modulePath }], ports: [0], securePorts: [0] },
      env,
      ["--json"],
    );
    try {
      const page = await openWindow(context, await agent.window());
      const report = REPORT_WORDS.en;
      const desk = page.locator(".desk");
      /** What comes of it. */
      const causing = async <T>(event: Promise<T>, act: () => Promise<unknown>): Promise<T> =>
        (await Promise.all([event, act()]))[0];
      const choose = async (button: string, ...files: File[]) => {
        const act = () => desk.getByText(button, { exact: true }).click();
        await (await causing(page.waitForEvent("filechooser"), act)).setFiles(files);
      };
      let typed = 0;
      /** Types the PIN and agrees, in the window that comes. */
      const agree = async (button: string, seeAll: (window: Page) => Promise<void>) => {
        const window = await openWindow(context, await agent.window());
        await window.locator("input[type=password]").fill(PIN);
        typed++;
        await seeAll(window);
        await press(window, button);
        await closed(window);
      };
      const download = await causing(downloaded(page), async () => {
        await choose(en.desk_choose, pdf("order.pdf"));
        await agree(en.do_sign_one, async (window) => {
          await window.getByText(en.asked_by_own, { exact: true }).waitFor();
          await window.locator("[data-drawn='1 1']").waitFor();
          await screenshot(window, "desk_consent");
          await window.locator(".pane").hover();
          await window.mouse.wheel(0, 5000);
          await window.locator("button[type=submit]:enabled").waitFor();
        });
      });
      assert.equal(download.suggestedFilename(), "order-signed.pdf");
      const seconds = (performance.now() - began) / 1000;
      assert.deepEqual(clicks, [en.desk_choose, en.do_sign_one]);
      console.log(
        `From download to the first signature: 3 clicks, a PIN, ${seconds.toFixed(1)} s.`,
      );
      const signed = Buffer.from(await Deno.readFile((await download.path())!));
      assert.deepEqual(signed.subarray(0, PDF.length), PDF);
      await desk.getByText(en.desk_saved.replace("{file}", "order-signed.pdf")).waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, "desk_signed", { part: desk });

      // Dropped anywhere, the same file is known to be signed. Who signed comes first.
      const data = await page.evaluateHandle(([bytes]) => {
        const transfer = new DataTransfer();
        const content = Uint8Array.from(atob(bytes!), (each) => each.charCodeAt(0));
        transfer.items.add(
          new globalThis.File([content], "order-signed.pdf", { type: "application/pdf" }),
        );
        return transfer;
      }, [signed.toString("base64")]);
      await page.getByRole("link", { name: en.view_history }).click();
      await page.getByText(en.history_done).first().waitFor();
      await page.dispatchEvent("body", "drop", { dataTransfer: data });
      const signature = desk.locator(".signature");
      await signature.locator("h3", { hasText: "Anita Das" }).waitFor();
      await signature.getByText(en.pdf_unchanged).waitFor();
      for (const language of ["bn", "hi", "en"] as const) {
        await speakIn(page, language);
        await page.setViewportSize({ width: 1050, height: 860 });
        await screenshot(page, `desk_report-${language}`, { part: desk });
        await page.setViewportSize({ width: 390, height: 844 });
        await page.emulateMedia({ colorScheme: "dark" });
        assert.deepEqual(await axeFindings(page), []);
        assert.deepEqual(await outOfSight(page, language), []);
        await page.emulateMedia({ colorScheme: "light" });
        await page.setViewportSize({ width: 1050, height: 741 });
        assert.deepEqual(await outOfSight(page, language), []);
      }

      // A signature beside a file: both together, or first the signature.
      const note = text("note.txt", "Sanctioned.");
      const beside = await causing(downloaded(page), async () => {
        await choose(en.desk_choose, note);
        await agree(en.do_sign_one, lookAtAll);
      });
      const p7s = {
        name: "note.txt.p7s",
        mimeType: "application/pkcs7-signature",
        buffer: Buffer.from(await Deno.readFile((await beside.path())!)),
      };
      await choose(en.desk_choose, p7s, note);
      await desk.locator(".signature h3", { hasText: "Anita Das" }).waitFor();
      assert.equal(await desk.getByText(en.desk_content).count(), 0);
      await choose(en.desk_choose, p7s);
      await choose(en.desk_content, text("note.txt", "Refused."));
      await desk.locator(".signature").getByText(report.finding_content_changed).waitFor();

      // Several at once: one question, one PIN; the results go into a folder, over nothing that is there.
      await chooseOwnFolder(page);
      await choose(en.desk_choose, ...["a.pdf", "b.pdf", "c.pdf"].map(pdf));
      await agree(en.do_sign_many.replace("{count}", "3"), lookAtAll);
      const saveAll = (count: number) =>
        page.getByRole("button", { name: en.desk_save_all.replace("{count}", `${count}`) });
      await saveAll(3).waitFor();
      // Nothing of this is lost by looking elsewhere, by the next file, or by one wrong click.
      await page.getByRole("link", { name: en.view_history }).click();
      await page.getByText(en.history_done).first().waitFor();
      await page.getByRole("link", { name: en.view_sign }).click();
      await page.getByRole("button", { name: en.desk_clear }).click();
      await desk.getByText(en.desk_clear_ask.replace("{count}", "3")).waitFor();
      await page.getByRole("button", { name: en.sites_keep }).click();
      await choose(en.desk_choose, p7s, note);
      await desk.locator(".signature h3", { hasText: "Anita Das" }).waitFor();
      await desk.getByRole("button", { name: en.desk_save_beside }).first().click();
      await desk.getByText(en.desk_saved.replace("{file}", "a-signed.pdf")).waitFor();
      await saveAll(2).click();
      await desk.getByText(en.desk_saved.replace("{file}", "c-signed.pdf")).waitFor();
      const kept = await namesInFolder(page);
      assert.deepEqual(kept.map(([name]) => name), [
        "b-signed (2).pdf",
        "b-signed.pdf",
        "by hand a-signed.pdf",
        "c-signed.pdf",
      ]);
      assert.deepEqual(
        kept.map(([, size]) => size > PDF.length),
        [true, false, true, true],
        "b-signed.pdf was there before, and stays",
      );
      await screenshot(page, "desk_batch", { part: desk });

      // Stopped in the console, the window goes; what is left can be signed with one more click.
      await choose(en.desk_choose, text("x.txt", "x"), text("y.txt", "y"));
      const window = await openWindow(context, await agent.window());
      await desk.getByText(en.desk_answer).waitFor();
      await screenshot(page, "desk_waiting", { part: desk });
      await press(page, en.do_cancel);
      await closed(window);
      await desk.getByText(en.desk_stopped).waitFor();
      const rest = desk.getByRole("button", { name: en.desk_sign_left.replace("{count}", "2") });
      await rest.click();
      const declined = await openWindow(context, await agent.window());
      await press(declined, en.do_not_sign);
      await closed(declined);
      await desk.getByText(en.end_declined).waitFor();
      await rest.click();
      await agree(en.do_sign_many.replace("{count}", "2"), lookAtAll);
      await desk.getByText(en.desk_signed, { exact: true }).nth(1).waitFor();
      assert.deepEqual(errors, []);
      assert.equal(spy.pins().length, typed, "each typed PIN is one C_Login");
    } finally {
      await browser.close();
    }
  }));
