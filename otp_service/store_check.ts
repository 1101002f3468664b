/** The database as a whole: whether its rows are as the service left them, and how an older one is taken over. */
import { FRESH, type Guard } from "./authorize.ts";
import type { Query, Row, Value } from "./database.ts";
import { COUNTED, type Counted, counts, NO_ROWS, type RowSeal, TamperedError } from "./row_seal.ts";
import { sha256 } from "./secrets.ts";
import { type EsignBytes, hashesOf } from "./store_esigns.ts";

/** Of each table: the column of the id, what its seal covers, and the columns for that if not all are. */
export const TABLES: Readonly<
  Record<Counted, { id: string; content(row: Row): Value[]; columns?: string }>
> = {
  persons: { id: "id", content: named("data", "guard", "pin", "locked", "epoch") },
  credentials: { id: "id", content: named("person", "data") },
  transactions: {
    id: "id",
    content: named(
      ...["person", "client", "credential", "phase", "sad", "used", "state", "facts", "expires"],
    ),
  },
  tokens: { id: "hash", content: named("kind", "family", "data", "expires") },
  esigns: {
    id: "id",
    content: named("client", "phase", "facts", "expires", "hashes"),
    columns: "id, client, phase, facts, expires, hashes, version, mac", // documents are large
  },
  certificates: {
    id: "serial",
    content: (row) => [
      row.person,
      row.transaction_id,
      sha256(row.der as Uint8Array),
      row.not_after,
      row.revoked_at,
      row.reason,
    ],
  },
};

function named(...names: string[]): (row: Row) => Value[] {
  return (row) => names.map((name) => row[name]);
}

/** Rows that are read at a time. */
const PIECE = 1000;

async function* rowsOf(
  query: Query,
  table: Counted,
  columns = "*",
  where = "TRUE",
): AsyncGenerator<Row> {
  const { id } = TABLES[table];
  for (let last = "";;) {
    const rows = await query(
      `SELECT ${columns} FROM ${table} WHERE ${id} > $1 AND ${where} ORDER BY ${id} LIMIT ${PIECE}`,
      last,
    );
    yield* rows;
    if (rows.length < PIECE) return;
    last = rows.at(-1)![id] as string;
  }
}

/** The sum of all versions, as the end of the audit should hold it. */
export async function sumOf(query: Query, seal: RowSeal): Promise<string> {
  const sum = Uint8Array.fromHex(NO_ROWS);
  for (const table of COUNTED) {
    const { id } = TABLES[table];
    const where = `version > ${counts(table, 1) ? 0 : 1}`;
    for await (const row of rowsOf(query, table, `${id}, version, mac`, where)) {
      seal.toggle(sum, table, row[id] as string, row.version as number, row.mac);
    }
  }
  return sum.toHex();
}

/** @throws {TamperedError} at the first row whose seal is not good */
export async function checkRows(query: Query, seal: RowSeal): Promise<void> {
  for (const table of COUNTED) {
    const { id, content, columns } = TABLES[table];
    for await (const row of rowsOf(query, table, columns)) {
      seal.check(table, row[id] as string, row.version as number, content(row), row.mac);
    }
  }
}

/**
 * Seals the rows of a database that was made before rows were sealed. In any other a row without a seal is a stranger's.
 *
 * @returns how many
 * @throws {TamperedError} at a row whose seal is not good
 */
export async function sealRows(query: Query, seal: RowSeal): Promise<number> {
  const [{ mac }] = await query("SELECT mac FROM audit_head WHERE one = 1");
  if (mac !== null) {
    await checkRows(query, seal);
    return 0;
  }
  // Tokens and transactions from before rows were sealed end here.
  await query("DELETE FROM tokens");
  await query("DELETE FROM transactions");
  let count = 0;
  for (const table of COUNTED) {
    const { id, content } = TABLES[table];
    for await (const old of rowsOf(query, table)) {
      const key = old[id] as string;
      if (old.mac !== null) throw new TamperedError(`The row ${table} ${key} has a seal already.`);
      const more: Row = table === "persons"
        ? { guard: guardOf(old) }
        : table === "esigns"
        ? { hashes: hashesOf(old as unknown as EsignBytes) }
        : {};
      const changed = Object.entries(more);
      await query(
        `UPDATE ${table} SET version = 1, mac = $2${
          changed.map(([name], i) => `, ${name} = $${i + 3}`).join("")
        } WHERE ${id} = $1`,
        key,
        seal.seal(table, key, 1, content({ ...old, ...more })),
        ...changed.map(([, value]) => value),
      );
      count++;
    }
  }
  return count;
}

/** Wrong PINs were counted alone. */
function guardOf({ guard }: Row): string {
  const { pinTries, generations, totpStep } = JSON.parse(guard as string);
  const answers = { ...FRESH.answers, paid: pinTries };
  return JSON.stringify({ ...FRESH, answers, generations, totpStep } satisfies Guard);
}
