/** Revocation status of one certificate, from CRLs or OCSP. */
import { FormatError } from "../error.ts";
import type { PublicKey } from "../keys/public_key.ts";
import { readSignatureAlgorithm } from "../keys/algorithm.ts";
import { isSignedWith, type Signed } from "./signed.ts";
import type { Certificate } from "./certificate.ts";
import type { CrlReason } from "./extensions.ts";

export type RevocationStatus =
  | {
    readonly status: "good";
    readonly source: "crl" | "ocsp";
    /** The CRLs or the OCSP answer that say so, DER. */
    readonly evidence: readonly Uint8Array[];
    /** Since when at least the answer was known. */
    readonly thisUpdate: Date;
  }
  | {
    readonly status: "revoked";
    readonly source: "crl" | "ocsp";
    readonly evidence: readonly Uint8Array[];
    readonly thisUpdate: Date;
    readonly revokedAt: Date;
    readonly reason: CrlReason;
  }
  /** @property message the end of a sentence that begins with the certificate's name */
  | { readonly status: "unknown"; readonly message: string };

type Known = Exclude<RevocationStatus, { status: "unknown" }>;

/**
 * Picks the answer that counts. A revocation wins, because only a certificateHold can be lifted (RFC 5280 §5.3.1);
 * otherwise the newest, and of equally new ones the one that revokes.
 */
export function decisive(answers: readonly Known[]): Known | undefined {
  const isFinal = (each: Known) => each.status === "revoked" && each.reason !== "certificateHold";
  return answers.find(isFinal) ??
    answers.toSorted((a, b) =>
      b.thisUpdate.getTime() - a.thisUpdate.getTime() ||
      Number(b.status === "revoked") - Number(a.status === "revoked")
    )[0];
}

/** Issuer of a certificate, with the key that signed it. */
export interface Issuer {
  readonly certificate: Certificate;
  readonly key: PublicKey;
}

/** Input of the revocation checks besides the certificate. */
export interface RevocationContext {
  /** The certificate must not have been revoked at this time. */
  readonly at: Date;
  /** Information from after this time is from the future; not before {@link at}. */
  readonly now: Date;
  readonly weakAlgorithms?: "refuse" | "accept";
  /** Signature checks that are left; hostile documents bring lists and certificates in hundreds. */
  readonly budget: { checks: number };
  /** Certificates of this subject that may have signed a list or an answer. */
  candidates(subjectKey: string): Iterable<Certificate>;
  /** The key of a certificate that has a valid path to the same trust anchor. */
  trustedKey(certificate: Certificate): PublicKey | undefined;
  /** Whether an OCSP responder's own certificate counts as not revoked. */
  isUnrevoked(certificate: Certificate, issuer: Issuer): boolean;
}

/** Clocks of services and PCs differ by minutes. */
const CLOCK_SKEW = 5 * 60 * 1000;

/**
 * Whether information current from `thisUpdate` to `nextUpdate` applies to the time `at`.
 * Newer information is even better, as long as it still lists the certificate.
 */
export function isCurrent(
  { thisUpdate, nextUpdate }: { thisUpdate: Date; nextUpdate?: Date },
  { at, now }: { at: Date; now: Date },
): boolean {
  return thisUpdate.getTime() <= now.getTime() + CLOCK_SKEW && (nextUpdate ?? thisUpdate) >= at;
}

/** Whether this key signed the list or answer, with algorithms that are strong enough. */
export function isTrustedlySigned(
  signed: Signed,
  key: PublicKey,
  context: RevocationContext,
): boolean {
  if (context.budget.checks-- <= 0) return false;
  try {
    const { hash } = readSignatureAlgorithm(signed.signatureAlgorithm);
    if (hash === "SHA-1" && context.weakAlgorithms !== "accept") return false;
    return isSignedWith(signed, key);
  } catch (error) {
    if (error instanceof FormatError) return false; // an algorithm that is not this key's
    throw error;
  }
}
