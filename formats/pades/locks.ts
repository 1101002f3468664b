import { FormatError } from "../error.ts";
import { PdfDocument } from "../pdf/document.ts";
import { type FormField, formFields, signatureValue, texts } from "../pdf/form.ts";
import type { Source } from "../source.ts";
import { name, PdfArray, PdfDict, type PdfDraft, textString } from "../pdf/value.ts";

/**
 * Changes that a certification allows: 1 only validation data and document timestamps,
 * 2 also form filling and signatures, 3 also annotations (ISO 32000-2 Table 257).
 */
export type DocMdp = 1 | 2 | 3;

/** Which fields may no longer change (ISO 32000-2 Tables 236, 259). */
export type FieldLock =
  | { action: "All" }
  | { action: "Include" | "Exclude"; fields: string[] };

/** Permissions left by earlier signatures. */
export interface Locks {
  /** The strictest DocMDP level, and the field that set it. */
  docMdp?: { level: DocMdp; by: string };
  fields: { lock: FieldLock; by: string }[];
  signatures: number;
}

/** Whether a lock covers a field or one of its ancestors. */
export function isLocked(lock: FieldLock, name: string): boolean {
  if (lock.action === "All") return true;
  const named = lock.fields.some((field) => name === field || name.startsWith(`${field}.`));
  return named === (lock.action === "Include");
}

/** Reads a field lock or FieldMDP parameters. */
export function readFieldLock(document: PdfDocument, dict: PdfDict): FieldLock | undefined {
  const action = document.name(dict, "Action");
  if (action === undefined) return undefined;
  if (action === "Include" || action === "Exclude") {
    return { action, fields: texts(document, dict.get("Fields")) };
  }
  // An action we do not know may mean anything, hence everything.
  return { action: "All" };
}

/** Restrictions of one signature: from its references, and from the lock of its field. */
export function signatureLocks(
  document: PdfDocument,
  field: FormField,
  signature: PdfDict,
): { docMdp?: DocMdp; fieldLocks: FieldLock[] } {
  const fieldLocks: FieldLock[] = [];
  let docMdp: DocMdp | undefined;
  const restrict = (level: number | undefined) => {
    const known = level === 1 || level === 3 ? level : 2;
    docMdp = docMdp === undefined || known < docMdp ? known : docMdp;
  };
  const references = document.get(signature, "Reference");
  for (const item of references instanceof PdfArray ? references.items : []) {
    const reference = document.resolve(item);
    if (!(reference instanceof PdfDict)) continue;
    const params = document.dict(reference, "TransformParams");
    const method = document.name(reference, "TransformMethod");
    if (method === "DocMDP") restrict(params && document.number(params, "P"));
    if (method === "FieldMDP" && params) {
      const lock = readFieldLock(document, params);
      if (lock) fieldLocks.push(lock);
    }
  }
  const lock = document.dict(field.dict, "Lock");
  if (lock) {
    const fieldLock = readFieldLock(document, lock);
    if (fieldLock) fieldLocks.push(fieldLock);
    const level = document.number(lock, "P");
    if (level !== undefined) restrict(level);
  }
  return { docMdp, fieldLocks };
}

/** Collects what all signatures of the document demand. */
export function readLocks(document: PdfDocument, fields: readonly FormField[]): Locks {
  const out: Locks = { fields: [], signatures: 0 };
  for (const field of fields) {
    const signature = signatureValue(document, field);
    if (!signature) continue;
    out.signatures++;
    const { docMdp, fieldLocks } = signatureLocks(document, field, signature);
    if (docMdp !== undefined && !(out.docMdp && out.docMdp.level <= docMdp)) {
      out.docMdp = { level: docMdp, by: field.name };
    }
    for (const lock of fieldLocks) out.fields.push({ lock, by: field.name });
  }
  return out;
}

/**
 * Refuses a signature that earlier ones forbid. Document timestamps are always allowed
 * (ISO 32000-2 §12.8.2.2.2).
 *
 * @param visible a new field with an appearance; validators reject one after a certification
 * @throws FormatError `document_locked`
 */
export function checkLocks(locks: Locks, name: string, visible: boolean): void {
  const { docMdp } = locks;
  if (docMdp?.level === 1) {
    throw new FormatError(
      "document_locked",
      `The signature “${docMdp.by}” certifies the document and allows no changes after it.`,
    );
  }
  if (docMdp && visible) {
    throw new FormatError(
      "document_locked",
      `The signature “${docMdp.by}” certifies the document: only an existing field or an ` +
        "invisible signature can be signed after it.",
    );
  }
  const lock = locks.fields.find(({ lock }) => isLocked(lock, name));
  if (lock) {
    throw new FormatError(
      "document_locked",
      `The signature “${lock.by}” locks the field “${name}”.`,
    );
  }
}

/** The entries that make a lock. */
export function lockDraft(lock: FieldLock): { [key: string]: PdfDraft } {
  return lock.action === "All"
    ? { Action: name("All") }
    : { Action: name(lock.action), Fields: lock.fields.map(textString) };
}

/**
 * Whether the author of an encrypted document permits signing it (ISO 32000-2 Table 22). Only the good manners of
 * programs enforce this.
 *
 * @param field the field to be signed; default: a new one
 * @throws FormatError as `PdfDocument.open`
 */
export function permitsSigning(source: Source, password?: string, field?: string): boolean {
  const document = PdfDocument.open(source, password);
  const existing = field !== undefined && formFields(document).some(({ name }) => name === field);
  return document.crypt?.permitsSigning(existing) ?? true;
}
