/**
 * The person's part: an authorization is opened, the OTP goes out, PIN and OTP come back. The rules are those of
 * `authorize.ts`; here they meet the store, the clock, and what costs time. An answer is paid for in one transaction, looked
 * at outside of any, and settled in a second one.
 */
import {
  type Binding,
  type Event,
  open,
  type Presented,
  type Refusal,
  RULES,
  wrongInARow,
} from "./authorize.ts";
import { DeliveryError, otpMessage } from "./delivery.ts";
import { CscError } from "./error.ts";
import type { Ways } from "./messages.ts";
import { newOtp, totpStep } from "./otp.ts";
import type { People } from "./people.ts";
import type { Pins } from "./pin.ts";
import { cscCode } from "./refusals.ts";
import type { Credential, Facts, Holder, Person } from "./rows.ts";
import { type Secrets, sha256, token } from "./secrets.ts";
import type { Store, Tx } from "./store.ts";
import type { By, Found } from "./store_authorizations.ts";

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
  credential: Pick<Credential, "id" | "person"> & { mode: "explicit" | "oauth2code" | "pin" };
  binding?: Binding;
  facts: Facts;
  /** Of the bound hashes those whose documents our page will show. */
  shown?: readonly string[];
}

/** Result of an answer. `triesLeft` is 0 if the authorization has ended; `waitUntil` is in milliseconds since 1970. */
export type Answer =
  | { ok: true; sad: string; expiresIn: number; holder: Holder }
  | { ok: false; refusal: Refusal; triesLeft: number; waitUntil?: number };

/** Result of sending an OTP. */
export type Sent = { ok: true } | { ok: false; refusal: Refusal | "not_delivered" };

/** Proof of identity: PIN and OTP, or the OTP alone if the PIN was given before. */
export interface Factors {
  pin: string | null;
  otp: string;
}

interface Paid extends Pick<Found, "transaction" | "row"> {
  /** How the answer is counted. */
  number: number;
}

/** There is no authorization that could be answered. */
const NOTHING: Answer = { ok: false, refusal: "wrong", triesLeft: 0 };

/** The wrong answers in a row of which the person is told. */
const TOLD: readonly number[] = [RULES.freeTries, RULES.lockAfter];

export class Ceremony {
  readonly #options: CeremonyOptions;

  constructor(options: CeremonyOptions) {
    this.#options = options;
  }

  /** Opens an authorization; one that is open for the same client and credential in explicit mode ends. */
  async open(request: OpenRequest): Promise<string> {
    return await this.#options.store.run((tx) => this.openIn(tx, request));
  }

  /** As {@linkcode open}, within a transaction of the store. */
  async openIn(tx: Tx, request: OpenRequest): Promise<string> {
    const { client, binding, facts, shown } = request;
    const { id: credential, mode, person } = request.credential;
    const id = token().slice(0, 22);
    if (mode === "explicit") {
      await tx.apply({ client, credential }, { type: "end", why: "superseded" });
    }
    tx.addTransaction(
      open({ id, client, credential, mode, binding, shown }, tx.now),
      person,
      facts,
    );
    tx.audit({
      event: "authorization.opened",
      transaction: id,
      client,
      person,
      credential,
      mode,
      purpose: facts.purpose,
      documents: facts.labels,
      ...binding,
    });
    return id;
  }

  /** Sends an OTP. Of an authenticator nothing is sent, but it counts. */
  async send(id: string): Promise<Sent> {
    const { store, secrets, ways, clientName, otpDigits } = this.#options;
    const otp = newOtp(otpDigits);
    const hash = secrets.otpHash(id, otp);
    const sent = await store.run(async (tx) => {
      const found = await tx.apply(
        { id },
        ({ row }) => ({ type: "send", otp: row.person.otp === "totp" ? undefined : hash }),
      );
      if (!found) return null;
      const { outcome, row: { person } } = found;
      const about = { transaction: id, person: person.id };
      if (outcome.ok) tx.audit({ event: "otp.sent", ...about, way: person.otp });
      else tx.audit({ event: "otp.refused", ...about, reason: outcome.refusal });
      return found;
    });
    if (!sent) return { ok: false, refusal: "ended" };
    const { outcome, facts, row: { person }, transaction: { binding, client, mode } } = sent;
    if (!outcome.ok) return outcome;
    if (person.otp === "totp") return { ok: true };
    const message = otpMessage(person.language, {
      otp,
      ...mode === "pin" ? { change: true } : {
        client: clientName(client),
        purpose: facts.purpose,
        document: binding && { label: facts.labels[0] ?? "—", hash: binding.hashes[0] },
        signatures: binding?.signatures ?? 1,
      },
    });
    try {
      const way = ways[person.otp];
      if (!way) throw new DeliveryError(`No way to send by ${person.otp} is configured.`);
      await way.send(person, message);
      return { ok: true };
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
      const reason = error.message;
      await store.run((tx) => {
        tx.audit({ event: "otp.delivery_failed", transaction: id, person: person.id, reason });
      });
      return { ok: false, refusal: "not_delivered" };
    }
  }

  /**
   * Looks at PIN and OTP together: what is wrong is not told, and whatever is wrong takes one Argon2id and one keyed hash.
   *
   * @param id `null`: there is no such authorization; it takes as long
   * @param client who asks, where there is none
   * @param binding explicit mode: what the client wants authorized
   * @param then what happens with a right answer, in the same transaction of the store
   * @throws {CscError} `too_many`, before anything is counted
   */
  async answer(
    id: string | null,
    { pin, otp }: Factors,
    { binding, client = "", consent, then }: {
      binding?: Binding;
      client?: string;
      consent?: string;
      then?: (tx: Tx, found: Found) => Promise<void>;
    } = {},
  ): Promise<Answer> {
    const { store, pins, people } = this.#options;
    let paid: Paid | Answer;
    let right: boolean;
    {
      using _turn = id === null ? await pins.turn("known", client) : await pins.turn("answer", id);
      paid = id === null ? NOTHING : await this.#pay(id, binding);
      const { person, pin: hash } = "row" in paid
        ? { person: paid.row.person.id, pin: paid.row.pin }
        : { person: "", pin: null };
      right = pin === null || await pins.verify(person, pin, hash);
    }
    if (!("row" in paid)) {
      // As much work as for an answer that is looked at.
      this.#matchOtp("", otp, undefined, undefined);
      await store.run(async (tx) => {
        await tx.writeNobody();
        if (id === null) tx.audit({ event: "answer.refused", reason: "nothing to answer" });
      });
      return paid;
    }
    const answer = await this.#settle(id!, paid, {
      right,
      match: this.#matchOtp(id!, otp, paid.transaction.otp, paid.row.person),
      consent,
      then,
    });
    if (answer.ok && pin !== null) await people.renewHash(paid.row, pin);
    return answer;
  }

  async #pay(id: string, binding: Binding | undefined): Promise<Paid | Answer> {
    return await this.#options.store.run(async (tx) => {
      const found = await tx.apply({ id }, { type: "attempt", binding });
      if (!found) return { ...NOTHING, refusal: "ended" } as Answer;
      const { outcome, transaction, row } = found;
      const about = { transaction: id, person: row.person.id };
      if (outcome.ok) {
        tx.audit({ event: "answer.received", ...about });
        return { transaction, row, number: row.guard.answers.paid };
      }
      tx.audit({ event: "answer.refused", ...about, reason: outcome.refusal });
      return refused(outcome.refusal, found);
    });
  }

  async #settle(id: string, { row: { person }, number }: Paid, given: {
    right: boolean;
    match: boolean | number;
    consent?: string;
    then?: (tx: Tx, found: Found) => Promise<void>;
  }): Promise<Answer> {
    const { store, people } = this.#options;
    const { right, match, consent, then } = given;
    const sad = token();
    const event: Event = {
      type: "settle",
      pin: right,
      otp: match !== false,
      ...typeof match === "number" && { totpStep: match },
      number,
      sad: sha256(sad),
    };
    let tell: number | undefined;
    const answer = await store.run(async (tx): Promise<Answer> => {
      tell = undefined; // it may run again
      const found = (await tx.apply({ id }, event, consent === undefined ? {} : { consent }))!;
      const { outcome, transaction, row } = found;
      const about = { transaction: id, person: person.id };
      if (outcome.ok) {
        tx.audit({ event: "authorization.given", ...about, consent, ...transaction.binding });
        await then?.(tx, found);
        const holder = { person: person.id, epoch: row.epoch };
        return { ok: true, sad, expiresIn: expiresIn(transaction.createdAt, tx.now), holder };
      }
      // which factor was wrong stands in no answer and not here
      tx.audit({ event: "answer.refused", ...about, reason: outcome.refusal });
      const wrong = wrongInARow({ ...row.guard.answers, paid: number });
      if (TOLD.includes(wrong) && !(right && match !== false)) {
        tell = wrong;
        people.auditWrong(tx, person.id, wrong, "answers");
      }
      return refused(outcome.refusal, found);
    });
    if (tell !== undefined) people.tellWrong(person, tell, "answers");
    return answer;
  }

  /** Right or wrong; of an authenticator the time step. */
  #matchOtp(
    id: string,
    otp: string,
    expected: string | undefined,
    person: Person | undefined,
  ): boolean | number {
    const { secrets, store } = this.#options;
    const right = secrets.isOtp(id, otp, expected ?? token());
    if (!person?.totp || person.otp !== "totp") return right;
    return totpStep(secrets.open(`totp ${person.id}`, person.totp), otp, store.now()) ?? false;
  }

  /** The person does not want it, or the client gives its right to it back. */
  async end(by: By, why: "rejected" | "revoked"): Promise<void> {
    await this.#options.store.run((tx) => this.endIn(tx, by, why));
  }

  /** As {@linkcode end}, within a transaction of the store. */
  async endIn(tx: Tx, by: By, why: "rejected" | "revoked"): Promise<void> {
    await tx.apply(by, { type: "end", why });
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
    const result = await this.#options.store.run((tx) => this.extendIn(tx, presented, more));
    if (result instanceof CscError) throw result;
    return result;
  }

  /** As {@linkcode extend}, within a transaction of the store, which is kept where it is refused too. */
  async extendIn(
    tx: Tx,
    presented: Presented,
    more: readonly string[] | undefined,
  ): Promise<{ SAD: string; expiresIn: number } | CscError> {
    const SAD = token();
    const event = { type: "extend", ...presented, next: sha256(SAD), more } as const;
    const found = await tx.apply({ sad: presented.sad }, event);
    if (!found) return new CscError("sad_invalid");
    const { outcome, transaction } = found;
    tx.audit({
      event: outcome.ok ? "authorization.extended" : "sad.refused",
      transaction: transaction.id,
      client: presented.client,
      ...outcome.ok ? { hashes: transaction.pending } : { reason: outcome.refusal },
    });
    if (!outcome.ok) return new CscError(cscCode("extend", outcome.refusal));
    return { SAD, expiresIn: expiresIn(transaction.createdAt, tx.now) };
  }
}

/** Seconds that an authorization is still good for. */
const expiresIn = (createdAt: number, now: number) =>
  Math.floor((createdAt + RULES.lifetime - now) / 1000);

function refused(
  refusal: Refusal,
  { transaction, row }: Pick<Found, "transaction" | "row">,
): Answer {
  const triesLeft = transaction.phase === "open" ? RULES.tries - transaction.attempts : 0;
  const waitUntil = refusal === "wait" ? row.guard.answers.until : undefined;
  return { ok: false, refusal, triesLeft, waitUntil };
}
