/** The client of time-stamping authorities (RFC 3161, over HTTP by its §3.4). */
import { randomBytes } from "node:crypto";
import { encodeTimestampRequest } from "../formats/cms/timestamp_request.ts";
import { FormatError } from "../formats/error.ts";
import type { HashName } from "../formats/signer.ts";
import { OnlineError } from "./error.ts";
import type { Reader } from "../reader/client.ts";
import { readBounded } from "./http.ts";
import type { Asking } from "./pades.ts";
import type { questions } from "./questions.ts";

/** Milliseconds. */
const TIMEOUT = 15_000;
const MAX_ANSWER = 1024 * 1024;

/**
 * Timestamps a digest.
 *
 * @param reader reads the answer
 * @param url the authority that the configuration names; redirects are refused, as the administrator chose whom to ask
 * @param nonce at least 8 bytes; random unless given
 * @param timeout milliseconds for the whole answer; default 15 seconds
 * @returns the TimeStampToken, DER, checked against the request
 * @throws {OnlineError} `timestamp_unavailable`; the reason of `signal` if it was aborted
 */
export async function requestTimestamp(
  reader: Reader<Pick<typeof questions, "timestampToken">>,
  url: string,
  hash: HashName,
  digest: Uint8Array,
  { nonce = randomBytes(16), timeout = TIMEOUT, signal, origin }:
    & { nonce?: Uint8Array; timeout?: number }
    & Partial<Asking> = {},
): Promise<Uint8Array> {
  const limit = AbortSignal.timeout(timeout);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/timestamp-query" },
      body: new Uint8Array(encodeTimestampRequest({ hash, digest, nonce })),
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    const body = await readBounded(response, MAX_ANSWER);
    if (response.status !== 200) {
      throw unavailable(`${url} answered with status ${response.status}.`);
    }
    const asked = { response: body, hash, digest, nonce: new Uint8Array(nonce) };
    return await reader.ask("timestampToken", asked, { signal, origin });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof OnlineError) throw error;
    if (error instanceof FormatError) throw unavailable(error.message);
    const why = limit.aborted ? "did not answer in time" : "could not be reached";
    throw unavailable(`${url} ${why}.`, String(error));
  }
}

const unavailable = (why: string, detail?: string) =>
  new OnlineError("timestamp_unavailable", why, detail);
