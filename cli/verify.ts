import { createHash, type Hash } from "node:crypto";
import { readSignedData } from "../formats/cms_read.ts";
import {
  type CmsResult,
  digestsNeeded,
  type SignerResult,
  verifyCms,
} from "../formats/cms_verify.ts";
import { FormatError } from "../formats/error.ts";
import { indiaFacts, type SignatureKind } from "../formats/india.ts";
import { validateCertificate } from "../formats/path.ts";
import type { HashName } from "../formats/signer.ts";
import { type Certificate, readCertificate } from "../formats/x509.ts";
import { readCertificates } from "../signers/certificates.ts";
import { EXIT, FileError, printable, printJson, UsageError } from "./failure.ts";
import { hashFile } from "./input_file.ts";
import type { AddCommand } from "./program.ts";
import { firstLine, isPdfFile } from "./sign_pdf.ts";
import { verifyPdfFile } from "./verify_pdf.ts";

/** An attached signature is read whole. */
const MAX_SIGNATURE = 512 * 1024 * 1024;

interface Options {
  content?: string;
  trust?: string[];
  passwordFile?: string;
  json?: boolean;
}

/** Who signed, as far as the certificate tells. */
export interface SignerFacts {
  signer: {
    commonName: string;
    subject: string;
    issuer: string;
    serialNumber: string;
    id: string;
    notAfter: string;
  } | null;
  /** By India's certificate policies. */
  class: 1 | 2 | 3 | null;
  kind: SignatureKind;
}

export type TrustState = "trusted" | "not_trusted" | "not_checked";

/** What is told of one signer; `--json` prints it so. */
interface Verdict extends SignerFacts {
  /** All that was asked for is well. */
  ok: boolean;
  status: SignerResult["status"];
  /** As the signer claims; proves nothing. */
  claimedTime: string | null;
  issuer: TrustState;
  findings: { code: string; message: string }[];
}

/** `dsign verify` */
export const verifyCommand: AddCommand = (program, { signal }, action) => {
  program.command("verify")
    .description(
      "Check signatures (within a PDF; CMS, CAdES: .p7s, .p7m) and tell who made them.",
    )
    .argument("<file>", "a PDF, or a signature in DER or PEM")
    .option("--content <file>", "what was signed; without it FILE of FILE.p7s")
    .option("--trust <path...>", "trusted root certificates: files or folders, PEM or DER")
    .option("--password-file <file>", "PDF: the password that opens it is the file's first line")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      `
Without --trust only the signature itself is checked, not who issued the certificate.
Revocation is not checked.

Exit code 0: every signature is valid, nothing was changed that it does not allow and, with --trust, its certificate leads to a trusted root.`,
    )
    .action(action(async (path: string, options: Options) => {
      const anchors = options.trust && await loadAnchors(options.trust);
      if (await isPdfFile(path)) {
        const { passwordFile } = options;
        const password = passwordFile === undefined ? undefined : await firstLine(passwordFile);
        return await verifyPdfFile(path, anchors, password, options.json ?? false);
      }
      const result = await check(path, options.content, signal);
      const verdicts = result.signers.map((signer) => judge(signer, result, anchors));
      const ok = verdicts.length > 0 && verdicts.every((verdict) => verdict.ok);
      if (options.json) printJson({ ok, signatures: verdicts, revocation: "not_checked" });
      else {
        if (verdicts.length === 0) console.log("The file holds certificates, but no signature.");
        verdicts.forEach((verdict, i) => show(verdict, i, verdicts.length));
      }
      return ok ? EXIT.ok : EXIT.failed;
    }));
};

async function check(
  path: string,
  contentPath: string | undefined,
  signal: AbortSignal,
): Promise<CmsResult> {
  const bytes = unarmour(await readFile(path, MAX_SIGNATURE));
  const cms = readSignedData(bytes);
  if (cms.content) {
    if (contentPath !== undefined) {
      throw new UsageError("The signature holds its content already: leave --content out.");
    }
    return verifyCms(bytes);
  }
  const content = contentPath ?? /^(.+)\.p7[sm]$/i.exec(path)?.[1];
  if (content === undefined) {
    throw new UsageError("The signature does not hold what was signed: name it with --content.");
  }
  const states = new Map<HashName, Hash>(
    digestsNeeded(cms).map((name) => [name, createHash(name.replace("-", "").toLowerCase())]),
  );
  await hashFile(content, [...states.values()], signal);
  const digests = Object.fromEntries([...states].map(([name, state]) => [name, state.digest()]));
  return verifyCms(bytes, { detached: { digests } });
}

/** Takes PEM (RFC 7468 §8, §9) or bare Base64 off. */
function unarmour(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0x30) return bytes;
  const text = new TextDecoder("latin1").decode(bytes);
  const base64 = /-----BEGIN (CMS|PKCS7)-----([^-]+)-----END \1-----/.exec(text)?.[2] ?? text;
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    throw new FormatError("cms_malformed", "The file is no signature of the CMS kind.");
  }
}

function judge(
  { status, findings, certificate, signingTime }: SignerResult,
  { cms }: CmsResult,
  anchors: Certificate[] | undefined,
): Verdict {
  const told = findings.map(({ code, message }) => ({ code: code as string, message }));
  let issuer: Verdict["issuer"] = "not_checked";
  if (anchors && certificate) {
    const failure = findTrust(certificate, anchors, cms.certificates);
    issuer = failure ? "not_trusted" : "trusted";
    if (failure) told.push(failure);
  }
  // SHA-1, MD5 and short keys prove nothing any more
  const weak = findings.some(({ code }) => code === "weak_digest" || code === "weak_key");
  return {
    ok: status === "valid" && !weak && issuer !== "not_trusted",
    status,
    ...signerFacts(certificate),
    claimedTime: signingTime?.toISOString() ?? null,
    issuer,
    findings: told,
  };
}

export function signerFacts(certificate: Certificate | undefined): SignerFacts {
  if (!certificate) return { signer: null, class: null, kind: "unknown" };
  const facts = indiaFacts(certificate);
  const { subject, issuer, serialNumber, fingerprint, notAfter } = certificate;
  return {
    signer: {
      commonName: subject.commonName ?? subject.toString(),
      subject: subject.toString(),
      issuer: issuer.toString(),
      serialNumber: serialNumber.toHex(),
      id: fingerprint,
      notAfter: notAfter.toISOString(),
    },
    class: facts.class ?? null,
    kind: facts.kind,
  };
}

/** Why no trusted root stands behind the certificate now; null where one does. */
export function findTrust(
  certificate: Certificate,
  anchors: readonly Certificate[],
  others: readonly Uint8Array[],
): { code: string; message: string } | null {
  const intermediates = others.flatMap((der) => {
    try {
      return [readCertificate(der)];
    } catch (error) {
      if (error instanceof FormatError) return []; // it may be nobody's we need
      throw error;
    }
  });
  const at = new Date();
  const result = validateCertificate(certificate, {
    anchors,
    intermediates,
    at,
    revocation: "none",
  });
  return result.trusted ? null : { code: result.failure.code, message: result.failure.message };
}

async function loadAnchors(paths: string[]): Promise<Certificate[]> {
  const anchors: Certificate[] = [];
  for (const path of paths) {
    for (const file of await filesOf(path)) {
      for (const der of readCertificates(await readFile(file, 16 * 1024 * 1024))) {
        try {
          anchors.push(readCertificate(der));
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
          throw new UsageError(`--trust ${file}: ${error.message}`);
        }
      }
    }
  }
  if (anchors.length === 0) throw new UsageError("--trust: there is no certificate in it.");
  return anchors;
}

async function filesOf(path: string): Promise<string[]> {
  try {
    if (!(await Deno.stat(path)).isDirectory) return [path];
    const names = await Array.fromAsync(Deno.readDir(path));
    return names.filter(({ name }) => /\.(crt|cer|pem|der)$/i.test(name))
      .map(({ name }) => `${path}/${name}`).sort();
  } catch (error) {
    throw new FileError(path, error);
  }
}

async function readFile(path: string, most: number): Promise<Uint8Array> {
  let size;
  try {
    ({ size } = await Deno.stat(path));
    if (size <= most) return await Deno.readFile(path);
  } catch (error) {
    throw new FileError(path, error);
  }
  throw new FormatError("limit_exceeded", `${path} is larger than ${most >> 20} MiB.`);
}

const KINDS: Record<SignatureKind, string> = {
  token_dsc: "token DSC",
  esign: "eSign",
  departmental: "departmental PIN/OTP",
  unknown: "of no kind that is known here",
};

export function line(name: string, text: string): void {
  console.log(`  ${name.padEnd(12)}${printable(text)}`);
}

export function describeSigner({ commonName, subject }: NonNullable<SignerFacts["signer"]>): void {
  line("signer", commonName);
  line("", subject);
}

export const kindText = ({ kind, class: level }: SignerFacts): string =>
  KINDS[kind] + (level ? `, class ${level}` : "");

export const trustText = (state: TrustState): string =>
  ({
    trusted: "leads to a root that you trust; revocation was not checked",
    not_trusted: "NOT TRUSTED",
    not_checked: "was not checked: name the roots that you trust with --trust",
  })[state];

function show(verdict: Verdict, index: number, count: number): void {
  const words = !verdict.ok && verdict.status === "valid" ? "NOT ACCEPTED" : {
    valid: "VALID",
    invalid: "NOT VALID",
    indeterminate: "CANNOT BE TOLD",
  }[verdict.status];
  console.log(`Signature ${index + 1} of ${count}: ${words}`);
  for (const { message } of verdict.findings) line("finding", message);
  const { signer } = verdict;
  if (signer) {
    describeSigner(signer);
    line("certificate", `${kindText(verdict)}; serial ${signer.serialNumber}`);
    line("issuer", signer.issuer);
    line("", trustText(verdict.issuer));
  }
  line("time", verdict.claimedTime ? `${verdict.claimedTime}, as the signer claims` : "not told");
}
