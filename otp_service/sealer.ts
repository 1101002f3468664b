/**
 * Seals the log: takes what is pending, in its order, as leaves of the tree, and signs the tree's root. One works at a time,
 * among all instances; what one leaves behind the next one seals.
 */
import { formatCheckpoint } from "../formats/log/checkpoint.ts";
import { FormatError } from "../formats/error.ts";
import { type NoteSigner, type OpenedNote, openNote, signingKeys } from "../formats/log/note.ts";
import { extend, hashesIn, lastTiles, type Nodes, type ReadTile } from "../formats/log/tiles.ts";
import { leafHash, type ReadHash, rootHash } from "../formats/log/tree.ts";
import { Chain, entryOf } from "./audit.ts";
import type { Database, Query } from "./database.ts";
import { addLines, FIRST, type Head, lastTilesUnless, type LogRows, tileIn } from "./log_rows.ts";
import { type Place, placeOf } from "./place.ts";
import { addTo, TamperedError } from "./row_seal.ts";

/** Transactions that are sealed at once. */
const BATCH = 500;
/** Old lines that are read at a time. */
const PIECE = 1000;

/** All of a tree that is needed to go on from its end. */
interface Border {
  /** The tiles that are not full, by level and number. */
  tiles: ReadonlyMap<string, Uint8Array>;
  nodes: Nodes;
}

export class Sealer {
  readonly #database: Database;
  readonly #rows: LogRows;
  readonly #signer: NoteSigner;
  readonly #placed: (entry: string, place: Place) => void;
  /** The largest tree that this process has seen: the log never goes back behind it. */
  #seen: Head = FIRST;
  #border: Border = { tiles: new Map(), nodes: new Map() };

  /** @param placed is told the places of sealed lines by their entries in hex, whichever instance sealed them */
  constructor(
    database: Database,
    rows: LogRows,
    signer: NoteSigner,
    placed: (entry: string, place: Place) => void,
  ) {
    this.#database = database;
    this.#rows = rows;
    this.#signer = signer;
    this.#placed = placed;
  }

  /**
   * Seals what is pending, as much as one transaction holds.
   *
   * @returns whether more may be pending
   */
  async seal(): Promise<boolean> {
    let end: { head: Head; border: Border };
    let places: Map<string, Place>;
    const count = await this.#database.transaction(async (query) => {
      places = new Map();
      const seen = this.#seen.seq;
      // Sent together, so that the others wait for nothing but the server while it is this one's turn.
      const [, taken, before, tiles, others] = await Promise.all([
        this.#database.becomeSealer(query),
        query(
          `DELETE FROM pending WHERE number IN
           (SELECT number FROM pending ORDER BY number LIMIT ${BATCH}) RETURNING *`,
        ),
        this.#rows.head(query, true),
        lastTilesUnless(query, seen),
        query(`SELECT seq, entry FROM audit WHERE seq > $1 ORDER BY seq LIMIT ${BATCH}`, seen),
      ]);
      const isSigned = this.#check(before);
      const carried = before.note === null ? await carryOver(query, before) : null;
      const known: Border = carried
        ? { tiles: carried, nodes: new Map() }
        : await this.#borderOf(query, before, tiles);
      // who waits for what another instance has sealed need not wait for this sealing
      const there = this.#hashes({ ...known, nodes: new Map(known.nodes) });
      for (const { seq, entry } of others) {
        if (entry !== null) this.#placed(entry as string, placeOf(there, before, seq as number));
      }
      if (taken.length === 0 && !carried && isSigned) {
        end = { head: before, border: known };
        return 0;
      }
      const sum = Uint8Array.fromHex(before.sum);
      const lines: string[] = [];
      for (const row of taken.toSorted((a, b) => (a.number as number) - (b.number as number))) {
        const pending = this.#rows.pending(row);
        lines.push(...pending.lines);
        addTo(sum, pending.delta);
      }
      const entries = lines.map((line) => entryOf(line));
      const grown = { tiles: new Map(known.tiles), nodes: new Map(known.nodes) };
      const { root, tiles: changed } = await whole(() =>
        extend(
          (level, number) => Promise.resolve(known.tiles.get(`${level}/${number}`)!),
          before.seq,
          entries.map(leafHash),
          grown.nodes,
        )
      );
      const added = addLines(
        query,
        lines.map((line, i) => [before.seq + i + 1, line, entries[i].toHex()]),
      );
      const writes: Promise<unknown>[] = [...added];
      for (const { level, number, hashes } of changed) {
        grown.tiles.set(`${level}/${number}`, hashes);
      }
      const all = carried
        ? grown.tiles
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
      const read = this.#hashes(grown);
      for (const [i, entry] of entries.entries()) {
        places.set(entry.toHex(), placeOf(read, head, before.seq + i + 1));
      }
      end = { head, border: keep(grown, lastTiles(seq), known) };
      return taken.length;
    });
    [this.#seen, this.#border] = [end!.head, end!.border];
    for (const [entry, place] of places!) this.#placed(entry, place);
    return count === BATCH;
  }

  /** The hashes of one tree, of whose tiles some are known. */
  #hashes({ tiles, nodes }: Border): ReadHash {
    return hashesIn(
      async (level, number) =>
        tiles.get(`${level}/${number}`) ??
          await this.#database.read((query) => tileIn(query, level, number)),
      nodes,
    );
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

  /**
   * What is needed to go on from the end of the log.
   *
   * @param tiles those at the end that are not full; must lead to its root, unless this process has sealed it
   */
  async #borderOf(
    query: Query,
    head: Head,
    tiles: ReadonlyMap<string, Uint8Array>,
  ): Promise<Border> {
    if (this.#isSeen(head)) return this.#border;
    const read: ReadTile = async (level, number) =>
      tiles.get(`${level}/${number}`) ?? await tileIn(query, level, number);
    // the hashes that this process has made are those of the tree, if its tiles only grew
    const grew = [...this.#border.tiles].every(([name, known]) =>
      known.every((byte, i) => byte === tiles.get(name)?.[i])
    );
    const nodes = new Map(grew ? this.#border.nodes : []);
    await checkRoot(hashesIn(read, nodes), head);
    // other tiles may have begun since: the tree that this process has seen must be the beginning all the same
    if (!grew) await checkRoot(hashesIn(read), this.#seen);
    return { tiles, nodes };
  }
}

/** Keeps of a tree what is needed to go on from its end. Once other tiles are the last ones, what was below them is not. */
function keep({ tiles, nodes }: Border, last: Iterable<string>, before: Border): Border {
  const kept = new Map([...last].map((name) => [name, tiles.get(name)!]));
  const isSame = [...kept.keys()].every((name) => before.tiles.has(name));
  return { tiles: kept, nodes: isSame ? nodes : new Map() };
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

async function checkRoot(read: ReadHash, { seq, hash }: Head): Promise<void> {
  const root = await whole(() => rootHash(read, seq));
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
