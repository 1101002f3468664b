/** Images (ISO 32000-2 §8.9.5): where one is not as its dictionary says, readers draw different parts of it, or nothing. */
import { odd } from "./content.ts";
import type { PdfDocument } from "./document.ts";
import { decodeStream, unfilterPng } from "./filter.ts";
import { checkSpace } from "./odd_colour.ts";
import { numbersOf, wholeOf } from "./odd_function.ts";
import { type Outline, outlineOfJpeg, outlineOfJpeg2000 } from "./odd_jpeg.ts";
import { componentsOf, INDEXED } from "./odd_resources.ts";
import { PdfArray, PdfDict, PdfName, PdfRef, PdfStream, type PdfValue } from "./value.ts";

/** Of inline images; some readers know them here too. */
const SHORT = ["W", "H", "BPC", "CS", "D", "DP", "IM", "I"];
/** What may stand before the last filter. */
const PLAIN = new Set(["FlateDecode", "ASCIIHexDecode", "ASCII85Decode"]);
const RAW = new Set([...PLAIN, "LZWDecode", "RunLengthDecode"]);
const OF_IMAGES = new Set([
  ...["DCTDecode", "DCT", "JPXDecode", "CCITTFaxDecode", "CCF", "JBIG2Decode"],
]);
const MAX_SIDE = 1 << 16;
/** Larger images are not decoded, nor those for which nothing of the budget is left: whole books are scanned. */
const MAX_DECODED = 60 << 20;
/** A byte or two too few are no missing row. */
const MAX_MISSING = 2;

/** How an image's data are coded: its last filter, if that is one of images, and its parameters. */
interface Coding {
  last: string;
  parms: PdfDict | undefined;
  /** Of the filters before. */
  names: string[];
}

/** How many bytes of images and fonts may still be decoded. */
export interface Budget {
  has(bytes: number): boolean;
  /** @throws {FormatError} `limit_exceeded` */
  spend(bytes: number): void;
}

/** @param kind whether it says how much another one covers (§11.6.5.2, §8.9.6.3) */
export function checkImage(
  document: PdfDocument,
  ref: PdfRef,
  budget: Budget,
  kind: "image" | "soft" | "stencil" = "image",
): void {
  const stream = document.resolve(ref);
  if (!(stream instanceof PdfStream)) return odd();
  const { dict } = stream;
  if (SHORT.some((key) => dict.get(key) !== undefined) || dict.get("F") !== undefined) odd();
  const width = wholeOf(document, dict, "Width") ?? 0;
  const height = wholeOf(document, dict, "Height") ?? 0;
  if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) odd();
  const isMask = document.get(dict, "ImageMask");
  if (isMask !== null && typeof isMask !== "boolean") odd();
  const isStencil = isMask === true;
  if (kind !== "image" && isStencil !== (kind === "stencil")) odd();
  const coding = codingOf(document, dict);
  const isJpeg2000 = coding.last === "JPXDecode";
  const bits = bitsOf(document, dict, coding.last, isStencil);
  const space = document.get(dict, "ColorSpace");
  let components = 1, highest = Infinity;
  if (!isStencil) {
    components = componentsOf(document, "", space);
    checkSpace(document, dict.get("ColorSpace"));
    const isTable = components >= INDEXED;
    if (isTable) {
      highest = components - INDEXED;
      components = 1;
    }
    if (space === null ? !isJpeg2000 : components < 1 || isLab(document, space)) odd();
    if (kind === "soft" && !(space instanceof PdfName && space.value === "DeviceGray")) odd();
    if (isTable && (kind !== "image" || bits === 16)) odd();
    if (isJpeg2000 && document.get(dict, "Decode") !== null) odd();
    checkDecode(document, dict, isTable ? 2 ** bits - 1 : 1, space === null ? 0 : components);
  } else {
    if (document.get(dict, "SMask") !== null || document.get(dict, "Mask") !== null) odd();
    checkDecode(document, dict, 1, 1);
  }
  const known = space === null && !isStencil ? 0 : components;
  checkData(document, ref, { width, height, components: known }, {
    ...coding,
    bits,
    highest,
  }, budget);
  if (kind === "image" && !isStencil) checkMasks(document, dict, bits, components, budget);
}

function isLab(document: PdfDocument, space: PdfValue): boolean {
  const family = space instanceof PdfArray ? document.resolve(space.items[0]) : space;
  return family instanceof PdfName && family.value === "Lab";
}

function codingOf(document: PdfDocument, dict: PdfDict): Coding {
  const filter = document.get(dict, "Filter"), parms = document.get(dict, "DecodeParms");
  const isList = filter instanceof PdfArray;
  const filters = isList ? filter.items : filter === null ? [] : [filter];
  const names = filters.map((each) => {
    const name = document.resolve(each);
    return name instanceof PdfName ? name.value : odd();
  });
  // Some readers take parameters of one filter for those of a list, others do not.
  if (parms !== null && (parms instanceof PdfArray) !== isList) {
    if (!(isList && names.length === 1)) odd();
  }
  const last = names.at(-1) ?? "";
  const isOfImage = OF_IMAGES.has(last);
  const before = isOfImage ? names.slice(0, -1) : names;
  if (!before.every((name) => (isOfImage ? PLAIN : RAW).has(name))) odd();
  const own = parms instanceof PdfArray ? document.resolve(parms.items[names.length - 1]) : parms;
  return {
    last: isOfImage ? last : "",
    parms: own instanceof PdfDict ? own : undefined,
    names: before,
  };
}

function bitsOf(document: PdfDocument, dict: PdfDict, last: string, isStencil: boolean): number {
  const bits = wholeOf(document, dict, "BitsPerComponent");
  if (last === "JPXDecode") return isStencil ? odd() : 8;
  if (last === "DCTDecode" || last === "DCT") return isStencil || bits !== 8 ? odd() : bits;
  if (isStencil) return bits === undefined || bits === 1 ? 1 : odd();
  if (last !== "") return bits === 1 ? 1 : odd();
  return [1, 2, 4, 8, 16].includes(bits ?? 0) ? bits! : odd();
}

/** Other bounds than all or nothing are passed over by some readers. */
function checkDecode(document: PdfDocument, dict: PdfDict, highest: number, components: number) {
  const decode = numbersOf(document, dict, "Decode");
  if (!decode) return;
  if (decode.length !== 2 * components) odd();
  const isUpright = (low: number, high: number) => low === 0 && high === highest;
  for (let i = 0; i < decode.length; i += 2) {
    const [a, b] = [decode[i], decode[i + 1]];
    if (!isUpright(a, b) && !(isUpright(b, a) && highest === 1)) odd();
  }
}

function checkData(
  document: PdfDocument,
  ref: PdfRef,
  said: Outline,
  coding: Coding & { bits: number; highest: number },
  budget: Budget,
): void {
  const object = document.object(ref)!;
  const { dict } = object.value as PdfStream;
  const { last, parms, bits } = coding;
  const row = Math.ceil(said.width * said.components * bits / 8);
  if (document.rawStream(object).length === 0) odd();
  if (last === "CCITTFaxDecode" || last === "CCF") return checkFax(document, parms, said);
  if (last === "JBIG2Decode") return;
  const size = row * said.height;
  if (last === "" && (size > MAX_DECODED || !budget.has(size))) return;
  // What the last filter makes is counted, not what a predictor makes of it.
  const entries = new Map(dict.entries);
  if (last !== "") entries.set("Filter", withoutLast(document, dict));
  const isPredicted = checkPredictor(document, parms, said, bits);
  entries.delete("DecodeParms");
  const data = decoded(document, object, new PdfDict(entries, dict.spans, dict.start, dict.end));
  budget.spend(data.length);
  if (last === "") {
    const length = (row + (isPredicted ? 1 : 0)) * said.height;
    if (data.length < length - MAX_MISSING) odd();
    const { highest } = coding;
    if (isPredicted) checkRowFilters(data, row);
    if (bits !== 8 || highest >= 255) return;
    // One reader draws black, others the last colour, where an index is beyond the table.
    const rows = isPredicted ? unfilterPng(data, row, 1) : data;
    if (rows.some((index) => index > highest)) odd();
    return;
  }
  const found = last === "JPXDecode" ? outlineOfJpeg2000(data) : outlineOfJpeg(data);
  if (found.width !== said.width || found.height !== said.height) odd();
  // Without a colour space, a fourth component may be how much is seen of the others.
  if (said.components === 0 && found.components % 2 === 0) odd();
  if (said.components > 0 && found.components !== said.components) odd();
}

function withoutLast(document: PdfDocument, dict: PdfDict): PdfValue {
  const filter = document.get(dict, "Filter");
  return filter instanceof PdfArray
    ? new PdfArray(filter.items.slice(0, -1), filter.start, filter.end)
    : null;
}

function decoded(
  document: PdfDocument,
  object: NonNullable<ReturnType<PdfDocument["object"]>>,
  dict: PdfDict,
): Uint8Array {
  return decodeStream(dict, document.decrypted(object), (value) => document.resolve(value), true);
}

function checkRowFilters(data: Uint8Array, row: number): void {
  for (let at = 0; at < data.length; at += row + 1) if (data[at] > 4) odd();
}

/** @returns whether each row has a byte more */
function checkPredictor(
  document: PdfDocument,
  parms: PdfDict | undefined,
  { width, components }: Outline,
  bits: number,
): boolean {
  const predictor = (parms && wholeOf(document, parms, "Predictor")) ?? 1;
  if (!parms || predictor === 1) return false;
  const of = (key: string, fallback: number) => wholeOf(document, parms, key) ?? fallback;
  const isRight = of("Colors", 1) === components && of("Columns", 1) === width &&
    of("BitsPerComponent", 8) === bits && (predictor === 2 ? bits === 8 : predictor >= 10);
  return isRight && predictor <= 15 ? predictor >= 10 : odd();
}

function checkFax(document: PdfDocument, parms: PdfDict | undefined, said: Outline): void {
  if (said.components !== 1) odd();
  const columns = parms && wholeOf(document, parms, "Columns") || 1728;
  if (columns !== said.width) odd();
  if (!parms) return;
  wholeOf(document, parms, "K");
  for (const key of ["BlackIs1", "EncodedByteAlign", "EndOfLine", "EndOfBlock"]) {
    const value = document.get(parms, key);
    if (value !== null && typeof value !== "boolean") odd();
  }
}

function checkMasks(
  document: PdfDocument,
  dict: PdfDict,
  bits: number,
  components: number,
  budget: Budget,
): void {
  const soft = document.get(dict, "SMask");
  if (soft !== null && !(soft instanceof PdfName)) {
    const ref = dict.get("SMask");
    if (!(ref instanceof PdfRef)) odd();
    checkImage(document, ref, budget, "soft");
  }
  if ((document.get(dict, "SMaskInData") ?? 0) !== 0) odd();
  const mask = dict.get("Mask");
  const value = document.resolve(mask);
  if (value instanceof PdfStream && mask instanceof PdfRef) {
    checkImage(document, mask, budget, "stencil");
  } else if (value !== null) {
    const colours = numbersOf(document, dict, "Mask")!;
    const isRight = colours.length === 2 * components &&
      colours.every((each) => Number.isInteger(each) && each >= 0 && each < 2 ** bits) &&
      !(value as PdfArray).reals?.size;
    if (!isRight) odd();
  }
}
