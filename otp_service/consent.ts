/**
 * What a person consents to by giving PIN and OTP. The page shows these words and no others; the hash that is kept as evidence
 * is of them, and not of what a browser says that it has shown.
 */
import { createHash } from "node:crypto";
import type { Person } from "./store.ts";

type Language = Person["language"];

export interface ConsentFacts {
  /** Of the person. */
  name: string;
  /** Of documents. */
  count: number;
  purpose: string;
  organization: string;
}

const WORDS: Record<Language, (facts: ConsentFacts, count: string) => string> = {
  en: ({ name, purpose, organization }, count) =>
    `I, ${name}, have read what is shown above. By giving my PIN and the OTP I sign what is named above (documents: ${count}) for the purpose “${purpose}” with a departmental PIN/OTP signature of ${organization}.`,
  bn: ({ name, purpose, organization }, count) =>
    `আমি, ${name}, উপরে যা দেখানো হয়েছে তা পড়েছি। আমার পিন ও ওটিপি দিয়ে আমি “${purpose}” উদ্দেশ্যে ${count}টি নথিতে ${organization}-এর বিভাগীয় পিন/ওটিপি স্বাক্ষর করছি।`,
  hi: ({ name, purpose, organization }, count) =>
    `मैं, ${name}, ऊपर दिखाया गया पढ़ चुका/चुकी हूँ। अपना पिन और ओटीपी देकर मैं “${purpose}” के उद्देश्य से ${count} दस्तावेज़ पर ${organization} का विभागीय पिन/ओटीपी हस्ताक्षर करता/करती हूँ।`,
};

/** The words in one language, numbers in its digits. */
export function consentText(language: Language, facts: ConsentFacts): string {
  return WORDS[language](facts, new Intl.NumberFormat(`${language}-IN`).format(facts.count));
}

/** SHA-256 in hex over `LANGUAGE LF TEXT` (UTF-8): with the text in hand anyone can show what was consented to. */
export function consentHash(language: Language, text: string): string {
  return createHash("sha256").update(`${language}\n${text}`).digest("hex");
}
