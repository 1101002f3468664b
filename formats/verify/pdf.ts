/** What the verification of a PDF's signatures finds, in the terms of the report. */
import { FormatError } from "../error.ts";
import { readDss } from "../pades/dss_read.ts";
import { readPdfDate } from "../pades/inspect.ts";
import { type PdfVerifyOptions, type VerifiedPdfSignature, verifyPdf } from "../pades/verify.ts";
import { prefixSource, type Source } from "../source.ts";
import { signerFacts, tokenFact } from "./cms.ts";
import { joinMaterial, type Material, readMaterial } from "./material.ts";
import type { CoverageReport, Finding } from "./report.ts";
import { finding, type SignatureFacts, type TimestampFacts } from "./signature.ts";

/**
 * Facts of every signature and document timestamp, the earliest revision first.
 *
 * @throws {FormatError} as `verifyPdf`
 */
export function pdfFacts(
  source: Source,
  options: PdfVerifyOptions,
): { signatures: SignatureFacts[]; findings: Finding[] } {
  const { signatures, recovered } = verifyPdf(source, options);
  const dss = readDss(source, options.password);
  const material = readMaterial({ ...dss, ocspResponses: dss.ocsps });
  const stamps = signatures.filter(({ token, signature }) =>
    token && signature.coverage !== "partial"
  ).map(({ token, signature }) => ({
    end: signature.revisionEnd,
    field: signature.field,
    facts: {
      ...tokenFact(token!, signature.cms, material),
      kind: hasMaterial(source, signature.revisionEnd, options.password) ? "archive" : "document",
    } satisfies TimestampFacts as TimestampFacts,
  }));
  const after = (end: number) =>
    stamps.filter((stamp) => stamp.end > end).map(({ facts }) => facts);
  for (const stamp of stamps) stamp.facts.coveredBy = after(stamp.end);
  const isOpenEnded = !endsAsWritten(source);
  return {
    signatures: signatures.map((each) => {
      const { field, revisionEnd, coverage } = each.signature;
      const own = stamps.find((stamp) => stamp.field === field)?.facts;
      const facts = signatureFacts(each, material, after(revisionEnd), own);
      if (!isOpenEnded || coverage === "document") return facts;
      const message =
        "Behind the document's end stands what other programs may show instead of it.";
      return { ...facts, findings: [...facts.findings, finding("changed_after", message)] };
    }),
    findings: recovered
      ? [finding("file_damaged", "The file is damaged; what other programs show may differ.")]
      : [],
  };
}

/** How far from the end other readers look for `startxref`; where it is not, they put together what objects they find. */
const TAIL = 1024;

/** ISO 32000-2 §7.5.5 */
function endsAsWritten(source: Source): boolean {
  const tail = source.read(Math.max(0, source.size - TAIL), Math.min(TAIL, source.size));
  return /startxref\s+\d+\s+%%EOF[\s\0]*$/.test(new TextDecoder("latin1").decode(tail));
}

/** Whether what a validation needs stands in the document up to a revision. */
function hasMaterial(source: Source, end: number, password: string | undefined): boolean {
  try {
    const { certificates, crls, ocsps } = readDss(prefixSource(source, end), password);
    return certificates.length > 0 && crls.length + ocsps.length > 0;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

function signatureFacts(
  verified: VerifiedPdfSignature,
  dss: Material,
  later: readonly TimestampFacts[],
  own: TimestampFacts | undefined,
): SignatureFacts {
  const { signature, signer, certificates, certificate, changes } = verified;
  const { coverage } = signature;
  const report: CoverageReport = {
    extent: coverage === "document" ? "whole" : coverage === "revision" ? "revision" : "part",
    parts: [],
  };
  const material = joinMaterial(readMaterial({ certificates }), dss);
  const base: SignatureFacts = signer
    ? signerFacts(signer, {
      id: signature.field,
      material,
      coverage: report,
      contentDigest: () => undefined,
    })
    : {
      id: signature.field,
      kind: signature.kind,
      findings: [],
      certificate,
      hashes: [],
      coverage: report,
      isBaseline: false,
      timestamps: [],
      material,
      timestamp: own,
    };
  const findings = [...base.findings];
  // Neither the CMS nor the token told what is wrong: the PDF around them did.
  if (!signer && !own) {
    for (const { code, message } of verified.findings) {
      const known = code === "form_unsupported" ? "algorithm_unsupported" : "format_wrong";
      findings.push(finding(known, message));
    }
    if (findings.length === 0) findings.push(finding("format_wrong", "There is no signature."));
  }
  if (coverage === "partial") {
    const message = "The signature does not cover a revision of the document.";
    findings.push(finding("coverage_partial", message));
  }
  const forbidden = changes?.filter(({ allowed }) => !allowed) ?? [];
  if (forbidden.length > 0) {
    const why = forbidden.slice(0, 3).map(({ name, reason }) => `${name}: ${reason}`).join(" ");
    findings.push(finding("changed_after", `The document was changed after the signature. ${why}`));
  } else if (changes && changes.length > 0) {
    const message = "Later additions are of a kind that the signature allows.";
    findings.push(finding("changed_after_allowed", message));
  } else if (!changes && coverage !== "partial") {
    findings.push(finding("changed_after", "What was changed after the signature cannot be told."));
  }
  const isPades = signature.subFilter === "ETSI.CAdES.detached";
  return {
    ...base,
    findings,
    isBaseline: isPades && base.isBaseline,
    claimedTime: base.claimedTime ?? readPdfDate(signature.time),
    timestamps: [
      ...base.timestamps.map((each) => ({ ...each, coveredBy: later })),
      ...later,
    ],
    reason: signature.reason,
    location: signature.location,
    changes,
  };
}
