/** The words that the PIN/OTP service itself writes. */
import { bn } from "./bn/service.ts";
import { en, type ServiceWords } from "./en/service.ts";
import { hi } from "./hi/service.ts";
import { type Language, type Speech, speech } from "./speech.ts";

export const SERVICE_WORDS: Readonly<Record<Language, ServiceWords>> = { en, bn, hi };

/** Speaks one language for the service. */
export const serviceSpeech = (language: Language): Speech<keyof ServiceWords> =>
  speech(SERVICE_WORDS, language);
