/**
 * Decides whether to trust a certificate: finds candidate paths, validates them (RFC 5280 §6.1) and checks the
 * revocation of each certificate (§6.3, RFC 6960). The caller supplies all information; nothing is fetched here.
 */
import type { Crl } from "./crl.ts";
import { crlStatus } from "./crl_status.ts";
import type { OcspResponse } from "./ocsp.ts";
import { ocspStatus } from "./ocsp_status.ts";
import { decisive } from "./revocation.ts";
import { candidatePaths, CertificatePool } from "./path_build.ts";
import {
  type PathFailure,
  pathFailure,
  type PathFailureCode,
  type SubIndication,
} from "./path_failure.ts";
import { outsideValidity, type PathInputs, validatePath, type ValidPath } from "./path_validate.ts";
import type { PublicKey } from "../keys/public_key.ts";
import type { Issuer, RevocationContext, RevocationStatus } from "./revocation.ts";
import { type Certificate, sameBytes } from "./certificate.ts";

export type { PathFailure, PathFailureCode, PathInputs, SubIndication };

export interface TrustOptions extends PathInputs {
  /** Certificates that are trusted because the person or administrator says so. */
  readonly anchors: readonly Certificate[];
  /** Certificates that may help to build the path; not trusted. */
  readonly intermediates?: readonly Certificate[];
  readonly crls?: readonly Crl[];
  readonly ocspResponses?: readonly OcspResponse[];
  /** The present, for judging what is fresh; default {@link PathInputs.at}. */
  readonly now?: Date;
  /**
   * `require`: every certificate's status must be known; `if_available`: a certificate fails only
   * if it is known to be revoked; `none`: not looked at.
   */
  readonly revocation: "require" | "if_available" | "none";
}

export type TrustResult =
  | {
    readonly trusted: true;
    readonly anchor: Certificate;
    /** The end certificate first, the anchor not included; empty if the end is the anchor itself. */
    readonly path: readonly Certificate[];
    /** Key of the end certificate, with parameters it may have inherited. */
    readonly publicKey: PublicKey;
    /** Policies valid for the whole path. */
    readonly policies: readonly string[];
    /** One for each certificate of {@link path}; empty where revocation is not looked at. */
    readonly revocation: readonly RevocationStatus[];
  }
  | {
    readonly trusted: false;
    readonly failure: PathFailure;
    /** Known where the failure is a revocation. */
    readonly revocation?: RevocationStatus & { status: "revoked" };
  };

/** Steps of the search for paths of one certificate. */
const MAX_STEPS = 2000;
/** Paths that are tried for one certificate. */
const MAX_PATHS = 32;
/** Paths for one question, those of signers of revocation information included. */
const MAX_PATHS_IN_ALL = 200;
/** Signatures of CRLs and OCSP answers that are checked for one question. */
const MAX_REVOCATION_CHECKS = 300;

/**
 * Decides whether a certificate is trusted at a time.
 *
 * Of several failures the one that tells most is returned: a revocation before a bad signature.
 */
export function validateCertificate(end: Certificate, options: TrustOptions): TrustResult {
  return new Validation(options).validate(end);
}

/** How much a failure tells, the most first; others stand between. */
const tellingOrder: readonly PathFailureCode[] = [
  "certificate_revoked",
  "certificate_on_hold",
  "revocation_unknown",
];

/** One question with everything that belongs to it. */
class Validation {
  readonly #anchors: CertificatePool;
  readonly #intermediates: CertificatePool;
  readonly #now: Date;
  /** Signers being validated: a list may be signed by a certificate that it covers itself. */
  readonly #inProgress = new Set<string>();
  readonly #signers = new Map<string, PublicKey | undefined>();
  #pathsLeft = MAX_PATHS_IN_ALL;
  readonly #budget = { checks: MAX_REVOCATION_CHECKS };

  constructor(private readonly options: TrustOptions) {
    this.#anchors = new CertificatePool(options.anchors);
    this.#intermediates = new CertificatePool(options.intermediates ?? []);
    this.#now = options.now ?? options.at;
  }

  validate(end: Certificate): TrustResult {
    const itself = this.options.anchors.find(({ der }) => sameBytes(der, end.der));
    if (itself) {
      const untimely = outsideValidity(end, this.options.at);
      if (untimely) return { trusted: false, failure: untimely };
      const { publicKey } = end;
      return { trusted: true, anchor: itself, path: [], publicKey, policies: [], revocation: [] };
    }
    let best: TrustResult & { trusted: false } | undefined;
    for (const result of this.#attempts(end, this.#anchors, this.options)) {
      if (result.trusted) return result;
      const { code, certificate } = result.failure;
      // No other path helps a certificate that its issuer has revoked.
      if (code === "certificate_revoked" && certificate === end) return result;
      if (!best || rank(code) < rank(best.failure.code)) best = result;
    }
    return best ?? {
      trusted: false,
      failure: pathFailure("no_issuer", end, "does not lead to any trusted authority"),
    };
  }

  *#attempts(
    end: Certificate,
    anchors: CertificatePool,
    inputs: PathInputs,
  ): Generator<TrustResult> {
    const budget = { steps: MAX_STEPS };
    let paths = 0;
    for (const path of candidatePaths(end, anchors, this.#intermediates, inputs.at, budget)) {
      if (++paths > MAX_PATHS || --this.#pathsLeft < 0) {
        budget.steps = -1;
        break;
      }
      const valid = validatePath(path.anchor, path.certificates, inputs);
      yield "code" in valid
        ? { trusted: false, failure: this.#judgeTime(valid, path.certificates, path.anchor) }
        : this.#checkRevocation(valid);
    }
    if (budget.steps < 0) {
      const message = "has too many possible paths to a trusted authority";
      yield { trusted: false, failure: pathFailure("limit_exceeded", end, message) };
    }
  }

  /** EN 319 102-1 §5.2.6.4: an expired certificate that is not revoked is a better case. */
  #judgeTime(
    failure: PathFailure,
    certificates: readonly Certificate[],
    anchor: Certificate,
  ): PathFailure {
    const end = certificates[certificates.length - 1];
    const applies = failure.code === "certificate_expired" && failure.certificate === end;
    if (!applies || this.#inProgress.size > 0) return failure;
    // The authorities above were valid, or the failure would be theirs.
    const above = certificates[certificates.length - 2] ?? anchor;
    const status = this.#status(end, { certificate: above, key: above.publicKey }, anchor);
    return status.status === "good"
      ? { ...failure, subIndication: "OUT_OF_BOUNDS_NOT_REVOKED" }
      : failure;
  }

  #checkRevocation(valid: ValidPath): TrustResult {
    const { certificates, anchor, publicKey, policies, issuerKeys } = valid;
    const { revocation: mode } = this.options;
    const end = certificates[certificates.length - 1];
    const statuses: RevocationStatus[] = [];
    for (const [index, certificate] of mode === "none" ? [] : certificates.entries()) {
      if (this.#inProgress.has(certificate.fingerprint)) continue;
      const issuer = { certificate: certificates[index - 1] ?? anchor, key: issuerKeys[index] };
      const status = this.#status(certificate, issuer, anchor);
      statuses.unshift(status);
      if (status.status === "revoked") {
        return { trusted: false, failure: revoked(certificate, end, status), revocation: status };
      }
      if (status.status === "unknown" && mode === "require") {
        const failure = pathFailure("revocation_unknown", certificate, status.message);
        return { trusted: false, failure };
      }
    }
    return {
      trusted: true,
      anchor,
      path: certificates.toReversed(),
      publicKey,
      policies,
      revocation: statuses,
    };
  }

  #status(certificate: Certificate, issuer: Issuer, anchor: Certificate): RevocationStatus {
    const { crls = [], ocspResponses = [] } = this.options;
    const context: RevocationContext = {
      at: this.options.at,
      now: this.#now,
      weakAlgorithms: this.options.weakAlgorithms,
      budget: this.#budget,
      candidates: (subjectKey) => [
        ...this.#anchors.withSubject(subjectKey),
        ...this.#intermediates.withSubject(subjectKey),
      ],
      trustedKey: (signer) => this.#trustedKey(signer, anchor),
      isUnrevoked: (responder, responderIssuer) => {
        // A responder must not vouch for itself.
        if (this.#inProgress.has(responder.fingerprint)) return false;
        const { status } = this.#status(responder, responderIssuer, anchor);
        return status === "good" || (status === "unknown" && this.options.revocation !== "require");
      },
    };
    this.#inProgress.add(certificate.fingerprint);
    try {
      const answer = ocspStatus(certificate, issuer, ocspResponses, context);
      const listed = crlStatus(certificate, issuer, crls, context);
      if (answer.status === "unknown" && listed.status === "unknown") {
        // Where no answer was at hand the list's sentence tells enough.
        return ocspResponses.length > 0
          ? { status: "unknown", message: `${answer.message}, and ${listed.message}` }
          : listed;
      }
      if (answer.status === "unknown") return listed;
      return listed.status === "unknown" ? answer : decisive([answer, listed])!;
    } finally {
      this.#inProgress.delete(certificate.fingerprint);
    }
  }

  /** §6.3.3 (f): signers of revocation information are validated to the same trust anchor. */
  #trustedKey(signer: Certificate, anchor: Certificate): PublicKey | undefined {
    if (sameBytes(signer.der, anchor.der)) return anchor.publicKey;
    const id = `${signer.fingerprint} ${anchor.fingerprint}`;
    if (this.#signers.has(id)) return this.#signers.get(id);
    const { at, weakAlgorithms } = this.options;
    let key: PublicKey | undefined;
    for (
      const result of this.#attempts(signer, new CertificatePool([anchor]), { at, weakAlgorithms })
    ) {
      if (!result.trusted) continue;
      key = result.publicKey;
      break;
    }
    // A result found while other lookups are in progress is valid only for this one, so it is not cached.
    if (this.#inProgress.size <= 1) this.#signers.set(id, key);
    return key;
  }
}

function rank(code: PathFailureCode): number {
  const place = tellingOrder.indexOf(code);
  if (place >= 0) return place;
  return code === "signature_invalid" ? 100 : 50;
}

function revoked(
  certificate: Certificate,
  end: Certificate,
  status: RevocationStatus & { status: "revoked" },
): PathFailure {
  const since = status.revokedAt.toISOString();
  if (status.reason === "certificateHold") {
    return pathFailure("certificate_on_hold", certificate, `is suspended since ${since}`);
  }
  return pathFailure(
    "certificate_revoked",
    certificate,
    `was revoked on ${since} (${status.reason})`,
    certificate === end ? "REVOKED_NO_POE" : "REVOKED_CA_NO_POE",
  );
}
