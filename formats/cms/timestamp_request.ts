/** Asking a time-stamping authority (RFC 3161 §2.4.1). */
import {
  boolean,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  unsignedInteger,
} from "../asn1/der.ts";
import { readAsn1 } from "../asn1/read.ts";
import { HASHES } from "../digest.ts";
import { FormatError } from "../error.ts";
import { encodeHash } from "../keys/algorithm.ts";
import type { DigestName } from "../signer.ts";

export interface TimestampRequest {
  readonly hash: DigestName;
  /** Digest of what is to be timestamped. */
  readonly digest: Uint8Array;
  /** Random bytes, at least 8, to be compared with the token's. */
  readonly nonce?: Uint8Array;
  /** Policy (dotted) under which the timestamp is wanted. */
  readonly policy?: string;
}

/** Encodes a TimeStampReq that asks for the authority's certificate too (§2.4.1). */
export function encodeTimestampRequest(request: TimestampRequest): Uint8Array {
  const { hash, digest, nonce, policy } = request;
  if (digest.length !== HASHES[hash].length) {
    throw new FormatError("invalid_argument", `The digest has the wrong length for ${hash}.`);
  }
  const [id] = readAsn1(encodeHash(hash)).children;
  return sequence(
    integer(1),
    sequence(sequence(id.bytes, nullValue()), octetString(digest)),
    ...(policy ? [oid(policy)] : []),
    ...(nonce ? [unsignedInteger(nonce)] : []),
    boolean(true),
  );
}
