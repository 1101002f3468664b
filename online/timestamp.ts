/** The client of time-stamping authorities (RFC 3161, over HTTP by its §3.4). */
import { randomBytes } from "node:crypto";
import {
  encodeTimestampRequest,
  readTimestampResponse,
  verifyTimestamp,
} from "../formats/cms/timestamp.ts";
import { FormatError } from "../formats/error.ts";
import type { HashName } from "../formats/signer.ts";
import { readBounded } from "./http.ts";

const TIMEOUT = 15_000;
const MAX_ANSWER = 1024 * 1024;

/** No usable timestamp was had; the message says why, in a sentence. */
export class TimestampError extends Error {
  override readonly name = "TimestampError";
}

/**
 * Has a digest timestamped.
 *
 * @param url the authority that the configuration names; redirects are refused, as the administrator chose whom to ask
 * @param nonce at least 8 bytes; random unless given
 * @returns the TimeStampToken, DER, checked against the request
 * @throws {TimestampError} also where `signal` was aborted
 */
export async function requestTimestamp(
  url: string,
  hash: HashName,
  digest: Uint8Array,
  { nonce = randomBytes(16), signal }: { nonce?: Uint8Array; signal?: AbortSignal } = {},
): Promise<Uint8Array> {
  const limit = AbortSignal.timeout(TIMEOUT);
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
      throw new TimestampError(`${url} answered with status ${response.status}.`);
    }
    const token = readTimestampResponse(body);
    const { problems } = verifyTimestamp(token, {
      nonce,
      digestOf: (asked) => asked === hash ? digest : undefined,
    });
    if (problems.length > 0) {
      throw new TimestampError(problems.map(({ message }) => message).join(" "));
    }
    return token;
  } catch (error) {
    if (error instanceof TimestampError) throw error;
    if (error instanceof FormatError) throw new TimestampError(error.message);
    const why = limit.aborted ? "did not answer in time" : "could not be reached";
    throw new TimestampError(`${url} ${why}.`, { cause: error });
  }
}
