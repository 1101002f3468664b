/** Failures in the person's words: the agent's own, and else those of the SDK. */
import type { Speech, Word } from "../../words/agent.ts";
import type { Language } from "../../words/speech.ts";
import { bn } from "../client/bn.ts";
import type { Messages } from "../client/errors.ts";
import { hi } from "../client/hi.ts";

const OF_SDK: Record<Language, Messages> = { en: {}, bn, hi };

/** To the person who did it, and not to a site. */
const OWN: Readonly<Record<string, Word>> = {
  request_cancelled: "desk_stopped",
  user_cancelled: "end_declined",
  consent_timeout: "end_timeout",
};

/** @param message in English, for a code that has no sentence in the person's language */
export function failure(
  { language, say, error }: Speech,
  code: string,
  message: string = say("history_failed", { code }),
): string {
  if (Object.hasOwn(OWN, code)) return say(OWN[code]!);
  const ofSdk: Readonly<Record<string, string>> = OF_SDK[language];
  return error(code, Object.hasOwn(ofSdk, code) ? ofSdk[code]! : message);
}
