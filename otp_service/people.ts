/**
 * People: enrolled by the administrator, with a PIN that they alone set, through a link that works once. Who is locked, or
 * forgot the PIN, gets a new link after the administrator has checked who they are, and has said how.
 */
import { getLogger } from "@logtape/logtape";
import type { NewCredential, NewPerson, PersonView } from "../protocol/csc.ts";
import type { Authority } from "./authority.ts";
import { forgive, forgiveAll, isLocked, pay, RULES, wrongInARow } from "./authorize.ts";
import { type Answers, DeliveryError, enrolmentMessage, wrongMessage } from "./delivery.ts";
import { CscError } from "./error.ts";
import type { KeyStore } from "./keys.ts";
import { sendTo, type Ways, wayTo } from "./messages.ts";
import { newTotpSecret, totpEnrolment, totpStep } from "./otp.ts";
import { isGoodPin, type Lane, type Pins } from "./pin.ts";
import type { Credential, Holder, KeyType, Person, PersonRow } from "./rows.ts";
import { type Secrets, token } from "./secrets.ts";
import type { Store, Tx } from "./store.ts";

export interface PeopleOptions {
  store: Store;
  secrets: Secrets;
  pins: Pins;
  ways: Ways;
  keys: KeyStore;
  authority: Authority;
  /** Of new credentials. */
  keyType: KeyType;
  publicUrl: string;
  /** Shown in authenticator apps. */
  serviceName: string;
}

/** Hours that an enrolment link works. */
const ENROLMENT_HOURS = 48;
/** Why a person cannot sign who has not set the PIN yet. */
const NO_PIN = "The PIN is not set yet";

/** Of an enrolment: sent to the person, or, where nothing can be sent, for the administrator to hand over. */
export type Enrolment = { sent: "mail" | "sms" } | { link: string };

/** The wrong answers in a row of which the person is told. */
const TOLD: readonly number[] = [RULES.freeTries, RULES.lockAfter];

const log = getLogger(["dsign", "otp-service"]);

/** Whether a person may sign in and sign documents. */
export const isUsable = ({ locked, guard }: PersonRow): boolean =>
  locked === null && !isLocked(guard);

export class People {
  readonly #options: PeopleOptions;

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  /**
   * Enrols a person with one credential.
   *
   * @throws {CscError} `person_exists`; `link_not_delivered`, after which the person is enrolled all the same
   */
  async add(
    { userID, credential, ...rest }: NewPerson,
    by: string,
  ): Promise<{ credentialID: string; enrolment: Enrolment }> {
    const { store } = this.#options;
    const person: Person = { id: userID, ...rest };
    if (await store.read((tx) => tx.person(userID))) throw new CscError("person_exists");
    const made = await this.#makeCredential(person, credential);
    await store.run(async (tx) => {
      if (!await tx.addPerson(person, NO_PIN)) throw new CscError("person_exists");
      tx.audit({ event: "person.added", person: userID, name: person.name, otp: person.otp, by });
      addTo(tx, made, by);
    });
    return { credentialID: made.id, enrolment: await this.#invite(person, by) };
  }

  /**
   * Another role, for certificates to come; `""`: none.
   *
   * @throws {CscError} `person_unknown`
   */
  async setRole(id: string, role: string, by: string): Promise<void> {
    await this.#options.store.run(async (tx) => {
      const row = await tx.person(id);
      if (!row) throw new CscError("person_unknown");
      tx.savePerson({ ...row, person: { ...row.person, role } });
      tx.audit({ event: "person.role_changed", person: id, before: row.person.role, role, by });
    });
  }

  /**
   * Gives a person one more credential: a stored one's certificate expires, or was revoked.
   *
   * @throws {CscError} `person_unknown`
   */
  async addCredential(
    userID: string,
    credential: NewCredential,
    by: string,
  ): Promise<{ credentialID: string }> {
    const { store } = this.#options;
    const row = await store.read((tx) => tx.person(userID));
    if (!row) throw new CscError("person_unknown");
    const made = await this.#makeCredential(row.person, credential);
    await store.run((tx) => addTo(tx, made, by));
    return { credentialID: made.id };
  }

  /** A stored one gets its key and certificate here. */
  async #makeCredential(
    person: Person,
    { kind, mode, keyType: type = this.#options.keyType }: NewCredential,
  ): Promise<Credential> {
    const { keys, authority } = this.#options;
    const made = { id: token().slice(0, 22), person: person.id, kind, mode, keyType: type };
    if (kind === "one-time") return made;
    const { id, publicKey } = await keys.create(type);
    const key = await keys.open(id);
    const { serial } = await authority.issue(person, { key, type, publicKey }, { kind })
      .finally(() => key.close());
    return { ...made, key: id, serial };
  }

  /**
   * Makes the one link that is good now; earlier ones no longer are.
   *
   * @throws {CscError} `link_not_delivered`
   */
  async #invite(person: Person, by: string): Promise<Enrolment> {
    const { store, ways, secrets, publicUrl } = this.#options;
    const totp = person.otp === "totp"
      ? secrets.seal(`totp ${person.id}`, newTotpSecret())
      : undefined;
    const code = await store.run(async (tx) => {
      const { epoch } = (await tx.person(person.id))!;
      await tx.revokeEnrolments(person.id);
      return await tx.issue(
        { kind: "enrolment", holder: { person: person.id, epoch }, ...totp && { totp } },
        ENROLMENT_HOURS * 3_600_000,
        person.id,
      );
    });
    const link = `${publicUrl}/otp#enrol-${code}`;
    const way = wayTo(ways, person);
    const told = (event: "person.enrolment_sent" | "person.enrolment_failed", reason?: string) =>
      store.run((tx) => {
        tx.audit({ event, person: person.id, way: way ?? "by hand", reason, by });
      });
    if (way) {
      try {
        await sendTo(ways, person, enrolmentMessage(person, link, ENROLMENT_HOURS));
      } catch (error) {
        if (!(error instanceof DeliveryError)) throw error;
        await told("person.enrolment_failed", error.message);
        throw new CscError("link_not_delivered", error.message);
      }
    }
    await told("person.enrolment_sent");
    return way ? { sent: way } : { link };
  }

  /** View of an enrolment link's page; null if the link is not valid. */
  async enrolment(code: string): Promise<
    { name: string; language: string; totp?: { uri: string; svg: string } } | null
  > {
    const { store, secrets, serviceName } = this.#options;
    return await store.read(async (tx) => {
      const found = await tx.read("enrolment", code);
      const row = found && await this.holder(tx, found.data.holder);
      if (!row) return null;
      const { name, language, id } = row.person;
      const { totp } = found.data;
      return {
        name,
        language,
        ...totp && {
          totp: totpEnrolment(secrets.open(`totp ${id}`, totp), serviceName, id),
        },
      };
    });
  }

  /** Sets the PIN by an enrolment link, which is used up if the PIN (and the authenticator's OTP) will do. */
  async setPin(
    code: string,
    pin: string,
    otp: string | undefined,
  ): Promise<"done" | "weak_pin" | "wrong_otp" | "nothing"> {
    const { store, secrets, pins } = this.#options;
    if (!isGoodPin(pin)) return "weak_pin";
    // strangers cost no hash
    const found = await store.read((tx) => tx.read("enrolment", code));
    if (!found) return "nothing";
    let hash: string;
    {
      using _turn = await pins.turn("known", found.data.holder.person);
      hash = await pins.hash(found.data.holder.person, pin);
    }
    return await store.run(async (tx) => {
      const found = await tx.read("enrolment", code);
      const row = found && await this.holder(tx, found.data.holder);
      if (!row) return "nothing";
      const { totp } = found.data;
      let { person, guard } = row;
      if (totp) {
        const at = totpStep(secrets.open(`totp ${person.id}`, totp), otp ?? "", tx.now);
        if (at === undefined) return "wrong_otp";
        person = { ...person, totp };
        guard = { ...guard, totpStep: at };
        tx.audit({ event: "person.authenticator_set", person: person.id });
      }
      if (!await tx.take("enrolment", code)) return "nothing";
      tx.savePerson({
        person,
        guard: forgiveAll(guard),
        pin: hash,
        locked: null,
        epoch: row.epoch + 1,
      });
      tx.audit({ event: "person.pin_set", person: person.id });
      return "done";
    });
  }

  /** The person to whom something was given, if it is still good: nothing outlives a new PIN, a lock or an unlocking. */
  async holder(tx: Tx, { person, epoch }: Holder): Promise<PersonRow | null> {
    const row = await tx.person(person);
    return row && row.epoch === epoch ? row : null;
  }

  /** As {@linkcode holder}, and the person may sign now. */
  async usable(tx: Tx, holder: Holder): Promise<boolean> {
    const row = await this.holder(tx, holder);
    return row !== null && isUsable(row);
  }

  /**
   * Checks a person's PIN at sign-in. Wrong PINs are counted separately from answers to authorizations, so that knowing
   * a name is not enough to keep somebody from signing. Unknown, locked, too early and wrong take the same work and get
   * the same answer.
   *
   * @param owner whose turn is taken in the lane
   * @throws {CscError} `too_many`, before anything is counted
   */
  async checkPin(id: string, pin: string, lane: Lane, owner = id): Promise<Holder | null> {
    const { store, pins } = this.#options;
    let paid: PersonRow | null;
    let right: boolean;
    {
      using _turn = await pins.turn(lane, owner);
      // paid for first, so that many at once are no more than the rules allow
      paid = await store.run(async (tx) => {
        const row = await tx.person(id);
        const signIns = row && isUsable(row) ? pay(row.guard.signIns, tx.now) : "locked";
        if (!row || typeof signIns === "string") {
          await tx.writeNobody();
          return null;
        }
        const after = { ...row, guard: { ...row.guard, signIns } };
        tx.savePerson(after);
        return after;
      });
      right = await pins.verify(id, pin, paid?.pin ?? null);
    }
    if (!paid) {
      await store.run((tx) => tx.writeNobody());
      return null;
    }
    const { person, epoch, guard: { signIns: { paid: number } } } = paid;
    let wrong = 0;
    const known = await store.run(async (tx) => {
      const row = (await tx.person(id))!;
      const { signIns } = row.guard;
      if (right) {
        tx.savePerson({ ...row, guard: { ...row.guard, signIns: forgive(signIns, number) } });
        return row.epoch === epoch && isUsable(row);
      }
      await tx.writeNobody(); // as many writes as in every other case
      wrong = wrongInARow({ ...signIns, paid: number });
      if (TOLD.includes(wrong)) this.auditWrong(tx, id, wrong, "sign_ins");
      return false;
    });
    if (TOLD.includes(wrong)) this.tellWrong(person, wrong, "sign_ins");
    if (known) await this.renewHash(paid, pin);
    return known ? { person: id, epoch } : null;
  }

  /**
   * After a right PIN: a hash with an earlier pepper, or from before rows were sealed, which binds nobody's name, is made anew.
   */
  async renewHash({ person: { id }, pin: old }: Pick<PersonRow, "person" | "pin">, pin: string) {
    const { store, pins } = this.#options;
    if (old === null || pins.isCurrent(old)) return;
    const renewed = await pins.hash(id, pin);
    await store.run(async (tx) => {
      const row = await tx.person(id);
      if (row?.pin === old) tx.savePerson({ ...row, pin: renewed });
    });
  }

  /** Notes that a number of wrong answers was reached of which the person is told. */
  auditWrong(tx: Tx, person: string, count: number, which: Answers): void {
    const reason = which === "answers" ? "wrong answers" : "wrong sign-ins";
    const event = count >= RULES.lockAfter ? "person.locked" : "person.warned";
    tx.audit({ event, person, reason, count });
  }

  /**
   * Best effort: the rules hold whether the person hears of it or not, and the audit has it. Nobody waits for it, so that the
   * answer takes no longer than others.
   */
  tellWrong(person: Person, count: number, which: Answers): void {
    const { ways } = this.#options;
    if (!wayTo(ways, person)) return;
    sendTo(ways, person, wrongMessage(person, count, which)).catch((error) => {
      log.warn("{person} was not told of {count} wrong answers: {error}", {
        person: person.id,
        count,
        error: `${error}`,
      });
    });
  }

  /** Locks, and ends what is under way. */
  async lock(id: string, reason: string, by: string): Promise<void> {
    const { store } = this.#options;
    await store.run(async (tx) => {
      await tx.endAll(id, "locked");
      const row = await tx.person(id);
      if (!row) throw new CscError("person_unknown");
      tx.savePerson({ ...row, locked: reason, epoch: row.epoch + 1 });
      await tx.revokeEnrolments(id);
      tx.audit({ event: "person.locked", person: id, reason, by });
    });
  }

  /**
   * Unlocks, after the administrator has checked again who the person is. The PIN is set anew by the person; what is under
   * way with the old one ends.
   *
   * @param proof how it was checked; kept in the audit
   */
  async unlock(id: string, proof: string, by: string): Promise<Enrolment> {
    const { store } = this.#options;
    const person = await store.run(async (tx) => {
      await tx.endAll(id, "locked");
      const row = await tx.person(id);
      if (!row) throw new CscError("person_unknown");
      const guard = forgiveAll(row.guard);
      tx.savePerson({ ...row, guard, pin: null, locked: NO_PIN, epoch: row.epoch + 1 });
      tx.audit({ event: "person.unlocked", person: id, proof, by });
      return row.person;
    });
    return await this.#invite(person, by);
  }

  async list(): Promise<PersonView[]> {
    return await this.#options.store.read(async (tx) => {
      const rows = await tx.persons();
      return await Promise.all(rows.map(async ({ person, guard, pin, locked }) => {
        const { id, totp: _, ...rest } = person;
        const credentials = await tx.credentialsOf(id);
        return {
          userID: id,
          ...rest,
          state: locked !== null
            ? pin === null && locked === NO_PIN ? "invited" as const : "locked" as const
            : isLocked(guard)
            ? "locked" as const
            : "ready" as const,
          ...locked !== null && locked !== NO_PIN && { reason: locked },
          credentials: credentials.map(({ id, kind, mode, keyType }) => ({
            credentialID: id,
            kind,
            mode,
            keyType,
          })),
        };
      }));
    });
  }
}

function addTo(tx: Tx, made: Credential, by: string): void {
  tx.addCredential(made);
  const { id, person, kind, mode, keyType, serial } = made;
  tx.audit({ event: "credential.added", credential: id, person, kind, mode, keyType, serial, by });
}
