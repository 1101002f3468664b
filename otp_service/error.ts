import { CSC_ERRORS, type CscErrorCode } from "../protocol/csc.ts";

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

/** A wrong setting, file or argument of the administrator; `message` says which and what to do. */
export class SetupError extends Error {
  override readonly name = "SetupError";
}
