/** Message digests. */
import { createHash, type Hash, hash as hashAtOnce } from "node:crypto";
import type { DigestName } from "./signer.ts";

/** Each hash's name in node:crypto, its object identifier (RFC 8017 §A.2.4), and its length in bytes. */
export const HASHES: Readonly<Record<DigestName, { node: string; oid: string; length: number }>> = {
  "SHA-1": { node: "sha1", oid: "1.3.14.3.2.26", length: 20 },
  "SHA-224": { node: "sha224", oid: "2.16.840.1.101.3.4.2.4", length: 28 },
  "SHA-256": { node: "sha256", oid: "2.16.840.1.101.3.4.2.1", length: 32 },
  "SHA-384": { node: "sha384", oid: "2.16.840.1.101.3.4.2.2", length: 48 },
  "SHA-512": { node: "sha512", oid: "2.16.840.1.101.3.4.2.3", length: 64 },
};

/** All of them. */
export const HASH_NAMES = Object.keys(HASHES) as readonly DigestName[];

/** The hash with an object identifier; undefined where it is none that we know. */
export const hashByOid = (oid: string): DigestName | undefined =>
  HASH_NAMES.find((name) => HASHES[name].oid === oid);

/** A running digest, for content that comes in pieces. */
export const hasher = (hash: DigestName): Hash => createHash(HASHES[hash].node);

/** The digest of the pieces as if they were joined. */
export function digest(hash: DigestName, ...pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return hashAtOnce(HASHES[hash].node, pieces[0], "buffer");
  const state = hasher(hash);
  for (const piece of pieces) state.update(piece);
  return state.digest();
}
