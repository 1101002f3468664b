/**
 * Every way in which a request can fail, as a page sees it: one closed table.
 *
 * On the wire an error is a JSON-RPC error object whose `data.code` is a key of {@linkcode ERRORS}. The numeric
 * `code` only tells the five errors of JSON-RPC itself apart; everything of ours is -32000.
 */
import { en } from "../words/en/errors.ts";

interface ErrorEntry {
  /** JSON-RPC `error.code`. */
  rpc: number;
  /** Whether the same request, unchanged, can succeed later. */
  retryable: boolean;
  /** What happened and what to do; used unless the thrower has a better sentence. */
  message: string;
}

const entry = (message: string, retryable = false, rpc = -32000): ErrorEntry => ({
  rpc,
  retryable,
  message,
});

export const ERRORS = {
  // JSON-RPC 2.0 §5.1
  parse_error: entry("The message is not valid JSON.", false, -32700),
  invalid_request: entry("The message is not a JSON-RPC 2.0 request.", false, -32600),
  method_not_found: entry("Unknown method. rpc.discover lists the methods.", false, -32601),
  invalid_params: entry("A parameter is missing or wrong.", false, -32602),
  internal_error: entry(en.internal_error, true, -32603),

  // The site
  origin_not_allowed: entry("This site has no permission yet. Call origin.request first."),
  scope_not_granted: entry("This site has no permission for that. Call origin.request."),

  // The person
  user_cancelled: entry("The person declined."),
  consent_mismatch: entry(
    "The document changed after it was shown. Nothing was signed; try again.",
    true,
  ),
  consent_timeout: entry("Nobody answered in time. Try again when the person is there.", true),
  consent_unavailable: entry(
    'D-Sign cannot open its window because it found no browser. Install one, or set "browser" in the configuration.',
  ),
  request_cancelled: entry("The request was cancelled."),

  // The PIN
  pin_incorrect: entry(en.pin_incorrect),
  pin_final_try: entry(
    "This may be the last try: one more wrong PIN can lock the token. Confirm to continue.",
  ),
  pin_locked: entry(en.pin_locked),
  pin_expired: entry(en.pin_expired),
  pin_not_set: entry(en.pin_not_set),
  pin_invalid: entry(en.pin_invalid),

  // Key files
  password_incorrect: entry(en.password_incorrect),
  key_file_unreadable: entry(en.key_file_unreadable),
  key_file_unsupported: entry(en.key_file_unsupported),

  // Tokens, keys, certificates
  token_not_present: entry(en.token_not_present, true),
  token_removed: entry(en.token_removed, true),
  token_not_initialised: entry(en.token_not_initialised),
  key_not_found: entry(en.key_not_found),
  certificate_not_found: entry(en.certificate_not_found, true),
  certificate_expired: entry(en.certificate_expired),
  certificate_not_yet_valid: entry(en.certificate_not_yet_valid),
  certificate_not_for_signing: entry(en.certificate_not_for_signing),
  certificate_not_for_login: entry(en.certificate_not_for_login),
  certificate_malformed: entry(en.certificate_malformed),
  mechanism_unsupported: entry(en.mechanism_unsupported),
  algorithm_forbidden: entry(en.algorithm_forbidden),
  post_quantum_disabled: entry(en.post_quantum_disabled),

  // Drivers
  driver_not_found: entry(en.driver_not_found),
  driver_wrong_architecture: entry(en.driver_wrong_architecture),
  driver_not_pkcs11: entry(en.driver_not_pkcs11),
  driver_service_missing: entry(en.driver_service_missing, true),
  driver_sha1_only: entry(en.driver_sha1_only),
  driver_crashed: entry(en.driver_crashed, true),
  driver_timeout: entry(en.driver_timeout, true),
  driver_error: entry(en.driver_error),

  // Documents
  document_not_found: entry("No open document has this handle."),
  document_incomplete: entry("Some of the document's bytes have not arrived."),
  document_malformed: entry(en.document_malformed),
  document_encrypted: entry(en.document_encrypted),
  document_locked: entry(en.document_locked),
  too_large: entry("This is larger than D-Sign accepts."),
  busy: entry("D-Sign is busy. Try again in a moment.", true),

  // Services on the network
  timestamp_unavailable: entry(en.timestamp_unavailable, true),
  validation_data_unavailable: entry(en.validation_data_unavailable, true),
  certificate_revoked: entry(en.certificate_revoked),

  // Several signers
  out_of_turn: entry(en.out_of_turn),
  route_unproven: entry(en.route_unproven),
  signature_mismatch: entry("The earlier signature is not valid, or it signs other content."),

  // Results
  signature_invalid: entry(en.signature_invalid),
  storage_failed: entry("D-Sign could not write to its folder. Check the disk.", true),
} satisfies Record<string, ErrorEntry>;

/** The stable name of an error: `error.data.code` on the wire. */
export type ErrorCode = keyof typeof ERRORS;

/** Whether this is one of them. */
export const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === "string" && Object.hasOwn(ERRORS, code);

/** How many PIN tries the token says are left. `unknown` is to be treated as dangerous. */
export type TriesLeft = "many" | "low" | "final" | "none" | "unknown";

/** Details of an error besides its code and sentence. */
export interface ErrorDetails {
  /** The PKCS#11 or system fact behind it, for the log and the support desk; never a PIN. */
  cause?: string;
  triesLeft?: TriesLeft;
}

/** A failure with a code of the closed table; the only error type that crosses the agent's boundary. */
export class DsignError extends Error {
  override readonly name = "DsignError";

  constructor(readonly code: ErrorCode, message?: string, readonly details: ErrorDetails = {}) {
    super(message ?? ERRORS[code].message);
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  /** The JSON-RPC 2.0 §5.1 error object. */
  toJSON(): ErrorObject {
    return {
      code: ERRORS[this.code].rpc,
      message: this.message,
      data: { code: this.code, retryable: this.retryable, ...this.details },
    };
  }
}

/** JSON-RPC 2.0 §5.1 error object with our `data`. */
export interface ErrorObject {
  code: number;
  message: string;
  data: { code: ErrorCode; retryable: boolean } & ErrorDetails;
}
