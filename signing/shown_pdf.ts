/** A PDF in a question to the person: its bytes, and what the signature will add. */
import { bytesSource } from "../formats/source.ts";
import type { PdfAdditions } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import type { PdfOptions } from "../protocol/methods.ts";
import type { ShownPdf } from "./consent/port.ts";
import type { Document } from "./documents.ts";

/** @throws {DsignError} `document_not_found` where the document is not being kept */
export function shownPdf({ kept }: Document, password?: string): ShownPdf {
  if (!kept) throw new DsignError("document_not_found");
  return { source: kept, sequential: () => kept.sequential(), password };
}

export function additionsOf(options: PdfOptions): PdfAdditions {
  const { level, field, reason, location, certify, lock, visible } = options;
  return {
    level,
    field,
    reason,
    location,
    certify,
    locks: lock !== undefined,
    visible: visible
      ? {
        page: visible.page ?? (visible.anchor === undefined ? 1 : null),
        anchor: visible.anchor ?? null,
        role: visible.role ?? null,
      }
      : null,
  };
}

/** The one item of a request, where it is a PDF in memory. */
export const showBytes = (bytes: Uint8Array) => (item: number): Promise<ShownPdf> => {
  if (item !== 0) return Promise.reject(new DsignError("document_not_found"));
  const source = bytesSource(bytes);
  return Promise.resolve({ source, sequential: () => source });
};

/** The one item of a request, where it is a PDF. */
export function showOnly(item: number, document: Document, password?: string): Promise<ShownPdf> {
  if (item !== 0) return Promise.reject(new DsignError("document_not_found"));
  return Promise.resolve().then(() => shownPdf(document, password));
}
