/** A PDF in a question to the person: its bytes, and what the signature will add. */
import type { Source } from "../formats/source.ts";
import type { PdfAdditions } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import type { PlacedOptions } from "./appearance.ts";
import type { ShownPdf } from "./consent/port.ts";
import type { Trust } from "./proven.ts";
import type { DocumentReader } from "./reading.ts";
import type { Revision } from "./revision.ts";

/** The reader of a request's documents, and the origin. */
export interface ReadFor {
  reader: DocumentReader;
  /** The asker: see the reader's. */
  origin?: string;
  /** Opens encrypted PDFs. */
  password?: string;
  trust(): Promise<Trust>;
}

/** @throws {DsignError} `document_not_found` where the document is not being kept */
export function shownPdf(
  source: Source | undefined,
  { reader, origin, password, trust }: ReadFor,
  revision?: Revision,
): ShownPdf {
  if (!source) throw new DsignError("document_not_found");
  return {
    source: revision?.source ?? source,
    ...revision && { revision: { digest: revision.digest, boxes: revision.boxes } },
    facts: async () =>
      await reader.ask("pdfFacts", { password, trust: await trust() }, {
        documents: [source],
        origin,
      }),
  };
}

export function additionsOf(options: PlacedOptions): PdfAdditions {
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
        page: visible.rectangle || visible.near ? visible.page ?? 1 : null,
        anchor: visible.anchor ?? null,
        role: visible.role ?? null,
        picture: visible.picture !== undefined,
        qr: visible.qr ?? null,
      }
      : null,
  };
}

/** The one item of a request, where it is a PDF. */
export const showOnly =
  (source: Source | undefined, by: ReadFor) => (item: number): Promise<ShownPdf> =>
    item === 0
      ? Promise.resolve().then(() => shownPdf(source, by))
      : Promise.reject(new DsignError("document_not_found"));
