/** The store's database in PostgreSQL: for several instances of the service behind a balancer. */
import { nextTick } from "node:process";
import type { Writable } from "node:stream";
import pg from "pg";
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
/** And only one at a time seals the audit. */
const SEALING_LOCK = 7_791_2027;
const SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/** deadlock_detected, serialization_failure: PostgreSQL undid everything, and asks to try again. */
const AGAIN = ["40P01", "40001"];
const TRIES = 5;
/** How long something may take, in milliseconds. */
const LIMITS = {
  /** Making a connection. */
  connect: 5_000,
  statement: 8_000,
  /** A statement's wait for what others have locked. */
  lock: 4_000,
  /** The wait for others that have all the connections. */
  queue: 30_000,
  /** A server that says nothing for as long is out. */
  silence: 12_000,
};

/**
 * SQLSTATE classes (PostgreSQL, appendix A) of a server that is out: connection lost, not enough of something, stopped by
 * somebody, trouble of its system; and statements that waited too long, or may only read.
 */
const OUT = /^(08|53|57|58)|^55P03$|^25006$/;
/** Codes of the system, and texts of the client, for a server that is not there. */
const GONE = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|ENOENT|EAI_)/;
const LOST = /^(Connection terminated|timeout exceeded|Query read timeout|Client .*not queryable)/;

/** The used part of `pg`, whose types would need all of Node's. */
interface Client {
  query(
    statement: string | { name: string; text: string; values: readonly Value[] },
    values?: readonly Value[],
  ): Promise<{ rows: Row[] }>;
}
interface PoolClient extends Client {
  readonly connection: { readonly stream: Pick<Writable, "cork" | "uncork"> };
  /** @param broken it is not used again */
  release(broken?: boolean): void;
  on(event: "error", listener: () => void): void;
}
interface Pool extends Client {
  connect(): Promise<PoolClient>;
  on(event: "error", listener: () => void): void;
  on(event: "connect", listener: (client: PoolClient) => void): void;
  end(): Promise<void>;
}

const APPEND_ONLY = [
  `CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
   $$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$`,
  `CREATE OR REPLACE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
   FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()`,
];

const INT8 = 20;

/**
 * Connects and brings the schema up to date.
 *
 * @param url as `postgres://user@host:5432/database`
 * @param limits milliseconds; longer ones where a slow machine is no outage
 * @throws {SetupError} where it cannot be reached, or was made by a later version
 */
export async function openPostgres(url: string, limits = LIMITS): Promise<Database> {
  const types = new pg.TypeOverrides();
  // BIGINT: times in milliseconds and counters, far below 2^53
  types.setTypeParser(INT8, Number);
  const pool: Pool = new pg.Pool({
    connectionString: url,
    max: CONNECTIONS,
    application_name: "dsign otp-service",
    connectionTimeoutMillis: limits.connect,
    statement_timeout: limits.statement,
    lock_timeout: limits.lock,
    idle_in_transaction_session_timeout: limits.silence,
    query_timeout: limits.silence,
    keepAlive: true,
    // statements that do not wait for each other go out together
    pipeline: true,
    types,
  });
  // A connection that is lost while nothing is asked of it: the next question opens another.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  try {
    await inTransaction(pool, migrate);
  } catch (error) {
    await pool.end();
    if (error instanceof SetupError) throw error;
    throw new SetupError(`The database cannot be used: ${reasonOf(error)}`);
  }
  const turns = inTurns(CONNECTIONS, limits.queue);
  const names = new Map<string, string>();
  const through = (client: Client): Query => async (text, ...values) => {
    let name = names.get(text);
    if (name === undefined) names.set(text, name = `s${names.size}`);
    const { rows } = await client.query({ name, text, values: values.map(storable) });
    return rows;
  };
  const within = <T>(work: (query: Query) => Promise<T>, begin?: string) =>
    inTransaction(pool, (client) => work(through(client)), begin);
  return {
    lock: " FOR UPDATE",
    clock: "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now",
    read: (work) => turns(() => work(through(pool))),
    snapshot: (work) => turns(() => within(work, SNAPSHOT)),
    becomeSealer: async (query) => {
      await query(`SELECT pg_advisory_xact_lock(${SEALING_LOCK})`);
    },
    transaction: <T>(work: (query: Query) => Promise<T>): Promise<T> =>
      turns(async () => {
        for (let attempt = 1;; attempt++) {
          try {
            return await within(work);
          } catch (error) {
            if (!AGAIN.includes(codeOf(error)) || attempt === TRIES) throw error;
          }
        }
      }),
    close: () => pool.end(),
  };
}

async function inTransaction<T>(
  pool: Pool,
  work: (client: Client) => Promise<T>,
  begin = "BEGIN",
): Promise<T> {
  const client = await pool.connect();
  let first: unknown;
  let isCorked = false;
  let begun: Promise<unknown> | undefined;
  let writes = false;
  const together: Client = {
    // statements that are given out before anything is waited for share one packet
    async query(...args) {
      const [statement] = args;
      const text = typeof statement === "string" ? statement : statement.text;
      // a write that got there without its transaction would be kept: it waits, and what follows stays behind it
      if (begun && (writes ||= !text.startsWith("SELECT"))) await begun;
      const { stream } = client.connection;
      if (!isCorked) {
        isCorked = true;
        stream.cork();
        nextTick(() => {
          isCorked = false;
          stream.uncork();
        });
      }
      try {
        return await client.query(...args);
      } catch (error) {
        // those after it fail only because of it
        throw first ??= error;
      }
    },
  };
  try {
    begun = together.query(begin);
    begun.catch(() => {}); // told below, or by a write
    const value = await work(together);
    await begun;
    await client.query("COMMIT");
    if (first !== undefined) throw first; // then the server has undone everything, and says no more than that
    client.release();
    return value;
  } catch (error) {
    const undone = !isOut(error) &&
      await client.query("ROLLBACK").then(() => true, () => false);
    // else with its connection the server forgets the transaction
    client.release(!undone);
    throw error;
  }
}

const codeOf = (error: unknown) => String((error as { code?: unknown }).code ?? "");

function isOut(error: unknown): boolean {
  const code = codeOf(error);
  return OUT.test(code) || GONE.test(code) || LOST.test((error as Error).message);
}

/** Runs so many at a time, in the order in which they came, and says so where the database is out. */
function inTurns(most: number, patience: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  const turn = () =>
    new Promise<void>((resolve, reject) => {
      const go = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(go), 1);
        reject(new DatabaseError("The database server is too slow for what is asked of it."));
      }, patience);
      waiting.push(go);
    });
  return async (work) => {
    if (running < most) running++;
    else await turn();
    try {
      return await work();
    } catch (error) {
      throw isOut(error) ? new DatabaseError(reasonOf(error)) : error;
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
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

async function migrate(client: Client): Promise<void> {
  await client.query("SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
  await client.query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)");
  const { rows: [row] } = await client.query("SELECT version FROM schema_version");
  const version = Number(row?.version ?? 0);
  if (version > MIGRATIONS.length) {
    throw new SetupError("The database was made by a later version of this program.");
  }
  for (const statements of MIGRATIONS.slice(version)) {
    for (const statement of statements) {
      const dialect = statement.replaceAll(" BLOB", " BYTEA")
        .replace(
          "INTEGER PRIMARY KEY AUTOINCREMENT",
          "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        );
      await client.query(dialect);
    }
  }
  for (const statement of APPEND_ONLY) await client.query(statement);
  await client.query("DELETE FROM schema_version");
  await client.query("INSERT INTO schema_version VALUES ($1)", [MIGRATIONS.length]);
}
