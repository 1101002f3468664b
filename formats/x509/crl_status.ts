/** Revocation status from CRLs (RFC 5280 §6.3). */
import type { Crl, RevokedEntry } from "./crl.ts";
import { FormatError } from "../error.ts";
import type { GeneralName } from "./general_name.ts";
import { type Name, nameBelow } from "./name.ts";
import type { PublicKey } from "../keys/public_key.ts";
import {
  isCurrent,
  type Issuer,
  isTrustedlySigned,
  type RevocationContext,
  type RevocationStatus,
} from "./revocation.ts";
import { type Certificate, sameBytes } from "./certificate.ts";
import type { DistributionPoint } from "./extensions.ts";

/** ReasonFlags keyCompromise … aACompromise (§4.2.1.13): a status is known when all are covered. */
const ALL_REASONS = 0x1fe;

/** Determines the status of a certificate whose path is already valid (§6.3.3). */
export function crlStatus(
  certificate: Certificate,
  issuer: Issuer,
  crls: readonly Crl[],
  context: RevocationContext,
): RevocationStatus {
  const complete = crls.filter(({ baseNumber }) => baseNumber === undefined)
    .toSorted((a, b) => b.thisUpdate.getTime() - a.thisUpdate.getTime());
  const deltas = crls.filter(({ baseNumber }) => baseNumber !== undefined);
  const evidence: Uint8Array[] = [];
  let covered = 0;
  let thisUpdate: Date | undefined;
  let message: string | undefined;
  let held: RevocationStatus | undefined;
  // §6.3.3, last paragraph: lists of the issuer that no distribution point names count too.
  const implied: DistributionPoint = { names: [{ kind: "directory", name: certificate.issuer }] };
  for (const point of [...(certificate.distributionPoints ?? []), implied]) {
    for (const crl of complete) {
      if (!isInScope(certificate, point, crl)) continue;
      const reasons = coveredReasons(point, crl);
      // An older list counts only if it revokes: for good, it may be that the newer one forgot it.
      const isNeeded = (reasons & ~covered) !== 0;
      if (!isNeeded && !mayRevoke(certificate, crl)) continue;
      const problem = evidenceProblem(certificate, crl, context);
      if (problem) {
        message ??= problem;
        continue;
      }
      const key = signingKey(crl, issuer, context);
      if (!key) {
        message ??= "is covered by a revocation list whose signature is not trusted";
        continue;
      }
      const delta = findDelta(crl, deltas, key, context);
      try {
        const entry = lookUp(certificate, crl, delta);
        const used = delta ? [crl.der, delta.der] : [crl.der];
        if (entry && entry.revokedAt <= context.at) {
          const known = delta?.thisUpdate ?? crl.thisUpdate;
          const status: RevocationStatus = {
            status: "revoked",
            source: "crl",
            evidence: used,
            thisUpdate: known,
            ...entry,
          };
          if (entry.reason !== "certificateHold") return status;
          // Lists come newest first: where a newer one is silent the hold was lifted.
          if (isNeeded) held ??= status;
        }
        if (!isNeeded) continue;
        evidence.push(...used);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        message ??= "is covered by a revocation list that cannot be used";
        continue;
      }
      covered |= reasons;
      const known = delta?.thisUpdate ?? crl.thisUpdate;
      if (!thisUpdate || known < thisUpdate) thisUpdate = known;
    }
  }
  if (held) return held;
  if (covered === ALL_REASONS) {
    return { status: "good", source: "crl", evidence, thisUpdate: thisUpdate! };
  }
  if (covered !== 0) message = "is covered by revocation lists for some reasons only";
  return { status: "unknown", message: message ?? "is not covered by any revocation list at hand" };
}

/** Whether a list names the certificate; cheap, before its signature is checked. */
function mayRevoke({ issuer, serialNumber }: Certificate, crl: Crl): boolean {
  try {
    return crl.find(issuer, serialNumber) !== undefined;
  } catch (error) {
    if (error instanceof FormatError) return false; // a list that cannot be used
    throw error;
  }
}

/** §6.3.3 (b): whether the list's issuer and scope are those of the distribution point. */
function isInScope(certificate: Certificate, point: DistributionPoint, crl: Crl): boolean {
  const idp = crl.issuingDistributionPoint;
  if (point.crlIssuer) {
    if (!idp?.indirectCrl || !point.crlIssuer.some((name) => name.equals(crl.issuer))) return false;
  } else if (!crl.issuer.equals(certificate.issuer)) {
    return false;
  }
  if (!idp) return true;
  const isCa = certificate.basicConstraints?.ca ?? false;
  if (idp.onlyContainsUserCerts && isCa) return false;
  if (idp.onlyContainsCaCerts && !isCa) return false;
  if (idp.onlyContainsAttributeCerts) return false;
  const listNames = fullNames(idp, crl.issuer);
  if (!listNames) return true;
  const pointNames = fullNames(point, point.crlIssuer?.[0] ?? certificate.issuer) ??
    point.crlIssuer?.map((name): GeneralName => ({ kind: "directory", name }));
  return pointNames?.some((name) => listNames.some((other) => sameName(name, other))) ?? false;
}

function fullNames(
  point: Pick<DistributionPoint, "names" | "relativeName">,
  base: Name,
): readonly GeneralName[] | undefined {
  if (!point.relativeName) return point.names;
  return [{ kind: "directory", name: nameBelow(base, point.relativeName) }];
}

function sameName(a: GeneralName, b: GeneralName): boolean {
  if (a.kind === "directory" && b.kind === "directory") return a.name.equals(b.name);
  return a.kind === "uri" && b.kind === "uri" && a.text === b.text;
}

/** §6.3.3 (d). */
function coveredReasons(point: DistributionPoint, crl: Crl): number {
  const listed = crl.issuingDistributionPoint?.onlySomeReasons ?? ALL_REASONS;
  return (point.reasons ?? ALL_REASONS) & listed & ALL_REASONS;
}

/** Why a list in scope tells nothing of the time in question. */
function evidenceProblem(
  certificate: Certificate,
  crl: Crl,
  context: RevocationContext,
): string | undefined {
  if (!isCurrent(crl, context)) return "is covered by a revocation list that is out of date";
  // Expired certificates are taken off the list (§3.3), so that their absence means nothing.
  const { notAfter } = certificate;
  const keptSince = crl.expiredCertsSince;
  return crl.thisUpdate <= notAfter || (keptSince && keptSince <= notAfter)
    ? undefined
    : "expired before the revocation list at hand was made";
}

/** §6.3.3 (f), (g): the key that signed the list, if it is trusted to. */
function signingKey(crl: Crl, issuer: Issuer, context: RevocationContext): PublicKey | undefined {
  if (
    issuer.certificate.subject.equals(crl.issuer) && maySignLists(issuer.certificate) &&
    isTrustedlySigned(crl, issuer.key, context)
  ) return issuer.key;
  for (const candidate of context.candidates(crl.issuer.key)) {
    if (!maySignLists(candidate)) continue;
    // The cheap check goes first; the path decides.
    if (!isTrustedlySigned(crl, candidate.publicKey, context)) continue;
    const key = context.trustedKey(candidate);
    if (key) return key;
  }
  return undefined;
}

const maySignLists = ({ keyUsage }: Certificate) => !keyUsage || keyUsage.has("cRLSign");

/** §6.3.3 (c), (h): the newest delta CRL that fits the complete one. */
function findDelta(
  crl: Crl,
  deltas: readonly Crl[],
  key: PublicKey,
  context: RevocationContext,
): Crl | undefined {
  const { number } = crl;
  if (number === undefined) return undefined;
  return deltas
    .filter((delta) =>
      delta.number !== undefined && delta.number > number && delta.baseNumber! <= number &&
      delta.issuer.equals(crl.issuer) &&
      sameOptional(delta.scope, crl.scope) &&
      sameOptional(delta.authorityKeyIdentifier, crl.authorityKeyIdentifier) &&
      isCurrent(delta, context) && isTrustedlySigned(delta, key, context)
    )
    .toSorted((a, b) => (a.number! < b.number! ? 1 : -1))[0];
}

const sameOptional = (a: Uint8Array | undefined, b: Uint8Array | undefined) =>
  a === undefined || b === undefined ? a === b : sameBytes(a, b);

/** §6.3.3 (i)–(k). */
function lookUp(
  certificate: Certificate,
  crl: Crl,
  delta: Crl | undefined,
): RevokedEntry | undefined {
  const { issuer, serialNumber } = certificate;
  const entry = delta?.find(issuer, serialNumber) ?? crl.find(issuer, serialNumber);
  return entry?.reason === "removeFromCRL" ? undefined : entry;
}
