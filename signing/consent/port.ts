/**
 * The port through which the person is asked. Implementations: `window` (a browser window on a page of the agent),
 * `pinentry`, `terminal`. What is shown is what is signed: the answer carries the hash that was shown, and sign.ts
 * compares it with the hash of the bytes it signs.
 */
import type { Source } from "../../formats/source.ts";
import type {
  ChooseRequest,
  ConsentRequest,
  GrantRequest,
  OtpRequest,
  PdfFacts,
  PinRequest,
  ShownRevision,
  SignRequest,
  Unlocked,
} from "../../protocol/consent.ts";

/** The person's decision about a {@linkcode SignRequest}. */
export interface SignAnswer {
  /** `id` of the choice. */
  certificate: string;
  /** UTF-8, owned and zeroed by the receiver; null where it is not typed here. */
  pin: Uint8Array | null;
  /** {@linkcode SignRequest.binding} of what was shown. */
  binding: string;
  /** {@linkcode ShownRevision.digest} of what was shown, where there is one. */
  revision?: string;
  /** The person has confirmed that this may be the last try before the token locks. */
  finalTry: boolean;
  /** The person has said that they sign although earlier signatures are unproven: {@linkcode SignRequest.unproven}. */
  acceptsUnproven?: boolean;
}

/** What the person typed for a {@linkcode PinRequest}: UTF-8, owned and zeroed by the receiver; null: on the token's keypad. */
export interface PinAnswer {
  pin: Uint8Array | null;
  /** Where the PIN is changed. */
  newPin: Uint8Array | null;
  /** As {@linkcode SignAnswer.finalTry}. */
  finalTry: boolean;
}

/** A document of a request, to be shown: a PDF page by page, as it will be signed; a text as it is. */
export interface ShownPdf {
  source: Source;
  /** The revision that is signed, if the signature is embedded. */
  revision?: ShownRevision;
  /** Its earlier signatures, and what was changed after each. */
  facts(): Promise<PdfFacts>;
}

/**
 * Gives the document that an item of a request stands for, as long as the request is being asked.
 *
 * @param certificate `id` of the choice: into a PDF goes a signature that depends on it
 * @throws {DsignError} `document_not_found` where there is none
 */
export type ShowPdf = (item: number, certificate?: string) => Promise<ShownPdf>;

/**
 * Asks the person. All methods reject with `DsignError`: `user_cancelled`, `consent_timeout`, `consent_unavailable`,
 * or `request_cancelled` when `signal` fires.
 */
export interface Consent {
  /** Resolves when the person allows it. */
  grant(request: GrantRequest, signal: AbortSignal): Promise<void>;
  /** Resolves to the `id` of the choice. */
  choose(request: ChooseRequest, signal: AbortSignal): Promise<string>;
  /**
   * Resolves when the person has approved and `unlock` has succeeded. `unlock` is called once for each PIN the person
   * types, and by nothing else.
   */
  sign(
    request: SignRequest,
    unlock: (answer: SignAnswer) => Promise<Unlocked>,
    signal: AbortSignal,
    show: ShowPdf,
  ): Promise<void>;
  /**
   * Resolves to the OTP that the person typed (UTF-8), owned and zeroed by the receiver.
   *
   * @param resend has it sent again; rejects with `DsignError`, and the person may go on
   */
  otp(
    request: OtpRequest,
    resend: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
  /** Resolves when `attempt` has succeeded, which is called once for each PIN that the person types. */
  pin(
    request: PinRequest,
    attempt: (answer: PinAnswer) => Promise<Unlocked>,
    signal: AbortSignal,
  ): Promise<void>;
}

/** How long a person has to answer, in milliseconds; see {@linkcode timeToAnswer}. */
export const CONSENT_TIMEOUT = 120_000;

/** A question lapses after so long (milliseconds) at the latest, however much more time was asked for. */
export const CONSENT_LIMIT = 30 * 60_000;

/** There is more to read: so much longer (milliseconds) for each further document, and for each 100 KB. */
const PER_DOCUMENT = 5_000;
const PER_100_KB = 10_000;

/**
 * How long the person has to answer a request, in milliseconds: longer where there is more to read, and at least as
 * long as the asker wishes.
 *
 * @param limit at most
 */
export function timeToAnswer(
  request: ConsentRequest,
  usual = CONSENT_TIMEOUT,
  limit = CONSENT_LIMIT,
): number {
  const items = request.kind === "sign" ? request.items : [];
  const bytes = items.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const toRead = Math.max(0, items.length - 1) * PER_DOCUMENT +
    Math.floor(bytes / 100_000) * PER_100_KB;
  const wished = (request.asker.answerWithin ?? 0) * 1000;
  return Math.min(limit, Math.max(usual + toRead, wished));
}

/** A {@linkcode Consent} that also answers requests under `/consent/` of its own page. */
export interface PageConsent extends Consent {
  respond(request: Request, path: string): Promise<Response>;
}

/** How the person is asked; a function receives the origin of the agent's windows. */
export type AskBy = Consent | ((origin: string) => Consent | PageConsent);
