import { OnlineError, type OnlineErrorCode } from "../online/error.ts";
import { CSC_ERRORS, type CscErrorCode } from "../protocol/csc.ts";
import { DatabaseError } from "./database.ts";
import { TamperedError } from "./row_seal.ts";

/**
 * The one error of this room that reaches a caller: a row of the contract's table. `message` is its text there, or for a
 * wrong parameter the specification's text about it. `reason` is for the log, and never holds a secret.
 */
export class CscError extends Error {
  override readonly name = "CscError";
  readonly status: number;
  readonly error: string;

  constructor(readonly code: CscErrorCode, readonly reason?: string) {
    const [status, error, description] = CSC_ERRORS[code];
    super(description);
    this.status = status;
    this.error = error;
  }
}

const ONLINE_CODES: Record<OnlineErrorCode, CscErrorCode> = {
  timestamp_unavailable: "timestamp_failed",
  validation_data_unavailable: "unavailable",
  certificate_revoked: "unavailable",
  signature_invalid: "server_error",
};

/** Every failure as a row of the contract's table. Unexpected ones are bugs: the caller sees only `server_error`. */
export function toCscError(error: unknown): CscError {
  if (error instanceof CscError) return error;
  if (error instanceof OnlineError) {
    const { code, message, detail } = error;
    const reason = [code, message, detail].filter((each) => each).join(": ");
    return new CscError(ONLINE_CODES[code], reason);
  }
  // nothing was done, and it may be tried again
  if (
    error instanceof DatabaseError || error instanceof TamperedError || error instanceof SetupError
  ) {
    return new CscError("unavailable", error.message);
  }
  return new CscError("server_error", String(error));
}

/** A wrong setting, file or argument of the administrator; `message` says which and what to do. */
export class SetupError extends Error {
  override readonly name = "SetupError";
}
