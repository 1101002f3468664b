/** The one place where the failures of the other rooms become those of the contract. */
import { getLogger } from "@logtape/logtape";
import { FormatError, type FormatErrorCode } from "../formats/error.ts";
import { OnlineError } from "../online/error.ts";
import { DsignError, type ErrorCode } from "../protocol/errors.ts";
import { SignerError } from "../signers/provider.ts";

const log = getLogger(["dsign", "agent"]);

const FORMAT_CODES: Partial<Record<FormatErrorCode, ErrorCode>> = {
  certificate_malformed: "certificate_malformed",
  key_malformed: "certificate_malformed",
  asn1_malformed: "document_malformed",
  cms_malformed: "document_malformed",
  json_malformed: "document_malformed",
  json_duplicate_key: "document_malformed",
  pdf_malformed: "document_malformed",
  pdf_ambiguous: "document_malformed",
  pdf_encrypted: "document_encrypted",
  document_locked: "document_locked",
  xml_malformed: "document_malformed",
  xml_unsupported: "document_malformed",
  xml_forbidden: "document_malformed",
  limit_exceeded: "too_large",
  too_costly: "document_malformed",
  algorithm_unsupported: "mechanism_unsupported",
  signature_mismatch: "signature_mismatch",
  jws_malformed: "document_malformed",
  container_malformed: "document_malformed",
  route_malformed: "document_malformed",
  log_malformed: "document_malformed",
  not_found: "document_malformed",
  no_room: "invalid_params",
  out_of_turn: "out_of_turn",
};

/**
 * Translates a failure for a page. Unexpected errors are bugs: they are logged in full, and the page
 * sees only `internal_error`.
 */
export function toDsignError(error: unknown): DsignError {
  if (error instanceof DsignError) return error;
  if (error instanceof SignerError) {
    return new DsignError(error.code, error.message, { ...error.details });
  }
  if (error instanceof FormatError) {
    const code = FORMAT_CODES[error.code];
    if (code) return new DsignError(code, error.message);
  }
  if (error instanceof OnlineError) {
    const { code, message, detail: cause } = error;
    return new DsignError(code, message || undefined, { cause });
  }
  // The reason of a signal that somebody aborted without giving one.
  if (error instanceof DOMException && error.name === "AbortError") {
    return new DsignError("request_cancelled");
  }
  log.error("Unforeseen failure: {error}", { error });
  return new DsignError("internal_error");
}

/** Throws the reason of an aborted signal. */
export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw toCancelled(signal);
}

/** The reason of an aborted signal, where it is one of ours; else `request_cancelled`. */
export function toCancelled(signal: AbortSignal): DsignError {
  return signal.reason instanceof DsignError ? signal.reason : new DsignError("request_cancelled");
}
