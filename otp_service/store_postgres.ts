/** The store's database in PostgreSQL: for several instances of the service behind a balancer. */
import postgres from "postgres";
import {
  type Database,
  DatabaseError,
  MIGRATIONS,
  type Query,
  type Row,
  type Value,
} from "./database.ts";
import { SetupError } from "./error.ts";

/** Connections of one instance. */
const CONNECTIONS = 10;
/** Any number that no other program uses: only one instance brings the schema up to date. */
const MIGRATION_LOCK = 7_791_2026;
/** deadlock_detected, serialization_failure: PostgreSQL undid everything, and asks to try again. */
const AGAIN = ["40P01", "40001"];
const TRIES = 5;
/** How long a statement may take, and wait for what others have locked, in milliseconds. */
const STATEMENT = 8_000;
const LOCK = 4_000;
/** Longer than a transaction of ours takes, however long its statements may; a server that says nothing is out. */
const SILENCE = 15_000;

/**
 * SQLSTATE classes (PostgreSQL, appendix A) of a server that is out: connection lost, not enough of something, stopped by
 * somebody, trouble of its system; and statements that waited too long.
 */
const OUT = /^(08|53|57|58)|^55P03$|^25006$/;
/** Codes of the client and the system for a server that is not there. */
const GONE = /^(CONNECT|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|ENOENT|EAI_)/;

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
    // seconds: a server that is back is found at once
    backoff: () => 0.25,
    connection: {
      application_name: "dsign otp-service",
      statement_timeout: STATEMENT,
      lock_timeout: LOCK,
      idle_in_transaction_session_timeout: SILENCE,
    },
    onnotice: () => {},
    // BIGINT: times in milliseconds and counters, far below 2^53
    types: { number: { to: 20, from: [20], parse: Number, serialize: String } },
  });
  try {
    await migrate(sql);
  } catch (error) {
    await sql.end({ timeout: 1 });
    if (error instanceof SetupError) throw error;
    throw new SetupError(`The database cannot be used: ${reasonOf(error)}`);
  }
  const through =
    (connection: Pick<postgres.Sql, "unsafe">): Query => async (statement, ...values) =>
      await connection.unsafe(statement, values.map(storable), {
        prepare: true,
      }) as unknown as Row[];
  return {
    lock: " FOR UPDATE",
    read: (work) => answered(() => work(through(sql))),
    transaction: <T>(work: (query: Query) => Promise<T>): Promise<T> =>
      answered(async () => {
        for (let attempt = 1;; attempt++) {
          try {
            return await sql.begin((connection) => work(through(connection))) as T;
          } catch (error) {
            if (!AGAIN.includes(codeOf(error)) || attempt === TRIES) throw error;
          }
        }
      }),
    close: () => sql.end({ timeout: 5 }),
  };
}

const codeOf = (error: unknown) => String((error as { code?: unknown }).code ?? "");

/** Runs `work`, and says so where the database is out or silent. */
async function answered<T>(work: () => Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new DatabaseError("The database server gives no answer.")),
      SILENCE,
    );
  });
  try {
    return await Promise.race([work(), silence]);
  } catch (error) {
    const code = codeOf(error);
    if (OUT.test(code) || GONE.test(code)) throw new DatabaseError(reasonOf(error));
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Errors of the system come without a text where several addresses were tried. */
function reasonOf(error: unknown): string {
  const { message } = error as Error;
  const text = message === "" ? codeOf(error) : message;
  const disk = codeOf(error) === "53100" ? " Make room on its disk." : "";
  return `The database server: ${text}.${disk}`;
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
