/** The names of algorithms in JSON signatures, and the protected header of those that are made. */
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import type { VerificationAlgorithm } from "../keys/algorithm.ts";
import { isMlDsa, ML_DSA_NAMES } from "../keys/ml_dsa.ts";
import type { SignatureAlgorithm } from "../signer.ts";
import { readCertificate } from "../x509/certificate.ts";

export const encodeBase64url = (bytes: Uint8Array): string =>
  bytes.toBase64({ alphabet: "base64url", omitPadding: true });

/** A JWA name's algorithm; ECDSA goes with one curve each (RFC 7518 §3.4). */
export type JwaAlgorithm = VerificationAlgorithm & { curve?: string };

/** JWA names (RFC 7518 §3.1, RFC 9964 §4). */
export const jwaAlgorithms: Readonly<Record<string, JwaAlgorithm>> = {
  RS256: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  RS384: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  RS512: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
  PS256: { scheme: "RSASSA-PSS", hash: "SHA-256", saltLength: 32 },
  PS384: { scheme: "RSASSA-PSS", hash: "SHA-384", saltLength: 48 },
  PS512: { scheme: "RSASSA-PSS", hash: "SHA-512", saltLength: 64 },
  ES256: { scheme: "ECDSA", hash: "SHA-256", curve: "P-256" },
  ES384: { scheme: "ECDSA", hash: "SHA-384", curve: "P-384" },
  ES512: { scheme: "ECDSA", hash: "SHA-512", curve: "P-521" },
  ...Object.fromEntries(ML_DSA_NAMES.map((scheme) => [scheme, { scheme }])),
};

/** The JWA name of an algorithm, whether or not JWS allows it with the key; RS1: RFC 8812 §2. */
export function jwaNameOf({ scheme, hash }: SignatureAlgorithm): string {
  if (isMlDsa(scheme)) return scheme;
  const prefix = { "RSASSA-PKCS1-v1_5": "RS", "RSASSA-PSS": "PS", ECDSA: "ES" }[scheme];
  return prefix + hash.slice("SHA-".length);
}

/** Bytes of the order of each curve. */
export const orderBytes: Readonly<Record<string, number>> = {
  "P-256": 32,
  "P-384": 48,
  "P-521": 66,
};

/**
 * The JWA name of an algorithm with a certificate's key.
 *
 * @throws {FormatError} `algorithm_unsupported`: JWA ties each curve to one hash
 */
export function jwaName(algorithm: SignatureAlgorithm, certificate: Uint8Array): string {
  const { curve } = readCertificate(certificate).publicKey;
  const name = jwaNameOf(algorithm);
  const jwa = Object.hasOwn(jwaAlgorithms, name) ? jwaAlgorithms[name] : undefined;
  const fits = jwa && (jwa.curve === undefined || jwa.curve === curve) &&
    (algorithm.saltLength === undefined || algorithm.saltLength === jwa.saltLength);
  if (!fits) {
    throw new FormatError(
      "algorithm_unsupported",
      "JWS does not support this key and hash. Use another certificate or hash.",
    );
  }
  return name;
}

export interface HeaderOptions {
  certificate: Uint8Array;
  chain: readonly Uint8Array[];
  algorithm: SignatureAlgorithm;
  /** JAdES `iat`: the claimed signing time. */
  signingTime: Date;
  /** `cty` (RFC 7515 §4.1.10), as `json`. */
  contentType?: string;
}

/**
 * The protected header of JAdES baseline B-B (ETSI TS 119 182-1), BASE64URL.
 *
 * @throws {FormatError} as {@linkcode jwaName}, `certificate_malformed`
 */
export function encodeHeader(
  { certificate, chain, algorithm, signingTime, contentType }: HeaderOptions,
): string {
  const header = {
    alg: jwaName(algorithm, certificate),
    ...contentType ? { cty: contentType } : {},
    iat: Math.floor(signingTime.getTime() / 1000),
    "x5t#S256": encodeBase64url(digest("SHA-256", certificate)),
    x5c: [certificate, ...chain].map((der) => der.toBase64()),
  };
  return encodeBase64url(new TextEncoder().encode(JSON.stringify(header)));
}
