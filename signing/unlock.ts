/** The way to an open key: the person's consent, and the PIN. */
import { digest } from "../formats/digest.ts";
import type { HashName } from "../formats/signer.ts";
import type { Asker, ConsentItem, SignChoice, SignRequest, Unlocked } from "../protocol/consent.ts";
import { DsignError, ERRORS, type TriesLeft } from "../protocol/errors.ts";
import { type OtpPrompt, SignerError } from "../signers/provider.ts";
import { hashWith } from "./certificates.ts";
import type { Consent, ShownPdf, SignAnswer } from "./consent/port.ts";
import { throwIfCancelled, toDsignError } from "./errors.ts";
import { type Lease, Logins } from "./logins.ts";
import { pinStateOf } from "./pin.ts";
import { watched } from "./watched_signer.ts";
import type { Revisions } from "./revision.ts";
import type { Credential, Tokens } from "./tokens.ts";

/** The asker of a signature, and how to report progress to it. */
export interface Caller {
  asker: Asker;
  /** Fires when the caller gives the request up. */
  signal: AbortSignal;
  /** The choice that the person made for this asker before. */
  preferred?: string;
  /** Takes note of the choice. */
  chosen?(choice: string): Promise<void>;
  progress?(phase: "waiting_for_person" | "signing", done?: number, total?: number): void;
}

/** Common part of all requests for signatures. */
export interface Wanted {
  certificate?: string;
  /** The digest; where it depends on the key, that for a certificate (DER); undefined: as strong as the key. */
  hash?: HashName | ((certificate: Uint8Array) => HashName);
  /** Kind of signature for the audit log, e.g. `CAdES B-B`. */
  format: string;
  items: ConsentItem[];
  /** What is asked on the network for the level of the signature. */
  network?: SignRequest["network"];
  /** Only digests are known of what is signed. */
  blind: boolean;
  /** The signature is for signing in to the asker's site, and for nothing else. */
  login?: true;
  /** Why a certificate (DER) cannot make this signature; null: it can. */
  accepts?: (certificate: Uint8Array) => DsignError | null;
  /** A second, post-quantum key that signs all of the signed file; on another token than the first. */
  also?: Credential;
  /** Shows the pages of items that are PDFs; with a certificate, as they are signed with it. */
  show?: (item: number, credential?: Credential) => Promise<ShownPdf>;
  /** The revision of the PDF for each certificate; the person approves one of them. */
  revisions?: Revisions;
  /** The hash of the list, how much of it is signed already with a certificate, and how much is now. */
  batch?: {
    manifest: string;
    signed(certificate: string): number;
    signedNow(): number | undefined;
  };
}

/** Refusals after which the person may type another PIN. */
export const TYPE_AGAIN: ReadonlySet<string> = new Set([
  ...["pin_incorrect", "pin_invalid", "pin_final_try", "password_incorrect"],
  "route_unproven",
]);

const STALE = "What was shown is not what would be signed now. Look at it again.";

/** Opens keys, each after the person's consent; at most one attempt a PIN. */
export class Unlocking {
  readonly #logins: Logins;
  /** For keys whose every signature the person authorizes. */
  readonly #once = new Logins(0);
  /** PIN state reported after a wrong PIN, until a right one; by the token's URI. */
  readonly triesLeft = new Map<string, TriesLeft>();

  /** @param keepLogin milliseconds for which a token stays unlocked after a PIN; 0: only for the request */
  constructor(readonly tokens: Tokens, readonly consent: Consent, keepLogin: number) {
    this.#logins = new Logins(keepLogin);
  }

  /** Whether a login stays open after its request. */
  get keepsLogins(): boolean {
    return this.#logins.duration > 0;
  }

  /** The certificate of an open key, without looking at the token. */
  find(id: string): Credential | undefined {
    return this.#logins.find(id);
  }

  /** Ends the logins. */
  close(): Promise<void> {
    return this.#logins.close();
  }

  /** Asks for consent until the key is open. */
  async unlock(wanted: Wanted, candidates: Credential[], caller: Caller): Promise<Lease> {
    const binding = wanted.batch?.manifest ?? bindingOf(wanted.items);
    const unproven = wanted.items.some(({ route }) =>
      route?.steps.some((step) => step.unproven.length > 0)
    );
    const choices = candidates.map((candidate): SignChoice => {
      const unlocked = this.#logins.has(candidate, hashFor(wanted, candidate));
      return {
        ...this.tokens.choice(candidate),
        ...wanted.batch && { signed: wanted.batch.signed(candidate.id) },
        pin: this.#pinState(candidate, unlocked),
        revision: wanted.revisions?.digestFor(candidate),
      };
    });
    let lease: Lease | undefined;
    let also: Lease | undefined;
    let refusal: DsignError | undefined;
    let over = false;
    const attempt = async (answer: SignAnswer): Promise<Unlocked> => {
      const isAlso = wanted.also !== undefined && lease !== undefined;
      const credential = (isAlso ? [wanted.also!] : candidates)
        .find(({ choice }) => choice === answer.certificate);
      try {
        if (over || (isAlso ? also : lease)) throw new DsignError("request_cancelled");
        if (answer.binding !== binding) throw new DsignError("consent_mismatch");
        if (!credential) throw new DsignError("certificate_not_found");
        if (!isAlso && wanted.revisions && !wanted.revisions.approve(credential, answer.revision)) {
          return { ok: false, code: "consent_mismatch", message: STALE, again: true };
        }
        if (unproven && !answer.acceptsUnproven) throw new DsignError("route_unproven");
        const askOtp = (prompt: OtpPrompt) => this.#askOtp(prompt, wanted, caller);
        const hash = hashFor(wanted, credential);
        const opened = await this.#open(credential, hash, answer, askOtp, caller.signal);
        if (!over) {
          if (isAlso) also = opened;
          else lease = opened;
          return { ok: true };
        }
        await opened.release(false);
        throw new DsignError("request_cancelled");
      } catch (error) {
        const { code, message } = refusal = toDsignError(error);
        const pin = credential && this.#pinState(credential);
        return { ok: false, code, message, again: TYPE_AGAIN.has(code), pin };
      } finally {
        answer.pin?.fill(0);
      }
    };
    let attempts: Promise<unknown> = Promise.resolve();
    const unlock = (answer: SignAnswer) => {
      const result = attempt(answer);
      attempts = Promise.all([attempts, result]);
      return result;
    };
    try {
      caller.progress?.("waiting_for_person");
      await this.consent.sign(
        {
          kind: "sign",
          asker: caller.asker,
          items: wanted.items,
          blind: wanted.blind,
          login: wanted.login,
          choices,
          preferred: candidates.find(({ choice }) => choice === caller.preferred)?.choice,
          ...wanted.also && {
            also: {
              ...this.tokens.choice(wanted.also),
              pin: this.#pinState(
                wanted.also,
                this.#logins.has(wanted.also, hashFor(wanted, wanted.also)),
              ),
            },
          },
          network: wanted.network,
          ...wanted.batch && { batch: true },
          ...unproven && { unproven: true },
          binding,
        },
        unlock,
        caller.signal,
        (item, certificate) =>
          wanted.show?.(item, candidates.find(({ choice }) => choice === certificate)) ??
            Promise.reject(new DsignError("document_not_found")),
      );
      over = true;
      throwIfCancelled(caller.signal);
      if (!lease || (wanted.also && !also)) {
        throw refusal ?? new Error("Consent was given without a key being opened.");
      }
      return also ? withAlso(lease, also) : lease;
    } catch (error) {
      over = true;
      // A login under way is waited for: the next request must not meet it at the token.
      await attempts;
      await lease?.release(false);
      await also?.release(false);
      // Where the token said no for good, that is what the page learns, not how the window ended after it.
      throw refusal && !TYPE_AGAIN.has(refusal.code) && refusal.code !== "request_cancelled"
        ? refusal
        : error;
    }
  }

  #pinState({ key: { token } }: Credential, unlocked = false) {
    return pinStateOf(token, {
      unlocked: unlocked || token.loginRequired === false,
      triesLeft: this.triesLeft.get(token.uri),
    });
  }

  /** An OTP, after the consent: the signature that it is for has been shown. */
  async #askOtp(
    { service, description, resend }: OtpPrompt,
    { items }: Wanted,
    { asker, signal, progress }: Caller,
  ): Promise<Uint8Array> {
    progress?.("waiting_for_person");
    return await this.consent.otp(
      {
        kind: "otp",
        asker,
        names: items.map(({ name }) => name),
        service,
        description,
        canResend: resend !== null,
      },
      async () => {
        try {
          await resend?.();
        } catch (error) {
          throw toDsignError(error);
        }
      },
      signal,
    );
  }

  /** One attempt with one PIN. */
  async #open(
    credential: Credential,
    hash: HashName,
    answer: SignAnswer,
    askOtp: (prompt: OtpPrompt) => Promise<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Lease> {
    const kept = this.#logins.reuse(credential, hash);
    if (kept) return kept;
    const { token } = credential.key;
    const { entry, why, confirm } = this.#pinState(credential);
    if (why) throw new DsignError(why);
    if (entry === "typed" && !answer.pin?.length) throw new DsignError("pin_invalid");
    if (confirm && !answer.finalTry) throw new DsignError("pin_final_try");
    await this.#logins.makeRoom(credential);
    const pin = new Pin(answer.pin);
    try {
      const signer = await credential.provider.open(credential.key, {
        hash,
        askPin: (_wanted, prompt) => prompt ? askOtp(prompt) : pin.copy(),
        signal,
      });
      // A key whose every signature is authorized has not looked at the PIN yet.
      const { eachSignature } = credential.key;
      if (!eachSignature) this.triesLeft.delete(token.uri);
      const logins = eachSignature ? this.#once : this.#logins;
      const lease = logins.add(
        credential,
        watched(signer, {
          right: () => this.triesLeft.delete(token.uri),
          wrong: (error) => this.#wrongPin(token.uri, error),
        }),
      );
      return {
        ...lease,
        release: async (reusable) => {
          // A key that wanted the PIN again wants it for every signature: the next person must type it.
          const release = lease.release(reusable && pin.copies <= 1);
          pin.forget();
          await release;
        },
      };
    } catch (error) {
      pin.forget();
      if (error instanceof SignerError) this.#wrongPin(token.uri, error);
      throw error;
    }
  }

  #wrongPin(uri: string, { code, details }: SignerError): void {
    if (code === "pin_incorrect") this.triesLeft.set(uri, details.triesLeft ?? "unknown");
  }
}

/** Two keys that end together. */
const withAlso = (lease: Lease, also: Lease): Lease => ({
  ...lease,
  also,
  async release(reusable) {
    try {
      await lease.release(reusable);
    } finally {
      await also.release(reusable);
    }
  },
});

function hashFor({ hash }: Wanted, { key }: Credential): HashName {
  const { certificate } = key;
  return hashWith(certificate, typeof hash === "function" ? hash(certificate) : hash);
}

/** A PIN for as long as its request lasts. */
class Pin {
  copies = 0;
  #pin: Uint8Array | null;

  constructor(pin: Uint8Array | null) {
    this.#pin = pin?.slice() ?? null;
  }

  /** The receiver zeroes it. */
  copy(): Promise<Uint8Array> {
    if (!this.#pin) {
      return Promise.reject(new SignerError("pin_invalid", ERRORS.pin_invalid.message));
    }
    this.copies++;
    return Promise.resolve(this.#pin.slice());
  }

  forget(): void {
    this.#pin?.fill(0);
    this.#pin = null;
  }
}

/** SHA-256 (hex) over the items' hashes in order. */
export function bindingOf(items: readonly ConsentItem[]): string {
  const hashes = items.map(({ hash: { hex } }) => Uint8Array.fromHex(hex));
  return digest("SHA-256", ...hashes).toHex();
}
