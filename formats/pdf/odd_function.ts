/** Functions of tints and shadings (ISO 32000-2 §7.10): where one is not as the standard says, readers compute other colours. */
import { odd } from "./content.ts";
import type { PdfDocument } from "./document.ts";
import { checkCalculator } from "./odd_calculator.ts";
import { PdfArray, PdfDict, PdfRef, PdfStream, type PdfValue } from "./value.ts";

const MAX_DEPTH = 4, MAX_FUNCTIONS = 256;
const MAX_SAMPLES = 1 << 24;
const SAMPLE_BITS = new Set([1, 2, 4, 8, 12, 16, 24]);

/** An array of numbers; undefined where there is none. */
export function numbersOf(document: PdfDocument, dict: PdfDict, key: string): number[] | undefined {
  const value = document.get(dict, key);
  if (value === null) return undefined;
  if (!(value instanceof PdfArray)) return odd();
  return value.items.map((item) => {
    const number = document.resolve(item);
    return typeof number === "number" ? number : odd();
  });
}

/** A whole number that is written as one; undefined where there is none. */
export function wholeOf(document: PdfDocument, dict: PdfDict, key: string): number | undefined {
  const value = document.get(dict, key);
  if (value === null) return undefined;
  return Number.isInteger(value) && !dict.reals?.has(key) ? value as number : odd();
}

/** Pairs of bounds, of which the first is not above the second. */
const areBounds = (pairs: readonly number[]) =>
  pairs.every((value, i) => i % 2 === 0 || value >= pairs[i - 1]);

/**
 * @param inputs how many numbers it takes
 * @param outputs how many it must give
 * @param seen numbers of the parts that were looked at
 */
export function checkFunction(
  document: PdfDocument,
  value: PdfValue | undefined,
  inputs: number,
  outputs: number,
  depth = 0,
  seen = new Set<number>(),
): void {
  if (depth > MAX_DEPTH) odd();
  const found = document.resolve(value);
  const dict = found instanceof PdfStream ? found.dict : found;
  if (!(dict instanceof PdfDict)) return odd();
  const domain = numbersOf(document, dict, "Domain");
  const range = numbersOf(document, dict, "Range");
  if (domain?.length !== 2 * inputs || !areBounds(domain)) odd();
  if (range && (range.length !== 2 * outputs || !areBounds(range))) odd();
  const type = wholeOf(document, dict, "FunctionType");
  if (type === 2 || type === 3) {
    // Some readers do not cut off what is beyond the domain or the range.
    if (inputs !== 1 || domain[0] > 0 || domain[1] < 1) odd();
    if (range && !range.every((bound, i) => i % 2 ? bound >= 1 : bound <= 0)) odd();
    if (type === 2) checkExponential(document, dict, outputs);
    else checkStitching(document, dict, domain, outputs, depth, seen);
  } else if (found instanceof PdfStream && value instanceof PdfRef && range) {
    const data = document.streamData(document.object(value)!);
    if (type === 0) checkSamples(document, dict, data, inputs, outputs);
    else if (type === 4) checkCalculator(data, inputs, outputs);
    else odd();
  } else odd();
}

function checkExponential(document: PdfDocument, dict: PdfDict, outputs: number): void {
  if (typeof document.get(dict, "N") !== "number") odd();
  for (const key of ["C0", "C1"]) {
    if ((numbersOf(document, dict, key)?.length ?? 1) !== outputs) odd();
  }
}

function checkStitching(
  document: PdfDocument,
  dict: PdfDict,
  [low, high]: readonly number[],
  outputs: number,
  depth: number,
  seen: Set<number>,
): void {
  const parts = document.array(dict, "Functions")?.items ?? [];
  const bounds = numbersOf(document, dict, "Bounds");
  const encode = numbersOf(document, dict, "Encode");
  if (parts.length === 0 || parts.length > MAX_FUNCTIONS) odd();
  if (bounds?.length !== parts.length - 1 || encode?.length !== 2 * parts.length) odd();
  const all = [low, ...bounds, high];
  if (all.some((bound, i) => i > 0 && bound < all[i - 1])) odd();
  for (const part of parts) {
    if (part instanceof PdfRef) {
      if (seen.has(part.num)) continue;
      seen.add(part.num);
    }
    checkFunction(document, part, 1, outputs, depth + 1, seen);
  }
}

function checkSamples(
  document: PdfDocument,
  dict: PdfDict,
  data: Uint8Array,
  inputs: number,
  outputs: number,
): void {
  const size = numbersOf(document, dict, "Size");
  if (size?.length !== inputs || size.some((each) => !Number.isInteger(each) || each < 2)) odd();
  const bits = wholeOf(document, dict, "BitsPerSample") ?? 0;
  const samples = size.reduce((all, each) => all * each, outputs);
  if (!SAMPLE_BITS.has(bits) || samples > MAX_SAMPLES || data.length * 8 < samples * bits) odd();
  if ((numbersOf(document, dict, "Encode")?.length ?? 2 * inputs) !== 2 * inputs) odd();
  if ((numbersOf(document, dict, "Decode")?.length ?? 2 * outputs) !== 2 * outputs) odd();
}
