/** `dsign sign FILE.pdf`: a signature in the PDF. */
import { basename } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { Document } from "../signing/documents.ts";
import { FileSource } from "../signing/file_source.ts";
import type { Caller, Signing } from "../signing/sign.ts";
import type { Kept } from "../signing/spool.ts";
import { hasher } from "../formats/digest.ts";
import type { HashName } from "../formats/signer.ts";
import { FormatError } from "../formats/error.ts";
import { detectFormat } from "../formats/verify/format.ts";
import { sameBytes } from "../formats/x509/certificate.ts";
import { DsignError } from "../protocol/errors.ts";
import { type HashAlgorithm, PdfOptions } from "../protocol/methods.ts";
import { FileError, UsageError } from "./failure.ts";
import { fileSize, readPieces } from "./input_file.ts";
import type { OutputFile } from "./output_file.ts";

/** Bytes; its Base64 still fits the limit of PdfOptions. */
const MAX_PICTURE = 1_000_000;

/** Options for PDFs only. */
export interface PdfFlags {
  level?: PdfOptions["level"];
  subFilter?: PdfOptions["subFilter"];
  field?: string;
  reason?: string;
  location?: string;
  role?: string;
  visible?: NonNullable<PdfOptions["visible"]>;
  anchor?: string;
  language?: NonNullable<PdfOptions["visible"]>["language"];
  picture?: string;
  qr?: string;
  certify?: string;
  lock?: string[] | true;
  passwordFile?: string;
}

/** Adds them to a command. */
export function addPdfFlags(command: Command): Command {
  return command
    .optionsGroup("For PDF signatures (pades):")
    .optionsGroup("For PDF signatures (pades):")
    .addOption(
      new Option("--sub-filter <name>", "use adbe.pkcs7.detached for readers that need it")
        .choices(["ETSI.CAdES.detached", "adbe.pkcs7.detached"]),
    )
    .option("--field <name>", "name of an empty signature field, or of a new one")
    .option("--reason <text>", "why you sign")
    .option("--location <text>", "where you sign")
    .addOption(
      new Option(
        "--visible <page[,x,y,w,h]>",
        "show the signature on this page, at x,y (1/72 inch from the lower left) or where there is room",
      ).argParser(parsePlace),
    )
    .option(
      "--anchor <text>",
      "show the signature below the last occurrence of this text; with --visible PAGE on that page",
    )
    .option("--role <text>", "show this below your name; requires --visible or --anchor")
    .addOption(
      new Option("--language <tag>", "language of the visible signature (default: en)")
        .choices(["en", "bn", "hi"]),
    )
    .option("--picture <file>", "show this PNG or JPEG at the left")
    .option("--qr <text>", "show this as a QR code at the right")
    .addOption(
      new Option(
        "--certify <level>",
        "certify; afterwards 1 allows no change, 2 forms and signatures, 3 also comments",
      ).choices(["1", "2", "3"]),
    )
    .option("--lock [field...]", "lock these form fields; without names, all of them")
    .option(
      "--password-file <file>",
      "read the PDF's password from the first line of this file",
    );
}

function parsePlace(text: string): NonNullable<PdfOptions["visible"]> {
  const numbers = text.split(",").map((each) => /^-?\d+(\.\d+)?$/.test(each.trim()) ? +each : NaN);
  const [page, x, y, width, height] = numbers;
  const isGood = (numbers.length === 1 || numbers.length === 5) && !numbers.some(Number.isNaN) &&
    Number.isInteger(page) && page > 0;
  if (!isGood) throw new InvalidArgumentError("expected PAGE or PAGE,X,Y,WIDTH,HEIGHT.");
  const rectangle = numbers.length === 5 ? [x, y, x + width, y + height] : undefined;
  return { page, rectangle, language: "en" };
}

/** @throws {UsageError}; {FileError} for the file with the password */
export async function pdfOptions(flags: PdfFlags): Promise<PdfOptions> {
  const { certify, lock, anchor, role, language, picture, qr } = flags;
  const { passwordFile, level, subFilter } = flags;
  const visible = flags.visible ?? (anchor === undefined ? undefined : { language: "en" as const });
  const shown = Object.entries({ role, language, picture, qr });
  const unseen = shown.find(([, value]) => value !== undefined && !visible);
  if (unseen) throw new UsageError(`--${unseen[0]} requires --visible or --anchor.`);
  if (anchor !== undefined && visible?.rectangle) {
    throw new UsageError("With --anchor, --visible takes only the page.");
  }
  const { success, data, error } = PdfOptions.safeParse({
    level,
    subFilter,
    field: flags.field,
    reason: flags.reason,
    location: flags.location,
    visible: visible && {
      ...visible,
      anchor,
      role,
      language,
      picture: picture === undefined ? undefined : await readPicture(picture),
      qr,
    },
    certify: certify === undefined ? undefined : Number(certify),
    lock: lock === undefined
      ? undefined
      : lock === true
      ? { action: "All" }
      : { action: "Include", fields: lock },
    password: passwordFile === undefined ? undefined : await firstLine(passwordFile),
  });
  if (success) return data;
  const { path: [name], message } = error.issues[0];
  throw new UsageError(`--${String(name)}: ${message}.`);
}

/** @returns Base64 @throws {FileError}; {UsageError} if it is too large */
async function readPicture(path: string): Promise<string> {
  if (await fileSize(path) > MAX_PICTURE) throw new UsageError("--picture: larger than 1 MB.");
  try {
    return (await Deno.readFile(path)).toBase64();
  } catch (error) {
    throw new FileError(path, error);
  }
}

/** The longest line that is read, in bytes. */
const MAX_LINE = 4096;

/** @throws {FileError} */
export async function firstLine(path: string): Promise<string> {
  try {
    using file = await Deno.open(path);
    // It may be a pipe, or a device without end.
    const bytes = new Uint8Array(MAX_LINE);
    let length = 0;
    while (length < bytes.length && !bytes.includes(10)) {
      const n = await file.read(bytes.subarray(length));
      if (n === null) break;
      length += n;
    }
    return new TextDecoder().decode(bytes.subarray(0, length)).split(/\r?\n/)[0];
  } catch (error) {
    throw new FileError(path, error);
  }
}

/** Whether a file is a PDF, and not another signed format that holds one. @throws {FileError} */
export async function isPdfFile(path: string): Promise<boolean> {
  try {
    using file = await Deno.open(path);
    return detectFormat(new FileSource(file, (await file.stat()).size)) === "pdf";
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw new FileError(path, error);
  }
}

/** `order.pdf` → `order-signed.pdf` */
export const signedName = (path: string): string => path.replace(/(\.pdf)?$/i, "-signed$&");

/**
 * Opens a file for signing. It is read in place and never written.
 *
 * @throws {FileError}
 */
export async function openDocument(
  path: string,
  size: number,
  { hash, also }: { hash: HashAlgorithm | undefined; also: readonly HashName[] },
  signal: AbortSignal,
): Promise<Document> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    throw new FileError(path, error);
  }
  const source = new FileSource(file, size);
  const kept: Kept = {
    size,
    read: (offset, length) => source.read(offset, length),
    append() {},
    sequential: () => source.sequential(),
    close: () => file.close(),
  };
  const name = basename(path);
  const document = new Document(name, "application/octet-stream", size, hash, kept, also);
  try {
    for await (const piece of readPieces(path, size, "Reading", signal)) document.append(piece);
  } catch (error) {
    document.close();
    throw error;
  }
  return document;
}

/** The digests for a document: the one that was asked for, and what the certificates may need. */
export const hashesFor = async (
  { tokens }: Signing,
  { hash, certificate }: { hash?: HashAlgorithm; certificate?: string },
) => ({
  hash,
  also: [
    ...tokens.otherHashes(hash ?? "SHA-256"),
    ...hash ? [] : await tokens.usualHashes(certificate),
  ],
});

/**
 * Signs a PDF into an output: the original followed by the appended revision.
 *
 * @throws {FileError}; what the signing throws; {DsignError} `document_incomplete` if the file changed meanwhile
 */
export async function signPdfFile(
  signing: Signing,
  { file, size }: { file: string; size: number },
  output: OutputFile,
  flags: PdfFlags & {
    hash?: HashAlgorithm;
    certificate?: string;
    also?: string;
    force?: boolean;
  },
  caller: Caller,
): Promise<{ certificate: string; algorithm: string; field: string; beside?: string }> {
  const { certificate } = flags;
  const options = await pdfOptions(flags);
  const hashes = await hashesFor(signing, flags);
  const document = await openDocument(file, size, hashes, caller.signal);
  try {
    const { password, field } = options;
    const asking = { documents: [document.kept!], signal: caller.signal };
    const { reader } = signing.services;
    if (!flags.force && !await reader.ask("permitsSigning", { password, field }, asking)) {
      throw new DsignError(
        "document_locked",
        `${file}: its author does not permit changes, signatures included. Use --force to sign it nevertheless.`,
      );
    }
    const { appended, ...result } = await signing.signPdf(
      document,
      options,
      {
        certificate,
        also: flags.also === undefined ? undefined : {
          certificate: flags.also,
          digest: (appended) =>
            Promise.resolve(document.hashed("SHA-512").update(appended).digest()),
        },
      },
      caller,
    );
    await writeSigned(document, file, appended, output, caller.signal);
    return result;
  } finally {
    document.close();
  }
}

/** @throws {FileError}; {DsignError} `document_incomplete` if the file is no longer the signed one */
export async function writeSigned(
  document: Document,
  path: string,
  appended: Uint8Array,
  output: OutputFile,
  signal: AbortSignal,
): Promise<void> {
  const state = hasher(document.algorithm);
  for await (const piece of readPieces(path, document.size, "Writing", signal)) {
    state.update(piece);
    await output.write(piece);
  }
  await output.write(appended);
  if (!sameBytes(state.digest(), document.digest())) {
    throw new DsignError(
      "document_incomplete",
      `${path} changed while it was being signed. Nothing was written.`,
    );
  }
}
