/** A token's PIN for something else than a signature: to see the certificates that it hides, or to change it. */
import type { PinRequest, Unlocked } from "../protocol/consent.ts";
import { DsignError, type ErrorCode, type TriesLeft } from "../protocol/errors.ts";
import { type Provider, SignerError, type TokenInfo } from "../signers/provider.ts";
import type { Audit, AuditEvent } from "./audit.ts";
import type { Consent, PinAnswer } from "./consent/port.ts";
import { toDsignError } from "./errors.ts";
import { pinStateOf } from "./pin.ts";
import { describeToken } from "./tokens.ts";
import { type Caller, TYPE_AGAIN } from "./unlock.ts";

/** A token, and the way to it. */
export interface Place {
  token: TokenInfo;
  provider: Provider;
}

/**
 * Asks for the PIN until it was right, with at most one attempt for each that the person types.
 *
 * @param tries state of the PIN after a wrong one, by the token's URI
 * @param audit gets what came of it, and no PIN
 * @throws {DsignError} `mechanism_unsupported`: this token cannot do that here; the refusal, or the person's
 */
export async function askTokenPin(
  { token, provider }: Place,
  purpose: PinRequest["purpose"],
  tries: Map<string, TriesLeft>,
  consent: Consent,
  caller: Pick<Caller, "asker" | "signal">,
  audit: Pick<Audit, "record">,
): Promise<void> {
  const { newPin: length = { min: 0, max: 0 }, uri } = token;
  const can = purpose === "change" ? token.newPin && provider.changePin : provider.reveal;
  if (!can) {
    throw new DsignError("mechanism_unsupported", "The PIN of this token is not changed here.");
  }
  let refusal: ErrorCode | undefined;
  const state = () => pinStateOf(token, { triesLeft: tries.get(uri) });
  const attempt = async ({ pin, newPin, finalTry }: PinAnswer): Promise<Unlocked> => {
    try {
      const { entry, why, confirm } = state();
      if (why) throw new DsignError(why);
      if (confirm && !finalTry) throw new DsignError("pin_final_try");
      if (entry === "typed" && !pin?.length) throw new DsignError("pin_invalid");
      if (purpose === "certificates") {
        await provider.reveal!(token, () => Promise.resolve(pin!), caller.signal);
      } else if (entry === "keypad") await provider.changePin!(token, null, caller.signal);
      else {
        // Before the token counts the old one.
        if (!newPin || !fits(newPin, length)) throw new DsignError("pin_invalid");
        await provider.changePin!(token, [pin!, newPin], caller.signal);
      }
      tries.delete(uri);
      refusal = undefined;
      return { ok: true };
    } catch (error) {
      if (error instanceof SignerError && error.code === "pin_incorrect") {
        tries.set(uri, error.details.triesLeft ?? "unknown");
      }
      const { code, message } = toDsignError(error);
      refusal = code;
      return { ok: false, code, message, again: TYPE_AGAIN.has(code), pin: state() };
    } finally {
      pin?.fill(0);
      newPin?.fill(0);
    }
  };
  const record = (outcome: AuditEvent["outcome"]) =>
    audit.record({
      action: purpose === "change" ? "change_pin" : "unlock",
      origin: caller.asker.origin,
      token: { uri, label: token.label },
      outcome,
    });
  try {
    await consent.pin(
      {
        kind: "pin",
        asker: caller.asker,
        token: describeToken(token),
        purpose,
        password: token.password === true,
        pin: state(),
        length,
      },
      attempt,
      caller.signal,
    );
  } catch (error) {
    // A wrong PIN is what the token has counted, whatever the person did after it.
    await record(refusal ?? toDsignError(error).code).catch(() => {}); // report the first failure
    throw error;
  }
  await record("done");
}

const fits = ({ length }: Uint8Array, { min, max }: PinRequest["length"]) =>
  length > 0 && length >= min && (max === 0 || length <= max);
