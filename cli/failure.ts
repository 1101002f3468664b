/** How a command ends: exit codes, and errors in words or JSON. */
import { CommanderError } from "commander";
import { toDsignError } from "../signing/errors.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import { UpdateError } from "./update/manifest.ts";

/** What the exit codes mean; they are part of the interface. */
export const EXIT = { ok: 0, failed: 1, usage: 2, refused: 3, token: 4 } as const;

export const EXIT_HELP = `
Exit codes:
  0  done; everything verified is valid
  1  failed, or a signature is not valid
  2  wrong use of the command
  3  the person declined or did not answer
  4  trouble with the token, its PIN, its certificate or its driver
  130, 143  ended by Ctrl-C or by a signal; nothing half done is left`;

const REFUSED: readonly ErrorCode[] = ["user_cancelled", "consent_timeout", "consent_unavailable"];
const TOKEN = /^(pin|token|key|certificate|driver)_|^mechanism_unsupported$/;

/** Wrong use of a command: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A failed file operation, in words; exit code 1. */
export class FileError extends Error {
  override readonly name = "FileError";

  constructor(readonly path: string, error: unknown) {
    super(`${path}: ${sentence(error)}`);
  }
}

function sentence(error: unknown): string {
  const kinds: [new (message?: string) => Error, string][] = [
    [Deno.errors.NotFound, "there is no such file."],
    [Deno.errors.PermissionDenied, "you have no permission for it."],
    [Deno.errors.AlreadyExists, "it exists already. Use --force to replace it."],
    [Deno.errors.IsADirectory, "it is a folder, not a file."],
    [Deno.errors.NotADirectory, "a part of the path is no folder."],
  ];
  const known = kinds.find(([kind]) => error instanceof kind);
  if (known) return known[1];
  if (error instanceof Error && "code" in error) return error.message; // of the system: disk full …
  throw error;
}

interface Failure {
  exitCode: number;
  /** `code` and `message` at least. */
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
 * Tells of a failure: a sentence on standard error, or with `json` one object on standard output.
 *
 * @param more further members of that object
 * @returns the exit code
 */
export function report(error: unknown, json: boolean, more: Record<string, unknown> = {}): number {
  // commander has told the person already
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

/** Text from outside as it may go to a terminal: no control sequences, no direction marks. */
export function printable(text: string): string {
  return text.replace(
    // deno-lint-ignore no-control-regex -- they are what is replaced
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    "\ufffd",
  );
}
