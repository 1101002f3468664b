/** Earlier revisions of a document (ISO 32000-2 §7.5.6). */
import { PdfDocument, SharedObjects } from "./document.ts";
import { prefixSource, type Source } from "../source.ts";

/** Opens revisions of one file; asked for from the oldest on, what they have in common is read once. */
export class Revisions {
  #last: PdfDocument | undefined;
  readonly #shared = new SharedObjects();

  constructor(readonly file: Source, readonly password: string | undefined) {}

  /**
   * @param end of the revision in the file
   * @throws FormatError as `PdfDocument.open`
   */
  open(end: number): PdfDocument {
    const last = this.#last;
    if (last?.file.size === end) return last;
    const before = last && last.file.size < end && !last.recovered ? last : undefined;
    const source = prefixSource(this.file, end);
    return this.#last = PdfDocument.open(source, this.password, before, this.#shared);
  }
}
