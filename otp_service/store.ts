/**
 * Everything that the service remembers, over a {@linkcode Database}. One {@linkcode Store.run} is one transaction: what it
 * changed and the audit lines about it are kept together, or not at all.
 */
import type { NoteSigner } from "../formats/log/note.ts";
import { type AuditCheck, type AuditEntry, verifyAudit } from "./audit.ts";
import { RULES } from "./authorize.ts";
import type { Database, Query } from "./database.ts";
import { checkRows, sealRows, sumOf } from "./store_check.ts";
import { Log } from "./log.ts";
import type { Head } from "./log_rows.ts";
import { addTo, type RowSeal, TamperedError } from "./row_seal.ts";
import type { Secrets } from "./secrets.ts";
import { RotationTx, type SecretTable } from "./store_rotation.ts";
import { Seen } from "./store_tx.ts";

/** Longer than any signing takes that began in time, in milliseconds. */
const SIGNING = 120_000;
/** Rows of one sweep. */
const SWEEP = 200;
/** How old may be what this process knows of the audit's end, and so of the secret in use, in milliseconds. */
const FRESH_HEAD = 2_000;

/** The statements of one transaction. Rows that are read to be changed are locked by reading them. */
export class Tx extends RotationTx {}

export class Store {
  readonly #database: Database;
  readonly #seal: RowSeal;
  readonly #seen = new Seen();
  readonly log: Log;
  /** When the audit's end was looked at last. */
  #looked = -Infinity;
  #broken: TamperedError | undefined;

  readonly #kept: (entries: readonly AuditEntry[]) => void;

  /**
   * @param now milliseconds since 1970; the one clock of the service
   * @param signer signs the audit's checkpoints, under the log's name
   * @param kept is told the audit's entries of each transaction that was kept
   */
  constructor(
    database: Database,
    readonly now: () => number,
    readonly secrets: Secrets,
    signer: NoteSigner,
    kept: (entries: readonly AuditEntry[]) => void = () => {},
  ) {
    this.#database = database;
    this.#seal = secrets.rows;
    this.#kept = kept;
    this.log = new Log(database, secrets.rows, signer);
  }

  #tx(query: Query, lock: string, writes: boolean): Tx {
    const [seal, seen, log, now] = [this.#seal, this.#seen, this.log, this.now()];
    return new Tx({ query, lock, writes, seal, seen, log, now });
  }

  /** Nothing is added to a database that has not been taken over, or with a secret that is out of use. */
  async #ready(): Promise<void> {
    if (this.#broken) throw this.#broken;
    await this.log.checkSealing();
    const now = performance.now();
    if (now - this.#looked < FRESH_HEAD) return;
    await this.#database.read((query) => this.log.rows.head(query));
    this.#looked = now;
  }

  /** Runs `work` as one transaction; it may run again, and waits for nothing but this store. */
  async run<T>(work: (tx: Tx) => Promise<T> | T): Promise<T> {
    return (await this.runWithLines(work)).value;
  }

  /** As {@linkcode run}, with the lines that it added to the audit. */
  async runWithLines<T>(
    work: (tx: Tx) => Promise<T> | T,
  ): Promise<{ value: T; lines: readonly string[] }> {
    await this.#ready();
    let last: Tx | undefined;
    const value = await this.#database.transaction(async (query) => {
      const tx = last = this.#tx(query, this.#database.lock, true);
      const value = await work(tx);
      await tx.finish();
      return value;
    });
    if (last) {
      last.noteSeen();
      this.#kept(last.entries);
    }
    return { value, lines: last?.lines ?? [] };
  }

  /** Runs `work`, which only reads. */
  read<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#database.read((query) => work(this.#tx(query, "", false)));
  }

  /** The audit's lines from a number on, in pieces. */
  async *audit(from = 1): AsyncGenerator<string> {
    await this.log.sealAll();
    yield* this.#lines(from, Infinity);
  }

  async *#lines(from: number, to: number): AsyncGenerator<string> {
    const PIECE = 500;
    for (let at = from; at <= to; at += PIECE) {
      const lines = await this.#database.read((query) =>
        query(
          "SELECT line FROM audit WHERE seq >= $1 AND seq <= $2 ORDER BY seq",
          at,
          Math.min(at + PIECE - 1, to),
        )
      );
      for (const { line } of lines) yield line as string;
      if (lines.length < PIECE) return;
    }
  }

  /** The end of the audit, after all was sealed that is pending. */
  async auditHead(): Promise<Head> {
    await this.log.sealAll();
    return await this.#database.read((query) => this.log.rows.head(query));
  }

  /**
   * Milliseconds by which this clock is ahead of the database's.
   *
   * @throws {DatabaseError}
   */
  async clockDifference(): Promise<number> {
    const { clock } = this.#database;
    if (clock === undefined) return 0;
    const asked = this.now();
    const [{ now }] = await this.#database.read((query) => query(clock));
    // the answer was true at some moment between question and answer
    const early = asked - (now as number), late = this.now() - (now as number);
    return early > 0 ? early : late < 0 ? late : 0;
  }

  /**
   * Whether transactions can be kept now.
   *
   * @throws {DatabaseError}
   * @throws {TamperedError} where rows were found changed
   */
  async ready(): Promise<void> {
    if (this.#broken) throw this.#broken;
    await this.#database.read((query) => this.log.rows.head(query));
  }

  /** How many lines of the audit wait longer than promised to be sealed. */
  overdue(): Promise<number> {
    return this.log.overdue(this.now());
  }

  /**
   * Checks every line and tile of the audit against its signed checkpoint.
   *
   * @param expect checkpoints that were filed elsewhere: the audit must go on from each
   */
  async verifyAudit(expect: readonly string[] = []): Promise<AuditCheck> {
    const { seq, note } = await this.auditHead();
    return await verifyAudit(this.#lines(1, seq), {
      checkpoints: [note!, ...expect],
      keys: this.log.keys,
      tiles: (level, number) => this.log.tile(level, number),
    });
  }

  /**
   * Looks whether a row was put back, taken out or brought back, or a line of the audit taken out. Until it is settled nothing
   * more is done with a database of which that is so.
   *
   * @param seals look at every row's seal too, and not only when it is read
   * @throws {TamperedError} saying which row, or that the sum does not fit
   */
  async check({ seals = false } = {}): Promise<void> {
    if (seals) await this.#database.read((query) => checkRows(query, this.#seal));
    try {
      await this.log.checkOwn();
      await this.#database.snapshot(async (query) => {
        const { sum } = await this.log.rows.head(query);
        const rows = Uint8Array.fromHex(await sumOf(query, this.#seal));
        addTo(rows, await this.log.rows.pendingSum(query));
        if (rows.toHex() === sum) return;
        throw new TamperedError(
          "A row of the database was put back, taken out or brought back. What should be there the audit says " +
            "(`rows`); `dsign otp-service seal` goes on from what is there.",
        );
      });
    } catch (error) {
      if (error instanceof TamperedError) this.#broken = error;
      throw error;
    }
  }

  /**
   * Takes over a database: one that was made before rows were sealed, or one that was brought back from a copy.
   *
   * @param by whom the audit names, with why
   * @returns how many rows were sealed anew
   * @throws {TamperedError} where a sealed row is not as the service wrote it
   */
  seal(by: string, proof: string): Promise<number> {
    return this.#database.transaction(async (query) => {
      const tx = this.#tx(query, this.#database.lock, true);
      const rows = await sealRows(query, this.#seal);
      const sum = Uint8Array.fromHex(await sumOf(query, this.#seal));
      addTo(sum, await this.log.rows.pendingSum(query));
      await this.log.rows.startAnew(query, sum.toHex());
      tx.audit({ event: "rows.sealed", by, proof, count: rows });
      await tx.finish();
      return rows;
    });
  }

  /** The end of the audit is sealed with the current secret, and says so: all instances change to it. */
  async turnToSecret(entry: AuditEntry): Promise<void> {
    await this.#database.transaction(async (query) => {
      await this.log.sealAnew(query);
      const tx = this.#tx(query, this.#database.lock, true);
      tx.audit(entry);
      await tx.finish();
    });
  }

  /**
   * Seals the next rows of a table with the current secret, those that are not yet.
   *
   * @param after the last row that was looked at; at first ""
   * @param waits for rows that others have locked; else they are left out
   * @returns the last row now, null at the table's end, and how many were sealed anew
   * @throws {TamperedError} at a row whose seal is not good
   */
  async sealAnew(
    table: SecretTable,
    after: string,
    waits: boolean,
  ): Promise<{ last: string | null; count: number }> {
    await this.#ready();
    return await this.#database.transaction(async (query) => {
      const tx = this.#tx(query, this.#database.lock, true);
      const done = await tx.sealAnew(table, after, this.secrets, waits);
      await tx.finish();
      return done;
    });
  }

  /** Ends what nobody ended in time, and forgets what is over. */
  async sweep(): Promise<void> {
    await this.run(async (tx) => {
      for (const { person, transaction: { id, phase, createdAt } } of await tx.overdue(SWEEP)) {
        // Between use and signature the process died: what was authorized is spent, and that is said.
        const broken = phase === "signing";
        if (broken && tx.now < createdAt + RULES.lifetime + SIGNING) continue;
        await tx.apply({ id }, { type: broken ? "failed" : "send" });
        if (!broken) continue;
        tx.audit({ event: "signature.failed", transaction: id, person, reason: "interrupted" });
      }
      for (const row of await tx.overdueEsigns(SWEEP)) {
        const { id, client, phase, facts } = row;
        if (phase === "waiting") {
          const error = { code: "expired", message: "Nobody signed in time. Begin again." };
          await tx.endEsign({ ...row, phase: "failed", facts: { ...facts, error } });
          tx.audit({ event: "esign.failed", transaction: id, client, code: error.code });
        } else {
          await tx.deleteEsign(id);
          if (phase === "signed") {
            const fetched = facts.fetched ?? false;
            tx.audit({ event: "esign.deleted", transaction: id, client, fetched });
          }
        }
      }
      await tx.forgetAuthorizations();
      await tx.forgetTokens();
      await tx.forgetDocuments();
    });
  }

  async close(): Promise<void> {
    await this.log.settle();
    await this.#database.close();
  }
}
