/** The store's database in one file: SQLite, for one service or a few on the same machine. */
import { DatabaseSync } from "node:sqlite";
import { type Database, DatabaseError, MIGRATIONS, type Query, type Value } from "./database.ts";
import { SetupError } from "./error.ts";

/** How long others may keep the file locked, and between two looks, in milliseconds. */
const BUSY = 10_000;
const LOOK = 2;

/** Only added to, whatever a program of ours should come to do. */
const APPEND_ONLY = ["UPDATE", "DELETE"].map((change) =>
  `CREATE TRIGGER IF NOT EXISTS audit_no_${change.toLowerCase()} BEFORE ${change} ON audit
   BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END`
);

/** SQLite's messages (sqlite.org/rescode.html) that say that the file cannot be used now, and what to do. */
const TROUBLE: readonly [RegExp, string][] = [
  [/database or disk is full/, "the disk is full: make room"],
  [/(database|table) is locked/, "another program keeps it locked"],
  [/disk I\/O error/, "the disk cannot be read or written"],
  [/readonly database/, "it cannot be written to"],
  [/is malformed/, "it is damaged: bring back a copy"],
  [/unable to open/, "it cannot be opened"],
  [/file is not a database/, "it is not a SQLite database"],
];

/**
 * Opens the file, which is made where it is missing, and brings it up to date.
 *
 * @param path file, or `:memory:`
 * @param most pages of 4 KiB that it may grow to
 * @throws {SetupError} where it cannot be used, or was made by a later version
 */
export function openSqlite(path: string, most?: number): Database {
  const outage = (error: unknown): unknown => {
    if ((error as { code?: string }).code !== "ERR_SQLITE_ERROR") return error;
    const { message } = error as Error;
    const why = TROUBLE.find(([pattern]) => pattern.test(message))?.[1];
    return why === undefined ? error : new DatabaseError(`The database ${path}: ${why}.`);
  };
  let file: DatabaseSync;
  try {
    file = new DatabaseSync(path);
    // FULL: what was answered for is on the disk, even if the power fails now.
    for (
      const setting of [
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "busy_timeout = 5000", // of the migration; begin() waits by itself
      ]
    ) file.exec(`PRAGMA ${setting}`);
    if (path !== ":memory:" && Deno.build.os !== "windows") Deno.chmodSync(path, 0o600);
    migrate(file);
    file.exec("PRAGMA busy_timeout = 0");
    if (most !== undefined) file.exec(`PRAGMA max_page_count = ${most}`);
  } catch (error) {
    const known = outage(error);
    throw known instanceof DatabaseError ? new SetupError(known.message) : error;
  }

  const statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  const query: Query = (statement, ...values) => {
    let prepared = statements.get(statement);
    if (!prepared) statements.set(statement, prepared = file.prepare(statement));
    // by their names, so that one parameter may stand in several places
    const named = Object.fromEntries(values.map((value, i) => [`$${i + 1}`, value]));
    return Promise.resolve(prepared.all(named) as Record<string, Value>[]);
  };
  let last: Promise<unknown> = Promise.resolve();
  /** One after another: there is one connection, and nothing is read in the middle of a transaction. */
  const next = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work).catch((error) => {
      throw outage(error);
    });
    last = result.catch(() => {}); // told to its own caller
    return result;
  };
  const transaction = <T>(work: (query: Query) => Promise<T>): Promise<T> =>
    next(async () => {
      await begin(file);
      try {
        const value = await work(query);
        file.exec("COMMIT");
        return value;
      } catch (error) {
        // On a full disk SQLite has done that already, and would say so in place of what went wrong.
        if (file.isTransaction) file.exec("ROLLBACK");
        throw error;
      }
    });
  return {
    lock: "", // BEGIN IMMEDIATE has locked everything
    read: (work) => next(() => work(query)),
    transaction,
    snapshot: transaction,
    becomeSealer: () => Promise.resolve(),
    async close() {
      await last;
      file.close();
    },
  };
}

/** SQLite's own wait would hold up everything else in this process. */
async function begin(file: DatabaseSync): Promise<void> {
  for (const start = performance.now();;) {
    try {
      return file.exec("BEGIN IMMEDIATE");
    } catch (error) {
      const busy = /database is locked/.test((error as Error).message);
      if (!busy || performance.now() - start > BUSY) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
  }
}

function migrate(file: DatabaseSync): void {
  file.exec("BEGIN IMMEDIATE");
  try {
    const { user_version: version } = file.prepare("PRAGMA user_version").get() as {
      user_version: number;
    };
    if (version > MIGRATIONS.length) {
      throw new SetupError("The database was made by a later version of this program.");
    }
    for (const statements of MIGRATIONS.slice(version)) {
      for (const statement of statements) file.exec(statement);
    }
    for (const statement of APPEND_ONLY) file.exec(statement);
    file.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    file.exec("COMMIT");
  } catch (error) {
    if (file.isTransaction) file.exec("ROLLBACK");
    throw error;
  }
}
