/** What a person is told of a PDF before it is signed: its earlier signatures, and what this one will add. */
import { verifyPdf } from "../formats/pades_verify.ts";
import type { EarlierSignature, PdfAdditions, PdfFacts } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import type { PdfOptions } from "../protocol/methods.ts";
import type { ShownPdf } from "./consent.ts";
import type { Document } from "./documents.ts";

/** More of one list are counted, not told. */
const MAX_CHANGES = 100;

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

/**
 * Looks at a PDF's earlier signatures and at what was changed after each.
 *
 * @throws {FormatError} as `inspectSignatures`
 */
export function factsOf({ source, sequential, password }: ShownPdf): PdfFacts {
  const { signatures, recovered } = verifyPdf(source, { password, sequential: sequential() });
  return {
    password: password ?? null,
    damaged: recovered,
    signatures: signatures.map((each): EarlierSignature => {
      const { signature, status, certificate, timestamp, changes } = each;
      return {
        field: signature.field,
        kind: signature.kind,
        signer: certificate ? certificate.subject.commonName ?? String(certificate.subject) : null,
        status,
        time: (timestamp ?? readPdfDate(signature.time))?.toISOString() ?? null,
        timestamped: timestamp !== undefined,
        reason: signature.reason ?? null,
        certifies: signature.docMdp ?? null,
        changes: changes?.slice(0, MAX_CHANGES).map(({ name, kind, allowed, reason }) => ({
          name,
          kind,
          allowed,
          reason: reason ?? null,
        })) ?? null,
      };
    }),
  };
}

/** `D:YYYYMMDDHHmmSSOHH'mm'` (ISO 32000-2 §7.9.4); everything after the year may be missing. */
export function readPdfDate(text: string | undefined): Date | undefined {
  const match = /^(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:(Z)|([+-])(\d\d)'?(\d\d)?'?)?/
    .exec(
      text ?? "",
    );
  if (!match) return undefined;
  const [year, month = "01", day = "01", hour = "00", minute = "00", second = "00"] = match.slice(
    1,
  );
  const zone = match[8] ? `${match[8]}${match[9]}:${match[10] ?? "00"}` : "Z";
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`);
  return Number.isNaN(time.getTime()) ? undefined : time;
}
