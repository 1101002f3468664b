/** Failures of this room that callers distinguish. */
export type OnlineErrorCode =
  /** The time-stamping service is not configured, did not answer, or sent no valid timestamp. */
  | "timestamp_unavailable"
  /** Certificates or revocation data are missing for a level that needs them. */
  | "validation_data_unavailable"
  /** An authority says that the certificate is revoked or on hold. */
  | "certificate_revoked"
  /** The finished signature does not verify; it must not be released. */
  | "signature_invalid";

/** Thrown by this room; each caller turns it into an error of its own contract. */
export class OnlineError extends Error {
  override readonly name = "OnlineError";

  /**
   * @param message a sentence for a person; empty if the code says it all
   * @param detail for the log: the fact from the network or a certificate
   */
  constructor(readonly code: OnlineErrorCode, message = "", readonly detail?: string) {
    super(message);
  }
}
