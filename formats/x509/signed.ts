/** Signed structures of X.509 and OCSP: checked once for each key, however many paths ask. */
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

const results = new WeakMap<Signed, WeakMap<PublicKey, boolean>>();

/**
 * Whether a structure is signed with a key. The answer is cached as long as both objects live.
 *
 * @throws {FormatError} `algorithm_unsupported`, `key_malformed`, `asn1_malformed`
 */
export function isSignedWith(signed: Signed, key: PublicKey): boolean {
  let known = results.get(signed);
  if (!known) results.set(signed, known = new WeakMap());
  let result = known.get(key);
  if (result === undefined) {
    const algorithm = readSignatureAlgorithm(signed.signatureAlgorithm);
    result = verifySignature(key, algorithm, { message: signed.tbs }, signed.signature);
    known.set(key, result);
  }
  return result;
}
