/** Answers consent by script. Only a trial agent is given this person. */
import type { Choice } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import type { Consent, SignAnswer } from "../signing/consent/port.ts";
import { serialOf, TRIAL_PIN, type TrialTokens } from "./tokens.ts";

/** How a trial agent can answer. */
export const ANSWERS = ["sign", "decline", "wrong-pin", "timeout", "removed"] as const;
export type Answer = typeof ANSWERS[number];

const utf8 = new TextEncoder();

export class ScriptedPerson implements Consent {
  /** Number of the token that signs, counted from 1, where the page names none. */
  officer = 1;

  constructor(public answer: Answer, readonly tokens: TrialTokens) {}

  /** A grant is given unless the person declines everything. */
  grant: Consent["grant"] = () => this.#orFail();

  choose: Consent["choose"] = async ({ choices }) => {
    await this.#orFail();
    return this.#choice(choices).id;
  };

  sign: Consent["sign"] = async (request, unlock, _, show) => {
    await this.#orFail();
    const { id, revision: prepared } = this.#choice(request.choices);
    const isSeen = !request.batch && request.items[0]?.pdf?.adds;
    // As a window does, it has the revision prepared that is signed with this certificate.
    const revision = prepared ?? (isSeen ? (await show(0, id)).revision?.digest : undefined);
    this.tokens.removedNext = this.answer === "removed";
    const answer: SignAnswer = {
      certificate: id,
      pin: utf8.encode(this.answer === "wrong-pin" ? "0000" : TRIAL_PIN),
      binding: request.binding,
      revision,
      finalTry: false,
      acceptsUnproven: true,
    };
    await unlock(answer);
  };

  otp: Consent["otp"] = () => Promise.reject(new DsignError("user_cancelled"));

  pin: Consent["pin"] = () => Promise.reject(new DsignError("user_cancelled"));

  #orFail(): Promise<void> {
    if (this.answer === "decline") return Promise.reject(new DsignError("user_cancelled"));
    if (this.answer === "timeout") return Promise.reject(new DsignError("consent_timeout"));
    return Promise.resolve();
  }

  /** The officer's, wherever it stands among those offered; where it is not, the first. */
  #choice<C extends Pick<Choice, "token">>(choices: readonly C[]): C {
    const own = serialOf(this.officer);
    return choices.find(({ token }) => token.serialNumber === own) ?? choices[0];
  }
}
