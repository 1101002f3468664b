/** Asks at its terminal, as the agent would, and writes the outcome to the file named first. */
import type { Consent, SignAnswer } from "../../signing/consent/port.ts";
import { TerminalConsent } from "../../signing/consent/terminal.ts";
import type { Unlocked } from "../../protocol/consent.ts";
import { DsignError } from "../../protocol/errors.ts";
import {
  choice,
  CHOICES,
  chooseRequest,
  grantRequest,
  otpRequest,
  pdfRequest,
  showCovering,
  signRequest,
  tryPin,
  unprovenRequest,
} from "./consent_requests.ts";

const [result, kind, timeout] = Deno.args;
const consent: Consent = new TerminalConsent(Deno.stdin, Deno.stderr, Number(timeout ?? 60_000));
const { signal } = new AbortController();
const pins: string[] = [];
let answered: Partial<SignAnswer> = {};
const unlock = (answer: SignAnswer): Promise<Unlocked> => {
  const { acceptsUnproven, revision } = answer;
  answered = { acceptsUnproven, revision };
  return tryPin(answer, pins);
};

let outcome: unknown;
try {
  if (kind === "grant") await consent.grant(grantRequest(), signal);
  else if (kind === "choose") outcome = await consent.choose(chooseRequest(), signal);
  else if (kind === "otp") {
    const resend = () => Promise.reject(new DsignError("busy"));
    outcome = new TextDecoder().decode(await consent.otp(otpRequest(), resend, signal));
  } else if (kind === "sign pdf" || kind === "sign unproven") {
    const request = kind === "sign pdf" ? pdfRequest() : unprovenRequest();
    await consent.sign(request, unlock, signal, showCovering);
  } else {
    const locked = choice("Charulata Roy", "c", "pin_locked");
    const choices = kind === "sign"
      ? CHOICES.slice(0, 1)
      : kind === "sign locked"
      ? [locked]
      : [locked, CHOICES[0]];
    await consent.sign(signRequest({ choices }), unlock, signal, () => Promise.reject());
  }
  outcome ??= "approved";
} catch (error) {
  outcome = (error as { code: string }).code;
}
console.log("over");
await Deno.writeTextFile(`${result}.part`, JSON.stringify({ outcome, pins, ...answered }));
await Deno.rename(`${result}.part`, result);
Deno.exit();
