/** Finding candidate paths from an end certificate up to trust anchors (RFC 4158). */
import type { Certificate } from "./certificate.ts";
import { sameBytes } from "./certificate.ts";

/** Certificates of the longest path, anchor not counted. */
const MAX_DEPTH = 12;
export interface CandidatePath {
  readonly anchor: Certificate;
  /** From the one that the anchor issued down to the end certificate. */
  readonly certificates: readonly Certificate[];
}

/** Certificates by subject, to be searched again and again. */
export class CertificatePool {
  readonly #bySubject = new Map<string, Certificate[]>();

  constructor(certificates: Iterable<Certificate>) {
    const seen = new Set<string>();
    for (const certificate of certificates) {
      if (seen.has(certificate.fingerprint)) continue;
      seen.add(certificate.fingerprint);
      const { key } = certificate.subject;
      const others = this.#bySubject.get(key);
      if (others) others.push(certificate);
      else this.#bySubject.set(key, [certificate]);
    }
  }

  withSubject(key: string): readonly Certificate[] {
    return this.#bySubject.get(key) ?? [];
  }
}

/**
 * Yields candidate paths, likely ones first, without checking them: names chain, nothing more is
 * known. No certificate, nor another of the same subject and key, occurs twice in a path.
 *
 * @param budget steps that the search may take; below zero when it ended early, since
 *   cross-certificates can make more paths than anyone can look at
 */
export function* candidatePaths(
  end: Certificate,
  anchors: CertificatePool,
  intermediates: CertificatePool,
  at: Date,
  budget: { steps: number },
): Generator<CandidatePath> {
  yield* extend([end]);

  function* extend(path: readonly Certificate[]): Generator<CandidatePath> {
    const [top] = path;
    const issuerKey = top.issuer.key;
    for (const anchor of byLikelihood(top, anchors.withSubject(issuerKey), at)) {
      if (--budget.steps < 0) return;
      yield { anchor, certificates: path };
    }
    if (path.length === MAX_DEPTH) return;
    for (const issuer of byLikelihood(top, intermediates.withSubject(issuerKey), at)) {
      if (--budget.steps < 0) return;
      if (path.some((each) => sameEntity(each, issuer))) continue;
      yield* extend([issuer, ...path]);
    }
  }
}

/** RFC 4158 §2.4.2: same subject and key means a loop. */
function sameEntity(a: Certificate, b: Certificate): boolean {
  return a.subject.equals(b.subject) && sameBytes(a.publicKey.spki, b.publicKey.spki);
}

function byLikelihood(
  certificate: Certificate,
  issuers: readonly Certificate[],
  at: Date,
): readonly Certificate[] {
  if (issuers.length < 2) return issuers;
  const { authorityKeyIdentifier: wanted } = certificate;
  const score = (issuer: Certificate) => {
    const id = issuer.subjectKeyIdentifier;
    const keyFits = wanted && id ? (sameBytes(wanted, id) ? 0 : 4) : 2;
    return keyFits + (at < issuer.notBefore || at > issuer.notAfter ? 1 : 0);
  };
  return issuers.toSorted((a, b) => score(a) - score(b));
}
