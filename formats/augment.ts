/**
 * Adding to a signature what a higher level needs (EN 319 102-1 §7, augmentation): for every format the same steps, each
 * from a whole file to a whole file. What is signed stays as it is.
 */
import type { HashName } from "./signer.ts";
import type { VerifyContent } from "./content.ts";

/** A timestamp in the making. */
export interface PreparedTimestamp {
  /** The digest to be timestamped. */
  readonly imprint: Uint8Array;
  /** @param token TimeStampToken, DER; checking it is up to the caller */
  complete(token: Uint8Array): Uint8Array;
}

/** All DER. */
export interface AddedData {
  certificates: readonly Uint8Array[];
  crls: readonly Uint8Array[];
  ocspResponses: readonly Uint8Array[];
}

/** One signature of a file. */
export interface Target {
  file: Uint8Array;
  /** Its position among the file's signatures, as verification reports them. */
  index: number;
  /** Content that stands elsewhere, by the name in the signature; null where it is not at hand. */
  content: (name: string | null) => VerifyContent | null;
}

/**
 * The steps of one format.
 *
 * All throw {FormatError}: as the format's reader; `algorithm_unsupported` where the signature has a form to which this
 * cannot be added; `not_found` if there is no such signature; `invalid_argument` where content is missing.
 */
export interface Augmenter {
  /** B-T: a timestamp over the signature's value. */
  signatureTimestamp(target: Target, hash: HashName): PreparedTimestamp;
  /** B-LT: certificates and revocation information that are not there yet. */
  addValidationData(target: Target, data: AddedData): Uint8Array;
  /** B-LTA: a timestamp over all of it, timestamps and validation data included. */
  archiveTimestamp(target: Target, hash: HashName): PreparedTimestamp;
}
