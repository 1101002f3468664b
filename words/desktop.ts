/** The words of the entry in the menu of programs. */
import { bn } from "./bn/desktop.ts";
import { type DesktopWords, en } from "./en/desktop.ts";
import { hi } from "./hi/desktop.ts";
import type { Language } from "./speech.ts";

export const DESKTOP_WORDS: Readonly<Record<Language, DesktopWords>> = { en, bn, hi };

/** The lines of one key, e.g. `Comment=…`, `Comment[bn]=…`, as the Desktop Entry Specification has them. */
export function desktopLines(key: keyof DesktopWords): string {
  const { en, ...others } = DESKTOP_WORDS;
  return [
    `${key}=${en[key]}`,
    ...Object.entries(others).map(([language, words]) => `${key}[${language}]=${words[key]}`),
  ].join("\n");
}
