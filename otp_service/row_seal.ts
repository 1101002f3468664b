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

/** What a {@linkcode TamperedError} says where a good row was given in place of the one that was asked for. */
export const OTHER = "The database answered with another row than was asked for.";

/** The sum of no rows. */
export const NO_ROWS = "0".repeat(64);

/** The keys of seals, by their names. */
export interface SealKeys {
  /** Name of the key for new seals. */
  readonly current: string;
  /** The key of that name, if rows sealed with it count. */
  key(name: string): Uint8Array | undefined;
  /** The end of the audit is sealed with the key of that name: all instances change to it. */
  follow(name: string): void;
}

/** Says which secret a key belongs to, without telling anything of it. */
export const sealKeyName = (key: Uint8Array): string =>
  hmac(key, ["key id"]).toString("hex").slice(0, 8);

function hmac(key: Uint8Array, content: readonly Value[]): Buffer {
  // as the databases keep them: U+FFFD stands for half of a character, and PostgreSQL's store puts it in the place of NUL
  const kept = content.map((each) => typeof each === "string" ? each.toWellFormed() : each);
  const text = JSON.stringify(kept).replaceAll("\\u0000", "\uFFFD");
  return createHmac("sha256", key).update(text).digest();
}

const keyNameOf = (mac: Value): string => String(mac).split(".")[0];

export class RowSeal {
  readonly #keys: SealKeys;

  constructor(keys: SealKeys) {
    this.#keys = keys;
  }

  /** How the seals of rows begin that were sealed with the current key. */
  get prefix(): string {
    return `${this.#keys.current}.`;
  }

  #key(mac: Value, row: string): Uint8Array {
    if (typeof mac !== "string" || !mac.includes(".")) {
      throw new TamperedError(`The row ${row} has no seal.`);
    }
    const key = this.#keys.key(keyNameOf(mac));
    if (!key) {
      throw new TamperedError(
        `The row ${row} was sealed with another secret than those in the secret file.`,
      );
    }
    return key;
  }

  /** The seal of a row in a version. */
  seal(
    table: Sealed | Kept,
    id: string,
    version: number,
    content: readonly Value[],
  ): string {
    const name = this.#keys.current;
    return this.#seal(name, this.#keys.key(name)!, ["row", table, id, version, ...content]);
  }

  #seal(name: string, key: Uint8Array, content: readonly Value[]): string {
    return `${name}.${hmac(key, content).toString("base64url")}`;
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
    const key = this.#key(mac, name);
    const right = this.#seal(keyNameOf(mac), key, ["row", table, id, version, ...content]);
    const [a, b] = [mac as string, right].map((text) => new TextEncoder().encode(text));
    if (a.length !== b.length || !timingSafeEqual(a, b)) {
      throw new TamperedError(`The row ${name} is not as the service wrote it.`);
    }
  }

  /** Whether the key of a seal is known here. */
  knows(mac: Value): boolean {
    return this.#keys.key(keyNameOf(mac)) !== undefined;
  }

  /** As {@linkcode check}, for the end of the audit, whose key all instances use. */
  checkHead(version: number, content: readonly Value[], mac: Value): void {
    this.check("audit_head", "1", version, content, mac);
    this.#keys.follow(keyNameOf(mac));
  }

  /**
   * Puts a row's version into the sum, or takes it out: both are the same (exclusive or).
   *
   * @param mac the row's seal: its key makes the mark
   */
  toggle(sum: Uint8Array, table: Counted, id: string, version: number, mac: Value): void {
    addTo(
      sum,
      hmac(this.#key(mac, `${table} ${JSON.stringify(id)}`), ["mark", table, id, version]),
    );
  }
}

/** Adds to a sum. */
export function addTo(sum: Uint8Array, other: Uint8Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] ^= other[i];
}
