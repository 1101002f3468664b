/** Verification of a PDF's signatures, in the terms of the report. */
import { isPadding } from "../asn1/read.ts";
import { readPdfDate } from "../pades/inspect.ts";
import type { Change } from "../pades/changes.ts";
import { type PdfVerifyOptions, type VerifiedPdfSignature, verifyPdf } from "../pades/verify.ts";
import type { Aftermath } from "../pades/versions.ts";
import type { Source } from "../source.ts";
import { signerFacts, tokenFact } from "./cms.ts";
import { joinMaterial, type Material, readMaterial } from "./material.ts";
import { ignoredFinding } from "./notices.ts";
import type { CoverageReport, Finding } from "./report.ts";
import { finding, type SignatureFacts, type TimestampFacts } from "./signature.ts";

/** More of one kind are not told in a sentence. */
const MAX_QUOTED = 3;

/**
 * Facts of every signature and document timestamp, the earliest revision first.
 *
 * @throws {FormatError} as `verifyPdf`
 */
export function pdfFacts(
  source: Source,
  options: PdfVerifyOptions,
): { signatures: SignatureFacts[]; findings: Finding[] } {
  const { signatures, recovered, dss } = verifyPdf(source, options);
  const material = readMaterial({ ...dss, ocspResponses: dss.ocsps });
  const stamps = signatures.filter(({ token, signature }) =>
    token && signature.coverage !== "partial"
  ).map(({ token, signature, isArchive }) => ({
    end: signature.revisionEnd,
    field: signature.field,
    facts: {
      ...tokenFact(token!, signature.cms, material),
      kind: isArchive ? "archive" : "document",
    } satisfies TimestampFacts as TimestampFacts,
  }));
  const after = (end: number) =>
    stamps.filter((stamp) => stamp.end > end).map(({ facts }) => facts);
  for (const stamp of stamps) stamp.facts.coveredBy = after(stamp.end);
  return {
    signatures: signatures.map((each) => {
      const { field, revisionEnd } = each.signature;
      const own = stamps.find((stamp) => stamp.field === field)?.facts;
      return signatureFacts(each, material, after(revisionEnd), own);
    }),
    findings: recovered
      ? [finding("file_damaged", "The file is damaged; what other programs show may differ.")]
      : [],
  };
}

function signatureFacts(
  verified: VerifiedPdfSignature,
  dss: Material,
  later: readonly TimestampFacts[],
  own: TimestampFacts | undefined,
): SignatureFacts {
  const { signature, signer, certificates, certificate, since } = verified;
  const { coverage } = signature;
  const report: CoverageReport = {
    extent: coverage === "document" ? "whole" : coverage === "revision" ? "revision" : "part",
    parts: [],
    revision: since?.revision,
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
  const { contents, cms } = signature;
  if (cms.length > 0 && !isPadding(contents, cms.length)) {
    findings.push(ignoredFinding(["bytes behind the signature within /Contents"]));
  }
  if (since) findings.push(...aftermathFindings(since));
  else if (coverage !== "partial") {
    const message = "What was changed after the signature cannot be told.";
    findings.push(finding("changed_after_unclear", message));
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
    changes: since?.changes,
  };
}

function aftermathFindings({ changes, ambiguities, looseness }: Aftermath): Finding[] {
  const out: Finding[] = [];
  const why = (all: Change[]) =>
    all.slice(0, MAX_QUOTED).map(({ name, reason, places }) =>
      `${name}${placesText(places)}: ${reason}`
    ).join(" ");
  const forbidden = changes.filter(({ allowed, unclear }) => !allowed && !unclear);
  const unclear = changes.filter((change) => change.unclear);
  if (forbidden.length > 0) {
    const message = `The document was changed after the signature. ${why(forbidden)}`;
    out.push(finding("changed_after", message));
  }
  if (unclear.length > 0) {
    const message = `Something was added after the signature that it does not vouch for. ${
      why(unclear)
    }`;
    out.push(finding("changed_after_unclear", message));
  }
  if (changes.length > 0 && forbidden.length + unclear.length === 0) {
    const drawn = changes.filter(({ places }) => places);
    const where = drawn.slice(0, MAX_QUOTED).map(({ name, places }) =>
      `${name} is drawn${placesText(places)}.`
    );
    const message = "Later additions are of a kind that the signature allows.";
    out.push(finding("changed_after_allowed", [message, ...where].join(" ")));
  }
  if (ambiguities.length > 0) {
    const objects = ambiguities.slice(0, MAX_QUOTED).map(({ object, page }) =>
      page === undefined ? `object ${object}` : `object ${object} on page ${page}`
    );
    const message = `The file can be read in more than one way, so that another program may show ` +
      `other content than was signed: ${objects.join(", ")}.`;
    out.push(finding("ambiguous", message));
  } else if (looseness !== undefined) {
    const message = `What was appended later is not written as the standard says (${looseness}); ` +
      "every reading of it shows the same.";
    out.push(finding("written_loosely", message));
  }
  return out;
}

/** ` on page 2 at [36, 36, 236, 96]` */
function placesText(places: Change["places"] = []): string {
  return places.map(({ page, box }) => ` on page ${page} at [${box.map(Math.round).join(", ")}]`)
    .join(",");
}
