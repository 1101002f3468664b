/**
 * Everything that the service remembers, over a {@linkcode Database}. One {@linkcode Store.run} is one transaction: what it
 * changed and the audit lines about it are kept together, or not at all.
 */
import { type AuditEntry, type AuditHead, auditLine } from "./audit.ts";
import { FRESH, type Guard, RULES, type State, step, type Transaction } from "./authorize.ts";
import type { Database, Query, Row, Value } from "./database.ts";
import { sha256, token } from "./secrets.ts";

/** A signatory. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly role?: string;
  readonly email?: string;
  /** E.164. */
  readonly phone?: string;
  readonly language: "en" | "bn" | "hi";
  /** How the OTP reaches the person. */
  readonly otp: "mail" | "sms" | "totp";
  /** Secret of the authenticator, sealed. */
  readonly totp?: string;
}

/** A person with what changes by itself. */
export interface PersonRow {
  readonly person: Person;
  readonly guard: Guard;
  /** Encoded Argon2id hash; null until it was set. */
  readonly pin: string | null;
  /** Why an administrator locked; null: not locked. */
  readonly locked: string | null;
}

/** What a person signs with. */
export interface Credential {
  readonly id: string;
  readonly person: string;
  readonly kind: "one-time" | "stored";
  readonly mode: "explicit" | "oauth2code";
  readonly keyType: KeyType;
  /** Of a stored key: its identifier in the key store. */
  readonly key?: string;
  /** Of a stored key: serial number of its certificate, hex. */
  readonly serial?: string;
}

export type KeyType = "p-256" | "p-384" | "rsa-2048" | "rsa-3072";

/** What an authorization is about, for people. */
export interface Facts {
  readonly purpose: string;
  /** Names of the documents, in the order of the hashes. */
  readonly labels: readonly string[];
  /** SHA-256 of the consent text that the page showed, hex. */
  readonly consent?: string;
}

/** What an opaque value stands for; the value's hash is its key. */
export type TokenData =
  | { kind: "access"; client: string; person?: string; transaction?: string }
  | { kind: "refresh"; client: string; person?: string }
  | { kind: "pushed"; client: string; parameters: Record<string, string> }
  | {
    kind: "ticket";
    client: string;
    transaction?: string;
    redirect: string;
    state?: string;
    challenge: string;
  }
  | {
    kind: "code";
    client: string;
    redirect: string;
    challenge: string;
    person?: string;
    transaction?: string;
    sad?: string;
  }
  | { kind: "enrolment"; person: string; totp?: string }
  | { kind: "esign"; transaction: string };

export type TokenOf<K extends TokenData["kind"]> = Extract<TokenData, { kind: K }>;

export interface CertificateRow {
  /** Hex. */
  readonly serial: string;
  readonly person: string;
  readonly transaction: string | null;
  readonly der: Uint8Array;
  readonly notAfter: number;
  readonly revokedAt: number | null;
  readonly reason: string | null;
}

export interface ShownDocument {
  readonly name: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** A PDF that is signed by way of an eSign service provider. */
export interface EsignRow {
  /** `txn` of the eSign API. */
  readonly id: string;
  readonly client: string;
  readonly phase: "waiting" | "signed" | "failed";
  readonly facts: EsignFacts;
  /** While it waits: until when; then: when it is forgotten. Milliseconds since 1970. */
  readonly expires: number;
}

export interface EsignFacts {
  /** Of the document. */
  readonly name: string;
  readonly purpose: string;
  readonly language: "en" | "bn" | "hi";
  /** Where the browser goes in the end, and what the portal knows it by there. */
  readonly redirect: string;
  readonly state?: string;
  /** What the person's browser POSTs to the provider. */
  readonly request: string;
  /** SHA-256 of what the signature covers, hex. */
  readonly digest: string;
  /** Between these offsets the signature's Contents stand in the PDF. */
  readonly contents: readonly [at: number, end: number];
  /** SHA-256 of the answer that counted, base64url. */
  readonly answer?: string;
  /** Answers that did not count, as far as the audit names them. */
  readonly refused?: number;
  readonly fetched?: true;
  readonly timestamped?: true;
  /** What a later validation needs stands in the document. */
  readonly longTerm?: true;
  readonly signer?: string;
  /** Of the signer, Base64. */
  readonly certificate?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

/** A day after its end an authorization is forgotten; the audit is not. */
const KEEP = 24 * 60 * 60_000;
/** As long the portal has to fetch what was signed by way of an eSign service provider. */
const KEEP_ESIGN = 7 * KEEP;
/** Longer than any signing takes that began in time, in milliseconds. */
const SIGNING = 120_000;
/** Rows of one sweep. */
const SWEEP = 200;

export class Store {
  readonly #database: Database;

  /** @param now milliseconds since 1970; the one clock of the service */
  constructor(database: Database, readonly now: () => number) {
    this.#database = database;
  }

  /** Runs `work` as one transaction; it may run again, and waits for nothing but this store. */
  run<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#database.transaction(async (query) => {
      const tx = new Tx(query, this.#database.lock, this.now());
      const value = await work(tx);
      await tx.writeAudit();
      return value;
    });
  }

  /** Runs `work`, which only reads. */
  read<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#database.read((query) => work(new Tx(query, "", this.now())));
  }

  /** The audit's lines from a number on, in pieces. */
  async *audit(from = 1): AsyncGenerator<string> {
    const PIECE = 500;
    for (let at = from;; at += PIECE) {
      const lines = await this.#database.read((query) =>
        query(
          "SELECT line FROM audit WHERE seq >= $1 AND seq < $2 ORDER BY seq",
          at,
          at + PIECE,
        )
      );
      for (const { line } of lines) yield line as string;
      if (lines.length < PIECE) return;
    }
  }

  /** The end of the audit's chain. */
  auditHead(): Promise<AuditHead> {
    return this.#database.read((query) => readHead(query, ""));
  }

  /** Ends what nobody ended in time, and forgets what is over. */
  async sweep(): Promise<void> {
    await this.run(async (tx) => {
      for (const { id, person, transaction } of await tx.overdue(SWEEP)) {
        const state = { transaction, guard: FRESH };
        // Between use and signature the process died: what was authorized is spent, and that is said.
        const broken = transaction.phase === "signing";
        if (broken && tx.now < transaction.createdAt + RULES.lifetime + SIGNING) continue;
        const ended = broken
          ? step(state, { type: "failed" }, tx.now)
          : step(state, { type: "send" }, tx.now);
        await tx.saveTransaction(ended.transaction);
        tx.audit({
          event: broken ? "signature.failed" : "authorization.ended",
          transaction: id,
          person,
          reason: broken ? "interrupted" : ended.transaction.end,
        });
      }
      for (const row of await tx.overdueEsigns(SWEEP)) {
        const { id, client, phase, facts } = row;
        if (phase === "waiting") {
          const error = { code: "expired", message: "Nobody signed in time. Begin again." };
          await tx.endEsign({ ...row, phase: "failed", facts: { ...facts, error } });
          tx.audit({ event: "esign.failed", transaction: id, client, code: error.code });
        } else {
          await tx.deleteEsign(id);
          if (phase === "signed") {
            const fetched = facts.fetched ?? false;
            tx.audit({ event: "esign.deleted", transaction: id, client, fetched });
          }
        }
      }
      await tx.forget();
    });
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

async function readHead(query: Query, lock: string): Promise<AuditHead> {
  const [row] = await query(`SELECT seq, hash FROM audit_head WHERE one = 1${lock}`);
  return { seq: row.seq as number, hash: row.hash as string };
}

/** The statements of one transaction. Rows that are read to be changed are locked by reading them. */
export class Tx {
  readonly #query: Query;
  readonly #lock: string;
  readonly #entries: AuditEntry[] = [];

  /** Made by {@linkcode Store.run}. */
  constructor(query: Query, lock: string, readonly now: number) {
    this.#query = query;
    this.#lock = lock;
  }

  /** Adds a line to the audit when the transaction is kept. */
  audit(entry: AuditEntry): void {
    this.#entries.push(entry);
  }

  /** The chain is locked last and for the shortest time: all instances wait for it. */
  async writeAudit(): Promise<void> {
    if (this.#entries.length === 0) return;
    let head = await readHead(this.#query, this.#lock);
    const writes = this.#entries.map((entry) => {
      const { line, ...next } = auditLine(head, entry, this.now);
      head = next;
      return this.#query("INSERT INTO audit VALUES ($1, $2)", next.seq, line);
    });
    // all in one go: the others wait
    await Promise.all([
      ...writes,
      this.#query("UPDATE audit_head SET seq = $1, hash = $2", head.seq, head.hash),
    ]);
  }

  // People

  async persons(): Promise<PersonRow[]> {
    return (await this.#query("SELECT * FROM persons ORDER BY id")).map(toPerson);
  }

  async person(id: string): Promise<PersonRow | null> {
    const [row] = await this.#query(`SELECT * FROM persons WHERE id = $1${this.#lock}`, id);
    return row ? toPerson(row) : null;
  }

  /** False where there is such a person already. */
  async addPerson(person: Person): Promise<boolean> {
    const rows = await this.#query(
      "INSERT INTO persons (id, data, guard) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id",
      person.id,
      JSON.stringify(person),
      JSON.stringify(FRESH),
    );
    return rows.length > 0;
  }

  async savePerson({ person, guard, pin, locked }: PersonRow): Promise<void> {
    await this.#query(
      "UPDATE persons SET data = $2, guard = $3, pin = $4, locked = $5 WHERE id = $1",
      person.id,
      JSON.stringify(person),
      JSON.stringify(guard),
      pin,
      locked,
    );
  }

  // Credentials

  async addCredential(credential: Credential): Promise<void> {
    const { id, person } = credential;
    await this.#query(
      "INSERT INTO credentials VALUES ($1, $2, $3)",
      id,
      person,
      JSON.stringify(credential),
    );
  }

  async credential(id: string): Promise<Credential | null> {
    const [row] = await this.#query("SELECT data FROM credentials WHERE id = $1", id);
    return row ? JSON.parse(row.data as string) : null;
  }

  async credentialsOf(person: string): Promise<Credential[]> {
    const rows = await this.#query(
      "SELECT data FROM credentials WHERE person = $1 ORDER BY id",
      person,
    );
    return rows.map(({ data }) => JSON.parse(data as string));
  }

  // Authorizations

  async addTransaction(
    transaction: Transaction,
    person: string | null,
    facts: Facts,
  ): Promise<void> {
    const { id, client, credential, phase, createdAt } = transaction;
    await this.#query(
      `INSERT INTO transactions (id, person, client, credential, phase, state, facts, expires)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      id,
      person,
      client,
      credential,
      phase,
      JSON.stringify(transaction),
      JSON.stringify(facts),
      createdAt + RULES.lifetime,
    );
  }

  /** By its id, by the hash of its SAD (present or last used), or the open one of a client and a credential. */
  async transaction(
    by: { id: string } | { sad: string } | { client: string; credential: string },
  ): Promise<{ transaction: Transaction; person: string | null; facts: Facts } | null> {
    const [where, ...values] = "id" in by
      ? ["id = $1", by.id]
      : "sad" in by
      ? ["(sad = $1 OR used = $1)", by.sad]
      : ["client = $1 AND credential = $2 AND phase = 'open'", by.client, by.credential];
    const [row] = await this.#query(
      `SELECT person, state, facts FROM transactions WHERE ${where} LIMIT 1${this.#lock}`,
      ...values,
    );
    if (!row) return null;
    return {
      transaction: JSON.parse(row.state as string),
      person: row.person as string | null,
      facts: JSON.parse(row.facts as string),
    };
  }

  async saveTransaction(transaction: Transaction, facts?: Facts): Promise<void> {
    const { id, phase, sad = null, used = null } = transaction;
    await this.#query(
      `UPDATE transactions SET phase = $2, sad = $3, used = $4, state = $5${
        facts ? ", facts = $6" : ""
      } WHERE id = $1`,
      id,
      phase,
      sad,
      used,
      JSON.stringify(transaction),
      ...facts ? [JSON.stringify(facts)] : [],
    );
  }

  /** Writes what {@linkcode step} gave. */
  async saveState({ transaction, guard }: State, row: PersonRow | null): Promise<void> {
    await this.saveTransaction(transaction);
    if (row && guard !== row.guard) await this.savePerson({ ...row, guard });
  }

  /** A person's authorizations that are not over. */
  async underway(person: string): Promise<Transaction[]> {
    const rows = await this.#query(
      `SELECT state FROM transactions
       WHERE person = $1 AND phase NOT IN ('done', 'ended')${this.#lock}`,
      person,
    );
    return rows.map(({ state }) => JSON.parse(state as string));
  }

  /** Authorizations that are over by time and do not know it yet. */
  async overdue(most: number): Promise<{ id: string; person: string; transaction: Transaction }[]> {
    const rows = await this.#query(
      `SELECT id, person, state FROM transactions
       WHERE expires <= $1 AND phase NOT IN ('done', 'ended') LIMIT $2${this.#lock}`,
      this.now,
      most,
    );
    return rows.map(({ id, person, state }) => ({
      id: id as string,
      person: person as string,
      transaction: JSON.parse(state as string),
    }));
  }

  /** Deletes what has had its time; never certificates or the audit. */
  async forget(): Promise<void> {
    await this.#query(
      "DELETE FROM transactions WHERE expires <= $1 AND phase IN ('done', 'ended')",
      this.now - KEEP,
    );
    for (const table of ["tokens", "documents", "contents"]) {
      await this.#query(`DELETE FROM ${table} WHERE expires <= $1`, this.now);
    }
  }

  // Opaque values

  /** Makes a value that stands for `data`; `family`: what is revoked together; `value`: where it exists already. */
  async issue(
    data: TokenData,
    lifetime: number,
    family?: string,
    value: string = token(),
  ): Promise<string> {
    await this.#query(
      "INSERT INTO tokens VALUES ($1, $2, $3, $4, $5)",
      sha256(value),
      data.kind,
      family ?? null,
      JSON.stringify(data),
      this.now + lifetime,
    );
    return value;
  }

  /** What a value stands for; null where it stands for nothing, or no longer. */
  async read<K extends TokenData["kind"]>(
    kind: K,
    value: string,
  ): Promise<{ data: TokenOf<K>; family: string | null } | null> {
    const rows = await this.#query(
      "SELECT data, family FROM tokens WHERE hash = $1 AND kind = $2 AND expires > $3",
      sha256(value),
      kind,
      this.now,
    );
    return toToken(rows);
  }

  /** As {@linkcode read}, once: the value stands for nothing afterwards. */
  async take<K extends TokenData["kind"]>(
    kind: K,
    value: string,
  ): Promise<{ data: TokenOf<K>; family: string | null } | null> {
    const rows = await this.#query(
      "DELETE FROM tokens WHERE hash = $1 AND kind = $2 AND expires > $3 RETURNING data, family",
      sha256(value),
      kind,
      this.now,
    );
    return toToken(rows);
  }

  async revoke(by: { value: string } | { family: string }): Promise<void> {
    const [column, value] = "value" in by ? ["hash", sha256(by.value)] : ["family", by.family];
    await this.#query(`DELETE FROM tokens WHERE ${column} = $1`, value);
  }

  /** Only the newest enrolment of a person is good. */
  async revokeEnrolments(person: string): Promise<void> {
    await this.#query("DELETE FROM tokens WHERE kind = 'enrolment' AND family = $1", person);
  }

  // Documents that are shown to those who sign them

  /** @param digests Base64, each a way in which the document may be signed */
  async addDocument(
    client: string,
    digests: readonly string[],
    { name, mediaType, bytes }: ShownDocument,
    lifetime: number,
  ): Promise<void> {
    const content = sha256(bytes);
    const expires = this.now + lifetime;
    await this.#query(
      `INSERT INTO contents VALUES ($1, $2, $3)
       ON CONFLICT (hash) DO UPDATE SET expires = $3`,
      content,
      bytes,
      expires,
    );
    for (const digest of digests) {
      await this.#query(
        `INSERT INTO documents VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (client, digest) DO UPDATE SET name = $3, media_type = $4, expires = $6`,
        client,
        digest,
        name,
        mediaType,
        content,
        expires,
      );
    }
  }

  async document(client: string, digest: string): Promise<ShownDocument | null> {
    const [row] = await this.#query(
      `SELECT name, media_type, bytes FROM documents JOIN contents ON content = hash
       WHERE client = $1 AND digest = $2 AND documents.expires > $3`,
      client,
      digest,
      this.now,
    );
    return row
      ? {
        name: row.name as string,
        mediaType: row.media_type as string,
        bytes: row.bytes as Uint8Array,
      }
      : null;
  }

  // Signatures by way of an eSign service provider

  async addEsign({ id, client, phase, facts, expires }: EsignRow, pdf: Uint8Array): Promise<void> {
    await this.#query(
      `INSERT INTO esigns (id, client, phase, facts, pdf, expires)
       VALUES ($1, $2, $3, $4, $5, $6)`,
      id,
      client,
      phase,
      JSON.stringify(facts),
      pdf,
      expires,
    );
  }

  /** How many of a client wait. */
  async waitingEsigns(client: string): Promise<number> {
    const [row] = await this.#query(
      "SELECT COUNT(*) AS count FROM esigns WHERE client = $1 AND phase = 'waiting'",
      client,
    );
    return row.count as number;
  }

  async esign(id: string): Promise<EsignRow | null> {
    const rows = await this.#query(
      `SELECT id, client, phase, facts, expires FROM esigns WHERE id = $1${this.#lock}`,
      id,
    );
    return rows.map(toEsign)[0] ?? null;
  }

  /** The prepared PDF; of a signed one the CMS that belongs into it, and the revision that may follow. */
  async esignBytes(
    id: string,
  ): Promise<{ pdf: Uint8Array; cms: Uint8Array | null; dss: Uint8Array | null } | null> {
    const [row] = await this.#query("SELECT pdf, cms, dss FROM esigns WHERE id = $1", id);
    return row
      ? {
        pdf: row.pdf as Uint8Array,
        cms: row.cms as Uint8Array | null,
        dss: row.dss as Uint8Array | null,
      }
      : null;
  }

  /** What the provider said in the end. */
  async esignAnswer(id: string): Promise<Uint8Array | null> {
    const [row] = await this.#query("SELECT answer FROM esigns WHERE id = $1", id);
    return row ? row.answer as Uint8Array | null : null;
  }

  async saveEsignFacts(id: string, facts: EsignFacts): Promise<void> {
    await this.#query("UPDATE esigns SET facts = $2 WHERE id = $1", id, JSON.stringify(facts));
  }

  async saveEsignCms(id: string, cms: Uint8Array): Promise<void> {
    await this.#query("UPDATE esigns SET cms = $2 WHERE id = $1", id, cms);
  }

  async saveEsignDss(id: string, dss: Uint8Array): Promise<void> {
    await this.#query("UPDATE esigns SET dss = $2 WHERE id = $1", id, dss);
  }

  /** Signed or failed; the result is kept for a while. */
  async endEsign(
    { id, phase, facts }: EsignRow,
    answer: Uint8Array | null = null,
    cms: Uint8Array | null = null,
  ): Promise<void> {
    await this.#query(
      `UPDATE esigns SET phase = $2, facts = $3, answer = $4, cms = $5, expires = $6
       WHERE id = $1`,
      id,
      phase,
      JSON.stringify(facts),
      answer,
      cms,
      this.now + (phase === "signed" ? KEEP_ESIGN : KEEP),
    );
  }

  /** Waiting ones whose time is over, and ended ones that were kept long enough. */
  async overdueEsigns(most: number): Promise<EsignRow[]> {
    const rows = await this.#query(
      `SELECT id, client, phase, facts, expires FROM esigns
       WHERE expires <= $1 LIMIT $2${this.#lock}`,
      this.now,
      most,
    );
    return rows.map(toEsign);
  }

  async deleteEsign(id: string): Promise<void> {
    await this.#query("DELETE FROM esigns WHERE id = $1", id);
  }

  // Certificates, keys, counters

  async addCertificate(row: Omit<CertificateRow, "revokedAt" | "reason">): Promise<void> {
    await this.#query(
      `INSERT INTO certificates (serial, person, transaction_id, der, not_after)
       VALUES ($1, $2, $3, $4, $5)`,
      row.serial,
      row.person,
      row.transaction,
      row.der,
      row.notAfter,
    );
  }

  async certificate(serial: string): Promise<CertificateRow | null> {
    const rows = await this.#query("SELECT * FROM certificates WHERE serial = $1", serial);
    return rows.map(toCertificate)[0] ?? null;
  }

  async certificatesOf(person: string): Promise<CertificateRow[]> {
    const rows = await this.#query(
      "SELECT * FROM certificates WHERE person = $1 ORDER BY not_after DESC LIMIT 1000",
      person,
    );
    return rows.map(toCertificate);
  }

  async revokedCertificates(): Promise<CertificateRow[]> {
    const rows = await this.#query(
      "SELECT * FROM certificates WHERE revoked_at IS NOT NULL ORDER BY revoked_at",
    );
    return rows.map(toCertificate);
  }

  /** False where it is unknown or revoked already. */
  async revokeCertificate(serial: string, reason: string): Promise<boolean> {
    const rows = await this.#query(
      `UPDATE certificates SET revoked_at = $2, reason = $3
       WHERE serial = $1 AND revoked_at IS NULL RETURNING serial`,
      serial,
      this.now,
      reason,
    );
    return rows.length > 0;
  }

  async saveKey(id: string, sealed: string): Promise<void> {
    await this.#query("INSERT INTO private_keys VALUES ($1, $2)", id, sealed);
  }

  async key(id: string): Promise<string | null> {
    const [row] = await this.#query("SELECT sealed FROM private_keys WHERE id = $1", id);
    return row ? row.sealed as string : null;
  }

  /** The next number of a counter, from 1 on. */
  async count(name: string): Promise<number> {
    const [row] = await this.#query(
      `INSERT INTO counters VALUES ($1, 1)
       ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value`,
      name,
    );
    return row.value as number;
  }
}

function toPerson({ data, guard, pin, locked }: Row): PersonRow {
  return {
    person: JSON.parse(data as string),
    guard: JSON.parse(guard as string),
    pin: pin as string | null,
    locked: locked as string | null,
  };
}

function toToken<K extends TokenData["kind"]>(
  [row]: Row[],
): { data: TokenOf<K>; family: string | null } | null {
  return row ? { data: JSON.parse(row.data as string), family: row.family as string | null } : null;
}

function toEsign({ id, client, phase, facts, expires }: Row): EsignRow {
  return {
    id: id as string,
    client: client as string,
    phase: phase as EsignRow["phase"],
    facts: JSON.parse(facts as string),
    expires: expires as number,
  };
}

function toCertificate(row: Record<string, Value>): CertificateRow {
  return {
    serial: row.serial as string,
    person: row.person as string,
    transaction: row.transaction_id as string | null,
    der: new Uint8Array(row.der as Uint8Array),
    notAfter: row.not_after as number,
    revokedAt: row.revoked_at as number | null,
    reason: row.reason as string | null,
  };
}
