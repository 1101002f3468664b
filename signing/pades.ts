/** Signatures in PDFs as a request asks for them: what it says, how that looks, and the key that was opened for it. */
import { FormatError } from "../formats/error.ts";
import { prepareSignature } from "../formats/pades/prepare.ts";
import { refuseAmbiguous } from "../formats/pades/versions.ts";
import type { Signer } from "../formats/signer.ts";
import { type PadesOptions, type Pdf, preparePades } from "../online/pades.ts";
import type { Online } from "../online/validation_data.ts";
import { DsignError } from "../protocol/errors.ts";
import type { PdfOptions } from "../protocol/methods.ts";
import type { Appearances } from "./appearance.ts";
import { certificateOf } from "./certificates.ts";
import type { Document } from "./documents.ts";
import type { Placement } from "./placement.ts";

/** @throws {DsignError} `document_incomplete`, `document_malformed` where it is no PDF */
export function pdfOf(document: Document): Pdf {
  const { kept, algorithm } = document;
  document.digest(); // it is complete
  if (!kept) {
    throw new DsignError("document_malformed", "The document is not a PDF.");
  }
  return {
    source: kept,
    sequential: () => kept.sequential(),
    algorithm,
    hashed: () => document.hashed(),
  };
}

/** What signatures in PDFs need besides a key. */
export interface PadesServices {
  appearances: Appearances;
  online: Online;
  placement: Placement;
}

/** What a signature in a PDF is made with. */
export interface PadesSigner extends Omit<PadesServices, "placement"> {
  signer: Pick<Signer, "certificate" | "chain" | "algorithm">;
  /** What it gives need not be right: {@linkcode signPdf} lets nothing out that the certificate does not verify. */
  sign(toBeSigned: Uint8Array): Promise<Uint8Array>;
  now(): Date;
  signal: AbortSignal;
}

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
  { source }: Pick<Pdf, "source">,
  options: PdfOptions,
  appearances: Appearances,
): Promise<void> {
  const appearance = await appearances.make(options, { name: "", time: new Date(0) });
  refusing(() => prepareSignature(source, { ...padesOptions(options), appearance }));
  refuseAmbiguous(source, options.password);
}

/**
 * Signs a PDF.
 *
 * @param options the place is found: {@linkcode Placement}
 *
 * @throws {DsignError} `invalid_params`; {FormatError} as `prepareSignature`; {OnlineError} all its codes
 */
export async function signPdf(
  pdf: Pdf,
  options: PdfOptions,
  { signer, sign, appearances, online, now, signal }: PadesSigner,
): Promise<SignedPdf> {
  const time = now();
  const { subject } = certificateOf(signer.certificate);
  const name = subject.commonName ?? subject.toString();
  const appearance = await appearances.make(options, { name, time });
  const prepared = refusing(() =>
    preparePades(pdf, signer, { ...padesOptions(options), time, signerName: name, appearance })
  );
  const signature = await sign(prepared.toBeSigned);
  const appended = await prepared.complete(signature, online, signal);
  return { appended, field: prepared.field };
}

function padesOptions(options: PdfOptions): PadesOptions {
  const { level, subFilter, field, reason, location, certify, lock, password } = options;
  return { level, subFilter, field, reason, location, certify, lock, password };
}

/** Where what the page asked for does not fit the document, the page is told so. */
function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (
      error instanceof FormatError &&
      (error.code === "invalid_argument" || error.code === "not_found")
    ) throw new DsignError("invalid_params", error.message);
    throw error;
  }
}
