import { FormatError } from "../error.ts";
import { PdfLexer, WINDOW_EXHAUSTED } from "./lexer.ts";
import type { Source } from "../source.ts";

/** The largest object that is parsed in one piece (its stream data aside). */
const MAX_WINDOW = 48 << 20;

/**
 * Parses at offsets of a source through windows that grow only as far as the syntax asks, and
 * bounds the work that one document can make us do.
 */
export class PdfWindow {
  #work = 0;
  #highestReference = 0;
  readonly #maxWork: number;

  constructor(readonly source: Source) {
    this.#maxWork = (16 << 20) + 8 * source.size;
  }

  /**
   * Runs `parse` on a lexer whose position 0 is `offset` of the source.
   *
   * @throws FormatError `limit_exceeded`, besides what `parse` throws
   */
  parse<T>(offset: number, parse: (lexer: PdfLexer) => T, size = 1024): T {
    const { source } = this;
    for (;; size *= 8) {
      const length = Math.min(size, MAX_WINDOW, source.size - offset);
      const last = offset + length >= source.size;
      const lexer = new PdfLexer(source.read(offset, length), 0, last);
      try {
        return parse(lexer);
      } catch (error) {
        if (error !== WINDOW_EXHAUSTED) throw error;
        if (length >= MAX_WINDOW) {
          throw new FormatError("limit_exceeded", "The PDF has an object that is too large.");
        }
      } finally {
        this.account(lexer, Math.max(64, lexer.pos));
      }
    }
  }

  /** Whether a stream's data end at an offset: white space aside, `endstream` follows. */
  endsStream(offset: number): boolean {
    return this.parse(offset, (lexer) => lexer.keyword("endstream"), 32);
  }

  /** The highest number in any reference that was read. */
  get highestReference(): number {
    return this.#highestReference;
  }

  /** Takes note of what a lexer came across, and how much it read. */
  account(lexer: PdfLexer, bytes: number): void {
    this.#highestReference = Math.max(this.#highestReference, lexer.highestReference);
    this.spend(bytes);
  }

  /** Expanding is about eight times as fast as parsing. */
  spendInflated(bytes: number): void {
    this.spend(bytes / 8);
  }

  /** Counts work against the limit of this document, in bytes looked at. */
  spend(bytes: number): void {
    this.#work += bytes;
    if (this.#work > this.#maxWork) {
      throw new FormatError("limit_exceeded", "The PDF takes too much work to read.");
    }
  }
}
