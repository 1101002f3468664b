import { VERIFY_ERRORS, type VerifyErrorCode } from "../protocol/verify_service.ts";

/** A failure that the caller is told. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";

  constructor(readonly code: VerifyErrorCode, message: string) {
    super(message);
  }

  get status(): number {
    return VERIFY_ERRORS[this.code];
  }
}
