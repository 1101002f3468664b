/** The seam between formats and keys: formats say what to sign, a {@link Signer} signs it. */

/** Digest algorithms that can be named; which of them may be used is a matter of policy. */
export type HashName = "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512";

/** Those of signatures that are read: SHA-224 is never signed with. */
export type DigestName = HashName | "SHA-224";

/** A parameter set of ML-DSA (FIPS 204 §4). */
export type MlDsa = "ML-DSA-44" | "ML-DSA-65" | "ML-DSA-87";

export type SignatureScheme = "RSASSA-PKCS1-v1_5" | "RSASSA-PSS" | "ECDSA" | MlDsa;

/** One way of signing. */
export interface SignatureAlgorithm {
  scheme: SignatureScheme;
  /** ML-DSA signs messages, not digests: the digest of a CMS signature's content, which is part of the message. */
  hash: HashName;
  /** RSASSA-PSS only: salt length in bytes; the digest's length when absent (RFC 4055 §3.1). */
  saltLength?: number;
}

/** Either the message, to be hashed with the algorithm's digest, or that digest itself, which ML-DSA cannot sign. */
export type SigningInput = { message: Uint8Array } | { digest: Uint8Array };

/** A private key that can sign, with its certificate. It is open until {@link Signer.close}. */
export interface Signer {
  /** The signer's certificate, DER. */
  readonly certificate: Uint8Array;
  /** Further certificates (DER) towards the root, nearest first; may be empty. */
  readonly chain: readonly Uint8Array[];
  readonly algorithm: SignatureAlgorithm;
  /**
   * Signs with the algorithm above.
   *
   * @returns RSA: the signature of the modulus' length; ECDSA: a DER `ECDSA-Sig-Value`
   *   (RFC 3279 §2.2.3)
   */
  sign(input: SigningInput, signal?: AbortSignal): Promise<Uint8Array>;
  close(): Promise<void>;
}
