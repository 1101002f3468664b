/** Failures of this room that callers distinguish. */
export const ONLINE_ERROR_CODES = [
  /** The time-stamping service is not configured, did not answer, or sent no valid timestamp. */
  "timestamp_unavailable",
  /** Certificates or revocation data are missing for a level that needs them. */
  "validation_data_unavailable",
  /** An authority says that the certificate is revoked or on hold. */
  "certificate_revoked",
  /** The finished signature does not verify; it must not be released. */
  "signature_invalid",
] as const;

export type OnlineErrorCode = (typeof ONLINE_ERROR_CODES)[number];

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

/** The error of a reader, which may be under a stranger's control: undefined where it is no OnlineError with a known code. */
export function revived(
  { name, code, message, detail }: {
    name: string;
    code?: unknown;
    message: string;
    detail?: string;
  },
): OnlineError | undefined {
  const known = ONLINE_ERROR_CODES.find((each) => each === code);
  return name === "OnlineError" && known ? new OnlineError(known, message, detail) : undefined;
}
