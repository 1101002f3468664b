/** A PDF of the question, opened with pdf.js from the agent alone: code, fonts and bytes. */
import type * as PdfJs from "pdfjs-dist/legacy/build/pdf.mjs";
import type { PlacedBox } from "../../protocol/consent.ts";
import type { PDFDocumentProxy, PDFPageProxy } from "pdfjs-dist/legacy/build/pdf.mjs";

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

/** Content that other programs show differently, or that is not on the pages. `unknown`: too damaged to tell. */
export type Caveat = "scripts" | "attached" | "layers" | "xfa" | "unknown";

export interface PdfFile {
  document: PDFDocumentProxy;
  caveats: Caveat[];
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
  const document = await task.promise;
  return { document, caveats: await caveatsOf(document), close: () => void task.destroy() };
}

async function caveatsOf(document: PDFDocumentProxy): Promise<Caveat[]> {
  try {
    const [scripts, fields, attached, layers, { info }] = await Promise.all([
      document.getJSActions(),
      document.getFieldObjects(), // hasJSActions() says yes to every signature field
      document.getAttachments(),
      document.getOptionalContentConfig(),
      document.getMetadata(),
    ]);
    const found: Record<Exclude<Caveat, "unknown">, boolean> = {
      scripts: scripts !== null ||
        Object.values(fields ?? {}).flat().some((field) => (field as { actions?: object }).actions),
      attached: attached !== null,
      layers: [...layers].length > 0,
      xfa: (info as { IsXFAPresent?: boolean }).IsXFAPresent === true,
    };
    return (Object.keys(found) as (keyof typeof found)[]).filter((caveat) => found[caveat]);
  } catch {
    return ["unknown"];
  }
}

/** Whether annotations appear only on screen or only in print (ISO 32000-2 §12.5.3). */
export async function printsOtherwise(page: PDFPageProxy): Promise<boolean> {
  const idsFor = async (intent: string) =>
    (await page.getAnnotations({ intent }))
      .filter(({ subtype }) => subtype !== "Link" && subtype !== "Popup")
      .map(({ id }) => id as string).join(" ");
  return await idsFor("display") !== await idsFor("print");
}

/** Whether a box, in points of the page as it is displayed, covers text; touching does not count. */
export async function isOverText(
  { document }: PdfFile,
  { page: number, box: [left, bottom, right, top] }: Pick<PlacedBox, "page" | "box">,
): Promise<boolean> {
  const page = await document.getPage(number);
  const viewport = page.getViewport({ scale: 1 / (page.userUnit || 1) });
  const { items } = await page.getTextContent();
  return items.some((item) => {
    if (!("str" in item) || item.str.trim() === "") return false;
    const { transform: [a, b, c, d, x, y], width } = item;
    const along = Math.hypot(a, b) || 1;
    const [dx, dy] = [a / along * width, b / along * width];
    // A quarter of a line's height stands below its base.
    const corners = [[0, -0.25], [1, -0.25], [0, 0.75], [1, 0.75]].map(([far, high]) =>
      viewport.convertToViewportPoint(x + far! * dx + high! * c, y + far! * dy + high! * d)
    );
    const xs = corners.map(([x]) => x!), ys = corners.map(([, y]) => viewport.height - y!);
    return Math.min(Math.max(...xs), right) - Math.max(Math.min(...xs), left) > 1 &&
      Math.min(Math.max(...ys), top) - Math.max(Math.min(...ys), bottom) > 1;
  });
}
