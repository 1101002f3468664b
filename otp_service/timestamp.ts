/** Timestamps for this service's signatures, from the authority that its configuration names. */
import { addUnsignedAttributes, encodeAttribute } from "../formats/cms/add.ts";
import { Oid } from "../formats/asn1/oids.ts";
import { digest as digestOf } from "../formats/digest.ts";
import type { HashName } from "../formats/signer.ts";
import { requestTimestamp, TimestampError } from "../online/timestamp.ts";
import { CscError } from "./error.ts";

/**
 * Has a digest timestamped; see {@linkcode requestTimestamp}.
 *
 * @throws {CscError} `timestamp_failed`, with the reason for the log
 */
export async function timestamp(
  url: string,
  hash: HashName,
  digest: Uint8Array,
  nonce?: Uint8Array,
): Promise<Uint8Array> {
  try {
    return await requestTimestamp(url, hash, digest, { nonce });
  } catch (error) {
    if (error instanceof TimestampError) throw new CscError("timestamp_failed", error.message);
    throw error;
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
