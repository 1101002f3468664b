/**
 * The service's secret, which the database must not contain: one file of 32 random bytes, stored separately and shared
 * by all instances. Every key is derived from it (HKDF, RFC 5869), a different one for each use.
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
import { readSecretFile } from "./config.ts";
import { SetupError } from "./error.ts";
import { RowSeal } from "./row_seal.ts";

const SIZE = 32;
const NONCE = 12;
const TAG = 16;

export class Secrets {
  /** Pepper of PIN hashes. */
  readonly pepper: Uint8Array;
  /** Seals the database's rows. */
  readonly rows: RowSeal;
  readonly #otp: Uint8Array;
  readonly #box: Uint8Array;
  readonly #log: Uint8Array;

  /** @throws {SetupError} unless there are 32 bytes */
  constructor(master: Uint8Array) {
    if (master.length !== SIZE) {
      throw new SetupError(`The file of the service's secret must hold ${SIZE} bytes in hex.`);
    }
    const derive = (use: string) =>
      new Uint8Array(
        hkdfSync("sha256", master, new Uint8Array(), `dsign otp-service ${use}`, SIZE),
      );
    this.pepper = derive("PIN pepper");
    this.rows = new RowSeal(derive("row seal"));
    this.#otp = derive("OTP");
    this.#box = derive("box");
    this.#log = derive("log signature");
  }

  /** Signs the audit's checkpoints (Ed25519). */
  logSigner(origin: string): NoteSigner {
    return noteSigner(origin, this.#log);
  }

  /** Keyed hash of an OTP, bound to one authorization. */
  otpHash(transaction: string, otp: string): string {
    return createHmac("sha256", this.#otp).update(`${transaction}\0${otp}`).digest("base64url");
  }

  /**
   * Encrypts for the database: nonce ‖ AES-256-GCM ‖ tag, in hex.
   *
   * @param name what it is and whose; the same must be given to {@linkcode open}
   */
  seal(name: string, plain: Uint8Array): string {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv("aes-256-gcm", this.#box, nonce);
    cipher.setAAD(new TextEncoder().encode(name));
    const parts = [nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
    return parts.map((part) => new Uint8Array(part).toHex()).join("");
  }

  /** @throws {SetupError} where the database does not fit the secret */
  open(name: string, sealed: string): Uint8Array {
    try {
      const bytes = Uint8Array.fromHex(sealed);
      const decipher = createDecipheriv("aes-256-gcm", this.#box, bytes.subarray(0, NONCE));
      decipher.setAAD(new TextEncoder().encode(name));
      decipher.setAuthTag(bytes.subarray(bytes.length - TAG));
      const head = decipher.update(bytes.subarray(NONCE, bytes.length - TAG));
      return new Uint8Array([...head, ...decipher.final()]);
    } catch {
      throw new SetupError("The service's secret is not the one that this database was made with.");
    }
  }
}

/**
 * Reads the file of the secret (64 hex digits).
 *
 * @throws {SetupError} where it is missing or wrong, or others may read it
 */
export async function readSecrets(path: string): Promise<Secrets> {
  const text = await readSecretFile(path);
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new SetupError(`${path} must hold 64 hex digits.`);
  return new Secrets(Uint8Array.fromHex(text));
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
