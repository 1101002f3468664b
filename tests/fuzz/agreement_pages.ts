/**
 * PDFs that are signed as they are, and whose page tree, pages and contents are written in another way: as the standard
 * has it, what is drawn stays the same.
 */
import { classicPdf, type Objects } from "../fixtures/pdf.ts";
import {
  bases,
  CONTENT,
  type Mutant,
  type Next,
  objects,
  PAGE,
  pick,
  signedIfReadable,
} from "./agreement_bases.ts";
import { coded, stream } from "./agreement_coded.ts";

const [, CONTENT_TEXT] = /stream\n(.*)\nendstream/s.exec(objects[CONTENT])!;
const [RESOURCES] = /\/Resources << .*?>> >> >>/.exec(objects[PAGE])!;
const [, SECOND] = /\/Kids \[\d+ 0 R (\d+) 0 R\]/.exec(objects[2])!.map(Number);
/** Another page, which is in no page tree but by mistake. */
const OTHER: Objects = {
  90: objects[PAGE].replace(`${CONTENT} 0 R`, "91 0 R"),
  91: stream("BT /F1 40 Tf 72 400 Td (Pay 9,000,000) Tj ET"),
};

type Change = (next: Next, all: Objects) => void;

/** Puts the first page, or both, below a node. */
const node: Change = (next, all) => {
  const isBoth = next(2) === 0;
  const kids = isBoth ? `${PAGE} 0 R ${SECOND} 0 R` : `${PAGE} 0 R`;
  const right = isBoth ? 2 : 1;
  const count = pick(next, [right, right, right, right - 1, right + 1, -right]);
  const type = pick(next, ["/Type /Pages", "/Type /Pages", "", "/Type /Page"]);
  const more = pick(next, ["", RESOURCES, "/Rotate 0", "/MediaBox [0 0 595 842]"]);
  all[95] = `<< ${type} /Parent 2 0 R /Count ${count} /Kids [${kids}] ${more} >>`;
  all[2] = all[2].replace(kids, "95 0 R");
  // Else its Parent is still the root.
  for (const num of isBoth ? [PAGE, SECOND] : [PAGE]) {
    if (next(4) > 0) all[num] = all[num].replace("/Parent 2", "/Parent 95");
    if (more === RESOURCES && next(2)) all[num] = all[num].replace(RESOURCES, "");
  }
};

/** Divides the content into two streams. */
const pieces: Change = (next, all) => {
  const isBetween = next(2) === 0;
  const places = [...CONTENT_TEXT.matchAll(/ /g)].map(({ index }) => index + next(2));
  const at = isBetween ? pick(next, places) : next(CONTENT_TEXT.length);
  all[96] = stream(CONTENT_TEXT.slice(0, at));
  all[97] = stream(CONTENT_TEXT.slice(at));
  const list = pick(next, [
    "96 0 R 97 0 R",
    "96 0 R 97 0 R",
    "96 0 R null 97 0 R",
    "96 0 R [97 0 R]",
  ]);
  all[PAGE] = all[PAGE].replace(`/Contents ${CONTENT} 0 R`, `/Contents [${list}]`);
};

/** Compresses the content, rightly or nearly so. */
const compressed: Change = (next, all) => {
  const { data, filter } = coded(next, CONTENT_TEXT);
  all[CONTENT] = stream(data, filter);
};

/** Entries that leave the page as it was, or nearly. */
const entries: Change = (next, all) => {
  const entry = pick(next, [
    ...["/Rotate 0", "/Rotate 360", "/Rotate -360", "/Rotate 0.0", "/Rotate 10", "/Rotate null"],
    ...["/CropBox [0 0 595 842]", "/CropBox [595 842 0 0]", "/CropBox [-9 -9 999 999]"],
    ...[
      "/CropBox [0 0 595 842 7]",
      "/CropBox [0 0 595]",
      "/CropBox [700 0 800 842]",
      "/CropBox []",
    ],
    ...["/Kids [90 0 R]", "/Kids []", "/Type /Template", "/Count 1", "/Tabs /S"],
  ]);
  all[PAGE] = all[PAGE].replace("/MediaBox", `${entry} /MediaBox`);
};

/** Other things in the page tree than pages. */
const tree: Change = (next, all) => {
  const kid = pick(next, [
    "null",
    "7",
    "98 0 R",
    "99 0 R",
    "<< /Type /Page >>",
  ]);
  all[99] = "3 0 R";
  const count = pick(next, [2, 2, 3]);
  const at = pick(next, ["[", " ]"]);
  all[2] = all[2].replace(at.trim(), at === "[" ? `[${kid} ` : ` ${kid}]`)
    .replace("/Count 2", `/Count ${count}`);
};

const CHANGES: Change[] = [
  node,
  node,
  pieces,
  pieces,
  compressed,
  compressed,
  entries,
  entries,
  tree,
];

export function writtenOtherwise(next: Next): Mutant {
  const changed = { ...objects, ...OTHER };
  pick(next, CHANGES)(next, changed);
  const bytes = signedIfReadable(classicPdf(changed));
  return { kind: "pages", isWhole: true, base: bases.table.bytes, bytes };
}
