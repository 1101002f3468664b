/** No question makes its person scroll to who asks, the PIN, the buttons or the time left: measured in a real browser. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { build } from "../../tasks/build.ts";
import { LANGUAGES } from "../../words/agent.ts";
import type { Language } from "../../words/speech.ts";
import { axeFindings, launch } from "./browser.ts";
import { onStage, speakIn, type State, STATES } from "./states.ts";

/** Windows: at an office screen, a browser tab there, a phone, and that office screen at 200 %. */
const SIZES = [[1366, 768], [1050, 741], [1366, 620], [390, 844], [683, 384]] as const;

/** What cannot be seen whole, or is covered, of what must be in sight. */
async function outOfSight(page: Page, asks: State["asks"]): Promise<string[]> {
  return await page.evaluate((asks) => {
    const must: Record<string, string> = {
      "who asks": "#asker .origin",
      time: ".actions .time",
      decline: ".actions > button:nth-of-type(1)",
      approve: ".actions > button:nth-of-type(2)",
      ...document.querySelector(".kind") && { kind: ".kind strong" },
      ...asks === "pin" && { PIN: ".panel-answer input:not([type=checkbox])" },
    };
    const faults = Object.entries(must).filter(([, selector]) => {
      const element = document.querySelector(selector);
      if (!element) return true;
      const { left, top, right, bottom } = element.getBoundingClientRect();
      const corners = [[left + 4, top + 4], [right - 4, top + 4], [left + 4, bottom - 4], [
        right - 4,
        bottom - 4,
      ]];
      return !corners.every(([x, y]) => {
        const hit = document.elementFromPoint(x!, y!);
        return hit !== null && (element.contains(hit) || hit.contains(element));
      });
    }).map(([name]) => name);
    const { scrollHeight, scrollWidth } = document.documentElement;
    const main = document.querySelector("main")!;
    if (scrollHeight > innerHeight || main.scrollHeight > main.clientHeight) faults.push("scrolls");
    if (scrollWidth > innerWidth) faults.push("scrolls sideways");
    return faults;
  }, asks);
}

/** Shows what can be opened, but for the documents of a list. */
async function unfold(page: Page, open: boolean): Promise<void> {
  await page.evaluate((open) => {
    for (const each of document.querySelectorAll("details:not(.listed)")) {
      each.toggleAttribute("open", open);
    }
  }, open);
}

/** The language and theme in which a state is searched for barriers: over all states, each with each. */
const lookOf = (index: number) => ({
  language: (Object.keys(LANGUAGES) as Language[])[index % 3]!,
  theme: (["light", "dark"] as const)[index % 2],
});

Deno.test("everything that an answer needs is in sight at once, and no state has a barrier", async () => {
  await build();
  const browser = await launch();
  try {
    const faults: string[] = [];
    await onStage(browser, async (stage) => {
      const { page } = stage;
      for (const [index, state] of STATES.entries()) {
        await page.setViewportSize({ width: 1366, height: 768 });
        const before = stage.errors.length;
        await state.enter(stage);
        const { language, theme } = lookOf(index);
        await speakIn(page, language);
        await page.emulateMedia({ colorScheme: theme });
        await unfold(page, true);
        const found = await axeFindings(page);
        faults.push(...found.map((each) => `${state.name} ${language} ${theme}: ${each}`));
        // WCAG 2.2 §1.4.10: a narrow or much enlarged window is not scrolled to the side.
        await page.setViewportSize({ width: 320, height: 860 });
        if (await page.evaluate(() => document.documentElement.scrollWidth > 320)) {
          faults.push(`${state.name} ${language}: wider than 320 px`);
        }
        await unfold(page, false);
        if (!state.asks) {
          stage.errors.length = before; // nobody answers the page any more
          continue;
        }
        for (const language of Object.keys(LANGUAGES) as Language[]) {
          await speakIn(page, language);
          for (const [width, height] of SIZES) {
            await page.setViewportSize({ width, height });
            await page.evaluate(() => new Promise(requestAnimationFrame));
            const found = await outOfSight(page, state.asks);
            if (found.length > 0) {
              faults.push(`${state.name} ${language} ${width}x${height}: ${found}`);
            }
          }
        }
      }
      assert.deepEqual(faults, []);
      assert.deepEqual(stage.errors, []);
    });
  } finally {
    await browser.close();
  }
});
