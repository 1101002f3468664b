/** Requests for tests of the ways to ask a person, and a token that knows one PIN. */
import type { ShownPdf, ShowPdf, SignAnswer } from "../../signing/consent/port.ts";
import type {
  ChooseRequest,
  GrantRequest,
  OtpRequest,
  ShownRevision,
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
    id: id.repeat(64),
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

/** The place of a signature over much of a page and its text. */
export const COVERING: ShownRevision = {
  digest: "f".repeat(64),
  boxes: [{ page: 3, box: [0, 0, 595.3, 842], overText: true, large: true }],
};

/** What a terminal, or pinentry, tells of {@linkcode pdfRequest} and {@linkcode COVERING}. */
export const SEEN_IN_PDF = [
  "seen on page 3, 595 by 842 points, 0 from the left and 0 from the bottom",
  "WARNING: it covers text of that page",
  "WARNING: it takes more than a tenth of that page",
  String.raw`as "Executive\u{1b} Engineer"`,
  "WITH A PICTURE",
  'QR code of "https://evil.example/pay"',
  'reason: "Sanctioned"',
];

/** Shows the revision with {@linkcode COVERING}. */
export const showCovering: ShowPdf = (item, certificate) =>
  item === 0 && certificate === CHOICES[0].certificate.id
    ? Promise.resolve({ revision: COVERING } as ShownPdf)
    : Promise.reject(new Error("Another document or certificate was to be shown."));

/** A PDF that gets a visible signature. */
export function pdfRequest(): SignRequest {
  const [item] = signRequest().items;
  const visible = {
    page: 3,
    anchor: null,
    role: "Executive\x1b Engineer",
    picture: true,
    qr: "https://evil.example/pay",
  };
  const adds = { level: "B-B" as const, reason: "Sanctioned", locks: false, visible };
  return signRequest({ items: [{ ...item, name: "order.pdf", preview: null, pdf: { adds } }] });
}

/** A route on which an earlier signature is unproven. */
export function unprovenRequest(): SignRequest {
  const [item] = signRequest().items;
  const step = { quorum: 1, isDone: false, signed: [], open: [], unproven: [] };
  const steps = [
    { ...step, role: "Maker", isDone: true, signed: ["Maya Sen"], unproven: ["Maya Sen"] },
    { ...step, role: "Checker", open: ["Anita Das"] },
  ];
  return signRequest({ unproven: true, items: [{ ...item, route: { next: 1, steps } }] });
}

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
