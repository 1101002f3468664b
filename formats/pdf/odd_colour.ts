/** Colour spaces (ISO 32000-2 §8.6), as far as readers make other colours of them. */
import { odd } from "./content.ts";
import type { PdfDocument } from "./document.ts";
import { checkFunction, numbersOf } from "./odd_function.ts";
import { componentsOf, INDEXED, UNKNOWN } from "./odd_resources.ts";
import { fromLatin1, PdfArray, PdfDict, PdfName, PdfRef, PdfStream, PdfString } from "./value.ts";
import type { PdfValue } from "./value.ts";

/** Of profiles (ICC.1 §7.2.6). Others of one or three components are taken for grey or RGB by all readers. */
const CMYK = "CMYK", LAB = "Lab ";
/** Some readers pass over a gamma; about these, that is hardly seen. */
const GAMMA = { min: 1.4, max: 3.2 };
const MAX_BLACK = 0.1;

const familyOf = (document: PdfDocument, space: PdfValue) => {
  const first = space instanceof PdfArray ? document.resolve(space.items[0]) : space;
  return first instanceof PdfName ? first.value : "";
};

/** @param value a colour space: a name, or an array that says more */
export function checkSpace(document: PdfDocument, value: PdfValue | undefined, depth = 0): void {
  const space = document.resolve(value);
  if (!(space instanceof PdfArray)) return;
  const [, first, second, third] = space.items;
  switch (familyOf(document, space)) {
    case "ICCBased":
      return checkProfile(document, first);
    case "CalGray":
    case "CalRGB":
    case "Lab":
      return checkCalibrated(document, familyOf(document, space), document.resolve(first));
    case "Indexed":
    case "I":
      return checkTable(document, space);
    case "Separation":
    case "DeviceN": {
      const alternate = componentsOf(document, "", second);
      if (depth > 0 || alternate <= 0 || alternate >= INDEXED) odd();
      checkSpace(document, second, depth + 1);
      checkFunction(document, third, componentsOf(document, "", space), alternate);
    }
  }
}

/** Where a profile is for other colours, some readers take it and others what it stands for. */
function checkProfile(document: PdfDocument, ref: PdfValue | undefined): void {
  const profile = document.resolve(ref);
  if (!(profile instanceof PdfStream) || !(ref instanceof PdfRef)) return odd();
  const components = document.number(profile.dict, "N") ?? 0;
  if (![1, 3, 4].includes(components)) odd();
  const alternate = document.get(profile.dict, "Alternate");
  if (alternate !== null) {
    const count = componentsOf(document, "", alternate);
    if (count !== components || familyOf(document, alternate) === "Lab") odd();
  }
  const data = document.streamData(document.object(ref)!);
  const signature = fromLatin1(data.subarray(16, 20));
  const isCmyk = signature === CMYK;
  if (signature === LAB || (data.length > 20 && isCmyk !== (components === 4))) odd();
}

function checkCalibrated(document: PdfDocument, family: string, dict: PdfValue): void {
  if (!(dict instanceof PdfDict)) return odd();
  const white = numbersOf(document, dict, "WhitePoint");
  if (white?.length !== 3) odd();
  const [x, y, z] = white;
  if (y !== 1 || !(x > 0.8 && x < 1.2) || !(z > 0.5 && z < 1.5)) odd();
  if (numbersOf(document, dict, "BlackPoint")?.some((each) => each < 0 || each > MAX_BLACK)) odd();
  const isUsual = (gamma: number) => gamma >= GAMMA.min && gamma <= GAMMA.max;
  if (family === "CalGray") {
    const gamma = document.get(dict, "Gamma");
    if (typeof gamma !== "number" || !isUsual(gamma)) odd();
  } else if (family === "CalRGB") {
    const gamma = numbersOf(document, dict, "Gamma");
    if (gamma?.length !== 3 || !gamma.every(isUsual)) odd();
    const matrix = numbersOf(document, dict, "Matrix");
    // How bright red, green and blue are.
    const [red, green, blue] = matrix?.length === 9 ? [matrix[1], matrix[4], matrix[7]] : odd();
    const sum = red + green + blue;
    if (sum < 0.9 || sum > 1.1 || red < 0.1 || green < 0.5 || blue < -0.01 || red > 0.4) odd();
  } else if ((numbersOf(document, dict, "Range")?.length ?? 4) !== 4) odd();
}

/** A table of colours, which must have all that it says (§8.6.6.3). */
function checkTable(document: PdfDocument, space: PdfArray): void {
  const [, base, highest, lookup] = space.items;
  const components = componentsOf(document, "", base);
  if (components <= UNKNOWN || components >= INDEXED) odd();
  checkSpace(document, base, 1);
  const last = document.resolve(highest);
  if (typeof last !== "number" || space.reals?.has(2) || !(last >= 0 && last <= 255)) odd();
  const table = document.resolve(lookup);
  const length = table instanceof PdfString
    ? table.bytes.length
    : table instanceof PdfStream && lookup instanceof PdfRef
    ? document.streamData(document.object(lookup)!).length
    : odd();
  if (length < (last + 1) * components) odd();
}
