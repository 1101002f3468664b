/**
 * PDFs that are signed as they are, and whose content begins with operators between `q` and `Q` that draw nothing, rightly
 * written or nearly so: what is drawn behind them must be the same for all engines.
 */
import { classicPdf } from "../fixtures/pdf.ts";
import {
  bases,
  CONTENT,
  type Mutant,
  type Next,
  objects,
  PAGE,
  pick,
  signedIfReadable,
  stream,
} from "./agreement_bases.ts";

const [, CONTENT_TEXT] = /stream\n(.*)\nendstream/s.exec(objects[CONTENT])!;

/** Operators, and the kinds of their operands. */
const OPERATORS =
  ("cm:nnnnnn w:n J:i j:i M:n d:an ri:m i:n gs:m Q: m:nn l:nn c:nnnnnn v:nnnn y:nnnn h: " +
    "re:nnnn n: W: CS:c cs:c SC:n sc:nnn SCN:n scn:nnnn G:n g:n RG:nnn rg:nnn K:nnnn k:nnnn BT: ET: Tc:n " +
    "Tw:n Tz:n TL:n Tf:fn Tr:i Ts:n Td:nn TD:nn Tm:nnnnnn T*: MP:m DP:md BMC:m BDC:md EMC: BX: EX: Do:m " +
    "sh:m").split(" ").map((entry) => entry.split(":"));

const OPERANDS: Record<string, string[]> = {
  n: ["0", "1", "-1", "0.5", "+7", ".25", "-.5", "12.", "595", "00300"],
  i: ["0", "1", "2"],
  m: ["/X", "/Y#41", "/Perceptual"],
  c: ["/DeviceGray", "/DeviceRGB", "/DeviceCMYK", "/Pattern"],
  f: ["/F1", "/F1", "/F9"],
  a: ["[]", "[3 1]", "[ 2 ]"],
  d: ["<< >>", "<</MCID 0>>", "<< /A [1 (b) <63>] /B << /C true >> >>"],
  s: ["(a)", "(a\\)b)", "<6162>", "()"],
};
/** Characters that mean something to readers. */
const CHARACTERS = [..."0123456789+-./()<>[]{}%'\"* \n\r\0\f\x80\xff"];
/** Number of a form. */
const EMPTY = 93;
const NAMES = OPERANDS.m.map((name) => name.replace("#41", "A"));
const RESOURCES = [
  ["XObject", `${EMPTY} 0 R`],
  ["ExtGState", "<< >>"],
  [
    "Shading",
    "<< /ShadingType 2 /ColorSpace /DeviceGray /Coords [-9 -9 -8 -8] /Function " +
    "<< /FunctionType 2 /Domain [0 1] /N 1 >> >>",
  ],
].map(([kind, value]) => `/${kind} << ${NAMES.map((name) => `${name} ${value}`).join(" ")} >>`)
  .join(" ");
const IMAGE = "q .01 0 0 .01 -99 -99 cm BI /W 2 /H 1 /BPC 8 /CS /G ID ab EI Q";

function call(next: Next): string {
  if (next(12) === 0) return IMAGE;
  const [word, kinds = ""] = pick(next, OPERATORS);
  const operands = [...kinds].map((kind) => pick(next, OPERANDS[kind]));
  const any = () => pick(next, OPERANDS[pick(next, Object.keys(OPERANDS))]);
  switch (next(12)) {
    case 0:
      operands.pop();
      break;
    case 1:
      operands.unshift(any());
      break;
    case 2:
      operands.push(any());
  }
  return [...operands, word].join(pick(next, [" ", " ", " ", "\n", " %x\n"]));
}

/** Not in words: mutool ends with an error where it meets an unknown one, although it draws what follows. */
function damaged(next: Next, text: string): string {
  const { index: at } = pick(next, [...text.matchAll(/$|[^A-Za-z*]/g)]);
  return text.slice(0, at) + (next(3) ? pick(next, CHARACTERS) : "") + text.slice(at + next(2));
}

export function contentWrittenOtherwise(next: Next): Mutant {
  let calls = Array.from({ length: 1 + next(4) }, () => call(next)).join("\n");
  if (next(2)) calls = damaged(next, calls);
  const bytes = signedIfReadable(classicPdf({
    ...objects,
    [PAGE]: objects[PAGE].replace("/Resources <<", `/Resources << ${RESOURCES}`),
    [EMPTY]: "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 0 >>\nstream\n\nendstream",
    [CONTENT]: stream(`q ${calls} n Q\n${CONTENT_TEXT}`),
  }));
  // Text may be moved off the page, as long as all engines move it.
  return { kind: "content", isOther: true, base: bases.table.bytes, bytes };
}
