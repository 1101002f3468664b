/**
 * The text a person consents to by entering PIN and OTP. The page shows exactly these words; the hash kept as evidence
 * is of them, not of what a browser claims to have shown.
 */
import { createHash } from "node:crypto";
import { serviceSpeech } from "../words/service.ts";
import type { Language } from "../words/speech.ts";

export interface ConsentFacts {
  /** Of the person. */
  name: string;
  /** Of documents, and how many of them are known here by their hashes alone. */
  count: number;
  blind: number;
  purpose: string;
  organization: string;
}

/** The words in one language, numbers in its digits. */
export function consentText(language: Language, facts: ConsentFacts): string {
  return serviceSpeech(language).say(facts.blind > 0 ? "consent_blind" : "consent", { ...facts });
}

/** SHA-256 in hex over `LANGUAGE LF TEXT` (UTF-8): with the text in hand anyone can show what was consented to. */
export function consentHash(language: Language, text: string): string {
  return createHash("sha256").update(`${language}\n${text}`).digest("hex");
}
