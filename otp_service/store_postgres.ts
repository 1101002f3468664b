/** The store's database in PostgreSQL: for several instances of the service behind a balancer. */
import postgres from "postgres";
import { type Database, MIGRATIONS, type Query, type Row, type Value } from "./database.ts";
import { SetupError } from "./error.ts";

/** Connections of one instance. */
const CONNECTIONS = 10;
/** Any number that no other program uses: only one instance brings the schema up to date. */
const MIGRATION_LOCK = 7_791_2026;
/** deadlock_detected, serialization_failure: PostgreSQL undid everything, and asks to try again. */
const AGAIN = ["40P01", "40001"];
const TRIES = 5;

const APPEND_ONLY = [
  `CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
   $$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$`,
  `CREATE OR REPLACE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
   FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()`,
];

/**
 * Connects and brings the schema up to date.
 *
 * @param url as `postgres://user@host:5432/database`
 * @throws {SetupError} where it cannot be reached, or was made by a later version
 */
export async function openPostgres(url: string): Promise<Database> {
  const sql = postgres(url, {
    max: CONNECTIONS,
    connect_timeout: 10,
    onnotice: () => {},
    // BIGINT: times in milliseconds and counters, far below 2^53
    types: { number: { to: 20, from: [20], parse: Number, serialize: String } },
  });
  try {
    await migrate(sql);
  } catch (error) {
    await sql.end();
    if (error instanceof SetupError) throw error;
    throw new SetupError(`The database cannot be used: ${(error as Error).message}`);
  }
  const through =
    (connection: Pick<postgres.Sql, "unsafe">): Query => async (statement, ...values) =>
      await connection.unsafe(statement, values.map(storable), {
        prepare: true,
      }) as unknown as Row[];
  return {
    lock: " FOR UPDATE",
    read: (work) => work(through(sql)),
    async transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
      for (let attempt = 1;; attempt++) {
        try {
          return await sql.begin((connection) => work(through(connection))) as T;
        } catch (error) {
          const again = AGAIN.includes((error as { code?: string }).code ?? "");
          if (!again || attempt === TRIES) throw error;
        }
      }
    },
    close: () => sql.end(),
  };
}

/** PostgreSQL refuses NUL in a text: whoever asks for such a name is to find nothing, not an error. */
const storable = (value: Value) =>
  typeof value === "string" ? value.replaceAll("\0", "\uFFFD") : value;

async function migrate(sql: postgres.Sql): Promise<void> {
  await sql.begin(async (connection) => {
    await connection`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`;
    await connection`CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)`;
    const [row] = await connection`SELECT version FROM schema_version`;
    const version = Number(row?.version ?? 0);
    if (version > MIGRATIONS.length) {
      throw new SetupError("The database was made by a later version of this program.");
    }
    for (const statements of MIGRATIONS.slice(version)) {
      for (const statement of statements) {
        await connection.unsafe(statement.replaceAll(" BLOB", " BYTEA"));
      }
    }
    for (const statement of APPEND_ONLY) await connection.unsafe(statement);
    await connection`DELETE FROM schema_version`;
    await connection`INSERT INTO schema_version VALUES (${MIGRATIONS.length})`;
  });
}
