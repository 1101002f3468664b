/** Places a visible signature at a text of the document. */
import type { Source } from "../formats/source.ts";
import { DsignError } from "../protocol/errors.ts";
import { PdfOptions } from "../protocol/methods.ts";
import { SIZE } from "./appearance.ts";
import { throwIfCancelled } from "./errors.ts";
import type { TextAnswer, TextQuestion } from "./text_host.ts";

/** Larger documents are not searched: pdf.js holds them in memory. */
const MAX_SIZE = 128 * 1024 * 1024;
const MAX_TIME = 20_000;
const MAX_ANSWER = 4096;
const PIECE = 1024 * 1024;
/** Points between the text and the signature. */
const GAP = 2;

/** Answers where a text stands in a PDF. */
export class Placement {
  /** @param command starts the program's `pdf-text` role */
  constructor(readonly command: readonly string[]) {}

  /**
   * Where a signature is to go to a text, finds its page and rectangle; other options stay as they are.
   *
   * The signature begins below the text, at its left, or above it where the page ends before; it is moved to the left
   * where the page is too narrow. Of several places with the text the last counts.
   *
   * @throws {DsignError} `invalid_params` where the text is not there, `too_large`, `document_malformed`,
   *   `document_encrypted`, `request_cancelled`
   */
  async place(source: Source, options: PdfOptions, signal: AbortSignal): Promise<PdfOptions> {
    const { visible, password } = options;
    if (visible?.anchor === undefined) return options;
    const { anchor, page, rectangle, size = SIZE, ...rest } = visible;
    if (rectangle) {
      throw new DsignError(
        "invalid_params",
        "visible: give either an anchor or a rectangle.",
      );
    }
    const answer = await this.#ask(source, { text: anchor, page, password }, signal);
    if ("failure" in answer) throw refusal(answer.failure, anchor);
    return {
      ...options,
      visible: { ...rest, page: answer.page, rectangle: beside(answer, size as [number, number]) },
    };
  }

  async #ask(source: Source, question: TextQuestion, signal: AbortSignal): Promise<TextAnswer> {
    if (source.size > MAX_SIZE) {
      throw new DsignError(
        "too_large",
        `Text is looked for in PDFs of up to ${
          MAX_SIZE / 1024 / 1024
        } MiB. Give the place by page.`,
      );
    }
    throwIfCancelled(signal);
    const [program, ...args] = this.command;
    const ending = AbortSignal.any([signal, AbortSignal.timeout(MAX_TIME)]);
    await using child = new Deno.Command(program, {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const kill = () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // it has ended by itself
      }
    };
    ending.addEventListener("abort", kill);
    let sent: Promise<void> | undefined;
    try {
      // Where it ends before it has read everything, its answer tells, or the lack of one.
      sent = send(child.stdin, source, question).catch(() => {});
      return JSON.parse(await firstLine(child.stdout));
    } catch {
      throwIfCancelled(signal);
      throw new DsignError("document_malformed", "The PDF's text cannot be read.");
    } finally {
      ending.removeEventListener("abort", kill);
      kill();
      await sent;
    }
  }
}

async function send(
  to: WritableStream<Uint8Array>,
  source: Source,
  question: TextQuestion,
): Promise<void> {
  const writer = to.getWriter();
  await writer.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`));
  for (let at = 0; at < source.size; at += PIECE) {
    await writer.write(source.read(at, Math.min(PIECE, source.size - at)));
  }
  await writer.close();
}

async function firstLine(from: ReadableStream<Uint8Array>): Promise<string> {
  let line = "";
  for await (const piece of from.pipeThrough(new TextDecoderStream() as never)) {
    line += piece;
    if (line.includes("\n") || line.length > MAX_ANSWER) break;
  }
  return line;
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
