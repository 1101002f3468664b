import assert from "node:assert/strict";
import { OTP_WORDS, type OtpWord, sayIn } from "./words.ts";

const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();
const SCRIPTS = {
  en: /\p{Script=Latin}/u,
  bn: /\p{Script=Bengali}/u,
  hi: /\p{Script=Devanagari}/u,
};

for (const language of ["en", "bn", "hi"] as const) {
  Deno.test(`the page for PIN and OTP is complete in ${language}`, () => {
    const words = OTP_WORDS[language];
    assert.deepEqual(Object.keys(words), Object.keys(OTP_WORDS.en));
    for (const [word, text] of Object.entries(words)) {
      assert.match(text, SCRIPTS[language], word);
      assert.deepEqual(places(text), places(OTP_WORDS.en[word as OtpWord]), word);
    }
  });
}

Deno.test("every word is used", async () => {
  let source = "";
  for (const file of ["page.tsx", "sign.tsx", "pins.tsx"]) {
    source += await Deno.readTextFile(new URL(file, import.meta.url));
  }
  const unused = Object.keys(OTP_WORDS.en).filter((word) =>
    !source.includes(`"${word}"`) && !/^otp_/.test(word)
  );
  assert.deepEqual(unused, []);
});

Deno.test("what is filled in is not filled again, numbers are in the language's digits", () => {
  assert.equal(sayIn("bn")("tries", { count: 3 }), "বাকি সুযোগ: ৩");
  assert.match(sayIn("en")("asked_by", {}), /asking/);
  assert.match(sayIn("en")("policy", { policy: "{policy} $&" }), /\{policy\} \$&$/);
});
