/**
 * The seal of the database's rows: who can write to the database, but does not know the service's secret, can neither
 * make a row nor change one, nor put a row's contents under another's name.
 *
 * A row put back to what it was once has a good seal. So the end of the audit holds the sum of all rows' versions, sealed
 * too, and each entry that is still to be added by how much it changes the sum: a row that was put back, taken out or brought
 * back does not fit it.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Value } from "./database.ts";

/** Tables whose rows count in the sum. */
export const COUNTED = [
  "persons",
  "credentials",
  "transactions",
  "tokens",
  "esigns",
  "certificates",
] as const;
export type Counted = typeof COUNTED[number];
/** Tables whose rows are sealed. */
export type Sealed = Counted | "documents";

/** Rows of the log itself. */
type Kept = "audit_head" | "pending";

/** Whether a row's version counts in the sum. Certificates grow to millions, so only revoked ones count. */
export const counts = (table: Counted, version: number): boolean =>
  version > (table === "certificates" ? 1 : 0);

/** A row of the database is not as the service left it. `message` says which, for the log and the administrator. */
export class TamperedError extends Error {
  override readonly name = "TamperedError";
}

/** The sum of no rows. */
export const NO_ROWS = "0".repeat(64);

export class RowSeal {
  readonly #key: Uint8Array;
  /** Says which secret sealed a row, without telling anything of it. */
  readonly #id: string;

  constructor(key: Uint8Array) {
    this.#key = key;
    this.#id = this.#hmac(["key id"]).toString("hex").slice(0, 8);
  }

  #hmac(content: readonly Value[]): Buffer {
    // PostgreSQL stores no NUL, and the store puts U+FFFD in its place
    const text = JSON.stringify(content).replaceAll("\\u0000", "\uFFFD");
    return createHmac("sha256", this.#key).update(text).digest();
  }

  /** The seal of a row in a version. */
  seal(
    table: Sealed | Kept,
    id: string,
    version: number,
    content: readonly Value[],
  ): string {
    return `${this.#id}.${
      this.#hmac(["row", table, id, version, ...content]).toString("base64url")
    }`;
  }

  /** @throws {TamperedError} */
  check(
    table: Sealed | Kept,
    id: string,
    version: number,
    content: readonly Value[],
    mac: Value,
  ): void {
    const name = `${table} ${JSON.stringify(id)}`;
    if (typeof mac !== "string" || !mac.includes(".")) {
      throw new TamperedError(`The row ${name} has no seal.`);
    }
    if (mac.split(".")[0] !== this.#id) {
      throw new TamperedError(`The row ${name} was sealed with another secret.`);
    }
    const [given, right] = [mac, this.seal(table, id, version, content)].map((text) =>
      new TextEncoder().encode(text)
    );
    if (given.length !== right.length || !timingSafeEqual(given, right)) {
      throw new TamperedError(`The row ${name} is not as the service wrote it.`);
    }
  }

  /** Puts a row's version into the sum, or takes it out: both are the same (exclusive or). */
  toggle(sum: Uint8Array, table: Counted, id: string, version: number): void {
    addTo(sum, this.#hmac(["mark", table, id, version]));
  }
}

/** Adds to a sum. */
export function addTo(sum: Uint8Array, other: Uint8Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] ^= other[i];
}
