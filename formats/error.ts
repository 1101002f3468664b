/** Failures of reading, building or checking a format: the closed union of this room. */
export const FORMAT_ERROR_CODES = [
  /** Not well-formed ASN.1, or not the structure that the specification asks for. */
  "asn1_malformed",
  "certificate_malformed",
  "cms_malformed",
  "crl_malformed",
  "ocsp_malformed",
  "timestamp_malformed",
  "pdf_malformed",
  "xml_malformed",
  /** XML 1.1, or an encoding that is not read. */
  "xml_unsupported",
  "json_malformed",
  "jws_malformed",
  "route_malformed",
  /** A container that is no ZIP, or can be read in two ways. */
  "container_malformed",
  /** No checkpoint, receipt or key of a log, or one that does not hold. */
  "log_malformed",
  "key_malformed",
  /** A JSON object names the same member twice: what is shown could differ from what is signed. */
  "json_duplicate_key",
  /** A DTD or entity in XML; they could change what is shown after it was signed. */
  "xml_forbidden",
  /** A PDF that asks for a password we do not have. */
  "pdf_encrypted",
  /** Readers may show different pages of it. */
  "pdf_ambiguous",
  /** The author or an earlier signature forbids the change (DocMDP, FieldMDP). */
  "document_locked",
  /** A signing route says that others sign first, that this signer has no part in it, or that it is complete. */
  "out_of_turn",
  /** A nesting, count or size limit of this room was reached. */
  "limit_exceeded",
  /** Reading took more time or memory than any honest document does; the reader of it was ended. */
  "too_costly",
  /** The space reserved for a signature is smaller than the signature. */
  "space_too_small",
  /** An algorithm, or its parameters, that this product does not sign with or cannot check. */
  "algorithm_unsupported",
  /** A critical extension that is not understood; what has it must not be used. */
  "extension_unsupported",
  /** The named signer, attribute, revision or certificate is not there. */
  "not_found",
  /** No free place for a visible signature. */
  "no_room",
  /** The signature does not fit the key, the content or the document it is to be added to. */
  "signature_mismatch",
  /** An argument of the caller contradicts itself or the specification. */
  "invalid_argument",
] as const;

export type FormatErrorCode = (typeof FORMAT_ERROR_CODES)[number];

/** Whether this is one of {@linkcode FORMAT_ERROR_CODES}. */
export const isFormatErrorCode = (code: unknown): code is FormatErrorCode =>
  (FORMAT_ERROR_CODES as readonly unknown[]).includes(code);

/** The only error class that this room throws; the message is a sentence a person can act on. */
export class FormatError extends Error {
  override readonly name = "FormatError";

  constructor(readonly code: FormatErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}
