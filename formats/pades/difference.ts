/** How differences between two revisions are named. */
import type { DrawnPlace } from "./drawn.ts";

/** A change, as far as it is known. */
export type ChangeKind =
  | "signature"
  | "timestamp"
  | "empty_signature_field"
  | "form_field"
  | "read_only"
  | "annotation"
  | "validation_data"
  | "metadata"
  | "other";

/** A difference between two revisions, before it is judged. */
export interface Difference {
  kind: ChangeKind;
  name: string;
  /** A field that was not there before. */
  isNew?: boolean;
  /** Areas with newly drawn content. */
  places?: DrawnPlace[];
  /** A field without an appearance: at most, a reader marks its place. */
  isBare?: boolean;
  /** Why it may do or show more than is known, whatever allows changes of its kind. */
  doubt?: string;
  /** Why no signature ever allows it. */
  reason?: string;
  /** Nothing that was signed is gone or different: something was added, of which it is not known what it does. */
  isAddition?: boolean;
}

/** The way to a value, for reports. */
export interface Path {
  parent?: Path;
  step: string | number;
}

/** `Root/Pages/Kids/3/Contents`. */
export function pathName(path: Path): string {
  const steps: (string | number)[] = [];
  for (let at: Path | undefined = path; at; at = at.parent) steps.unshift(at.step);
  const whole = steps.slice(steps.length > 1 ? 1 : 0).join("/");
  return whole.length > 200 ? `…${whole.slice(-200)}` : whole;
}
