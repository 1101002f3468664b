/** Signatures in PDFs as a request asks for them: what it says, how that looks, and the key that was opened for it. */
import { FormatError } from "../formats/error.ts";
import type { Source } from "../formats/source.ts";
import type { PadesInput } from "../online/questions.ts";
import type { Online } from "../online/services.ts";
import { DsignError } from "../protocol/errors.ts";
import type { Appearances, PlacedOptions } from "./appearance.ts";
import type { Document } from "./documents.ts";
import type { Placement } from "./placement.ts";
import type { DocumentReader } from "./reading.ts";

/**
 * The bytes of a PDF.
 *
 * @throws {DsignError} `document_incomplete`, `document_malformed` where it is no PDF
 */
export function sourceOf(document: Pick<Document, "digest"> & { kept?: Source }): Source {
  document.digest(); // it is complete
  if (!document.kept) throw new DsignError("document_malformed", "The document is not a PDF.");
  return document.kept;
}

/** Parts for signatures in PDFs besides a key. */
export interface PadesServices {
  appearances: Appearances;
  online: Online;
  placement: Placement;
  reader: DocumentReader;
}

/** A document, as signing needs it. */
export type SignedDocument =
  & Pick<Document, "asked" | "size" | "digest" | "hashed">
  & { kept?: Source };

/** The properties of the signature as the request gives them. */
export function padesOptions(options: PlacedOptions): PadesInput["options"] {
  const { level, subFilter, field, reason, location, certify, lock, password } = options;
  return { level, subFilter, field, reason, location, certify, lock, password };
}

/** Reports to the page that its options do not fit the document. */
export async function refusing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (
      error instanceof FormatError &&
      ["invalid_argument", "not_found", "no_room"].includes(error.code)
    ) throw new DsignError("invalid_params", error.message);
    throw error;
  }
}
