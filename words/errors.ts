/** Failures that a person can act on, in each language: one wording for one failure, wherever it is told. */
import { bn } from "./bn/errors.ts";
import { en, type ErrorWords } from "./en/errors.ts";
import { hi } from "./hi/errors.ts";
import type { Language } from "./speech.ts";

export const ERROR_WORDS: Readonly<Record<Language, ErrorWords>> = { en, bn, hi };
