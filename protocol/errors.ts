/**
 * Every way in which a request can fail, as a page sees it: one closed table.
 *
 * On the wire an error is a JSON-RPC error object whose `data.code` is a key of {@linkcode ERRORS}. The numeric
 * `code` only tells the five errors of JSON-RPC itself apart; everything of ours is -32000.
 */

interface ErrorEntry {
  /** JSON-RPC `error.code`. */
  rpc: number;
  /** Whether the same request can succeed later without anything in it being changed. */
  retryable: boolean;
  /** What happened and what to do, for a person. Used where the thrower knows nothing better. */
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
  method_not_found: entry("There is no such method; rpc.discover lists them.", false, -32601),
  invalid_params: entry("A parameter is missing or wrong.", false, -32602),
  internal_error: entry("D-Sign made a mistake. Its log says more.", true, -32603),

  // Who may ask
  origin_not_allowed: entry("This site may not use D-Sign yet. Ask with origin.request first."),
  scope_not_granted: entry("This site was not allowed to do that. Ask with origin.request."),

  // The person
  user_cancelled: entry("The person declined."),
  consent_mismatch: entry(
    "What was shown is not what was to be signed. Nothing was signed; try again.",
    true,
  ),
  consent_timeout: entry("Nobody answered in time. Ask again when the person is there.", true),
  consent_unavailable: entry(
    'D-Sign cannot show its window: no browser could be opened. Install one or set "browser" in the configuration.',
  ),
  request_cancelled: entry("The request was cancelled by its sender."),

  // The PIN
  pin_incorrect: entry("The PIN is wrong."),
  pin_final_try: entry(
    "This may be the last try: one more wrong PIN can lock the token. Confirm it to go on.",
  ),
  pin_locked: entry("The PIN is locked. The token's issuer can unlock it."),
  pin_expired: entry("The PIN has expired. Change it with the token's own tool."),
  pin_not_set: entry("The token has no PIN yet. Set one with the token's own tool."),
  pin_invalid: entry("The PIN has the wrong length or characters."),

  // Tokens, keys, certificates
  token_not_present: entry("No token is inserted. Insert it and try again.", true),
  token_removed: entry("The token was removed. Insert it and try again.", true),
  token_not_initialised: entry("The token is empty. Its issuer has to put a certificate on it."),
  key_not_found: entry("The token holds no private key for this certificate."),
  certificate_not_found: entry("No inserted token holds this certificate.", true),
  certificate_expired: entry("The certificate has expired. Renew it."),
  certificate_not_yet_valid: entry("The certificate is not valid yet. Check the computer's clock."),
  certificate_not_for_signing: entry("The certificate is not meant for signing. Choose another."),
  certificate_malformed: entry("The certificate on the token cannot be read."),
  mechanism_unsupported: entry("The token cannot make this kind of signature."),
  algorithm_forbidden: entry("This algorithm is too weak and is not used."),

  // Drivers
  driver_not_found: entry(
    "The token's driver is not installed. Install it from the token's maker.",
  ),
  driver_wrong_architecture: entry(
    "The token's driver is for another kind of processor. Install the 64-bit driver.",
  ),
  driver_not_pkcs11: entry("The configured driver is not a PKCS#11 module."),
  driver_crashed: entry("The token's driver crashed. Insert the token again and retry.", true),
  driver_timeout: entry(
    "The token's driver did not answer. Insert the token again and retry.",
    true,
  ),
  driver_error: entry("The token's driver reported an error."),

  // Documents
  document_not_found: entry("There is no open document with this handle."),
  document_incomplete: entry("The document's bytes have not all arrived."),
  document_malformed: entry("The document is damaged or is not what it says it is."),
  document_encrypted: entry("The document is encrypted. Its password is needed to sign it."),
  document_locked: entry("An earlier signature, or the document's author, forbids this change."),
  too_large: entry("That is larger than D-Sign accepts."),
  busy: entry("D-Sign is busy. Try again in a moment.", true),

  // Services on the network
  timestamp_unavailable: entry(
    "No timestamp could be had. Try again, or ask the administrator about the time-stamping service.",
    true,
  ),
  validation_data_unavailable: entry(
    "What a later validation needs could not be collected. Try again, or sign without it.",
    true,
  ),
  certificate_revoked: entry("The certificate has been revoked. Nothing was signed with it."),

  // Several signers
  out_of_turn: entry("It is not this person's turn to sign."),
  signature_mismatch: entry("The earlier signature is not right, or is over another content."),

  // Results
  signature_invalid: entry(
    "The token returned a signature that does not verify. It was not released.",
  ),
  storage_failed: entry("D-Sign could not write to its folder. Check the disk.", true),
} satisfies Record<string, ErrorEntry>;

/** The stable name of an error: `error.data.code` on the wire. */
export type ErrorCode = keyof typeof ERRORS;

/** How many PIN tries the token says are left. `unknown` is to be treated as dangerous. */
export type TriesLeft = "many" | "low" | "final" | "none" | "unknown";

/** What an error carries beside its code and sentence. */
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
