/**
 * A person changes the PIN: with the old one, and an OTP. Until the new one is in place anything may happen to the old one,
 * so a change that is under way ends with every other change, lock or unlocking.
 */
import type { Ceremony } from "./ceremony.ts";
import type { People } from "./people.ts";
import { isGoodPin, type Pins } from "./pin.ts";
import type { Store } from "./store.ts";
import { RULES } from "./authorize.ts";

export interface ChangePinOptions {
  store: Store;
  pins: Pins;
  people: People;
  ceremony: Ceremony;
}

/** Whose page asks; no client of the configuration has a colon in its name. */
const CLIENT = "page:change-pin";

export type Changed =
  | { ok: true }
  | {
    ok: false;
    code: "weak_pin" | "wrong" | "wait" | "locked" | "ended";
    triesLeft?: number;
    waitUntil?: number;
  };

export class ChangePin {
  readonly #options: ChangePinOptions;

  constructor(options: ChangePinOptions) {
    this.#options = options;
  }

  /**
   * Begins with the old PIN.
   *
   * @returns a ticket for the rest; null where name and PIN are not somebody's
   * @throws {CscError} `too_many`
   */
  async start(id: string, pin: string): Promise<string | null> {
    const { store, people, ceremony } = this.#options;
    const holder = await people.checkPin(id, pin, "stranger");
    if (!holder) return null;
    return await store.run(async (tx) => {
      if (!await people.holder(tx, holder)) return null;
      const transaction = await ceremony.openIn(tx, {
        client: CLIENT,
        credential: { id: "", person: id, mode: "pin" },
        facts: { purpose: "change of the PIN", labels: [] },
      });
      return await tx.issue({ kind: "change", transaction }, RULES.lifetime);
    });
  }

  /** Sets the new PIN by the OTP. */
  async finish(ticket: string, otp: string, pin: string): Promise<Changed> {
    const { store, pins, ceremony } = this.#options;
    if (!isGoodPin(pin)) return { ok: false, code: "weak_pin" };
    const found = await store.read(async (tx) => {
      const change = await tx.read("change", ticket);
      const transaction = change && await tx.transaction({ id: change.data.transaction });
      const row = transaction && await tx.person(transaction.person);
      return row && { id: transaction.transaction.id, person: row.person.id, old: row.pin };
    });
    if (!found) return { ok: false, code: "ended" };
    const { id, person, old } = found;
    let hash: string;
    {
      using _turn = await pins.turn("known", person);
      if (await pins.verify(person, pin, old)) return { ok: false, code: "weak_pin" };
      hash = await pins.hash(person, pin);
    }
    const answer = await ceremony.answer(id, { pin: null, otp }, {
      then: async (tx, { row }) => {
        await tx.take("change", ticket);
        await tx.endAll(person, "revoked");
        tx.savePerson({ ...row, pin: hash, epoch: row.epoch + 1 });
        tx.audit({ event: "person.pin_changed", person });
      },
    });
    if (answer.ok) return { ok: true };
    const { refusal, triesLeft, waitUntil } = answer;
    const code = refusal === "locked" || refusal === "wait"
      ? refusal
      : triesLeft > 0
      ? "wrong"
      : "ended";
    return { ok: false, code, triesLeft, waitUntil };
  }
}
