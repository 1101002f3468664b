/** Requests for tests of the ways to ask a person, and a token that knows one PIN. */
import type { SignAnswer } from "../../signing/consent/port.ts";
import type {
  ChooseRequest,
  GrantRequest,
  OtpRequest,
  SignChoice,
  SignRequest,
  Unlocked,
} from "../../protocol/consent.ts";
import { METHODS } from "../../protocol/methods.ts";
import type { Token } from "../../protocol/methods.ts";
import { pinStateOf } from "../../signing/pin.ts";
import { PIN } from "./memory_provider.ts";

const asker = {
  origin: "https://portal.example",
  trustedSince: "2026-01-02T00:00:00Z",
  purpose: "Bill 7\x1b[2J of the \u202Eyrusaert",
};

export function choice(
  commonName: string,
  id: string,
  state: Token["state"] = "ready",
): SignChoice {
  const [certificate] = METHODS["certificate.list"].example.result.certificates;
  const [example] = METHODS["token.list"].example.result.tokens;
  const token = { ...example, state } as Token;
  return {
    certificate: { ...certificate, commonName, id: id.repeat(64) } as SignChoice["certificate"],
    token,
    kind: "token_dsc",
    pin: pinStateOf(token),
  };
}

export const CHOICES = [choice("Anita Das", "a"), choice("Bimal Roy", "b")];

export const grantRequest = (): GrantRequest => ({
  kind: "grant",
  asker,
  scopes: ["sign", "sign_hash"],
  expiresAt: "2027-11-21T00:00:00Z",
});

export const chooseRequest = (): ChooseRequest => ({ kind: "choose", asker, choices: CHOICES });

export const signRequest = (changes: Partial<SignRequest> = {}): SignRequest => ({
  kind: "sign",
  asker,
  items: [{
    name: "bill\r7.json",
    mediaType: "application/json",
    size: 12,
    hash: { algorithm: "SHA-256", hex: "c0ffee".padEnd(64, "0") },
    preview: { text: '{"amount":100%}', truncated: false },
  }],
  blind: false,
  choices: CHOICES.slice(0, 1),
  binding: "d".repeat(64),
  ...changes,
});

/** Knows {@linkcode PIN}; warns of the last try after the first wrong one. Remembers the PINs. */
export function tryPin(answer: SignAnswer, pins: string[]): Promise<Unlocked> {
  const pin = new TextDecoder().decode(answer.pin!);
  answer.pin!.fill(0);
  pins.push(pin);
  if (answer.binding !== signRequest().binding) throw new Error("The binding is wrong.");
  if (pins.length > 1 && !answer.finalTry) throw new Error("The last try was not confirmed.");
  return Promise.resolve(
    pin === PIN ? { ok: true } : {
      ok: false,
      code: "pin_incorrect",
      message: "The PIN is wrong.",
      again: true,
      pin: { entry: "typed", why: null, tries: "final", confirm: true },
    },
  );
}

export const otpRequest = (): OtpRequest => ({
  kind: "otp",
  asker,
  names: ["order.pdf"],
  service: "Works",
  description: "Sent to your phone\x1b[2J",
  canResend: true,
});
