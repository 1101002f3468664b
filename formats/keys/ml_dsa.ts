/**
 * ML-DSA (FIPS 204) as certificates, CMS and JOSE use it: pure, with an empty context (RFC 9881 §2, RFC 9882 §3,
 * RFC 9964 §4). Its code takes 0.8 MB and 5 ms, which most programs never need: it is loaded by {@link withMlDsa}
 * when the first such signature is met.
 */
import type { MlDsa } from "../signer.ts";

/**
 * Object identifiers (RFC 9881 §2), and lengths in bytes: of the public key, of the signature, and of a digest that
 * is no weaker than the signature over it (RFC 9882 §3.3).
 */
export const ML_DSA: Readonly<
  Record<MlDsa, { oid: string; publicKey: number; signature: number; digest: number }>
> = {
  "ML-DSA-44": { oid: "2.16.840.1.101.3.4.3.17", publicKey: 1312, signature: 2420, digest: 32 },
  "ML-DSA-65": { oid: "2.16.840.1.101.3.4.3.18", publicKey: 1952, signature: 3309, digest: 48 },
  "ML-DSA-87": { oid: "2.16.840.1.101.3.4.3.19", publicKey: 2592, signature: 4627, digest: 64 },
};

/** Their names. */
export const ML_DSA_NAMES = Object.keys(ML_DSA) as readonly MlDsa[];

/** The parameter set with an object identifier; undefined where it is none of them. */
export const mlDsaByOid = (oid: string): MlDsa | undefined =>
  ML_DSA_NAMES.find((name) => ML_DSA[name].oid === oid);

/** Whether a signature scheme is ML-DSA. */
export const isMlDsa = (scheme: string): scheme is MlDsa => Object.hasOwn(ML_DSA, scheme);

let library: typeof import("@noble/post-quantum/ml-dsa.js") | undefined;

/** No error of the input: {@link withMlDsa} loads the code and does the work again. */
class NotLoaded extends Error {
  override readonly message = "The code that checks ML-DSA signatures is not loaded.";
}

/**
 * Does work that may come upon ML-DSA signatures. It runs again from the start where it was the first to.
 *
 * @param work its results must not depend on how often it runs
 */
export async function withMlDsa<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof NotLoaded)) throw error;
    library = await import("@noble/post-quantum/ml-dsa.js");
    return await work();
  }
}

/**
 * ML-DSA.Verify with an empty context (FIPS 204 §5.3), within {@link withMlDsa}.
 *
 * @param publicKey of the parameter set's length
 * @returns false also if the signature has another length
 */
export function verifyMlDsa(
  name: MlDsa,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.length !== ML_DSA[name].signature) return false;
  if (!library) throw new NotLoaded();
  const { ml_dsa44, ml_dsa65, ml_dsa87 } = library;
  const by = { "ML-DSA-44": ml_dsa44, "ML-DSA-65": ml_dsa65, "ML-DSA-87": ml_dsa87 }[name];
  return by.verify(signature, message, publicKey);
}
