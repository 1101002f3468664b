/**
 * The port through which the person is asked. Implementations: `window` (a browser window on a page of the agent),
 * `pinentry`, `terminal`. What is shown is what is signed: the answer carries the hash that was shown, and sign.ts
 * compares it with the hash of the bytes it signs.
 */
import type { Certificate, Scope, Token } from "../protocol/methods.ts";
import type { ErrorCode, TriesLeft } from "../protocol/errors.ts";

/** A thing to be signed, as far as it can be shown. */
export interface ConsentItem {
  name: string;
  mediaType: string;
  /** Bytes; null for a bare digest. */
  size: number | null;
  hash: { algorithm: string; hex: string };
  /**
   * The beginning of exactly the bytes to be signed where they are text (JSON in canonical form); null where they
   * are not text or only a digest is known.
   */
  preview: { text: string; truncated: boolean } | null;
}

/** Who asks. */
export interface Asker {
  /** Web origin; null for the command line of this computer. */
  origin: string | null;
  /** When the origin was first granted anything. */
  trustedSince: Date | null;
  /** The asker's own words. */
  purpose: string | null;
}

/** A certificate offered for choice, with its token's state. */
export interface Choice {
  certificate: Certificate;
  token: Token;
}

export interface GrantRequest {
  kind: "grant";
  asker: Asker;
  scopes: Scope[];
  expiresAt: Date;
}

export interface ChooseRequest {
  kind: "choose";
  asker: Asker;
  choices: Choice[];
}

export interface SignRequest {
  kind: "sign";
  asker: Asker;
  items: ConsentItem[];
  /** Digests only: nothing of what they stand for can be shown. */
  blind: boolean;
  /** Non-empty; one only where the page named the certificate. */
  choices: Choice[];
  /** SHA-256 (hex) over the items' hashes in order: what the answer must repeat. */
  binding: string;
}

/** What the person decided about a {@linkcode SignRequest}. */
export interface SignAnswer {
  /** `id` of the chosen certificate. */
  certificate: string;
  /** UTF-8, owned and zeroed by the receiver; null where the token has its own keypad. */
  pin: Uint8Array | null;
  /** {@linkcode SignRequest.binding} of what was shown. */
  binding: string;
}

/** How an attempt to unlock the token with an answer ended. On a refusal the person may answer again. */
export type Unlocked =
  | { ok: true }
  | { ok: false; code: ErrorCode; message: string; triesLeft?: TriesLeft; again: boolean };

/**
 * Asks the person. All methods reject with `DsignError`: `user_cancelled`, `consent_timeout`, `consent_unavailable`,
 * or `request_cancelled` when `signal` fires.
 */
export interface Consent {
  /** Resolves when the person allows it. */
  grant(request: GrantRequest, signal: AbortSignal): Promise<void>;
  /** Resolves to the `id` of the chosen certificate. */
  choose(request: ChooseRequest, signal: AbortSignal): Promise<string>;
  /**
   * Resolves when the person has approved and `unlock` has succeeded. `unlock` is called once for each PIN the person
   * types, and by nothing else.
   */
  sign(
    request: SignRequest,
    unlock: (answer: SignAnswer) => Promise<Unlocked>,
    signal: AbortSignal,
  ): Promise<void>;
}

/** How long a person has to answer, in milliseconds. */
export const CONSENT_TIMEOUT = 120_000;
