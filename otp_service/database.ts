/** The store's database: transactions over a few statements that SQLite and PostgreSQL both understand. */

export type Value = string | number | null | Uint8Array;
export type Row = Record<string, Value>;

/**
 * Runs one statement; its parameters stand as `$1`, `$2` … in the text.
 *
 * @returns the rows of a SELECT or RETURNING; numbers as numbers
 */
export type Query = (statement: string, ...values: Value[]) => Promise<Row[]>;

/** The database cannot be asked now, or cannot keep anything more. `message` says why and what to do, for the log. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
}

/** Its functions throw {@linkcode DatabaseError} where the database is out. */
export interface Database {
  /**
   * Runs `work` as one transaction: all of it is kept, durably, or nothing. `work` may run again where another transaction
   * was in its way, and must wait for nothing but queries.
   */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** Runs `work`, which only reads: cheaper, and each of its queries sees what is kept at its moment. */
  read<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** Runs `work`, which only reads, and all of whose queries see what is kept at the same moment. */
  snapshot<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** Within a transaction: waits until no other seals the audit, and is the one that does so until the transaction ends. */
  becomeSealer(query: Query): Promise<void>;
  /** Put behind a SELECT it keeps the rows from all others until the end of the transaction. */
  readonly lock: "" | " FOR UPDATE";
  /** Reads the server's clock as `now`, milliseconds since 1970; absent where the database has none but this machine's. */
  readonly clock?: string;
  close(): Promise<void>;
}

/** Statements that bring an older schema to the next version, in their order. Never change one that was released. */
export const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `CREATE TABLE persons (
      id TEXT PRIMARY KEY, data TEXT NOT NULL, guard TEXT NOT NULL, pin TEXT, locked TEXT)`,
    `CREATE TABLE credentials (
      id TEXT PRIMARY KEY, person TEXT NOT NULL REFERENCES persons (id), data TEXT NOT NULL)`,
    `CREATE INDEX credentials_person ON credentials (person)`,
    `CREATE TABLE transactions (
      id TEXT PRIMARY KEY, person TEXT, client TEXT NOT NULL, credential TEXT NOT NULL,
      phase TEXT NOT NULL, sad TEXT UNIQUE, used TEXT UNIQUE, state TEXT NOT NULL,
      facts TEXT NOT NULL, expires BIGINT NOT NULL)`,
    `CREATE INDEX transactions_open ON transactions (client, credential, phase)`,
    `CREATE INDEX transactions_expires ON transactions (expires)`,
    `CREATE TABLE tokens (
      hash TEXT PRIMARY KEY, kind TEXT NOT NULL, family TEXT, data TEXT NOT NULL,
      expires BIGINT NOT NULL)`,
    `CREATE INDEX tokens_family ON tokens (family)`,
    `CREATE INDEX tokens_expires ON tokens (expires)`,
    `CREATE TABLE documents (
      client TEXT NOT NULL, digest TEXT NOT NULL, name TEXT NOT NULL, media_type TEXT NOT NULL,
      content TEXT NOT NULL, expires BIGINT NOT NULL, PRIMARY KEY (client, digest))`,
    `CREATE TABLE contents (hash TEXT PRIMARY KEY, bytes BLOB NOT NULL, expires BIGINT NOT NULL)`,
    `CREATE TABLE certificates (
      serial TEXT PRIMARY KEY, person TEXT NOT NULL, transaction_id TEXT, der BLOB NOT NULL,
      not_after BIGINT NOT NULL, revoked_at BIGINT, reason TEXT)`,
    `CREATE INDEX certificates_person ON certificates (person)`,
    `CREATE TABLE private_keys (id TEXT PRIMARY KEY, sealed TEXT NOT NULL)`,
    `CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL)`,
    `CREATE TABLE audit (seq BIGINT PRIMARY KEY, line TEXT NOT NULL)`,
    `CREATE TABLE audit_head (one BIGINT PRIMARY KEY, seq BIGINT NOT NULL, hash TEXT NOT NULL)`,
    `INSERT INTO audit_head VALUES (1, 0, '${"0".repeat(64)}')`,
  ],
  [
    `CREATE TABLE esigns (
      id TEXT PRIMARY KEY, client TEXT NOT NULL, phase TEXT NOT NULL, facts TEXT NOT NULL,
      pdf BLOB NOT NULL, cms BLOB, dss BLOB, answer BLOB, expires BIGINT NOT NULL)`,
    `CREATE INDEX esigns_expires ON esigns (expires)`,
    `CREATE INDEX esigns_waiting ON esigns (client, phase)`,
  ],
  [
    // Rows get seals; those that have none are taken over by `dsign otp-service seal` alone.
    ...["persons", "credentials", "transactions", "tokens", "esigns", "certificates"].flatMap(
      (table) => [
        `ALTER TABLE ${table} ADD COLUMN version BIGINT NOT NULL DEFAULT 0`,
        `ALTER TABLE ${table} ADD COLUMN mac TEXT`,
      ],
    ),
    `ALTER TABLE persons ADD COLUMN epoch BIGINT NOT NULL DEFAULT 1`,
    `ALTER TABLE esigns ADD COLUMN hashes TEXT NOT NULL DEFAULT ''`,
    `ALTER TABLE esigns ADD COLUMN size BIGINT NOT NULL DEFAULT 0`,
    `DROP TABLE documents`, // they live half an hour
    `CREATE TABLE documents (
      client TEXT NOT NULL, digest TEXT NOT NULL, name TEXT NOT NULL, content TEXT NOT NULL,
      expires BIGINT NOT NULL, size BIGINT NOT NULL, version BIGINT NOT NULL, mac TEXT NOT NULL,
      PRIMARY KEY (client, digest))`,
    `CREATE INDEX documents_expires ON documents (expires)`,
    `ALTER TABLE audit_head ADD COLUMN row_sum TEXT`,
    `ALTER TABLE audit_head ADD COLUMN mac TEXT`,
  ],
  [
    // The audit's chain becomes a Merkle log, by the first sealing.
    // their numbers follow what was committed before what: who saw one has a larger one
    `CREATE TABLE pending (
      number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, lines TEXT NOT NULL,
      delta TEXT NOT NULL, mac TEXT NOT NULL)`,
    `CREATE TABLE tiles (
      level BIGINT NOT NULL, number BIGINT NOT NULL, hashes BLOB NOT NULL,
      PRIMARY KEY (level, number))`,
    `ALTER TABLE audit ADD COLUMN entry TEXT`,
    `CREATE UNIQUE INDEX audit_entry ON audit (entry)`,
    `ALTER TABLE audit_head ADD COLUMN note TEXT`,
  ],
];
