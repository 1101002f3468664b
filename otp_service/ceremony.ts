/**
 * The person's part: an authorization is opened, the OTP goes out, PIN and OTP come back. The rules are those of
 * `authorize.ts`; here they meet the store, the clock, and what costs time. An answer is paid for in one transaction, looked
 * at outside of any, and settled in a second one.
 */
import { type Binding, open, type Presented, type Refusal, RULES, step } from "./authorize.ts";
import { DeliveryError, otpMessage } from "./delivery.ts";
import { CscError } from "./error.ts";
import { type Ways } from "./messages.ts";
import { newOtp, totpStep } from "./otp.ts";
import type { People } from "./people.ts";
import type { Pins } from "./pin.ts";
import { sameText, type Secrets, sha256, token } from "./secrets.ts";
import type { Credential, Facts, Person, Store } from "./store.ts";

export interface CeremonyOptions {
  store: Store;
  secrets: Secrets;
  pins: Pins;
  ways: Ways;
  people: People;
  /** Digits of an OTP that is sent, 6 to 8. */
  otpDigits: number;
  /** Display name of a client. */
  clientName(client: string): string;
}

export interface OpenRequest {
  client: string;
  credential: Credential;
  binding?: Binding;
  facts: Facts;
}

/** What an answer came to. `triesLeft`: 0 where the authorization is over. */
export type Answer =
  | { ok: true; sad: string; expiresIn: number; person: string }
  | { ok: false; refusal: Refusal; triesLeft: number };

/** There is no authorization that could be answered. */
const NOTHING: { refusal: Refusal; triesLeft: number } = { refusal: "wrong", triesLeft: 0 };

export class Ceremony {
  readonly #options: CeremonyOptions;

  constructor(options: CeremonyOptions) {
    this.#options = options;
  }

  /** Opens an authorization; one that is open for the same client and credential in explicit mode ends. */
  async open({ client, credential, binding, facts }: OpenRequest): Promise<string> {
    const { store } = this.#options;
    const id = token().slice(0, 22);
    await store.run(async (tx) => {
      if (credential.mode === "explicit") {
        const before = await tx.transaction({ client, credential: credential.id });
        const row = before?.person ? await tx.person(before.person) : null;
        if (before && row) {
          const state = { transaction: before.transaction, guard: row.guard };
          await tx.saveState(step(state, { type: "end", why: "superseded" }, tx.now), row);
          tx.audit({
            event: "authorization.ended",
            transaction: before.transaction.id,
            reason: "superseded",
          });
        }
      }
      const { id: credentialId, mode, person } = credential;
      await tx.addTransaction(
        open({ id, client, credential: credentialId, mode, binding }, tx.now),
        person,
        facts,
      );
      tx.audit({
        event: "authorization.opened",
        transaction: id,
        client,
        person,
        credential: credentialId,
        mode,
        purpose: facts.purpose,
        documents: facts.labels,
        ...binding,
      });
    });
    return id;
  }

  /**
   * Sends an OTP. Of an authenticator nothing is sent, but it counts.
   *
   * @throws {CscError} `otp_too_soon`, `otp_too_many`, `otp_not_delivered`, `sad_expired`, `credential_locked`
   */
  async send(id: string): Promise<void> {
    const { store, secrets, ways, clientName, otpDigits } = this.#options;
    const otp = newOtp(otpDigits);
    const result = await store.run(async (tx) => {
      const found = await tx.transaction({ id });
      const row = found?.person ? await tx.person(found.person) : null;
      if (!found || !row) return new CscError("sad_expired");
      if (row.locked !== null || row.guard.pinTries >= RULES.pinTries) {
        return new CscError("credential_locked");
      }
      const { person, guard } = row;
      const hash = person.otp === "totp" ? undefined : secrets.otpHash(id, otp);
      const { outcome, ...state } = step(
        { transaction: found.transaction, guard },
        { type: "send", otp: hash },
        tx.now,
      );
      await tx.saveState(state, row);
      if (outcome.ok) {
        tx.audit({ event: "otp.sent", transaction: id, person: person.id, way: person.otp });
        return { person, facts: found.facts, transaction: state.transaction };
      }
      tx.audit({
        event: "otp.refused",
        transaction: id,
        person: person.id,
        reason: outcome.refusal,
      });
      return new CscError(
        outcome.refusal === "too_soon"
          ? "otp_too_soon"
          : outcome.refusal === "too_many"
          ? "otp_too_many"
          : "sad_expired",
      );
    });
    if (result instanceof CscError) throw result;
    const { person, facts, transaction: { binding, client } } = result;
    if (person.otp === "totp") return;
    const message = otpMessage(person.language, {
      otp,
      client: clientName(client),
      purpose: facts.purpose,
      document: binding && { label: facts.labels[0] ?? "—", hash: binding.hashes[0] },
      signatures: binding?.signatures ?? 1,
    });
    try {
      const way = ways[person.otp];
      if (!way) throw new DeliveryError(`No way to send by ${person.otp} is configured.`);
      await way.send(person, message);
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
      await store.run((tx) => {
        tx.audit({
          event: "otp.delivery_failed",
          transaction: id,
          person: person.id,
          reason: error.message,
        });
        return Promise.resolve();
      });
      throw new CscError("otp_not_delivered", error.message);
    }
  }

  /**
   * Looks at PIN and OTP together: what is wrong is not told, and whatever is wrong takes one Argon2id and one keyed hash.
   *
   * @param id `null`: there is no such authorization; it takes as long
   * @param binding explicit mode: what the client wants authorized
   * @throws {CscError} `too_many`, before anything is counted
   */
  async answer(
    id: string | null,
    { pin, otp }: { pin: string; otp: string },
    { binding, consent }: { binding?: Binding; consent?: string } = {},
  ): Promise<Answer> {
    const { store, pins, people } = this.#options;
    using _place = pins.admit();
    const paid = id === null ? NOTHING : await this.#pay(id, binding);
    if (id === null || "refusal" in paid) {
      // As much work as for an answer that is looked at, and as many writes.
      if (id === null) await store.run((tx) => tx.count("nobody"));
      await pins.verify(pin, null);
      this.#matchOtp("", otp, undefined, undefined);
      await store.run(async (tx) => {
        await tx.count("nobody");
        if (id === null) tx.audit({ event: "answer.refused", reason: "nothing to answer" });
      });
      return { ok: false, ...("refusal" in paid ? paid : NOTHING) };
    }
    const [pinRight, otpMatch] = [
      await pins.verify(pin, paid.pin),
      this.#matchOtp(id, otp, paid.otp, paid.person),
    ];
    const sad = token();
    const { person, spent } = paid;
    const settled = await store.run(async (tx): Promise<Answer & { locked?: true }> => {
      const found = (await tx.transaction({ id }))!;
      const row = (await tx.person(person.id))!;
      const { outcome, ...state } = step({ transaction: found.transaction, guard: row.guard }, {
        type: "settle",
        pin: pinRight && row.locked === null,
        otp: otpMatch !== false,
        ...typeof otpMatch === "number" && { totpStep: otpMatch },
        spent,
        sad: sha256(sad),
      }, tx.now);
      await tx.saveState(state, row);
      const { transaction } = state;
      if (outcome.ok) {
        await tx.saveTransaction(transaction, { ...found.facts, ...consent && { consent } });
        tx.audit({
          event: "authorization.given",
          transaction: id,
          person: person.id,
          consent,
          ...transaction.binding,
        });
        const expiresIn = Math.floor((transaction.createdAt + RULES.lifetime - tx.now) / 1000);
        return { ok: true, sad, expiresIn, person: person.id };
      }
      // which factor was wrong stands in no answer and not here
      tx.audit({
        event: "answer.refused",
        transaction: id,
        person: person.id,
        reason: outcome.refusal,
      });
      const locked = !pinRight && spent === RULES.pinTries;
      if (locked) tx.audit({ event: "person.locked", person: person.id, reason: "wrong PINs" });
      return {
        ok: false,
        refusal: outcome.refusal,
        triesLeft: transaction.phase === "open" ? RULES.tries - transaction.attempts : 0,
        ...locked && { locked },
      };
    });
    const { locked, ...answer } = settled as Answer & { locked?: true };
    if (locked) people.tellLocked(person);
    return answer as Answer;
  }

  async #pay(id: string, binding: Binding | undefined): Promise<
    | { person: Person; pin: string | null; otp?: string; spent: number }
    | { refusal: Refusal; triesLeft: number }
  > {
    return await this.#options.store.run(async (tx) => {
      const found = await tx.transaction({ id });
      const row = found?.person ? await tx.person(found.person) : null;
      if (!found || !row) return { refusal: "ended" as const, triesLeft: 0 };
      const { outcome, ...state } = row.locked === null
        ? step({ transaction: found.transaction, guard: row.guard }, {
          type: "attempt",
          binding,
        }, tx.now)
        : {
          ...step({ transaction: found.transaction, guard: row.guard }, {
            type: "end",
            why: "locked",
          }, tx.now),
          outcome: { ok: false, refusal: "locked" } as const,
        };
      await tx.saveState(state, row);
      const { transaction, guard } = state;
      if (outcome.ok) {
        tx.audit({ event: "answer.received", transaction: id, person: row.person.id });
        return {
          person: row.person,
          pin: row.pin,
          otp: transaction.otp,
          spent: guard.pinTries,
        };
      }
      tx.audit({
        event: "answer.refused",
        transaction: id,
        person: row.person.id,
        reason: outcome.refusal,
      });
      const triesLeft = transaction.phase === "open" ? RULES.tries - transaction.attempts : 0;
      return { refusal: outcome.refusal, triesLeft };
    });
  }

  /** Right or wrong; of an authenticator the time step. */
  #matchOtp(
    id: string,
    otp: string,
    expected: string | undefined,
    person: Person | undefined,
  ): boolean | number {
    const { secrets, store } = this.#options;
    const right = sameText(secrets.otpHash(id, otp), expected ?? token());
    if (!person?.totp || person.otp !== "totp") return right;
    return totpStep(secrets.open(`totp ${person.id}`, person.totp), otp, store.now()) ?? false;
  }

  /** The person does not want it, or the client gives its right to it back. */
  async end(id: string, why: "rejected" | "revoked"): Promise<void> {
    await this.#options.store.run(async (tx) => {
      const found = await tx.transaction({ id });
      const row = found?.person ? await tx.person(found.person) : null;
      if (!found || !row) return;
      const state = { transaction: found.transaction, guard: row.guard };
      const { outcome, ...ended } = step(state, { type: "end", why }, tx.now);
      if (!outcome.ok) return;
      await tx.saveState(ended, row);
      tx.audit({
        event: "authorization.ended",
        transaction: id,
        person: row.person.id,
        reason: why,
      });
    });
  }

  /**
   * A new SAD within an authorization (`credentials/extendTransaction`).
   *
   * @throws {CscError} `sad_invalid`, `sad_expired`, `hash_unauthorized`
   */
  async extend(
    presented: Presented,
    more: readonly string[] | undefined,
  ): Promise<{ SAD: string; expiresIn: number }> {
    const SAD = token();
    const result = await this.#options.store.run(async (tx) => {
      const found = await tx.transaction({ sad: presented.sad });
      const row = found?.person ? await tx.person(found.person) : null;
      if (!found || !row) return new CscError("sad_invalid");
      if (row.locked !== null) return new CscError("credential_locked");
      const { outcome, ...state } = step({ transaction: found.transaction, guard: row.guard }, {
        type: "extend",
        ...presented,
        next: sha256(SAD),
        more,
      }, tx.now);
      await tx.saveState(state, row);
      const { transaction } = state;
      tx.audit({
        event: outcome.ok ? "authorization.extended" : "sad.refused",
        transaction: transaction.id,
        client: presented.client,
        ...outcome.ok ? { hashes: transaction.pending } : { reason: outcome.refusal },
      });
      if (outcome.ok) {
        return {
          SAD,
          expiresIn: Math.floor((transaction.createdAt + RULES.lifetime - tx.now) / 1000),
        };
      }
      return new CscError(
        outcome.refusal === "deviation"
          ? "hash_unauthorized"
          : outcome.refusal === "expired"
          ? "sad_expired"
          : "sad_invalid",
      );
    });
    if (result instanceof CscError) throw result;
    return result;
  }
}
