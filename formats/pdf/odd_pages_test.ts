import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { classicPdf, documentObjects, type Objects } from "../../tests/fixtures/pdf.ts";
import { bytesSource } from "../source.ts";
import { PdfDocument } from "./document.ts";
import { ambiguities } from "./readings.ts";
import { fromLatin1, latin1 } from "./value.ts";

const stream = (text: string, more = "") =>
  `<< /Length ${text.length} ${more} >>\nstream\n${text}\nendstream`;
const flate = (text: string) => fromLatin1(deflateSync(latin1(text)));
const other = stream("BT /F1 40 Tf 72 400 Td (Pay 9,000,000) Tj ET");
const FONT =
  "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>";
const page = (contents: number, parent = 2) =>
  `<< /Type /Page /Parent ${parent} 0 R /MediaBox [0 0 595 842] ${FONT} /Contents ${contents} 0 R >>`;

type Change = (objects: Objects) => void;
const put = (num: number, from: string | RegExp, to: string): Change => (objects) => {
  const changed = objects[num].replace(from, to);
  assert.notEqual(changed, objects[num]);
  objects[num] = changed;
};
const content = (...parts: string[]): Change => (objects) => {
  parts.forEach((part, i) => objects[40 + i] = stream(part));
  const refs = parts.map((_, i) => `${40 + i} 0 R`).join(" ");
  objects[3] = objects[3].replace("/Contents 4 0 R", `/Contents [${refs}]`);
};
/** Pages 1 and 2 below a node of their own, which says how many there are. */
const nested = (count: number, whole: number, more = ""): Change => (objects) => {
  objects[30] = `<< /Type /Pages /Parent 2 0 R /Count ${count} /Kids [3 0 R 5 0 R] ${more} >>`;
  objects[32] = page(33);
  objects[33] = other;
  objects[2] = `<< /Type /Pages /Count ${whole} /Kids [30 0 R 32 0 R] >>`;
  for (const num of [3, 5]) objects[num] = objects[num].replace("/Parent 2", "/Parent 30");
};
const also = (...changes: Change[]): Change => (objects) =>
  changes.forEach((each) => each(objects));
const withoutResources = put(3, FONT, "");

/** The pages that are odd in a document of two pages. */
function oddOf(change: Change): (number | undefined)[] {
  const objects = documentObjects({ pages: 2 });
  change(objects);
  const document = PdfDocument.open(bytesSource(classicPdf(objects)));
  return ambiguities(document, document.scan()).map(({ page }) => page);
}

const PLAIN: Record<string, Change> = {
  "a page tree of two levels": nested(2, 3),
  "a page that inherits by its place in the tree and by its Parent": also(
    nested(2, 3, FONT),
    withoutResources,
  ),
  "a wrong Parent, where nothing is inherited": put(3, "/Parent 2", "/Parent 5"),
  "no Parent, where nothing is inherited": put(3, "/Parent 2 0 R", ""),
  "empty content, compressed": put(4, /<<[^]*/, stream("", "/Filter /FlateDecode")),
  "compressed content without its checksum": (objects) =>
    objects[4] = stream(flate("0 g").slice(0, -4), "/Filter /FlateDecode"),
  "pages and a root without Type": also(put(3, "/Type /Page", ""), put(2, "/Type /Pages", "")),
  "content in pieces that end between tokens": content(
    "q",
    "BT /F1 12 Tf 72 720 Td (Page 1) Tj ET",
    "Q 1 0 0 RG 0",
    "g BI /W 1 /H 1 /BPC 8 /CS /G ID ( EI",
    "% done\n",
    "q Q",
  ),
  "compressed content": (objects) =>
    objects[4] = stream(flate("0 g"), "/Filter [/FlateDecode] /DecodeParms [null]"),
  "content by LZW": put(4, "<<", "<< /Filter /LZWDecode"),
  "a page turned to the left": put(3, "/MediaBox", "/Rotate -90 /MediaBox"),
  "a crop box larger than the page": put(3, "/MediaBox", "/CropBox [-9 -9 900 900] /MediaBox"),
};

const ODD: Record<string, Change> = {
  "a Count that is too small": nested(1, 2),
  "a Count that is too large": put(2, "/Count 2", "/Count 3"),
  "a page with pages below it": also(
    put(3, "/Type /Page", "/Type /Page /Kids [30 0 R] /Count 1"),
    (objects) => objects[30] = page(4, 3),
  ),
  "a node without pages, drawn as a page": put(3, "/Type /Page", "/Type /Pages"),
  "a node without Type": also(nested(2, 3), put(30, "/Type /Pages", "")),
  "compressed content without its end": (objects) =>
    objects[4] = stream(flate("0 g 0 0 9 9 re f").slice(0, -7), "/Filter /FlateDecode"),
  "a page of another type": put(3, "/Type /Page", "/Type /Template"),
  "a page in the tree itself": put(2, "[3 0 R", `[${page(4)}`),
  "a page by two references": also(put(2, "[3 0 R", "[30 0 R"), (all) => all[30] = "3 0 R"),
  "a page that is a stream": also(
    put(3, />>$/, "/Length 0 >>\nstream\n\nendstream"),
  ),
  "a page that there is not": put(2, "[3 0 R", "[30 0 R"),
  "a Parent from which other resources are inherited": also(
    withoutResources,
    put(2, "/Type /Pages", `/Type /Pages ${FONT}`),
    put(3, "/Parent 2", "/Parent 30"),
    (all) => all[30] = `<< /Type /Pages /Parent 2 0 R /Count 1 /Kids [3 0 R] ${FONT} >>`,
  ),
  "a Parent from which another rotation is inherited": also(
    put(3, "/Parent 2", "/Parent 30"),
    (all) => all[30] = "<< /Type /Pages /Count 1 /Kids [3 0 R] /Rotate 90 >>",
  ),
  "a page without a Parent, from which it would inherit resources": also(
    withoutResources,
    put(2, "/Type /Pages", `/Type /Pages ${FONT}`),
    put(3, "/Parent 2 0 R", ""),
  ),
  "a page without a Parent, from which it would inherit a rotation": also(
    put(2, "/Type /Pages", "/Type /Pages /Rotate 90"),
    put(3, "/Parent 2 0 R", ""),
  ),
  "a page turned by 45°": put(3, "/MediaBox", "/Rotate 45 /MediaBox"),
  "a page turned by a real": put(3, "/MediaBox", "/Rotate 90.0 /MediaBox"),
  "a box of six numbers": put(3, "[0 0 595", "[0 0 300 300 595"),
  "a crop box beside the page": put(3, "/MediaBox", "/CropBox [900 900 999 999] /MediaBox"),
  "the same content twice": put(3, "/Contents 4 0 R", "/Contents [4 0 R 4 0 R]"),
  "a content that is no stream": put(3, "/Contents 4 0 R", "/Contents [4 0 R [4 0 R]]"),
  "a number in two pieces": content("q 9", "00 w Q"),
  "an operator in two pieces": content("BT (Pay 9) T", "j ET"),
  "a name in two pieces": content("BT /F", "1 9 Tf ET"),
  "a name behind its solidus in two pieces": content("BT /", "F1 9 Tf ET"),
  "the end of a dictionary in two pieces": content("/A << /B 1 >", "> BDC EMC"),
  "a string in two pieces": content("BT (Pay 9", "00) Tj ET"),
  "a comment that goes on": content("q % from here", " 1 0 0 RG\nQ"),
  "an inline image in two pieces": content("BI /W 1 /H 1 ID x", "x EI"),
  "a filter that nobody knows": put(4, "<<", "<< /Filter /Unknown"),
  "a filter for images": put(4, "<<", "<< /Filter /DCTDecode"),
  "data in another file": put(4, "<<", "<< /F (content.txt)"),
  "data that are not compressed as they say": put(4, "<<", "<< /Filter /FlateDecode"),
  "parameters in an array for one filter": (objects) =>
    objects[4] = stream(flate("0 g"), "/Filter /FlateDecode /DecodeParms [<< /Predictor 15 >>]"),
};

Deno.test("pages: all readers make the same pages of what follows the standard", () => {
  for (const [what, change] of Object.entries(PLAIN)) assert.deepEqual(oddOf(change), [], what);
});

for (const [what, change] of Object.entries(ODD)) {
  Deno.test(`pages: ambiguous is ${what}`, () => assert.equal(oddOf(change)[0], 1));
}

const DRAWINGS: Record<string, string> = {
  "a filter for images": stream("0 g", "/Subtype /Form /BBox [0 0 9 9] /Filter /DCTDecode"),
  "data that are not compressed as they say": stream(
    "0 g",
    "/Subtype /Form /BBox [0 0 9 9] /Filter /FlateDecode",
  ),
  "no bounds": stream("0 g", "/Subtype /Form"),
  "a Subtype elsewhere, and data that are not compressed": stream(
    "0 g",
    "/Subtype 31 0 R /BBox [0 0 9 9] /Filter /FlateDecode",
  ),
  "a pattern's data that are not compressed as they say": stream(
    "0 g",
    "/PatternType 1 /PaintType 1 /BBox [0 0 9 9] /Filter /FlateDecode",
  ),
  "a pattern's lack of bounds": stream("0 g", "/PatternType 1 /PaintType 1"),
  "bounds that are not numbers": stream("0 g", "/Subtype /Form /BBox [0 0 (9) 9]"),
  "a Subtype that is a string": stream("0 g", "/Subtype (Form) /BBox [0 0 9 9]"),
  "a pattern whose corners are the other way round": stream(
    "0 g",
    "/PatternType 1 /PaintType 1 /BBox [0 9 9 0]",
  ),
  "a pattern without PaintType": stream("0 g", "/PatternType 1 /BBox [0 0 9 9]"),
  "a pattern whose type is no integer": stream(
    "0 g",
    "/PatternType 1.0 /PaintType 1 /BBox [0 0 9 9]",
  ),
  "a pattern of type null": stream("0 g", "/PatternType null /PaintType 1 /BBox [0 0 9 9]"),
};

Deno.test("pages: ambiguous is a glyph whose data are not what its filter makes, or of a font without bounds", () => {
  const told = (glyph: string, isPart: boolean, box = "[0 0 750 750]") => {
    const objects = documentObjects();
    const font = `<< /Type /Font /Subtype /Type3 /FontBBox ${box} /CharProcs << /a 31 0 R >> >>`;
    objects[30] = font;
    objects[31] = glyph;
    objects[3] = objects[3].replace("/Font <<", `/Font << /T ${isPart ? font : "30 0 R"}`);
    const document = PdfDocument.open(bytesSource(classicPdf(objects)));
    return ambiguities(document, document.scan());
  };
  const glyph = "1000 0 d0 0 0 750 750 re f";
  for (const isPart of [true, false]) {
    assert.deepEqual(told(stream(glyph), isPart), []);
    assert.deepEqual(told(stream(flate(glyph), "/Filter /FlateDecode"), isPart), []);
    const odd = told(stream(glyph, "/Filter /FlateDecode"), isPart);
    assert.deepEqual(odd, [{ object: 31, page: 1 }]);
  }
  const bound = (box: string) => told(stream("1000 0 0 0 750 750 d1 0 0 750 750 re f"), false, box);
  for (const box of ["[0 0 750 750]", "[0 0 0 0]"]) assert.deepEqual(bound(box), [], box);
  for (const box of ["[0 0 750]", "[0 0 (750) 750]", "null"]) {
    assert.deepEqual(bound(box), [{ object: 31, page: 1 }], box);
  }
});

Deno.test("pages: ambiguous is a soft mask whose data are not what its filter makes, or without bounds or colour space", () => {
  const told = (more: string, kind = "Luminosity", group = "/CS /DeviceGray") => {
    const objects = documentObjects();
    objects[30] = `<< /Type /ExtGState /SMask << /Type /Mask /S /${kind} /G 31 0 R >> >>`;
    objects[31] = stream("1 g 0 0 9 9 re f", `/Group << /S /Transparency ${group} >> ${more}`);
    objects[3] = objects[3].replace("/Font", "/ExtGState << /G 30 0 R >> /Font");
    const document = PdfDocument.open(bytesSource(classicPdf(objects)));
    return ambiguities(document, document.scan());
  };
  assert.deepEqual(told("/BBox [0 0 9 9]"), []);
  assert.deepEqual(told("/BBox [0 0 9 9] /Filter /FlateDecode"), [{ object: 31, page: 1 }]);
  assert.deepEqual(told(""), [{ object: 31, page: 1 }]);
  // Of what colour space the luminosity is, each reader says otherwise.
  assert.deepEqual(told("/BBox [0 0 9 9]", "Luminosity", ""), [{ object: 31, page: 1 }]);
  assert.deepEqual(told("/BBox [0 0 9 9]", "Alpha", ""), []);
});

/** @param states the value of N, and what follows in the annotation */
function toldOf(appearance: string, states: string, rect = "[0 0 9 9]") {
  const objects = documentObjects();
  objects[30] = `<< /Type /Annot /Subtype /Stamp /Rect ${rect} /AP << /N ${states} >>`;
  objects[31] = appearance;
  objects[32] = "<< /On 31 0 R >>";
  objects[33] = stream("0 g", "/BBox [0 0 9 9]");
  objects[3] = objects[3].replace("/Contents", "/Annots [30 0 R] /Contents");
  const document = PdfDocument.open(bytesSource(classicPdf(objects)));
  return ambiguities(document, document.scan());
}

const APPEARANCES: Record<string, [appearance: string, isOdd: boolean]> = {
  "does not say that it is a form": [stream("0 g", "/BBox [0 0 9 9]"), false],
  "has no bounds": [stream("0 g"), true],
  "is not compressed as it says": [stream("0 g", "/BBox [0 0 9 9] /Filter /FlateDecode"), true],
  "is a reference": ["33 0 R", true],
  "has a filter for images": [stream("0 g", "/BBox [0 0 9 9] /Width 9 /Filter /DCTDecode"), true],
};

for (const [what, [appearance, isOdd]] of Object.entries(APPEARANCES)) {
  Deno.test(`pages: an appearance that ${what} is ${isOdd ? "ambiguous" : "drawn alike"}`, () => {
    for (const states of ["31 0 R >>", "<< /On 31 0 R >> >> /AS /On"]) {
      assert.deepEqual(toldOf(appearance, states), isOdd ? [{ object: 31, page: 1 }] : []);
    }
  });
}

Deno.test("pages: ambiguous is in which state an annotation is, and where", () => {
  const form = stream("0 g", "/Subtype /Form /BBox [0 0 9 9]");
  for (const states of ["<< /On 31 0 R >> >>", "<< /On 31 0 R >> >> /AS null"]) {
    assert.deepEqual(toldOf(form, states), [{ object: 31, page: 1 }], states);
  }
  // The states in an object of their own
  assert.deepEqual(toldOf(form, "32 0 R >> /AS /On"), [{ object: 31, page: 1 }]);
  for (const rect of ["[0 0 9]", "[0 0 9 9 9]", "[0 0 (9) 9]", "null"]) {
    assert.deepEqual(toldOf(form, "31 0 R >>", rect), [{ object: 31, page: 1 }], rect);
  }
});

for (const [what, drawing] of Object.entries(DRAWINGS)) {
  Deno.test(`pages: ambiguous is a drawing with ${what}`, () => {
    const objects = documentObjects();
    objects[30] = drawing;
    objects[31] = "/Form";
    objects[3] = objects[3].replace("/Font", "/XObject << /X 30 0 R >> /Font");
    const document = PdfDocument.open(bytesSource(classicPdf(objects)));
    assert.deepEqual(ambiguities(document, document.scan()), [{ object: 30, page: 1 }]);
  });
}
