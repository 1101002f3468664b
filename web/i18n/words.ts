/** What pages say, in the languages they speak, and how they write numbers and dates in them. */
import { bn } from "./bn.ts";
import { en, type Words } from "./en.ts";
import { hi } from "./hi.ts";

export const LANGUAGES = {
  en: { name: "English", words: en },
  bn: { name: "বাংলা", words: bn },
  hi: { name: "हिन्दी", words: hi },
} as const;

export type Language = keyof typeof LANGUAGES;
export type Word = keyof Words;

/** The nearest language we speak for a BCP 47 tag; English where there is none. */
export function languageOf(tag: string): Language {
  const primary = tag.toLowerCase().split("-")[0]!;
  return Object.hasOwn(LANGUAGES, primary) ? primary as Language : "en";
}

/** Speaks one language: words with their places filled, numbers, dates. */
export interface Speech {
  language: Language;
  /** Fills `{name}` by `values.name`; numbers are written in the language's digits. */
  say(word: Word, values?: Record<string, string | number>): string;
  /** The sentence for an error code; `otherwise` where there is none for persons. */
  error(code: string, otherwise: string): string;
  number(value: number): string;
  /** A day, from an RFC 3339 time. */
  date(rfc3339: string): string;
  /** A day and a time of day. */
  moment(rfc3339: string): string;
  /** Minutes and seconds as `1:05`. */
  clock(seconds: number): string;
}

export function speak(language: Language): Speech {
  const { words } = LANGUAGES[language];
  const locale = `${language}-IN`;
  const numbers = new Intl.NumberFormat(locale);
  const twoDigits = new Intl.NumberFormat(locale, { minimumIntegerDigits: 2 });
  const dates = new Intl.DateTimeFormat(locale, { dateStyle: "long" });
  const moments = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  return {
    language,
    say: (word, values = {}) =>
      words[word].replace(/\{(\w+)\}/g, (place, name) => {
        const value = values[name];
        return typeof value === "number" ? numbers.format(value) : value ?? place;
      }),
    error: (code, otherwise) => {
      const word = `error_${code}`;
      return Object.hasOwn(words, word) ? words[word as Word] : otherwise;
    },
    number: (value) => numbers.format(value),
    date: (rfc3339) => dates.format(new Date(rfc3339)),
    moment: (rfc3339) => moments.format(new Date(rfc3339)),
    clock: (seconds) =>
      `${numbers.format(Math.floor(seconds / 60))}:${twoDigits.format(seconds % 60)}`,
  };
}
