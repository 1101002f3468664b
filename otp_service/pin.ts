/**
 * PINs: Argon2id (RFC 9106) over the PIN keyed with a pepper that the database does not know. Looking at an answer costs
 * the same work whether the person exists or not and whatever is wrong with it.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { getLogger } from "@logtape/logtape";
import { CscError } from "./error.ts";
import type { HashRequest } from "./pin_worker.ts";

const log = getLogger(["dsign", "otp-service"]);

const HASH = 32;
const SALT = 16;
/** The version of hashes that were made of the PIN alone. */
const UNBOUND = "v1";
/** The version of hashes that name their pepper. Earlier ones are of the oldest. */
const NAMED = "v3";

/** The peppers of PINs, one of each secret that is kept, by the secrets' names. */
export interface Peppers {
  /** Name of the pepper for new hashes. */
  readonly current: string;
  /** The pepper of that name; of the oldest secret without one. */
  pepper(name?: string): Uint8Array | undefined;
}

/**
 * Kinds of callers in order of priority: people who answer an authorization with PIN and OTP, people known by a token
 * or by an authenticated portal, and strangers, who know only a name.
 */
export type Lane = "answer" | "known" | "stranger";

/**
 * How many of a lane may wait for their turn, how many of these for the same owner, and how long, in milliseconds; from no
 * honest crowd come more.
 */
const LANES: Readonly<Record<Lane, { most: number; each: number; wait: number }>> = {
  answer: { most: 128, each: 8, wait: 20_000 },
  known: { most: 64, each: 32, wait: 10_000 },
  stranger: { most: 16, each: 16, wait: 3_000 },
};

/** Turns at a time: while one waits for the database, another one's PIN is hashed. */
const TURNS = 2;

interface Waiting {
  owner: string;
  go(): void;
  timer: ReturnType<typeof setTimeout>;
}

/** Beside this file; in the bundle (`tasks/compile.ts`), where that lays it. */
const WORKER = new URL(
  import.meta.url.endsWith(".ts") ? "./pin_worker.ts" : "./otp_service/pin_worker.js",
  import.meta.url,
);

export class Pins {
  readonly #peppers: Peppers;
  readonly #nobody: string;
  readonly #lanes: typeof LANES;
  /** Hashes made so far, for diagnosis and for the test that all answers cost the same. */
  work = 0;
  #turns = 0;
  readonly #waiting: Record<Lane, Waiting[]> = { answer: [], known: [], stranger: [] };
  #last: Promise<unknown> = Promise.resolve();
  #worker: Worker | undefined;

  constructor(peppers: Peppers, lanes = LANES) {
    this.#peppers = peppers;
    this.#lanes = lanes;
    this.#nobody = encode("", randomBytes(SALT), randomBytes(HASH));
  }

  /**
   * A turn to have a PIN looked at, until it is disposed of. To be had before an answer is paid for: who is turned away has
   * lost no try, or a crowd could lock people out. However many strangers come, the other lanes wait for two of them at
   * most.
   *
   * @param owner whose turn it is: an authorization, a client, a person; one of them does not fill a lane
   * @throws {CscError} `too_many` where too many wait in the lane, or for too long
   */
  async turn(lane: Lane, owner: string): Promise<Disposable> {
    if (this.#turns < TURNS) this.#turns++;
    else await this.#wait(lane, owner);
    return { [Symbol.dispose]: () => this.#release() };
  }

  /** How many wait in each lane. */
  waiting(): Record<Lane, number> {
    const { answer, known, stranger } = this.#waiting;
    return { answer: answer.length, known: known.length, stranger: stranger.length };
  }

  #wait(lane: Lane, owner: string): Promise<void> {
    const { most, each, wait } = this.#lanes[lane];
    const queue = this.#waiting[lane];
    const own = queue.filter((waiting) => waiting.owner === owner).length;
    if (queue.length >= most || own >= each) throw new CscError("too_many", `lane ${lane}`);
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        owner,
        go: resolve,
        timer: setTimeout(() => {
          queue.splice(queue.indexOf(waiting), 1);
          reject(new CscError("too_many", `lane ${lane}`));
        }, wait),
      };
      queue.push(waiting);
    });
  }

  #release(): void {
    const { answer, known, stranger } = this.#waiting;
    const next = answer.shift() ?? known.shift() ?? stranger.shift();
    if (!next) return void this.#turns--;
    clearTimeout(next.timer);
    next.go();
  }

  /**
   * Hashes a new PIN.
   *
   * @param person whose it is: the hash is good for nobody else
   * @returns `v3.PEPPER.SALT.HASH`, the last two Base64url
   */
  async hash(person: string, pin: string): Promise<string> {
    const salt = randomBytes(SALT);
    const { current } = this.#peppers;
    const text = `${person}\0${pin.normalize("NFC")}`;
    return encode(current, salt, await this.#derive(this.#peppers.pepper(current)!, text, salt));
  }

  /**
   * Whether a PIN is correct.
   *
   * @param encoded of {@linkcode hash}; `null` if there is no such person or no PIN is set; checking takes as long.
   */
  async verify(person: string, pin: string, encoded: string | null): Promise<boolean> {
    const [version, ...parts] = (encoded ?? this.#nobody).split(".");
    const name = version === NAMED ? parts.shift() : undefined;
    const [salt, hash] = parts;
    const normal = pin.normalize("NFC");
    // hashes of before rows were sealed are of the PIN alone
    const text = version === UNBOUND ? normal : `${person}\0${normal}`;
    const pepper = this.#peppers.pepper(name);
    if (!pepper && encoded !== null) {
      log.error(
        "The secret file lacks the secret {name}, of which the PIN of {person} has its pepper.",
        {
          name,
          person,
        },
      );
    }
    const found = await this.#derive(pepper ?? randomBytes(HASH), text, fromBase64(salt));
    return timingSafeEqual(found, fromBase64(hash)) && encoded !== null;
  }

  /** Whether a hash is good for one person only, and its pepper is the current one. */
  isCurrent(encoded: string): boolean {
    return encoded.startsWith(`${NAMED}.${this.#peppers.current}.`);
  }

  /** Ends the thread; what is under way gets no answer. */
  [Symbol.dispose](): void {
    this.#worker?.terminate();
  }

  /** One after another: each takes 19 MiB, and there is no gain in having many half done. */
  #derive(pepper: Uint8Array, text: string, salt: Uint8Array): Promise<Uint8Array> {
    const result = this.#last.then(() => {
      this.work++;
      const password = createHmac("sha256", pepper).update(text).digest();
      return this.#argon2id({ password: new Uint8Array(password), salt, tagLength: HASH });
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
/** The name of the pepper that an encoded hash has; undefined: that of the oldest secret. */
export function pepperOf(encoded: string): string | undefined {
  const [version, name] = encoded.split(".");
  return version === NAMED ? name : undefined;
}

const toBase64 = (bytes: Uint8Array) => new Uint8Array(bytes).toBase64(ALPHABET);
const encode = (pepper: string, salt: Uint8Array, hash: Uint8Array) =>
  [NAMED, pepper, toBase64(salt), toBase64(hash)].join(".");

/** The rule for PINs; the pages say the same. */
const PIN_FORM = /^\d{6,12}$/;

/**
 * Whether a PIN may be chosen: 6 to 12 digits, not all equal, not a sequence up or down, no repeated short pattern.
 */
export function isGoodPin(pin: string): boolean {
  if (!PIN_FORM.test(pin) || /^(\d{1,3})\1+$/.test(pin)) return false;
  const steps = new Set(
    [...pin].slice(1).map((digit, i) => (Number(digit) - Number(pin[i]) + 10) % 10),
  );
  return !(steps.size === 1 && (steps.has(1) || steps.has(9)));
}
