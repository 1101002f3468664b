/** Signatures in PDFs as a request asks for them: what it says, how that looks, and the key that was opened for it. */
import { FormatError } from "../formats/error.ts";
import type { Signer } from "../formats/signer.ts";
import type { Source } from "../formats/source.ts";
import { padesCms, preparedDigest } from "../online/pades.ts";
import type { PadesInput } from "../online/questions.ts";
import { type Online, performFor } from "../online/services.ts";
import { DsignError } from "../protocol/errors.ts";
import type { PdfOptions } from "../protocol/methods.ts";
import { askInSteps } from "../reader/steps.ts";
import type { Appearances } from "./appearance.ts";
import { certificateOf } from "./certificates.ts";
import type { Document } from "./documents.ts";
import type { Placement } from "./placement.ts";
import type { Asking, DocumentReader } from "./reading.ts";

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

/** What signatures in PDFs need besides a key. */
export interface PadesServices {
  appearances: Appearances;
  online: Online;
  placement: Placement;
  reader: DocumentReader;
}

/** What a signature in a PDF is made with. */
export interface PadesSigner extends Omit<PadesServices, "placement"> {
  signer: Pick<Signer, "certificate" | "chain" | "algorithm">;
  /** What it gives need not be right: {@linkcode signPdf} lets nothing out that the certificate does not verify. */
  sign(toBeSigned: Uint8Array): Promise<Uint8Array>;
  now(): Date;
  /** For whom the document is read. */
  origin?: string;
  signal: AbortSignal;
}

/** What signing needs of a document. */
type SignedDocument =
  & Pick<Document, "algorithm" | "size" | "digest" | "hashed">
  & { kept?: Source };

/** A signed PDF, as far as it is new. */
export interface SignedPdf {
  appended: Uint8Array;
  field: string;
}

/**
 * Finds out whether a PDF can be signed so, before anybody is asked.
 *
 * @throws {DsignError} `invalid_params`; {FormatError} as `prepareSignature`, `refuseAmbiguous`
 */
export async function checkPdf(
  document: Document,
  options: PdfOptions,
  { appearances, reader }: Pick<PadesServices, "appearances" | "reader">,
  asking: Asking,
): Promise<void> {
  const { appearance, fonts } = await appearances.make(options, { name: "", time: new Date(0) });
  const input: PadesInput = { options: padesOptions(options), appearance };
  const documents = [sourceOf(document), ...fonts];
  await refusing(reader.ask("checkPdf", input, { documents, ...asking }));
}

/**
 * Signs a PDF. What the key signs is made here, over the digest of the very bytes that came and are appended; the PDF
 * around it is read and written by the reader.
 *
 * @param options the place is found: {@linkcode Placement}
 * @param strict whether {@linkcode checkPdf} has not looked at the document before
 * @throws {DsignError} `invalid_params`; {FormatError} as `prepareSignature`; {OnlineError} all its codes
 */
export async function signPdf(
  document: SignedDocument,
  options: PdfOptions,
  { signer, sign, appearances, online, reader, now, origin, signal }: PadesSigner,
  strict = false,
): Promise<SignedPdf> {
  const time = now();
  const { subject } = certificateOf(signer.certificate);
  const name = subject.commonName ?? subject.toString();
  const { appearance, fonts } = await appearances.make(options, { name, time });
  const { algorithm, size } = document;
  const { certificate, chain } = signer;
  const { level, subFilter, password } = options;
  const asking = { documents: [sourceOf(document), ...fonts], origin, signal };
  const prepared = await refusing(reader.ask("preparePdf", {
    options: { ...padesOptions(options), time: time.toISOString(), signerName: name },
    appearance,
    signer: { certificate, chain },
    strict,
  }, asking));
  const digest = preparedDigest(document.hashed(), size, prepared);
  const made = padesCms(digest, signer, { subFilter, time });
  const cms = made.complete(await sign(made.toBeSigned));
  const completion = { level, certificate, password };
  const appended = await askInSteps(
    (done) => reader.ask("completePdf", { prepared, cms, algorithm, completion, done }, asking),
    (step) => performFor(online, step, signal),
  );
  return { appended, field: prepared.field };
}

function padesOptions(options: PdfOptions): PadesInput["options"] {
  const { level, subFilter, field, reason, location, certify, lock, password } = options;
  return { level, subFilter, field, reason, location, certify, lock, password };
}

/** Where what the page asked for does not fit the document, the page is told so. */
async function refusing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (
      error instanceof FormatError &&
      (error.code === "invalid_argument" || error.code === "not_found")
    ) throw new DsignError("invalid_params", error.message);
    throw error;
  }
}
