/** Where the PIN is typed, and what has to be said about it. */
import type { RefObject } from "preact";
import { useState } from "preact/hooks";
import type { Choice, PinState, Unlocked } from "../../protocol/consent.ts";
import type { Speech, Word } from "../../words/agent.ts";
import { Foreign } from "../parts.tsx";

export type Refusal = Exclude<Unlocked, { ok: true }>;

export function Pin(
  {
    state: { entry, why, tries, confirm, password },
    choice,
    problem,
    decline,
    refusal,
    busy,
    field,
    confirmation,
    speech,
  }: {
    state: PinState;
    choice: Choice;
    /** The field that the person left empty, as a message. */
    problem: Word | null;
    /** Label of the refusing button. */
    decline: Word;
    refusal: Refusal | null;
    busy: boolean;
    field: RefObject<HTMLInputElement | null>;
    confirmation: RefObject<HTMLInputElement | null>;
    speech: Speech;
  },
) {
  const { say, error } = speech;
  const { token, certificate } = choice;
  const [capsLock, setCapsLock] = useState(false);
  // `pin_final_try` is no failure: nothing was tried, and the notice about the last try says it all.
  const failure = !busy && refusal && refusal.code !== "pin_final_try" ? refusal : null;
  return (
    <section class="pin">
      <div role="alert" id="pin-problem">
        {failure && (
          <p class="warning">
            {password && failure.code === "pin_incorrect"
              ? say("password_wrong")
              : error(failure.code, failure.message)}
          </p>
        )}
        {tries && <p class={tries === "low" ? "notice" : "warning"}>{say(`tries_${tries}`)}</p>}
        {why && <p class="warning">{error(why)}</p>}
        {problem && <p class="warning">{say(problem, { button: say(decline) })}</p>}
      </div>
      {entry === "typed" && (
        <>
          <label for="pin">
            {say(password ? "password" : "pin")}:{" "}
            <Foreign text={`${token.label || token.model}, ${certificate.commonName}`} />
          </label>
          <input
            id="pin"
            ref={field}
            type="password"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            maxLength={255}
            disabled={busy}
            aria-describedby="pin-hint pin-problem"
            aria-invalid={failure !== null ||
              (problem === "pin_missing" || problem === "password_missing")}
            onKeyUp={(event) => setCapsLock(event.getModifierState("CapsLock"))}
          />
          <p class="aside" id="pin-hint">
            {say(password ? "password_hint" : "pin_hint")}
            {capsLock && <strong class="caps-lock">{say("caps_lock")}</strong>}
          </p>
        </>
      )}
      {entry === "keypad" && <p>{say("pin_keypad")}</p>}
      {entry === "windows" && <p>{say("pin_windows")}</p>}
      {entry === "unlocked" && <p>{say("pin_not_needed")}</p>}
      {confirm && (
        <label class="confirm">
          <input type="checkbox" ref={confirmation} disabled={busy} />
          <span>{say(tries === "final" ? "final_confirm" : "unknown_confirm")}</span>
        </label>
      )}
    </section>
  );
}
