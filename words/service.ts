/** The words that the PIN/OTP service itself writes. */
import { bn } from "./bn/service.ts";
import { en, type ServiceWords } from "./en/service.ts";
import { hi } from "./hi/service.ts";
import { type Language, type Speech, speech } from "./speech.ts";

export const SERVICE_WORDS: Readonly<Record<Language, ServiceWords>> = { en, bn, hi };

type ServiceSpeech = Speech<keyof ServiceWords>;

/** Kept: to make the forms of numbers and dates costs more than to speak. */
const spoken = new Map<Language, ServiceSpeech>();

/** Speaks one language for the service. */
export const serviceSpeech = (language: Language): ServiceSpeech =>
  spoken.getOrInsertComputed(language, () => speech(SERVICE_WORDS, language));
