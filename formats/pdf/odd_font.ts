/** Fonts (ISO 32000-2 §9.5 to §9.10), as far as readers take other glyphs of them, or those of another font. */
import { odd } from "./content.ts";
import type { PdfDocument } from "./document.ts";
import { wholeOf } from "./odd_function.ts";
import { fromLatin1, PdfArray, PdfDict, PdfName, PdfRef, PdfStream } from "./value.ts";
import type { PdfValue } from "./value.ts";

const FONTS = new Set(["Type0", "Type1", "MMType1", "Type3", "TrueType"]);
const PROGRAMS = ["FontFile", "FontFile2", "FontFile3"] as const;
const TRUETYPE_TABLES = ["head", "hhea", "hmtx", "maxp"];
const SYMBOLIC = 4, NONSYMBOLIC = 32;
/** Names that readers know or not: numbers of glyphs in a font that is not there. */
const NUMBERED = /^(?:cid|glyph|index|g)\d+$/;
/** Operators of a character map that some readers do not know, or take for others. */
const ODD_MAP = /\b(?:usecmap|beginbf(?:char|range)|beginnotdef(?:char|range))\b/;
/** Collections of characters (§9.7.3) that readers have fonts for. */
const COLLECTIONS = new Set(["Japan1", "GB1", "CNS1", "Korea1", "KR", "Manga1"]);
/** Maps that readers have (Table 116). */
const PREDEFINED = new RegExp(
  "^(?:(?:Identity|Uni(?:GB|CNS|JIS|JISPro|JIS2004|JISX0213|JISX02132004|KS|AKR)-(?:UCS2|UTF8|UTF16|UTF32)(?:-HW)?|" +
    "GB-EUC|GBpc-EUC|GBK-EUC|GBKp-EUC|GBK2K|GBT-EUC|B5pc|HKscs-B5|ETen-B5|ETenms-B5|CNS-EUC|83pv-RKSJ|" +
    "90msp?-RKSJ|90pv-RKSJ|Add-RKSJ|Ext-RKSJ|EUC|KSC-EUC|KSCms-UHC(?:-HW)?|KSCpc-EUC)-)?[HV]$",
);

type Spend = (bytes: number) => void;

/** Where a font is missing, poppler leaves the text out; other readers do that where it does not say what it is. */
export function checkFont(
  document: PdfDocument,
  font: PdfValue,
  spend: Spend,
): asserts font is PdfDict {
  if (!(font instanceof PdfDict)) return odd();
  const subtype = document.name(font, "Subtype") ?? "";
  if (!FONTS.has(subtype)) odd();
  if (subtype === "Type3") return;
  if (!(document.get(font, "BaseFont") instanceof PdfName)) odd();
  if (subtype === "Type0") return checkComposite(document, font, spend);
  const descriptor = document.dict(font, "FontDescriptor");
  const isEmbedded = checkProgram(document, descriptor, spend);
  checkWidths(document, font);
  checkEncoding(document, font, { subtype, isEmbedded, descriptor });
}

function checkWidths(document: PdfDocument, font: PdfDict): void {
  const widths = document.array(font, "Widths");
  if (!widths) return;
  const first = wholeOf(document, font, "FirstChar") ?? odd();
  const last = wholeOf(document, font, "LastChar") ?? odd();
  const isRight = widths.items.every((width) => !((document.resolve(width) as number) < 0));
  if (first < 0 || last < first || !isRight) odd();
}

/** Whether a font has a program, which must be one. */
function checkProgram(
  document: PdfDocument,
  descriptor: PdfDict | undefined,
  spend: Spend,
): boolean {
  const keys = PROGRAMS.filter((key) => descriptor?.get(key) !== undefined);
  if (keys.length === 0) return false;
  const [key] = keys;
  const ref = descriptor!.get(key);
  const stream = document.resolve(ref);
  if (keys.length > 1 || !(ref instanceof PdfRef) || !(stream instanceof PdfStream)) odd();
  const data = document.streamData(document.object(ref)!, true);
  spend(data.length);
  const start = fromLatin1(data.subarray(0, 4));
  const isOpenType = ["\0\x01\0\0", "true", "OTTO"].includes(start);
  if (isOpenType) checkTables(data, start === "OTTO");
  else if (key === "FontFile2") odd();
  else if (key === "FontFile" || start.startsWith("%!")) {
    if (!start.startsWith("%!") && data[0] !== 0x80) odd();
  } else if (data.length < 4 || data[0] !== 1 || data[2] < 4 || data[3] < 1 || data[3] > 4) odd();
  return true;
}

/** OpenType's directory of tables, which must lie within it. */
function checkTables(bytes: Uint8Array, isCompact: boolean): void {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || bytes.length < 12 + 16 * data.getUint16(4)) odd();
  const tables = new Set<string>();
  for (let i = 0, at = 12; i < data.getUint16(4); i++, at += 16) {
    const end = data.getUint32(at + 8) + data.getUint32(at + 12);
    const tag = fromLatin1(bytes.subarray(at, at + 4));
    if (end <= bytes.length) tables.add(tag);
  }
  const isWhole = isCompact
    ? tables.has("CFF ")
    : tables.has("glyf") && tables.has("loca") && TRUETYPE_TABLES.every((tag) => tables.has(tag));
  if (!isWhole) odd();
}

function checkEncoding(
  document: PdfDocument,
  font: PdfDict,
  { subtype, isEmbedded, descriptor }: {
    subtype: string;
    isEmbedded: boolean;
    descriptor: PdfDict | undefined;
  },
): void {
  const encoding = document.get(font, "Encoding");
  const base = encoding instanceof PdfDict ? document.get(encoding, "BaseEncoding") : encoding;
  if (base instanceof PdfName && base.value === "MacExpertEncoding") odd();
  const differences = encoding instanceof PdfDict && document.array(encoding, "Differences");
  if (!differences) return;
  const flags = (descriptor && document.number(descriptor, "Flags")) ?? 0;
  const isTrueType = subtype === "TrueType";
  let code: number | undefined;
  differences.items.forEach((item, i) => {
    const value = document.resolve(item);
    if (typeof value === "number") {
      if (!Number.isInteger(value) || differences.reals?.has(i) || value < 0) odd();
      code = value;
    } else if (value instanceof PdfName && code !== undefined) {
      // By these names a font that is not there has no glyphs, and readers take various ones.
      if ((!isEmbedded || isTrueType) && NUMBERED.test(value.value)) odd();
      const isPlain = value.value === plainName(code);
      // Some readers go by the codes of a symbolic font, others by the names.
      if (isTrueType && isEmbedded && flags & SYMBOLIC && !(flags & NONSYMBOLIC) && !isPlain) odd();
      if (++code > 256) odd();
    } else odd();
  });
}

/** Letters have themselves as names. */
const plainName = (code: number) =>
  /[A-Za-z]/.test(String.fromCharCode(code)) ? String.fromCharCode(code) : undefined;

function checkComposite(document: PdfDocument, font: PdfDict, spend: Spend): void {
  const [first] = document.array(font, "DescendantFonts")?.items ?? [];
  const descendant = document.resolve(first);
  const encoding = document.get(font, "Encoding");
  if (!(descendant instanceof PdfDict) || encoding === null) return odd();
  const isEmbedded = checkProgram(document, document.dict(descendant, "FontDescriptor"), spend);
  const system = document.dict(descendant, "CIDSystemInfo");
  const ordering = system && document.get(system, "Ordering");
  const collection = ordering && "bytes" in (ordering as object)
    ? fromLatin1((ordering as { bytes: Uint8Array }).bytes)
    : "";
  // Codes of a font that is not there mean nothing.
  if (!isEmbedded && !COLLECTIONS.has(collection)) odd();
  if (encoding instanceof PdfName) {
    if (!PREDEFINED.test(encoding.value)) odd();
  } else if (encoding instanceof PdfStream) {
    const ref = font.get("Encoding");
    if (!(ref instanceof PdfRef) || encoding.dict.get("UseCMap") !== undefined) odd();
    const data = document.streamData(document.object(ref)!);
    spend(data.length);
    const text = fromLatin1(data);
    const isVertical = encoding.dict.get("WMode") === 1;
    if (ODD_MAP.test(text) || (isVertical && !/\/WMode\s+1\b/.test(text))) odd();
  } else odd();
  const map = document.get(descendant, "CIDToGIDMap");
  if (map instanceof PdfStream) {
    const ref = descendant.get("CIDToGIDMap");
    const data = ref instanceof PdfRef ? document.streamData(document.object(ref)!) : odd();
    spend(data.length);
    if (data.length === 0) odd();
  }
  wholeOf(document, descendant, "DW");
  checkListedWidths(document, descendant);
}

/** Widths of some characters: `c [w w w]`, or `first last w` (§9.7.4.3). */
function checkListedWidths(document: PdfDocument, font: PdfDict): void {
  const list = document.array(font, "W");
  if (!list) return;
  const { items, reals } = list;
  for (let i = 0; i < items.length;) {
    if (typeof document.resolve(items[i]) !== "number" || reals?.has(i)) odd();
    const next = document.resolve(items[i + 1]);
    if (next instanceof PdfArray) {
      if (!next.items.every((each) => typeof document.resolve(each) === "number")) odd();
      i += 2;
    } else {
      if (typeof next !== "number" || reals?.has(i + 1)) odd();
      if (typeof document.resolve(items[i + 2]) !== "number") odd();
      i += 3;
    }
  }
}
