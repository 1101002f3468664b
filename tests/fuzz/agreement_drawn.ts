/**
 * PDFs that are signed as they are, and in which something that is drawn as a whole stands in another way: forms, patterns,
 * soft masks, glyphs of Type 3 fonts, appearances. Some show something else then, but must show it to everybody.
 */
import { classicPdf, type Objects } from "../fixtures/pdf.ts";
import { type Mutant, type Next, pick, signedIfReadable } from "./agreement_bases.ts";
import { coded, stream } from "./agreement_coded.ts";

/** An object's dictionary, entry by entry, and its data. */
interface Drawn {
  entries: Record<string, string>;
  data: string;
}

const BOX = "[0 0 100 20]";
const font = "<< /Font << /F1 7 0 R >> >>";
const DRAWN: Record<number, Drawn> = {
  // A form, and one within it
  30: {
    entries: {
      ...{ Type: "/XObject", Subtype: "/Form", BBox: BOX, Matrix: "[1 0 0 1 0 0]" },
      Resources: "<< /Font << /F1 7 0 R >> /XObject << /Y 31 0 R >> >>",
    },
    data: "0.8 g 0 0 100 20 re f 0 g BT /F1 12 Tf 4 4 Td (Pay 100) Tj ET q 1 0 0 1 60 0 cm /Y Do Q",
  },
  31: {
    entries: { Type: "/XObject", Subtype: "/Form", BBox: BOX, Resources: font },
    data: "0 g BT /F1 12 Tf 0 4 Td (Rs) Tj ET",
  },
  32: {
    entries: {
      ...{ Type: "/Pattern", PatternType: "1", PaintType: "1", TilingType: "1", BBox: "[0 0 9 9]" },
      ...{ XStep: "9", YStep: "9", Resources: "<< >>", Matrix: "[1 0 0 1 0 0]" },
    },
    data: "0 g 0 0 6 6 re f",
  },
  // The group of a soft mask
  33: {
    entries: {
      ...{ Type: "/XObject", Subtype: "/Form", BBox: "[0 0 595 842]", Resources: "<< >>" },
      Group: "<< /S /Transparency /CS /DeviceGray >>",
    },
    data: "1 g 300 600 40 80 re f",
  },
  // A glyph
  35: { entries: {}, data: "1000 0 0 0 750 750 d1 0 0 750 750 re f" },
  37: {
    entries: { Type: "/XObject", Subtype: "/Form", BBox: BOX, Resources: font },
    data: "0.8 g 0 0 100 20 re f 0 g BT /F1 12 Tf 4 4 Td (Paid) Tj ET",
  },
};

/** Everything else of the document. */
const OBJECTS: Objects = {
  1: "<< /Type /Catalog /Pages 2 0 R >>",
  2: "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
  3: "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R " +
    "/Annots [38 0 R] >>",
  4: stream(
    "BT /F1 12 Tf 72 720 Td (Page 1) Tj ET q 1 0 0 1 72 600 cm /X Do Q " +
      "q /Pattern cs /P scn 200 600 80 80 re f Q q /G gs 0 g 300 600 80 80 re f Q " +
      "BT /T 40 Tf 400 600 Td (a) Tj ET",
  ),
  6: "<< /Font << /F1 7 0 R /T 36 0 R >> /XObject << /X 30 0 R >> /Pattern << /P 32 0 R >> " +
    "/ExtGState << /G 34 0 R >> >>",
  7: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
  34: "<< /Type /ExtGState /SMask << /Type /Mask /S /Luminosity /G 33 0 R >> >>",
  36:
    "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1000 1000] /FontMatrix [0.001 0 0 0.001 0 0] " +
    "/FirstChar 97 /LastChar 97 /Widths [1000] /CharProcs << /a 35 0 R >> /Resources << >> " +
    "/Encoding << /Type /Encoding /Differences [97 /a] >> >>",
  38: "<< /Type /Annot /Subtype /Stamp /F 4 /Rect [72 500 172 520] /AP << /N 37 0 R >> >>",
  // Values that entries lead to
  40: BOX,
  41: "/Form",
  42: "1",
  43: "<< /On 37 0 R >>",
  44: "37 0 R",
};

const write = ({ entries, data }: Drawn, more = "") =>
  stream(data, Object.entries(entries).map(([key, value]) => `/${key} ${value}`).join(" ") + more);
const all = (drawn: Record<number, Drawn>): Objects => ({
  ...OBJECTS,
  ...Object.fromEntries(Object.entries(drawn).map(([num, each]) => [num, write(each)])),
});

/** Other spellings of four numbers, and what is none. */
const boxes = (box: string): string[] => {
  const [a, b, c, d] = box.slice(1, -1).split(" ");
  return [
    ...[
      "",
      `[${c} ${d} ${a} ${b}]`,
      `[${a} ${d} ${c} ${b}]`,
      `[${a}.0 ${b} ${c}. ${d}]`,
      "[]",
      "null",
    ],
    ...[`[${a} ${b} ${c}]`, `[${a} ${b} ${c} ${d} 7]`, "[0 0 0 0]", `[${a} ${b} null ${d}]`],
    ...[`[${a} ${b} (${c}) ${d}]`, `[${a} ${b} ${c} ${d}] % ${box}\n`],
  ];
};
const SPELLINGS: Record<string, readonly string[]> = {
  Matrix: ["", "null", "[1 0 0 1]", "[1 0 0 1 0 0 9]", "[1.0 0 0 1 0 0]", "[0 0 0 0 0 0]", "7"],
  Subtype: ["", "41 0 R", "/Image", "/PS", "/form", "(Form)", "null"],
  Type: ["", "/XObject", "/Page", "/Pattern", "null"],
  Resources: ["", "null", "<< >>", "6 0 R", font, "7"],
  Group: ["", "null", "<< /S /Transparency >>", "<< >>", "<< /S /Transparency /I true /K true >>"],
  PatternType: ["", "42 0 R", "1.0", "2", "null"],
  PaintType: ["", "42 0 R", "1.0"],
  TilingType: ["", "2", "3", "1.0"],
  XStep: ["", "0", "9.0", "-9", "90"],
  YStep: ["", "0", "9.0", "-9", "90"],
};

type Change = (next: Next, objects: Objects) => void;

const some = (next: Next): [num: number, drawn: Drawn] => {
  const num = pick(next, Object.keys(DRAWN).map(Number));
  return [num, DRAWN[num]];
};

/** Compresses something, rightly or nearly so. */
const compressed: Change = (next, objects) => {
  const [num, { entries, data }] = some(next);
  const { filter, data: other } = coded(next, data);
  objects[num] = write({ entries, data: other }, ` ${filter}`);
};

/** One entry in another spelling, or of another value. */
const spelled: Change = (next, objects) => {
  const [num, { entries, data }] = some(next);
  const keys = Object.keys(entries);
  if (keys.length === 0) return;
  const key = pick(next, keys);
  const { [key]: _, ...others } = entries;
  const value = pick(next, key === "BBox" ? boxes(entries[key]) : SPELLINGS[key]);
  objects[num] = write({ entries: value === "" ? others : { ...entries, [key]: value }, data });
};

const replaced = (num: number, from: string, to: readonly string[]): Change => (next, objects) => {
  objects[num] = objects[num].replace(from, pick(next, to));
};

const CHANGES: Change[] = [
  ...[compressed, compressed, spelled, spelled, spelled],
  replaced(38, "/AP << /N 37 0 R >>", [
    ...[
      "/AP << /N 43 0 R >> /AS /On",
      "/AP << /N << /On 37 0 R >> >> /AS /On",
      "/AP << /N 44 0 R >>",
    ],
    ...["/AP << /N 43 0 R >> /AS /Off", "/AP << /N << /On 37 0 R >> >>", "/AP << /D 37 0 R >>"],
    ...["/AP << /N 37 0 R /D 31 0 R >>", "/AP << /N 37 0 R /R 31 0 R >>", "/AP << /N null >>"],
    ...[
      "/AP << /N 37 0 R >> /AS /On",
      "/AP << /N [37 0 R] >>",
      "/AP << /N << /On 44 0 R >> >> /AS /On",
    ],
  ]),
  replaced(38, "[72 500 172 520]", [
    ...["[172 520 72 500]", "[72 500 172]", "[72 500 172 520 7]", "[72.0 500 172 520.]", "40 0 R"],
  ]),
  replaced(38, "/F 4", ["/F 0", "/F 2", "/F 32", "/F 6", "/F 4.0", "", "/F null"]),
  replaced(36, "/a 35 0 R", ["/a 35 0 R /b 31 0 R", "/a null", "/b 35 0 R", "/a 7", "/#61 35 0 R"]),
  replaced(36, "[0.001 0 0 0.001 0 0]", [
    "[.001 0 0 .001 0 0]",
    "[0.001 0 0]",
    "null",
    "[1 0 0 1 0 0]",
  ]),
  replaced(36, "[0 0 1000 1000]", [
    "[0 0 0 0]",
    "[1000 1000 0 0]",
    "[0 0 1000]",
    "null",
  ]),
  replaced(34, "/SMask <<", ["/SMask 45 0 R /X <<", "/SMask /None /X <<", "/BM /Normal /SMask <<"]),
  replaced(34, "/S /Luminosity", ["/S /Alpha", "", "/S /luminosity", "/S /Luminosity /BC [0]"]),
  replaced(34, "/G 33 0 R", [
    "/G 33 0 R /TR /Identity",
    "/G 33 1 R",
    "/G null",
    "/G 33 0 R /BC [1]",
  ]),
];
/** For the soft mask by reference. */
OBJECTS[45] = "<< /Type /Mask /S /Luminosity /G 33 0 R >>";

const base = signedIfReadable(classicPdf(all(DRAWN)));

/** A document whose drawings stand there in another way. */
export function drawnOtherwise(next: Next): Mutant {
  const changed = all(DRAWN);
  pick(next, CHANGES)(next, changed);
  const bytes = signedIfReadable(classicPdf(changed));
  return { kind: "drawn", isOther: true, base, bytes };
}
