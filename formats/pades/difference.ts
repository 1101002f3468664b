/** How differences between two revisions are named. */
import type { DrawnPlace } from "./drawn.ts";

/** More are not told. */
export const MAX_DIFFERENCES = 1000;
export const TOO_MANY: Difference = {
  kind: "other",
  name: "…",
  reason: "There are too many changes.",
};

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
  /** The number of a field's object: two may have one name, and one that is new may get another name. */
  field?: number;
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

/** These turn into one another: a field waits for a signature, and gets one. */
const OF_SIGNATURE_FIELDS: ReadonlySet<ChangeKind> = new Set([
  "signature",
  "timestamp",
  "empty_signature_field",
]);

/** What a difference is about. */
export const identityOf = ({ name, field }: Difference): string | number => field ?? name;

/** Differences over several revisions, collected from the last one back, so that each is looked at once. */
export class Differences {
  readonly #known = new Map<string, Difference>();

  /** Adds those of the revision before all that were added so far. */
  addEarlier(differences: readonly Difference[]): void {
    for (const earlier of differences.toReversed()) {
      const kind = OF_SIGNATURE_FIELDS.has(earlier.kind) ? "field" : earlier.kind;
      const key = `${kind} ${identityOf(earlier)}`;
      const later = this.#known.get(key);
      if (later) this.#known.set(key, joined(earlier, later));
      else if (this.#known.size < MAX_DIFFERENCES) this.#known.set(key, earlier);
      else this.#known.set("", TOO_MANY);
    }
  }

  /** The earliest first. */
  get all(): Difference[] {
    return [...this.#known.values()].reverse();
  }
}

/** The same thing was changed twice: what either did counts, and it ended as the later one says. */
function joined(earlier: Difference, later: Difference): Difference {
  const places = [...later.isBare ? [] : earlier.places ?? [], ...later.places ?? []];
  return {
    ...later,
    isNew: earlier.isNew || later.isNew,
    places: [...new Map(places.map((place) => [JSON.stringify(place), place])).values()],
    doubt: later.doubt ?? earlier.doubt,
    reason: later.reason ?? earlier.reason,
    isAddition: earlier.isAddition && later.isAddition,
  };
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
