import { createHash } from "node:crypto";
import { basename } from "node:path";
import { Option } from "commander";
import { loadTrusted, trustFolders } from "../settings/anchors.ts";
import { languageOf } from "../settings/config.ts";
import { configuredFetch, PkiHttp } from "../online/pki_http.ts";
import { DsignError } from "../protocol/errors.ts";
import { type DocumentReader, openCommandReader } from "../signing/reading.ts";
import { verify, type VerifyOptions } from "../signing/verification.ts";
import type { Change } from "../formats/pades/changes.ts";
import type { SignatureReport, VerificationReport } from "../formats/verify/report.ts";
import { EXIT, printable, printJson, report as tell, UsageError } from "./failure.ts";
import { hashFile } from "./input_file.ts";
import { createOutput } from "./output_file.ts";
import { type AddCommand, type Context, repeated } from "./command.ts";
import { loadConfig } from "./providers.ts";
import { contentOf, OpenFiles, readCertificates } from "./signed_file.ts";
import { firstLine } from "./sign_pdf.ts";
import { extractRevisions } from "./verify_extract.ts";
import { checkReceipt, type ReceiptReport } from "./verify_receipt.ts";
import type { Language } from "../words/speech.ts";
import { htmlReport, isPostQuantum, limitsOf, type ReportOf } from "./report/html.ts";

interface Options {
  content?: string;
  trust?: string[];
  certificate?: string[];
  departmentalPolicy?: string[];
  online?: boolean;
  revocation: "require" | "if-available";
  passwordFile?: string;
  trial?: boolean;
  pan?: string;
  receipt?: string;
  logKey?: string;
  report?: string;
  extract?: string;
  force?: boolean;
  json?: boolean;
  language?: Language;
}

/** `dsign verify` */
export const verifyCommand: AddCommand = (program, context, action) => {
  program.command("verify")
    .description("Verify the signatures of PDF, CMS (.p7s, .p7m), XML, JSON and route files.")
    .argument("<file...>")
    .option(
      "--content <file>",
      "the file that a detached signature signs (default: FILE for FILE.p7s)",
    )
    .option(
      "--trust <path>",
      "trusted root certificates, a file or folder, PEM or DER; repeatable (default: the trust folders)",
      repeated,
    )
    .option(
      "--certificate <file>",
      "certificates missing from the signature (signer, chain to the root); repeatable",
      repeated,
    )
    .option(
      "--departmental-policy <oid>",
      "policy of a department's PIN/OTP signatures, beside the configured ones; repeatable",
      repeated,
    )
    .option("--online", "ask the authorities (OCSP, CRL) whether certificates are revoked")
    .addOption(
      new Option(
        "--revocation <rule>",
        "require: only valid if known not to be revoked; if-available: also valid if that is not known",
      ).choices(["require", "if-available"]).default("require"),
    )
    .option(
      "--password-file <file>",
      "PDF: read the PDF's password from the first line of this file",
    )
    .option(
      "--trial",
      "for tests: accept a trial agent's root in --trust; implies --revocation if-available",
    )
    .option("--pan <pan>", "require a signature by the holder of this PAN")
    .option(
      "--receipt <file>",
      "the signature's receipt: check that it stands in the department's log",
    )
    .option("--log-key <key>", "with --receipt: the log's key, or a file with it")
    .option("--report <file>", "write a report for people to this HTML file")
    .option("--extract <folder>", "PDF: write each signed revision into this folder")
    .option("--force", "replace existing output files")
    .addOption(
      new Option("--language <language>", "language of the report").choices(["en", "bn", "hi"]),
    )
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      `
The trust folders hold the root certificates that you trust: "trust" next to the configuration file
(Linux: ~/.config/dsign/trust), and the administrator's /etc/dsign/trust.

Where FILE.p7s stands beside FILE (see "dsign sign --also"), it is verified too, as a CMS over FILE.

Exit code 0: every signature of every file is TOTAL-PASSED (EN 319 102-1).`,
    )
    .action(action(async (files: string[], options: Options) => {
      if (options.content !== undefined && files.length > 1) {
        throw new UsageError("--content takes exactly one file.");
      }
      const [first] = files;
      files = await withSignaturesBeside(files);
      // Permissions that this run does not need are revoked before reading untrusted files.
      const { version, signal } = context;
      if (!options.online) Deno.permissions.revokeSync({ name: "net" });
      if (files.length === 1) Deno.permissions.revokeSync({ name: "run" });
      const { extract } = options;
      if (options.report === undefined && extract === undefined) {
        Deno.permissions.revokeSync({ name: "write" });
      }
      const setting = await prepare(options, files, context);
      const done: (ReportOf & { file: string })[] = [];
      const failed: { file: string; error: unknown }[] = [];
      try {
        for (const file of files) {
          try {
            // One that was found beside the file is over that file, whatever the file's own content is.
            const content = file === first ? options.content : undefined;
            done.push(await verifyOne(file, { ...options, content }, setting));
          } catch (error) {
            if (files.length === 1 || signal.aborted) throw error;
            failed.push({ file, error });
          }
        }
      } finally {
        await setting.reader.close();
      }
      if (options.report !== undefined) {
        const output = await createOutput(options.report, options.force ?? false);
        try {
          const page = htmlReport(done, setting.language, version);
          await output.write(new TextEncoder().encode(page));
          await output.finish();
        } finally {
          output.abandon();
        }
      }
      const extracted: string[] = [];
      for (const each of extract === undefined ? [] : done) {
        extracted.push(...await extractRevisions(each, extract!, options.force ?? false));
      }
      const receipt = options.receipt === undefined
        ? undefined
        : await checkReceipt(options.receipt, options.logKey, done[0].report);
      const ok = failed.length === 0 && receipt?.signatures.length !== 0 &&
        done.every(({ report }) => report.indication === "TOTAL-PASSED");
      if (options.json) {
        printJson({
          ok,
          files: done.map(({ file, sha256, report, problems }) => ({
            file,
            sha256,
            ...report,
            problems,
          })),
          ...extract !== undefined && { extracted },
          ...receipt && { receipt },
          ...failed.length > 0 && {
            failed: failed.map(({ file, error }) => ({ file, message: messageOf(error) })),
          },
        });
      } else {
        const restsOn = done.some(({ report }) => report.signatures.some(isPostQuantum));
        done.forEach((each) => show(each, restsOn));
        if (receipt) showReceipt(receipt);
        for (const { file, error } of failed) {
          console.log(`${printable(file)}: CANNOT BE CHECKED`);
          tell(error, false);
        }
        if (done.length > 0) console.log(limitsOf(done, "en"));
        for (const path of extracted) console.log(`Wrote ${printable(path)}`);
      }
      return ok ? EXIT.ok : EXIT.failed;
    }));
};

function showReceipt({ log, number, of, time, signatures }: ReceiptReport): void {
  const names = signatures.map((id) => `Signature ${printable(id)}`).join(", ");
  const where = `the log ${printable(log)} as number ${number} of ${of} (${printable(time)})`;
  console.log(
    signatures.length > 0
      ? `${names}: stands in ${where}`
      : `None of the signatures: the receipt is for another one, which stands in ${where}`,
  );
}

/** A file may have a second signature beside it, as `dsign sign --also` writes it: FILE.p7s. */
async function withSignaturesBeside(files: readonly string[]): Promise<string[]> {
  const all: string[] = [];
  for (const file of files) {
    if (!all.includes(file)) all.push(file);
    const beside = `${file}.p7s`;
    if (!files.includes(beside) && await isFile(beside)) all.push(beside);
  }
  return all;
}

/** Whether a file's name says that it signs another one, which stands beside it. */
async function isBeside(path: string): Promise<boolean> {
  const signed = /^(.+)\.p7s$/.exec(path)?.[1];
  return signed !== undefined && await isFile(signed);
}

const isFile = (path: string): Promise<boolean> =>
  Deno.stat(path).then(({ isFile }) => isFile, () => false);

interface Setting {
  reader: DocumentReader;
  verify: Omit<VerifyOptions, "now">;
  certificates: Uint8Array[];
  http?: () => PkiHttp;
  language: Language;
}

async function prepare(
  options: Options,
  files: string[],
  { readerWorker: module, readerCommand: command, signal }: Context,
): Promise<Setting> {
  const { pan, revocation, trust, certificate = [], online } = options;
  const { departmentalPolicy = [] } = options;
  if (options.receipt !== undefined && files.length > 1) {
    throw new UsageError("--receipt takes exactly one file.");
  }
  const wrong = departmentalPolicy.find((each) => !/^[0-2](\.(0|[1-9]\d*))+$/.test(each));
  if (wrong !== undefined) {
    throw new UsageError(
      `--departmental-policy must be an object identifier as in 2.999.6.1; got ${wrong}.`,
    );
  }
  if (pan !== undefined && !/^\s*[A-Za-z]{5}[0-9]{4}[A-Za-z]\s*$/.test(pan)) {
    throw new UsageError("--pan must be five letters, four digits and one letter.");
  }
  const env = (name: string) => Deno.env.get(name);
  const { config, paths } = await loadConfig();
  return {
    reader: openCommandReader(files.length, { module, command }),
    verify: {
      anchors: trust
        ? await readCertificates("--trust", trust, options.trial)
        : await loadTrusted(trustFolders(paths, env)),
      revocation: revocation === "require" && !options.trial ? "require" : "if_available",
      pan,
      departmentalPolicies: departmentalPolicy.length > 0
        ? [...config.departmentalPolicies ?? [], ...departmentalPolicy]
        : config.departmentalPolicies,
      signal,
    },
    certificates: certificate.length > 0
      ? (await readCertificates("--certificate", certificate, options.trial)).map(({ der }) => der)
      : [],
    http: online ? () => new PkiHttp(configuredFetch(config), signal) : undefined,
    language: options.language ?? languageOf(config, env) as Language,
  };
}

async function verifyOne(
  path: string,
  { content, passwordFile }: Options,
  { reader, verify: how, certificates, http }: Setting,
): Promise<ReportOf & { file: string }> {
  using files = new OpenFiles();
  const source = files.open(path);
  const password = passwordFile === undefined ? undefined : await firstLine(passwordFile);
  const { report, problems, isDetached } = await verify(
    reader,
    { source, content: (name) => contentOf(files, path, content, name), password, certificates },
    { ...how, now: new Date(), http: http?.() },
  );
  if (content !== undefined && !isDetached && report.signatures.length > 0) {
    throw new UsageError(
      `${path} holds what its signatures sign: leave --content out, which is not compared with it.`,
    );
  }
  // Of CMS alone the content is compared with the file beside it.
  if (report.format !== "cms" && await isBeside(path)) {
    throw new DsignError(
      "signature_invalid",
      `${path} does not sign the file beside it: it holds no CMS. Rename it to verify it for itself.`,
    );
  }
  const state = createHash("sha256");
  await hashFile(path, [state], how.signal!);
  const sha256 = state.digest("hex");
  return { file: path, name: basename(path), size: source.size, sha256, report, problems };
}

const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error);

const VERDICTS = {
  "TOTAL-PASSED": "VALID",
  "TOTAL-FAILED": "NOT VALID",
  INDETERMINATE: "CANNOT BE CONFIRMED",
} as const;

const KINDS = {
  token_dsc: "token DSC",
  esign: "eSign",
  document_signer: "document signer certificate of an organisation",
  departmental: "departmental PIN/OTP",
  unknown: "unknown kind",
} as const;

/** What a signature rests on, where there are some of both kinds to choose from. */
const RESTS_ON = {
  classical: "a large quantum computer could forge it",
  postQuantum:
    "post-quantum: a quantum computer could forge it only through RSA or ECDSA in its certificates",
};

/** @param restsOn whether to say what each signature rests on */
function show({ file, report, problems }: ReportOf & { file: string }, restsOn: boolean): void {
  console.log(`${printable(file)}: ${VERDICTS[report.indication]}`);
  for (const { message } of report.findings) line("finding", message);
  report.signatures.forEach((each) => showSignature(each, "", restsOn));
  if (report.route) showRoute(report.route);
  for (const problem of problems) line("not fetched", problem);
}

function showSignature(signature: SignatureReport, indent: string, restsOn: boolean): void {
  const { indication, subIndication, signer, kind, id, level, revocation } = signature;
  const words = `${VERDICTS[indication]} (${
    [indication, subIndication].filter(Boolean).join(", ")
  })`;
  const name = {
    signature: "Signature",
    countersignature: "Countersignature",
    timestamp: "Timestamp",
    route: "Route",
  };
  console.log(printable(`${indent}${name[kind]} ${id}: ${words}`));
  const tell = (name: string, text: string) => line(name, text, indent);
  for (const { message } of signature.findings) tell("finding", message);
  if (signer) {
    tell("signer", signer.commonName);
    tell("", signer.subject);
    const kind = KINDS[signer.kind] + (signer.class ? `, class ${signer.class}` : "");
    tell("certificate", `${kind}; serial ${signer.serialNumber}`);
    tell("issuer", signer.issuer);
  }
  if (restsOn && signature.algorithm) {
    const kind = isPostQuantum(signature) ? "postQuantum" : "classical";
    tell("rests on", `${signature.algorithm} (${RESTS_ON[kind]})`);
  }
  if (signature.chain.length > 0) tell("chain", signature.chain.join(" < "));
  tell(
    "revocation",
    revocation.status === "good"
      ? `not revoked, as of ${revocation.asOf} (${revocation.source})`
      : revocation.status === "revoked"
      ? `REVOKED since ${revocation.since} (${revocation.reason})`
      : "not known",
  );
  if (signature.provenTime) tell("time", `${signature.provenTime}, proven by a timestamp`);
  if (signature.claimedTime) tell("time", `${signature.claimedTime}, claimed by the signer`);
  if (signature.role) tell("role", signature.role);
  if (level) tell("level", level);
  const { revision } = signature.coverage;
  if (revision) {
    const later = signature.changes.map(changeText).join("; ");
    tell("covers", `revision ${revision.number} of ${revision.of}${later && `; later: ${later}`}`);
  }
  if (signature.panMatches !== null) {
    tell("PAN", signature.panMatches ? "matches" : "does not match");
  }
  signature.countersignatures.forEach((each) => showSignature(each, indent + "  ", restsOn));
}

function changeText({ kind, name, allowed, unclear, places = [] }: Change): string {
  const where = places.map(({ page }) => `, drawn on page ${page}`).join("");
  const verdict = allowed ? "" : unclear ? " (not vouched for)" : " (not allowed)";
  return `${kind.replaceAll("_", " ")} ${name}${where}${verdict}`;
}

function showRoute(
  { steps, isComplete, next, content }: NonNullable<VerificationReport["route"]>,
): void {
  const state = isComplete ? "complete" : next === null ? "UNPROVEN, not complete" : "not complete";
  console.log(printable(`Signing route of ${content.name}: ${state}`));
  for (const { role, quorum, signed, unproven, open, isDone } of steps) {
    const who = signed.map((name) => unproven.includes(name) ? `${name} (unproven)` : name);
    const waiting = isDone ? "" : `; still to sign: ${open.join(", ")}`;
    line(role, `${signed.length} of ${quorum}: ${who.join(", ") || "nobody yet"}${waiting}`);
  }
}

const line = (name: string, text: string, indent = "") =>
  console.log(`${indent}  ${printable(name).padEnd(12)}${printable(text)}`);
