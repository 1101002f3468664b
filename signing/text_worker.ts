/** The thread in which a PDF's text is searched with pdf.js: in a reader process, which loads nothing else. */
import type * as PdfJs from "pdfjs-dist/legacy/build/pdf.mjs";
import { answerQuestions, type ReadDocument } from "../reader/worker.ts";
import { type Corners, cornersOfAll, findText, type TextPiece } from "./text_search.ts";

/** The search. */
export interface TextQuestion {
  text: string;
  /** Counted from 1; without it, all are searched. */
  page?: number;
  password?: string;
}

/** Left, bottom, right, top in points from the lower left corner of a page as it is displayed. */
export type TextBox = [left: number, bottom: number, right: number, top: number];

export interface FoundText {
  page: number;
  box: TextBox;
  /** Width and height of the page. */
  size: [number, number];
}

export type TextFailure = {
  failure: "not_found" | "too_many_pages" | "encrypted" | "malformed";
};

const MAX_PAGES = 2000;
/** Pieces of text and bytes of them on one page; what is beyond is not searched. */
const MAX_PIECES = 100_000;
const MAX_LETTERS = 1_000_000;

// It only draws with it.
Object.assign(globalThis, { DOMMatrix: class {} });
const pdf = new URL("../dist/web/pdf/", import.meta.url);
Object.assign(globalThis, { pdfjsWorker: await import(new URL("pdf.worker.min.mjs", pdf).href) });
const pdfjs: typeof PdfJs = await import(new URL("pdf.min.mjs", pdf).href);

export const questions = {
  /** Position of a text in the document. */
  findText: ({ text, page, password }: TextQuestion, [source]: ReadDocument[]) =>
    withDocument(source, password, (document) => search(document, text, page)),

  /** Where anything is written on a page. */
  textBoxes: ({ page, password }: { page: number; password?: string }, [source]: ReadDocument[]) =>
    withDocument(source, password, async (document) => {
      const { pieces, boxOf } = await readPage(await document.getPage(page));
      return cornersOfAll(pieces).map(boxOf);
    }),
};

answerQuestions(questions);

async function withDocument<T>(
  source: ReadDocument,
  password: string | undefined,
  use: (document: PdfJs.PDFDocumentProxy) => Promise<T>,
): Promise<T | TextFailure> {
  try {
    const document = await pdfjs.getDocument({
      data: source.read(0, source.size).slice(),
      password,
      disableFontFace: true,
      enableXfa: false,
      useSystemFonts: false,
      useWasm: false,
      useWorkerFetch: false,
      verbosity: pdfjs.VerbosityLevel.ERRORS,
    }).promise;
    try {
      return await use(document);
    } finally {
      await document.destroy();
    }
  } catch (error) {
    const isPassword = error instanceof Error && error.name === "PasswordException";
    return { failure: isPassword ? "encrypted" : "malformed" };
  }
}

async function search(
  document: PdfJs.PDFDocumentProxy,
  text: string,
  page: number | undefined,
): Promise<FoundText | TextFailure> {
  const { numPages } = document;
  if (page === undefined && numPages > MAX_PAGES) return { failure: "too_many_pages" };
  if (page !== undefined && page > numPages) return { failure: "not_found" };
  let best: { answer: FoundText; differ: number } | undefined;
  // From the end: the last one counts, and an exact one ends the search.
  const first = page ?? 1;
  for (let number = page ?? numPages; number >= first && best?.differ !== 0; number--) {
    const found = await searchPage(await document.getPage(number), text);
    if (found && found.differ < (best?.differ ?? Infinity)) best = found;
  }
  return best?.answer ?? { failure: "not_found" };
}

async function searchPage(
  page: PdfJs.PDFPageProxy,
  text: string,
): Promise<{ answer: FoundText; differ: number } | undefined> {
  const { pieces, boxOf, size } = await readPage(page);
  const found = findText(pieces, text);
  if (!found) return undefined;
  const box = boxOf(found.corners);
  // Text outside the visible page does not count.
  const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  if (!box.every(Number.isFinite) || x < 0 || y < 0 || x > size[0] || y > size[1]) return undefined;
  return { answer: { page: page.pageNumber, box, size }, differ: found.differ };
}

async function readPage(page: PdfJs.PDFPageProxy) {
  const pieces: TextPiece[] = [];
  let letters = 0;
  const reader = page.streamTextContent().getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    for (const item of part.value.items as TextPiece[]) {
      letters += item.str.length;
      if (pieces.length < MAX_PIECES && letters <= MAX_LETTERS) pieces.push(item);
    }
  }
  const viewport = page.getViewport({ scale: 1 / (page.userUnit || 1) });
  page.cleanup();
  const { width, height } = viewport;
  const boxOf = (corners: Corners): TextBox => {
    const points = corners.map(([x, y]) => viewport.convertToViewportPoint(x, y));
    const xs = points.map(([x]) => x);
    const ys = points.map(([, y]) => height - y);
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  };
  return { pieces, boxOf, size: [width, height] as [number, number] };
}
