/** Statements about signatures by way of an eSign service provider. */
import type { Row, Value } from "./database.ts";
import { TamperedError } from "./row_seal.ts";
import type { EsignRow } from "./rows.ts";
import { sha256 } from "./secrets.ts";
import { DocumentsTx } from "./store_documents.ts";

const DAY = 24 * 60 * 60_000;
/** As long a failed one is told of, and as long the portal has to fetch a signed document. */
const KEEP = { failed: DAY, signed: 7 * DAY } as const;

/** Data of an eSign that is too large for its row's seal; the seal contains its hashes. */
export interface EsignBytes {
  /** The prepared PDF. */
  readonly pdf: Uint8Array;
  /** The signature to embed in it. */
  readonly cms: Uint8Array | null;
  /** The revision that may follow. */
  readonly dss: Uint8Array | null;
  /** The provider's final response. */
  readonly answer: Uint8Array | null;
}

export class EsignsTx extends DocumentsTx {
  addEsign(row: EsignRow, pdf: Uint8Array): void {
    const bytes = { pdf, cms: null, dss: null, answer: null };
    const content = contentOf(row, bytes);
    const { version, mac } = this.next("esigns", row.id, content);
    this.write(
      `INSERT INTO esigns (id, client, phase, facts, expires, hashes, pdf, size, version, mac)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
      row.id,
      ...content,
      pdf,
      pdf.length,
      version,
      mac,
    );
  }

  /** How many of a client wait, and how many bytes are kept for it. */
  async storedEsigns(client: string): Promise<{ waiting: number; bytes: number }> {
    const [row] = await this.query(
      `SELECT COALESCE(SUM(CASE WHEN phase = 'waiting' THEN 1 ELSE 0 END), 0) AS waiting,
       COALESCE(SUM(size), 0) AS bytes FROM esigns WHERE client = $1`,
      client,
    );
    return { waiting: Number(row.waiting), bytes: Number(row.bytes) };
  }

  async esign(id: string): Promise<EsignRow | null> {
    const [row] = await this.query(
      `SELECT id, client, phase, facts, expires, hashes, version, mac FROM esigns
       WHERE id = $1${this.lock}`,
      id,
    );
    return row ? this.#esign(row, id) : null;
  }

  #esign(row: Row, id = row.id as string): EsignRow {
    const { client, phase, facts, expires, hashes } = row;
    this.verify("esigns", id, row, [client, phase, facts, expires, hashes]);
    return {
      id,
      client: client as string,
      phase: phase as EsignRow["phase"],
      facts: JSON.parse(facts as string),
      expires: expires as number,
    };
  }

  async esignBytes(id: string): Promise<EsignBytes | null> {
    const [row] = await this.query("SELECT * FROM esigns WHERE id = $1", id);
    if (!row) return null;
    this.#esign(row, id);
    const bytes = (name: keyof EsignBytes) =>
      row[name] === null ? null : new Uint8Array(row[name] as Uint8Array);
    const all = {
      pdf: bytes("pdf")!,
      cms: bytes("cms"),
      dss: bytes("dss"),
      answer: bytes("answer"),
    };
    if (hashesOf(all) !== row.hashes) {
      throw new TamperedError(`The documents of the eSign ${id} are not those that were stored.`);
    }
    return all;
  }

  /** Writes an eSign that was read in this transaction, and what was added to its bytes. */
  async saveEsign(row: EsignRow, added: Partial<EsignBytes> = {}): Promise<void> {
    const bytes = { ...(await this.esignBytes(row.id))!, ...added };
    const content = contentOf(row, bytes);
    const { before, version, mac } = this.next("esigns", row.id, content);
    const { phase, facts, expires } = row;
    this.update(
      `UPDATE esigns SET phase = $2, facts = $3, expires = $4, hashes = $5, cms = $6, dss = $7,
       answer = $8, version = $9, mac = $10 WHERE id = $1 AND version = $11`,
      row.id,
      ...[phase, JSON.stringify(facts), expires, hashesOf(bytes)],
      ...[bytes.cms, bytes.dss, bytes.answer],
      version,
      mac,
      before,
    );
  }

  /** Signed or failed; the result is kept for a while. */
  endEsign(row: EsignRow, added: Partial<EsignBytes> = {}): Promise<void> {
    const expires = this.now + KEEP[row.phase === "signed" ? "signed" : "failed"];
    return this.saveEsign({ ...row, expires }, added);
  }

  /** Waiting ones whose time is over, and ended ones that were kept long enough. */
  async overdueEsigns(most: number): Promise<EsignRow[]> {
    const rows = await this.query(
      `SELECT id, client, phase, facts, expires, hashes, version, mac FROM esigns
       WHERE expires <= $1 ORDER BY id LIMIT $2${this.lock}`,
      this.now,
      most,
    );
    return rows.map((row) => this.#esign(row));
  }

  async deleteEsign(id: string): Promise<void> {
    const rows = await this.query("DELETE FROM esigns WHERE id = $1 RETURNING version, mac", id);
    for (const row of rows) this.gone("esigns", id, row);
  }
}

const contentOf = ({ client, phase, facts, expires }: EsignRow, bytes: EsignBytes): Value[] => [
  client,
  phase,
  JSON.stringify(facts),
  expires,
  hashesOf(bytes),
];

/** The hashes of its bytes that a row's seal contains. */
export const hashesOf = ({ pdf, cms, dss, answer }: EsignBytes): string =>
  [pdf, cms, dss, answer].map((bytes) => bytes === null ? "-" : sha256(bytes)).join(" ");
