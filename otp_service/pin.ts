/**
 * PINs: Argon2id (RFC 9106) over the PIN keyed with a pepper that the database does not know. Looking at an answer costs
 * the same work whether the person exists or not and whatever is wrong with it.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { argon2id } from "hash-wasm";
import { CscError } from "./error.ts";

/** 19 MiB, two passes, one lane: OWASP's first choice; about 80 ms. */
const PARAMETERS = { memorySize: 19 * 1024, iterations: 2, parallelism: 1 } as const;
const HASH = 32;
const SALT = 16;

/** Answers that may wait to be looked at; more come from no honest crowd, and would wait too long. */
const WAITING = 32;

/** Milliseconds after which requests that came meanwhile have been read; with 0 or `setImmediate` few or none are. */
const TURN = 1;

export class Pins {
  readonly #pepper: Uint8Array;
  readonly #nobody: string;
  /** Hashes made so far, for diagnosis and for the test that all answers cost the same. */
  work = 0;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(pepper: Uint8Array) {
    this.#pepper = pepper;
    this.#nobody = encode(randomBytes(SALT), randomBytes(HASH));
  }

  /**
   * Hashes a new PIN.
   *
   * @returns `v1.SALT.HASH`, both Base64url
   */
  async hash(pin: string): Promise<string> {
    const salt = randomBytes(SALT);
    return encode(salt, await this.#derive(pin, salt));
  }

  /**
   * Whether a PIN is right. Both reject with `too_many` where too many are waiting.
   *
   * @param encoded of {@linkcode hash}; `null`: there is no such person, or no PIN was set. It takes as long.
   */
  async verify(pin: string, encoded: string | null): Promise<boolean> {
    const [, salt, hash] = (encoded ?? this.#nobody).split(".");
    const expected = fromBase64(hash);
    const right = timingSafeEqual(await this.#derive(pin, fromBase64(salt)), expected);
    return right && encoded !== null;
  }

  /**
   * One after another: each takes 19 MiB, and there is no gain in having many half done. A hash holds the process up while it
   * is made, so that between two of them all other requests have their turn.
   */
  #derive(pin: string, salt: Uint8Array): Promise<Uint8Array> {
    if (this.#waiting >= WAITING) return Promise.reject(new CscError("too_many"));
    this.#waiting++;
    const result = this.#last.then(() => delay(TURN)).then(() => {
      this.work++;
      const password = createHmac("sha256", this.#pepper).update(pin.normalize("NFC")).digest();
      return argon2id({ ...PARAMETERS, password, salt, hashLength: HASH, outputType: "binary" });
    }).finally(() => this.#waiting--);
    this.#last = result.catch(() => {}); // told to its own caller
    return result;
  }
}

const ALPHABET = { alphabet: "base64url", omitPadding: true } as const;
const fromBase64 = (text: string) => Uint8Array.fromBase64(text, ALPHABET);
const encode = (salt: Uint8Array, hash: Uint8Array) =>
  ["v1", new Uint8Array(salt).toBase64(ALPHABET), new Uint8Array(hash).toBase64(ALPHABET)].join(
    ".",
  );

/** What a PIN must be; the pages say the same. */
export const PIN_FORM = /^\d{6,12}$/;

/**
 * Whether a PIN may be chosen: 6 to 12 digits, not all the same, not counting up or down, nor a short piece repeated.
 */
export function isGoodPin(pin: string): boolean {
  if (!PIN_FORM.test(pin) || /^(\d{1,3})\1+$/.test(pin)) return false;
  const steps = new Set(
    [...pin].slice(1).map((digit, i) => (Number(digit) - Number(pin[i]) + 10) % 10),
  );
  return !(steps.size === 1 && (steps.has(1) || steps.has(9)));
}
