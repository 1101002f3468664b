/** The words of the agent's pages: consent window, console, bridge. */
import { bn } from "./bn/agent.ts";
import { type AgentWords, en } from "./en/agent.ts";
import type { ErrorWords } from "./en/errors.ts";
import { ERROR_WORDS } from "./errors.ts";
import { hi } from "./hi/agent.ts";
import { type Language, type Speech as SpeechOf, speech } from "./speech.ts";

export { type Language, languageOf, LANGUAGES } from "./speech.ts";

export const AGENT_WORDS: Readonly<Record<Language, AgentWords>> = { en, bn, hi };

export type Word = keyof AgentWords;

export interface Speech extends SpeechOf<Word> {
  /** The sentence for an error code; `otherwise` for a code that is meant for programs, not for people. */
  error(code: string, otherwise: string): string;
  error(code: keyof ErrorWords): string;
}

/** Speaks one language on the agent's pages. */
export function speak(language: Language): Speech {
  const errors: Readonly<Record<string, string>> = ERROR_WORDS[language];
  return {
    ...speech(AGENT_WORDS, language),
    error: (code: string, otherwise: string = code) =>
      Object.hasOwn(errors, code) ? errors[code] : otherwise,
  };
}
