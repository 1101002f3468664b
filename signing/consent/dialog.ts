/** Asking for the signature where there is no window: one question after another, at a terminal or through pinentry. */
import type { PinState, SignChoice, SignRequest, Unlocked } from "../../protocol/consent.ts";
import { DsignError } from "../../protocol/errors.ts";
import type { ShowPdf, SignAnswer } from "./port.ts";
import { describeBoxes, revisionOf } from "./text.ts";

/** How a program without a window puts the question. */
export interface Dialog {
  /**
   * Confirms the last try where `state` says so, and asks for the PIN.
   *
   * @param places where a PDF's signature is seen; empty if nowhere
   * @returns UTF-8; null if it is typed elsewhere or none is needed
   */
  ask(state: PinState, places: string): Promise<Uint8Array | null>;
  /** Says why it did not work. */
  say(message: string): unknown;
}

/**
 * Asks until the key is open: once for each PIN that the person types, by the rules of pin.ts. A revision that has become
 * too old is shown again.
 *
 * @throws {DsignError} the refusal after which no other PIN helps
 */
export async function askUntilOpen(
  { ask, say }: Dialog,
  request: SignRequest,
  { id, pin: first }: SignChoice,
  unlock: (answer: SignAnswer) => Promise<Unlocked>,
  show: ShowPdf,
): Promise<void> {
  let revision = await revisionOf(request, id, show);
  let state = first;
  for (;;) {
    const result = await unlock({
      certificate: id,
      pin: await ask(state, describeBoxes(revision)),
      binding: request.binding,
      revision: revision?.digest,
      finalTry: state.confirm,
      acceptsUnproven: request.unproven === true,
    });
    if (result.ok) return;
    await say(result.message);
    if (!result.again) throw new DsignError(result.code, result.message);
    state = result.pin ?? state;
    if (result.code === "consent_mismatch") revision = await revisionOf(request, id, show);
  }
}
