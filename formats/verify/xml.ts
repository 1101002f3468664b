/** What the verification of XML signatures finds, in the terms of the report. */
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import type { VerifyContent } from "./content.ts";
import { timestampFact } from "./cms.ts";
import { type Material, readMaterial } from "./material.ts";
import type { CoverageReport, Finding, FindingCode } from "./report.ts";
import { finding, type SignatureFacts, type TimestampFacts } from "./signature.ts";
import {
  verifyXml,
  type XmlCoverage,
  type XmlProblem,
  type XmlSignature,
} from "../xml/xades_verify.ts";
import { type Certificate, readCertificate } from "../x509/certificate.ts";

const problems: Readonly<Record<XmlProblem, [FindingCode, string]>> = {
  content_changed: ["content_changed", "The content was changed after it was signed."],
  signature_wrong: ["signature_wrong", "The signature was not made with the certificate's key."],
  malformed: ["format_wrong", "A part of the signature is missing, doubled or malformed."],
  algorithm_unsupported: [
    "algorithm_unsupported",
    "The signature uses an algorithm or a transform that is not accepted.",
  ],
  certificate_missing: ["certificate_missing", "The signer's certificate is not in the signature."],
  certificate_not_as_signed: [
    "certificate_not_as_signed",
    "The signer meant another certificate than the one in the signature.",
  ],
  content_missing: ["content_missing", "A file that was signed was not given."],
};

/**
 * Facts of every signature of an XML document.
 *
 * @param content gives a detached signature's file by its URI
 * @throws {FormatError} as `verifyXml`
 */
export function xmlFacts(
  bytes: Uint8Array,
  content: (uri: string) => VerifyContent | null,
): SignatureFacts[] {
  const signatures = verifyXml(bytes, (uri, hash) => content(uri)?.digest(hash) ?? null);
  return signatures.map((each, index) => {
    const findings = each.problems.map((problem) => finding(...problems[problem]));
    const coverage = coverageOf(each);
    if (
      coverage.extent === "part" && !each.holdsUnsigned &&
      !each.problems.includes("content_missing")
    ) {
      const parts = coverage.parts.join(", ") || "nothing of it";
      findings.push(finding("coverage_partial", `The signature covers ${parts} only.`));
    }
    if (each.holdsUnsigned) {
      const message = "Within the signature there is content that it does not sign.";
      findings.push(finding("coverage_partial", message));
    }
    if (!each.isXades) {
      const message = "The signer did not sign which certificate is meant.";
      findings.push(finding("signing_certificate_absent", message));
    }
    const { certificates, crls, ocspResponses } = each;
    const material = readMaterial({ certificates, crls, ocspResponses });
    return {
      id: each.id ?? String(index + 1),
      kind: "signature",
      findings,
      certificate: tryRead(each.certificate, findings),
      algorithm: each.algorithm ?? undefined,
      hashes: [...each.digests, ...each.algorithm ? [each.algorithm.hash] : []],
      coverage,
      claimedTime: each.signingTime ?? undefined,
      isBaseline: each.isXades,
      timestamps: stampsOf(each, material, findings),
      material,
      role: each.role ?? undefined,
    };
  });
}

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
function coverageOf({ covers, isDocument, holdsUnsigned }: XmlSignature): CoverageReport {
  const content = covers.filter(({ kind }) => kind !== "properties");
  const isWhole = content.some(({ kind }) => kind === "document") ||
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
  return timestamps.flatMap(({ token, input }) => {
    try {
      return [timestampFact(token, (hash) => digest(hash, input), material)];
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      findings.push(finding("timestamp_not_accepted", error.message));
      return [];
    }
  });
}
