/**
 * Judging one signature by EN 319 102-1 §5, from facts that are the same for every format: first its timestamps, which
 * prove when it existed (§5.4, §5.5), then the signer's certificate at that time (§5.2.6, §5.6).
 */
import { weakness, wereReliable } from "../keys/policy.ts";
import { digest } from "../digest.ts";
import { indiaFacts, panMatches } from "../x509/india.ts";
import { type PathFailure, type TrustResult, validateCertificate } from "../x509/path.ts";
import type { RevocationStatus } from "../x509/revocation.ts";
import type { VerificationAlgorithm } from "../keys/algorithm.ts";
import type { DigestName } from "../signer.ts";
import { provenBy, type TimestampProblemCode, type TimestampResult } from "../cms/timestamp.ts";
import { joinMaterial, type Material } from "./material.ts";
import { missingIssuer } from "./missing_issuer.ts";
import type { Change } from "../pades/changes.ts";
import type {
  CertificateReport,
  CoverageReport,
  Finding,
  FindingCode,
  Indication,
  RevocationReport,
  SignatureReport,
  SubIndication,
  TimestampReport,
} from "./report.ts";
import { type Certificate, signingUse } from "../x509/certificate.ts";
import { keyPurposes } from "../x509/extensions.ts";

/** Input of a verification, which uses no file, network or clock. */
export interface VerifyOptions {
  /** The present. */
  now: Date;
  /** Certificates that are trusted because the person or administrator says so. */
  anchors: readonly Certificate[];
  /** Material from outside the file: issuers, CRLs, OCSP answers. */
  material?: Material;
  /**
   * `require` (default, EN 319 102-1): the status of every certificate must be known; `if_available`: a certificate is
   * refused only if it is known to be revoked.
   */
  revocation?: "require" | "if_available";
  /** Whose signature it has to be: a PAN (India's permanent account number). */
  pan?: string;
  /** Policy identifiers of departments' own PIN/OTP services. */
  departmentalPolicies?: readonly string[];
}

/** A timestamp on a signature, already checked by `verifyTimestamp`. */
export interface TimestampFacts {
  kind: TimestampReport["kind"];
  token: TimestampResult;
  material: Material;
  /** Later timestamps that cover this one prove that it existed by then. */
  coveredBy: readonly TimestampFacts[];
}

/** Results of a format's own checks of a signature. */
export interface SignatureFacts {
  id: string;
  kind: SignatureReport["kind"];
  findings: Finding[];
  certificate?: Certificate;
  algorithm?: VerificationAlgorithm;
  /** All digest algorithms that it relies on. */
  hashes: readonly DigestName[];
  /** The signature as a key makes it: ECDSA in DER. */
  value?: Uint8Array;
  coverage: CoverageReport;
  /** URIs of the files outside that a signature in XML covers; parts of the document may have the same names. */
  files?: readonly string[];
  claimedTime?: Date;
  /** It has the signed properties of a baseline signature. */
  isBaseline: boolean;
  /** Timestamps that cover the signature. */
  timestamps: readonly TimestampFacts[];
  /** Material in the file for the signature. */
  material: Material;
  role?: string;
  reason?: string;
  location?: string;
  changes?: SignatureReport["changes"];
  countersignatures?: readonly SignatureFacts[];
  /** A document timestamp is judged as what it is. */
  timestamp?: TimestampFacts;
}

/** A finding that counts against a signature, with the sub-indication that it leads to. */
interface Reason {
  indication: Indication;
  subIndication: SubIndication;
}

/** EN 319 102-1 §5.2, Tables 7 to 12. What is not here is a notice, or has its own from path validation. */
const reasons: Partial<Record<FindingCode, Reason>> = {
  format_wrong: { indication: "TOTAL-FAILED", subIndication: "FORMAT_FAILURE" },
  coverage_partial: { indication: "INDETERMINATE", subIndication: "SIG_CONSTRAINTS_FAILURE" },
  changed_after: { indication: "TOTAL-FAILED", subIndication: "FORMAT_FAILURE" },
  changed_after_unclear: { indication: "INDETERMINATE", subIndication: "SIG_CONSTRAINTS_FAILURE" },
  ambiguous: { indication: "INDETERMINATE", subIndication: "SIG_CONSTRAINTS_FAILURE" },
  content_changed: { indication: "TOTAL-FAILED", subIndication: "HASH_FAILURE" },
  signature_wrong: { indication: "TOTAL-FAILED", subIndication: "SIG_CRYPTO_FAILURE" },
  content_missing: { indication: "INDETERMINATE", subIndication: "SIGNED_DATA_NOT_FOUND" },
  certificate_missing: {
    indication: "INDETERMINATE",
    subIndication: "NO_SIGNING_CERTIFICATE_FOUND",
  },
  certificate_not_as_signed: {
    indication: "INDETERMINATE",
    subIndication: "NO_SIGNING_CERTIFICATE_FOUND",
  },
  algorithm_unsupported: {
    indication: "INDETERMINATE",
    subIndication: "CRYPTO_CONSTRAINTS_FAILURE",
  },
  algorithm_weak: {
    indication: "INDETERMINATE",
    subIndication: "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
  },
  countersignatures_unchecked: {
    indication: "INDETERMINATE",
    subIndication: "SIG_CONSTRAINTS_FAILURE",
  },
  not_for_signing: { indication: "INDETERMINATE", subIndication: "CHAIN_CONSTRAINTS_FAILURE" },
};

/** @param code one of those that count against a signature, or a notice */
export function finding(code: FindingCode, message: string): Finding {
  const indication = reasons[code]?.indication;
  const severity = indication === "TOTAL-FAILED" ? "failed" : indication ? "unclear" : "notice";
  return { code, severity, message };
}

const pathCodes: Readonly<Record<PathFailure["code"], FindingCode>> = {
  no_issuer: "issuer_unknown",
  limit_exceeded: "chain_wrong",
  name_chaining: "chain_wrong",
  signature_invalid: "chain_wrong",
  algorithm_unsupported: "chain_wrong",
  algorithm_weak: "algorithm_weak",
  certificate_expired: "certificate_expired",
  certificate_not_yet_valid: "certificate_not_yet_valid",
  not_a_ca: "chain_wrong",
  path_length: "chain_wrong",
  key_usage: "chain_wrong",
  key_purpose: "not_for_signing",
  critical_extension: "chain_wrong",
  name_constraints: "chain_wrong",
  policy: "chain_wrong",
  policy_mapping: "chain_wrong",
  revocation_unknown: "revocation_unknown",
  certificate_on_hold: "certificate_revoked",
  certificate_revoked: "certificate_revoked",
};

const timestampCodes: Readonly<Record<TimestampProblemCode, FindingCode>> = {
  signature_invalid: "signature_wrong",
  certificate_missing: "certificate_missing",
  algorithm_unsupported: "algorithm_unsupported",
  signing_certificate_absent: "format_wrong",
  not_a_timestamp_authority: "format_wrong",
  imprint_mismatch: "content_changed",
  nonce_mismatch: "format_wrong",
  policy_mismatch: "format_wrong",
  algorithm_weak: "algorithm_weak",
};

/** Judges signatures of one file: each timestamp once, however many signatures it covers. */
export class Judge {
  readonly #timestamps = new Map<TimestampFacts, JudgedTimestamp>();
  /** Names of the signatures that were accepted so far. */
  readonly #accepted = new Set<string>();

  constructor(readonly options: VerifyOptions) {}

  /** Reports on signatures of one file in their order; the last is judged first, as earlier ones may depend on it. */
  signatures(all: readonly SignatureFacts[]): SignatureReport[] {
    return all.toReversed().map((facts) => {
      const report = this.signature(facts);
      if (report.indication === "TOTAL-PASSED") this.#accepted.add(report.id);
      return report;
    }).reverse();
  }

  /** The report on one signature, with those of its countersignatures. */
  signature(facts: SignatureFacts): SignatureReport {
    const { certificate } = facts;
    const findings = [...facts.findings];
    const timestamps = facts.timestamps.map((each) => this.#timestamp(each));
    for (const { report } of timestamps) {
      if (report.indication === "TOTAL-PASSED") continue;
      const why = report.findings.map(({ message }) => message).join(" ");
      findings.push(finding("timestamp_not_accepted", `A timestamp does not count. ${why}`));
    }
    const changes = (facts.changes ?? []).map((change) => this.#change(change, findings));
    const times = timestamps.flatMap(({ time }) => time ?? []);
    const proven = times.length > 0 ? new Date(Math.min(...times.map(Number))) : undefined;
    const trust = facts.timestamp
      ? this.#asTimestamp(facts.timestamp, findings)
      : certificate && this.#trust(facts, certificate, proven, findings);
    const verdict = verdictOf(findings, trust?.failure);
    return {
      id: facts.id,
      kind: facts.kind,
      ...verdict,
      level: levelOf(facts, timestamps, trust),
      findings,
      signer: certificate ? this.#describe(certificate) : null,
      chain: trust?.chain ?? [],
      panMatches: this.#panMatches(certificate),
      algorithm: describeAlgorithm(facts),
      signatureSha256: facts.value ? new Uint8Array(digest("SHA-256", facts.value)).toHex() : null,
      coverage: facts.coverage,
      claimedTime: facts.claimedTime?.toISOString() ?? null,
      provenTime: proven?.toISOString() ?? null,
      role: facts.role ?? null,
      reason: facts.reason ?? null,
      location: facts.location ?? null,
      revocation: trust?.revocation ?? { status: "unknown" },
      timestamps: timestamps.map(({ report }) => report),
      changes,
      countersignatures: (facts.countersignatures ?? []).map((each) => this.signature(each)),
    };
  }

  /** Evidence from a later signature counts only if that signature does. */
  #change(change: Change, findings: Finding[]): Change {
    const { signedBy, name } = change;
    if (signedBy === undefined || this.#accepted.has(signedBy)) return change;
    const reason = `“${name}” is drawn, and that signature is not accepted.`;
    findings.push(finding("changed_after_unclear", reason));
    return { ...change, allowed: false, unclear: true, reason };
  }

  #validate(
    certificate: Certificate,
    material: Material,
    at: Date,
    purpose?: string,
  ): TrustResult {
    const { anchors, now, revocation = "require" } = this.options;
    return validateCertificate(certificate, {
      anchors,
      intermediates: material.certificates,
      crls: material.crls,
      ocspResponses: material.ocspResponses,
      at,
      now,
      purpose,
      revocation,
      weakAlgorithms: wereReliable(at) ? "accept" : "refuse",
    });
  }

  /** The signer's certificate at the time that is proven, or now. */
  #trust(
    facts: SignatureFacts,
    certificate: Certificate,
    proven: Date | undefined,
    findings: Finding[],
  ): Trust {
    const { now, material } = this.options;
    const at = proven && proven < now ? proven : now;
    const all = material ? joinMaterial(facts.material, material) : facts.material;
    const result = this.#validate(certificate, all, at);
    const weak = weakness(facts.hashes, certificate.publicKey, at);
    if (weak) {
      // Integrity and algorithm are two things: government documents are often signed with SHA-1 still.
      const isIntact = !findings.some(({ severity }) => severity === "failed");
      const intact = isIntact ? "The content is as it was signed, but the" : "The";
      const message = `${intact} signature relies on ${weak}, which can be forged today.`;
      findings.push(finding("algorithm_weak", message));
    }
    const { reason } = signingUse(certificate, at);
    if (
      reason === "encryption_only" || reason === "not_for_documents" || reason === "ca_certificate"
    ) {
      findings.push(finding("not_for_signing", "The certificate is not for signing documents."));
    }
    const trust = this.#told(result, findings, proven, all);
    // Only what stands in the file makes its level (EN 319 142-1 §6.3).
    const own = facts.material.crls.length + facts.material.ocspResponses.length > 0 &&
      (!result.trusted || all === facts.material ||
        this.#validate(certificate, facts.material, at).trusted);
    return { ...trust, isLongTerm: own };
  }

  #told(
    result: TrustResult,
    findings: Finding[],
    proven: Date | undefined,
    { certificates }: Material,
  ): Trust {
    if (result.trusted) {
      const [status] = result.revocation;
      return {
        chain: [...result.path.slice(1), result.anchor].map(nameOf),
        revocation: revocationReport(status),
      };
    }
    const { failure, revocation } = result;
    const code = pathCodes[failure.code];
    const isProvenEarly = failure.code === "certificate_not_yet_valid" && proven !== undefined;
    const reason: Reason = isProvenEarly
      ? { indication: "TOTAL-FAILED", subIndication: "NOT_YET_VALID" }
      : { indication: "INDETERMINATE", subIndication: failure.subIndication };
    findings.push({
      code,
      severity: isProvenEarly ? "failed" : "unclear",
      message: failure.code === "no_issuer"
        ? `${failure.message} ${missingIssuer(failure.certificate, certificates)}`
        : failure.message,
    });
    return { chain: [], revocation: revocationReport(revocation), failure: reason };
  }

  #asTimestamp(facts: TimestampFacts, findings: Finding[]): Trust {
    const { report, reason, chain, revocation } = this.#timestamp(facts);
    findings.push(...report.findings);
    return { failure: reason, chain, revocation };
  }

  #timestamp(facts: TimestampFacts): JudgedTimestamp {
    let judged = this.#timestamps.get(facts);
    if (!judged) this.#timestamps.set(facts, judged = this.#judgeTimestamp(facts));
    return judged;
  }

  /** A timestamp counts if its authority was valid when it is last proven to have existed (§5.4). */
  #judgeTimestamp(facts: TimestampFacts): JudgedTimestamp {
    const { token, kind } = facts;
    const { now, material } = this.options;
    const { info, certificate } = token;
    const findings: Finding[] = token.problems.map(({ code, message }) =>
      finding(timestampCodes[code], message)
    );
    const later = facts.coveredBy.flatMap((each) => this.#timestamp(each).time ?? []);
    const at = new Date(Math.min(now.getTime(), ...later.map(Number)));
    let trust: Trust | undefined;
    if (certificate) {
      const all = material ? joinMaterial(facts.material, material) : facts.material;
      const result = this.#validate(certificate, all, at, keyPurposes.timeStamping);
      trust = this.#told(result, findings, undefined, all);
      if (info.time < certificate.notBefore || info.time > certificate.notAfter) {
        const message = "The authority's certificate was not valid at the time it states.";
        findings.push(finding("format_wrong", message));
      }
    }
    const proven = provenBy(info);
    if (!proven) {
      findings.push(finding("format_wrong", "The timestamp says its time too vaguely."));
    }
    if (info.time.getTime() > at.getTime() + CLOCK_SKEW) {
      findings.push(finding("format_wrong", "The timestamp is from a time that is yet to come."));
    }
    const verdict = verdictOf(findings, trust?.failure);
    return {
      report: {
        kind,
        ...verdict,
        time: info.time.toISOString(),
        authority: certificate ? nameOf(certificate) : null,
        findings,
      },
      time: verdict.indication === "TOTAL-PASSED" ? proven : undefined,
      reason: verdict.indication === "TOTAL-PASSED" ? undefined : verdict as Reason,
      chain: trust?.chain ?? [],
      revocation: trust?.revocation ?? { status: "unknown" },
    };
  }

  #panMatches(certificate: Certificate | undefined): boolean | null {
    const { pan } = this.options;
    return pan === undefined || !certificate ? null : panMatches(certificate, pan) ?? null;
  }

  #describe(certificate: Certificate): CertificateReport {
    const { class: level, kind } = indiaFacts(certificate, this.options.departmentalPolicies);
    return {
      commonName: nameOf(certificate),
      subject: certificate.subject.toString(),
      issuer: certificate.issuer.toString(),
      serialNumber: certificate.serialNumber.toHex(),
      id: certificate.fingerprint,
      notBefore: certificate.notBefore.toISOString(),
      notAfter: certificate.notAfter.toISOString(),
      class: level ?? null,
      kind,
    };
  }
}

/** Clocks of authorities and PCs differ. */
const CLOCK_SKEW = 5 * 60 * 1000;

interface Trust {
  chain: string[];
  revocation: RevocationReport;
  /** Absent: trusted. */
  failure?: Reason;
  /** Whether the file alone contains everything needed to validate it. */
  isLongTerm?: boolean;
}

interface JudgedTimestamp {
  report: TimestampReport;
  /** Present if it counts. */
  time?: Date;
  reason?: Reason;
  chain: string[];
  revocation: RevocationReport;
}

const nameOf = ({ subject }: Certificate): string => subject.commonName ?? subject.toString();

function revocationReport(status: RevocationStatus | undefined): RevocationReport {
  if (!status || status.status === "unknown") return { status: "unknown" };
  const { source } = status;
  return status.status === "good"
    ? { status: "good", source, asOf: status.thisUpdate.toISOString() }
    : {
      status: "revoked",
      source,
      since: status.revokedAt.toISOString(),
      reason: status.reason,
    };
}

/** The worst wins; of equals the first, in the order of EN 319 102-1 §5.3.4. */
function verdictOf(
  findings: readonly Finding[],
  failure: Reason | undefined,
): { indication: Indication; subIndication: SubIndication | null } {
  const all = [...findings.flatMap(({ code }) => reasons[code] ?? []), ...failure ? [failure] : []];
  return all.find(({ indication }) => indication === "TOTAL-FAILED") ?? all[0] ??
    { indication: "TOTAL-PASSED", subIndication: null };
}

/** The highest baseline level all of whose parts are there and count. */
function levelOf(
  { isBaseline, findings }: SignatureFacts,
  timestamps: readonly JudgedTimestamp[],
  trust: Trust | undefined,
): SignatureReport["level"] {
  if (!isBaseline || findings.some(({ severity }) => severity === "failed")) return null;
  const counts = (...kinds: TimestampReport["kind"][]) =>
    timestamps.some(({ report: { kind }, time }) => time && kinds.includes(kind));
  if (!counts("signature", "document", "archive")) return "B-B";
  if (!trust?.isLongTerm) return "B-T";
  return counts("archive") ? "B-LTA" : "B-LT";
}

function describeAlgorithm({ algorithm, hashes, certificate }: SignatureFacts): string | null {
  if (!algorithm) return null;
  const { scheme, hash } = algorithm;
  const key = certificate?.publicKey;
  const size = !key ? "" : key.curve ? `, ${key.curve}` : key.bits ? `, ${key.bits} bits` : "";
  // ML-DSA signs the message, which in CMS is no more than the digest of the content.
  const digest = hash ?? hashes[0];
  return `${scheme}${digest ? ` with ${digest}` : ""}${size}`;
}
