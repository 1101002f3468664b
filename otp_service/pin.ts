/**
 * PINs: Argon2id (RFC 9106) over the PIN keyed with a pepper that the database does not know. Looking at an answer costs
 * the same work whether the person exists or not and whatever is wrong with it.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { CscError } from "./error.ts";
import type { HashRequest } from "./pin_worker.ts";

const HASH = 32;
const SALT = 16;

/** Answers that may wait to be looked at; more come from no honest crowd, and would wait too long. */
const WAITING = 32;

/** Beside this file; in the bundle (`tasks/compile.ts`), where that lays it. */
const WORKER = new URL(
  import.meta.url.endsWith(".ts") ? "./pin_worker.ts" : "./otp_service/pin_worker.js",
  import.meta.url,
);

export class Pins {
  readonly #pepper: Uint8Array;
  readonly #nobody: string;
  /** Hashes made so far, for diagnosis and for the test that all answers cost the same. */
  work = 0;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();
  #worker: Worker | undefined;

  constructor(pepper: Uint8Array) {
    this.#pepper = pepper;
    this.#nobody = encode(randomBytes(SALT), randomBytes(HASH));
  }

  /**
   * A place among those whose PIN is looked at, until it is disposed of. To be had before an answer is paid for: who is turned
   * away has lost no try, or a crowd of strangers could lock people out.
   *
   * @throws {CscError} `too_many`
   */
  admit(): Disposable {
    if (this.#waiting >= WAITING) throw new CscError("too_many");
    this.#waiting++;
    return { [Symbol.dispose]: () => this.#waiting-- };
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
   * Whether a PIN is right.
   *
   * @param encoded of {@linkcode hash}; `null`: there is no such person, or no PIN was set. It takes as long.
   */
  async verify(pin: string, encoded: string | null): Promise<boolean> {
    const [, salt, hash] = (encoded ?? this.#nobody).split(".");
    const expected = fromBase64(hash);
    const right = timingSafeEqual(await this.#derive(pin, fromBase64(salt)), expected);
    return right && encoded !== null;
  }

  /** Ends the thread; what is under way gets no answer. */
  [Symbol.dispose](): void {
    this.#worker?.terminate();
  }

  /** One after another: each takes 19 MiB, and there is no gain in having many half done. */
  #derive(pin: string, salt: Uint8Array): Promise<Uint8Array> {
    const result = this.#last.then(() => {
      this.work++;
      const password = createHmac("sha256", this.#pepper).update(pin.normalize("NFC")).digest();
      return this.#argon2id({ password: new Uint8Array(password), salt, hashLength: HASH });
    });
    this.#last = result.catch(() => {}); // told to its own caller
    return result;
  }

  /** The thread is started at the first PIN: the administrator's commands need none. */
  #argon2id(request: HashRequest): Promise<Uint8Array> {
    const worker = this.#worker ??= new Worker(WORKER, { type: "module" });
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        this.#worker = undefined;
        reject(new Error(`Argon2id: ${event.message}`));
      };
      worker.postMessage(request);
    });
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
