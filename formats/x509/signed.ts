/** Signed structures of X.509 and OCSP: checked once for each key, however many paths and files ask. */
import { Buffer } from "node:buffer";
import { digest } from "../digest.ts";
import type { PublicKey } from "../keys/public_key.ts";
import { verifySignature } from "./signature.ts";
import { readSignatureAlgorithm } from "../keys/algorithm.ts";

/** Common structure of certificates, CRLs and OCSP answers. */
export interface Signed {
  /** The bytes under the signature. */
  readonly tbs: Uint8Array;
  /** AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
}

/** By the contents' digests, as one authority's certificates and lists stand under many files; the one asked last stands last. */
const results = new Map<string, boolean>();
const MAX_RESULTS = 4096;

/**
 * Whether a structure is signed with a key. The answer is remembered.
 *
 * @throws {FormatError} `algorithm_unsupported`, `key_malformed`, `asn1_malformed`
 */
export function isSignedWith(signed: Signed, key: PublicKey): boolean {
  const { tbs, signatureAlgorithm, signature } = signed;
  const id = idOf(signed, tbs, signatureAlgorithm, signature) + idOf(key, key.spki);
  let result = results.get(id);
  if (result === undefined) {
    const algorithm = readSignatureAlgorithm(signatureAlgorithm);
    result = verifySignature(key, algorithm, { message: tbs }, signature);
    for (const oldest of results.keys()) {
      if (results.size < MAX_RESULTS) break;
      results.delete(oldest);
    }
  } else results.delete(id);
  results.set(id, result);
  return result;
}

const ids = new WeakMap<object, string>();

/** The digests of an object's parts: computed once for each object. */
function idOf(object: object, ...parts: readonly Uint8Array[]): string {
  let id = ids.get(object);
  if (id === undefined) {
    id = parts.map((part) => Buffer.from(digest("SHA-256", part)).toString("latin1")).join("");
    ids.set(object, id);
  }
  return id;
}
