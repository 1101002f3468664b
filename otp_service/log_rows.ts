/** Rows of the audit's log: its end, lines and tiles. */
import type { Query, Row, Value } from "./database.ts";
import { NO_ROWS } from "./row_seal.ts";

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

/** Adds sealed lines: number, line, entry. */
export function addLines(query: Query, lines: readonly Value[][]): Promise<unknown>[] {
  const writes: Promise<unknown>[] = [];
  for (let at = 0; at < lines.length;) {
    const count = TOGETHER.find((each) => each <= lines.length - at)!;
    const places = Array.from(
      { length: count },
      (_, i) => `($${i * 3 + 1}, $${i * 3 + 2}, $${i * 3 + 3})`,
    );
    writes.push(query(
      `INSERT INTO audit (seq, line, entry) VALUES ${places.join(", ")}`,
      ...lines.slice(at, at + count).flat(),
    ));
    at += count;
  }
  return writes;
}

export const headOf = (row: Row): Head => ({
  seq: row.seq as number,
  hash: row.hash as string,
  sum: row.row_sum as string,
  note: row.note as string | null,
});

/** What the seal of the end covers. Of one that was written by a version before, the note is missing. */
export const contentOf = ({ hash, sum, note }: Head) =>
  note === null ? [hash, sum] : [hash, sum, note];

/** A stored tile, as far as it is filled. */
export async function tileIn(query: Query, level: number, number: number): Promise<Uint8Array> {
  const [row] = await query(
    "SELECT hashes FROM tiles WHERE level = $1 AND number = $2",
    level,
    number,
  );
  return row ? new Uint8Array(row.hashes as Uint8Array) : new Uint8Array();
}

/** Only the last tile of each level is needed to go on. */
export function keepBorder(tiles: Map<string, Uint8Array>, size: number): void {
  const last = new Map<number, number>();
  for (const [name] of tiles) {
    const [level, number] = name.split("/").map(Number);
    last.set(level, Math.max(last.get(level) ?? 0, number));
  }
  for (const [name] of tiles) {
    const [level, number] = name.split("/").map(Number);
    if (number < last.get(level)! - 1 || size === 0) tiles.delete(name);
  }
}
