/**
 * Seals the log: takes what is pending, in its order, as leaves of the tree, and signs the tree's root. One works at a time,
 * among all instances; what one leaves behind the next one seals.
 */
import { formatCheckpoint } from "../formats/log/checkpoint.ts";
import { FormatError } from "../formats/error.ts";
import { type NoteSigner, type OpenedNote, openNote, signingKeys } from "../formats/log/note.ts";
import { extend, hashesIn, type ReadTile } from "../formats/log/tiles.ts";
import { leafHash, rootHash } from "../formats/log/tree.ts";
import { Chain, entryOf } from "./audit.ts";
import type { Database, Query } from "./database.ts";
import { addLines, FIRST, type Head, keepBorder, type LogRows, tileIn } from "./log_rows.ts";
import { type Place, receiptOf } from "./place.ts";
import { addTo, TamperedError } from "./row_seal.ts";

/** Transactions that are sealed at once. */
const BATCH = 500;
/** Old lines that are read at a time. */
const PIECE = 1000;

/** Result of one sealing. */
export interface Sealed {
  /** Whether more may be pending. */
  isFull: boolean;
  /** Places of the lines, by their entries in hex. */
  places: ReadonlyMap<string, Place>;
}

export class Sealer {
  readonly #database: Database;
  readonly #rows: LogRows;
  readonly #signer: NoteSigner;
  /** The largest tree that this process has seen: the log never goes back behind it. */
  #seen: Head = FIRST;
  /** Tiles at the right border of the tree {@linkcode #seen}, if this process has sealed it. */
  #border = new Map<string, Uint8Array>();

  constructor(database: Database, rows: LogRows, signer: NoteSigner) {
    this.#database = database;
    this.#rows = rows;
    this.#signer = signer;
  }

  /** Seals what is pending, as much as one transaction holds. */
  async seal(): Promise<Sealed> {
    let sealed: { head: Head; border: Map<string, Uint8Array>; places: Map<string, Place> } | null;
    const count = await this.#database.transaction(async (query) => {
      sealed = null;
      await this.#database.becomeSealer(query);
      const [taken, before] = await Promise.all([
        query(
          `DELETE FROM pending WHERE number IN
           (SELECT number FROM pending ORDER BY number LIMIT ${BATCH}) RETURNING *`,
        ),
        this.#rows.head(query, true),
      ]);
      const rows = taken.toSorted((a, b) => (a.number as number) - (b.number as number));
      const isSigned = this.#check(before);
      const carried = before.note === null ? await carryOver(query, before) : null;
      const known = carried ?? await this.#borderOf(query, before);
      if (rows.length === 0 && !carried && isSigned) {
        [this.#seen, this.#border] = [before, known];
        return 0;
      }
      const sum = Uint8Array.fromHex(before.sum);
      const lines: string[] = [];
      for (const row of rows) {
        const pending = this.#rows.pending(row);
        lines.push(...pending.lines);
        addTo(sum, pending.delta);
      }
      const entries = lines.map((line) => entryOf(line));
      const { root, tiles: changed } = await whole(() =>
        extend(
          (level, number) => Promise.resolve(known.get(`${level}/${number}`)!),
          before.seq,
          entries.map(leafHash),
        )
      );
      const added = addLines(
        query,
        lines.map((line, i) => [before.seq + i + 1, line, entries[i].toHex()]),
      );
      const writes: Promise<unknown>[] = [...added];
      const border = new Map(known);
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
      writes.push(this.#rows.write(query, head));
      await Promise.all(writes);
      if ((await Promise.all(added)).flat().length < lines.length) {
        throw new TamperedError(
          "Among the pending entries of the audit one is sealed already: somebody brought it back.",
        );
      }
      keepBorder(border, seq);
      const read = hashesIn((level, number) => readTileOf(this.#database, border, level, number));
      const places = new Map(entries.map((entry, i) => {
        const [line, index] = [lines[i], before.seq + i];
        const receipt = () => receiptOf(read, { line, index, head });
        return [entry.toHex(), { index, receipt }];
      }));
      sealed = { head, border, places };
      return rows.length;
    });
    if (!sealed!) return { isFull: false, places: new Map() };
    [this.#seen, this.#border] = [sealed.head, sealed.border];
    return { isFull: count === BATCH, places: sealed.places };
  }

  /**
   * Checks the end of the log, which somebody may have written who has the service's secret, but not the log's key.
   *
   * @returns whether it is signed with all keys of the signer
   * @throws {TamperedError} where the log was cut since this process saw it, or its end is not what the log's key signed
   */
  #check(head: Head): boolean {
    const { seq, hash, note } = head;
    if (seq < this.#seen.seq || (note === null && this.#seen.note !== null)) {
      throw new TamperedError(`The audit was cut back to line ${seq}.`);
    }
    if (note === null || (this.#isSeen(head) && note === this.#seen.note)) return true;
    const keys = signingKeys(this.#signer);
    let signed: OpenedNote;
    try {
      signed = openNote(note, [...keys, ...this.#signer.old ?? []]);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new TamperedError(
        "The end of the audit is not signed by the log's key. If an instance runs with another key, give it the same " +
          "file (logKeyFile) and restart it; else somebody wrote another log.",
      );
    }
    const root = Uint8Array.fromHex(hash);
    if (signed.text !== formatCheckpoint({ origin: this.#signer.key.name, size: seq, root })) {
      throw new TamperedError("The end of the audit is not what its checkpoint was signed for.");
    }
    return keys.every((key) => signed.signatures.some((each) => each.key === key));
  }

  #isSeen({ seq, hash }: Head): boolean {
    return seq === this.#seen.seq && hash === this.#seen.hash;
  }

  /** Of a tree whose border this process does not know, the tiles in the database must lead to its root. */
  async #borderOf(query: Query, head: Head): Promise<Map<string, Uint8Array>> {
    const isKnown = this.#isSeen(head);
    if (isKnown && this.#border.size > 0) return this.#border;
    const border = new Map<string, Uint8Array>();
    const read: ReadTile = async (level, number) => {
      const name = `${level}/${number}`;
      const known = border.get(name);
      if (known) return known;
      const hashes = await tileIn(query, level, number);
      border.set(name, hashes);
      return hashes;
    };
    await checkRoot(read, head);
    // and this process has seen the first of its lines
    if (!isKnown && this.#seen.seq > 0) await checkRoot(read, this.#seen);
    return border;
  }
}

/** Does something with tiles. @throws {TamperedError} where they hold more or less than they should */
async function whole<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TamperedError("The audit's tiles are not as the service wrote them.");
  }
}

async function checkRoot(read: ReadTile, { seq, hash }: Head): Promise<void> {
  const root = await whole(() => rootHash(hashesIn(read), seq));
  if (new Uint8Array(root).toHex() !== hash) {
    throw new TamperedError("The audit's tiles do not lead to its signed root.");
  }
}

/** The lines of a chain become the first leaves of the tree. Its end was checked by its seal. */
async function carryOver(
  query: Query,
  { seq, hash }: Head,
): Promise<Map<string, Uint8Array>> {
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

const readTileOf = async (
  database: Database,
  known: ReadonlyMap<string, Uint8Array>,
  level: number,
  number: number,
): Promise<Uint8Array> =>
  known.get(`${level}/${number}`) ??
    await database.read((query) => tileIn(query, level, number));
