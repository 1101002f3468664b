/** How differences between two revisions are named. */
import { PdfName, PdfRef, PdfString, type PdfValue } from "../pdf/value.ts";

/** What was changed, as far as it is known. */
export type ChangeKind =
  | "signature"
  | "timestamp"
  | "empty_signature_field"
  | "form_field"
  | "annotation"
  | "validation_data"
  | "metadata"
  | "other";

/** A difference between two revisions, before it is judged. */
export interface Difference {
  kind: ChangeKind;
  name: string;
  /** An appearance on a page that was not there before. */
  visible?: boolean;
  /** Why no signature ever allows it. */
  reason?: string;
}

/** The way to a value, for reports. */
export interface Path {
  parent?: Path;
  step: string | number;
}

/** Whether a value is the same reference. */
export function sameRef(a: PdfRef, b: PdfValue): boolean {
  return b instanceof PdfRef && a.num === b.num && a.gen === b.gen;
}

/** Whether bytes are the same. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Whether two values that hold no others are the same. */
export function sameScalar(a: PdfValue, b: PdfValue): boolean {
  if (a instanceof PdfName && b instanceof PdfName) return a.value === b.value;
  if (a instanceof PdfString && b instanceof PdfString) return sameBytes(a.bytes, b.bytes);
  if (a instanceof PdfRef) return sameRef(a, b);
  return a === b && (a === null || typeof a !== "object");
}

/** `Root/Pages/Kids/3/Contents`. */
export function pathName(path: Path): string {
  const steps: (string | number)[] = [];
  for (let at: Path | undefined = path; at; at = at.parent) steps.unshift(at.step);
  const whole = steps.slice(steps.length > 1 ? 1 : 0).join("/");
  return whole.length > 200 ? `…${whole.slice(-200)}` : whole;
}
