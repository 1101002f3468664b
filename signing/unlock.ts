/** The way to an open key: the person's consent, and the PIN. */
import { createHash } from "node:crypto";
import type { HashName } from "../formats/signer.ts";
import type { Asker, Choice, ConsentItem, Unlocked } from "../protocol/consent.ts";
import { DsignError, ERRORS } from "../protocol/errors.ts";
import { type OtpPrompt, SignerError } from "../signers/provider.ts";
import type { Consent, OpenWindow, ShowPdf, SignAnswer } from "./consent/port.ts";
import { throwIfCancelled, toDsignError } from "./errors.ts";
import { type Lease, Logins } from "./logins.ts";
import type { Credential, Tokens } from "./tokens.ts";

/** Who asks for a signature, and how to tell them how it goes. */
export interface Caller {
  asker: Asker;
  /** Fires when the caller gives the request up. */
  signal: AbortSignal;
  /** `id` of the certificate that the person chose for this asker before. */
  preferred?: string;
  /** Takes note of the certificate that the person used. */
  chosen?(id: string): Promise<void>;
  /** A window of the asker's in which the person is to be asked. */
  openWindow?: OpenWindow;
  progress?(phase: "waiting_for_person" | "signing", done?: number, total?: number): void;
}

/** What is common to all requests for signatures. */
export interface Wanted {
  certificate?: string;
  /** The digest; where it depends on the key, that for a certificate (DER). */
  hash: HashName | ((certificate: Uint8Array) => HashName);
  /** What is made, for the audit log: `CAdES B-B`. */
  format: string;
  items: ConsentItem[];
  /** Only digests are known of what is signed. */
  blind: boolean;
  /** The signature is for signing in to the asker's site, and for nothing else. */
  login?: true;
  /** Why a certificate (DER) cannot make this signature; null: it can. */
  accepts?: (certificate: Uint8Array) => DsignError | null;
  /** Shows the pages of items that are PDFs. */
  show?: ShowPdf;
  /** The hash of the list, how much of it is signed already with a certificate, and how much is now. */
  batch?: {
    manifest: string;
    signed(certificate: string): number;
    signedNow(): number | undefined;
  };
}

/** Refusals after which the person may type another PIN. */
const TYPE_AGAIN: ReadonlySet<string> = new Set(["pin_incorrect", "pin_invalid", "pin_final_try"]);

/** Opens keys, each after the person's consent; at most one attempt a PIN. */
export class Unlocking {
  readonly #logins: Logins;
  /** For keys whose every signature the person authorizes. */
  readonly #once = new Logins(0);
  /** Tokens on which a wrong PIN may have been the last but one; by URI. */
  readonly #lastTry = new Set<string>();

  /** @param keepLogin milliseconds for which a token stays unlocked after a PIN; 0: only for the request */
  constructor(readonly tokens: Tokens, readonly consent: Consent, keepLogin: number) {
    this.#logins = new Logins(keepLogin);
  }

  /** Whether logins outlive their requests. */
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
    const choices = candidates.map((candidate): Choice => {
      const choice = this.tokens.choice(candidate);
      if (this.#logins.has(candidate, hashFor(wanted, candidate))) choice.unlocked = true;
      if (wanted.batch) choice.signed = wanted.batch.signed(candidate.id);
      if (this.#lastTry.has(choice.token.uri)) choice.token.state = "pin_final_try";
      return choice;
    });
    let lease: Lease | undefined;
    let refusal: DsignError | undefined;
    let over = false;
    const attempt = async (answer: SignAnswer): Promise<Unlocked> => {
      try {
        if (over || lease) throw new DsignError("request_cancelled");
        if (answer.binding !== binding) throw new DsignError("consent_mismatch");
        const credential = candidates.find(({ id }) => id === answer.certificate);
        if (!credential) throw new DsignError("certificate_not_found");
        const askOtp = (prompt: OtpPrompt) => this.#askOtp(prompt, wanted, caller);
        const hash = hashFor(wanted, credential);
        const opened = await this.#open(credential, hash, answer, askOtp, caller.signal);
        if (!over) {
          lease = opened;
          return { ok: true };
        }
        await opened.release(false);
        throw new DsignError("request_cancelled");
      } catch (error) {
        const { code, message, details: { triesLeft } } = refusal = toDsignError(error);
        return { ok: false, code, message, triesLeft, again: TYPE_AGAIN.has(code) };
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
          preferred: candidates.find(({ id }) => id === caller.preferred)?.id,
          ...wanted.batch && { batch: true },
          binding,
        },
        unlock,
        caller.signal,
        wanted.show ?? (() => Promise.reject(new DsignError("document_not_found"))),
        caller.openWindow,
      );
      over = true;
      throwIfCancelled(caller.signal);
      if (!lease) throw refusal ?? new Error("Consent was given without a key being opened.");
      return lease;
    } catch (error) {
      over = true;
      // A login under way is waited for: the next request must not meet it at the token.
      await attempts;
      await lease?.release(false);
      // Where the token said no for good, that is what the page learns, not how the window ended after it.
      throw refusal && !TYPE_AGAIN.has(refusal.code) && refusal.code !== "request_cancelled"
        ? refusal
        : error;
    }
  }

  /** An OTP, after the consent: the signature that it is for has been shown. */
  async #askOtp(
    { service, description, resend }: OtpPrompt,
    { items }: Wanted,
    { asker, signal, openWindow, progress }: Caller,
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
      openWindow,
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
    if (!answer.pin && !token.protectedAuthenticationPath) throw new DsignError("pin_invalid");
    const lastTry = token.state === "pin_final_try" || this.#lastTry.has(token.uri);
    if (lastTry && !answer.finalTry) {
      throw new DsignError("pin_final_try", undefined, { triesLeft: "final" });
    }
    await this.#logins.makeRoom(credential);
    const pin = new Pin(answer.pin);
    try {
      const signer = await credential.provider.open(credential.key, {
        hash,
        askPin: (_wanted, prompt) => prompt ? askOtp(prompt) : pin.copy(),
        signal,
      });
      this.#lastTry.delete(token.uri);
      const logins = credential.key.eachSignature ? this.#once : this.#logins;
      const lease = logins.add(credential, signer);
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
      if (error instanceof SignerError && error.code === "pin_incorrect") {
        const { triesLeft = "unknown" } = error.details;
        // A token that does not count aloud may be counting all the same.
        if (triesLeft === "final" || triesLeft === "unknown") this.#lastTry.add(token.uri);
      }
      throw error;
    }
  }
}

function hashFor({ hash }: Wanted, { key }: Credential): HashName {
  return typeof hash === "function" ? hash(key.certificate) : hash;
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
  const hash = createHash("sha256");
  for (const { hash: { hex } } of items) hash.update(hex, "hex");
  return hash.digest("hex");
}
