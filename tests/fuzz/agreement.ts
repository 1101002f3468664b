/**
 * Signed PDFs that are changed afterwards, by kinds; for those that are still called valid, other engines must show
 * what was signed. Each kind has harmless variants too, so that refusing everything does not pass.
 */
import { join } from "node:path";
import { digest } from "../../formats/digest.ts";
import type { SignatureReport } from "../../formats/verify/report.ts";
import { verifyBytes } from "../../formats/verify/verify.ts";
import { difference, type Engine, type Seen } from "../fixtures/pdf_engines.ts";
import { signPdf } from "../fixtures/sign_pdf.ts";
import {
  anchors,
  asha,
  type Base,
  bases,
  type Mutant,
  type Next,
  now,
  oneOf,
  pick,
  WAITING,
} from "./agreement_bases.ts";
import { drawnOtherwise } from "./agreement_drawn.ts";
import {
  everythingPdf,
  objectKinds,
  objectsRevision,
  xfaPdf,
  xfaRevision,
} from "./agreement_objects.ts";
import { contentWrittenOtherwise } from "./agreement_content.ts";
import { writtenOtherwise } from "./agreement_pages.ts";
import { hybridRevision, streamRevision, tableRevision } from "./agreement_revisions.ts";
import {
  bounds,
  laterSignature,
  linearized,
  mutatedRevision,
  signedWrongly,
} from "./agreement_signatures.ts";
import { generator } from "./mutate.ts";

const anyBase = (next: Next) => pick(next, [bases.table, bases.linearized, bases.hybrid]);
const on = (kind: string, base: Base, bytes: Uint8Array): Mutant => ({
  kind,
  base: base.bytes,
  bytes,
});

const KINDS: Record<string, (next: Next) => Mutant> = {
  table(next) {
    const base = anyBase(next);
    return on("table", base, tableRevision(next, base, "entries"));
  },
  trailer(next) {
    const base = anyBase(next);
    return on("trailer", base, tableRevision(next, base, "trailer"));
  },
  stream(next) {
    const base = pick(next, [bases.stream, bases.extended]);
    return on("stream", base, streamRevision(next, base));
  },
  encrypted(next) {
    const base = pick(next, [bases.rc4, bases.aes, bases.packed]);
    const bytes = base === bases.packed
      ? streamRevision(next, base)
      : tableRevision(next, base, pick(next, ["entries", "trailer"]));
    return on("encrypted", base, bytes);
  },
  hybrid(next) {
    const base = anyBase(next);
    return on("hybrid", base, hybridRevision(next, base));
  },
  signed: oneOf(600, signedWrongly),
  pages: oneOf(1500, writtenOtherwise),
  content: oneOf(1500, contentWrittenOtherwise),
  drawn: oneOf(1500, drawnOtherwise),
  linearization: oneOf(400, linearized),
  revision: mutatedRevision,
  bounds: oneOf(400, (next) => on("bounds", bases.table, bounds(next, bases.table))),
  signature: oneOf(1000, (next) => {
    const base = pick(next, [bases.table, bases.stream, bases.hybrid, bases.linearized]);
    return on("signature", base, laterSignature(next, base));
  }),
};

const everything = {
  approved: signPdf(everythingPdf(), asha),
  certified: signPdf(everythingPdf(), asha, { certify: 3 }),
};
for (const kind of objectKinds) {
  const base = everything[kind === "comments" ? "certified" : "approved"];
  KINDS[kind] = (next) => ({ kind, base, bytes: objectsRevision(kind, next, base) });
}

const xfa = signPdf(xfaPdf(), asha);
KINDS.xfa = (next) => {
  const { bytes, isOther } = xfaRevision(next, xfa);
  return { kind: "xfa", base: xfa, bytes, mustFail: isOther ? "another XFA form" : undefined };
};

export const kinds = Object.keys(KINDS);

/** The mutant of one case; kinds take turns. */
export function mutant(seed: number, index: number): Mutant {
  const next = generator(Math.imul(seed, 0x9e3779b1) + index);
  return KINDS[kinds[index % kinds.length]](next);
}

/** Verdict on the first signature; undefined if the file cannot be read. */
export function judge(bytes: Uint8Array): SignatureReport | undefined {
  try {
    return verifyBytes(bytes, { now, anchors, revocation: "if_available" }).signatures[0];
  } catch (error) {
    if (error instanceof Error && error.name === "FormatError") return undefined;
    throw error;
  }
}

/** Of each kind, at least so many of 100 are still valid: refusing everything would be no way out. */
export const FLOOR = 5;

/** Results of the mutants of a kind. */
export interface Counts {
  mutants: number;
  /** Those that no other case had before. */
  distinct: number;
  /** The others are not clear in what they show, or forbidden, or unreadable. */
  passed: number;
}

/** A mutant that is called valid although an engine shows something else than was signed. */
export interface Disagreement {
  index: number;
  kind: string;
  engine: string;
  what: string;
  bytes: Uint8Array;
}

/** Judges mutants, and asks the engines about those that pass. */
export class Agreement {
  readonly counts = new Map<string, Counts>(
    kinds.map((kind) => [kind, { mutants: 0, distinct: 0, passed: 0 }]),
  );
  readonly disagreements: Disagreement[] = [];
  /** Whether a mutant passes, by its digest. */
  readonly #known = new Map<string, boolean>();

  /** Tries the cases of a seed, in their order. Several may run at the same time, with other engines and folders. */
  async run(seed: number, cases: Iterable<number>, desk: Desk): Promise<void> {
    for (const index of cases) {
      const { kind, base, bytes, isWhole, isOther, mustFail } = mutant(seed, index);
      const told = this.counts.get(kind)!;
      told.mutants++;
      const key = digest("SHA-256", bytes).toHex();
      let passed = this.#known.get(key);
      if (passed === undefined) {
        told.distinct++;
        const report = judge(bytes);
        passed = report?.indication === "TOTAL-PASSED";
        this.#known.set(key, passed);
        const differing = !passed
          ? []
          : mustFail
          ? [{ engine: "other readers", what: mustFail, isOpen: true }]
          : isOther
          ? await desk.unlike(base, bytes, report!)
          : (await desk.differences(base, bytes, report!)).filter(({ isOpen }) =>
            isOpen || !isWhole
          );
        for (const { engine, what } of differing) {
          this.disagreements.push({ index, kind, bytes, engine, what });
        }
      }
      if (passed) told.passed++;
    }
  }
}

/** Engines, and a folder for the files that they read. */
export class Desk {
  readonly #path: string;
  readonly #signed = new Map<Uint8Array, (Seen | undefined)[]>();

  constructor(readonly engines: readonly Engine[], folder: string) {
    this.#path = join(folder, "mutant.pdf");
  }

  async #look(bytes: Uint8Array): Promise<(Seen | undefined)[]> {
    await Deno.writeFile(this.#path, bytes as Uint8Array<ArrayBuffer>);
    return await Promise.all(this.engines.map((engine) => engine.look(this.#path)));
  }

  /** What engines show otherwise than in the signed document, outside boxes that the report names. */
  async differences(base: Uint8Array, bytes: Uint8Array, { changes }: SignatureReport) {
    let before = this.#signed.get(base);
    if (!before) this.#signed.set(base, before = await this.#look(base));
    const after = await this.#look(bytes);
    const boxes = changes.flatMap(({ places = [] }) => places);
    return this.engines.flatMap(({ name: engine, drawsEmptyFields }, i) => {
      const was = before[i];
      const what = was && difference(was, after[i], drawsEmptyFields ? [...boxes, WAITING] : boxes);
      return what ? [{ engine, what, isOpen: after[i] !== undefined }] : [];
    });
  }

  /** The same of a document that shows something else to everybody, or to nobody: nothing where all agree on which. */
  async unlike(base: Uint8Array, bytes: Uint8Array, report: SignatureReport) {
    const differing = await this.differences(base, bytes, report);
    const all = new Map(differing.map((each) => [each.engine, each.isOpen]));
    // One that draws nothing sees less.
    const isUnlike = this.engines.every(({ name }, i) =>
      all.has(name) || !this.#signed.get(base)![i]?.pictures
    );
    return isUnlike ? [] : differing.filter(({ isOpen }) => isOpen);
  }
}
