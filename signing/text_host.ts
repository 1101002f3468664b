/**
 * The process in which a PDF's text is searched with pdf.js: a document that makes it run wild takes nothing else with
 * it. It has no permissions once pdf.js is there. One question, on standard input: a line of JSON, then the document;
 * the answer is a line of JSON on standard output.
 */
import type * as PdfJs from "pdfjs-dist/legacy/build/pdf.mjs";
import { findText, type TextPiece } from "./text_search.ts";

/** What is looked for. */
export interface TextQuestion {
  text: string;
  /** Counted from 1; without it, all are searched. */
  page?: number;
  password?: string;
}

export type TextAnswer =
  | {
    page: number;
    /** Left, bottom, right, top in points from the lower left corner of the page as it is displayed. */
    box: [number, number, number, number];
    /** Width and height of the page. */
    size: [number, number];
  }
  | { failure: "not_found" | "too_many_pages" | "encrypted" | "malformed" };

const MAX_PAGES = 2000;
/** Pieces of text and bytes of them on one page; what is beyond is not searched. */
const MAX_PIECES = 100_000;
const MAX_LETTERS = 1_000_000;

/**
 * Answers the question on standard input.
 *
 * @param web folder of the built pages, ending in a slash: pdf.js is there
 */
export async function runTextHost(web: URL): Promise<void> {
  // Standard output is for the answer.
  console.log = console.warn = () => {};
  // It only draws with it.
  Object.assign(globalThis, { DOMMatrix: class {} });
  const pdfjsWorker = await import(new URL("pdf/pdf.worker.min.mjs", web).href);
  Object.assign(globalThis, { pdfjsWorker });
  const pdfjs: typeof PdfJs = await import(new URL("pdf/pdf.min.mjs", web).href);
  await Deno.permissions.revoke({ name: "read" });

  const input = await new Response(Deno.stdin.readable).bytes();
  const line = input.indexOf(0x0a);
  const question: TextQuestion = JSON.parse(new TextDecoder().decode(input.subarray(0, line)));
  const answer = await search(pdfjs, input.slice(line + 1), question);
  await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify(answer)}\n`));
  Deno.exit(0);
}

async function search(
  pdfjs: typeof PdfJs,
  data: Uint8Array,
  { text, page, password }: TextQuestion,
): Promise<TextAnswer> {
  try {
    const document = await pdfjs.getDocument({
      data,
      password,
      disableFontFace: true,
      enableXfa: false,
      useSystemFonts: false,
      useWasm: false,
      useWorkerFetch: false,
      verbosity: pdfjs.VerbosityLevel.ERRORS,
    }).promise;
    const { numPages } = document;
    if (page === undefined && numPages > MAX_PAGES) return { failure: "too_many_pages" };
    if (page !== undefined && page > numPages) return { failure: "not_found" };
    let best: { answer: TextAnswer; differ: number } | undefined;
    // From the end: the last one counts, and an exact one ends the search.
    const first = page ?? 1;
    for (let number = page ?? numPages; number >= first && best?.differ !== 0; number--) {
      const found = await searchPage(await document.getPage(number), text);
      if (found && found.differ < (best?.differ ?? Infinity)) best = found;
    }
    return best?.answer ?? { failure: "not_found" };
  } catch (error) {
    const isPassword = error instanceof Error && error.name === "PasswordException";
    return { failure: isPassword ? "encrypted" : "malformed" };
  }
}

async function searchPage(
  page: PdfJs.PDFPageProxy,
  text: string,
): Promise<{ answer: TextAnswer; differ: number } | undefined> {
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
  const found = findText(pieces, text);
  if (!found) return undefined;
  const points = found.corners.map(([x, y]) => viewport.convertToViewportPoint(x, y));
  const { width, height } = viewport;
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => height - y);
  const box: [number, number, number, number] = [
    Math.min(...xs),
    Math.min(...ys),
    Math.max(...xs),
    Math.max(...ys),
  ];
  // What is cut off the page cannot be seen there.
  const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  if (!box.every(Number.isFinite) || x < 0 || y < 0 || x > width || y > height) return undefined;
  return { answer: { page: page.pageNumber, box, size: [width, height] }, differ: found.differ };
}
