/** Verification of XML signatures, in the terms of the report. */
import type { VerifyContent } from "../content.ts";
import { stampsOf, tryRead } from "./facts.ts";
import { ignoredFinding, unsupportedFinding } from "./notices.ts";
import { readMaterial } from "./material.ts";
import type { CoverageReport, FindingCode } from "./report.ts";
import { finding, type SignatureFacts } from "./signature.ts";
import {
  verifyXml,
  type XmlCoverage,
  type XmlProblem,
  type XmlSignature,
} from "../xml/xades_verify.ts";

const problems: Readonly<
  Record<Exclude<XmlProblem, "algorithm_unsupported">, [FindingCode, string]>
> = {
  content_changed: ["content_changed", "The content was changed after it was signed."],
  signature_wrong: ["signature_wrong", "The signature was not made with the certificate's key."],
  malformed: ["format_wrong", "A part of the signature is missing, doubled or malformed."],
  certificate_missing: [
    "certificate_missing",
    "The signer's certificate is neither in the signature nor given.",
  ],
  certificate_not_as_signed: [
    "certificate_not_as_signed",
    "The signer meant another certificate than the one in the signature.",
  ],
  content_missing: ["content_missing", "Content that was signed is not here."],
  properties_unsigned: [
    "coverage_partial",
    "The signature does not cover the time, role and certificate that it states.",
  ],
};

/**
 * Facts of every signature of an XML document.
 *
 * @param content gives a detached signature's file by its URI
 * @param certificates of possible signers, DER, besides those in the signatures
 * @throws {FormatError} as `verifyXml`
 */
export function xmlFacts(
  bytes: Uint8Array,
  content: (uri: string) => VerifyContent | null,
  certificates: readonly Uint8Array[] = [],
): SignatureFacts[] {
  return verifyXml(bytes, content, certificates).map((each, index) =>
    signatureFacts(each, String(index + 1))
  );
}

function signatureFacts(each: XmlSignature, number: string, of?: XmlSignature): SignatureFacts {
  const findings = each.problems.flatMap((problem) =>
    problem === "algorithm_unsupported" ? [] : [finding(...problems[problem])]
  );
  const isUnsupported = each.problems.includes("algorithm_unsupported");
  if (isUnsupported) findings.push(unsupportedFinding(each.unsupported));
  const coverage = coverageOf(each, of !== undefined);
  const { parts } = coverage;
  // An unresolved reference has its own finding instead.
  const isKnown = !isUnsupported && !each.problems.includes("content_missing");
  if (coverage.extent === "part" && !each.holdsUnsigned && isKnown) {
    const message = parts.length > 0
      ? `The signature covers ${parts.join(", ")} only.`
      : "The signature covers no content.";
    findings.push(finding("coverage_partial", message));
  }
  if (each.holdsUnsigned) {
    const message = "Within the signature there is content that it does not sign.";
    findings.push(finding("coverage_partial", message));
  }
  if (each.ignored.length > 0) findings.push(ignoredFinding(each.ignored));
  if (!each.isXades && !each.problems.some((problem) => EXPLAINS_ABSENCE.has(problem))) {
    const message = "The signer did not sign which certificate is meant.";
    findings.push(finding("signing_certificate_absent", message));
  }
  const { certificates, crls, ocspResponses } = each;
  const material = readMaterial({ certificates, crls, ocspResponses });
  return {
    id: each.id ?? number,
    kind: of ? "countersignature" : "signature",
    findings,
    certificate: tryRead(each.certificate, findings),
    algorithm: each.algorithm ?? undefined,
    value: each.value ?? undefined,
    hashes: [...each.digests, ...each.algorithm?.hash ? [each.algorithm.hash] : []],
    coverage,
    files: each.covers.flatMap((covers) => covers.kind === "file" ? [covers.uri] : []),
    claimedTime: each.signingTime ?? undefined,
    isBaseline: each.isXades,
    timestamps: stampsOf(each.timestamps, material, findings),
    material,
    role: each.role ?? undefined,
    countersignatures: each.countersignatures.map((counter, index) =>
      signatureFacts(counter, `${number}.${index + 1}`, each)
    ),
  };
}

/** Problems that may be the reason why no signed certificate was found. */
const EXPLAINS_ABSENCE: ReadonlySet<XmlProblem> = new Set([
  "algorithm_unsupported",
  "malformed",
  "properties_unsigned",
]);

/** A signature counts for the whole document, for what it holds itself, or for files: else wrapped content could pass. */
function coverageOf(
  { covers, isDocument, holdsUnsigned }: XmlSignature,
  isCountersignature: boolean,
): CoverageReport {
  const content = covers.filter(({ kind }) => kind !== "properties" && kind !== "property");
  const isWhole = isCountersignature
    ? content.some(({ kind }) => kind === "countersigned")
    : content.some(({ kind }) => kind === "document") ||
      (isDocument && content.length > 0 &&
        content.every(({ kind }) => kind === "object" || kind === "file"));
  return { extent: isWhole && !holdsUnsigned ? "whole" : "part", parts: content.map(nameOf) };
}

function nameOf(covers: XmlCoverage): string {
  switch (covers.kind) {
    case "document":
      return "the document";
    case "element":
      return covers.path;
    case "object":
      return covers.mediaType ?? "an object";
    case "manifest":
      return "a list (ds:Manifest), whose entries are not checked";
    case "countersigned":
      return "a signature";
    case "file":
      return covers.uri;
    case "properties":
    case "property":
      return "properties";
  }
}
