/** Places for visible signatures: at a text of the document, and not over text. */
import type { Source } from "../formats/source.ts";
import { FormatError } from "../formats/error.ts";
import { DsignError } from "../protocol/errors.ts";
import { PdfOptions } from "../protocol/methods.ts";
import { ReaderPool } from "../reader/pool.ts";
import { type PlacedOptions, SIZE } from "./appearance.ts";
import { throwIfCancelled } from "./errors.ts";
import type { Asking } from "./reading.ts";
import type { FoundText, questions, TextBox, TextFailure } from "./text_worker.ts";

/** Larger documents are not searched: pdf.js holds them in memory. */
const MAX_SIZE = 128 * 1024 * 1024;
const MAX_TIME = 20_000;
/** Points between the text and the signature. */
const GAP = 2;
/** Places further down that are tried, and the points between them. */
const FURTHER = 20;
const STEP = 6;

/** Finds places for visible signatures: beside a text, and not over one. */
export class Placement {
  readonly #reader: ReaderPool<typeof questions>;
  /** Text boxes of the pages read so far, by document, page and password. */
  readonly #written = new WeakMap<Source, Map<string, Promise<TextBox[] | null>>>();

  /** @param command starts the program's `pdf-text` role */
  constructor(command: readonly string[]) {
    this.#reader = new ReaderPool({ command, deadline: MAX_TIME, apart: true });
  }

  /** Ends the processes. */
  close(): Promise<void> {
    return this.#reader.close();
  }

  /**
   * Where a signature is to go to a text, finds its page and the places beside that; other options stay as they are.
   *
   * The signature goes just below the text, at its left; where that is not free, above it, beside it, or further down.
   * Of several places with the text the last counts.
   *
   * @throws {DsignError} `invalid_params` where the text is not there, `too_large`, `document_malformed`,
   *   `document_encrypted`, `request_cancelled`
   */
  async place(source: Source, options: PdfOptions, asking: Asking): Promise<PlacedOptions> {
    const { visible, password } = options;
    if (visible?.anchor === undefined) return options;
    const { anchor, page, rectangle, size = SIZE, ...rest } = visible;
    if (rectangle) {
      throw new DsignError(
        "invalid_params",
        "visible: give either an anchor or a rectangle.",
      );
    }
    const answer = await this.#ask("findText", source, { text: anchor, page, password }, asking);
    if ("failure" in answer) throw refusal(answer.failure, anchor);
    const near = beside(answer, size as [number, number]);
    return { ...options, visible: { ...rest, page: answer.page, near } };
  }

  /** Where text is written on a page; null where that cannot be told. */
  written(
    source: Source,
    page: number,
    password: string | undefined,
    asking: Asking,
  ): Promise<TextBox[] | null> {
    const known = this.#written.get(source) ?? new Map<string, Promise<TextBox[] | null>>();
    this.#written.set(source, known);
    const key = `${page} ${password ?? ""}`;
    let found = known.get(key);
    if (!found) {
      found = this.#ask("textBoxes", source, { page, password }, asking).then(
        (answer) => Array.isArray(answer) ? answer : null,
        () => null,
      );
      known.set(key, found);
    }
    return found;
  }

  async #ask<N extends keyof typeof questions>(
    name: N,
    source: Source,
    question: Parameters<typeof questions[N]>[0],
    asking: Asking,
  ): Promise<Awaited<ReturnType<typeof questions[N]>>> {
    if (source.size > MAX_SIZE) {
      throw new DsignError(
        "too_large",
        `Text is looked for in PDFs of up to ${
          MAX_SIZE / 1024 / 1024
        } MiB. Give the place by page.`,
      );
    }
    try {
      return await this.#reader.ask(name, question, { documents: [source], ...asking });
    } catch (error) {
      if (asking.signal) throwIfCancelled(asking.signal);
      if (error instanceof FormatError) throw error;
      throw new DsignError("document_malformed", "The PDF's text cannot be read.");
    }
  }
}

/** Whether a box covers text. Touching, or overlapping by up to a point, does not count. */
export const isOverText = (box: TextBox, written: readonly TextBox[]): boolean =>
  written.some(([left, bottom, right, top]) =>
    Math.min(right, box[2]) - Math.max(left, box[0]) > 1 &&
    Math.min(top, box[3]) - Math.max(bottom, box[1]) > 1
  );

/** Places beside a text, the best first. */
function beside(
  { box: [x1, y1, x2, y2], size: [pageWidth] }: FoundText,
  [width, height]: [number, number],
): TextBox[] {
  const along = Math.max(0, Math.min(x1, pageWidth - width));
  const level = Math.max(0, (y1 + y2 - height) / 2);
  const at = (left: number, bottom: number): TextBox => [
    left,
    bottom,
    left + width,
    bottom + height,
  ];
  const below = y1 - GAP - height;
  return [
    at(along, below),
    at(along, y2 + GAP),
    at(x2 + GAP, level),
    at(x1 - GAP - width, level),
    ...Array.from({ length: FURTHER }, (_, i) => at(along, below - (i + 1) * STEP)),
  ];
}

function refusal(
  failure: TextFailure["failure"],
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
