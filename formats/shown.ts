/**
 * Decides by a document's bytes how it is shown to the person who signs it. The name and the media type are the
 * asker's words: a site may send a PDF as `text/plain` so that nobody sees its pages.
 */

/** So much of a text is shown, in bytes. */
export const SHOWN_LENGTH = 256 * 1024;

/** So many bytes decide whether a document is a PDF. */
export const HEADER_LENGTH = 4096;

/** How a document is shown. */
export type Shown =
  /** Page by page. */
  | { as: "pdf" }
  /** As it stands; `truncated`: it goes on after that. */
  | { as: "text"; text: string; truncated: boolean }
  /** Not at all, and the person is told so. */
  | { as: "nothing" };

/**
 * Decides how a document is shown.
 *
 * @param beginning its first {@linkcode SHOWN_LENGTH} bytes, or all of them
 * @param size its length in bytes
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { shownAs } from "./shown.ts";
 *
 * const bytes = new TextEncoder().encode("%PDF-1.7\n% A letter that nobody would sign as a PDF.\n");
 * assert.deepEqual(shownAs(bytes, bytes.length), { as: "pdf" });
 * ```
 */
export function shownAs(beginning: Uint8Array, size: number): Shown {
  if (isPdf(beginning)) return { as: "pdf" };
  const shown = beginning.subarray(0, SHOWN_LENGTH);
  const truncated = size > shown.length;
  let text: string;
  try {
    // Of a text cut short, the last character may be incomplete: it is left out, not refused.
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(shown, {
      stream: truncated,
    });
  } catch {
    return { as: "nothing" };
  }
  return CONTROLS.test(text) || PDF_OBJECT.test(text)
    ? { as: "nothing" }
    : { as: "text", text, truncated };
}

/**
 * Whether readers open a document as a PDF. Other bytes may come before the header: Acrobat, PDFium and poppler look
 * for it in the first 1024, MuPDF in the first 4096. Acrobat and MuPDF take the PostScript spelling too.
 *
 * @param beginning its first {@linkcode HEADER_LENGTH} bytes, or more
 */
export function isPdf(beginning: Uint8Array): boolean {
  return PDF_HEADER.test(latin1.decode(beginning.subarray(0, HEADER_LENGTH)));
}

const latin1 = new TextDecoder("latin1");
const PDF_HEADER = /%PDF-|%!PS-Adobe-\d\.\d PDF-/;
/** Poppler and MuPDF open a PDF without a header too; what has its objects is not taken for a letter. */
const PDF_OBJECT = /(^|\s)\d+\s+\d+\s+obj\b/;
// deno-lint-ignore no-control-regex -- control characters are what tells binary files apart
const CONTROLS = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/;
