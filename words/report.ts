/** The words of the verification report. */
import { bn } from "./bn/report.ts";
import { en, type ReportWords } from "./en/report.ts";
import { hi } from "./hi/report.ts";
import type { Language } from "./speech.ts";

export const REPORT_WORDS: Readonly<Record<Language, ReportWords>> = { en, bn, hi };

export type ReportWord = keyof ReportWords;
