/** The document as each signature knew it, and as it is now. */
import { FormatError } from "../error.ts";
import { type Change, changesBetween } from "./changes.ts";
import type { PdfSignature } from "./inspect.ts";
import { PdfDocument } from "../pdf/document.ts";
import { ambiguities } from "../pdf/readings.ts";
import type { Ambiguity, Scan } from "../pdf/scan.ts";
import { looseness } from "../pdf/strict.ts";
import { prefixSource, type Source } from "../source.ts";

/** Later versions of a signed document. */
export interface Aftermath {
  /** Which revision was signed, the first being 1, of how many, and its size; absent where that cannot be told. */
  revision?: { number: number; of: number; size: number };
  /** Changes by later revisions. */
  changes: Change[];
  /** Differences that readers may show, in the signed or the present document. */
  ambiguities: Ambiguity[];
  /** A clause on what in later revisions is not written as the standard says, see {@linkcode looseness}. */
  looseness?: string;
}

/** Limit on comparing one document, in bytes: this many, and this many times its size. */
const MAX_COMPARED = 256 * 1024 * 1024;
const MAX_TIMES = 64;

/** Compares the revisions of one document; what they have in common is read once. */
export class Versions {
  readonly #now: PdfDocument;
  #scan: Scan | undefined;
  readonly #ambiguities = new Map<string, Ambiguity[]>();
  /** Bytes of revisions that may still be compared. */
  #left: number;

  /** @param now of `source`, opened with `password` */
  constructor(readonly source: Source, readonly password: string | undefined, now: PdfDocument) {
    this.#now = now;
    this.#left = MAX_COMPARED + MAX_TIMES * source.size;
  }

  /**
   * @param signature one that covers a revision
   * @throws {FormatError} `pdf_malformed`, `limit_exceeded` where it cannot be told
   */
  since({ coverage, revisionEnd }: PdfSignature): Aftermath {
    const now = this.#now;
    const isLast = coverage === "document";
    if (!isLast && (this.#left -= revisionEnd + this.source.size) < 0) {
      throw new FormatError(
        "limit_exceeded",
        "The PDF has too many revisions to compare them all.",
      );
    }
    const signed = isLast
      ? now
      : PdfDocument.open(prefixSource(this.source, revisionEnd), this.password);
    const clause = isLast ? undefined : looseness(signed, now);
    // Nobody has to scan for objects where the cross-reference is right.
    const all = [
      ...this.#ambiguitiesOf(signed, false),
      ...this.#ambiguitiesOf(now, clause !== undefined),
    ];
    return {
      revision: this.#revision(revisionEnd),
      changes: isLast ? [] : changesBetween(signed, now),
      ambiguities: [...new Map(all.map((each) => [each.object, each])).values()],
      looseness: clause,
    };
  }

  #ambiguitiesOf(document: PdfDocument, isLoose: boolean): Ambiguity[] {
    const { size } = document.source;
    const key = `${size} ${isLoose}`;
    let known = this.#ambiguities.get(key);
    if (!known) {
      this.#scan ??= this.#now.scan();
      const within = <T extends { offset: number }>(all: T[]) =>
        all.filter(({ offset }) => offset < size);
      known = ambiguities(document, {
        definitions: within(this.#scan.definitions).filter(({ isGlued }) => !(isGlued && isLoose)),
        trailers: within(this.#scan.trailers),
      });
      this.#ambiguities.set(key, known);
    }
    return known;
  }

  #revision(end: number): Aftermath["revision"] {
    const starts = this.#now.sectionStarts();
    // A linearized file is one revision of two sections, of which the first stands behind (Annex F.3).
    const revisions = starts.filter((start, i) => !(start < (starts[i + 1] ?? 0)));
    const number = revisions.filter((start) => this.#now.headerAt + start < end).length;
    return number > 0 ? { number, of: revisions.length, size: end } : undefined;
  }
}

/**
 * Refuses a document of which readers may show different pages: it is not known what would be signed.
 *
 * @throws {FormatError} `pdf_ambiguous`
 */
export function refuseAmbiguous(document: PdfDocument): void {
  const [first] = ambiguities(document, document.scan()).filter(({ page }) => page !== undefined);
  if (!first) return;
  throw new FormatError(
    "pdf_ambiguous",
    `Other programs may show another page ${first.page} than this one (object ${first.object}): ` +
      "the PDF can be read in more than one way. Save or print it to a new PDF and sign that.",
  );
}
