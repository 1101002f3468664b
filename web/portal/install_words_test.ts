import assert from "node:assert/strict";
import { INSTALL_WORDS } from "./install_words.ts";

const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();
const SCRIPTS = {
  en: /\p{Script=Latin}/u,
  bn: /\p{Script=Bengali}/u,
  hi: /\p{Script=Devanagari}/u,
};

for (const [language, words] of Object.entries(INSTALL_WORDS)) {
  Deno.test(`the download page speaks ${language}`, () => {
    const { en } = INSTALL_WORDS;
    assert.deepEqual(Object.keys(words), Object.keys(en));
    for (const [word, text] of Object.entries(words)) {
      assert.match(text, SCRIPTS[language as keyof typeof SCRIPTS], word);
      assert.deepEqual(places(text), places(en[word as keyof typeof en]), word);
    }
  });
}

Deno.test("every word of the download page is used", async () => {
  const page = await Deno.readTextFile(new URL("install_page.tsx", import.meta.url));
  const used = (word: string) => page.includes(`"${word}"`) || /^(failed|install)_/.test(word);
  assert.deepEqual(Object.keys(INSTALL_WORDS.en).filter((word) => !used(word)), []);
});
