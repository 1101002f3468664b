/**
 * The way to a key and back, the same for all that is signed: a usable certificate, the desk, the person's consent and
 * PIN, the open key, its end, and the audit log.
 */
import { jwaNameOf } from "../formats/json/jws_header.ts";
import type { Signer } from "../formats/signer.ts";
import type { Asker, PinRequest } from "../protocol/consent.ts";
import { DsignError, isErrorCode } from "../protocol/errors.ts";
import type { Audit, AuditEvent } from "./audit.ts";
import { base64Of, isPostQuantum } from "./certificates.ts";
import type { Consent } from "./consent/port.ts";
import { Desk, type DeskAsker, siteOf } from "./desk.ts";
import { throwIfCancelled, toDsignError } from "./errors.ts";
import type { Lease } from "./logins.ts";
import type { Credential, Inventory, Tokens } from "./tokens.ts";
import { askTokenPin, type Place } from "./token_pin.ts";
import { type Caller, Unlocking, type Wanted } from "./unlock.ts";

export interface KeyServices {
  audit: Pick<Audit, "record">;
  /** Sites for which the administrator lets SHA-1 be used. */
  legacyOrigins?: readonly string[];
}

const SEVERAL_HIDE =
  "Several tokens show their certificates only after the PIN. Unlock one of them in D-Sign first.";

/** Opens keys for requests, one person's answer at a time, and writes down what came of each. */
export class KeyAccess {
  readonly #unlocking: Unlocking;
  readonly #desk = new Desk();
  readonly #underWay = new Set<Promise<unknown>>();

  /** @param keepLogin milliseconds for which a token stays unlocked after a PIN; 0: only for the request */
  constructor(
    readonly tokens: Tokens,
    readonly consent: Consent,
    keepLogin: number,
    readonly services: KeyServices,
  ) {
    this.#unlocking = new Unlocking(tokens, consent, keepLogin);
  }

  /** Ends the logins, once what has been given up is over and written down. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    await this.#unlocking.close();
  }

  /** Asks something else than for a signature, in turn with the signatures. */
  async ask<T>(caller: Caller, question: () => Promise<T>): Promise<T> {
    const leave = await this.#desk.enter(deskAsker(caller.asker), caller.signal);
    try {
      caller.progress?.("waiting_for_person");
      return await this.#untilDeclined(caller, question);
    } finally {
      leave();
    }
  }

  /** Asks for a token's PIN for something else than a signature, in turn with the signatures. */
  async tokenPin(place: Place, purpose: PinRequest["purpose"], caller: Caller): Promise<void> {
    const { triesLeft } = this.#unlocking;
    await this.ask(
      caller,
      () => askTokenPin(place, purpose, triesLeft, this.consent, caller, this.services.audit),
    );
  }

  /** Lets the person choose a usable certificate. */
  async choose(caller: Caller): Promise<Credential> {
    const candidates = await this.#candidates(undefined, caller);
    const id = await this.ask(caller, () =>
      this.consent.choose(
        {
          kind: "choose",
          asker: caller.asker,
          choices: candidates.map((candidate) => this.tokens.choice(candidate)),
          preferred: candidates.find(({ choice }) => choice === caller.preferred)?.choice,
        },
        caller.signal,
      ));
    const chosen = candidates.find(({ choice }) => choice === id);
    if (!chosen) throw new DsignError("certificate_not_found");
    return chosen;
  }

  /** Opens a key for a request; what `use` makes with it is given out once the audit log holds it. */
  use<T>(wanted: Wanted, caller: Caller, use: (lease: Lease) => Promise<T>): Promise<T> {
    const work: Promise<T> = this.#fromConsentToAudit(wanted, caller, use)
      .finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
    return work;
  }

  async #fromConsentToAudit<T>(
    wanted: Wanted,
    caller: Caller,
    use: (lease: Lease) => Promise<T>,
  ): Promise<T> {
    const { origin } = caller.asker;
    const { legacyOrigins = [] } = this.services;
    if (wanted.hash === "SHA-1" && (origin === null || !legacyOrigins.includes(origin))) {
      throw new DsignError("algorithm_forbidden");
    }
    const candidates = acceptable(
      apartFrom(wanted.also, await this.#candidates(wanted.certificate, caller)),
      wanted,
    );
    // Refuse content that cannot be signed before asking the person.
    const first = candidates.find(({ choice }) => choice === caller.preferred) ?? candidates[0];
    await wanted.revisions?.prepare(first);
    const leave = await this.#desk.enter(deskAsker(caller.asker), caller.signal);
    let credential: Credential | undefined;
    const record = (outcome: AuditEvent["outcome"]) =>
      this.services.audit.record({
        action: wanted.login ? "authenticate" : "sign",
        origin,
        format: wanted.format,
        documents: wanted.items.map(({ name, hash: { algorithm, hex } }) => ({
          name,
          algorithm,
          hash: hex,
        })),
        manifest: wanted.batch?.manifest,
        signed: wanted.batch?.signedNow(),
        certificate: credential && this.#named(credential),
        also: credential && wanted.also && this.#named(wanted.also),
        outcome,
      });
    let result: T;
    try {
      result = await this.#atDesk(wanted, candidates, caller, leave, async (lease) => {
        ({ credential } = lease);
        // A batch's signatures are given out one by one, long before its end can be written down.
        if (wanted.batch) await record("begun");
        return await use(lease);
      });
    } catch (error) {
      // Report the original failure, not the failure to log it.
      await record(toDsignError(error).code).catch(() => {});
      throw error;
    }
    // Not given out unless it is written down.
    await record("done");
    if (credential) await caller.chosen?.(credential.choice);
    return result;
  }

  #named(credential: Credential) {
    return { id: credential.id, name: this.tokens.nameOf(credential) };
  }

  /**
   * The certificate of a second key, {@linkcode Wanted.also}.
   *
   * @throws {DsignError} `invalid_params` where it is not post-quantum; why it is not usable
   */
  async second(certificate: string, caller: Caller): Promise<Credential> {
    const [found] = await this.#candidates(certificate, caller);
    if (isPostQuantum(found.key.certificate)) return found;
    throw new DsignError("invalid_params", "The second certificate is not post-quantum (ML-DSA).");
  }

  async #atDesk<T>(
    wanted: Wanted,
    candidates: Credential[],
    caller: Caller,
    leave: () => void,
    use: (lease: Lease) => Promise<T>,
  ): Promise<T> {
    let lease: Lease | undefined;
    let reusable = false;
    try {
      lease = await this.#untilDeclined(
        caller,
        () => this.#unlocking.unlock(wanted, candidates, caller),
      );
      // A login that outlives its request is shared with those that follow; others have the token for themselves.
      if (this.#unlocking.keepsLogins) leave();
      const result = await use(lease);
      reusable = true;
      return result;
    } finally {
      try {
        await lease?.release(reusable);
      } finally {
        leave();
      }
    }
  }

  /**
   * The certificates among which the person may choose: usable ones, or the one that was asked for. Where there is none,
   * a token that hides its certificates is opened first.
   */
  async #candidates(
    wanted: string | undefined,
    caller: Caller,
    mayReveal = true,
  ): Promise<Credential[]> {
    const open = wanted === undefined ? undefined : this.#unlocking.find(wanted);
    if (open && this.tokens.whyNot(open) === null) return [open];
    const inventory = await this.tokens.list();
    throwIfCancelled(caller.signal);
    const { credentials, places } = inventory;
    const named = wanted ? credentials.filter(({ id }) => id === wanted) : credentials;
    const usable = named.filter((credential) => this.tokens.whyNot(credential) === null);
    if (usable.length > 0) return usable;
    const hiding = places.filter(({ token }) => token.hidesCertificates);
    if (mayReveal && hiding.length === 1 && (!wanted || named.length === 0)) {
      await this.tokenPin(hiding[0], "certificates", caller);
      return await this.#candidates(wanted, caller, false);
    }
    if (named.length > 0) throw new DsignError(this.tokens.whyNot(named[0])!);
    if (hiding.length > 1) throw new DsignError("certificate_not_found", SEVERAL_HIDE);
    throw whyNone(inventory, wanted);
  }

  /** After a no, or silence, the asker's waiting requests are not put to the person either. */
  async #untilDeclined<T>(caller: Caller, question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      const asker = deskAsker(caller.asker);
      if (error instanceof DsignError) {
        if (["user_cancelled", "consent_timeout"].includes(error.code)) {
          this.#desk.dismiss(asker, error);
        } else if (["request_cancelled", "consent_unavailable"].includes(error.code)) {
          this.#desk.note(asker);
        }
      }
      throw error;
    }
  }
}

/** Why there is no certificate to sign with, as the listing of tokens tells it too. */
function whyNone({ tokens, works, problems }: Inventory, wanted?: string): DsignError {
  const inUse = tokens.filter(({ state }) => state !== "empty");
  const problem = problems.find(({ driver }) =>
    inUse.length > 0 && !wanted ? inUse.some((token) => token.driver === driver) : !works
  );
  if (problem) {
    const { code, message } = problem;
    return new DsignError(isErrorCode(code) ? code : "driver_error", message);
  }
  if (wanted) return new DsignError("certificate_not_found");
  if (tokens.length > 0) return new DsignError("token_not_initialised");
  return new DsignError(works ? "token_not_present" : "driver_not_found");
}

/** A second login to the token of the other key would end the first one's. */
function apartFrom(also: Credential | undefined, candidates: Credential[]): Credential[] {
  if (!also) return candidates;
  const found = candidates.filter(({ key }) => key.token.uri !== also.key.token.uri);
  if (found.length > 0) return found;
  throw new DsignError(
    "invalid_params",
    "Both certificates are on one token. The second one must be on another token or in a key file.",
  );
}

/** Those that the request accepts; where it accepts none, the first one's reason. */
function acceptable(candidates: Credential[], { accepts }: Wanted): Credential[] {
  if (!accepts) return candidates;
  const problems = candidates.map(({ key }) => accepts(key.certificate));
  const found = candidates.filter((_, i) => problems[i] === null);
  if (found.length === 0) throw problems[0]!;
  return found;
}

function deskAsker({ origin, trustedSince, allowedByAdministrator }: Asker): DeskAsker {
  if (origin === null) return { name: "", known: true };
  const known = trustedSince !== null || allowedByAdministrator === true;
  return { name: known ? origin : siteOf(origin), known };
}

/** The certificate and the algorithm of a signature, as answers name them. */
export const signedWith = ({ certificate, algorithm }: Signer) => ({
  certificate: base64Of(certificate),
  algorithm: jwaNameOf(algorithm),
});
