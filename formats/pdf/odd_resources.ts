/** What content names in its resources, as far as readers make different things of it. */
import { odd } from "./content.ts";
import type { PdfDocument } from "./document.ts";
import { PdfArray, PdfDict, PdfName, PdfStream, type PdfValue } from "./value.ts";

/** How many components a colour has: a pattern's, and where it is not known. */
export const PATTERN = -1, UNKNOWN = 0;
/** A colour out of a table has one; the highest is added to this, since readers differ about one that is higher. */
export const INDEXED = 1000;

const COMPONENTS = new Map([
  ...["DeviceGray", "G", "CalGray", "Separation"].map((name) => [name, 1] as const),
  ...["DeviceRGB", "RGB", "CalRGB", "Lab"].map((name) => [name, 3] as const),
  ...["DeviceCMYK", "CMYK"].map((name) => [name, 4] as const),
  ["Pattern", PATTERN] as const,
]);
/** More are beyond what readers have room for (ISO 32000-1 Annex C.2). */
const MAX_COMPONENTS = 32;
/** Spaces that may stand for those of devices (§8.6.5.6): not all readers take others. */
const DEFAULTS = new Set([
  "ICCBased",
  "CalGray",
  "CalRGB",
  "DeviceGray",
  "DeviceRGB",
  "DeviceCMYK",
]);
/** §11.3.5 */
const BLENDS = new Set(
  ("Normal Compatible Multiply Screen Overlay Darken Lighten ColorDodge ColorBurn HardLight SoftLight Difference " +
    "Exclusion Hue Saturation Color Luminosity").split(" "),
);

const nameOf = (value: PdfValue | undefined) => value instanceof PdfName ? value.value : undefined;

/**
 * How many numbers a colour has in a space (§8.6).
 *
 * @param value of a resource; undefined where there is none by this name
 */
export function componentsOf(
  document: PdfDocument,
  name: string,
  value: PdfValue | undefined,
): number {
  const known = COMPONENTS.get(name);
  if (known !== undefined) return known;
  const space = document.resolve(value);
  if (!(space instanceof PdfArray)) return COMPONENTS.get(nameOf(space) ?? "") ?? UNKNOWN;
  const [family, first, highest] = space.items.slice(0, 3).map((item) => document.resolve(item));
  switch (nameOf(family)) {
    case "Indexed":
    case "I":
      return typeof highest === "number" ? INDEXED + highest : odd();
    case "ICCBased":
      return first instanceof PdfStream ? document.number(first.dict, "N") ?? UNKNOWN : UNKNOWN;
    case "DeviceN": {
      if (!(first instanceof PdfArray)) return UNKNOWN;
      if (first.items.length > MAX_COMPONENTS) odd();
      // Some readers draw nothing with it, others with the alternate space.
      if (first.items.every((item) => nameOf(document.resolve(item)) === "None")) odd();
      return first.items.length;
    }
    case "Separation":
      if (nameOf(first) === "None") odd();
  }
  return COMPONENTS.get(nameOf(family) ?? "") ?? UNKNOWN;
}

/** @param spaces resources of colour spaces */
export function checkDefaults(document: PdfDocument, spaces: PdfDict | undefined): void {
  for (const key of ["DefaultGray", "DefaultRGB", "DefaultCMYK"]) {
    const value = spaces && document.get(spaces, key);
    const family = value instanceof PdfArray ? document.resolve(value.items[0]) : value;
    if (family && !DEFAULTS.has(nameOf(family) ?? "")) odd();
  }
}

/** A dictionary of graphics state parameters (§8.4.5). */
export function checkState(document: PdfDocument, state: PdfDict): void {
  for (const key of ["ca", "CA"]) {
    const alpha = document.get(state, key);
    if (alpha !== null && !(typeof alpha === "number" && alpha >= 0 && alpha <= 1)) odd();
  }
  const blend = document.get(state, "BM");
  const first = blend instanceof PdfArray ? blend.items[0] : undefined;
  if (first !== undefined && !BLENDS.has(nameOf(document.resolve(first)) ?? "")) odd();
  // Few readers apply transfer functions, which may turn black into white.
  for (const key of ["TR", "TR2"]) {
    const transfer = document.get(state, key);
    if (transfer !== null && !(transfer instanceof PdfName)) odd();
  }
}
