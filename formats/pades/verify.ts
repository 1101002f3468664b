/**
 * Verifies the signatures of a PDF by themselves: cryptography, coverage, later changes, level and locks of each.
 * Reports whose certificate it is; path validation decides whether to trust it.
 */
import type { Hash } from "node:crypto";
import { readSignedData } from "../cms/read.ts";
import { digestsNeeded, type SignerResult, verifyCms } from "../cms/verify.ts";
import { concat } from "../asn1/der.ts";
import { FormatError } from "../error.ts";
import type { ValidationData } from "./dss.ts";
import { hasValidationData, readDss } from "./dss_read.ts";
import { inspect, type PdfSignature } from "./inspect.ts";
import { type Aftermath, Versions } from "./versions.ts";
import { PdfDocument } from "../pdf/document.ts";
import { unlessMalformed } from "../pdf/malformed.ts";
import { Revisions } from "../pdf/revisions.ts";
import type { Source } from "../source.ts";
import { digest, hasher } from "../digest.ts";
import type { DigestName } from "../signer.ts";
import {
  readTimestampInfo,
  type TimestampProblemCode,
  type TimestampResult,
  verifyTimestamp,
} from "../cms/timestamp.ts";
import type { Certificate } from "../x509/certificate.ts";

/** EN 319 142-1 §6; `null` for other kinds of signatures. */
export type PadesLevel = "B-B" | "B-T" | "B-LT" | "B-LTA" | null;

export interface VerifiedPdfSignature {
  signature: PdfSignature;
  /** The cryptography and the coverage together; says nothing about what was changed afterwards. */
  status: SignerResult["status"];
  /** Why the status is not `valid`, and what a policy may refuse. */
  findings: { code: string; message: string }[];
  /** The signer's, or the timestamp authority's. */
  certificate?: Certificate;
  /** All that the signature holds, DER. */
  certificates: readonly Uint8Array[];
  /** Proven by a timestamp in the signature, or of a document timestamp. */
  timestamp?: Date;
  level: PadesLevel;
  /** Later changes of the document; `undefined` if they cannot be determined. */
  since?: Aftermath;
  /** The CMS signer of a signature. */
  signer?: SignerResult;
  /** The token of a document timestamp. */
  token?: TimestampResult;
  /** The document up to this timestamp has certificates and revocation information (EN 319 142-1 §5.4.2). */
  isArchive?: boolean;
}

export interface VerifiedPdf {
  /** The earliest revision first. */
  signatures: VerifiedPdfSignature[];
  /** Names of signature fields that wait for a signature. */
  emptyFields: string[];
  /** The cross-reference is broken; what other readers show may differ. */
  recovered: boolean;
  /** Validation data of the whole document. */
  dss: Required<ValidationData>;
}

export interface PdfVerifyOptions {
  password?: string;
}

/**
 * Verifies every signature of a document.
 *
 * @throws FormatError as `inspectSignatures`; what is wrong with one signature is a finding
 */
export function verifyPdf(source: Source, options: PdfVerifyOptions = {}): VerifiedPdf {
  const { password } = options;
  const document = PdfDocument.open(source, password);
  const revisions = new Revisions(source, password);
  const { signatures, emptyFields, recovered } = inspect(document, revisions);
  const digests = new Digests(source, signatures);
  // The certificate of a timestamp authority may stand in the DSS alone (RFC 3161 §2.4.1, certReq).
  const dss = readDss(document);
  const verified = signatures.map((signature) => verifyOne(signature, digests, dss.certificates));
  const versions = new Versions(document, revisions, signatures);
  for (const each of verified) {
    if (each.signature.coverage === "partial") continue;
    try {
      each.since = versions.since(each.signature);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      each.findings.push({ code: error.code, message: error.message });
    }
  }
  for (const each of verified) {
    const { kind, coverage, revisionEnd } = each.signature;
    if (kind !== "timestamp" || coverage === "partial") continue;
    each.isArchive = unlessMalformed(() => hasValidationData(revisions.open(revisionEnd)));
  }
  const hasData = hasValidationData(document);
  for (const each of verified) each.level = levelOf(each, verified, hasData);
  return { signatures: verified, emptyFields, recovered, dss };
}

function verifyOne(
  signature: PdfSignature,
  digests: Digests,
  possible: readonly Uint8Array[],
): VerifiedPdfSignature {
  const out: VerifiedPdfSignature = {
    signature,
    status: "indeterminate",
    findings: [],
    certificates: [],
    level: null,
  };
  const find = (code: string, message: string) => out.findings.push({ code, message });
  const known = ["ETSI.CAdES.detached", "adbe.pkcs7.detached", "ETSI.RFC3161"];
  if (!known.includes(signature.subFilter)) {
    find("form_unsupported", `Signatures of the form “${signature.subFilter}” are not checked.`);
    return out;
  }
  try {
    if (signature.kind === "timestamp") verifyDocumentTimestamp(signature, digests, possible, out);
    else verifyDetached(signature, digests, possible, out);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    out.status = "invalid";
    find(error.code, error.message);
  }
  if (signature.coverage === "partial") {
    out.status = "invalid";
    find("coverage_partial", "The signature does not cover a revision of the document.");
  }
  return out;
}

function verifyDetached(
  signature: PdfSignature,
  digests: Digests,
  possible: readonly Uint8Array[],
  out: VerifiedPdfSignature,
): void {
  const signed = readSignedData(signature.cms);
  if (signed.content) {
    out.status = "invalid";
    const message = "The signature contains content, which one in a PDF must not.";
    out.findings.push({ code: "cms_malformed", message }); // ISO 32000-2 §12.8.3.3.1
    return;
  }
  const needed = digestsNeeded(signed);
  const detached = {
    digests: Object.fromEntries(needed.map((h) => [h, digests.of(signature, h)])),
  };
  const { cms, signers } = verifyCms(signature.cms, { detached });
  out.certificates = cms.certificates;
  // ISO 32000-2 §12.8.3.3.1: exactly one.
  const [signer] = signers;
  if (signers.length !== 1) {
    out.status = "invalid";
    out.findings.push({ code: "signers", message: "A signature of a PDF has exactly one signer." });
    return;
  }
  out.signer = signer;
  out.status = signer.status;
  out.findings.push(...signer.findings.map(({ code, message }) => ({ code, message })));
  out.certificate = signer.certificate;
  for (const token of signer.timestampTokens) {
    const digestOf = (hash: DigestName) => digest(hash, signer.signer.signature);
    const { info, problems } = verifyTimestamp(token, { digestOf, certificates: possible });
    if (problems.length === 0) out.timestamp ??= info.time;
    for (const { message } of problems) out.findings.push({ code: "timestamp", message });
  }
}

/** Problems that leave open whether the timestamp is right. */
const UNDECIDED: ReadonlySet<TimestampProblemCode> = new Set([
  "certificate_missing",
  "algorithm_unsupported",
]);

function verifyDocumentTimestamp(
  signature: PdfSignature,
  digests: Digests,
  possible: readonly Uint8Array[],
  out: VerifiedPdfSignature,
): void {
  const { content } = readSignedData(signature.cms);
  const { hash } = readTimestampInfo(concat(...content ?? []));
  const result = verifyTimestamp(signature.cms, {
    certificates: possible,
    digestOf: (wanted) => wanted === hash ? digests.of(signature, hash) : undefined,
  });
  out.token = result;
  const isWrong = result.problems.some(({ code }) => !UNDECIDED.has(code));
  out.status = isWrong ? "invalid" : result.problems.length === 0 ? "valid" : "indeterminate";
  out.findings.push(...result.problems.map(({ code, message }) => ({ code, message })));
  out.certificate = result.certificate;
  out.certificates = result.certificates;
  if (result.problems.length === 0) out.timestamp = result.info.time;
}

/** EN 319 142-1 §6.3: each level contains those before it. */
function levelOf(
  each: VerifiedPdfSignature,
  all: readonly VerifiedPdfSignature[],
  hasData: boolean,
): PadesLevel {
  const { signature, status, timestamp } = each;
  if (signature.kind === "timestamp" || signature.subFilter !== "ETSI.CAdES.detached") return null;
  if (status !== "valid") return null;
  const stamps = all.filter(({ signature: other, status }) =>
    other.kind === "timestamp" && status === "valid" && other.revisionEnd > signature.revisionEnd
  );
  if (!timestamp && stamps.length === 0) return "B-B";
  if (!hasData) return "B-T";
  return stamps.some(({ isArchive }) => isArchive) ? "B-LTA" : "B-LT";
}

const PIECE = 1 << 20;

/**
 * Digests of what signatures cover. What they have in common, the document from its beginning, is read once, whatever
 * their number; the rest of each is short in honest documents and bounded in all.
 */
class Digests {
  readonly #running = new Map<DigestName, { hash: Hash; at: number }>();
  #budget: number;

  /** @param signatures in the order in which they will be asked for */
  constructor(readonly source: Source, signatures: readonly PdfSignature[]) {
    this.#budget = 2 * source.size + signatures.length * PIECE;
  }

  /** @throws FormatError `limit_exceeded`, `pdf_malformed` where there are no ranges */
  of({ ranges }: PdfSignature, hash: DigestName): Uint8Array {
    if (ranges.length !== 2) {
      throw new FormatError("pdf_malformed", "The signature does not state which bytes it covers.");
    }
    const [[, before], [after, length]] = ranges;
    if (this.source.digest) return this.source.digest(hash, ranges);
    let running = this.#running.get(hash);
    if (!running || running.at > before) running = { hash: hasher(hash), at: 0 };
    this.#feed(running.hash, running.at, before);
    running.at = before;
    this.#running.set(hash, running);
    const whole = running.hash.copy();
    this.#feed(whole, after, after + length);
    return new Uint8Array(whole.digest());
  }

  #feed(hash: Hash, start: number, end: number): void {
    this.#budget -= end - start;
    if (this.#budget < 0) {
      throw new FormatError("limit_exceeded", "The PDF's signatures take too much work to check.");
    }
    for (let at = start; at < end; at += PIECE) {
      hash.update(this.source.read(at, Math.min(PIECE, end - at)));
    }
  }
}
