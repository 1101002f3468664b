/** Statements about authorizations. */
import {
  type Event,
  FRESH,
  type Outcome,
  RULES,
  type State,
  step,
  type Transaction,
} from "./authorize.ts";
import type { Row, Value } from "./database.ts";
import type { AuthorizationRow, Facts, PersonRow } from "./rows.ts";
import { OTHER, TamperedError } from "./row_seal.ts";
import { PeopleTx } from "./store_people.ts";

/** By its id, by the hash of its SAD (present or last used), or the open one of a client and a credential. */
export type By = { id: string } | { sad: string } | { client: string; credential: string };

/** An authorization and its person. */
export interface Found extends AuthorizationRow {
  readonly row: PersonRow;
}

/** Result of an event. */
export interface Applied extends Found {
  readonly outcome: Outcome;
}

/** A day after its end an authorization is forgotten; the audit is not. */
const KEEP = 24 * 60 * 60_000;

export class AuthorizationsTx extends PeopleTx {
  addTransaction(transaction: Transaction, person: string, facts: Facts): void {
    const { id, createdAt } = transaction;
    const row = rowOf(transaction, facts);
    const { client, credential, phase, sad, used, state } = row;
    const expires = createdAt + RULES.lifetime;
    const { version, mac } = this.next("transactions", id, contentOf({ ...row, person, expires }));
    this.write(
      `INSERT INTO transactions
       (id, person, client, credential, phase, sad, used, state, facts, expires, version, mac)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
      id,
      person,
      ...[client, credential, phase, sad, used, state],
      row.facts,
      expires,
      version,
      mac,
    );
  }

  async transaction(by: By): Promise<AuthorizationRow | null> {
    const [where, ...values] = whereOf(by);
    const [row] = await this.query(`SELECT * FROM transactions${where}${this.lock}`, ...values);
    if (!row) return null;
    const found = this.#authorization(row);
    if (!isBy(found.transaction, by)) throw new TamperedError(OTHER);
    return found;
  }

  /** An authorization and its person. Both are asked for at once. */
  async find(by: By): Promise<Found | null> {
    const [where, ...values] = whereOf(by);
    const [found, [row]] = await Promise.all([
      this.transaction(by),
      this.query(
        `SELECT * FROM persons WHERE id = (SELECT person FROM transactions${where})${this.lock}`,
        ...values,
      ),
    ]);
    if (!found) return null;
    const person = row ? this.personOf(row, found.person) : this.missing("persons", found.person);
    return person && { ...found, row: person };
  }

  #authorization(row: Row): AuthorizationRow {
    this.verify("transactions", row.id as string, row, contentOf(row));
    return {
      transaction: JSON.parse(row.state as string),
      person: row.person as string,
      facts: JSON.parse(row.facts as string),
    };
  }

  /** Writes an authorization that was read in this transaction. */
  saveTransaction({ transaction, person, facts }: AuthorizationRow): void {
    const { id, createdAt } = transaction;
    const row = rowOf(transaction, facts);
    const expires = createdAt + RULES.lifetime;
    const content = contentOf({ ...row, person, expires });
    const { before, version, mac } = this.next("transactions", id, content);
    this.update(
      `UPDATE transactions SET phase = $2, sad = $3, used = $4, state = $5, facts = $6, version = $7,
       mac = $8 WHERE id = $1 AND version = $9`,
      id,
      ...[row.phase, row.sad, row.used, row.state, row.facts],
      version,
      mac,
      before,
    );
  }

  /**
   * Finds an authorization and its person, and runs an event on them, as {@linkcode happen} does.
   *
   * @param event what happens, or what says so by what was found
   * @returns null where there is no such authorization
   */
  async apply(
    by: By,
    event: Event | ((found: Found) => Event),
    facts: Partial<Facts> = {},
  ): Promise<Applied | null> {
    const found = await this.find(by);
    return found && this.happen(found, typeof event === "function" ? event(found) : event, facts);
  }

  /**
   * Runs one event on an authorization and its person, which were found in this transaction, and writes what came of it. What
   * an administrator has locked is ended, whatever the event. Whatever ends it, the audit says so here; of a failed signature
   * its own line does.
   */
  happen(found: Found, event: Event, facts: Partial<Facts> = {}): Applied {
    const { row } = found;
    const state: State = { transaction: found.transaction, guard: row.guard };
    const isOver = ["signed", "failed", "end"].includes(event.type);
    const { outcome, transaction, guard } = row.locked === null || isOver
      ? step(state, event, this.now)
      : {
        ...step(state, { type: "end", why: "locked" }, this.now),
        outcome: { ok: false, refusal: "locked" } as const,
      };
    const after: Found = {
      ...found,
      transaction,
      facts: outcome.ok ? { ...found.facts, ...facts } : found.facts,
      row: { ...row, guard },
    };
    this.saveTransaction(after);
    if (found.transaction.phase !== "ended") this.#auditEnd(after);
    if (JSON.stringify(guard) !== JSON.stringify(row.guard)) this.savePerson(after.row);
    return { ...after, outcome };
  }

  /** Ends a person's authorizations that are not over. */
  async endAll(person: string, why: "locked" | "revoked"): Promise<void> {
    const rows = await this.query(
      `SELECT * FROM transactions
       WHERE person = $1 AND phase NOT IN ('done', 'ended') ORDER BY id${this.lock}`,
      person,
    );
    for (const row of rows) {
      const found = this.#authorization(row);
      const { transaction } = step(
        { transaction: found.transaction, guard: FRESH },
        { type: "end", why },
        this.now,
      );
      this.saveTransaction({ ...found, transaction });
      this.#auditEnd({ ...found, transaction });
    }
  }

  #auditEnd({ transaction: { id, end }, person }: AuthorizationRow): void {
    if (end === undefined || end === "failed") return;
    this.audit({ event: "authorization.ended", transaction: id, person, reason: end });
  }

  /** Authorizations that are over by time and do not know it yet. */
  async overdue(most: number): Promise<AuthorizationRow[]> {
    const rows = await this.query(
      `SELECT * FROM transactions
       WHERE expires <= $1 AND phase NOT IN ('done', 'ended') ORDER BY id LIMIT $2${this.lock}`,
      this.now,
      most,
    );
    return rows.map((row) => this.#authorization(row));
  }

  /** Deletes what has had its time. */
  async forgetAuthorizations(): Promise<void> {
    const rows = await this.query(
      `DELETE FROM transactions WHERE expires <= $1 AND phase IN ('done', 'ended')
       RETURNING id, version, mac`,
      this.now - KEEP,
    );
    for (const row of rows) this.gone("transactions", row.id as string, row);
  }
}

function isBy(transaction: Transaction, by: By): boolean {
  const { id, client, credential, phase, sad, used } = transaction;
  if ("id" in by) return id === by.id;
  if ("sad" in by) return [sad, used].includes(by.sad);
  return client === by.client && credential === by.credential && phase === "open";
}

function whereOf(by: By): [where: string, ...values: Value[]] {
  if ("id" in by) return [" WHERE id = $1", by.id];
  if ("sad" in by) return [" WHERE sad = $1 OR used = $1 LIMIT 1", by.sad];
  const open = " WHERE client = $1 AND credential = $2 AND phase = 'open' LIMIT 1";
  return [open, by.client, by.credential];
}

function rowOf(transaction: Transaction, facts: Facts) {
  const { client, credential, phase, sad = null, used = null } = transaction;
  const state = JSON.stringify(transaction);
  return { client, credential, phase, sad, used, state, facts: JSON.stringify(facts) };
}

const contentOf = (row: Row): Value[] =>
  ["person", "client", "credential", "phase", "sad", "used", "state", "facts", "expires"]
    .map((name) => row[name]);
