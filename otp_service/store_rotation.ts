/** Statements that bring what was sealed with an earlier secret to the current one. */
import type { Row, Value } from "./database.ts";
import { COUNTED, type Sealed } from "./row_seal.ts";
import type { Secrets } from "./secrets.ts";
import { CertificatesTx } from "./store_certificates.ts";
import { TABLES } from "./store_check.ts";

/** Tables with something that is sealed. */
export const SECRET_TABLES = [...COUNTED, "documents", "private_keys"] as const;
export type SecretTable = typeof SECRET_TABLES[number];

const DOCUMENTS = { id: "client || ' ' || digest", columns: "*" };

/** Rows that are sealed anew at a time: others wait for no longer than that takes. */
const PIECE = 100;

/** Their own boxes within the rows' data: whose the authenticator's secret is. */
const OWNER: Partial<Record<SecretTable, (data: Row) => string>> = {
  persons: ({ id }) => id as string,
  tokens: ({ holder }) => (holder as unknown as { person: string })?.person,
};

export class RotationTx extends CertificatesTx {
  async sealAnew(
    table: SecretTable,
    after: string,
    secrets: Secrets,
    waits: boolean,
  ): Promise<{ last: string | null; count: number }> {
    const lock = this.lock && !waits ? `${this.lock} SKIP LOCKED` : this.lock;
    if (table === "private_keys") {
      const rows = await this.query(
        `SELECT id, sealed FROM private_keys WHERE id > $1 ORDER BY id LIMIT ${PIECE}${lock}`,
        after,
      );
      const changes = rows.map(({ id, sealed }) =>
        [id, secrets.sealAnew(`key ${id}`, sealed as string)] as const
      ).filter(([, sealed]) => sealed !== null);
      await Promise.all(
        changes.map((change) =>
          this.query("UPDATE private_keys SET sealed = $2 WHERE id = $1", ...change)
        ),
      );
      return { last: lastOf(rows, "id"), count: changes.length };
    }
    const { id, columns = "*" } = table === "documents" ? DOCUMENTS : TABLES[table];
    const rows = await this.query(
      `SELECT ${columns}, ${id} AS row_id FROM ${table}
       WHERE ${id} > $1 AND mac NOT LIKE $2 ORDER BY ${id} LIMIT ${PIECE}${lock}`,
      after,
      `${this.currentSeal}%`,
    );
    await Promise.all(rows.map((row) => this.#change(table, id, row, secrets)));
    return { last: lastOf(rows, "row_id"), count: rows.length };
  }

  async #change(table: Sealed, id: string, row: Row, secrets: Secrets): Promise<void> {
    const name = row.row_id as string;
    const before = contentOf(table, row);
    const data = boxedAnew(table, row, secrets);
    const mac = this.anew(table, name, row, before, contentOf(table, { ...row, ...data }));
    await this.query(
      `UPDATE ${table} SET mac = $2${data && ", data = $3"} WHERE ${id} = $1`,
      name,
      mac,
      ...Object.values(data || {}),
    );
  }
}

const lastOf = (rows: Row[], id: string) => rows.length < PIECE ? null : rows.at(-1)![id] as string;

function contentOf(table: Sealed, row: Row): Value[] {
  if (table === "documents") return [row.name, row.content, row.expires, row.size];
  return TABLES[table].content(row);
}

/** The row's data, if the secret of an authenticator in it has to be encrypted anew. */
function boxedAnew(table: Sealed, row: Row, secrets: Secrets): { data: string } | "" {
  const owner = OWNER[table];
  if (!owner) return "";
  const data = JSON.parse(row.data as string);
  if (!data.totp) return "";
  const totp = secrets.sealAnew(`totp ${owner(data)}`, data.totp);
  return totp === null ? "" : { data: JSON.stringify({ ...data, totp }) };
}
