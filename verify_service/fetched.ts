/**
 * What authorities answered about revocation, for all requests: one fetch at a time of each address, kept only where an
 * authority has signed it, and no longer than an hour.
 */
import { digest } from "../formats/digest.ts";
import { type FetchStep, keyOf, type PkiFetch, PkiHttp } from "../online/pki_http.ts";
import type { Fetched } from "../online/questions.ts";
import { fetchFor } from "../online/services.ts";
import type { AtHand } from "./questions.ts";

/** Milliseconds for which an answer is kept at most, and a failure. */
const MAX_AGE = 3_600_000;
const FAILURE_AGE = 60_000;
/** Answers kept, and their bytes. */
const MAX_ENTRIES = 2000;
const MAX_BYTES = 256 * 1024 * 1024;
/** Answers used last that each question names. */
const AT_HAND = 200;

interface Entry {
  answer: Fetched;
  /** Of its bytes, in hex. */
  sha256?: string;
  until: number;
}

export interface FetchCounts {
  hits: number;
  fetches: number;
  failures: number;
}

export class FetchedAnswers {
  /** By the step's key; the one used last stands last. */
  readonly #entries = new Map<string, Entry>();
  readonly #running = new Map<string, { url: string; answer: Promise<Fetched> }>();
  readonly #closing = new AbortController();
  #bytes = 0;
  readonly counts: FetchCounts = { hits: 0, fetches: 0, failures: 0 };

  /** @param now milliseconds since 1970 */
  constructor(readonly fetch: PkiFetch, readonly now: () => number) {}

  get entries(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Ends what is being fetched. */
  close(): void {
    this.#closing.abort();
  }

  /** Those that a question probably needs. A reader that has not had the bytes yet asks for them. */
  atHand(): AtHand {
    return [...this.#entries].slice(-AT_HAND).flatMap(([key, { answer, sha256, until }]) =>
      until <= this.now()
        ? []
        : [[key, answer instanceof Uint8Array ? { sha256: sha256! } : answer]]
    );
  }

  /**
   * An answer that is kept, or a new one; what cannot be had is told in a sentence.
   *
   * @returns `key`: the step's, as the reader is not believed about it; `isNew`: this caller made the fetch, and {@linkcode settle}s it; until then others get the same
   */
  async get(step: FetchStep): Promise<{ key: string; answer: Fetched; isNew: boolean }> {
    const key = keyOf(step);
    const entry = this.#entries.get(key);
    if (entry && entry.until > this.now()) {
      this.counts.hits++;
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      return { key, answer: entry.answer, isNew: false };
    }
    const running = this.#running.get(key);
    if (running) return { key, answer: await running.answer, isNew: false };
    this.counts.fetches++;
    const fetching = fetchFor(new PkiHttp(this.fetch, this.#closing.signal), step);
    this.#running.set(key, { url: "get" in step ? step.get : step.post, answer: fetching });
    const answer = await fetching;
    if (answer instanceof Uint8Array) return { key, answer, isNew: true };
    this.#running.delete(key);
    this.#fail(key, answer.problem);
    return { key, answer, isNew: false };
  }

  /**
   * Says what became of a new answer.
   *
   * @param until milliseconds since 1970, where an authority has signed it; null where none has; undefined where
   *   nobody has looked
   */
  async settle(key: string, until: number | null | undefined): Promise<void> {
    const running = this.#running.get(key);
    const answer = await running?.answer;
    this.#running.delete(key);
    if (until === undefined || !(answer instanceof Uint8Array)) return;
    if (until === null) {
      this.#fail(key, `${running!.url} answers what no authority has signed.`);
    } else this.#put(key, { answer, until: Math.min(until, this.now() + MAX_AGE) });
  }

  /** Remembers that nothing of use is to be had there. */
  #fail(key: string, problem: string): void {
    this.counts.failures++;
    this.#put(key, { answer: { problem }, until: this.now() + FAILURE_AGE });
  }

  #put(key: string, entry: Entry): void {
    this.#drop(key);
    const { answer, until } = entry;
    if (until <= this.now()) return;
    const sha256 = answer instanceof Uint8Array ? digest("SHA-256", answer).toHex() : undefined;
    this.#entries.set(key, { ...entry, sha256 });
    this.#bytes += sizeOf(entry.answer);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_ENTRIES && this.#bytes <= MAX_BYTES) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#bytes -= sizeOf(entry.answer);
  }
}

const sizeOf = (answer: Fetched) => answer instanceof Uint8Array ? answer.length : 0;
