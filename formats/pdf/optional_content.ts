/** Optional content (ISO 32000-2 §8.11): readers differ over which of its rules they know. */
import { FormatError } from "../error.ts";
import { odd } from "./content.ts";
import type { PdfDocument } from "./document.ts";
import { PdfArray, PdfDict, PdfName, PdfRef, type PdfValue } from "./value.ts";

const MAX_DEPTH = 8;
/** Groups, intents and operands that are looked at in one document: an expression can name another one many times. */
const MAX_STEPS = 1_000_000;

export class OptionalContent {
  readonly #off = new Set<number>();
  readonly #listed = new Set<number>();
  /** Groups and memberships that all readers show or hide. */
  readonly #agreed = new Set<number>();
  #left = MAX_STEPS;

  constructor(readonly document: PdfDocument) {
    const properties = document.dict(document.catalog().value, "OCProperties");
    const config = properties && document.dict(properties, "D");
    const refs = (dict: PdfDict | undefined, key: string) =>
      (dict && document.array(dict, key))?.items.flatMap((item) =>
        item instanceof PdfRef ? [item.num] : []
      ) ?? [];
    for (const num of refs(properties, "OCGs")) this.#listed.add(num);
    if (config && document.name(config, "BaseState") === "OFF") {
      for (const num of this.#listed) this.#off.add(num);
    }
    for (const num of refs(config, "ON")) this.#off.delete(num);
    for (const num of refs(config, "OFF")) this.#off.add(num);
  }

  /**
   * @param value a group or membership that says whether something is drawn
   * @throws {FormatError} `limit_exceeded`
   */
  check(value: PdfValue | undefined): void {
    if (value instanceof PdfRef && this.#agreed.has(value.num)) return;
    const dict = this.document.resolve(value);
    if (!(dict instanceof PdfDict)) return;
    const type = this.document.name(dict, "Type");
    if (type === "OCG") this.#checkGroup(value, dict);
    else if (type === "OCMD") this.#checkMembership(dict);
    if (value instanceof PdfRef) this.#agreed.add(value.num);
  }

  /** Some readers go by what a group is used for, others not, and some know one intent only. */
  #checkGroup(value: PdfValue | undefined, group: PdfDict): void {
    const { document } = this;
    const isOn = !(value instanceof PdfRef && this.#off.has(value.num));
    const usage = document.dict(group, "Usage");
    const view = usage && document.dict(usage, "View");
    const state = view && document.name(view, "ViewState");
    if (state !== undefined && (state === "OFF") === isOn) odd();
    const intent = document.get(group, "Intent");
    const names = intent instanceof PdfArray ? intent.items : intent === null ? [] : [intent];
    this.#spend(1 + names.length);
    const isView = names.length === 0 ||
      names.some((each) =>
        each instanceof PdfName && (each.value === "View" || each.value === "All")
      );
    if (!isView && !isOn) odd();
  }

  /** Some readers know neither expressions nor policies, and draw then. */
  #checkMembership(dict: PdfDict): void {
    const { document } = this;
    const groups = document.get(dict, "OCGs");
    const all = groups instanceof PdfArray ? groups.items : [dict.get("OCGs")];
    this.#spend(all.length);
    const refs = all.filter((each) => each instanceof PdfRef);
    for (const ref of refs) {
      const group = document.resolve(ref);
      if (!(group instanceof PdfDict)) continue;
      // Of groups only (Table 97): one of memberships could lead back to itself.
      const type = document.name(group, "Type");
      if (type === "OCMD") odd();
      if (type === "OCG") this.#checkGroup(ref, group);
    }
    const states = refs.map(({ num }) => !this.#off.has(num));
    const by = {
      AnyOn: states.includes(true),
      AllOn: !states.includes(false),
      AnyOff: states.includes(false),
      AllOff: !states.includes(true),
    };
    const policy = document.name(dict, "P") ?? "AnyOn";
    const seen = [policy in by ? by[policy as keyof typeof by] : true];
    const expression = document.array(dict, "VE");
    if (expression) seen.push(this.#holds(expression, 0));
    if (refs.length === 0 && !expression) odd();
    if (policy !== "AnyOn" || expression) seen.push(true);
    if (new Set(seen).size > 1) odd();
  }

  #holds(value: PdfValue | undefined, depth: number): boolean {
    const { document } = this;
    this.#spend(1);
    const expression = document.resolve(value);
    if (!(expression instanceof PdfArray)) {
      return !(value instanceof PdfRef && this.#off.has(value.num));
    }
    if (depth > MAX_DEPTH) odd();
    const [by, ...rest] = expression.items;
    const operator = by instanceof PdfName ? by.value : "";
    const holds = rest.map((each) => this.#holds(each, depth + 1));
    return operator === "Not"
      ? !holds[0]
      : operator === "Or"
      ? holds.includes(true)
      : !holds.includes(false);
  }

  #spend(steps: number): void {
    this.#left -= steps;
    if (this.#left >= 0) return;
    throw new FormatError("limit_exceeded", "The PDF's layers take too much work to read.");
  }
}
