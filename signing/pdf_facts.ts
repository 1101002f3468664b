/** Facts for the person before a PDF is signed: earlier signatures, and the changes after each. */
import { permitsSigning } from "../formats/pades/locks.ts";
import { readPdfDate } from "../formats/pades/inspect.ts";
import { verifyPdf } from "../formats/pades/verify.ts";
import type { EarlierSignature, PdfFacts } from "../protocol/consent.ts";
import type { Source } from "../formats/source.ts";

/** More of one list are counted, not told. */
const MAX_CHANGES = 100;

/**
 * Looks at a PDF's earlier signatures and at what was changed after each.
 *
 * @throws {FormatError} as `inspectSignatures`
 */
export function factsOf(source: Source, password?: string): PdfFacts {
  const { signatures, recovered } = verifyPdf(source, { password });
  return {
    password: password ?? null,
    damaged: recovered || signatures.some(({ since }) => since?.ambiguities.length),
    permitted: permitsSigning(source, password),
    signatures: signatures.map((each): EarlierSignature => {
      const { signature, status, certificate, timestamp, since } = each;
      return {
        field: signature.field,
        kind: signature.kind,
        signer: certificate ? certificate.subject.commonName ?? String(certificate.subject) : null,
        status,
        time: (timestamp ?? readPdfDate(signature.time))?.toISOString() ?? null,
        timestamped: timestamp !== undefined,
        reason: signature.reason ?? null,
        certifies: signature.docMdp ?? null,
        revision: since?.revision ? { number: since.revision.number, of: since.revision.of } : null,
        changes: since?.changes.slice(0, MAX_CHANGES).map(({ name, kind, allowed, reason }) => ({
          name,
          kind,
          allowed,
          reason: reason ?? null,
        })) ?? null,
      };
    }),
  };
}
