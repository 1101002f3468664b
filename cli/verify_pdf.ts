/** `dsign verify FILE.pdf`: what each signature in a PDF is worth. */
import { FileSource } from "../agent/file_source.ts";
import { readPdfDate } from "../agent/pdf_facts.ts";
import type { Change } from "../formats/pades_changes.ts";
import { type VerifiedPdfSignature, verifyPdf } from "../formats/pades_verify.ts";
import type { Certificate } from "../formats/x509.ts";
import { EXIT, FileError, printable, printJson } from "./failure.ts";
import { fileSize } from "./input_file.ts";
import {
  describeSigner,
  findTrust,
  kindText,
  line,
  type SignerFacts,
  signerFacts,
  type TrustState,
  trustText,
} from "./verify.ts";

/** What is told of one signature; `--json` prints it so. */
interface Verdict extends SignerFacts {
  field: string;
  kindOfSignature: "signature" | "timestamp";
  /** All that was asked for is well. */
  ok: boolean;
  /** Of the signature by itself, without what came after it. */
  status: "valid" | "invalid" | "indeterminate";
  /** `document`: all of it; `revision`: all that there was; `partial`: not even that. */
  coverage: "document" | "revision" | "partial";
  level: VerifiedPdfSignature["level"];
  subFilter: string;
  /** Later changes; null where they cannot be told. */
  changes: Pick<Change, "kind" | "name" | "allowed" | "reason">[] | null;
  /** What it allows after it, where it certifies the document. */
  certifies: 1 | 2 | 3 | null;
  locks: { action: string; fields?: string[] }[];
  /** As the signer claims; proves nothing. */
  claimedTime: string | null;
  /** Proven by a timestamp whose authority was not judged. */
  timestamp: string | null;
  reason: string | null;
  location: string | null;
  issuer: TrustState;
  findings: { code: string; message: string }[];
}

/**
 * Verifies the signatures of a PDF and tells of them.
 *
 * @returns the exit code
 */
export async function verifyPdfFile(
  path: string,
  anchors: Certificate[] | undefined,
  password: string | undefined,
  json: boolean,
): Promise<number> {
  const size = await fileSize(path);
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    throw new FileError(path, error);
  }
  try {
    const source = new FileSource(file, size);
    const { signatures, emptyFields, recovered } = verifyPdf(source, {
      password,
      sequential: source.sequential(),
    });
    const verdicts = signatures.map((each) => judge(each, anchors));
    const ok = verdicts.length > 0 && !recovered && verdicts.every((verdict) => verdict.ok);
    if (json) {
      const revocation = "not_checked";
      printJson({ ok, signatures: verdicts, emptyFields, damaged: recovered, revocation });
    } else show(verdicts, emptyFields, recovered);
    return ok ? EXIT.ok : EXIT.failed;
  } finally {
    file.close();
  }
}

function judge(
  { signature, status, findings, certificate, certificates, timestamp, level, changes }:
    VerifiedPdfSignature,
  anchors: Certificate[] | undefined,
): Verdict {
  const told = [...findings];
  let issuer: TrustState = "not_checked";
  if (anchors && certificate) {
    const failure = findTrust(certificate, anchors, certificates);
    issuer = failure ? "not_trusted" : "trusted";
    if (failure) told.push(failure);
  }
  const weak = findings.some(({ code }) => ["weak_digest", "weak_key"].includes(code));
  const changed = !changes || changes.some(({ allowed }) => !allowed);
  return {
    ok: status === "valid" && !weak && !changed && issuer !== "not_trusted",
    status,
    field: signature.field,
    kindOfSignature: signature.kind,
    coverage: signature.coverage,
    level,
    subFilter: signature.subFilter,
    changes: changes?.map(({ kind, name, allowed, reason }) => ({ kind, name, allowed, reason })) ??
      null,
    certifies: signature.docMdp ?? null,
    locks: signature.fieldLocks,
    claimedTime: readPdfDate(signature.time)?.toISOString() ?? null,
    timestamp: timestamp?.toISOString() ?? null,
    reason: signature.reason ?? null,
    location: signature.location ?? null,
    ...signerFacts(certificate),
    issuer,
    findings: told,
  };
}

const COVERAGE = {
  document: "the whole document",
  revision: "the document as it was then",
  partial: "only parts of the file: it says nothing about the document",
};
const CERTIFIES = {
  1: "nothing may change afterwards",
  2: "afterwards, forms and signatures may be added",
  3: "afterwards, forms, signatures and comments may be added",
};

function show(verdicts: readonly Verdict[], emptyFields: string[], damaged: boolean): void {
  if (verdicts.length === 0) console.log("The PDF is not signed.");
  verdicts.forEach((verdict, i) => {
    const words = !verdict.ok && verdict.status === "valid" ? "NOT ACCEPTED" : {
      valid: "VALID",
      invalid: "NOT VALID",
      indeterminate: "CANNOT BE TOLD",
    }[verdict.status];
    const what = verdict.kindOfSignature === "timestamp" ? "Document timestamp" : "Signature";
    console.log(
      `${what} ${i + 1} of ${verdicts.length}, field "${printable(verdict.field)}": ${words}`,
    );
    for (const { message } of verdict.findings) line("finding", message);
    line("covers", COVERAGE[verdict.coverage]);
    showChanges(verdict);
    if (verdict.certifies) line("certifies", CERTIFIES[verdict.certifies]);
    for (const { action, fields = [] } of verdict.locks) {
      const names = fields.join(", ");
      line(
        "locks",
        {
          All: "all form fields",
          Include: `the form fields ${names}`,
          Exclude: `all form fields but ${names}`,
        }[action] ?? action,
      );
    }
    if (verdict.kindOfSignature === "signature") {
      line(
        "level",
        verdict.level ? `PAdES ${verdict.level}` : `none of PAdES (${verdict.subFilter})`,
      );
    }
    if (verdict.signer) {
      describeSigner(verdict.signer);
      line("certificate", `${kindText(verdict)}; serial ${verdict.signer.serialNumber}`);
      line("issuer", verdict.signer.issuer);
      line("", trustText(verdict.issuer));
    }
    if (verdict.reason) line("reason", verdict.reason);
    if (verdict.location) line("place", verdict.location);
    if (verdict.timestamp) line("time", `${verdict.timestamp}, by a timestamp`);
    else {line(
        "time",
        verdict.claimedTime ? `${verdict.claimedTime}, as the signer claims` : "not told",
      );}
  });
  if (emptyFields.length > 0) {
    console.log(`Fields that wait for a signature: ${printable(emptyFields.join(", "))}`);
  }
  if (damaged) {
    console.log("The file is damaged: what other programs show may differ. It is NOT ACCEPTED.");
  }
}

function showChanges({ changes }: Verdict): void {
  if (changes === null) return line("changes", "CANNOT BE TOLD");
  if (changes.length === 0) return line("changes", "none after it");
  for (const { kind, name, allowed, reason } of changes) {
    const judgement = allowed ? "allowed" : `NOT ALLOWED${reason ? `: ${reason}` : ""}`;
    line("changed", `${kind.replaceAll("_", " ")} ${name}: ${judgement}`);
  }
}
