/** Message digests. */
import { createHash, type Hash, hash as hashAtOnce } from "node:crypto";
import type { HashName } from "./signer.ts";

const nodeNames: Readonly<Record<HashName, string>> = {
  "SHA-1": "sha1",
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
};

/** A running digest, for content that comes in pieces. */
export const hasher = (hash: HashName): Hash => createHash(nodeNames[hash]);

/** The digest of the pieces as if they were joined. */
export function digest(hash: HashName, ...pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return hashAtOnce(nodeNames[hash], pieces[0], "buffer");
  const state = hasher(hash);
  for (const piece of pieces) state.update(piece);
  return state.digest();
}
