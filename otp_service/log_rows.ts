/** Rows of the audit's log: its end, lines, tiles, and what is pending. */
import type { Database, Query, Row, Value } from "./database.ts";
import { SetupError } from "./error.ts";
import { addTo, NO_ROWS, type RowSeal, TamperedError } from "./row_seal.ts";
import { token } from "./secrets.ts";

/** Lines of one INSERT; each length is a statement of its own for the database. */
const TOGETHER = [16, 4, 1];

/** The end of the log. */
export interface Head {
  /** Number of sealed lines. */
  readonly seq: number;
  /** The tree's root, hex; in a log that is a chain still, the hash of its last line. */
  readonly hash: string;
  /** Of the rows' versions. */
  readonly sum: string;
  /** The signed checkpoint; null where nothing was sealed yet, or by a version before. */
  readonly note: string | null;
}

/** The end of a log without lines. */
export const FIRST: Head = { seq: 0, hash: NO_ROWS, sum: NO_ROWS, note: null };

/**
 * Adds sealed lines: number, line, entry.
 *
 * @returns as many rows as lines were added: one that stands there already is not added again
 */
export function addLines(query: Query, lines: readonly Value[][]): Promise<Row[]>[] {
  const writes: Promise<Row[]>[] = [];
  for (let at = 0; at < lines.length;) {
    const count = TOGETHER.find((each) => each <= lines.length - at)!;
    const places = Array.from(
      { length: count },
      (_, i) => `($${i * 3 + 1}, $${i * 3 + 2}, $${i * 3 + 3})`,
    );
    writes.push(query(
      `INSERT INTO audit (seq, line, entry) VALUES ${places.join(", ")}
       ON CONFLICT (entry) DO NOTHING RETURNING seq`,
      ...lines.slice(at, at + count).flat(),
    ));
    at += count;
  }
  return writes;
}

const headOf = (row: Row): Head => ({
  seq: row.seq as number,
  hash: row.hash as string,
  sum: row.row_sum as string,
  note: row.note as string | null,
});

/** What the seal of the end covers. Of one that was written by a version before, the note is missing. */
const contentOf = ({ hash, sum, note }: Head) => note === null ? [hash, sum] : [hash, sum, note];

/** A stored tile, as far as it is filled. */
export async function tileIn(query: Query, level: number, number: number): Promise<Uint8Array> {
  const [row] = await query(
    "SELECT hashes FROM tiles WHERE level = $1 AND number = $2",
    level,
    number,
  );
  return row ? new Uint8Array(row.hashes as Uint8Array) : new Uint8Array();
}

/** The tiles at the log's end that are not full; none of a log that ends at line `seq`, which are known. */
export async function lastTilesUnless(query: Query, seq: number): Promise<Map<string, Uint8Array>> {
  const rows = await query(
    `SELECT tiles.level, tiles.number, tiles.hashes
     FROM audit_head JOIN (VALUES (0), (1), (2), (3), (4), (5), (6)) AS levels ON audit_head.seq <> $1
     JOIN tiles ON tiles.level = levels.column1
       AND tiles.number = audit_head.seq >> (8 * (levels.column1 + 1))`,
    seq,
  );
  return new Map(rows.map(({ level, number, hashes }) => [
    `${level}/${number}`,
    new Uint8Array(hashes as Uint8Array),
  ]));
}

/** What a transaction leaves to be sealed. */
export interface Pending {
  readonly lines: readonly string[];
  /** By how much it changes the sum of versions, hex. */
  readonly delta: string;
}

/** The sealed rows of the log. */
export class LogRows {
  readonly #seal: RowSeal;
  readonly #lock: Database["lock"];

  /** @param lock of rows that are read to be changed */
  constructor(seal: RowSeal, lock: Database["lock"]) {
    this.#seal = seal;
    this.#lock = lock;
  }

  /**
   * The end of the log.
   *
   * @param changes whether it is read to be changed
   * @throws {TamperedError} where it is not as the service wrote it, or goes back
   * @throws {SetupError} where it was sealed with a secret that is not known here
   */
  async head(query: Query, changes = false): Promise<Head> {
    const [row] = await query(`SELECT * FROM audit_head WHERE one = 1${changes ? this.#lock : ""}`);
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
    // not a sign of tampering: it goes on when the file is there
    if (!this.#seal.knows(row.mac)) {
      throw new SetupError(
        "The end of the audit was sealed with another secret than those in the secret file. " +
          "If the secret was rotated, copy the file to this machine.",
      );
    }
    this.#seal.checkHead(head.seq, contentOf(head), row.mac);
    return head;
  }

  /** Writes what a transaction leaves to be sealed. */
  async add(query: Query, { lines, delta }: Pending): Promise<void> {
    const [id, content] = [token().slice(0, 22), [JSON.stringify(lines), delta]];
    await query(
      "INSERT INTO pending (id, lines, delta, mac) VALUES ($1, $2, $3, $4)",
      id,
      ...content,
      this.#seal.seal("pending", id, 0, content),
    );
  }

  /** Checks an entry that is pending. @throws {TamperedError} */
  pending({ id, lines, delta, mac }: Row): { lines: string[]; delta: Uint8Array } {
    this.#seal.check("pending", id as string, 0, [lines, delta], mac);
    return { lines: JSON.parse(lines as string), delta: Uint8Array.fromHex(delta as string) };
  }

  /** By how much the pending entries change the sum of versions. */
  async pendingSum(query: Query): Promise<Uint8Array> {
    const sum = Uint8Array.fromHex(NO_ROWS);
    for (const row of await query("SELECT * FROM pending")) {
      addTo(sum, this.pending(row).delta);
    }
    return sum;
  }

  /** Writes the end of the log. */
  async write(query: Query, head: Head): Promise<void> {
    const { seq, hash, sum, note } = head;
    await query(
      "UPDATE audit_head SET seq = $1, hash = $2, row_sum = $3, note = $4, mac = $5",
      seq,
      hash,
      sum,
      note,
      this.#seal.seal("audit_head", "1", seq, contentOf(head)),
    );
  }

  /** Goes on from the end of the log as it stands, whoever wrote it, with another sum. */
  async startAnew(query: Query, sum: string): Promise<void> {
    const [row] = await query(`SELECT * FROM audit_head WHERE one = 1${this.#lock}`);
    await this.write(query, { ...headOf(row), sum });
  }
}
