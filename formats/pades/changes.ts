import { FormatError } from "../error.ts";
import { Comparison } from "./compare.ts";
import type { ChangeKind, Difference } from "./difference.ts";
import type { PdfSignature } from "./inspect.ts";
import { isLocked, type Locks, readLocks } from "./locks.ts";
import { ROLES } from "./roles.ts";
import { PdfDocument } from "../pdf/document.ts";
import { formFields } from "../pdf/form.ts";
import { unlessMalformed } from "../pdf/repair.ts";
import { prefixSource, type Source } from "../source.ts";

/** One thing that later revisions changed. */
export interface Change {
  kind: ChangeKind;
  /** A field's name, or the way to what was changed. */
  name: string;
  /** Whether the signature, and those before it, allow it. */
  allowed: boolean;
  /** Something that was not on the page before was added. */
  visible?: boolean;
  /** Why not. */
  reason?: string;
}

/**
 * What was changed after a signature, judged by its DocMDP and FieldMDP and those before it. The
 * signed revision is compared with the last one, object by object, from the trailer on; what is
 * not known to be harmless is not allowed, so that nothing can be hidden, replaced or made to
 * appear (“shadow attacks”).
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
      "The signature does not cover a revision of the document, so nothing can be compared.",
    );
  }
  if (signature.coverage === "document") return [];
  const before = PdfDocument.open(prefixSource(source, signature.revisionEnd), password);
  const after = PdfDocument.open(source, password);
  const differences = unlessMalformed(() => new Comparison(before, after, ROLES).run());
  if (!differences || before.recovered || after.recovered) {
    return [{
      kind: "other",
      name: "structure",
      allowed: false,
      reason: "The file is damaged, so what was changed cannot be told.",
    }];
  }
  const locks = readLocks(before, formFields(before));
  return differences.map((difference) => judge(difference, locks));
}

function judge({ kind, name, visible, reason }: Difference, locks: Locks): Change {
  const refusal = reason ?? refuse(kind, name, visible ?? false, locks);
  const change: Change = { kind, name, allowed: refusal === undefined };
  if (visible) change.visible = true;
  if (refusal !== undefined) change.reason = refusal;
  return change;
}

function refuse(
  kind: ChangeKind,
  name: string,
  visible: boolean,
  locks: Locks,
): string | undefined {
  const level = locks.docMdp?.level;
  const lock = locks.fields.find(({ lock }) => isLocked(lock, name));
  switch (kind) {
    case "validation_data":
    case "metadata":
      return undefined;
    case "timestamp":
      // Always possible, as long as it shows nothing (ISO 32000-2 §12.8.2.2.2).
      if (!visible) return undefined;
      break;
    case "annotation":
      return level === 3 ? undefined : "Comments and other annotations are not allowed.";
    case "other":
      return "This is not one of the changes that a signature allows.";
  }
  if (level === 1) return `“${locks.docMdp!.by}” allows no changes.`;
  if (visible && locks.docMdp) {
    return `“${locks.docMdp.by}” certifies the document, and something visible was added.`;
  }
  // An invisible new field changes nothing that a lock protects.
  const fills = kind === "form_field" || visible;
  return lock && fills ? `“${lock.by}” locks this field.` : undefined;
}
