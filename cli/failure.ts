/**
 * How a command ends. The rules of the command line:
 *
 * - Results go to standard output, everything else to standard error, as `dsign: ` and one sentence.
 * - The sentence says what happened and, where a person can do something, what to do.
 * - With `--json` a command prints exactly one JSON object to standard output, also when it fails.
 * - The exit code alone tells a script what happened ({@linkcode EXIT_HELP}).
 */
import { CommanderError } from "commander";
import { toDsignError } from "../signing/errors.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import { UpdateError } from "./update/manifest.ts";

/** Exit codes; scripts rely on them. */
export const EXIT = { ok: 0, failed: 1, usage: 2, refused: 3, token: 4 } as const;

export const EXIT_HELP = `
Exit codes:
  0  done; everything verified is valid
  1  failed, or a signature is not valid
  2  wrong usage
  3  you declined or did not answer
  4  problem with the token, its PIN, certificate or driver
  130, 143  stopped by Ctrl-C or a signal; no partial output is left`;

const REFUSED: readonly ErrorCode[] = ["user_cancelled", "consent_timeout", "consent_unavailable"];
const TOKEN = /^(pin|password|token|key|certificate|driver)_|^mechanism_unsupported$/;

/** Wrong usage: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A failed file operation, as a sentence; exit code 1. */
export class FileError extends Error {
  override readonly name = "FileError";

  constructor(readonly path: string, error: unknown) {
    super(`${path}: ${sentence(error)}`);
  }
}

function sentence(error: unknown): string {
  const kinds: [new (message?: string) => Error, string][] = [
    [Deno.errors.NotFound, "no such file."],
    [Deno.errors.PermissionDenied, "permission denied."],
    [Deno.errors.AlreadyExists, "already exists. Use --force to replace it."],
    [Deno.errors.IsADirectory, "is a folder, not a file."],
    [Deno.errors.NotSupported, "is a pipe or a device, not a file."],
    [Deno.errors.NotADirectory, "part of the path is not a folder."],
  ];
  const known = kinds.find(([kind]) => error instanceof kind);
  if (known) return known[1];
  if (error instanceof Error && "code" in error) return error.message; // from the system, e.g. disk full
  throw error;
}

interface Failure {
  exitCode: number;
  /** At least `code` and `message`. */
  error: { code: string; message: string };
}

function failureOf(error: unknown): Failure {
  if (error instanceof UsageError) {
    return { exitCode: EXIT.usage, error: { code: "usage", message: error.message } };
  }
  if (error instanceof FileError) {
    return { exitCode: EXIT.failed, error: { code: "file", message: error.message } };
  }
  if (error instanceof UpdateError) {
    return { exitCode: EXIT.failed, error: { code: error.code, message: error.message } };
  }
  const { code, message, details } = toDsignError(error);
  const exitCode = REFUSED.includes(code)
    ? EXIT.refused
    : code === "invalid_params"
    ? EXIT.usage
    : TOKEN.test(code)
    ? EXIT.token
    : EXIT.failed;
  return { exitCode, error: { code, message, ...details } };
}

/**
 * Reports a failure: one sentence on standard error, or with `json` one object on standard output.
 *
 * @param more additional members of that object
 * @returns the exit code
 */
export function report(error: unknown, json: boolean, more: Record<string, unknown> = {}): number {
  // commander has already printed it
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    if (json) printJson({ error: { code: "usage", message: error.message } });
    return EXIT.usage;
  }
  const failure = failureOf(error);
  if (json) printJson({ ...more, error: failure.error });
  else console.error(`dsign: ${printable(failure.error.message)}`);
  return failure.exitCode;
}

/** The one object that a command with `--json` prints. */
export function printJson(value: unknown): void {
  console.log(JSON.stringify(value));
}

/** Makes foreign text safe for a terminal: replaces control characters and direction marks. */
export function printable(text: string): string {
  return text.replace(
    // deno-lint-ignore no-control-regex -- replaced here
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    "\ufffd",
  );
}
