/** Places a visible signature at a text of the document. */
import type { Source } from "../formats/source.ts";
import { FormatError } from "../formats/error.ts";
import { DsignError } from "../protocol/errors.ts";
import { PdfOptions } from "../protocol/methods.ts";
import { ReaderPool } from "../reader/client.ts";
import { SIZE } from "./appearance.ts";
import { throwIfCancelled } from "./errors.ts";
import type { Asking } from "./reading.ts";
import type { questions, TextAnswer, TextQuestion } from "./text_worker.ts";

/** Larger documents are not searched: pdf.js holds them in memory. */
const MAX_SIZE = 128 * 1024 * 1024;
const MAX_TIME = 20_000;
/** Points between the text and the signature. */
const GAP = 2;

/** Answers where a text stands in a PDF. */
export class Placement {
  readonly #reader: ReaderPool<typeof questions>;

  /** @param command starts the program's `pdf-text` role */
  constructor(command: readonly string[]) {
    this.#reader = new ReaderPool({ command, deadline: MAX_TIME });
  }

  /** Ends the processes. */
  close(): Promise<void> {
    return this.#reader.close();
  }

  /**
   * Where a signature is to go to a text, finds its page and rectangle; other options stay as they are.
   *
   * The signature begins below the text, at its left, or above it where the page ends before; it is moved to the left
   * where the page is too narrow. Of several places with the text the last counts.
   *
   * @throws {DsignError} `invalid_params` where the text is not there, `too_large`, `document_malformed`,
   *   `document_encrypted`, `request_cancelled`
   */
  async place(source: Source, options: PdfOptions, asking: Asking): Promise<PdfOptions> {
    const { visible, password } = options;
    if (visible?.anchor === undefined) return options;
    const { anchor, page, rectangle, size = SIZE, ...rest } = visible;
    if (rectangle) {
      throw new DsignError(
        "invalid_params",
        "visible: give either an anchor or a rectangle.",
      );
    }
    const answer = await this.#ask(source, { text: anchor, page, password }, asking);
    if ("failure" in answer) throw refusal(answer.failure, anchor);
    return {
      ...options,
      visible: { ...rest, page: answer.page, rectangle: beside(answer, size as [number, number]) },
    };
  }

  async #ask(source: Source, question: TextQuestion, asking: Asking): Promise<TextAnswer> {
    if (source.size > MAX_SIZE) {
      throw new DsignError(
        "too_large",
        `Text is looked for in PDFs of up to ${
          MAX_SIZE / 1024 / 1024
        } MiB. Give the place by page.`,
      );
    }
    try {
      return await this.#reader.ask("findText", question, { documents: [source], ...asking });
    } catch (error) {
      if (asking.signal) throwIfCancelled(asking.signal);
      if (error instanceof FormatError) throw error;
      throw new DsignError("document_malformed", "The PDF's text cannot be read.");
    }
  }
}

/** Left, bottom, right, top of a signature of a size. */
function beside(
  { box: [x1, y1, , y2], size: [pageWidth] }: Extract<TextAnswer, { box: unknown }>,
  [width, height]: [number, number],
): [number, number, number, number] {
  const left = Math.max(0, Math.min(x1, pageWidth - width));
  const bottom = y1 - GAP - height >= 0 ? y1 - GAP - height : y2 + GAP;
  return [left, bottom, left + width, bottom + height];
}

function refusal(
  failure: Extract<TextAnswer, { failure: unknown }>["failure"],
  text: string,
): DsignError {
  switch (failure) {
    case "not_found":
      return new DsignError(
        "invalid_params",
        `The signature's place was not found: the PDF has no text “${text}” there.`,
      );
    case "too_many_pages":
      return new DsignError(
        "too_large",
        "The PDF has too many pages to search for the text. Also give the page.",
      );
    case "encrypted":
      return new DsignError("document_encrypted");
    case "malformed":
      return new DsignError("document_malformed", "The PDF's text cannot be read.");
  }
}
