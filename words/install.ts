/** The words of the download page. */
import { bn } from "./bn/install.ts";
import { en, type InstallWords } from "./en/install.ts";
import { hi } from "./hi/install.ts";
import type { Language } from "./speech.ts";

export const INSTALL_WORDS: Readonly<Record<Language, InstallWords>> = { en, bn, hi };

export type InstallWord = keyof InstallWords;
