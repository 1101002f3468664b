/** The words of the PIN/OTP page. */
import { bn } from "./bn/otp.ts";
import { en, type OtpWords } from "./en/otp.ts";
import { hi } from "./hi/otp.ts";
import { type Language, speech } from "./speech.ts";

export const OTP_WORDS: Readonly<Record<Language, OtpWords>> = { en, bn, hi };

export type OtpWord = keyof OtpWords;

/** Says the page's words in one language. */
export const sayIn = (language: Language) => speech(OTP_WORDS, language).say;

export type Say = ReturnType<typeof sayIn>;
