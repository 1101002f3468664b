/**
 * The audit as a Merkle log (RFC 6962). A transaction commits its lines among the pending ones, without waiting for any other;
 * sealing puts them in order, as leaves of the tree, and signs the tree's root. One sealer works at a time, among all
 * instances; what one leaves behind the next one seals.
 *
 * The end of the log holds the sum of all rows' versions too ({@linkcode RowSeal}), as far as it is sealed: each pending entry
 * holds by how much it changes the sum.
 */
import { getLogger } from "@logtape/logtape";
import { formatCheckpoint, formatReceipt, readCheckpoint } from "../formats/log/checkpoint.ts";
import type { NoteSigner } from "../formats/log/note.ts";
import { extend, hashesIn, type ReadTile } from "../formats/log/tiles.ts";
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  rootHash,
  verifyConsistency,
} from "../formats/log/tree.ts";
import { Chain, entryOf } from "./audit.ts";
import type { Database, Query, Row } from "./database.ts";
import { SetupError } from "./error.ts";
import { addLines, contentOf, FIRST, type Head, headOf, keepBorder, tileIn } from "./log_rows.ts";
import { addTo, NO_ROWS, type RowSeal, TamperedError } from "./row_seal.ts";
import { token } from "./secrets.ts";

const log = getLogger(["dsign", "otp-service"]);

/** Transactions that are sealed at once. */
const BATCH = 500;
/** Old lines that are read at a time. */
const PIECE = 1000;
/** How long lines are gathered before they are sealed, in milliseconds. */
const GATHER = 20;
/** How long an answer waits for its receipt, in milliseconds. */
const PATIENCE = 200;
/** Lines that wait for longer than this, in milliseconds, are missed. */
const OVERDUE = 60_000;

/** What a transaction leaves to be sealed. */
export interface Pending {
  readonly lines: readonly string[];
  /** By how much it changes the sum of versions, hex. */
  readonly delta: string;
}

/** A sealed line. */
interface Place {
  index: number;
  receipt(): Promise<string>;
}

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
  readonly #rows: RowSeal;
  readonly #signer: NoteSigner;
  /** The largest tree that this process has seen: the log never goes back behind it. */
  #seen: Head = FIRST;
  /** Tiles at the right border of the tree {@linkcode #seen}, if this process has sealed it. */
  #border = new Map<string, Uint8Array>();
  #sealing: Promise<void> | undefined;
  #broken: TamperedError | undefined;
  /** Lines of this process that are not sealed, as far as it knows, by their entries. */
  readonly #own = new Map<string, Own>();

  constructor(database: Database, rows: RowSeal, signer: NoteSigner) {
    this.#database = database;
    this.#rows = rows;
    this.#signer = signer;
  }

  get signer(): NoteSigner {
    return this.#signer;
  }

  /**
   * The end of the log.
   *
   * @param lock of the rows that are read, for who changes them
   * @throws {TamperedError} where it is not as the service wrote it, or goes back
   */
  async head(query: Query, lock = ""): Promise<Head> {
    const [row] = await query(`SELECT * FROM audit_head WHERE one = 1${lock}`);
    if (row === undefined) throw new TamperedError("The end of the audit is missing.");
    const head = headOf(row);
    if (row.mac === null) {
      const [old] = await query("SELECT id FROM persons WHERE mac IS NULL LIMIT 1");
      if (old || head.seq > 0) {
        throw new SetupError(
          "The database was made before its rows were sealed. Make sure that it is yours and unchanged, " +
            "then take it over: dsign otp-service seal",
        );
      }
      return FIRST;
    }
    this.#rows.checkHead(head.seq, contentOf(head), row.mac);
    return head;
  }

  /** The signed checkpoint of what is sealed; null where nothing is. */
  async checkpoint(): Promise<string | null> {
    return (await this.#database.read((query) => this.head(query))).note;
  }

  /** @throws {TamperedError} where the log was cut, or another one put in its place, since this process saw it */
  #notBehind(head: Head): void {
    const { seq, hash, note } = this.#seen;
    const isOther = note !== null && head.seq === seq && head.hash !== hash;
    if (head.seq < seq || isOther) {
      throw new TamperedError(`The audit was cut back to line ${head.seq}.`);
    }
  }

  /** Writes what a transaction leaves to be sealed. */
  async add(query: Query, { lines, delta }: Pending): Promise<void> {
    const [id, content] = [token().slice(0, 22), [JSON.stringify(lines), delta]];
    await query(
      "INSERT INTO pending (id, lines, delta, mac) VALUES ($1, $2, $3, $4)",
      id,
      ...content,
      this.#rows.seal("pending", id, 0, content),
    );
  }

  /** Checks an entry that is pending. @throws {TamperedError} */
  #pending({ id, lines, delta, mac }: Row): { lines: string[]; delta: Uint8Array } {
    this.#rows.check("pending", id as string, 0, [lines, delta], mac);
    return { lines: JSON.parse(lines as string), delta: Uint8Array.fromHex(delta as string) };
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
        if (error instanceof TamperedError) this.#broken = error;
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
    if (!this.#broken) return;
    await this.sealAll();
    this.#broken = undefined;
  }

  /** Ends the sealing that is under way. */
  async settle(): Promise<void> {
    while (this.#sealing) await this.#sealing;
  }

  /** Seals whatever is pending, of all instances. */
  async sealAll(): Promise<void> {
    while (await this.#seal() === BATCH);
    await this.#findOwn((own) => own[1].found !== undefined || isLate(own));
  }

  /** How many lines of this process wait longer than promised to be sealed. */
  overdue(): number {
    return [...this.#own].filter(isLate).length;
  }

  /** @returns how many transactions were sealed */
  async #seal(): Promise<number> {
    let sealed: { head: Head; border: Map<string, Uint8Array>; places: Map<string, Place> } | null;
    const count = await this.#database.transaction(async (query) => {
      sealed = null;
      await this.#database.becomeSealer(query);
      const [taken, before] = await Promise.all([
        query(
          `DELETE FROM pending WHERE number IN
           (SELECT number FROM pending ORDER BY number LIMIT ${BATCH}) RETURNING *`,
        ),
        this.head(query, this.#database.lock),
      ]);
      const rows = taken.toSorted((a, b) => (a.number as number) - (b.number as number));
      this.#notBehind(before);
      const carried = before.note === null ? await this.#carryOver(query, before) : null;
      if (rows.length === 0 && !carried) {
        if (before.hash !== this.#seen.hash) [this.#seen, this.#border] = [before, new Map()];
        return 0;
      }
      const sum = Uint8Array.fromHex(before.sum);
      const lines: string[] = [];
      for (const row of rows) {
        const pending = this.#pending(row);
        lines.push(...pending.lines);
        addTo(sum, pending.delta);
      }
      const tiles = await this.#tilesOf(query, before, carried);
      const entries = lines.map((line) => entryOf(line));
      const { root, tiles: changed } = await extend(tiles, before.seq, entries.map(leafHash));
      const writes = addLines(
        query,
        lines.map((line, i) => [before.seq + i + 1, line, entries[i].toHex()]),
      );
      const border = new Map(carried ?? this.#border);
      for (const { level, number, hashes } of changed) border.set(`${level}/${number}`, hashes);
      const all = carried
        ? border
        : changed.map((tile) => [`${tile.level}/${tile.number}`, tile.hashes] as const);
      for (const [name, hashes] of all) {
        const [level, number] = name.split("/").map(Number);
        writes.push(query(
          `INSERT INTO tiles (level, number, hashes) VALUES ($1, $2, $3)
           ON CONFLICT (level, number) DO UPDATE SET hashes = $3`,
          level,
          number,
          hashes,
        ));
      }
      const seq = before.seq + lines.length;
      const note = this.#signer.sign(
        formatCheckpoint({ origin: this.#signer.key.name, size: seq, root }),
      );
      const head = { seq, hash: new Uint8Array(root).toHex(), sum: sum.toHex(), note };
      writes.push(this.#write(query, head));
      await Promise.all(writes);
      keepBorder(border, seq);
      const readTile: ReadTile = (level, number) =>
        readTileOf(this.#database, border, level, number);
      const places = new Map(entries.map((entry, i) => {
        const [line, index] = [lines[i], before.seq + i];
        const receipt = () => receiptOf(readTile, { line, index, head });
        return [entry.toHex(), { index, receipt }];
      }));
      sealed = { head, border, places };
      return rows.length;
    });
    if (sealed!) {
      const { head, border, places } = sealed;
      this.#seen = head;
      this.#border = border;
      for (const [entry, place] of places) {
        this.#own.get(entry)?.found?.(place);
        this.#own.delete(entry);
      }
    }
    return count;
  }

  /** Of a tree whose border this process does not know, the tiles in the database must lead to its root. */
  async #tilesOf(
    query: Query,
    head: Head,
    carried: Map<string, Uint8Array> | null,
  ): Promise<ReadTile> {
    if (carried) return (level, number) => Promise.resolve(carried.get(`${level}/${number}`)!);
    const isKnown = head.seq === this.#seen.seq && head.hash === this.#seen.hash;
    if (!isKnown) this.#border = new Map();
    const read: ReadTile = async (level, number) => {
      const name = `${level}/${number}`;
      const known = this.#border.get(name);
      if (known) return known;
      const hashes = await tileIn(query, level, number);
      this.#border.set(name, hashes);
      return hashes;
    };
    if (!isKnown || this.#border.size === 0) await this.#checkRoot(read, head);
    return read;
  }

  async #checkRoot(read: ReadTile, { seq, hash }: Head): Promise<void> {
    let root: Uint8Array;
    try {
      root = await rootHash(hashesIn(read), seq);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new TamperedError("The audit's tiles are not as the service wrote them.");
    }
    if (new Uint8Array(root).toHex() !== hash) {
      throw new TamperedError("The audit's tiles do not lead to its signed root.");
    }
  }

  /** The lines of a chain become the first leaves of the tree. Its end was checked by its seal. */
  async #carryOver(query: Query, { seq, hash }: Head): Promise<Map<string, Uint8Array>> {
    const tiles = new Map<string, Uint8Array>();
    const chain = new Chain();
    for (let at = 0; at < seq; at += PIECE) {
      const rows = await query(
        "SELECT line FROM audit WHERE seq > $1 AND seq <= $2 ORDER BY seq",
        at,
        Math.min(at + PIECE, seq),
      );
      if (rows.length !== Math.min(PIECE, seq - at)) {
        throw new TamperedError("Lines of the audit are missing.");
      }
      for (const [i, { line }] of rows.entries()) {
        const problem = chain.follow(line as string, at + i + 1);
        if (problem) throw new TamperedError(problem);
      }
      const leaves = rows.map(({ line }) => leafHash(entryOf(line as string)));
      const read: ReadTile = (level, number) => Promise.resolve(tiles.get(`${level}/${number}`)!);
      const { tiles: changed } = await extend(read, at, leaves);
      for (const { level, number, hashes } of changed) tiles.set(`${level}/${number}`, hashes);
    }
    if (chain.hash !== hash) throw new TamperedError("The audit's last line was changed.");
    return tiles;
  }

  /**
   * Checks the log against a checkpoint that was filed elsewhere.
   *
   * @throws {TamperedError} where the log does not go on from it: it was cut, put back, or written anew
   * @throws {FormatError} `log_malformed` where it is not a checkpoint of this log
   */
  async checkFiled(note: string): Promise<void> {
    const filed = readCheckpoint(note, this.#signer.key);
    await this.sealAll();
    await this.#database.snapshot(async (query) => {
      const head = await this.head(query);
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
    return await consistencyProof(hashesIn((level, number) => this.tile(level, number)), old, size);
  }

  /** By how much the pending entries change the sum of versions. */
  async pendingSum(query: Query): Promise<Uint8Array> {
    const sum = Uint8Array.fromHex(NO_ROWS);
    for (const row of await query("SELECT * FROM pending")) {
      addTo(sum, this.#pending(row).delta);
    }
    return sum;
  }

  /** Goes on from the end of the log as it stands, whoever wrote it, with another sum. */
  async startAnew(query: Query, sum: string): Promise<void> {
    const [row] = await query(`SELECT * FROM audit_head WHERE one = 1${this.#database.lock}`);
    await this.#write(query, { ...headOf(row), sum });
  }

  /** Seals the end of the log with the current secret. */
  async sealAnew(query: Query): Promise<void> {
    await this.#database.becomeSealer(query);
    await this.#write(query, await this.head(query, this.#database.lock));
  }

  /** A stored tile, as far as it is filled. */
  tile(level: number, number: number): Promise<Uint8Array> {
    return this.#database.read((query) => tileIn(query, level, number));
  }

  /** Writes the end of the log. */
  async #write(query: Query, head: Head): Promise<void> {
    const { seq, hash, sum, note } = head;
    await query(
      "UPDATE audit_head SET seq = $1, hash = $2, row_sum = $3, note = $4, mac = $5",
      seq,
      hash,
      sum,
      note,
      this.#rows.seal("audit_head", "1", seq, contentOf(head)),
    );
  }

  /** What another instance has sealed for this one. */
  async #findOwn(which: (own: [entry: string, Own]) => boolean): Promise<void> {
    const own = [...this.#own].filter(which);
    if (own.length === 0) return;
    await this.#database.read(async (query) => {
      const rows = await Promise.all(
        own.map(([entry]) => query("SELECT seq, line FROM audit WHERE entry = $1", entry)),
      );
      if (!rows.some(([row]) => row)) return;
      const head = await this.head(query);
      const read = this.#tilesOnce();
      for (const [i, [entry, { found }]] of own.entries()) {
        const [row] = rows[i];
        if (!row) continue;
        this.#own.delete(entry);
        found?.(placeOf(read, head, row));
      }
    });
  }

  /** Reads each stored tile once. */
  #tilesOnce(): ReadTile {
    const tiles = new Map<string, Promise<Uint8Array>>();
    return (level, number) =>
      tiles.getOrInsertComputed(`${level}/${number}`, () => this.tile(level, number));
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
    return place && await place.receipt();
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
    const [{ name }, until] = [this.#signer.key, due.toISOString()];
    const text = `dsign receipt promise v1\n${name}\n${entry.toBase64()}\n${until}\n`;
    const path = `/portal/v1/receipts/${entry.toHex()}`;
    return { receiptPromise: { promise: this.#signer.sign(text), path, due: until } };
  }

  /** The receipt of a sealed line by what the log holds for it, hex; null where there is none (yet). */
  async find(entry: string): Promise<{ receipt: string; client?: string } | null> {
    const place = await this.#database.read(async (query) => {
      const [row] = await query("SELECT seq, line FROM audit WHERE entry = $1", entry);
      return row ? { row, ...placeOf(this.#tilesOnce(), await this.head(query), row) } : null;
    });
    if (!place) return null;
    const { client } = JSON.parse(place.row.line as string);
    return { receipt: await place.receipt(), client };
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

const readTileOf = async (
  database: Database,
  known: ReadonlyMap<string, Uint8Array>,
  level: number,
  number: number,
): Promise<Uint8Array> =>
  known.get(`${level}/${number}`) ??
    await database.read((query) => tileIn(query, level, number));

const isLate = ([, { since }]: [entry: string, own: Own]) => performance.now() - since > OVERDUE;

function placeOf(read: ReadTile, head: Head, row: Row): Place {
  const [line, index] = [row.line as string, (row.seq as number) - 1];
  return { index, receipt: () => receiptOf(read, { line, index, head }) };
}

async function receiptOf(
  read: ReadTile,
  { line, index, head }: { line: string; index: number; head: Head },
): Promise<string> {
  const proof = await inclusionProof(hashesIn(read), index, head.seq);
  return formatReceipt({ line, index, proof, checkpoint: head.note! });
}
