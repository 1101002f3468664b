/** What a post-quantum key (ML-DSA) cannot sign, said before anybody is asked for a PIN. */
import { DsignError, type ErrorCode } from "../protocol/errors.ts";
import { MAX_ML_DSA_MESSAGE } from "../signers/provider.ts";
import { isPostQuantum } from "./certificates.ts";
import type { DataHow } from "./data.ts";

/** Why a certificate (DER) cannot make a signature; null: it can. */
type Accepts = (certificate: Uint8Array) => DsignError | null;

const refuse = (code: ErrorCode, message: string): Accepts => (certificate) =>
  isPostQuantum(certificate) ? new DsignError(code, message) : null;

const ANOTHER = "Choose another certificate.";

/** RFC 9882 and RFC 9964 know pure ML-DSA alone. */
export const noDigests = refuse(
  "mechanism_unsupported",
  `A post-quantum key (ML-DSA) signs documents, not bare digests. ${ANOTHER}`,
);

/** Web eID tokens name no such algorithm. */
export const noLogin = refuse(
  "mechanism_unsupported",
  `Sites cannot check a login with a post-quantum key (ML-DSA) yet. ${ANOTHER}`,
);

const noXml = refuse(
  "mechanism_unsupported",
  `There is no standard yet for XML signatures with a post-quantum key (ML-DSA). ${ANOTHER}`,
);

/** Room for the header of a JWS, with its certificates. */
const JWS_HEADER = 64 * 1024;

/** The first of two keys: what is made for the second one is of no use beside another of its kind. */
export const notBoth = refuse(
  "invalid_params",
  "The first certificate is post-quantum (ML-DSA) already, and needs no second one.",
);

/** A second key, which signs all of the signed file. */
export interface Also<T> {
  /** `id` of the certificate. */
  certificate: string;
  /** SHA-512 of the signed file. */
  digest(made: T): Promise<Uint8Array>;
}

/** For data of a size in bytes. CMS signs a digest of the content, so its size does not matter. */
export function acceptsFor({ format }: Pick<DataHow, "format">, size: number): Accepts | undefined {
  if (format === "xades" || format === "xmldsig") return noXml;
  const signed = format === "raw" ? size : format === "jws" ? JWS_HEADER + 4 / 3 * size : 0;
  if (signed <= MAX_ML_DSA_MESSAGE) return undefined;
  return refuse(
    "too_large",
    "A post-quantum key (ML-DSA) has to sign all of this content, and a token takes at most 1 MiB. " +
      "Use the format cades, or another certificate.",
  );
}
