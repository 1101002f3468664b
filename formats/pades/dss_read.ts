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
  const dss = document.dict(document.catalog().value, "DSS");
  const read = (key: string): Uint8Array[] =>
    ((dss && document.array(dss, key))?.items ?? []).slice(0, MAX_ITEMS).flatMap((item) => {
      try {
        const object = item instanceof PdfRef ? document.object(item) : undefined;
        return object?.value instanceof PdfStream ? [document.streamData(object).slice()] : [];
      } catch (error) {
        if (error instanceof FormatError) return [];
        throw error;
      }
    });
  return { certificates: read("Certs"), crls: read("CRLs"), ocsps: read("OCSPs") };
}
