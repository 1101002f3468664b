/**
 * The service's secret, which the database must not contain: 32 random bytes in a file, stored separately and shared by all
 * instances. Every key is derived from it (HKDF, RFC 5869), a different one for each use. While it is rotated the file holds
 * earlier ones too, or the next.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { type NoteSigner, noteSigner } from "../formats/log/note.ts";
import { SetupError } from "./error.ts";
import type { Peppers } from "./pin.ts";
import { RowSeal, sealKeyName } from "./row_seal.ts";

const SIZE = 32;
const NONCE = 12;
const TAG = 16;

/** What a secret of the file is good for. */
export type SecretUse =
  /** For everything. */
  | "current"
  /** For reading; it becomes the current one with the end of the audit that is sealed with it. */
  | "next"
  /** For reading. */
  | "old"
  /** For PINs that were set with it. */
  | "pepper";

/** A secret in the file. */
export interface KeptSecret {
  readonly use: SecretUse;
  readonly master: Uint8Array;
  /** Of an old one: when everything that began with it is over, ISO 8601. */
  readonly until?: string;
}

/** The keys that are derived from a secret. */
interface Keys {
  readonly use: SecretUse;
  /** Tells secrets apart, and nothing of them. */
  readonly name: string;
  readonly pepper: Uint8Array;
  readonly rows: Uint8Array;
  readonly otp: Uint8Array;
  readonly box: Uint8Array;
  readonly log: Uint8Array;
}

/** @throws {SetupError} unless there are 32 bytes */
function keysOf({ use, master }: KeptSecret): Keys {
  if (master.length !== SIZE) {
    throw new SetupError(`The file of the service's secret must hold ${SIZE} bytes in hex.`);
  }
  const derive = (what: string) =>
    new Uint8Array(hkdfSync("sha256", master, new Uint8Array(), `dsign otp-service ${what}`, SIZE));
  const rows = derive("row seal");
  return {
    use,
    name: sealKeyName(rows),
    pepper: derive("PIN pepper"),
    rows,
    otp: derive("OTP"),
    box: derive("box"),
    log: derive("log signature"),
  };
}

/** The name of a secret, which tells nothing of it. */
export const secretName = (secret: KeptSecret): string => keysOf(secret).name;

export class Secrets {
  /** Peppers of PIN hashes. */
  readonly pepper: Peppers;
  /** Seals the database's rows. */
  readonly rows: RowSeal;
  #all: readonly Keys[];
  #current: Keys;
  readonly #readAgain: (() => readonly KeptSecret[]) | undefined;

  /**
   * @param kept a secret alone, or all of the file, newest first
   * @param readAgain reads the file when something was made with a secret that is not known
   * @throws {SetupError} where one is not of 32 bytes
   */
  constructor(kept: Uint8Array | readonly KeptSecret[], readAgain?: () => readonly KeptSecret[]) {
    const all = kept instanceof Uint8Array ? [{ use: "current", master: kept } as const] : kept;
    this.#all = all.map(keysOf);
    this.#current = currentOf(this.#all);
    this.#readAgain = readAgain;
    const [current, known] = [() => this.#current.name, (name: string) => this.#known(name)];
    this.pepper = {
      get current() {
        return current();
      },
      pepper: (name) =>
        (name === undefined ? this.#all.at(-1) : this.#all.find((each) => each.name === name))
          ?.pepper,
    };
    this.rows = new RowSeal({
      get current() {
        return current();
      },
      key: (name) => known(name)?.rows,
      follow: (name) => {
        if (name === this.#current.name) return;
        const other = known(name);
        if (other?.use === "next") this.#current = other;
      },
    });
  }

  /** The secrets that count for everything but PINs, the current one first. */
  #reading(): readonly Keys[] {
    const others = this.#all.filter((each) => each !== this.#current && each.use !== "pepper");
    return [this.#current, ...others];
  }

  #known(name: string): Keys | undefined {
    const find = () => this.#reading().find((each) => each.name === name);
    return find() ?? (this.reload() ? find() : undefined);
  }

  /**
   * Reads the file again, if it can be: an administrator may be rotating the secret.
   *
   * @returns whether it has changed
   */
  reload(): boolean {
    if (!this.#readAgain) return false;
    const all = this.#readAgain().map(keysOf);
    const text = (keys: readonly Keys[]) => keys.map(({ use, name }) => `${use} ${name}`).join();
    if (text(all) === text(this.#all)) return false;
    this.#all = all;
    // the audit's end may have told of the next one before this machine's file does
    const same = all.find(({ name, use }) => name === this.#current.name && use === "next");
    this.#current = same ?? currentOf(all);
    return true;
  }

  /** The key of the audit's checkpoints, where it has no file: an Ed25519 seed of the oldest secret. */
  get logSeed(): Uint8Array {
    return this.#all.at(-1)!.log;
  }

  /** Signs the audit's checkpoints with {@linkcode logSeed}. */
  logSigner(origin: string): NoteSigner {
    return noteSigner(origin, this.logSeed);
  }

  /** Keyed hash of an OTP, bound to one authorization. */
  otpHash(transaction: string, otp: string): string {
    return otpHash(this.#current, transaction, otp);
  }

  /** Whether a hash is that of this OTP. */
  isOtp(transaction: string, otp: string, hash: string): boolean {
    return this.#reading()
      .map((keys) => sameText(otpHash(keys, transaction, otp), hash))
      .includes(true);
  }

  /**
   * Encrypts for the database: nonce ‖ AES-256-GCM ‖ tag, in hex.
   *
   * @param name what it is and whose; the same must be given to {@linkcode open}
   */
  seal(name: string, plain: Uint8Array): string {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv("aes-256-gcm", this.#current.box, nonce);
    cipher.setAAD(new TextEncoder().encode(name));
    const parts = [nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
    return parts.map((part) => new Uint8Array(part).toHex()).join("");
  }

  /** @throws {SetupError} where the database does not fit the secret */
  open(name: string, sealed: string): Uint8Array {
    const open = () => {
      for (const { box } of this.#reading()) {
        const plain = opened(box, name, sealed);
        if (plain) return plain;
      }
      return null;
    };
    const plain = open() ?? (this.reload() ? open() : null);
    if (plain) return plain;
    throw new SetupError("The service's secret is not the one that this database was made with.");
  }

  /** The same for the current secret; null where it is of that already. @throws {SetupError} */
  sealAnew(name: string, sealed: string): string | null {
    return opened(this.#current.box, name, sealed)
      ? null
      : this.seal(name, this.open(name, sealed));
  }
}

const currentOf = (all: readonly Keys[]): Keys => {
  const current = all.find(({ use }) => use === "current");
  if (!current) throw new SetupError("The file of the service's secret has no current one.");
  return current;
};

const otpHash = ({ otp: key }: Keys, transaction: string, otp: string): string =>
  createHmac("sha256", key).update(`${transaction}\0${otp}`).digest("base64url");

function opened(box: Uint8Array, name: string, sealed: string): Uint8Array | null {
  try {
    const bytes = Uint8Array.fromHex(sealed);
    const decipher = createDecipheriv("aes-256-gcm", box, bytes.subarray(0, NONCE));
    decipher.setAAD(new TextEncoder().encode(name));
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG));
    const head = decipher.update(bytes.subarray(NONCE, bytes.length - TAG));
    return new Uint8Array([...head, ...decipher.final()]);
  } catch {
    return null;
  }
}

/** A random value for a caller to hold: 256 bits, Base64url. The database keeps its {@linkcode sha256}. */
export function token(): string {
  return randomBytes(32).toString("base64url");
}

/** SHA-256 in Base64url: enough for values that nobody can guess. */
export function sha256(value: string | Uint8Array): string {
  return createHash("sha256").update(value).digest("base64url");
}

/** Compares two texts in a time that does not tell where they differ. */
export function sameText(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(x, y);
}
