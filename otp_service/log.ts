/**
 * The audit as a Merkle log (RFC 6962). A transaction commits its lines among the pending ones, without waiting for any other;
 * sealing puts them in order, as leaves of the tree, and signs the tree's root. One sealer works at a time, among all
 * instances; what one leaves behind the next one seals.
 *
 * The end of the log holds the sum of all rows' versions too ({@linkcode RowSeal}), as far as it is sealed: each pending entry
 * holds by how much it changes the sum.
 */
import { getLogger } from "@logtape/logtape";
import { readCheckpointByAny } from "../formats/log/checkpoint.ts";
import { type NoteKey, type NoteSigner, signingKeys } from "../formats/log/note.ts";
import { hashesIn } from "../formats/log/tiles.ts";
import { consistencyProof, type ReadHash, verifyConsistency } from "../formats/log/tree.ts";
import { type AuditEvent, entryOf } from "./audit.ts";
import type { Database, Query } from "./database.ts";
import { LogRows, tileIn } from "./log_rows.ts";
import { type Place, placeOf } from "./place.ts";
import { OTHER, type RowSeal, TamperedError } from "./row_seal.ts";
import { Sealer } from "./sealer.ts";

const log = getLogger(["dsign", "otp-service"]);

/** How long lines are gathered before they are sealed, in milliseconds. */
const GATHER = 5;
/** How long an answer waits for its receipt, in milliseconds. */
const PATIENCE = 200;
/** Lines that wait for longer than this, in milliseconds, are missed. */
const OVERDUE = 60_000;
/** Pending entries that are looked through for such lines. */
const OLDEST = 500;

/** A line of this process: since when it waits, and who waits for its place. */
interface Own {
  readonly since: number;
  found?: (place: Place) => void;
}

/** What goes out with a signature. */
export type Receipted =
  | { receipt: string }
  | { receiptPromise: { promise: string; path: string; due: string } };

export class Log {
  readonly #database: Database;
  readonly rows: LogRows;
  readonly signer: NoteSigner;
  readonly #sealer: Sealer;
  #sealing: Promise<void> | undefined;
  #broken: TamperedError | undefined;
  /** Lines of this process that are not sealed, as far as it knows, by their entries. */
  readonly #own = new Map<string, Own>();

  constructor(database: Database, seal: RowSeal, signer: NoteSigner) {
    this.#database = database;
    this.rows = new LogRows(seal, database.lock);
    this.signer = signer;
    this.#sealer = new Sealer(database, this.rows, signer, (entry, place) => {
      this.#own.get(entry)?.found?.(place);
      this.#own.delete(entry);
    });
  }

  /** Keys by which notes of this log that were filed may be signed, that of its signer first. */
  get keys(): NoteKey[] {
    const { old = [], retired = [] } = this.signer;
    return [...signingKeys(this.signer), ...old, ...retired];
  }

  /** The signed checkpoint of what is sealed; null where nothing is. */
  async checkpoint(): Promise<string | null> {
    return (await this.#database.read((query) => this.rows.head(query))).note;
  }

  /** Lines of this process were committed. They are sealed with the next for which somebody waits, or by the server's timer. */
  committed(lines: readonly string[]): void {
    const since = performance.now();
    for (const line of lines) this.#own.set(entryOf(line).toHex(), { since });
  }

  #sealSoon(): void {
    if (this.#sealing) return;
    this.#sealing = (async () => {
      await new Promise((resolve) => setTimeout(resolve, GATHER));
      let again = false;
      try {
        await this.sealAll();
        again = [...this.#own.values()].some(({ found }) => found);
      } catch (error) {
        // who waits for a receipt gets a promise in its place
        log.error("The audit cannot be sealed now: {message}", {
          message: (error as Error).message,
        });
      }
      this.#sealing = undefined;
      if (again) this.#sealSoon(); // for those who came meanwhile
    })();
  }

  /** @throws {TamperedError} where the audit could not be sealed because of it, and still cannot */
  async checkSealing(): Promise<void> {
    if (this.#broken) await this.sealAll();
  }

  /** Ends the sealing that is under way. */
  async settle(): Promise<void> {
    while (this.#sealing) await this.#sealing;
  }

  /** Seals whatever is pending, of all instances. @throws {TamperedError} */
  async sealAll(): Promise<void> {
    try {
      await this.#sealAll();
      this.#broken = undefined;
    } catch (error) {
      if (error instanceof TamperedError) this.#broken = error;
      throw error;
    }
  }

  async #sealAll(): Promise<void> {
    let began: number;
    do began = performance.now(); while (await this.#sealer.seal());
    await this.#findOwn(began);
  }

  /**
   * How many lines wait longer than promised to be sealed: of this process, and those that another one left, or one that died.
   *
   * @param now milliseconds since 1970
   */
  async overdue(now: number): Promise<number> {
    const late = new Set([...this.#own].filter(isLate).map(([entry]) => entry));
    try {
      const oldest = `SELECT * FROM pending ORDER BY number LIMIT ${OLDEST}`;
      for (const row of await this.#database.read((query) => query(oldest))) {
        for (const line of this.rows.pending(row).lines) {
          if (now - Date.parse(JSON.parse(line).time) > OVERDUE) late.add(entryOf(line).toHex());
        }
      }
    } catch {
      // the database, or whoever changed it, is told of where lines are sealed; this process's are counted all the same
    }
    return late.size;
  }

  /**
   * Checks the log against a checkpoint that was filed elsewhere.
   *
   * @throws {TamperedError} where the log does not go on from it: it was cut, put back, or written anew
   * @throws {FormatError} `log_malformed` where it is not a checkpoint of this log
   */
  async checkFiled(note: string): Promise<void> {
    const filed = readCheckpointByAny(note, this.keys);
    await this.sealAll();
    await this.#database.snapshot(async (query) => {
      const head = await this.rows.head(query);
      if (filed.size > head.seq) {
        throw new TamperedError(
          `The filed checkpoint is of ${filed.size} lines, and the audit has ${head.seq}: it was cut, or a backup restored.`,
        );
      }
      const read = hashesIn((level, number) => tileIn(query, level, number));
      const old = { old: filed.size, size: head.seq, oldRoot: filed.root };
      let follows = filed.size === 0;
      try {
        const proof = follows ? [] : await consistencyProof(read, filed.size, head.seq);
        follows ||= verifyConsistency({ ...old, root: Uint8Array.fromHex(head.hash), proof });
      } catch (error) {
        if (!(error instanceof RangeError)) throw error; // of tiles that are missing
      }
      if (!follows) {
        throw new TamperedError(
          "The audit does not go on from the filed checkpoint: it was written anew.",
        );
      }
    });
  }

  /** Shows that the log of `size` lines goes on from that of `old` lines. */
  async consistency(old: number, size: number): Promise<Uint8Array[]> {
    if (old === 0 || old === size) return [];
    return await consistencyProof(this.#hashes(), old, size);
  }

  /** Seals the end of the log with the current secret. */
  async sealAnew(query: Query): Promise<void> {
    await this.#database.becomeSealer(query);
    await this.rows.write(query, await this.rows.head(query, true));
  }

  /** A stored tile, as far as it is filled. */
  tile(level: number, number: number): Promise<Uint8Array> {
    return this.#database.read((query) => tileIn(query, level, number));
  }

  /** Finds lines of this process that others have sealed, and that it did not see: those that waited before the last sealing. */
  async #findOwn(began: number): Promise<void> {
    const own = [...this.#own].filter(([, { since }]) => since < began);
    if (own.length === 0) return;
    await this.#database.read(async (query) => {
      const rows = await Promise.all(
        own.map(([entry]) => query("SELECT seq FROM audit WHERE entry = $1", entry)),
      );
      if (!rows.some(([row]) => row)) return;
      const head = await this.rows.head(query);
      const read = this.#hashes();
      for (const [i, [entry, { found }]] of own.entries()) {
        const [row] = rows[i];
        if (!row) continue;
        this.#own.delete(entry);
        found?.(placeOf(read, head, row.seq as number));
      }
    });
  }

  /** The hashes of one tree. */
  #hashes(): ReadHash {
    return hashesIn((level, number) => this.tile(level, number));
  }

  /**
   * The receipt of a line of this process.
   *
   * @param patience milliseconds
   * @returns null where it was not sealed in time
   */
  async receipt(line: string, patience: number): Promise<string | null> {
    const own = this.#own.get(entryOf(line).toHex());
    if (!own) return (await this.find(entryOf(line).toHex()))?.receipt ?? null;
    const { promise, resolve } = Promise.withResolvers<Place | null>();
    own.found = resolve;
    this.#sealSoon();
    const timer = setTimeout(() => resolve(null), patience);
    const place = await promise;
    clearTimeout(timer);
    own.found = undefined;
    return place && await place.receipt(line);
  }

  /** The receipt of a line of this process; where it takes too long, a signed promise of it. */
  async receiptFor(line: string): Promise<Receipted> {
    let receipt: string | null = null;
    try {
      receipt = await this.receipt(line, PATIENCE);
    } catch (error) {
      log.error("No receipt now: {message}", { message: (error as Error).message });
    }
    if (receipt !== null) return { receipt };
    const entry = entryOf(line);
    const due = new Date(JSON.parse(line).time);
    due.setTime(due.getTime() + OVERDUE);
    const [{ name }, until] = [this.signer.key, due.toISOString()];
    const text = `dsign receipt promise v1\n${name}\n${entry.toBase64()}\n${until}\n`;
    const path = `/portal/v1/receipts/${entry.toHex()}`;
    return { receiptPromise: { promise: this.signer.sign(text), path, due: until } };
  }

  /** The line that tells of an event of a transaction; null where none is sealed. The whole log may be looked through. */
  async lineOf(event: AuditEvent, transaction: string): Promise<string | null> {
    const found = await this.#database.read((query) =>
      query("SELECT line FROM audit WHERE line LIKE $1", `%"transaction":"${transaction}"%`)
    );
    return found.map(({ line }) => line as string).find((line) => {
      const entry = JSON.parse(line);
      return entry.event === event && entry.transaction === transaction;
    }) ?? null;
  }

  /**
   * The receipt of a sealed line by what the log holds for it, hex; null where there is none (yet).
   *
   * @throws {TamperedError} where the database answers with another line
   */
  async find(entry: string): Promise<{ receipt: string; client?: string } | null> {
    const found = await this.#database.read(async (query) => {
      const [row] = await query("SELECT seq, line FROM audit WHERE entry = $1", entry);
      return row ? { row, head: await this.rows.head(query) } : null;
    });
    if (!found) return null;
    const { row, head } = found;
    const line = row.line as string;
    if (entryOf(line).toHex() !== entry) throw new TamperedError(OTHER);
    const { client } = JSON.parse(line);
    const place = placeOf(this.#hashes(), head, row.seq as number);
    return { receipt: await place.receipt(line), client };
  }

  /**
   * Looks for lines of this process that are neither sealed nor pending.
   *
   * @returns how many wait for longer than promised
   * @throws {TamperedError}
   */
  async checkOwn(): Promise<number> {
    await this.sealAll();
    const late = [...this.#own].filter(isLate);
    if (late.length === 0) return 0;
    const pending = await this.#database.read((query) => query("SELECT lines FROM pending"));
    const known = new Set(
      pending.flatMap(({ lines }) => JSON.parse(lines as string) as string[])
        .map((line) => entryOf(line).toHex()),
    );
    if (late.some(([entry]) => !known.has(entry) && this.#own.has(entry))) {
      throw new TamperedError("A line of the audit was taken out before it was sealed.");
    }
    log.error("{count} lines of the audit wait longer than promised to be sealed.", {
      count: late.length,
    });
    return late.length;
  }
}

const isLate = ([, { since }]: [entry: string, own: Own]) => performance.now() - since > OVERDUE;
