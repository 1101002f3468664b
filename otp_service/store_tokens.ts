/** Statements about opaque values: tokens, tickets, codes and links. */
import type { Row } from "./database.ts";
import { OTHER, TamperedError } from "./row_seal.ts";
import type { TokenData, TokenOf } from "./rows.ts";
import { sha256, token } from "./secrets.ts";
import { AuthorizationsTx } from "./store_authorizations.ts";

export interface TokenRow<K extends TokenData["kind"]> {
  readonly data: TokenOf<K>;
  readonly family: string | null;
}

export class TokensTx extends AuthorizationsTx {
  /** Makes a value that stands for `data`; `family`: what is revoked together; `value`: where it exists already. */
  async issue(
    data: TokenData,
    lifetime: number,
    family: string | null = null,
    value: string = token(),
  ): Promise<string> {
    const content = [data.kind, family, JSON.stringify(data), this.now + lifetime];
    const { version, mac } = this.next("tokens", sha256(value), content);
    await this.query(
      `INSERT INTO tokens (hash, kind, family, data, expires, version, mac)
       VALUES ($1, $2, $3, $4, $5, $6, $7)`,
      sha256(value),
      ...content,
      version,
      mac,
    );
    return value;
  }

  /** Meaning of a value; null if it has none, or no longer. */
  async read<K extends TokenData["kind"]>(kind: K, value: string): Promise<TokenRow<K> | null> {
    const [row] = await this.query(
      "SELECT * FROM tokens WHERE hash = $1 AND kind = $2 AND expires > $3",
      sha256(value),
      kind,
      this.now,
    );
    return row ? this.#token(row, kind, value) : null;
  }

  /** As {@linkcode read}, once: the value stands for nothing afterwards. */
  async take<K extends TokenData["kind"]>(kind: K, value: string): Promise<TokenRow<K> | null> {
    const [row] = await this.query(
      "DELETE FROM tokens WHERE hash = $1 AND kind = $2 AND expires > $3 RETURNING *",
      sha256(value),
      kind,
      this.now,
    );
    if (!row) return null;
    const taken = this.#token(row, kind, value);
    this.gone("tokens", sha256(value), row);
    return taken;
  }

  #token<K extends TokenData["kind"]>(row: Row, kind: K, value: string): TokenRow<K> {
    const { family, data, expires } = row;
    this.verify("tokens", sha256(value), row, [kind, family, data, expires]);
    if (expires as number <= this.now) throw new TamperedError(OTHER);
    return { data: JSON.parse(data as string), family: family as string | null };
  }

  async revoke(by: { value: string } | { family: string }): Promise<void> {
    const [column, value] = "value" in by ? ["hash", sha256(by.value)] : ["family", by.family];
    this.#gone(
      await this.query(
        `DELETE FROM tokens WHERE ${column} = $1 RETURNING hash, version, mac`,
        value,
      ),
    );
  }

  /** Only the newest enrolment of a person is good. */
  async revokeEnrolments(person: string): Promise<void> {
    this.#gone(
      await this.query(
        "DELETE FROM tokens WHERE kind = 'enrolment' AND family = $1 RETURNING hash, version, mac",
        person,
      ),
    );
  }

  async forgetTokens(): Promise<void> {
    this.#gone(
      await this.query(
        "DELETE FROM tokens WHERE expires <= $1 RETURNING hash, version, mac",
        this.now,
      ),
    );
  }

  #gone(rows: Row[]): void {
    for (const row of rows) this.gone("tokens", row.hash as string, row);
  }
}
