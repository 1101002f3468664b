/** Shared by all statements of one transaction: sealed rows, and their audit entries. */
import { type AuditEntry, auditLine } from "./audit.ts";
import type { Query, Row, Value } from "./database.ts";
import type { Log } from "./log.ts";
import {
  type Counted,
  counts,
  NO_ROWS,
  type RowSeal,
  type Sealed,
  TamperedError,
} from "./row_seal.ts";

/** Latest versions of rows that a process has seen, by table and id; they must never go back. */
export class Seen {
  readonly #versions = new Map<string, number>();

  version(key: string): number {
    return this.#versions.get(key) ?? 0;
  }

  note(versions: ReadonlyMap<string, number>): void {
    for (const [key, version] of versions) {
      this.#versions.delete(key); // to the end: the oldest are forgotten first
      this.#versions.set(key, version);
    }
    for (const key of this.#versions.keys()) {
      if (this.#versions.size <= MOST_SEEN) break;
      this.#versions.delete(key);
    }
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
  log: Log;
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
  /** And their seals. */
  readonly #macs = new Map<string, Value>();
  /** Change of the sum of the versions. */
  readonly #toggles: [Counted, string, number, mac: Value][] = [];
  readonly #changed = new Map<string, number>();
  readonly #writes: Promise<unknown>[] = [];
  #lines: readonly string[] = [];

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
    this.#macs.set(key, row.mac);
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
    const mac = this.#options.seal.seal(table, id, version, content);
    if (table !== "documents") {
      if (counts(table, before)) this.#toggles.push([table, id, before, this.#macs.get(key)!]);
      if (counts(table, version)) this.#toggles.push([table, id, version, mac]);
      if (table !== "tokens") this.#changed.set(key, version);
    }
    this.#versions.set(key, version);
    this.#macs.set(key, mac);
    return { before, version, mac };
  }

  /** The seal of a row with the current key, in the version that it has. @throws {TamperedError} */
  protected anew(table: Sealed, id: string, row: Row, content: Value[], changed = content): string {
    const { seal } = this.#options;
    const version = row.version as number;
    seal.check(table, id, version, content, row.mac);
    const mac = seal.seal(table, id, version, changed);
    if (table !== "documents" && counts(table, version)) {
      this.#toggles.push([table, id, version, row.mac], [table, id, version, mac]);
    }
    return mac;
  }

  /** How seals with the current key begin. */
  protected get currentSeal(): string {
    return this.#options.seal.prefix;
  }

  /** Changes one row that was read in this transaction, and that nobody has changed since. */
  protected update(statement: string, ...values: Value[]): void {
    this.#later(
      this.query(`${statement} RETURNING version`, ...values).then((rows) => {
        if (rows.length !== 1) throw new Error("A row was changed that was not locked.");
      }),
    );
  }

  /** Writes something of which nothing is read back. */
  protected write(statement: string, ...values: Value[]): void {
    this.#later(this.query(statement, ...values));
  }

  /** Writes go out one after another, and are waited for at the end. */
  #later(write: Promise<unknown>): void {
    write.catch(() => {}); // `finish` tells
    this.#writes.push(write);
  }

  /** Takes a deleted row out of the sum. */
  protected gone(table: Counted, id: string, { version, mac }: Row): void {
    this.#toggles.push([table, id, version as number, mac]);
    this.#versions.delete(`${table} ${id}`);
  }

  /** As much work as for a row that was changed, for somebody who does not exist. */
  protected touchNobody(): void {
    const nobody = ["persons", "", 0, this.currentSeal] as const;
    this.#toggles.push([...nobody], [...nobody]);
  }

  /** Leaves the audit's lines, and the change of the sum of versions, to be sealed. Nobody is waited for. */
  async finish(): Promise<void> {
    this.#leave();
    await Promise.all(this.#writes);
  }

  #leave(): void {
    if (this.entries.length + this.#toggles.length === 0) return;
    const { seal, log } = this.#options;
    const delta = Uint8Array.fromHex(NO_ROWS);
    for (const toggle of this.#toggles) seal.toggle(delta, ...toggle);
    const last = this.entries.length - 1;
    const rows = this.#changed.size > 0 && { rows: Object.fromEntries(this.#changed) };
    this.#lines = this.entries.map((entry, i) =>
      auditLine(i === last ? { ...entry, ...rows } : entry, this.now)
    );
    this.#later(log.rows.add(this.query, { lines: this.#lines, delta: delta.toHex() }));
  }

  /** The audit's lines of a transaction that is finished, in the order in which they were added. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** For `Store`: what this process has seen now that the transaction is kept. */
  noteSeen(): void {
    if (!this.#options.writes) return;
    this.#options.seen.note(this.#versions);
    this.#options.log.committed(this.#lines);
  }
}
