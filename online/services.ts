/** Timestamps and validation data, which signatures of the higher levels need from the network. */
import type { ValidationData } from "../formats/pades/dss.ts";
import type { HashName } from "../formats/signer.ts";
import type { Reader } from "../reader/client.ts";
import { askInSteps, type Done } from "../reader/steps.ts";
import { OnlineError } from "./error.ts";
import type { Asking, LevelServices, ValidatedLater } from "./pades.ts";
import {
  type FetchStep,
  keyOf,
  type PkiFetch,
  PkiHttp,
  PkiHttpError,
  publicFetch,
} from "./pki_http.ts";
import type { Fetched, LevelStep, questions } from "./questions.ts";
import { requestTimestamp } from "./timestamp.ts";

export type OnlineReader = Reader<typeof questions>;

/** Milliseconds for which an answer is reused; number of answers kept, and their bytes. */
const REMEMBERED = 10 * 60_000;
const MAX_REMEMBERED = 64;
const MAX_BYTES = 8 * 1024 * 1024;

export interface OnlineOptions {
  reader: OnlineReader;
  /** RFC 3161 service, from the configuration only: a page cannot name one. */
  timestampAuthority?: string;
  /** Fetches addresses found in certificates; default: only from the public network. */
  pkiFetch?: PkiFetch;
  now: () => Date;
}

export class Online implements LevelServices {
  /** Answers by the step's key. */
  readonly #fetched = new Map<string, { answer: Uint8Array; until: number }>();

  constructor(readonly options: OnlineOptions) {}

  /**
   * Timestamps a digest.
   *
   * @returns the TimeStampToken, checked against the request
   * @throws {OnlineError} `timestamp_unavailable`
   */
  async timestamp(hash: HashName, digest: Uint8Array, asking: Asking): Promise<Uint8Array> {
    const { reader, timestampAuthority: url } = this.options;
    if (!url) {
      throw new OnlineError(
        "timestamp_unavailable",
        'No time-stamping service is configured. Set "timestampAuthority" in the configuration, or sign at level B-B.',
      );
    }
    return await requestTimestamp(reader, url, hash, digest, asking);
  }

  /**
   * Collects the data for a later validation of a signature and its timestamp (EN 319 142-1 §5.4), and checks that it
   * suffices today.
   *
   * @param of SignedData, or certificates of signers and timestamp authorities with others at hand, DER
   * @throws {OnlineError} `validation_data_unavailable`, `certificate_revoked`
   */
  async validationData(
    of: ValidatedLater,
    asking: Asking,
  ): Promise<ValidationData> {
    const { signal } = asking;
    const { reader, pkiFetch = publicFetch(), now } = this.options;
    const http = new PkiHttp(pkiFetch, signal);
    const time = now();
    return await askInSteps(
      (done) => reader.ask("validationData", { of, now: time.toISOString(), done }, asking),
      async (step) => {
        const answer = await fetchFor(http, step);
        signal.throwIfAborted();
        if (answer instanceof Uint8Array) this.#remember(keyOf(step), answer, time.getTime());
        return answer;
      },
      this.#remembered(time.getTime()),
    );
  }

  #remembered(now: number): Done {
    for (const [key, { until }] of this.#fetched) if (now >= until) this.#fetched.delete(key);
    return [...this.#fetched].map(([key, { answer }]) => [key, answer] as const);
  }

  #remember(key: string, answer: Uint8Array, now: number): void {
    if (answer.length > MAX_BYTES / 4) return;
    this.#fetched.set(key, { answer, until: now + REMEMBERED });
    let bytes = 0;
    for (const each of this.#fetched.values()) bytes += each.answer.length;
    for (const [oldest, each] of this.#fetched) {
      if (this.#fetched.size <= MAX_REMEMBERED && bytes <= MAX_BYTES) break;
      this.#fetched.delete(oldest);
      bytes -= each.answer.length;
    }
  }
}

/** Does what a signature's level needs. */
export const performFor = (
  services: LevelServices,
  step: LevelStep,
  asking: Asking,
): Promise<unknown> =>
  "timestamp" in step
    ? services.timestamp(step.hash, step.timestamp, asking)
    : services.validationData(step.validationData, asking);

/** Fetches what a reader needs; what cannot be had is told to it. */
export async function fetchFor(http: PkiHttp, step: FetchStep): Promise<Fetched> {
  try {
    return "get" in step
      ? await http.get(step.get)
      : await http.post(step.post, step.type, step.accept, step.body);
  } catch (error) {
    if (error instanceof PkiHttpError) return { problem: error.message };
    throw error;
  }
}
