import assert from "node:assert/strict";
import { AGENT_WORDS, speak } from "./agent.ts";
import { DESKTOP_WORDS } from "./desktop.ts";
import { DOCTOR_WORDS } from "./doctor.ts";
import { ERROR_WORDS } from "./errors.ts";
import { INSTALL_WORDS } from "./install.ts";
import { OTP_WORDS, sayIn } from "./otp.ts";
import { REPORT_WORDS } from "./report.ts";
import { SERVICE_WORDS } from "./service.ts";
import { type Language, languageOf, LANGUAGES } from "./speech.ts";

type Table = { [word: string]: string | Table };

const SURFACES: Record<string, Record<Language, Table>> = {
  "agent's pages": AGENT_WORDS,
  "menu entry": DESKTOP_WORDS,
  doctor: DOCTOR_WORDS as unknown as Record<Language, Table>,
  errors: ERROR_WORDS,
  "download page": INSTALL_WORDS,
  "PIN/OTP page": OTP_WORDS,
  "PIN/OTP service": SERVICE_WORDS,
  "verification report": REPORT_WORDS,
};

const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();
/** Letters that a language's own sentences are written in. */
const SCRIPTS: Record<Language, RegExp> = {
  en: /\p{Script=Latin}/u,
  bn: /\p{Script=Bengali}/u,
  hi: /\p{Script=Devanagari}/u,
};
const OTHERS: Record<Language, RegExp> = {
  en: /[\p{Script=Bengali}\p{Script=Devanagari}]/u,
  bn: /(?!।)\p{Script=Devanagari}/u, // both languages write the full stop ।
  hi: /\p{Script=Bengali}/u,
};

/** Every text of a table as `[path, text]`. */
const flat = (table: Table, before = ""): [string, string][] =>
  Object.entries(table).flatMap(([word, text]) =>
    typeof text === "string" ? [[before + word, text]] : flat(text, `${before}${word}.`)
  );

for (const [surface, tables] of Object.entries(SURFACES)) {
  const english = new Map(flat(tables.en));
  for (const language of Object.keys(LANGUAGES) as Language[]) {
    Deno.test(`the ${surface}: every text exists in ${language}, in its script, with the same placeholders`, () => {
      const texts = flat(tables[language]);
      assert.deepEqual(texts.map(([word]) => word).sort(), [...english.keys()].sort());
      for (const [word, text] of texts) {
        assert.ok(text.trim() !== "", `${word} is empty`);
        assert.deepEqual(places(text), places(english.get(word)!), word);
        assert.doesNotMatch(text, OTHERS[language], `${word} mixes scripts`);
        // "{driver}: {error}" and names such as PAN or eSign are the same in every language
        if (text !== english.get(word)) assert.match(text, SCRIPTS[language], word);
      }
    });
  }
}

Deno.test("every placeholder of the doctor has a name for the guide", () => {
  const used = flat(DOCTOR_WORDS.en.tickets as unknown as Table).flatMap(([, text]) =>
    places(text)
  );
  const named = Object.keys(DOCTOR_WORDS.en.places).map((name) => `{${name}}`);
  assert.deepEqual([...new Set(used)].sort(), named.sort());
});

const WEB = new URL("../web/", import.meta.url);

/** The code of the pages that use a surface. */
async function code(...folders: string[]): Promise<string> {
  let source = "";
  for (const folder of folders) {
    for await (const file of Deno.readDir(new URL(folder, WEB))) {
      if (!/(?<!_test)\.tsx?$/.test(file.name)) continue;
      source += await Deno.readTextFile(new URL(folder + file.name, WEB));
    }
  }
  return source;
}

Deno.test("every text of the pages is used", async () => {
  const unused = async (words: object, source: Promise<string>, computed: RegExp) => {
    const text = await source;
    return Object.keys(words).filter((word) => !text.includes(`"${word}"`) && !computed.test(word));
  };
  const agent =
    /^(law|signature|scope|kind|state|tries|pdf_status|pdf_changes|pdf_certifies|pdf_adds_certify)_/;
  const pages = code("./", "bridge/", "consent/", "console/");
  assert.deepEqual(await unused(AGENT_WORDS.en, pages, agent), []);
  assert.deepEqual(await unused(OTP_WORDS.en, code("otp/"), /^(change_)?otp_/), []);
  assert.deepEqual(await unused(INSTALL_WORDS.en, code("portal/"), /^(failed|install)_/), []);
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

Deno.test("numbers and dates are written as the language writes them", () => {
  assert.equal(speak("bn").say("do_sign_many", { count: 12 }), "১২টি নথিতে স্বাক্ষর করুন");
  assert.equal(sayIn("bn")("tries", { count: 3 }), "বাকি সুযোগ: ৩");
  assert.equal(speak("bn").clock(65), "১:০৫");
  assert.equal(speak("en").clock(120), "2:00");
  assert.match(speak("hi").date("2028-01-15T00:00:00Z"), /जनवरी 2028/);
});

Deno.test("a value that looks like a placeholder is left as it is", () => {
  assert.equal(
    speak("en").say("issued_by", { issuer: "{issuer} $& {date}" }),
    "Issued by {issuer} $& {date}",
  );
});

Deno.test("an error code without a text keeps the sentence it came with", () => {
  assert.equal(speak("hi").error("pin_incorrect", "x"), ERROR_WORDS.hi.pin_incorrect);
  assert.equal(speak("hi").error("something_new", "Something new."), "Something new.");
});
