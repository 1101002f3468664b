/** Timestamps (RFC 3161) from the configured authority, checked before they are used. */
import { randomBytes } from "node:crypto";
import type { HashName } from "../formats/signer.ts";
import {
  encodeTimestampRequest,
  readTimestampResponse,
  verifyTimestamp,
} from "../formats/cms/timestamp.ts";
import { addUnsignedAttributes, encodeAttribute } from "../formats/cms/add.ts";
import { digest as digestOf } from "../formats/digest.ts";
import { Oid } from "../formats/asn1/oids.ts";
import { CscError } from "../otp_service/error.ts";
import { readBody } from "../otp_service/service.ts";

const TIMEOUT = 15_000;
const MAX_RESPONSE = 1024 * 1024;

/**
 * Has a digest timestamped.
 *
 * @param nonce at least 8 bytes; random unless given
 * @returns the TimeStampToken, DER
 * @throws {CscError} `timestamp_failed`, with the reason for the log
 */
export async function timestamp(
  url: string,
  hash: HashName,
  digest: Uint8Array,
  nonce: Uint8Array = randomBytes(16),
): Promise<Uint8Array> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/timestamp-query" },
      body: new Uint8Array(encodeTimestampRequest({ hash, digest, nonce })),
      // the administrator chose whom to ask
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    const body = await readBody(response, MAX_RESPONSE);
    if (!response.ok) throw new Error(`status ${response.status}`);
    const token = readTimestampResponse(body);
    const { problems } = verifyTimestamp(token, {
      digestOf: (name) => name === hash ? digest : undefined,
      nonce,
    });
    if (problems.length > 0) throw new Error(problems.map(({ code }) => code).join(", "));
    return token;
  } catch (error) {
    throw new CscError("timestamp_failed", (error as Error).message);
  }
}

/**
 * Has a CMS's one signature timestamped (EN 319 122-1 §5.3): over the signature's value.
 *
 * @returns the CMS with the token among its unsigned attributes
 * @throws {CscError} `timestamp_failed`
 */
export async function timestampSignature(
  url: string,
  hash: HashName,
  cms: Uint8Array,
  signature: Uint8Array,
): Promise<Uint8Array> {
  const token = await timestamp(url, hash, digestOf(hash, signature));
  return addUnsignedAttributes(cms, [0], [encodeAttribute(Oid.signatureTimestamp, token)]);
}
