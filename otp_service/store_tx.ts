/** Shared by all statements of one transaction: sealed rows, and their audit entries. */
import { type AuditEntry, type AuditHead, auditLine, NO_LINE } from "./audit.ts";
import type { Query, Row, Value } from "./database.ts";
import { SetupError } from "./error.ts";
import {
  type Counted,
  counts,
  NO_ROWS,
  type RowSeal,
  type Sealed,
  TamperedError,
} from "./row_seal.ts";

/** The end of the audit, with the sum of all rows' versions. */
export interface Head extends AuditHead {
  readonly sum: string;
}

/** Latest state of the database seen by a process; it must never go back. */
export class Seen {
  /** Latest versions, by table and id. */
  readonly #versions = new Map<string, number>();
  head: AuditHead = NO_LINE;

  version(key: string): number {
    return this.#versions.get(key) ?? 0;
  }

  note(versions: ReadonlyMap<string, number>, head: AuditHead | undefined): void {
    for (const [key, version] of versions) {
      this.#versions.delete(key); // to the end: the oldest are forgotten first
      this.#versions.set(key, version);
    }
    for (const key of this.#versions.keys()) {
      if (this.#versions.size <= MOST_SEEN) break;
      this.#versions.delete(key);
    }
    if (head && head.seq > this.head.seq) this.head = head;
  }
}

const MOST_SEEN = 20_000;

export interface TxOptions {
  query: Query;
  /** Empty where the transaction only reads. */
  lock: string;
  writes: boolean;
  seal: RowSeal;
  seen: Seen;
  /** Milliseconds since 1970. */
  now: number;
}

/** The part that knows no table but the audit's. */
export class SealedTx {
  protected readonly query: Query;
  protected readonly lock: string;
  readonly now: number;
  readonly #options: TxOptions;
  /** Lines for the audit. */
  readonly entries: AuditEntry[] = [];
  /** Versions of the rows that were read or written here, by table and id. */
  readonly #versions = new Map<string, number>();
  /** Change of the sum of the versions. */
  readonly #toggles: [Counted, string, number][] = [];
  readonly #changed = new Map<string, number>();
  #head: AuditHead | undefined;

  /** Made by `Store.run` and `Store.read`. */
  constructor(options: TxOptions) {
    const { query, lock, now } = options;
    this.query = query;
    this.lock = lock;
    this.now = now;
    this.#options = options;
  }

  /** Adds a line to the audit when the transaction is kept. */
  audit(entry: AuditEntry): void {
    this.entries.push(entry);
  }

  /** Checks the seal of a row that was read, and that it is no older than this process has seen it. */
  protected verify(table: Sealed, id: string, row: Row, content: readonly Value[]): void {
    const { seal, seen, writes } = this.#options;
    const version = row.version as number;
    seal.check(table, id, version, content, row.mac);
    const key = `${table} ${id}`;
    // A read-only transaction may see a slightly older row. A writing one has locked the row.
    if (writes && version < seen.version(key)) {
      throw new TamperedError(`The row ${key} was put back to an earlier version.`);
    }
    this.#versions.set(key, version);
  }

  /** @throws {TamperedError} where a row that this process has seen, and that is never deleted, is not there */
  protected missing(table: Sealed, id: string): null {
    if (this.#options.seen.version(`${table} ${id}`) > 0) {
      throw new TamperedError(`The row ${table} ${id} was deleted.`);
    }
    return null;
  }

  /** The version that a row had, and the seal of the one that takes its place. */
  protected next(
    table: Sealed,
    id: string,
    content: readonly Value[],
  ): { before: number; version: number; mac: string } {
    const key = `${table} ${id}`;
    const before = this.#versions.get(key) ?? 0;
    const version = before + 1;
    this.#versions.set(key, version);
    if (table !== "documents") {
      for (const each of [before, version]) {
        if (counts(table, each)) this.#toggles.push([table, id, each]);
      }
      if (table !== "tokens") this.#changed.set(key, version);
    }
    return { before, version, mac: this.#options.seal.seal(table, id, version, content) };
  }

  /** Changes one row that was read in this transaction, and that nobody has changed since. */
  protected async update(statement: string, ...values: Value[]): Promise<void> {
    const rows = await this.query(`${statement} RETURNING version`, ...values);
    if (rows.length !== 1) throw new Error("A row was changed that was not locked.");
  }

  /** Takes a deleted row out of the sum. */
  protected gone(table: Counted, id: string, version: number): void {
    this.#toggles.push([table, id, version]);
    this.#versions.delete(`${table} ${id}`);
  }

  /** As much work at the end of the audit as a row that was changed, for somebody who does not exist. */
  protected touchHead(): void {
    this.#toggles.push(["persons", "", 0], ["persons", "", 0]);
  }

  /** The end of the audit, locked until the transaction ends. */
  async head(): Promise<Head> {
    const { seal, seen, writes } = this.#options;
    const [row] = await this.query(
      `SELECT seq, hash, row_sum, mac FROM audit_head WHERE one = 1${this.lock}`,
    );
    if (row === undefined) throw new TamperedError("The end of the audit is missing.");
    const { seq, hash, row_sum: sum } = row as { seq: number; hash: string; row_sum: string };
    if (row.mac === null) {
      const [old] = await this.query("SELECT id FROM persons WHERE mac IS NULL LIMIT 1");
      if (old || seq > 0) {
        throw new SetupError(
          "The database was made before its rows were sealed. Make sure that it is yours and unchanged, " +
            "then take it over: dsign otp-service seal",
        );
      }
      return { ...NO_LINE, sum: NO_ROWS };
    }
    seal.check("audit_head", "1", seq, [hash, sum], row.mac);
    if (writes && (seq < seen.head.seq || seq === seen.head.seq && hash !== seen.head.hash)) {
      throw new TamperedError(`The audit was cut back to line ${seq}.`);
    }
    return { seq, hash, sum };
  }

  /** Writes the audit's lines and the sum. The end of the audit is locked last and for the shortest time. */
  async finish(): Promise<void> {
    if (this.entries.length + this.#toggles.length === 0) return;
    const { seal } = this.#options;
    const { sum: before, ...end } = await this.head();
    const sum = Uint8Array.fromHex(before);
    for (const toggle of this.#toggles) seal.toggle(sum, ...toggle);
    let head: AuditHead = end;
    const last = this.entries.at(-1);
    if (last && this.#changed.size > 0) {
      this.entries[this.entries.length - 1] = {
        ...last,
        rows: Object.fromEntries(this.#changed),
      };
    }
    const writes = this.entries.map((entry) => {
      const { line, ...next } = auditLine(head, entry, this.now);
      head = next;
      return this.query("INSERT INTO audit VALUES ($1, $2)", next.seq, line);
    });
    await this.setHead({ ...head, sum: sum.toHex() }, writes);
  }

  /** Goes on from the end of the audit as it stands, whoever wrote it, with another sum. */
  async startAnew(sum: string): Promise<void> {
    const [{ seq, hash }] = await this.query(
      `SELECT seq, hash FROM audit_head WHERE one = 1${this.lock}`,
    );
    await this.setHead({ seq: seq as number, hash: hash as string, sum });
  }

  /** Writes the end of the audit; with other statements in one go, as all other instances wait. */
  protected async setHead({ seq, hash, sum }: Head, others: Promise<unknown>[] = []) {
    const mac = this.#options.seal.seal("audit_head", "1", seq, [hash, sum]);
    await Promise.all([
      ...others,
      this.query(
        "UPDATE audit_head SET seq = $1, hash = $2, row_sum = $3, mac = $4",
        seq,
        hash,
        sum,
        mac,
      ),
    ]);
    this.#head = { seq, hash };
  }

  /** For `Store`: what this process has seen now that the transaction is kept. */
  noteSeen(): void {
    if (this.#options.writes) this.#options.seen.note(this.#versions, this.#head);
  }
}
