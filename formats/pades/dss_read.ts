/** Reading the validation data of a PDF (EN 319 142-1 §5.4.2). */
import { FormatError } from "../error.ts";
import type { ValidationData } from "./dss.ts";
import type { PdfDocument } from "../pdf/document.ts";
import { PdfRef, PdfStream } from "../pdf/value.ts";

/** Of each kind. */
const MAX_ITEMS = 500;

/**
 * The certificates, CRLs and OCSP answers of the document's DSS; those that cannot be read are left out.
 *
 * @throws {FormatError} as `inspectSignatures`
 */
export function readDss(document: PdfDocument): Required<ValidationData> {
  const read = (key: string) => [...items(document, key)];
  return { certificates: read("Certs"), crls: read("CRLs"), ocsps: read("OCSPs") };
}

/** Whether there is a DSS with certificates and revocation information. @throws {FormatError} as there */
export function hasValidationData(document: PdfDocument): boolean {
  const has = (key: string) => items(document, key).next().value !== undefined;
  return has("Certs") && (has("CRLs") || has("OCSPs"));
}

function* items(document: PdfDocument, key: string): Generator<Uint8Array, undefined> {
  const dss = document.dict(document.catalog().value, "DSS");
  for (const item of ((dss && document.array(dss, key))?.items ?? []).slice(0, MAX_ITEMS)) {
    try {
      const object = item instanceof PdfRef ? document.object(item) : undefined;
      if (object?.value instanceof PdfStream) yield document.streamData(object).slice();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
}
