/** The document as each signature knew it, and as it is now. */
import { FormatError } from "../error.ts";
import { type Change, differencesBetween, judgeDifferences } from "./changes.ts";
import { type Difference, Differences } from "./difference.ts";
import type { PdfSignature } from "./inspect.ts";
import { type Locks, readLocks } from "./locks.ts";
import type { PdfDocument } from "../pdf/document.ts";
import { formFields } from "../pdf/form.ts";
import { oddContents } from "../pdf/odd_content.ts";
import { ambiguities, readings, staysOne } from "../pdf/readings.ts";
import type { Revisions } from "../pdf/revisions.ts";
import type { Ambiguity, Scan } from "../pdf/scan.ts";
import { looseness } from "../pdf/strict.ts";

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
/** Comparing walks through all objects; in bytes. */
const OBJECT_COST = 128;

/** What something comes to, or why it cannot be told. */
type Outcome<T> = { value: T } | { error: FormatError };

function attempt<T>(read: () => T): Outcome<T> {
  try {
    return { value: read() };
  } catch (error) {
    if (error instanceof FormatError) return { error };
    throw error;
  }
}

function valueOf<T>(outcome: Outcome<T>): T {
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}

/** From one signed revision to the next, or to the present document. */
interface Step {
  /** Undefined where it cannot be told. */
  differences: Difference[] | undefined;
  looseness: string | undefined;
}

/**
 * The signed revisions of one document. Each is compared with the next one, and what is found counts for all signatures
 * before it: the cost is in proportion to the number of revisions.
 */
export class Versions {
  /** By the ends of the revisions. */
  readonly #after = new Map<number, Outcome<Omit<Aftermath, "revision">>>();
  readonly #present = new Map<boolean, Outcome<Ambiguity[]>>();
  #contents: Outcome<Ambiguity[]> | undefined;
  #starts: number[] | undefined;
  #scan: Scan | undefined;
  /** Bytes of revisions that may still be compared. */
  #left: number;

  /** @param now the document that the signatures were found in, as it is */
  constructor(
    readonly now: PdfDocument,
    readonly revisions: Revisions,
    signatures: readonly PdfSignature[],
  ) {
    this.#left = MAX_COMPARED + MAX_TIMES * now.file.size;
    const signed = signatures.filter(({ coverage }) => coverage === "revision");
    const ends = new Set(signed.map(({ revisionEnd }) => revisionEnd));
    if (ends.size > 0) this.#compare([...ends].sort((a, b) => a - b));
  }

  /**
   * @param signature one that covers a revision
   * @throws {FormatError} `pdf_malformed`, `limit_exceeded` where it cannot be told
   */
  since({ coverage, revisionEnd }: PdfSignature): Aftermath {
    const known = coverage === "document" ? undefined : valueOf(this.#after.get(revisionEnd)!);
    const all = [
      ...known?.ambiguities ?? [],
      ...valueOf(this.#ambiguitiesNow(known?.looseness !== undefined)),
      // Contents that were others when this was signed are changes.
      ...valueOf(this.#contents ??= attempt(() => oddContents(this.now))),
    ];
    return {
      revision: this.#revision(revisionEnd),
      changes: known?.changes ?? [],
      ambiguities: [...new Map(all.map((each) => [each.object, each])).values()],
      looseness: known?.looseness,
    };
  }

  #compare(ends: readonly number[]): void {
    const signed: Outcome<{ locks: Locks; ambiguities: Ambiguity[] }>[] = [];
    const steps: Outcome<Step>[] = [];
    /** The revision before, where it has one reading and the next one adds to it as the standard says. */
    let sound: PdfDocument | undefined;
    let next: Outcome<PdfDocument> = attempt(() => this.revisions.open(ends[0]));
    ends.forEach((_, i) => {
      const revision = next;
      next = i + 1 < ends.length
        ? attempt(() => this.revisions.open(ends[i + 1]))
        : { value: this.now };
      let isOne = false;
      signed.push(attempt(() => {
        const document = valueOf(revision);
        const found = this.#readings(document, sound);
        isOne = found.isOne;
        return { locks: readLocks(document, formFields(document)), ...found };
      }));
      const step = attempt(() => this.#step(valueOf(revision), valueOf(next)));
      steps.push(step);
      const isExact = "value" in step && step.value.differences && !step.value.looseness;
      sound = isOne && isExact ? valueOf(revision) : undefined;
    });
    this.#collect(ends, signed, steps);
  }

  /** Gives each signed revision what was found in the steps after it. */
  #collect(
    ends: readonly number[],
    signed: readonly Outcome<{ locks: Locks; ambiguities: Ambiguity[] }>[],
    steps: readonly Outcome<Step>[],
  ): void {
    const differences = new Differences();
    let isKnown = true;
    let clause: string | undefined;
    let failed: { error: FormatError } | undefined;
    for (let i = ends.length - 1; i >= 0; i--) {
      const step = steps[i];
      if ("error" in step) failed = step;
      else {
        clause = step.value.looseness ?? clause;
        if (step.value.differences) differences.addEarlier(step.value.differences);
        else isKnown = false;
      }
      const outcome = failed ?? attempt(() => {
        const { locks, ambiguities } = valueOf(signed[i]);
        const changes = judgeDifferences(isKnown ? differences.all : undefined, locks);
        return { changes, ambiguities, looseness: clause };
      });
      this.#after.set(ends[i], outcome);
    }
  }

  #step(before: PdfDocument, after: PdfDocument): Step {
    this.#spend(after.file.size - before.file.size + OBJECT_COST * after.xref.entries.size);
    return {
      differences: differencesBetween(before, after),
      looseness: looseness(before, after),
    };
  }

  /** @param sound see {@linkcode staysOne} */
  #readings(document: PdfDocument, sound: PdfDocument | undefined): ReturnType<typeof readings> {
    const { size } = document.source;
    const isSound = sound && staysOne(sound, document, this.#found(sound.source.size, size));
    if (isSound) return { ambiguities: [], isOne: true };
    this.#spend(size);
    return readings(document, this.#found(0, size));
  }

  /** @param isLoose nobody has to scan for objects where the cross-reference is right */
  #ambiguitiesNow(isLoose: boolean): Outcome<Ambiguity[]> {
    return this.#present.getOrInsertComputed(isLoose, () =>
      attempt(() => {
        const { definitions, trailers } = this.#found(0, this.now.source.size);
        const seen = definitions.filter(({ isGlued }) => !(isGlued && isLoose));
        return ambiguities(this.now, { definitions: seen, trailers });
      }));
  }

  /** What a scan finds in a part of the file. */
  #found(start: number, end: number): Scan {
    const { definitions, trailers } = this.#scan ??= this.now.scan();
    const within = <T extends { offset: number }>(all: T[]) =>
      all.filter(({ offset }) => offset >= start && offset < end);
    return { definitions: within(definitions), trailers: within(trailers) };
  }

  #spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= 0) return;
    throw new FormatError(
      "limit_exceeded",
      "The PDF has too many revisions to compare them all.",
    );
  }

  #revision(end: number): Aftermath["revision"] {
    const starts = this.#starts ??= this.now.sectionStarts();
    // A linearized file is one revision of two sections, of which the first stands behind (Annex F.3).
    const revisions = starts.filter((start, i) => !(start < (starts[i + 1] ?? 0)));
    const number = revisions.filter((start) => this.now.headerAt + start < end).length;
    return number > 0 ? { number, of: revisions.length, size: end } : undefined;
  }
}

/** Whether readers may show different pages of a document. */
export const isAmbiguous = (document: PdfDocument): boolean =>
  [...ambiguities(document, document.scan()), ...oddContents(document)].length > 0;

/**
 * Refuses a document in which readers may find different pages: it is not known what would be signed.
 *
 * @throws {FormatError} `pdf_ambiguous`
 */
export function refuseAmbiguous(document: PdfDocument): void {
  refuse(ambiguities(document, document.scan()));
}

/**
 * Refuses a document whose contents readers may draw differently. Reading them all takes longer than preparing a
 * signature.
 *
 * @throws {FormatError} `pdf_ambiguous`, `limit_exceeded`
 */
export function refuseOddContents(document: PdfDocument): void {
  refuse(oddContents(document));
}

function refuse(ambiguities: readonly Ambiguity[]): void {
  const first = ambiguities.find(({ page }) => page !== undefined);
  if (!first) return;
  throw new FormatError(
    "pdf_ambiguous",
    `Other programs may show another page ${first.page} than this one (object ${first.object}): ` +
      "the PDF can be read in more than one way. Save or print it to a new PDF and sign that.",
  );
}
