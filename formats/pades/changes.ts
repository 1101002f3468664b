import { FormatError } from "../error.ts";
import { Comparison } from "./compare.ts";
import type { ChangeKind, Difference } from "./difference.ts";
import type { DrawnPlace } from "./drawn.ts";
import type { PdfSignature } from "./inspect.ts";
import { isLocked, type Locks, readLocks } from "./locks.ts";
import { ROLES } from "./roles.ts";
import { PdfDocument } from "../pdf/document.ts";
import { formFields } from "../pdf/form.ts";
import { unlessMalformed } from "../pdf/malformed.ts";
import { prefixSource, type Source } from "../source.ts";

/** One thing that later revisions changed. */
export interface Change {
  kind: ChangeKind;
  /** A field's name, or the way to what was changed. */
  name: string;
  /** Whether this signature and the earlier ones allow this kind of change. */
  allowed: boolean;
  /** Not forbidden, but it may draw, run or hide something that nobody vouches for; then it is not `allowed`. */
  unclear?: true;
  /** Areas with newly drawn content. */
  places?: DrawnPlace[];
  /** It is allowed as the appearance of this later signature, and counts only if that is trusted. */
  signedBy?: string;
  /** Why it is not allowed. */
  reason?: string;
}

/** A change that is drawn is harmless only where it leaves nine tenths of its page alone. */
const MAX_SHARE = 0.1;
/** The same for all later signatures on one page. */
const MAX_TOGETHER = 0.5;

/**
 * Finds the changes after a signature and judges them by its DocMDP and FieldMDP and those before it.
 * Compares the signed revision with the last one by value, starting from the trailer; a change not known
 * to be harmless is not allowed, so that nothing can be hidden, replaced or made to appear
 * (“shadow attacks”).
 *
 * @returns empty when nothing changed
 * @throws FormatError as `inspectSignatures`; `invalid_argument` for a signature of partial
 *   coverage
 */
export function changesAfter(
  source: Source,
  signature: Pick<PdfSignature, "coverage" | "revisionEnd">,
  password?: string,
): Change[] {
  if (signature.coverage === "partial") {
    throw new FormatError(
      "invalid_argument",
      "The signature does not cover a whole revision of the document, so there is nothing to compare.",
    );
  }
  if (signature.coverage === "document") return [];
  return changesBetween(
    PdfDocument.open(prefixSource(source, signature.revisionEnd), password),
    PdfDocument.open(source, password),
  );
}

/** As {@linkcode changesAfter}, between two revisions that are open. */
function changesBetween(before: PdfDocument, after: PdfDocument): Change[] {
  const differences = differencesBetween(before, after);
  return judgeDifferences(differences, readLocks(before, formFields(before)));
}

/** What two revisions have not in common; undefined where that cannot be told. */
export function differencesBetween(
  before: PdfDocument,
  after: PdfDocument,
): Difference[] | undefined {
  const differences = unlessMalformed(() => new Comparison(before, after, ROLES).run());
  return before.recovered || after.recovered ? undefined : differences;
}

/** What a signature makes of differences after it. @param locks by it and those before it */
export function judgeDifferences(
  differences: readonly Difference[] | undefined,
  locks: Locks,
): Change[] {
  if (!differences) {
    return [{
      kind: "other",
      name: "structure",
      allowed: false,
      unclear: true,
      reason: "The file is damaged, so what was changed cannot be told.",
    }];
  }
  const shares = new Map<number, number>();
  for (const { kind, places = [] } of differences) {
    if (kind !== "signature") continue;
    for (const { page, share } of places) shares.set(page, (shares.get(page) ?? 0) + share);
  }
  return differences.map((difference) => crowded(judge(difference, locks), shares));
}

/** Many signatures could cover a page, though each of them is small. */
function crowded(change: Change, shares: ReadonlyMap<number, number>): Change {
  const isCrowded = change.signedBy !== undefined &&
    change.places?.some(({ page }) => shares.get(page)! >= MAX_TOGETHER);
  if (!isCrowded) return change;
  const { signedBy: _, ...rest } = change;
  const reason = "Together with others it takes half of its page or more.";
  return { ...rest, allowed: false, unclear: true, reason };
}

function judge(difference: Difference, locks: Locks): Change {
  const { kind, name, places = [], isAddition, reason } = difference;
  const change: Change = { kind, name, allowed: true };
  if (places.length > 0) change.places = places;
  const forbidden = isAddition && !locks.docMdp ? undefined : forbid(difference, locks);
  if (forbidden !== undefined) return { ...change, allowed: false, reason: forbidden };
  const unclear = isAddition
    ? reason ?? "It is not known what this addition does."
    : doubt(difference, locks);
  if (unclear !== undefined) return { ...change, allowed: false, unclear: true, reason: unclear };
  if (kind === "signature" && places.length > 0) change.signedBy = name;
  return change;
}

/** Why a change must not be, by what was signed. */
function forbid({ kind, name, isNew, places = [], isBare, reason }: Difference, locks: Locks) {
  const { docMdp, fields } = locks;
  const isDrawn = places.length > 0 && !isBare;
  const lock = fields.find(({ lock }) => isLocked(lock, name));
  switch (kind) {
    case "validation_data":
    case "metadata":
    case "read_only":
      return undefined;
    case "timestamp":
      // Always possible, as long as it shows nothing (ISO 32000-2 §12.8.2.2.2).
      if (!isDrawn) return undefined;
      break;
    case "annotation":
      return docMdp && docMdp.level < 3
        ? `“${docMdp.by}” allows no comments and other annotations.`
        : undefined;
    case "other":
      return reason ?? "This is not one of the changes that a signature allows.";
  }
  if (docMdp?.level === 1) return `“${docMdp.by}” allows no changes.`;
  if (isNew && isDrawn && docMdp) {
    return `“${docMdp.by}” certifies the document, and something visible was added.`;
  }
  // An invisible new field changes nothing that a lock protects.
  return lock && (kind === "form_field" || isDrawn) ? `“${lock.by}” locks this field.` : undefined;
}

/** Why a change that nothing forbids may not be harmless. */
function doubt(
  { kind, places = [], isBare, doubt }: Difference,
  locks: Locks,
): string | undefined {
  if (kind === "annotation" && locks.docMdp?.level !== 3) {
    return "No signature says that comments and other annotations may be added.";
  }
  if (kind === "form_field" && !locks.docMdp) {
    return "No signature says that fields may be filled in.";
  }
  if (doubt !== undefined) return doubt;
  if (places.length === 0) return undefined;
  if (kind === "timestamp") return "A timestamp has no appearance, and this one is drawn.";
  if (kind === "empty_signature_field" && !isBare) {
    return "A field that nobody has signed is drawn.";
  }
  if (new Set(places.map(({ page }) => page)).size > 1) return "It is drawn on several pages.";
  const isLarge = places.reduce((sum, { share }) => sum + share, 0) >= MAX_SHARE;
  return isLarge ? "It takes a tenth of its page or more." : undefined;
}
