/** Statements about documents that are shown to those who sign them. */
import { TamperedError } from "./row_seal.ts";
import type { ShownDocument } from "./rows.ts";
import { sha256 } from "./secrets.ts";
import { TokensTx } from "./store_tokens.ts";

/** Storage limits of one client. */
export interface Quota {
  documents: number;
  bytes: number;
}

export class DocumentsTx extends TokensTx {
  /**
   * @param digests Base64, each a way in which the document may be signed
   * @returns false where the client has stored as much as it may
   */
  async addDocument(
    client: string,
    digests: readonly string[],
    { name, bytes }: ShownDocument,
    { lifetime, quota }: { lifetime: number; quota: Quota },
  ): Promise<boolean> {
    const content = sha256(bytes);
    const expires = this.now + lifetime;
    const [{ count, size }] = await this.query(
      `SELECT COUNT(*) AS count, COALESCE(SUM(size), 0) AS size FROM
       (SELECT content, MAX(size) AS size FROM documents
        WHERE client = $1 AND expires > $2 AND content <> $3 GROUP BY content) AS stored`,
      client,
      this.now,
      content,
    );
    if (Number(count) >= quota.documents || Number(size) + bytes.length > quota.bytes) return false;
    await this.query(
      `INSERT INTO contents VALUES ($1, $2, $3)
       ON CONFLICT (hash) DO UPDATE SET expires = $3`,
      content,
      bytes,
      expires,
    );
    for (const digest of digests) {
      const row = [name, content, expires, bytes.length];
      const { version, mac } = this.next("documents", `${client} ${digest}`, row);
      await this.query(
        `INSERT INTO documents (client, digest, name, content, expires, size, version, mac)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (client, digest)
         DO UPDATE SET name = $3, content = $4, expires = $5, size = $6, version = $7, mac = $8`,
        client,
        digest,
        ...row,
        version,
        mac,
      );
    }
    return true;
  }

  /** Of these digests those whose documents are here. */
  async documentsOf(client: string, digests: readonly string[]): Promise<string[]> {
    const found: string[] = [];
    for (const digest of digests) {
      const [row] = await this.query(
        "SELECT digest FROM documents WHERE client = $1 AND digest = $2 AND expires > $3",
        client,
        digest,
        this.now,
      );
      if (row) found.push(digest);
    }
    return found;
  }

  async document(client: string, digest: string): Promise<ShownDocument | null> {
    const [row] = await this.query(
      `SELECT documents.*, bytes FROM documents JOIN contents ON content = hash
       WHERE client = $1 AND digest = $2 AND documents.expires > $3`,
      client,
      digest,
      this.now,
    );
    if (!row) return null;
    const { name, content, expires, size } = row;
    this.verify("documents", `${client} ${digest}`, row, [name, content, expires, size]);
    const bytes = new Uint8Array(row.bytes as Uint8Array);
    if (sha256(bytes) !== content) {
      throw new TamperedError(`The stored document ${digest} is not the one that was brought.`);
    }
    return { name: name as string, bytes };
  }

  async forgetDocuments(): Promise<void> {
    for (const table of ["documents", "contents"]) {
      await this.query(`DELETE FROM ${table} WHERE expires <= $1`, this.now);
    }
  }
}
