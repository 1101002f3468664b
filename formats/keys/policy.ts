/** Which algorithms a signature may have been made with, and until when. */
import type { PublicKey } from "./public_key.ts";
import type { DigestName } from "../signer.ts";

/** NIST SP 800-131A: SHA-1 and RSA below 2048 bits sign nothing from 2014 on. */
const END = new Date("2014-01-01T00:00:00Z");
/** RSA below 1024 bits was factored long before. */
const LEAST_BITS = 1024;

/** Whether weak algorithms were still reliable at the time by which the signature provably existed. */
export const wereReliable = (provenTime: Date): boolean => provenTime < END;

/**
 * The weakness of a signature at a given time.
 *
 * @param hashes all digest algorithms that it relies on
 * @returns the end of a sentence; `undefined` if nothing is
 */
export function weakness(
  hashes: readonly DigestName[],
  key: PublicKey | undefined,
  at: Date,
): string | undefined {
  const isRsa = key?.type === "rsa" || key?.type === "rsa-pss" || key?.type === "dsa";
  if (isRsa && key.bits < LEAST_BITS) return `a key of ${key.bits} bits`;
  if (wereReliable(at)) return undefined;
  if (hashes.includes("SHA-1")) return "SHA-1";
  if (isRsa && key.bits < 2048) return `a key of ${key.bits} bits`;
  return undefined;
}
