/** `dsign sign --batch FOLDER`: signs every PDF of a folder with one consent and one PIN; can be resumed. */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { toDsignError } from "../signing/errors.ts";
import type { Caller, Signing } from "../signing/sign.ts";
import { DsignError, type ErrorCode } from "../protocol/errors.ts";
import type { BatchItem } from "../protocol/methods.ts";
import { EXIT, FileError, printable, printJson, UsageError } from "./failure.ts";
import { fileSize, hashFile } from "./input_file.ts";
import { createOutput } from "./output_file.ts";
import { startProgress } from "./progress.ts";
import {
  hashesFor,
  openDocument,
  type PdfFlags,
  pdfOptions,
  signedName,
  writeSigned,
} from "./sign_pdf.ts";

/** Documents in progress at a time. */
const PIPELINE = 4;
const MAX_DOCUMENTS = 10_000;

/** Failures of one document; any other failure stops the batch. */
const OF_ONE_DOCUMENT: readonly ErrorCode[] = [
  "document_malformed",
  "document_encrypted",
  "document_locked",
  "document_incomplete",
  "consent_mismatch",
  "invalid_params",
  "too_large",
  "mechanism_unsupported",
];

export interface BatchFlags extends PdfFlags {
  certificate?: string;
  output?: string;
  force?: boolean;
  json?: boolean;
}

interface Entry {
  file: string;
  output: string;
  item: BatchItem;
  /** The output already exists: the document with more bytes behind it. */
  done: boolean;
}

/**
 * Signs the PDFs of a folder.
 *
 * @returns the exit code
 */
export async function signFolder(
  signing: Signing,
  folder: string,
  flags: BatchFlags,
  signal: AbortSignal,
): Promise<number> {
  const { json = false } = flags;
  const pdf = await pdfOptions(flags);
  const entries = await listFolder(folder, flags, signal);
  const told = {
    signed: [] as { file: string; output: string; field: string }[],
    failed: [] as { file: string; error: { code: string; message: string } }[],
    /** Signed in an earlier run. */
    before: entries.filter(({ done }) => done).length,
    left: entries.filter(({ done }) => !done).length,
  };
  if (told.left > 0) {
    const items = entries.map(({ item }) => item);
    const hashes = await hashesFor(signing, { certificate: flags.certificate });
    const caller: Caller = { asker: { origin: null, trustedSince: null, purpose: null }, signal };
    const shown: { close(): void }[] = [];
    const batch = await signing.startBatch(
      { items, format: "pades", level: "B-B", pdf, certificate: flags.certificate },
      caller,
      async (item) => {
        if (!entries[item]) throw new DsignError("document_not_found");
        const { file, item: { size } } = entries[item];
        const document = await openDocument(file, size, hashes, signal);
        shown.push(document);
        return document;
      },
    ).finally(() => shown.forEach((document) => document.close()));
    const progress = startProgress("Signing", entries.length);
    let next = 0;
    let fatal: unknown;
    const worker = async () => {
      while (next < entries.length && fatal === undefined && !signal.aborted) {
        const index = next++;
        const { file, output, done } = entries[index];
        if (done) continue;
        try {
          const field = await signOne(index);
          told.signed.push({ file, output, field });
        } catch (error) {
          if (signal.aborted) return;
          const { code, message } = error instanceof FileError
            ? { code: "file" as const, message: error.message }
            : toDsignError(error);
          if (code !== "file" && !OF_ONE_DOCUMENT.includes(code)) throw error;
          told.failed.push({ file, error: { code, message } });
          if (!json) console.error(`dsign: ${printable(file)}: ${printable(message)}`);
        }
        told.left--;
        progress.update(entries.length - told.left);
      }
    };
    const signOne = async (index: number): Promise<string> => {
      const { file, output: path, item: { size } } = entries[index];
      const document = await openDocument(file, size, hashes, signal);
      try {
        const { bytes, field } = await batch.sign(index, document);
        const output = await createOutput(path, flags.force ?? false);
        try {
          await writeSigned(document, file, bytes, output, signal);
          await output.finish();
        } finally {
          output.abandon();
        }
        return field;
      } finally {
        document.close();
      }
    };
    try {
      await Promise.all(Array.from({ length: PIPELINE }, () =>
        worker().catch((error) => {
          fatal ??= error;
        })));
    } finally {
      progress.end();
      await batch.close(told.left === 0);
    }
    if (fatal !== undefined) throw fatal;
  }
  if (json) printJson(told);
  else {
    console.log(
      `Signed: ${told.signed.length}. Already signed: ${told.before}. Failed: ${told.failed.length}.` +
        (told.left > 0 ? ` Not signed yet: ${told.left}. Run the same command to continue.` : ""),
    );
  }
  return told.failed.length + told.left === 0 ? EXIT.ok : EXIT.failed;
}

/** @throws {UsageError}; {FileError} */
async function listFolder(
  folder: string,
  { output = folder, force = false }: BatchFlags,
  signal: AbortSignal,
): Promise<Entry[]> {
  const names: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      if (isFile && /\.pdf$/i.test(name) && !/-signed\.pdf$/i.test(name)) names.push(name);
    }
    await Deno.mkdir(output, { recursive: true });
  } catch (error) {
    throw new FileError(folder, error);
  }
  if (names.length === 0) throw new UsageError(`${folder}: no unsigned PDF found.`);
  if (names.length > MAX_DOCUMENTS) {
    throw new UsageError(`${folder}: more than ${MAX_DOCUMENTS} PDFs. Split the folder.`);
  }
  const entries: Entry[] = [];
  for (const name of names.sort()) {
    const file = join(folder, name);
    const path = join(output, basename(signedName(name)));
    const size = await fileSize(file);
    const state = createHash("sha256");
    await hashFile(file, [state], signal);
    const sha256 = state.digest("hex");
    const isDone = await continues(path, size, sha256);
    if (isDone === false && !force) throw new FileError(path, new Deno.errors.AlreadyExists());
    const item = { name, mediaType: "application/pdf", size, sha256 };
    entries.push({ file, output: path, item, done: isDone === true && !force });
  }
  return entries;
}

/** Whether a file begins with a document of this size and hash and has more behind it; undefined if there is no file. */
async function continues(
  path: string,
  size: number,
  sha256: string,
): Promise<boolean | undefined> {
  let file: Deno.FsFile;
  try {
    // Opening a pipe or a device could block forever.
    if (!(await Deno.stat(path)).isFile) return false;
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new FileError(path, error);
  }
  try {
    if ((await file.stat()).size <= size) return false;
    const state = createHash("sha256");
    const piece = new Uint8Array(64 * 1024);
    for (let left = size; left > 0;) {
      const n = await file.read(piece.subarray(0, Math.min(left, piece.length)));
      if (n === null) return false;
      state.update(piece.subarray(0, n));
      left -= n;
    }
    return state.digest("hex") === sha256;
  } finally {
    file.close();
  }
}
