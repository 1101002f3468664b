/**
 * People: enrolled by the administrator, with a PIN that they alone set, through a link that works once. Who is locked, or
 * forgot the PIN, gets a new link after the administrator has checked who they are, and has said how.
 */
import type { NewCredential, NewPerson, PersonView } from "../protocol/csc.ts";
import type { Authority } from "./authority.ts";
import { FRESH, RULES, step } from "./authorize.ts";
import { DeliveryError, enrolmentMessage, lockedMessage } from "./delivery.ts";
import { CscError } from "./error.ts";
import type { KeyStore } from "./keys.ts";
import { sendTo, type Ways, wayTo } from "./messages.ts";
import { newTotpSecret, totpEnrolment, totpStep } from "./otp.ts";
import { isGoodPin, type Pins } from "./pin.ts";
import { type Secrets, token } from "./secrets.ts";
import type { Credential, KeyType, Person, PersonRow, Store, Tx } from "./store.ts";

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
      if (!await tx.addPerson(person)) throw new CscError("person_exists");
      await tx.savePerson({ person, guard: FRESH, pin: null, locked: NO_PIN });
      tx.audit({ event: "person.added", person: userID, name: person.name, otp: person.otp, by });
      await addTo(tx, made, by);
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
      await tx.savePerson({ ...row, person: { ...row.person, role } });
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
      await tx.revokeEnrolments(person.id);
      return await tx.issue(
        { kind: "enrolment", person: person.id, ...totp && { totp } },
        ENROLMENT_HOURS * 3_600_000,
        person.id,
      );
    });
    const link = `${publicUrl}/otp#enrol-${code}`;
    const way = wayTo(ways, person);
    const told = (event: "person.enrolment_sent" | "person.enrolment_failed", reason?: string) =>
      store.run((tx) => {
        tx.audit({ event, person: person.id, way: way ?? "by hand", reason, by });
        return Promise.resolve();
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

  /** What the page of an enrolment link shows; null where the link is not good. */
  async enrolment(code: string): Promise<
    { name: string; language: string; totp?: { uri: string; svg: string } } | null
  > {
    const { store, secrets, serviceName } = this.#options;
    return await store.read(async (tx) => {
      const found = await tx.read("enrolment", code);
      const row = found && await tx.person(found.data.person);
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
    if (!await store.read((tx) => tx.read("enrolment", code))) return "nothing";
    using _place = pins.admit();
    const hash = await pins.hash(pin);
    return await store.run(async (tx) => {
      const found = await tx.read("enrolment", code);
      const row = found && await tx.person(found.data.person);
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
      await tx.savePerson({ person, guard: { ...guard, pinTries: 0 }, pin: hash, locked: null });
      tx.audit({ event: "person.pin_set", person: person.id });
      return "done";
    });
  }

  /**
   * Whether a person is who knows the PIN, for signing in and for changing it. Five wrong ones lock, as in signing. Unknown,
   * locked and wrong cost the same work and have the same answer.
   *
   * @throws {CscError} `too_many`, before anything is counted
   */
  async checkPin(id: string, pin: string): Promise<Person | null> {
    const { store, pins } = this.#options;
    using _place = pins.admit();
    const usable = (row: PersonRow | null) =>
      row && row.locked === null && row.guard.pinTries < RULES.pinTries ? row : null;
    // paid for first, so that many at once are no more than five
    const row = await store.run(async (tx) => {
      const row = usable(await tx.person(id));
      if (!row) {
        // the same work as for somebody
        await tx.count("nobody");
        return null;
      }
      const guard = { ...row.guard, pinTries: row.guard.pinTries + 1 };
      await tx.savePerson({ ...row, guard });
      return { ...row, guard };
    });
    const right = await pins.verify(pin, row?.pin ?? null);
    if (!row) {
      await store.run((tx) => tx.count("nobody"));
      return null;
    }
    const spent = row.guard.pinTries;
    const locked = await store.run(async (tx) => {
      const now = (await tx.person(id))!;
      if (right) {
        const pinTries = Math.max(0, now.guard.pinTries - spent);
        await tx.savePerson({ ...now, guard: { ...now.guard, pinTries } });
        return false;
      }
      await tx.count("nobody"); // one write, as in every other case
      const locked = spent === RULES.pinTries;
      if (locked) tx.audit({ event: "person.locked", person: id, reason: "wrong PINs" });
      return locked;
    });
    if (locked) this.tellLocked(row.person);
    return right ? row.person : null;
  }

  /**
   * Best effort: the lock holds whether the person hears of it or not, and the audit has it. Nobody waits for it, so that the
   * answer takes no longer than others.
   */
  tellLocked(person: Person): void {
    const { ways } = this.#options;
    if (wayTo(ways, person)) sendTo(ways, person, lockedMessage(person)).catch(() => {});
  }

  async changePin(
    id: string,
    pin: string,
    next: string,
  ): Promise<"done" | "weak_pin" | "refused"> {
    const { store, pins } = this.#options;
    if (!isGoodPin(next)) return "weak_pin";
    const person = await this.checkPin(id, pin);
    if (!person || pin === next) return "refused";
    using _place = pins.admit();
    const hash = await pins.hash(next);
    await store.run(async (tx) => {
      const row = (await tx.person(id))!;
      await tx.savePerson({ ...row, pin: hash });
      tx.audit({ event: "person.pin_changed", person: id });
    });
    return "done";
  }

  /** Ends what is under way: an authorization that somebody else got does not outlast a lock. */
  async #endAll(tx: Tx, person: string): Promise<void> {
    for (const transaction of await tx.underway(person)) {
      const ended = step({ transaction, guard: FRESH }, { type: "end", why: "locked" }, tx.now);
      await tx.saveTransaction(ended.transaction);
      const { id } = transaction;
      tx.audit({ event: "authorization.ended", transaction: id, person, reason: "locked" });
    }
  }

  /** Locks, and ends what is under way. */
  async lock(id: string, reason: string, by: string): Promise<void> {
    const { store } = this.#options;
    await store.run(async (tx) => {
      await this.#endAll(tx, id);
      const row = await tx.person(id);
      if (!row) throw new CscError("person_unknown");
      await tx.savePerson({ ...row, locked: reason });
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
      await this.#endAll(tx, id);
      const row = await tx.person(id);
      if (!row) throw new CscError("person_unknown");
      const guard = { ...row.guard, pinTries: 0 };
      await tx.savePerson({ ...row, guard, pin: null, locked: NO_PIN });
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
            : guard.pinTries >= RULES.pinTries
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

async function addTo(tx: Tx, made: Credential, by: string): Promise<void> {
  await tx.addCredential(made);
  const { id, person, kind, mode, keyType, serial } = made;
  tx.audit({ event: "credential.added", credential: id, person, kind, mode, keyType, serial, by });
}
