/** Statements about certificates, keys and counters. */
import type { Row, Value } from "./database.ts";
import { OTHER, TamperedError } from "./row_seal.ts";
import type { CertificateRow } from "./rows.ts";
import { sha256 } from "./secrets.ts";
import { EsignsTx } from "./store_esigns.ts";

export class CertificatesTx extends EsignsTx {
  addCertificate(row: Omit<CertificateRow, "revokedAt" | "reason">): void {
    const { serial, person, transaction, der, notAfter } = row;
    const content = contentOf({ ...row, revokedAt: null, reason: null });
    const { version, mac } = this.next("certificates", serial, content);
    this.write(
      `INSERT INTO certificates (serial, person, transaction_id, der, not_after, version, mac)
       VALUES ($1, $2, $3, $4, $5, $6, $7)`,
      ...[serial, person, transaction, der, notAfter, version, mac],
    );
  }

  async certificate(serial: string): Promise<CertificateRow | null> {
    const [row] = await this.query("SELECT * FROM certificates WHERE serial = $1", serial);
    return row ? this.#certificate(row, serial) : this.missing("certificates", serial);
  }

  #certificate(row: Row, serial = row.serial as string): CertificateRow {
    const certificate: CertificateRow = {
      serial,
      person: row.person as string,
      transaction: row.transaction_id as string | null,
      der: new Uint8Array(row.der as Uint8Array),
      notAfter: row.not_after as number,
      revokedAt: row.revoked_at as number | null,
      reason: row.reason as string | null,
    };
    this.verify("certificates", serial, row, contentOf(certificate));
    return certificate;
  }

  async certificatesOf(person: string): Promise<CertificateRow[]> {
    const rows = await this.query(
      "SELECT * FROM certificates WHERE person = $1 ORDER BY not_after DESC LIMIT 1000",
      person,
    );
    if (rows.some((row) => row.person !== person)) throw new TamperedError(OTHER);
    return rows.map((row) => this.#certificate(row));
  }

  async revokedCertificates(): Promise<CertificateRow[]> {
    const rows = await this.query(
      "SELECT * FROM certificates WHERE revoked_at IS NOT NULL ORDER BY revoked_at",
    );
    return rows.map((row) => this.#certificate(row));
  }

  /** False where it is unknown or revoked already. */
  async revokeCertificate(serial: string, reason: string): Promise<boolean> {
    const [row] = await this.query(
      `SELECT * FROM certificates WHERE serial = $1${this.lock}`,
      serial,
    );
    const certificate = row && this.#certificate(row, serial);
    if (!certificate || certificate.revokedAt !== null) return false;
    const content = contentOf({ ...certificate, revokedAt: this.now, reason });
    const { version, mac } = this.next("certificates", serial, content);
    this.update(
      `UPDATE certificates SET revoked_at = $2, reason = $3, version = $4, mac = $5
       WHERE serial = $1`,
      ...[serial, this.now, reason, version, mac],
    );
    return true;
  }

  /** @param sealed encrypted under its id, so that it needs no seal of its row */
  saveKey(id: string, sealed: string): void {
    this.write("INSERT INTO private_keys VALUES ($1, $2)", id, sealed);
  }

  async key(id: string): Promise<string | null> {
    const [row] = await this.query("SELECT sealed FROM private_keys WHERE id = $1", id);
    return row ? row.sealed as string : null;
  }

  /** The next number of a counter, from 1 on. */
  async count(name: string): Promise<number> {
    const [row] = await this.query(
      `INSERT INTO counters VALUES ($1, 1)
       ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value`,
      name,
    );
    return row.value as number;
  }

  /** As much writing as for a person's row, for somebody who does not exist. */
  async writeNobody(): Promise<void> {
    await this.count("nobody");
    this.touchNobody();
  }
}

const contentOf = (row: CertificateRow): Value[] => [
  row.person,
  row.transaction,
  sha256(row.der),
  row.notAfter,
  row.revokedAt,
  row.reason,
];
