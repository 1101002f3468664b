/** The algorithms of requests, by their object identifiers. */
import { hashByOid as nameOfHash, HASHES } from "../formats/digest.ts";
import type { HashName, SignatureAlgorithm } from "../formats/signer.ts";
import { OIDS } from "../protocol/csc.ts";
import { CscError } from "./error.ts";

/** The scheme that a `signAlgo` names, and the hash if it includes one. */
export const ALGORITHMS: Readonly<
  Record<string, { scheme: SignatureAlgorithm["scheme"]; hash?: HashName }>
> = {
  [OIDS.rsaEncryption]: { scheme: "RSASSA-PKCS1-v1_5" },
  [OIDS.sha256WithRsa]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  [OIDS.sha384WithRsa]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  [OIDS.sha512WithRsa]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
  [OIDS.ecPublicKey]: { scheme: "ECDSA" },
  [OIDS.ecdsaWithSha256]: { scheme: "ECDSA", hash: "SHA-256" },
  [OIDS.ecdsaWithSha384]: { scheme: "ECDSA", hash: "SHA-384" },
  [OIDS.ecdsaWithSha512]: { scheme: "ECDSA", hash: "SHA-512" },
};

/** Object identifiers with which a key of a scheme signs, for `credentials/info`. */
export function algorithmsOf(scheme: SignatureAlgorithm["scheme"]): string[] {
  return Object.keys(ALGORITHMS).filter((oid) => ALGORITHMS[oid].scheme === scheme);
}

/**
 * The hash by its object identifier.
 *
 * @throws {CscError} `hash_algorithm_invalid`
 */
export function hashByOid(oid: string): HashName {
  const hash = nameOfHash(oid);
  if (!hash || hash === "SHA-1" || hash === "SHA-224") {
    throw new CscError("hash_algorithm_invalid");
  }
  return hash;
}

/**
 * Checks that every digest is one of the algorithm.
 *
 * @throws {CscError} `hash_algorithm_invalid`, `hash_length`
 */
export function checkHashes(hashes: readonly string[], hashAlgorithm: string): void {
  const length = HASHES[hashByOid(hashAlgorithm)].length;
  if (hashes.some((hash) => Uint8Array.fromBase64(hash).length !== length)) {
    throw new CscError("hash_length");
  }
}

/**
 * Hash and scheme stated by the items of a request. All items must agree, because there is one key and one list of
 * digests.
 *
 * @throws {CscError} `sign_algorithm_invalid`, `hash_contradicts`, `hash_algorithm_invalid`
 */
export function algorithmOf(
  items: readonly { signAlgo?: string; hashAlgorithmOID?: string }[],
): { hashAlgorithm?: string; scheme?: SignatureAlgorithm["scheme"] } {
  const hashes = new Set<string>();
  const schemes = new Set<SignatureAlgorithm["scheme"]>();
  for (const { signAlgo, hashAlgorithmOID } of items) {
    if (hashAlgorithmOID !== undefined) hashes.add(hashAlgorithmOID);
    if (signAlgo === undefined) continue;
    if (!Object.hasOwn(ALGORITHMS, signAlgo)) throw new CscError("sign_algorithm_invalid");
    const { scheme, hash } = ALGORITHMS[signAlgo];
    schemes.add(scheme);
    if (hash === undefined) continue;
    const implied = HASHES[hash].oid;
    if (hashAlgorithmOID !== undefined && hashAlgorithmOID !== implied) {
      throw new CscError("hash_contradicts");
    }
    hashes.add(implied);
  }
  if (schemes.size > 1) throw new CscError("sign_algorithm_invalid");
  if (hashes.size > 1) throw new CscError("hash_algorithm_invalid");
  return { hashAlgorithm: [...hashes][0], scheme: [...schemes][0] };
}
