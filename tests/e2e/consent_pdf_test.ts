/** The pages of a PDF in the consent window, in a real browser, through the real agent. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { WindowConsent } from "../../signing/consent/window.ts";
import { build } from "../../tasks/build.ts";
import { connectAs } from "../../tasks/page.ts";
import { AGENT_WORDS, LANGUAGES } from "../../words/agent.ts";
import { PIN } from "../fakes/memory_provider.ts";
import { PORTAL, testAgent } from "../fixtures/agent.ts";
import { classicPdf, documentObjects } from "../fixtures/pdf.ts";
import { blackPng } from "../fixtures/png.ts";
import {
  axeFindings,
  closed,
  launch,
  lookAtAll,
  mustBeSeen,
  openWindow,
  press,
  screenshot,
  watchConsole,
} from "./browser.ts";
import { NextWindow } from "./next_window.ts";

type Bytes = Uint8Array<ArrayBuffer>;
const WEB = new URL("../../dist/web/", import.meta.url);
const en = AGENT_WORDS.en;
const drawn = (page: Page, number: number, zoom = 1) =>
  page.getByRole("region", { name: `Page ${number} of order.pdf` }).and(
    page.locator(`[data-drawn="${number} ${zoom}"]`),
  );

/**
 * Checks what is drawn of a page by fixtures/pdf.ts: its words, in ink as dense as letters are, where the file has them;
 * the signature where its frame says; and nothing elsewhere.
 */
async function checkDrawing(page: Page): Promise<void> {
  const { words, signature, elsewhere } = await page.locator(".pdf-page canvas").evaluate(
    (canvas: HTMLCanvasElement) => {
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, width, height);
      const point = width / 595;
      const all = canvas.getBoundingClientRect();
      const frame = document.querySelector(".pdf-box")?.getBoundingClientRect();
      const enlarged = width / all.width;
      /** Left, top, right, bottom, in pixels of the canvas. */
      const areas = {
        words: [72, 842 - 730, 72 + 40, 842 - 716].map((at) => at * point),
        signature: frame
          ? [
            frame.left - all.left,
            frame.top - all.top,
            frame.right - all.left,
            frame.bottom - all.top,
          ].map((at) => at * enlarged)
          : [0, 0, 0, 0],
      };
      const count = { words: 0, signature: 0, elsewhere: 0 };
      for (let i = 0; i < data.length; i += 4) {
        if (data[i]! >= 128) continue;
        const [x, y] = [i / 4 % width, Math.floor(i / 4 / width)];
        const isIn = ([left, top, right, bottom]: number[]) =>
          x >= left! && x <= right! && y >= top! && y <= bottom!;
        if (isIn(areas.words)) count.words++;
        else if (isIn(areas.signature)) count.signature++;
        else count.elsewhere++;
      }
      const share = (dark: number, [left, top, right, bottom]: number[]) =>
        dark / ((right! - left!) * (bottom! - top!));
      return {
        words: share(count.words, areas.words),
        signature: frame ? share(count.signature, areas.signature) : null,
        elsewhere: count.elsewhere,
      };
    },
  );
  assert.ok(words > 0.1 && words < 0.4, `its words: ${words}`);
  assert.ok(signature === null || signature > 0.03 && signature < 0.4, `signature: ${signature}`);
  assert.equal(elsewhere, 0, "nothing elsewhere");
}

Deno.test("the person sees the pages to sign and the earlier signatures", async (t) => {
  await build();
  const browser = await launch();
  const context = await browser.newContext({ viewport: { width: 1050, height: 741 } });
  const errors = watchConsole(context);
  const next = new NextWindow<Page>();
  await using test = await testAgent({
    web: WEB,
    consent: (origin) =>
      new WindowConsent({
        origin,
        language: "en",
        heartbeat: 100,
        openWindow: async (url) => next.opened(await openWindow(context, url)),
      }),
  });
  const portal = await connectAs(PORTAL, test.agent.port);
  const shown = async () => {
    const page = await next.wait();
    await page.getByRole("radio", { name: "Anita Das" }).check();
    await lookAtAll(page);
    return page;
  };
  const approve = async (page: Page) => {
    await page.getByLabel(en.pin).fill(PIN);
    await lookAtAll(page);
    await press(page, en.do_sign_one);
    await closed(page);
  };
  const signing = (pdf: Bytes, how = {}) =>
    portal.signPdf(new Blob([pdf]), { name: "order.pdf", purpose: "Order 7", ...how });
  let signed = classicPdf(documentObjects({ pages: 3 })) as Bytes;
  context.setDefaultTimeout(15_000);
  const step = async (name: string, work: () => Promise<void>) => {
    if (!await t.step(name, work)) throw new Error("What follows builds upon it.");
  };
  try {
    await step("pages are turned by buttons, number and keys, and can be enlarged", async () => {
      const result = signing(signed, {
        reason: "Sanctioned",
        visible: { role: "Executive Engineer" },
      });
      const page = await shown();
      await drawn(page, 1).waitFor();
      await checkDrawing(page);
      await page.getByText(en.pdf_unsigned).waitFor();
      await page.getByText(en.pdf_adds_visible_shown).waitFor();
      await press(page, en.pdf_next);
      await drawn(page, 2).getByText("Page 2").waitFor({ state: "attached" });
      await page.getByLabel(en.pdf_page, { exact: true }).fill("3");
      await page.getByLabel(en.pdf_page, { exact: true }).press("Enter");
      await drawn(page, 3).waitFor();
      assert.ok(await page.getByRole("button", { name: en.pdf_next }).isDisabled());
      await drawn(page, 3).press("PageUp");
      await drawn(page, 2).waitFor();
      const width = () => page.locator(".pdf-page canvas").evaluate((each) => each.clientWidth);
      const before = await width();
      await press(page, en.pdf_larger);
      await drawn(page, 2, 1.5).waitFor();
      assert.ok(await width() > before * 1.4);
      await screenshot(page, "consent-pdf");
      assert.deepEqual(await axeFindings(page), []);
      await approve(page);
      signed = await (await result).pdf.bytes();
    });

    await step("earlier signatures and later changes are shown in three languages", async () => {
      // A field that the first signature did not know of; then a byte that it covers is changed.
      const second = signing(signed, { field: "Second", certify: undefined });
      await approve(await shown());
      const both = await (await second).pdf.bytes();
      const third = signing(both, { level: "B-B", lock: { action: "All" } }).catch(({ code }) =>
        code
      );
      const page = await shown();
      await drawn(page, 1).waitFor();
      await page.getByText(en.pdf_status_valid).nth(1).waitFor({ state: "attached" });
      assert.equal(await page.getByText(en.pdf_status_valid).count(), 2);
      // The first is what was there before anybody signed.
      for (const number of [2, 3]) {
        await page.getByText(`Covers revision ${number} of 3 of the document`).waitFor();
      }
      const notices = await page.locator(".document .notice").allInnerTexts();
      assert.deepEqual(notices, [en.pdf_adds_lock], "and none for nothing");
      await page.getByText(en.pdf_unchanged).waitFor();
      // By the keyboard: pages drawn above it may move it away from under the pointer.
      await page.getByText("Changed after it, as it allows: 1").press("Enter");
      await page.getByText("Signature: Second").waitFor();
      await screenshot(page, "consent-pdf-earlier");
      for (const language of ["en", "bn", "hi"] as const) {
        const words = AGENT_WORDS[language];
        await press(page, LANGUAGES[language]);
        await page.getByText(words.pdf_earlier).waitFor();
        // So high that the pane need not scroll.
        await page.setViewportSize({ width: 1050, height: 1400 });
        await screenshot(page, `consent-pdf-earlier-${language}`);
        await page.setViewportSize({ width: 1050, height: 741 });
        assert.deepEqual(await axeFindings(page), [], language);
      }
      await press(page, AGENT_WORDS.hi.do_not_sign);
      assert.equal(await third, "user_cancelled");
    });

    await step("a broken signature is shown prominently", async () => {
      const broken = signed.slice();
      const at = new TextDecoder("latin1").decode(broken).indexOf("(Page 1)") + 5;
      broken[at] = "9".charCodeAt(0);
      const asked = signing(broken).catch(({ code }) => code);
      const page = await shown();
      await page.getByText(en.pdf_status_invalid).waitFor();
      await drawn(page, 1).waitFor();
      await screenshot(page, "consent-pdf-broken");
      await press(page, en.do_not_sign);
      assert.equal(await asked, "user_cancelled");
    });

    await step(
      "a PDF with a separate signature, and one that pdf.js cannot show, are explained",
      async () => {
        const beside = portal.signDocument(
          new File([signed], "order.pdf", { type: "application/pdf" }),
        ).catch(({ code }) => code);
        const page = await shown();
        await drawn(page, 1).waitFor();
        await press(page, en.do_not_sign);
        assert.equal(await beside, "user_cancelled");
        assert.deepEqual(errors, []);
        const nonsense = portal.signDocument(
          new File(["%PDF-1.7 nonsense"], "order.pdf", { type: "application/pdf" }),
        ).catch(({ code }) => code);
        const failing = await shown();
        await failing.getByText(en.pdf_failed).waitFor();
        await press(failing, en.do_not_sign);
        assert.equal(await nonsense, "user_cancelled");
        errors.length = 0; // the 404
      },
    );

    await step("a notice says that other programs may show content differently", async () => {
      const objects = documentObjects({
        catalogEntries: "/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >> " +
          "/OCProperties << /OCGs [90 0 R] /D << /ON [90 0 R] /Order [90 0 R] >> >> " +
          "/Names << /EmbeddedFiles << /Names [(a.txt) 91 0 R] >> >>",
        // Hidden on the screen, and printed.
        pageEntries: "/Annots [<< /Type /Annot /Subtype /Square /Rect [70 700 300 740] /F 36 >>]",
      });
      objects[90] = "<< /Type /OCG /Name (Amounts) >>";
      objects[91] = "<< /Type /Filespec /F (a.txt) /EF << /F 92 0 R >> >>";
      objects[92] = "<< /Type /EmbeddedFile /Length 1 >>\nstream\n1\nendstream";
      const asked = signing(classicPdf(objects) as Bytes);
      const page = await shown();
      await drawn(page, 1).waitFor();
      const notices = await page.locator(".document .notice").allInnerTexts();
      assert.deepEqual(notices, [en.pdf_scripts, en.pdf_attached, en.pdf_layers, en.pdf_print]);
      await approve(page);
      await asked;
    });

    await step(
      "a picture over the page by way of a field of it is seen, and told in red",
      async () => {
        const objects = documentObjects({ signatureFields: ["Cover"] });
        const cover = Object.keys(objects).map(Number).find((num) =>
          objects[num].includes("(Cover)")
        )!;
        objects[cover] = objects[cover].replace(/\/Rect \[[^\]]*\]/, "/Rect [-600 0 1190 842]");
        const visible = { picture: blackPng(70, 296).toBase64() };
        const asked = signing(classicPdf(objects) as Bytes, { field: "Cover", visible });
        const page = await next.wait();
        await page.getByRole("radio", { name: "Anita Das" }).check();
        await drawn(page, 1).waitFor();
        const warnings = [en.pdf_box_over_text, en.pdf_box_large].map((text) =>
          text.replace("{page}", "1")
        );
        assert.deepEqual(await page.locator(".document .warning").allInnerTexts(), warnings);
        const dark = await page.locator(".pdf-page canvas").evaluate(
          (canvas: HTMLCanvasElement) => {
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d")!.getImageData(0, 0, width, height);
            let count = 0;
            for (let i = 0; i < data.length; i += 4) if (data[i]! < 128) count++;
            return count / (width * height);
          },
        );
        assert.ok(dark > 0.25, `the picture covers ${dark} of what is shown`);
        // The outline ends where the page ends, and is red.
        const box = page.locator(".pdf-box.bad");
        const [outline, canvas] = await Promise.all([
          box.boundingBox(),
          page.locator(".pdf-page canvas").boundingBox(),
        ]);
        assert.ok(Math.abs(outline!.width - canvas!.width) < 3, JSON.stringify([outline, canvas]));
        for (const warning of await page.locator(".document .warning").all()) {
          await mustBeSeen(page, warning);
        }
        await screenshot(page, "consent-pdf-covered");
        // Somebody who has seen it may sign it.
        await approve(page);
        assert.equal((await asked).field, "Cover");
      },
    );

    await step("a batch is a searchable list whose documents are fetched when opened", async () => {
      const files = Array.from({ length: 400 }, (_, i) => ({
        name: i === 123 ? "order.pdf" : `bill-${String(i).padStart(3, "0")}.pdf`,
        content: new Blob([
          classicPdf(documentObjects({ catalogEntries: `/Bill (${i})` })) as Bytes,
        ]),
      }));
      const asked = portal.signBatch(files, { purpose: "Bills of November", reason: "November" });
      const page = await shown();
      await page.getByRole("heading", { name: "Do you want to sign these 400 documents?" })
        .waitFor();
      assert.equal(await page.locator("details.listed").count(), 50);
      await press(page, "Show more (350)");
      await page.locator("details.listed").nth(99).waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await page.getByLabel(en.items_search).fill("ORDER");
      await page.getByText("Found: 1").waitFor();
      await page.locator("details.listed > summary").click();
      await drawn(page, 1).waitFor();
      await checkDrawing(page);
      await screenshot(page, "consent-batch");
      assert.deepEqual(await axeFindings(page), []);
      await page.getByRole("radio", { name: "Anita Das" }).check();
      await page.getByLabel(en.pin).fill(PIN);
      await lookAtAll(page);
      await press(page, "Sign 400 documents");
      await closed(page);
      const { signed, failed, left } = await asked;
      assert.deepEqual([signed, failed, left], [400, 0, 0]);
    });

    await step("a large document is read only where it is looked at", async () => {
      const objects = documentObjects({ pages: 2 });
      const filling = "x".repeat(20_000_000);
      objects[90] = `<< /Length ${filling.length} >>\nstream\n${filling}\nendstream`;
      const asked = signing(classicPdf(objects) as Bytes).catch(({ code }) => code);
      const page = await shown();
      let transferred = 0;
      page.on("response", (response) => {
        transferred += Number(response.headers()["content-length"] ?? 0);
      });
      await drawn(page, 1).waitFor();
      await press(page, en.pdf_next);
      await drawn(page, 2).waitFor();
      assert.ok(transferred < 25_000_000, String(transferred));
      await press(page, en.do_not_sign);
      assert.equal(await asked, "user_cancelled");
    });
    assert.deepEqual(errors, []);
  } finally {
    portal.close();
    await context.close();
    await browser.close();
  }
});
