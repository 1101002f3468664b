/** The languages of the product, and the one place where texts are filled in and numbers and dates are written. */

/** Each language under its own name. */
export const LANGUAGES = { en: "English", bn: "বাংলা", hi: "हिन्दी" } as const;

export type Language = keyof typeof LANGUAGES;

/** The product's language for a BCP 47 tag such as `bn-IN`; English for any other. */
export function languageOf(tag: string): Language {
  const primary = tag.toLowerCase().split("-")[0]!;
  return Object.hasOwn(LANGUAGES, primary) ? primary as Language : "en";
}

/** Speaks one language, with the words of one table. */
export interface Speech<Word extends string> {
  language: Language;
  /** Fills `{name}` with `values.name`; numbers are written in the language's digits. */
  say(word: Word, values?: Readonly<Record<string, string | number>>): string;
  number(value: number): string;
  /** A day, from an RFC 3339 time. */
  date(rfc3339: string): string;
  /** A day and a time of day. */
  moment(rfc3339: string): string;
  /** Minutes and seconds as `1:05`. */
  clock(seconds: number): string;
}

/**
 * Speaks one language with the words of a table.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { speech } from "./speech.ts";
 *
 * const words = { en: { left: "{count} left" }, bn: { left: "বাকি {count}" }, hi: { left: "शेष {count}" } };
 * assert.equal(speech(words, "bn").say("left", { count: 3 }), "বাকি ৩");
 * ```
 * @param tables the same table of words in each language
 */
export function speech<Word extends string>(
  tables: Readonly<Record<Language, Readonly<Record<Word, string>>>>,
  language: Language,
): Speech<Word> {
  const words = tables[language];
  const locale = `${language}-IN`;
  const numbers = new Intl.NumberFormat(locale);
  const twoDigits = new Intl.NumberFormat(locale, { minimumIntegerDigits: 2 });
  const dates = new Intl.DateTimeFormat(locale, { dateStyle: "long" });
  // Office letters in Bengali and Hindi write the month in full and the time in 24 hours.
  const times = new Intl.DateTimeFormat(locale, {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  return {
    language,
    say: (word, values = {}) =>
      words[word].replace(/\{(\w+)\}/g, (place, name) => {
        const value = values[name];
        return typeof value === "number" ? numbers.format(value) : value ?? place;
      }),
    number: (value) => numbers.format(value),
    date: (rfc3339) => dates.format(new Date(rfc3339)),
    moment: (rfc3339) => {
      const time = new Date(rfc3339);
      return `${dates.format(time)}, ${times.format(time)}`;
    },
    clock: (seconds) =>
      `${numbers.format(Math.floor(seconds / 60))}:${twoDigits.format(seconds % 60)}`,
  };
}
