/** Facts for the person before a PDF is signed: earlier signatures, and the changes after each. */
import type { Change } from "../formats/pades/changes.ts";
import { permitsSigning } from "../formats/pades/locks.ts";
import { readPdfDate } from "../formats/pades/inspect.ts";
import { isAmbiguous } from "../formats/pades/versions.ts";
import { PdfDocument } from "../formats/pdf/document.ts";
import { type VerifiedPdfSignature, verifyPdf } from "../formats/pades/verify.ts";
import { provenBy, verifyTimestamp } from "../formats/cms/timestamp.ts";
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { isProven, type Trust } from "./proven.ts";
import type { EarlierSignature, LaterChange, PdfFacts } from "../protocol/consent.ts";
import type { Source } from "../formats/source.ts";

/** More of one list are counted, not told. */
const MAX_CHANGES = 100;

/**
 * Looks at a PDF's earlier signatures and at what was changed after each.
 *
 * @throws {FormatError} as `inspectSignatures`
 */
export function factsOf(source: Source, trust: Trust, password?: string): PdfFacts {
  const { signatures, recovered } = verifyPdf(source, { password });
  const isShownAlike = signatures.length > 0
    ? !signatures.some(({ since }) => since?.ambiguities.length)
    : !isAmbiguous(PdfDocument.open(source, password));
  const certified = (each: VerifiedPdfSignature) =>
    each.certificate !== undefined &&
    isProven(each.certificate, readable(each.certificates), trust);
  const vouched = new Set(
    signatures.flatMap((each) =>
      each.status === "valid" && certified(each) ? [each.signature.field] : []
    ),
  );
  return {
    password: password ?? null,
    damaged: recovered || !isShownAlike,
    permitted: permitsSigning(source, password),
    signatures: signatures.map((each): EarlierSignature => {
      const { signature, status, certificate, since } = each;
      const proven = certified(each);
      // Anybody can make an authority that puts any time into a timestamp.
      const timestamp = provenTime(each, trust);
      return {
        field: signature.field,
        kind: signature.kind,
        signer: certificate ? certificate.subject.commonName ?? String(certificate.subject) : null,
        status,
        time: (timestamp ?? readPdfDate(signature.time))?.toISOString() ?? null,
        timestamped: timestamp !== undefined,
        proven,
        reason: signature.reason ?? null,
        certifies: signature.docMdp ?? null,
        revision: since?.revision ? { number: since.revision.number, of: since.revision.of } : null,
        changes: since?.changes.slice(0, MAX_CHANGES).map(({ name, kind, reason, ...judged }) => ({
          name,
          kind,
          verdict: verdictOn(judged, vouched),
          reason: reason ?? null,
        })) ?? null,
      };
    }),
  };
}

/** What a later signature draws counts only if that signature does: `vouched` has the fields of those. */
function verdictOn(
  { allowed, unclear, signedBy }: Pick<Change, "allowed" | "unclear" | "signedBy">,
  vouched: ReadonlySet<string>,
): LaterChange["verdict"] {
  if (!allowed) return unclear ? "unclear" : "forbidden";
  return signedBy === undefined || vouched.has(signedBy) ? "allowed" : "unclear";
}

/** The time that a timestamp of a trusted authority proves. */
function provenTime(
  { timestamp, token, signer }: VerifiedPdfSignature,
  trust: Trust,
): Date | undefined {
  if (!timestamp) return undefined;
  const tokens = token
    ? [token]
    : signer?.timestampTokens.map((each) =>
      verifyTimestamp(each, { digestOf: (hash) => digest(hash, signer.signer.signature) })
    ) ?? [];
  const times = tokens.flatMap(({ info, problems, certificate, certificates }) =>
    problems.length === 0 && certificate && isProven(certificate, readable(certificates), trust)
      ? provenBy(info)?.getTime() ?? []
      : []
  );
  return times.length > 0 ? new Date(Math.min(...times)) : undefined;
}

/** Skips unreadable certificates: they cannot be part of a path. */
const readable = (certificates: readonly Uint8Array[]) =>
  certificates.flatMap((der) => {
    try {
      return [readCertificate(der)];
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return [];
    }
  });
