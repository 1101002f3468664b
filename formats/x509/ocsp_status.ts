/** Revocation status from OCSP answers (RFC 6960 §3.2, §4.2.2). */
import type { OcspAnswer, OcspResponse } from "./ocsp.ts";
import { ocspIds } from "./ocsp_ids.ts";
import { digest } from "../digest.ts";
import { unknownCriticalExtension } from "./path_validate.ts";
import {
  decisive,
  isCurrent,
  type Issuer,
  isTrustedlySigned,
  type RevocationContext,
  type RevocationStatus,
} from "./revocation.ts";
import { type Certificate, sameBytes } from "./certificate.ts";
import { keyPurposes } from "./extensions.ts";

/** An answer without nextUpdate is current for this long (§2.4: newer ones are always there). */
const DEFAULT_LIFETIME = 24 * 3600 * 1000;

/**
 * Determines the status of a certificate from OCSP answers. Answers that are not about it, not
 * current, or not from its issuer's responder count for nothing.
 */
export function ocspStatus(
  certificate: Certificate,
  issuer: Issuer,
  responses: readonly OcspResponse[],
  context: RevocationContext,
): RevocationStatus {
  let message: string | undefined;
  const found: Exclude<RevocationStatus, { status: "unknown" }>[] = [];
  for (const response of responses) {
    // One response may hold several answers, and they may differ.
    const about = response.answers.filter((each) => isAbout(each, certificate, issuer));
    if (about.length === 0) continue;
    const fresh = about.filter((each) => isFresh(each, certificate, context));
    if (fresh.length === 0) message ??= "is covered by an OCSP answer that is out of date";
    else if (!isAuthorized(response, issuer, context)) {
      message ??= "is covered by an OCSP answer whose signature is not trusted";
    } else if (fresh.some(({ status }) => status === "unknown")) {
      message ??= "is not known to its issuer's OCSP service";
    } else found.push(...fresh.map((answer) => statusOf(answer, response, context)));
  }
  return decisive(found) ??
    { status: "unknown", message: message ?? "is not covered by any OCSP answer at hand" };
}

function statusOf(
  { status, revokedAt, reason = "unspecified", thisUpdate }: OcspAnswer,
  { der }: OcspResponse,
  { at }: RevocationContext,
) {
  const source = "ocsp";
  const evidence = [der];
  return status === "revoked" && revokedAt! <= at
    ? { status, source, evidence, thisUpdate, revokedAt: revokedAt!, reason } as const
    : { status: "good", source, evidence, thisUpdate } as const;
}

function isAbout(answer: OcspAnswer, certificate: Certificate, issuer: Issuer): boolean {
  if (!sameBytes(answer.serialNumber, certificate.serialNumber)) return false;
  return sameBytes(answer.issuerNameHash, digest(answer.hash, issuer.certificate.subject.der)) &&
    sameBytes(answer.issuerKeyHash, digest(answer.hash, issuer.key.bytes));
}

function isFresh(
  { thisUpdate, nextUpdate, archiveCutoff }: OcspAnswer,
  certificate: Certificate,
  context: RevocationContext,
): boolean {
  const until = nextUpdate ?? new Date(thisUpdate.getTime() + DEFAULT_LIFETIME);
  if (!isCurrent({ thisUpdate, nextUpdate: until }, context)) return false;
  // Services may forget certificates that have expired (§4.4.4).
  const { notAfter } = certificate;
  return thisUpdate <= notAfter || (archiveCutoff !== undefined && archiveCutoff <= notAfter);
}

/** §4.2.2.2: the issuer itself, or a responder to which the same issuer key has delegated. */
function isAuthorized(
  response: OcspResponse,
  issuer: Issuer,
  context: RevocationContext,
): boolean {
  const { responder } = response;
  if (
    isResponder(responder, issuer.certificate) &&
    isTrustedlySigned(response, issuer.key, context)
  ) return true;
  const known = "name" in responder ? context.candidates(responder.name.key) : [];
  for (const candidate of [...response.certificates, ...known]) {
    if (
      isResponder(responder, candidate) && isDelegated(candidate, issuer, response, context) &&
      isTrustedlySigned(response, candidate.publicKey, context)
    ) return true;
  }
  return false;
}

function isResponder(responder: OcspResponse["responder"], certificate: Certificate): boolean {
  if ("name" in responder) return certificate.subject.equals(responder.name);
  const hash = digest("SHA-1", certificate.publicKey.bytes);
  return sameBytes(responder.keyHash, hash);
}

function isDelegated(
  candidate: Certificate,
  issuer: Issuer,
  { producedAt }: OcspResponse,
  context: RevocationContext,
): boolean {
  if (!candidate.issuer.equals(issuer.certificate.subject)) return false;
  if (!candidate.extKeyUsage?.includes(keyPurposes.ocspSigning)) return false;
  if (candidate.keyUsage && !candidate.keyUsage.has("digitalSignature")) return false;
  if (unknownCriticalExtension(candidate)) return false;
  if (producedAt < candidate.notBefore || producedAt > candidate.notAfter) return false;
  // With a key that is out of date somebody else could write an answer that is current for years.
  if (context.at > candidate.notAfter) return false;
  if (!isTrustedlySigned(candidate, issuer.key, context)) return false;
  // §4.2.2.2.1: noCheck, or a way to check, or neither, which leaves it to us.
  const checkable = candidate.distributionPoints || candidate.ocspUrls.length > 0;
  return candidate.extensions.has(ocspIds.noCheck) || !checkable ||
    context.isUnrevoked(candidate, issuer);
}
