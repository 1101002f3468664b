/** `dsign verify --receipt`: whether a signature stands in the log of the department's PIN/OTP service. */
import { verifyReceipt } from "../formats/log/checkpoint.ts";
import { type NoteKey, readNoteKey } from "../formats/log/note.ts";
import type { VerificationReport } from "../formats/verify/report.ts";
import { entryOf } from "../otp_service/audit.ts";
import { FileError, UsageError } from "./failure.ts";

export interface ReceiptReport {
  /** The log's name. */
  log: string;
  /** The line's number in the log, from 1, and how many lines the log had. */
  number: number;
  of: number;
  /** As the line says. */
  time: string;
  /** Ids of the file's signatures that the line names. */
  signatures: string[];
}

/** A key of a log as it is, or in a file. */
export async function readLogKey(text: string) {
  const isKey = /^[^\s+]+\+[0-9a-f]{8}\+/.test(text);
  return readNoteKey(isKey ? text : await read(text));
}

/** Events whose lines name signatures. */
const SIGNED = ["signature.made", "esign.signed"];

/** Far above what a receipt of any log may have. */
const MOST = 64 * 1024;

async function read(path: string): Promise<string> {
  try {
    if ((await Deno.stat(path)).size > MOST) throw new UsageError(`${path} is no receipt or key.`);
    return await Deno.readTextFile(path);
  } catch (error) {
    throw error instanceof UsageError ? error : new FileError(path, error);
  }
}

/**
 * Checks a receipt against what was found in a file.
 *
 * @throws {FormatError} `log_malformed` where it proves nothing
 */
export async function checkReceipt(
  path: string,
  logKey: string | undefined,
  { signatures }: VerificationReport,
): Promise<ReceiptReport> {
  if (logKey === undefined) {
    throw new UsageError("--receipt needs --log-key: the department publishes the key of its log.");
  }
  return placeInLog(await read(path), await readLogKey(logKey), signatures);
}

/**
 * Where a receipt says that signatures stand.
 *
 * @throws {FormatError} `log_malformed` where it proves nothing
 */
export function placeInLog(
  receipt: string,
  key: NoteKey,
  signatures: VerificationReport["signatures"],
): ReceiptReport {
  const { line, index, size } = verifyReceipt(receipt, key, entryOf);
  const { event, time, signatures: named = [] } = JSON.parse(line);
  const hashes: unknown[] = SIGNED.includes(event) && Array.isArray(named) ? named : [];
  return {
    log: key.name,
    number: index + 1,
    of: size,
    time: String(time),
    signatures: signatures
      .filter(({ signatureSha256 }) => hashes.includes(signatureSha256))
      .map(({ id }) => id),
  };
}
