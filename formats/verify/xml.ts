/** What the verification of XML signatures finds, in the terms of the report. */
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import type { VerifyContent } from "./content.ts";
import { timestampFact } from "./cms.ts";
import { type Material, readMaterial } from "./material.ts";
import type { DigestName } from "../signer.ts";
import type { CoverageReport, Finding, FindingCode } from "./report.ts";
import { finding, type SignatureFacts, type TimestampFacts } from "./signature.ts";
import {
  verifyXml,
  type XmlCoverage,
  type XmlProblem,
  type XmlSignature,
} from "../xml/xades_verify.ts";
import { type Certificate, readCertificate } from "../x509/certificate.ts";

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
  const file = (uri: string, hash: DigestName) => content(uri)?.digest(hash) ?? null;
  return verifyXml(bytes, file, certificates).map((each, index) =>
    signatureFacts(each, String(index + 1))
  );
}

function signatureFacts(each: XmlSignature, number: string, of?: XmlSignature): SignatureFacts {
  const findings = each.problems.flatMap((problem) =>
    problem === "algorithm_unsupported" ? [] : [finding(...problems[problem])]
  );
  const isUnsupported = each.problems.includes("algorithm_unsupported");
  if (isUnsupported) {
    const what = each.unsupported.join(", ") || "the signature algorithm";
    const message = `Not checked, as it is not supported: ${what}.`;
    findings.push(finding("algorithm_unsupported", message));
  }
  const coverage = coverageOf(each, of !== undefined);
  const { parts } = coverage;
  // Where a reference could not be followed, that is said instead.
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
  if (each.ignored.length > 0) {
    const names = [...new Set(each.ignored)].slice(0, MAX_NAMES).join(", ");
    const message = `Not covered by the signature, and left out of account: ${names}.`;
    findings.push(finding("unsigned_ignored", message));
  }
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
    hashes: [...each.digests, ...each.algorithm?.hash ? [each.algorithm.hash] : []],
    coverage,
    claimedTime: each.signingTime ?? undefined,
    isBaseline: each.isXades,
    timestamps: stampsOf(each, material, findings),
    material,
    role: each.role ?? undefined,
    countersignatures: each.countersignatures.map((counter, index) =>
      signatureFacts(counter, `${number}.${index + 1}`, each)
    ),
  };
}

/** Of the names that a stranger chose, enough to see what they are. */
const MAX_NAMES = 10;

/** Problems that may be the reason why no signed certificate was found. */
const EXPLAINS_ABSENCE: ReadonlySet<XmlProblem> = new Set([
  "algorithm_unsupported",
  "malformed",
  "properties_unsigned",
]);

/** The signer's certificate; a finding if it cannot be read. */
export function tryRead(der: Uint8Array | null, findings: Finding[]): Certificate | undefined {
  try {
    return der ? readCertificate(der) : undefined;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    findings.push(finding("certificate_missing", error.message));
    return undefined;
  }
}

/** A signature counts for the whole document, for what it holds itself, or for files: else wrapped content could pass. */
function coverageOf(
  { covers, isDocument, holdsUnsigned }: XmlSignature,
  isCountersignature: boolean,
): CoverageReport {
  const content = covers.filter(({ kind }) => kind !== "properties");
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
      return "properties";
  }
}

function stampsOf(
  { timestamps }: XmlSignature,
  material: Material,
  findings: Finding[],
): TimestampFacts[] {
  const read = timestamps.flatMap(({ kind, token, input }) => {
    try {
      return [{ ...timestampFact(token, (hash) => digest(hash, ...input), material), kind }];
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      findings.push(finding("timestamp_not_accepted", error.message));
      return [];
    }
  });
  // An archive timestamp covers the properties before it, in document order.
  return read.map((each, index) => {
    each.coveredBy = read.slice(index + 1).filter(({ kind }) => kind === "archive");
    return each;
  });
}
