/** What is asked of the person for the chosen token: a pure function of its state and of the last refusal. */
import type { Choice, Unlocked } from "../../protocol/consent.ts";

export type Refusal = Exclude<Unlocked, { ok: true }>;

export interface PinState {
  /** Where the PIN is typed. `impossible`: the token takes none. */
  entry: "typed" | "keypad" | "unlocked" | "impossible";
  /** What is to be said about the tries that are left. */
  tries: "low" | "final" | "unknown" | null;
  /** Whether the person has to confirm that this may be the last try. */
  confirm: boolean;
}

export function pinStateOf({ token, unlocked }: Choice, refusal: Refusal | null): PinState {
  if (unlocked) return { entry: "unlocked", tries: null, confirm: false };
  if (token.state === "pin_locked" || token.state === "pin_not_set" || token.state === "empty") {
    return { entry: "impossible", tries: null, confirm: false };
  }
  const tries = triesOf(token.state, refusal);
  return {
    entry: token.protectedAuthenticationPath ? "keypad" : "typed",
    tries,
    confirm: tries === "final" || tries === "unknown",
  };
}

function triesOf(state: Choice["token"]["state"], refusal: Refusal | null): PinState["tries"] {
  if (refusal?.code === "pin_final_try") return "final";
  switch (refusal?.triesLeft) {
    case "final":
    case "low":
      return refusal.triesLeft;
    // A counter that is not known counts as dangerous once a PIN was wrong.
    case "unknown":
      return "unknown";
  }
  return state === "pin_final_try" ? "final" : state === "pin_low" ? "low" : null;
}
