import { createHash } from "node:crypto";
import { basename } from "node:path";
import { Option } from "commander";
import { trustFolders } from "../settings/anchors.ts";
import { composeSigning } from "../agent/compose.ts";
import { Audit } from "../signing/audit.ts";
import { Content } from "../signing/content.ts";
import { configuredFetch } from "../online/pki_http.ts";
import { openCommandReader } from "../signing/reading.ts";
import type { Caller, Signing } from "../signing/sign.ts";
import { hasher } from "../formats/digest.ts";
import { sameBytes } from "../formats/x509/certificate.ts";
import { DsignError } from "../protocol/errors.ts";
import { HashAlgorithm } from "../protocol/methods.ts";
import { attachContent } from "./attach.ts";
import { consentFor, type ConsentKind, consentOption } from "./consent.ts";
import { EXIT, FileError, printJson, report, UsageError } from "./failure.ts";
import { fileSize, readPieces } from "./input_file.ts";
import { createOutput } from "./output_file.ts";
import { type AddCommand, repeated } from "./command.ts";
import { loadConfig, onlyToken, openProviders, remoteIf } from "./providers.ts";
import { signFolder } from "./sign_batch.ts";
import {
  checkAdded,
  type DataFlags,
  type DataFormat,
  dataHow,
  MAX_WHOLE,
  readWhole,
} from "./sign_data.ts";
import {
  checkContainerFlags,
  type ContainerFlags,
  CONTAINERS,
  signContainerFiles,
} from "./sign_container.ts";
import {
  addPdfFlags,
  hashesFor,
  isPdfFile,
  openDocument,
  type PdfFlags,
  signedName,
  signPdfFile,
} from "./sign_pdf.ts";
import { openNamedFiles } from "./token_pin.ts";

/** Milliseconds. One PIN serves all files of a command; each file is still shown and confirmed. */
const KEEP_LOGIN = 15 * 60_000;

type Format = "pades" | DataFormat;

interface Options extends PdfFlags, DataFlags, Pick<ContainerFlags, "container"> {
  token?: string;
  also?: string;
  keyFile?: string[];
  remote?: boolean;
  /** Default: `pades` for PDFs, otherwise `cades`. */
  format?: Format;
  batch?: boolean;
  output?: string;
  force?: boolean;
  consent?: ConsentKind;
  json?: boolean;
}

/** A signed file, as `--json` prints it. */
interface Signed {
  file: string;
  output: string;
  /** The second key's signature over the output. */
  beside?: string;
  algorithm: string;
  /** SHA-256 fingerprint of the certificate. */
  certificate: string;
}

/** `dsign sign` */
export const signCommand: AddCommand = (
  program,
  context,
  action,
) => {
  const { readerCommand, readerWorker, textCommand, web, signal } = context;
  const command = program.command("sign")
    .description(
      "Sign files with the key on a token. Shows each file and asks for the PIN.",
    )
    .argument("<file...>")
    .option("--token <uri>", "use only this token (PKCS#11 URI; see dsign tokens)")
    .option("--certificate <id>", "SHA-256 fingerprint (see dsign tokens); default: you choose")
    .option(
      "--key-file <file>",
      "also use this key file (.p12, .pfx); repeatable",
      repeated,
    )
    .option("--remote", "also use the configured remote signing services")
    .addOption(
      new Option(
        "--format <format>",
        "pades: in the PDF, FILE-signed.pdf; cades: CMS signature, FILE.p7s; xades, xmldsig: " +
          "in the XML, FILE-signed.xml; jws: JSON signature, FILE.jws; raw: bare signature, FILE.sig " +
          "(default: pades for PDFs, otherwise cades)",
      ).choices(["pades", "cades", "xades", "xmldsig", "jws", "raw"]),
    )
    .option("--detached", "do not include the file in the signature")
    .option("--cosign <signature>", "add a parallel signature to this one (cades, jws) over FILE")
    .option(
      "--countersign <signature>",
      "countersign the first signature in this file (cades) over FILE",
    )
    .option(
      "--also <id>",
      "post-quantum certificate of a second signature, over all of the signed file: SIGNED.p7s",
    )
    .addOption(
      new Option(
        "--hash <hash>",
        "hash algorithm (default: by the key, SHA-256 or as strong as its curve)",
      ).choices(HashAlgorithm.options),
    )
    .addOption(
      new Option(
        "--level <level>",
        "B-T: with a timestamp; B-LT: with all that a later verification needs; B-LTA: a timestamp " +
          "over all of it. All but B-B use the network (default: B-B)",
      ).choices(["B-B", "B-T", "B-LT", "B-LTA"]),
    )
    .addOption(
      new Option(
        "--container <kind>",
        "put the files and the signature (cades, xades) into an ASiC container: asic-e for several " +
          "files, asic-s for one; given such a container, add a signature",
      ).choices(CONTAINERS),
    )
    .option(
      "--batch",
      "sign all PDFs of a folder with one PIN; run it again to resume",
    )
    .option(
      "--output <file>",
      "output file, when signing one file; with --batch, the output folder",
    )
    .option(
      "--force",
      "replace an existing output file; sign a PDF although its author forbids it",
    )
    .addOption(consentOption())
    .option("--json", "print one JSON object");
  addPdfFlags(command)
    .addHelpText(
      "after",
      `
Every signature is verified before it is written. FILE itself is never changed.
Type the PIN at the terminal or in pinentry; no option or variable can hold it.

Examples:
  dsign sign order.pdf                   writes order-signed.pdf
  dsign sign --reason Sanctioned --visible 1 --level B-LT order.pdf
  dsign sign --anchor 'Executive Engineer' order.pdf
  dsign sign --batch --output signed/ november/
  dsign sign --detached drawing.dwg      writes drawing.dwg.p7s
  dsign sign --container asic-e order.pdf plan.dwg      writes order.pdf.asice
  dsign sign --token 'pkcs11:token=Anita' *.json
  dsign verify --trust root.crt order-signed.pdf`,
    )
    .action(action(async (files: string[], options: Options) => {
      const signed: Signed[] = [];
      try {
        const inContainer = options.container === undefined
          ? undefined
          : checkContainerFlags(options, { ...options });
        const jobs = options.batch || inContainer ? [] : await plan(files, options);
        if (options.batch) checkBatch(files, options);
        const { config, paths } = await loadConfig();
        const consent = consentFor(config, options.consent);
        const reader = openCommandReader(options.batch ? Infinity : files.length, {
          module: readerWorker,
          command: readerCommand,
        });
        const providers = await openProviders(
          remoteIf(options.remote, config),
          context,
          reader,
          options.keyFile,
        );
        const wanted = options.token === undefined
          ? providers
          : onlyToken(providers, options.token);
        const audit = new Audit(paths.audit, now);
        const signing = await composeSigning({
          ...config,
          providers: wanted,
          web,
          textCommand,
          batches: paths.batches,
          trust: trustFolders(paths, (name) => Deno.env.get(name)),
          keepLogin: files.length > 1 ? KEEP_LOGIN : 0,
          pkiFetch: configuredFetch(config),
        }, { consent, audit, reader });
        try {
          await openNamedFiles(signing, options.keyFile ?? [], signal);
          if (options.batch) return await signFolder(signing, files[0], options, signal);
          if (inContainer) {
            const done = await signContainerFiles(signing, files, options, inContainer, signal);
            signed.push(done);
            if (!options.json) console.log(`Signed ${done.file}: ${done.output}`);
          }
          for (const job of jobs) {
            const done = await signFile(signing, job, options, signal);
            signed.push(done);
            const written = [done.output, ...done.beside ? [done.beside] : []].join(", ");
            if (!options.json) console.log(`Signed ${done.file}: ${written}`);
          }
        } finally {
          await signing.close();
          await reader.close();
          audit.close();
          await Promise.all(providers.map((provider) => provider.close()));
        }
        if (options.json) printJson({ signed });
        return EXIT.ok;
      } catch (error) {
        return report(error, options.json ?? false, { signed });
      }
    }));
};

const now = () => new Date();

function checkBatch(
  files: string[],
  { format = "pades", detached, hash, certificate, also }: Options,
) {
  if (also !== undefined) throw new UsageError("--also does not work with --batch.");
  if (files.length > 1) throw new UsageError("--batch takes exactly one folder.");
  if (format !== "pades" || detached) {
    throw new UsageError("--batch works only for PDF signatures.");
  }
  if (hash !== undefined && hash !== "SHA-256") {
    throw new UsageError("--batch works only with SHA-256.");
  }
  checkCertificate(certificate);
}

function checkCertificate(certificate: string | undefined, option = "--certificate") {
  if (certificate !== undefined && !/^[0-9a-f]{64}$/.test(certificate)) {
    throw new UsageError(`${option} must be 64 hexadecimal digits (see \`dsign tokens\`).`);
  }
}

interface Job {
  file: string;
  size: number;
  format: Format;
  output: string;
}

/** Refuses impossible requests before asking the person for anything. */
async function plan(files: string[], options: Options): Promise<Job[]> {
  const { detached, output, certificate, also, force } = options;
  if (output !== undefined && files.length > 1) {
    throw new UsageError("--output takes one file. Leave it out to sign several.");
  }
  if (detached && (options.format === "pades" || options.format === "raw")) {
    throw new UsageError("--detached requires --format cades, xades, xmldsig or jws.");
  }
  const isPlain = options.format === "raw" || options.format === "xmldsig";
  if (options.level !== undefined && (isPlain || options.countersign !== undefined)) {
    throw new UsageError("--level works with --format pades, cades, xades and jws.");
  }
  const isAdded = checkAdded(files, options);
  checkCertificate(certificate);
  checkCertificate(also, "--also");
  const jobs: Job[] = [];
  for (const file of files) {
    const size = await fileSize(file);
    const format = options.format ??
      (!detached && !isAdded && await isPdfFile(file) ? "pades" : "cades");
    if (format !== "pades") refusePdfFlags(options, file);
    if (size > MAX_WHOLE && (isAdded || (format !== "cades" && format !== "pades"))) {
      throw new UsageError(`${file} is too large for this format. Use --format cades.`);
    }
    if (also !== undefined && (isAdded || (format !== "pades" && format !== "cades"))) {
      throw new UsageError("--also works only with new PDF and CMS signatures.");
    }
    const job = { file, size, format, output: output ?? outputName(file, format) };
    if (jobs.some((other) => other.output === job.output)) {
      throw new UsageError(`${file}: named more than once.`);
    }
    for (const path of [job.output, ...also === undefined ? [] : [besideName(job.output)]]) {
      const there = await Deno.lstat(path).then(() => true, () => false);
      if (there && !force) throw new FileError(path, new Deno.errors.AlreadyExists());
    }
    jobs.push(job);
  }
  return jobs;
}

/** The second key's signature over a signed file. */
const besideName = (output: string) => `${output}.p7s`;

function outputName(file: string, format: Format): string {
  switch (format) {
    case "pades":
      return signedName(file);
    case "xades":
    case "xmldsig":
      return `${file.replace(/\.xml$/i, "")}-signed.xml`;
    case "cades":
      return `${file}.p7s`;
    case "jws":
      return `${file}.jws`;
    case "raw":
      return `${file}.sig`;
  }
}

function refusePdfFlags(options: Options, file: string): void {
  const flags = [
    ...["subFilter", "field", "reason", "location", "visible", "role", "certify", "lock"],
    ...["anchor", "language", "picture", "qr", "passwordFile"],
  ] as const;
  const given = flags.find((flag) => options[flag as keyof PdfFlags] !== undefined);
  if (!given) return;
  const name = given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new UsageError(
    `--${name} applies only to PDF signatures; ${file} would be signed in another format.`,
  );
}

async function signFile(
  signing: Signing,
  { file, size, format, output: path }: Job,
  options: Options,
  signal: AbortSignal,
): Promise<Signed> {
  const { detached = false, level = "B-B", certificate, force = false } = options;
  const caller: Caller = { asker: { origin: null, trustedSince: null, purpose: null }, signal };
  const output = await createOutput(path, force);
  const beside = options.also === undefined ? undefined : {
    path: besideName(path),
    output: await createOutput(besideName(path), force).catch((error) => {
      output.abandon();
      throw error;
    }),
  };
  try {
    let result: { certificate: string; algorithm: string; beside?: string };
    if (format === "pades") {
      result = await signPdfFile(signing, { file, size }, output, options, caller);
    } else if (format !== "cades" || options.cosign || options.countersign) {
      const content = new Content(
        await readWhole(file, size, signal),
        "application/octet-stream",
      );
      const how = await dataHow(format, basename(file), options, signal);
      const signed = await signing.signData(content, how, caller);
      await output.write(Uint8Array.fromBase64(signed.signature));
      result = signed;
    } else {
      const hashes = await hashesFor(signing, { hash: options.hash, certificate });
      const document = await openDocument(file, size, hashes, signal);
      const also = options.also === undefined ? undefined : {
        certificate: options.also,
        digest: (cms: Uint8Array) => digestOfSigned(cms, { file, size, detached }, signal),
      };
      const signed = await signing.signDocument(document, { certificate, level, also }, caller)
        .finally(() => document.close());
      const cms = Uint8Array.fromBase64(signed.signature);
      if (detached) await output.write(cms);
      else {
        const [head, tail] = attachContent(cms, size);
        const state = hasher(document.algorithm);
        await output.write(head);
        for await (const piece of readPieces(file, size, "Writing", signal)) {
          state.update(piece);
          await output.write(piece);
        }
        await output.write(tail);
        if (!sameBytes(state.digest(), document.digest())) {
          throw new DsignError(
            "document_incomplete",
            `${file} changed while it was being signed. Nothing was written.`,
          );
        }
      }
      result = signed;
    }
    await beside?.output.write(Uint8Array.fromBase64(result.beside!));
    await output.finish();
    await beside?.output.finish();
    const id = createHash("sha256").update(result.certificate, "base64").digest("hex");
    return {
      file,
      output: path,
      ...beside && { beside: beside.path },
      algorithm: result.algorithm,
      certificate: id,
    };
  } finally {
    output.abandon();
    beside?.output.abandon();
  }
}

/** SHA-512 of a CMS as it is written: with the file in it, unless it is detached. */
async function digestOfSigned(
  cms: Uint8Array,
  { file, size, detached }: { file: string; size: number; detached: boolean },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const state = hasher("SHA-512");
  if (detached) return state.update(cms).digest();
  const [head, tail] = attachContent(cms, size);
  state.update(head);
  for await (const piece of readPieces(file, size, "Reading", signal)) state.update(piece);
  return state.update(tail).digest();
}
