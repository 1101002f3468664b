import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { classicPdf, documentObjects, type Objects } from "../../tests/fixtures/pdf.ts";
import { bytesSource } from "../source.ts";
import { PdfDocument } from "./document.ts";
import { oddContents } from "./odd_content.ts";
import { fromLatin1, latin1 } from "./value.ts";

const stream = (text: string, more = "") =>
  `<< /Length ${text.length} ${more} >>\nstream\n${text}\nendstream`;
const form = (text: string, more = "") =>
  stream(text, `/Type /XObject /Subtype /Form /BBox [0 0 595 842] ${more}`);
const GROUP = "<< /Type /OCG /Name (A) >>";

/** A page with some content; `resources` of the page besides a font, `objects` from number 10 on. */
interface Page {
  content: string;
  resources?: string;
  objects?: Objects;
  catalog?: string;
}

function oddOf(page: Page | string) {
  const { content, resources = "", objects = {}, catalog = "" } = typeof page === "string"
    ? { content: page }
    : page;
  const all = { ...documentObjects({ catalogEntries: catalog }), ...objects };
  all[4] = stream(content);
  all[3] = all[3].replace("/Resources <<", `/Resources << ${resources}`);
  return oddContents(PdfDocument.open(bytesSource(classicPdf(all))));
}

const shown = "BT /F1 12 Tf 72 400 Td (Pay 9) Tj ET ";
const withForm = (text: string, more = ""): Page => ({
  content: `/X Do ${shown}`,
  resources: "/XObject << /X 10 0 R >>",
  objects: { 10: form(text, more) },
});
const withState = (entries: string): Page => ({
  content: `/G gs ${shown}`,
  resources: `/ExtGState << /G << ${entries} >> >>`,
});
const withSpace = (space: string, colour = "1 scn"): Page => ({
  content: `/C cs ${colour} ${shown}`,
  resources: `/ColorSpace << /C ${space} >>`,
});
const TINT = "<< /FunctionType 2 /Domain [0 1] /C0 [1] /C1 [0] /N 1 >>";
const withOptional = (member: string, config: string, groups = GROUP): Page => ({
  content: `/OC /M BDC ${shown} EMC`,
  resources: `/Properties << /M ${member} >>`,
  objects: { 10: groups, 11: GROUP },
  catalog: `/OCProperties << /OCGs [10 0 R 11 0 R] /D << ${config} >> >>`,
});
const glyph = (text: string): Page => ({
  content: "BT /T 1 Tf (a) Tj ET",
  resources: "/Font << /T 10 0 R >>",
  objects: {
    3: documentObjects()[3].replace("/Font << /F1", "/Font << /T 10 0 R /F1"),
    10:
      "<< /Type /Font /Subtype /Type3 /CharProcs << /a 11 0 R >> /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] >>",
    11: stream(text),
  },
});
const nested = (depth: number): Page => {
  const objects: Objects = { [10 + depth]: form("0 g") };
  for (let i = 10; i < 10 + depth; i++) {
    objects[i] = form("/X Do", `/Resources << /XObject << /X ${i + 1} 0 R >> >>`);
  }
  return { content: "/X Do", resources: "/XObject << /X 10 0 R >>", objects };
};

const ALIKE: Record<string, Page | string> = {
  "every operator": "q 1 0 0 1 0 0 cm 1 w 0 J 1 j 10 M [3 1] 0 d /Perceptual ri 1 i Q " +
    "0 0 m 1 1 l 1 2 3 4 5 6 c 1 2 3 4 v 1 2 3 4 y h S 0 0 9 9 re f 0 0 9 9 re W n 0 0 9 9 re B* " +
    "0 G 0 g 1 0 0 RG 0 0 1 rg 0 0 0 1 K 0 0 0 1 k /DeviceRGB CS 0 0 1 SC /DeviceCMYK cs 0 0 0 1 sc " +
    "/P BMC /Q MP EMC /P << /MCID 0 /A [(b) <63> /d true] >> BDC EMC /P << >> DP BX EX " +
    "BT 1 Tc 2 Tw 90 Tz 14 TL /F1 12 Tf 0 Tr 1 Ts 1 0 0 1 72 700 Tm 0 -9 Td 0 -9 TD T* (a) Tj " +
    "[(a) -20 <62>] TJ (c) ' 1 2 (d) \" ET",
  "numbers in every spelling": "q +1 -1. .5 -.5 00001 0.00000000000000000000001 cm Q",
  "comments and white space": "q%(\r% q\n\0Q\f" + shown,
  "strings with parentheses and escapes": "BT /F1 9 Tf (a(b)\\)\\(\\377\\\n) Tj ET",
  "hexadecimal strings with white space": "BT /F1 9 Tf <6 3\n6> Tj <> Tj ET",
  "names with escapes": "BT /#461 12 Tf (a) Tj ET",
  "an operator that nobody knows": `1 2 zap ${shown}`,
  "an open q": `q q ${shown}`,
  "text that goes on in its place behind Q": "BT q Q 1 0 0 1 72 400 Tm /F1 9 Tf (a) Tj ET",
  "content that ends within operands": `${shown} 1 2`,
  "things that are nowhere and that no reader draws": `/X9 Do /G9 gs /S9 sh /C9 cs ${shown}`,
  "an inline image": "BI /W 2 /H 1 /BPC 8 /CS /G ID ab\nEI " + shown,
  "an inline mask": "BI /W 9 /H 2 /IM true /D [1 0] ID abcd EI " + shown,
  "a compressed inline image": `BI /W 2 /H 1 /BPC 8 /CS /G /F [/AHx] ID 6162> EI ${shown}`,
  "a form with resources": withForm(
    "BT /F 9 Tf (a) Tj ET",
    "/Resources << /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Courier >> >> >>",
  ),
  "a form that takes the page's resources": withForm("BT /F1 9 Tf (a) Tj ET"),
  "a form's colours": withForm("0 0 0 1 scn"),
  "thirty forms, each within another": nested(29),
  "an ICC profile's colours": {
    ...withSpace("[/ICCBased 10 0 R]", "1 0 0 scn"),
    objects: { 10: stream("x", "/N 3") },
  },
  "a separation": withSpace(`[/Separation /Spot /DeviceGray ${TINT}]`),
  "a pattern": {
    content: "/Pattern cs /P scn 0 0 9 9 re f",
    resources: "/Pattern << /P 10 0 R >>",
    objects: { 10: stream("0 0 1 1 re f", "/PatternType 1 /BBox [0 0 9 9]") },
  },
  "usual parameters": withState("/ca 0.5 /CA 1 /BM [/Multiply /Normal] /TR /Identity /SMask /None"),
  "a Type 3 glyph with colours": glyph("9 0 d0 1 0 0 rg 0 0 9 9 re f"),
  "a Type 3 glyph without": glyph("9 0 0 0 9 9 d1 0 0 9 9 re f"),
  "a hidden group": withOptional("10 0 R", "/OFF [10 0 R]"),
  "a group that is shown for printing only": withOptional(
    "10 0 R",
    "/BaseState /OFF",
    "<< /Type /OCG /Name (A) /Usage << /Print << /PrintState /ON >> >> >>",
  ),
  "any of two groups": withOptional("<< /Type /OCMD /OCGs [10 0 R 11 0 R] >>", "/OFF [10 0 R]"),
};

const ODD: Record<string, Page | string> = {
  "a Q too many": `Q ${shown}`,
  "a Q too many in a form": withForm("q Q Q"),
  "a font that there is not": "BT /F9 12 Tf (a) Tj ET",
  "a font that is null": {
    content: "BT /F9 12 Tf (a) Tj ET",
    resources: "/Font << /F9 null >>",
  },
  "a form's font that only the page has": withForm("BT /F1 9 Tf (a) Tj ET", "/Resources << >>"),
  "too many operands": "BT /F1 12 Tf 72 400 72 900 Td (a) Tj ET",
  "too few operands": "BT /F1 12 Tf 400 Td (a) Tj ET",
  "operands of an unknown operator's": "BT /F1 12 Tf (a) zap Tj ET",
  "an operand of another kind": "1 1 /X rg",
  "two strings": "BT /F1 12 Tf (a) (b) Tj ET",
  "an array in an array": "BT /F1 12 Tf [(a) [(b)]] TJ ET",
  "an operator in an array": "BT /F1 12 Tf [(a) Tj] TJ ET",
  "an array without an end": "BT /F1 12 Tf [(a) TJ ET",
  "a rendering mode as a real": "3.0 Tr",
  "an unknown rendering mode": "9 Tr",
  "a difference for a number": "72 400-300 m",
  "two signs": "72 --400 m",
  "two points": "72 4.0.0 m",
  "an exponent": "72 4e2 m",
  "a number beyond 32 bits": "72 4294967696 m",
  "a number that touches an operator": "72 400m",
  "two operators that touch": "BT ETBT ET",
  "an operator with more letters": "BT /F1 12 Tf (a) Tjx ET",
  "a byte that some take for white space": "BT\x80 ET",
  "a string without an end": "BT /F1 12 Tf (a Tj ET",
  "another character in a hexadecimal string": "BT /F1 12 Tf <6x3> Tj ET",
  "a comment in a hexadecimal string": "BT /F1 12 Tf <61%>\n62> Tj ET",
  "a hexadecimal string of 40,000 bytes": `BT /F1 12 Tf <${"20".repeat(40_000)}> Tj ET`,
  "a parenthesis too many": "BT /F1 12 Tf (a)) Tj ET",
  "a bracket too many": "BT ] ET",
  "a string of 40,000 bytes": `BT /F1 12 Tf (${" ".repeat(40_000)}) Tj ET`,
  "a name with a wrong escape": "/F#zz gs",
  "a dictionary with a key without value": "/X << /A >> BDC EMC",
  "endstream in content": `endstream ${shown}`,
  "many unknown operators": "zap ".repeat(200),
  "text that goes on behind Q": "BT /F1 12 Tf q (a) Tj Q (b) Tj ET",
  "a line from nowhere": "9 9 l 9 0 l f",
  "a clip by nothing": "q W n Q",
  "a colour with too many numbers": "/DeviceGray cs 1 0 scn",
  "a colour with too few numbers": "/DeviceRGB cs 1 1 scn",
  "a pattern that there is not": "/Pattern cs /P9 scn",
  "EI in an inline image's data": "BI /W 9 /H 1 /BPC 8 /CS /G ID ab EI cde EI " + shown,
  "EI in a string behind an inline image": "BI /W 2 /H 1 /BPC 8 /CS /G ID ab EI ( EI ) ET",
  "an inline image with too few data": `BI /W 80 /H 9 /BPC 8 /CS /G ID ab EI ${shown}`,
  "an inline image without an end": `BI /W 2 /H 1 /BPC 8 /CS /G ID ab ${shown}`,
  "an inline image without data": `BI /W 2 /H 1 EI ${shown}`,
  "an inline image with two widths": "BI /W 2 /Width 9 /H 1 /BPC 8 /CS /G ID ab EI " + shown,
  "an inline image with an unknown filter": "BI /W 2 /H 1 /BPC 8 /CS /G /F /No ID ab EI " + shown,
  "forty forms, each within another": nested(40),
  "a form within itself": withForm("/X Do", "/Resources << /XObject << /X 10 0 R >> >>"),
  "a thousand q": "q ".repeat(1000),
  "an alpha above 1": withState("/ca 2"),
  "an alpha that is a string": withState("/ca (0)"),
  "an unknown blend mode before a known one": withState("/BM [/Odd /Multiply]"),
  "a transfer function": withState(`/TR ${TINT}`),
  "a separation that draws nothing": withSpace(`[/Separation /None /DeviceGray ${TINT}]`),
  "a colour of forty components": withSpace(
    `[/DeviceN [${Array.from({ length: 40 }, (_, i) => `/A${i}`).join(" ")}] /DeviceGray ${TINT}]`,
    `${"1 ".repeat(40)} scn`,
  ),
  "another space for the device's": {
    content: shown,
    resources: `/ColorSpace << /DefaultGray [/Separation /Spot /DeviceGray ${TINT}] >>`,
  },
  "a font that does not say what it is": {
    content: "BT /F9 9 Tf (a) Tj ET",
    resources: "/Font << /F9 << /Type /Font /BaseFont /Helvetica >> >>",
  },
  "a composite font without descendants": {
    content: "BT /F9 9 Tf (a) Tj ET",
    resources: "/Font << /F9 << /Type /Font /Subtype /Type0 /Encoding /Identity-H >> >>",
  },
  "colours in a stencil glyph": glyph("9 0 0 0 9 9 d1 1 0 0 rg 0 0 9 9 re f"),
  "a glyph whose d1 comes late": glyph("0 g 9 0 0 0 9 9 d1 0 0 9 9 re f"),
  "a group whose use says otherwise": withOptional(
    "10 0 R",
    "",
    "<< /Type /OCG /Name (A) /Usage << /View << /ViewState /OFF >> >> >>",
  ),
  "a hidden group with another intent": withOptional(
    "10 0 R",
    "/OFF [10 0 R]",
    "<< /Type /OCG /Name (A) /Intent /Design >>",
  ),
  "all of two groups, one of them hidden": withOptional(
    "<< /Type /OCMD /P /AllOn /OCGs [10 0 R 11 0 R] >>",
    "/OFF [10 0 R]",
  ),
  "an expression that hides": withOptional("<< /Type /OCMD /VE [/Not 10 0 R] >>", ""),
  "a membership of itself": withOptional("10 0 R", "", "<< /Type /OCMD /OCGs 10 0 R >>"),
  "a membership of no group": withOptional("<< /Type /OCMD /OCGs [] >>", ""),
};

Deno.test("contents: what is written as the standard says is drawn alike", () => {
  for (const [what, page] of Object.entries(ALIKE)) {
    assert.deepEqual(oddOf(page), [], what);
  }
});

for (const [what, page] of Object.entries(ODD)) {
  Deno.test(`contents: ambiguous is ${what}`, () => assert.equal(oddOf(page)[0]?.page, 1));
}

Deno.test("contents: appearances, soft masks and patterns are looked at, each under its own number", () => {
  const objects = documentObjects();
  objects[3] = objects[3].replace("/Contents", "/Annots [30 0 R] /Contents").replace(
    "/Font",
    "/ExtGState << /G << /SMask << /S /Luminosity /G 32 0 R >> >> >> /Pattern << /P 33 0 R >> /Font",
  );
  objects[4] = stream("/G gs /Pattern cs /P scn");
  objects[30] = "<< /Type /Annot /Subtype /Stamp /Rect [0 0 9 9] /AP << /N << /On 31 0 R >> >> >>";
  for (const num of [31, 32]) objects[num] = form("Q");
  objects[33] = stream("Q", "/PatternType 1 /BBox [0 0 9 9]");
  const told = oddContents(PdfDocument.open(bytesSource(classicPdf(objects))));
  assert.deepEqual(told.map(({ object }) => object).sort(), [31, 32, 33]);
});

Deno.test("contents: the page is told, and one that cannot be read does not hide the next", () => {
  const objects = documentObjects({ pages: 3 });
  objects[3] = objects[3].replace("/Contents", "/Annots 40 0 R /Contents");
  objects[40] = "[ << /A";
  objects[8] = stream("Q");
  const told = oddContents(PdfDocument.open(bytesSource(classicPdf(objects))));
  assert.deepEqual(told, [{ object: 3, page: 1 }, { object: 8, page: 3 }]);
});

Deno.test("contents: several streams are one content, whatever compresses them", () => {
  const objects = documentObjects();
  objects[3] = objects[3].replace("/Contents 4 0 R", "/Contents [20 0 R 21 0 R 22 0 R]");
  objects[20] = stream(fromLatin1(deflateSync(latin1("q BT /F1"))), "/Filter /FlateDecode");
  objects[21] = stream("\x039 Tf\x80", "/Filter /RunLengthDecode");
  objects[22] = stream("ET Q");
  const check = () => oddContents(PdfDocument.open(bytesSource(classicPdf(objects))));
  assert.deepEqual(check(), []);
  objects[22] = stream("ET Q Q");
  assert.deepEqual(check(), [{ object: 20, page: 1 }]);
  objects[22] = stream("ET Q", "/Filter /LZWDecode");
  assert.deepEqual(check(), [{ object: 20, page: 1 }]);
});

Deno.test("contents: more of them than a file of this size holds end with limit_exceeded", () => {
  const objects = documentObjects();
  const long = fromLatin1(deflateSync(new Uint8Array(60 << 20).fill(32), { level: 1 }));
  objects[4] = stream("/A Do /B Do");
  objects[3] = objects[3].replace("/Font", "/XObject << /A 10 0 R /B 11 0 R >> /Font");
  for (const num of [10, 11]) {
    objects[num] = stream(long, "/Subtype /Form /BBox [0 0 9 9] /Filter /FlateDecode");
  }
  const refuse = () =>
    assert.throws(() => oddContents(PdfDocument.open(bytesSource(classicPdf(objects)))), {
      code: "limit_exceeded",
    });
  refuse();
  objects[3] = objects[3].replace("/Contents 4 0 R", `/Contents [${"10 0 R ".repeat(1000)}]`);
  refuse();
});

Deno.test("contents: a book of scanned pages is read, however much its pictures come to", () => {
  const objects = documentObjects();
  const white = fromLatin1(deflateSync(new Uint8Array(50_000_000).fill(255), { level: 1 }));
  const names = ["A", "B", "C", "D", "E", "F", "G"];
  objects[4] = stream(names.map((name) => `/${name} Do`).join(" "));
  const images = names.map((name, i) => `/${name} ${10 + i} 0 R`).join(" ");
  objects[3] = objects[3].replace("/Font", `/XObject << ${images} >> /Font`);
  names.forEach((_, i) => {
    objects[10 + i] = stream(
      white,
      "/Subtype /Image /Width 10000 /Height 5000 /BitsPerComponent 8 /ColorSpace /DeviceGray " +
        "/Filter /FlateDecode",
    );
  });
  assert.deepEqual(oddContents(PdfDocument.open(bytesSource(classicPdf(objects)))), []);
});

Deno.test("contents: an expression that names others many times ends with limit_exceeded", () => {
  const objects: Objects = { 10: GROUP, 11: GROUP, 19: "[/And 10 0 R]" };
  for (let num = 12; num < 19; num++) objects[num] = `[/And ${`${num + 1} 0 R `.repeat(100)}]`;
  const page = withOptional("<< /Type /OCMD /VE 12 0 R >>", "");
  assert.throws(() => oddOf({ ...page, objects }), { code: "limit_exceeded" });
});

Deno.test("contents: what is used many times is looked at once", () => {
  const glyphs = Array.from({ length: 1000 }, (_, i) => `/a${i} 11 0 R`).join(" ");
  const page = glyph("9 0 0 0 9 9 d1 0 0 9 9 re f");
  const font = page.objects![10].replace("/a 11 0 R", glyphs);
  const content = "/T 1 Tf ".repeat(200_000);
  assert.deepEqual(oddOf({ ...page, content, objects: { ...page.objects, 10: font } }), []);
});

Deno.test("contents: a portfolio, and a form drawn from its XFA, have something else than the pages shown", () => {
  const shows = (catalog: string) => oddOf({ content: shown, catalog });
  for (
    const catalog of ["/Collection << /View /H /D (order.pdf) >>", "/NeedsRendering true"]
  ) assert.deepEqual(shows(catalog), [{ object: 1, page: 1 }]);
  assert.deepEqual(shows("/NeedsRendering false /PageMode /UseAttachments"), []);
});
