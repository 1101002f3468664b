import assert from "node:assert/strict";
import { en } from "./en.ts";
import { type Language, languageOf, LANGUAGES, speak, type Word } from "./words.ts";

const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();

/** Letters that a language's own sentences are written in. */
const SCRIPTS: Record<Language, RegExp> = {
  en: /\p{Script=Latin}/u,
  bn: /\p{Script=Bengali}/u,
  hi: /\p{Script=Devanagari}/u,
};
const OTHERS: Record<Language, RegExp> = {
  en: /[\p{Script=Bengali}\p{Script=Devanagari}]/u,
  bn: /(?!।)\p{Script=Devanagari}/u, // the full stop । is shared
  hi: /\p{Script=Bengali}/u,
};

for (const [language, { words }] of Object.entries(LANGUAGES)) {
  Deno.test(`no word is missing in ${language}`, () => {
    assert.deepEqual(Object.keys(words).sort(), Object.keys(en).sort());
    for (const [word, text] of Object.entries(words)) {
      assert.ok(text.trim().length > 0, `${word} is empty`);
      assert.match(text, SCRIPTS[language as Language], `${word} is not in ${language}`);
      assert.doesNotMatch(text, OTHERS[language as Language], `${word} mixes scripts`);
      assert.deepEqual(places(text), places(en[word as Word]), `${word} has other places`);
    }
  });
}

Deno.test("every word is used by a page", async () => {
  let source = "";
  for (const folder of ["../", "../bridge/", "../consent/", "../console/"]) {
    for await (const file of Deno.readDir(new URL(folder, import.meta.url))) {
      if (!/(?<!_test)\.tsx?$/.test(file.name)) continue;
      source += await Deno.readTextFile(new URL(folder + file.name, import.meta.url));
    }
  }
  const unused = Object.keys(en).filter((word) =>
    !source.includes(`"${word}"`) &&
    !/^(error|law|scope|kind|state|tries|pdf_status|pdf_certifies|pdf_adds_certify)_/.test(word)
  );
  assert.deepEqual(unused, []);
});

Deno.test("a language is found by its tag", () => {
  assert.deepEqual(["bn-IN", "HI", "en-GB", "ta", "constructor", ""].map(languageOf), [
    "bn",
    "hi",
    "en",
    "en",
    "en",
    "en",
  ]);
});

Deno.test("numbers and dates are in the language's own writing", () => {
  assert.equal(speak("bn").say("do_sign_many", { count: 12 }), "১২টি নথিতে স্বাক্ষর করুন");
  assert.equal(speak("bn").clock(65), "১:০৫");
  assert.equal(speak("en").clock(120), "2:00");
  assert.match(speak("hi").date("2028-01-15T00:00:00Z"), /जनवरी 2028/);
});

Deno.test("what is filled in is not filled again", () => {
  assert.equal(
    speak("en").say("issued_by", { issuer: "{issuer} $& {date}" }),
    "Issued by {issuer} $& {date}",
  );
});

Deno.test("an error without words keeps the sentence it came with", () => {
  assert.equal(speak("hi").error("pin_incorrect", "x"), LANGUAGES.hi.words.error_pin_incorrect);
  assert.equal(speak("hi").error("something_new", "Something new."), "Something new.");
});
