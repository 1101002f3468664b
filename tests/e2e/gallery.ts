/** One page with a picture of every question in every state, so that the next person can look too. */
import { build } from "../../tasks/build.ts";
import { LANGUAGES } from "../../words/agent.ts";
import type { Language } from "../../words/speech.ts";
import { launch } from "./browser.ts";
import { onStage, speakIn, STATES } from "./states.ts";

const GALLERY = new URL("../../dist/gallery/", import.meta.url);

/** An office window in both themes, the same at 200 % zoom, and a phone in both themes. */
const LOOKS = [
  { name: "office", width: 1366, height: 768, theme: "light" },
  { name: "office-dark", width: 1366, height: 768, theme: "dark" },
  { name: "office-200%", width: 683, height: 384, theme: "light" },
  { name: "phone", width: 390, height: 844, theme: "light" },
  { name: "phone-dark", width: 390, height: 844, theme: "dark" },
] as const;

/** @param names of the states to draw; all of them where empty */
export async function drawGallery(names: readonly string[] = []): Promise<void> {
  await build();
  await Deno.mkdir(GALLERY, { recursive: true });
  const states = STATES.filter(({ name }) => names.length === 0 || names.includes(name));
  const browser = await launch();
  try {
    await onStage(browser, async (stage) => {
      const { page } = stage;
      for (const state of states) {
        await page.setViewportSize({ width: 1366, height: 768 });
        await state.enter(stage);
        for (const language of Object.keys(LANGUAGES) as Language[]) {
          await speakIn(page, language);
          await page.locator("#pages [role=status]").waitFor({ state: "detached" });
          for (const { name, width, height, theme } of LOOKS) {
            await page.setViewportSize({ width, height });
            await page.emulateMedia({ colorScheme: theme });
            await page.screenshot({
              path: new URL(pictureOf(state.name, language, name), GALLERY).pathname,
              animations: "disabled",
            });
          }
        }
        console.log(state.name);
      }
    });
  } finally {
    await browser.close();
  }
  await Deno.writeTextFile(new URL("index.html", GALLERY), pageOf(states.map(({ name }) => name)));
  console.log(new URL("index.html", GALLERY).pathname);
}

const pictureOf = (state: string, language: string, look: string) =>
  `${state}-${language}-${look.replace("%", "")}.png`;

function pageOf(states: readonly string[]): string {
  const rows = states.flatMap((state) =>
    Object.keys(LANGUAGES).map((language) =>
      `<h2 id="${state}-${language}">${state}, ${language}</h2><p>${
        LOOKS.map(({ name, width }) => {
          const picture = pictureOf(state, language, name);
          return `<a href="${picture}"><img loading="lazy" src="${picture}" alt="${name}" title="${name}" width="${
            width / 2.4
          }"></a>`;
        }).join(" ")
      }</p>`
    )
  );
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>D-Sign: every question in every state</title>
<style>body { font: 14px sans-serif; background: #ddd } img { vertical-align: top }</style>
<h1>Every question in every state</h1>
${rows.join("\n")}
</html>
`;
}
