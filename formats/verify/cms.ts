/** Verification of CMS signatures, in the terms of the report. */
import { archiveCovers, archiveImprint } from "../cms/archive.ts";
import type { CmsFindingCode } from "../cms/findings.ts";
import { attributeValues, readSignedData, type SignedData } from "../cms/read.ts";
import { type SignerResult, verifyCms } from "../cms/verify.ts";
import { digest, HASH_NAMES } from "../digest.ts";
import { FormatError } from "../error.ts";
import { Oid } from "../asn1/oids.ts";
import type { DigestName } from "../signer.ts";
import { type TimestampResult, verifyTimestamp } from "../cms/timestamp.ts";
import type { VerifyContent } from "../content.ts";
import {
  attributeMaterial,
  joinMaterial,
  type Material,
  readMaterial,
  tokenMaterial,
} from "./material.ts";
import { ignoredFinding } from "./notices.ts";
import type { CoverageReport, Finding, FindingCode } from "./report.ts";
import { finding, type SignatureFacts, type TimestampFacts } from "./signature.ts";

/** Weak algorithms are judged by time, later. */
const codes: Readonly<Record<CmsFindingCode, FindingCode | undefined>> = {
  digest_mismatch: "content_changed",
  signature_invalid: "signature_wrong",
  attribute_missing: "format_wrong",
  attribute_repeated: "format_wrong",
  attribute_malformed: "format_wrong",
  content_type_mismatch: "format_wrong",
  algorithm_protection_mismatch: "format_wrong",
  signing_certificate_mismatch: "certificate_not_as_signed",
  certificate_missing: "certificate_missing",
  certificate_malformed: "certificate_missing",
  content_missing: "content_missing",
  algorithm_unsupported: "algorithm_unsupported",
  countersignature_malformed: "countersignatures_unchecked",
  countersignatures_unchecked: "countersignatures_unchecked",
  weak_digest: undefined,
  weak_key: undefined,
  digest_algorithms_differ: "digest_algorithms_differ",
  digest_weaker: "digest_weaker",
  signed_attributes_absent: "signed_attributes_absent",
  signing_certificate_absent: "signing_certificate_absent",
};

/**
 * Facts of every signer of a CMS signature.
 *
 * @param content of a detached signature
 * @param possible certificates of possible signers, DER, besides those in the signature
 * @throws {FormatError} `cms_malformed`, `limit_exceeded`
 */
export function cmsFacts(
  bytes: Uint8Array,
  content: VerifyContent | null,
  possible: readonly Uint8Array[] = [],
): SignatureFacts[] {
  const digests = contentDigests(content);
  // Content that stands in the signature is what was signed; any other at hand says nothing of it.
  const isDetached = readSignedData(bytes, { zeroPadded: true }).content === undefined;
  const { cms, certificates, signers } = verifyCms(bytes, {
    zeroPadded: true,
    certificates: possible,
    ...isDetached && { detached: { digests, bytes: content?.bytes?.bind(content) } },
  });
  const { crls, ocspResponses } = cms;
  const material = { ...readMaterial({ crls, ocspResponses }), certificates };
  const coverage: CoverageReport = { extent: "whole", parts: [] };
  return signers.map((signer, index) => {
    const facts = signerFacts(signer, {
      id: String(index + 1),
      cms,
      material,
      coverage,
      contentDigest: (hash) => cms.content ? digest(hash, ...cms.content) : digests[hash],
    });
    // EN 319 122-1 §6.3: the time is among what a baseline signature signs.
    return { ...facts, isBaseline: facts.isBaseline && facts.claimedTime !== undefined };
  });
}

/**
 * Digest of the content that a signature embeds; undefined if it is detached.
 *
 * @throws {FormatError} `cms_malformed`, `limit_exceeded`
 */
export function cmsContentDigest(bytes: Uint8Array): Uint8Array | undefined {
  const { content } = readSignedData(bytes, { zeroPadded: true });
  return content && digest("SHA-256", ...content);
}

/** Digests of the content, each made when it is asked for. */
function contentDigests(content: VerifyContent | null) {
  const digests: Partial<Record<DigestName, Uint8Array>> = {};
  for (const hash of HASH_NAMES) {
    Object.defineProperty(digests, hash, {
      enumerable: true,
      configurable: true,
      get() {
        const value = content?.digest(hash);
        Object.defineProperty(digests, hash, { value });
        return value;
      },
    });
  }
  return digests;
}

interface SignerContext {
  id: string;
  kind?: SignatureFacts["kind"];
  /** Position of the signer; absent for countersignatures, which have no archive timestamps. */
  cms?: SignedData;
  material: Material;
  coverage: CoverageReport;
  contentDigest: (hash: DigestName) => Uint8Array | undefined;
}

/** Unsigned attributes that are read, or that only repeat by digest what is found anyway (EN 319 122-1 Annex A.1). */
const KNOWN_UNSIGNED: ReadonlySet<string> = new Set([
  Oid.countersignature,
  Oid.signatureTimestamp,
  Oid.archiveTimestampV3,
  ...["2.21", "2.22", "2.23", "2.24"].map((arc) => `1.2.840.113549.1.9.16.${arc}`),
]);

/** Facts of one signer. */
export function signerFacts(result: SignerResult, context: SignerContext): SignatureFacts {
  const { signer, certificate, hash, algorithm } = result;
  const findings = result.findings.flatMap(({ code, message }) => {
    const known = codes[code];
    return known ? [finding(known, message)] : [];
  });
  const signed = signer.signedAttributes?.attributes;
  const material = joinMaterial(
    context.material,
    readMaterial(...attributeMaterial(signer.unsignedAttributes, signed)),
  );
  const has = (code: CmsFindingCode) => result.findings.some((each) => each.code === code);
  const hashes = [hash, algorithm?.hash].filter((each) => each !== undefined);
  if (has("weak_digest") && !hashes.includes("SHA-1")) {
    // MD5, at whatever time
    findings.push(finding("algorithm_weak", "The signature relies on MD5."));
  }
  const unknown = signer.unsignedAttributes.filter(({ oid }) => !KNOWN_UNSIGNED.has(oid));
  if (unknown.length > 0) findings.push(ignoredFinding(unknown.map(({ oid }) => oid)));
  return {
    id: context.id,
    kind: context.kind ?? "signature",
    findings,
    certificate,
    algorithm,
    hashes,
    value: signer.signature,
    coverage: context.coverage,
    claimedTime: result.signingTime,
    isBaseline: signed !== undefined && !has("signing_certificate_absent"),
    timestamps: timestampFacts(result, context, material, findings),
    material,
    countersignatures: result.countersignatures.map((each, index) =>
      signerFacts(each, {
        id: `${context.id}.${index + 1}`,
        kind: "countersignature",
        material,
        coverage: { extent: "whole", parts: [] },
        contentDigest: () => undefined,
      })
    ),
  };
}

/** The timestamps of a signer: over the signature, and over all of it with what its validation needs. */
function timestampFacts(
  { signer }: SignerResult,
  { cms, contentDigest }: SignerContext,
  material: Material,
  findings: Finding[],
): TimestampFacts[] {
  const read = (bytes: Uint8Array, digestOf: (hash: DigestName) => Uint8Array | undefined) => {
    try {
      return timestampFact(bytes, digestOf, material);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      findings.push(finding("timestamp_not_accepted", error.message));
      return undefined;
    }
  };
  const archives = attributeValues(cms ? signer.unsignedAttributes : [], Oid.archiveTimestampV3)
    .flatMap((value) => {
      const facts = read(value.bytes, (hash) => {
        const digested = contentDigest(hash);
        return digested && archiveImprint(cms!, signer, value.bytes, hash, digested);
      });
      return facts ? [{ value, facts: { ...facts, kind: "archive" as const } }] : [];
    })
    .toSorted((a, b) => Number(a.facts.token.info.time) - Number(b.facts.token.info.time));
  // Only a later one can cover another, so that nothing goes round.
  archives.forEach((each, index) => {
    each.facts.coveredBy = archives.slice(index + 1)
      .filter((later) => archiveCovers(later.value.bytes, Oid.archiveTimestampV3, each.value))
      .map(({ facts }) => facts);
  });
  const stamps = attributeValues(signer.unsignedAttributes, Oid.signatureTimestamp)
    .flatMap((value) => {
      const facts = read(value.bytes, (hash) => digest(hash, signer.signature));
      if (!facts) return [];
      const coveredBy = archives
        .filter((archive) => archiveCovers(archive.value.bytes, Oid.signatureTimestamp, value))
        .map(({ facts }) => facts);
      return [{ ...facts, coveredBy }];
    });
  return [...stamps, ...archives.map(({ facts }) => facts)];
}

/** @throws {FormatError} where the token cannot be read, or says not what it covers */
export function timestampFact(
  bytes: Uint8Array,
  digestOf: (hash: DigestName) => Uint8Array | undefined,
  material: Material,
): TimestampFacts {
  // RFC 3161 §2.4.1: the authority's certificate need not be in the token.
  const certificates = material.certificates.map(({ der }) => der);
  return tokenFact(verifyTimestamp(bytes, { digestOf, certificates }), bytes, material);
}

/** The facts of a token that was verified. */
export function tokenFact(
  token: TimestampResult,
  bytes: Uint8Array,
  material: Material,
): TimestampFacts {
  return {
    kind: "signature",
    token,
    material: joinMaterial(readMaterial(...tokenMaterial(bytes)), material),
    coveredBy: [],
  };
}
