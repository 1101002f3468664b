/** Asking for the signature where there is no window: one question after another, at a terminal or through pinentry. */
import type {
  PinRequest,
  PinState,
  ShownRevision,
  SignChoice,
  SignRequest,
  Unlocked,
} from "../../protocol/consent.ts";
import { DsignError } from "../../protocol/errors.ts";
import type { PinAnswer, ShowPdf, SignAnswer } from "./port.ts";
import { describeBoxes, describeTries, revisionOf, whyImpossible } from "./text.ts";

/** How a program without a window puts the question. */
export interface Dialog {
  /**
   * Confirms the last try where `state` says so, and asks for the PIN of a key.
   *
   * @param places where a PDF's signature is seen; empty if nowhere
   * @returns UTF-8; null if it is typed elsewhere or none is needed
   */
  ask(key: SignChoice, state: PinState, places: string): Promise<Uint8Array | null>;
  /** Says why it did not work. */
  say(message: string): unknown;
}

/** Asks until the key is open, and then the second one, where the request needs two. */
export async function askUntilOpen(
  dialog: Dialog,
  request: SignRequest,
  choice: SignChoice,
  unlock: (answer: SignAnswer) => Promise<Unlocked>,
  show: ShowPdf,
): Promise<void> {
  await openKey(dialog, request, choice, unlock, (id) => revisionOf(request, id, show));
  const { also } = request;
  if (also) await openKey(dialog, request, also, unlock, () => Promise.resolve(undefined));
}

/**
 * Asks until one key is open: once for each PIN that the person types, by the rules of pin.ts. A revision that has become
 * too old is shown again.
 *
 * @throws {DsignError} the refusal after which no other PIN helps
 */
async function openKey(
  { ask, say }: Dialog,
  request: SignRequest,
  key: SignChoice,
  unlock: (answer: SignAnswer) => Promise<Unlocked>,
  revisionFor: (id: string) => Promise<ShownRevision | undefined>,
): Promise<void> {
  const { id } = key;
  let revision = await revisionFor(id);
  let state = key.pin;
  for (;;) {
    const result = await unlock({
      certificate: id,
      pin: await ask(key, state, describeBoxes(revision)),
      binding: request.binding,
      revision: revision?.digest,
      finalTry: state.confirm,
      acceptsUnproven: request.unproven === true,
    });
    if (result.ok) return;
    await say(result.message);
    if (!result.again) throw new DsignError(result.code, result.message);
    state = result.pin ?? state;
    if (result.code === "consent_mismatch") revision = await revisionFor(id);
  }
}

/** How a program without a window asks for PINs that sign nothing. */
export interface PinDialog {
  /** Gives what the person typed, UTF-8. */
  type(what: "PIN" | "password" | "new PIN" | "new PIN again"): Promise<Uint8Array>;
  /** Resolves where the person goes on. */
  confirm(said: string): Promise<void>;
  say(message: string): unknown;
}

/**
 * Asks for a token's PIN until it was right: one attempt for each that the person types.
 *
 * @throws {DsignError} the refusal after which no other PIN helps
 */
export async function askForPin(
  { type, confirm, say }: PinDialog,
  { purpose, password, pin: first }: PinRequest,
  attempt: (answer: PinAnswer) => Promise<Unlocked>,
): Promise<void> {
  let state = first;
  for (;;) {
    const impossible = whyImpossible(state);
    if (impossible) throw impossible;
    const said = describeTries(state);
    if (state.confirm) await confirm(said);
    else if (said) await say(said);
    const typed = state.entry === "typed";
    if (!typed) await confirm("The token asks for the PIN on its keypad.");
    const result = await attempt({
      pin: typed ? await type(password ? "password" : "PIN") : null,
      newPin: typed && purpose === "change" ? await typeTwice(type, say) : null,
      finalTry: state.confirm,
    });
    if (result.ok) return;
    await say(result.message);
    if (!result.again) throw new DsignError(result.code, result.message);
    state = result.pin ?? state;
  }
}

/** The new PIN, which the person types until it is twice the same. */
async function typeTwice(type: PinDialog["type"], say: PinDialog["say"]): Promise<Uint8Array> {
  for (;;) {
    const [one, other] = [await type("new PIN"), await type("new PIN again")];
    const same = one.length === other.length && one.every((byte, i) => byte === other[i]);
    other.fill(0);
    if (same) return one;
    one.fill(0);
    await say("The two new PINs differ.");
  }
}
