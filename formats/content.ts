import type { DigestName } from "./signer.ts";

/** Signed content that is not in the signed file. */
export interface VerifyContent {
  /** Undefined where it is not known by this algorithm. */
  digest(hash: DigestName): Uint8Array | undefined;
  /** The content itself, which a detached JWS and a route over JSON need; absent where it is too large. */
  bytes?(): Uint8Array;
}
