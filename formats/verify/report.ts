/**
 * The report on a verified file: plain JSON, so that it can be stored and shown elsewhere. Indications
 * are those of EN 319 102-1 §5.1.
 */
import type { Change } from "../pades/changes.ts";
import type { SignatureKind } from "../x509/india.ts";
import type { SubIndication as PathSubIndication } from "../x509/path_failure.ts";

/** EN 319 102-1 §5.1.3, Table 5. */
export type Indication = "TOTAL-PASSED" | "TOTAL-FAILED" | "INDETERMINATE";

/** EN 319 102-1 §5.1.3, Table 6; those that this product can come to. */
export type SubIndication =
  | PathSubIndication
  | "FORMAT_FAILURE"
  | "HASH_FAILURE"
  | "SIG_CRYPTO_FAILURE"
  | "NOT_YET_VALID"
  | "SIG_CONSTRAINTS_FAILURE"
  | "CRYPTO_CONSTRAINTS_FAILURE"
  | "NO_SIGNING_CERTIFICATE_FOUND"
  | "SIGNED_DATA_NOT_FOUND";

/** Findings about a signature or a file; each has words in every language. */
export type FindingCode =
  // The signature itself
  | "content_changed"
  | "signature_wrong"
  | "format_wrong"
  | "content_missing"
  | "algorithm_unsupported"
  | "certificate_missing"
  | "certificate_not_as_signed"
  // Its certificate
  | "issuer_unknown"
  | "chain_wrong"
  | "certificate_expired"
  | "certificate_not_yet_valid"
  | "certificate_revoked"
  | "revocation_unknown"
  | "not_for_signing"
  | "algorithm_weak"
  // Coverage
  | "coverage_partial"
  | "changed_after"
  | "changed_after_unclear"
  | "changed_after_allowed"
  | "ambiguous"
  | "written_loosely"
  // Facts that a stricter policy may mind
  | "signing_certificate_absent"
  | "signed_attributes_absent"
  | "digest_algorithms_differ"
  | "digest_weaker"
  | "countersignatures_unchecked"
  | "timestamp_not_accepted"
  | "unsigned_ignored"
  | "not_checked"
  | "file_damaged"
  // The person asked for
  | "pan_differs"
  | "pan_absent"
  // Signing routes, and the file as a whole
  | "route_incomplete"
  | "route_unproven"
  | "route_wrong"
  | "no_signature";

export interface Finding {
  code: FindingCode;
  /** `failed`, `unclear`: the signature is not accepted for it; `notice`: nothing against it. */
  severity: "failed" | "unclear" | "notice";
  /** One sentence, in English; it may quote what stands in the file. */
  message: string;
}

export interface CertificateReport {
  commonName: string;
  subject: string;
  issuer: string;
  /** Hexadecimal. */
  serialNumber: string;
  /** SHA-256, hexadecimal. */
  id: string;
  /** RFC 3339, as all times. */
  notBefore: string;
  notAfter: string;
  /** By India's certificate policies. */
  class: 1 | 2 | 3 | null;
  kind: SignatureKind;
}

export type RevocationReport =
  | { status: "good"; source: "crl" | "ocsp"; asOf: string }
  | { status: "revoked"; source: "crl" | "ocsp"; since: string; reason: string }
  | { status: "unknown" };

export interface TimestampReport {
  /** `signature`: over the signature value; `archive`: over all that its validation needs; `document`: of a PDF. */
  kind: "signature" | "archive" | "document";
  indication: Indication;
  subIndication: SubIndication | null;
  time: string;
  authority: string | null;
  findings: Finding[];
}

/** Coverage of a signature. */
export interface CoverageReport {
  /**
   * - `whole`: the document but for signatures, the content of an enveloping or detached signature, the payload.
   * - `revision`: a PDF up to a revision; `changes` says what came after.
   * - `part`: something else, named in `parts`.
   */
  extent: "whole" | "revision" | "part";
  parts: string[];
  /** PDF: which revision, the first being 1, of how many, and its size in bytes; absent where that cannot be told. */
  revision?: { number: number; of: number; size: number };
}

export interface SignatureReport {
  /** Name of the field (PDF), Id (XML), or number, from 1. */
  id: string;
  /** `timestamp`: a document timestamp of a PDF; `route`: who set a signing route up. */
  kind: "signature" | "countersignature" | "timestamp" | "route";
  indication: Indication;
  subIndication: SubIndication | null;
  /** Baseline level that was found good; null: none of them (plain CMS, XML Signature or JWS). */
  level: "B-B" | "B-T" | "B-LT" | "B-LTA" | null;
  findings: Finding[];
  signer: CertificateReport | null;
  /** Common names from the signer's issuer to the trusted root; empty where there is no trust. */
  chain: string[];
  /** Whether the certificate belongs to the PAN asked about; null if no PAN was given or the certificate has no PAN hash. */
  panMatches: boolean | null;
  /** `RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits`; null where it cannot be read. */
  algorithm: string | null;
  /** SHA-256 of the signature as a key makes it (ECDSA in DER), hex: by it a log's receipt names the signature. */
  signatureSha256: string | null;
  coverage: CoverageReport;
  /** As the signer claims; proves nothing. */
  claimedTime: string | null;
  /** The earliest time at which the signature is proven to have existed. */
  provenTime: string | null;
  /** The signer's own words. */
  role: string | null;
  reason: string | null;
  location: string | null;
  revocation: RevocationReport;
  timestamps: TimestampReport[];
  /** PDF: what was changed after the signature. */
  changes: Change[];
  countersignatures: SignatureReport[];
}

export interface RouteReport {
  content: { name: string; sha256: string };
  /** Every step is signed, and every signature on the route counts: none is unproven. */
  isComplete: boolean;
  /** The certificate of the one who set the route up leads to a trusted root. */
  isSetUpProven: boolean;
  steps: {
    role: string;
    quorum: number;
    /** Names in the route of those who have signed. */
    signed: string[];
    /** Those of them whose certificates nobody vouches for: anybody can have made one with that name. */
    unproven: string[];
    open: string[];
    isDone: boolean;
  }[];
  /** The step whose turn it is; null: each is signed. */
  next: number | null;
}

/** Kind of the verified file. */
export type VerifiedFormat = "pdf" | "cms" | "xml" | "jws" | "asic" | "route";

export interface VerificationReport {
  version: 1;
  format: VerifiedFormat;
  /** The present, by which it was judged. */
  verifiedAt: string;
  /** Of the file: as good as its worst signature. */
  indication: Indication;
  /** Of the file as a whole. */
  findings: Finding[];
  signatures: SignatureReport[];
  route: RouteReport | null;
}
