/** A PDF of the question, opened with pdf.js from the agent alone: code, fonts and bytes. */
import type * as PdfJs from "pdfjs-dist/legacy/build/pdf.mjs";
import type { PDFDocumentProxy } from "pdfjs-dist/legacy/build/pdf.mjs";

const FOLDER = "/web/pdf/";

let loading: Promise<typeof PdfJs> | undefined;

/** Comes when the first PDF is looked at: most questions are about something smaller than pdf.js. */
function load(): Promise<typeof PdfJs> {
  const address = `${FOLDER}pdf.min.mjs`;
  return loading ??= import(address).then((pdfjs: typeof PdfJs) => {
    pdfjs.GlobalWorkerOptions.workerSrc = `${FOLDER}pdf.worker.min.mjs`;
    return pdfjs;
  });
}

export interface PdfFile {
  document: PDFDocumentProxy;
  close(): void;
}

/**
 * Opens what an address of the agent gives, piece by piece as the pages need it.
 *
 * @throws whatever pdf.js finds wrong with it
 */
export async function openPdf(
  url: string,
  ticket: string,
  password: string | null,
): Promise<PdfFile> {
  const pdfjs = await load();
  const task = pdfjs.getDocument({
    url,
    httpHeaders: { authorization: `Bearer ${ticket}` },
    password: password ?? undefined,
    rangeChunkSize: 256 * 1024,
    disableAutoFetch: true,
    disableStream: true,
    useSystemFonts: false,
    standardFontDataUrl: `${FOLDER}fonts/`,
    wasmUrl: `${FOLDER}decoders/`,
    // The page's policy allows neither WebAssembly nor eval.
    useWasm: false,
    enableXfa: false,
    verbosity: pdfjs.VerbosityLevel.ERRORS,
  });
  return { document: await task.promise, close: () => void task.destroy() };
}
