/** The rules for asking for a PIN. Window, terminal and pinentry show what stands here, and unlock.ts holds to it. */
import type { PinState } from "../protocol/consent.ts";
import type { TriesLeft } from "../protocol/errors.ts";
import type { Token } from "../protocol/methods.ts";

/** Knowledge about a token besides its flags. */
export interface PinHistory {
  /** A login of an earlier request still holds, or the token knows none: no PIN is asked. */
  unlocked?: boolean;
  /** State reported after the last wrong PIN. */
  triesLeft?: TriesLeft;
}

/**
 * Tells how a token's PIN is asked for now.
 *
 * A token that is locked, has no PIN or is empty takes none: the next wrong try might cost its PUK. The last try is
 * confirmed; so is one more after a wrong PIN where the token does not count aloud, as it may be counting all the same.
 */
export function pinStateOf(
  { state, protectedAuthenticationPath, windowsAsks, password }:
    & Pick<Token, "state" | "protectedAuthenticationPath">
    & { windowsAsks?: true; password?: true },
  { unlocked, triesLeft }: PinHistory = {},
): PinState {
  if (unlocked) return { entry: "unlocked", why: null, tries: null, confirm: false };
  const why = triesLeft === "none" ? "pin_locked" : IMPOSSIBLE[state];
  if (why) return { entry: "impossible", why, tries: null, confirm: false };
  const tries = state === "pin_final_try" || triesLeft === "final"
    ? "final"
    : triesLeft === "unknown"
    ? "unknown"
    : state === "pin_low" || triesLeft === "low"
    ? "low"
    : null;
  return {
    entry: windowsAsks ? "windows" : protectedAuthenticationPath ? "keypad" : "typed",
    why: null,
    tries,
    confirm: tries === "final" || tries === "unknown",
    ...password && { password },
  };
}

const IMPOSSIBLE: Partial<Record<Token["state"], PinState["why"]>> = {
  pin_locked: "pin_locked",
  pin_not_set: "pin_not_set",
  empty: "token_not_initialised",
};
