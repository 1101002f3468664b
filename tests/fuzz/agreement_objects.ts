/**
 * Objects of a signed PDF that a later revision writes anew: the same values in other spelling, with another entry, and
 * fields of every make. The document has one of everything that decides on what a page shows.
 */
import { classicPdf, classicUpdate, type Objects } from "../fixtures/pdf.ts";
import { PdfDocument } from "../../formats/pdf/document.ts";
import { bytesSource } from "../../formats/source.ts";
import { fromLatin1, PdfDict, PdfStream } from "../../formats/pdf/value.ts";

type Next = (below: number) => number;
const pick = <T>(next: Next, all: readonly T[]): T => all[next(all.length)];

const stream = (text: string, more = "") =>
  `<< /Length ${text.length} ${more} >>\nstream\n${text}\nendstream`;
const form = (text: string, more = "") =>
  stream(text, `/Type /XObject /Subtype /Form /BBox [0 0 100 20] ${more}`);
const widget = (rect: string, more: string) =>
  `<< /Type /Annot /Subtype /Widget /F 4 /Rect [${rect}] /P 3 0 R ${more} >>`;
const CMAP = "/CIDInit /ProcSet findresource begin 12 dict begin begincmap " +
  "1 begincodespacerange <00> <FF> endcodespacerange " +
  "1 beginbfchar <41> <0041> endbfchar endcmap end end";

/** Fields with a value and no appearance, as some programs leave them to be drawn by the reader. */
const OBJECTS: Objects = {
  1: "<< /Type /Catalog /Pages 2 0 R /AcroForm 10 0 R /Lang (en-IN) /MarkInfo << /Marked true >> " +
    "/StructTreeRoot 20 0 R /OCProperties 30 0 R /Metadata 40 0 R " +
    "/ViewerPreferences << /DisplayDocTitle true >> /Names << >> >>",
  2: "<< /Type /Pages /Count 2 /Kids [3 0 R 5 0 R] /MediaBox [0 0 595 842] /Rotate 0 /Resources 6 0 R >>",
  3: "<< /Type /Page /Parent 2 0 R /Contents [4 0 R 41 0 R] /StructParents 0 " +
    "/Annots [11 0 R 12 0 R 13 0 R 14 0 R 15 0 R 17 0 R 18 0 R] >>",
  4: stream(
    "BT /F1 12 Tf 72 720 Td (Page 1) Tj ET /GS1 gs q 60 0 0 60 72 600 cm /Im1 Do Q " +
      "q 1 0 0 1 200 600 cm /Fm1 Do Q /OC /Layer BDC 300 600 60 60 re f EMC " +
      "/Cs1 cs 0.2 scn 400 600 60 60 re f",
  ),
  5: "<< /Type /Page /Parent 2 0 R /Rotate 90 /CropBox [0 0 500 500] /Contents 42 0 R >>",
  6: "<< /Font << /F1 7 0 R >> /XObject << /Im1 50 0 R /Fm1 51 0 R >> /ExtGState << /GS1 52 0 R >> " +
    "/ColorSpace << /Cs1 53 0 R >> /Properties << /Layer 31 0 R >> >>",
  7: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /FirstChar 65 /LastChar 67 " +
    "/Widths [600 700 800] /Encoding 8 0 R /ToUnicode 9 0 R >>",
  8: "<< /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [66 /B] >>",
  9: stream(CMAP),
  10: "<< /Fields [11 0 R 13 0 R 14 0 R 15 0 R 16 0 R] /DA (/Helv 12 Tf 0 g) >>",
  11: widget("50 400 250 425", "/FT /Tx /T (Amount) /V (1000) /DA (/Helv 12 Tf 0 g)"),
  12: widget("50 360 250 385", "/T (Sub) /Parent 16 0 R"),
  13: widget(
    "50 320 70 340",
    "/FT /Btn /T (Agreed) /V /Off /AS /Off /AP << /N << /Yes 54 0 R /Off 55 0 R >> >>",
  ),
  14: widget(
    "50 280 250 305",
    "/FT /Ch /Ff 131072 /T (Choice) /V (b) /Opt [(a) (b)] /DA (/Helv 12 Tf 0 g)",
  ),
  15: widget("50 100 200 125", "/FT /Sig /T (Waiting)"),
  16: "<< /FT /Tx /T (Group) /V (2000) /Kids [12 0 R] >>",
  17: "<< /Type /Annot /Subtype /Link /F 4 /Rect [300 400 400 420] /Border [0 0 1] " +
    "/A << /S /URI /URI (https://example.org/) >> >>",
  18: "<< /Type /Annot /Subtype /Stamp /F 4 /Rect [300 300 400 320] /AP << /N 56 0 R >> >>",
  20: "<< /Type /StructTreeRoot /K [21 0 R] /ParentTree 22 0 R /ParentTreeNextKey 1 >>",
  21: "<< /Type /StructElem /S /P /P 20 0 R /Pg 3 0 R /K [0] /ActualText (Page 1) >>",
  22: "<< /Nums [0 [21 0 R]] >>",
  30: "<< /OCGs [31 0 R] /D << /Order [31 0 R] /ON [31 0 R] >> >>",
  31: "<< /Type /OCG /Name (Layer) >>",
  40: stream("<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", "/Type /Metadata /Subtype /XML"),
  41: stream("0.5 w 72 500 m 200 500 l S"),
  42: stream("BT /F1 12 Tf 72 400 Td (Page 2) Tj ET"),
  50: stream(
    "\x00\x80\xff\x40",
    "/Type /XObject /Subtype /Image /Width 2 /Height 2 /BitsPerComponent 8 /ColorSpace /DeviceGray",
  ),
  51: form("0 0 40 20 re f", "/Group << /S /Transparency >>"),
  52: "<< /Type /ExtGState /ca 1 /BM /Normal /LW 1 >>",
  53: "[/Separation /Spot /DeviceGray 57 0 R]",
  54: form("1 0 0 RG 0 0 20 20 re S"),
  55: form("0 0 20 20 re S"),
  56: form("0 0 100 20 re f"),
  57: "<< /FunctionType 2 /Domain [0 1] /C0 [1] /C1 [0] /N 1 >>",
  58: form("0 0 500 500 re f"),
  59: "<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>",
};

/** Nothing in the signed revision names these two. */
const SPARE = [58, 59];

/** To be signed. */
export const everythingPdf = (): Uint8Array => classicPdf(OBJECTS);

const xml = (text: string) => stream(`<xdp>${text}</xdp>`);
const XFA = "/XFA [(template) 60 0 R (datasets) 61 0 R]";
/** A form that Adobe's programs show as its XFA part says, and the four engines as its pages say. */
const XFA_OBJECTS: Objects = {
  ...OBJECTS,
  10: `${OBJECTS[10].slice(0, -2)} ${XFA} >>`,
  60: xml("<template/>"),
  61: xml("<amount>1000</amount>"),
};

/** To be signed; see {@linkcode xfaRevision}. */
export const xfaPdf = (): Uint8Array => classicPdf(XFA_OBJECTS);

/** The bodies of these objects as a signed revision has them. */
export function bodiesOf(signed: Uint8Array, objects: Objects = OBJECTS): Objects {
  const document = PdfDocument.open(bytesSource(signed));
  return Object.fromEntries(
    Object.entries(objects).map(([num, body]) => {
      const { bytes, value } = document.object(document.refOf(Number(num)))!;
      // Only the form, the catalog and the page get another one when the document is signed.
      if (!(value instanceof PdfDict) || value instanceof PdfStream) return [num, body];
      return [num, fromLatin1(bytes.subarray(value.start, value.end))];
    }),
  );
}

/** Puts a revision behind {@linkcode xfaPdf}, signed, which may change the XFA form. */
export function xfaRevision(next: Next, signed: Uint8Array) {
  const bodies = bodiesOf(signed, XFA_OBJECTS);
  const form = (to: string) => ({ 10: bodies[10].replace(XFA, to) });
  const same: Objects[] = [
    ...[{ 60: bodies[60] }, { 61: bodies[61] }, { 10: bodies[10] }, { 3: bodies[3] }],
    form("/XFA  [ (template)60 0 R<6461746173657473>  61 0 R ]"),
  ];
  const other: Objects[] = [
    ...[{ 61: xml("<amount>9000</amount>") }, { 60: xml("<template2/>") }, { 61: "null" }],
    ...["", "/XFA null", "/XFA 61 0 R", "/XFA []"].map(form),
    form("/XFA [(datasets) 61 0 R (template) 60 0 R]"),
    { ...form("/XFA [(template) 60 0 R (datasets) 62 0 R]"), 62: xml("<amount>9000</amount>") },
    { ...form(`${XFA} ${XFA.replace("61", "62")}`), 62: xml("<amount>9000</amount>") },
    { ...form(`${XFA} /XF#41 62 0 R`), 62: xml("<amount>9000</amount>") },
  ];
  const isOther = next(2) === 0;
  const nothing = () => `% ${next(1000)}\n`;
  const changed = Object.entries(pick(next, isOther ? other : same));
  return {
    isOther,
    bytes: classicUpdate(
      signed,
      Object.fromEntries(changed.map(([num, body]) => [num, nothing() + body])),
    ),
  };
}

/** Another way to write a value that some or all readers take for the same. */
function respelled(next: Next, token: string): string {
  const number = Number(token);
  if (/^\d+$/.test(token)) {
    return pick(next, [
      ...[`0${token}`, `${token}.0`, `${token}.`, `+${token}`, `00000000000${token}`],
      ...[`${token}-9`, `--${token}`, `${token}.0.0`, `${token}e0`, `0${token}.00`, `${token}+0`],
      ...[`${number}.9`, `-${token}`, `${number + 4294967296}`, `%x\n${token}`, `.${token}`],
    ]);
  }
  if (/^\d*\.\d+$/.test(token)) return pick(next, [`0${token}`, `${token}0`, `+${token}`]);
  if (token.startsWith("(")) {
    const hex = [...token.slice(1, -1)].map((c) => c.charCodeAt(0).toString(16)).join("");
    return pick(next, [`<${hex}>`, `<${hex.toUpperCase()} >`, `(\\${token.slice(1)}`, `<${hex}0>`]);
  }
  if (token.startsWith("/")) {
    const c = token.charCodeAt(token.length - 1).toString(16);
    const start = token.slice(0, -1);
    return pick(next, [`${start}#${c}`, `${start}#${c.toUpperCase()}`, `${token}#00`, `${token}#`]);
  }
  return pick(next, [token, token.toUpperCase(), ` ${token}`]);
}

const TOKEN = /\([^()]*\)|\/[A-Za-z]\w*|\b\d+ \d+ R\b|\d*\.\d+|\d+|true|null/g;

/** One value of an object's dictionary in another spelling. */
function spelled(next: Next, body: string): string {
  const end = body.includes("stream\n") ? body.indexOf("stream\n") : body.length;
  const tokens = [...body.slice(0, end).matchAll(TOKEN)].filter(([text]) => !text.endsWith(" R"));
  if (tokens.length === 0) return body;
  const { 0: text, index } = pick(next, tokens);
  return body.slice(0, index) + respelled(next, text) + body.slice(index + text.length);
}

/** Entries that draw, act, hide or say something somewhere, each in the type that it has there. */
const ENTRIES = [
  ...[
    "/Rotate 180",
    "/MediaBox [0 0 300 300]",
    "/CropBox [0 0 300 300]",
    "/UserUnit 2",
    "/Hidden true",
  ],
  ...[
    "/Contents 58 0 R",
    "/Resources << /Font << /F1 59 0 R >> >>",
    "/Group << /S /Transparency /I true >>",
  ],
  ...[
    "/OC 31 0 R",
    "/AS /Yes",
    "/F 2",
    "/AP << /N 58 0 R >>",
    "/MK << /BG [0 0 0] >>",
    "/C [1 0 0]",
  ],
  ...[
    "/BS << /W 20 >>",
    "/Border [0 0 20]",
    "/IC [1 0 0]",
    "/DA (/Helv 40 Tf 1 g)",
    "/Q 2",
    "/V (9000)",
  ],
  ...[
    "/DR << /Font << /Helv 59 0 R >> >>",
    "/NeedAppearances true",
    "/XFA [(a) 40 0 R]",
    "/CO [11 0 R]",
  ],
  ...["/AA << /O << /S /JavaScript /JS (app.alert\\(1\\)) >> >>", "/OpenAction [5 0 R /Fit]"],
  ...[
    "/PageLabels << /Nums [0 << /P (X) >>] >>",
    "/PageMode /UseOC",
    "/Type /Pages",
    "/Type /Page",
  ],
  ...[
    "/Type /OCG",
    "/Subtype /Square",
    "/Decode [1 0]",
    "/Mask [0 255]",
    "/ImageMask true",
    "/SMask 50 0 R",
  ],
  ...[
    "/Alternates [<< /Image 50 0 R /DefaultForPrinting true >>]",
    "/Matrix [3 0 0 3 0 0]",
    "/Intent /Design",
  ],
  ...[
    "/OFF [31 0 R]",
    "/BaseState /OFF",
    "/TR 57 0 R",
    "/SA true",
    "/Filter /ASCIIHexDecode",
    "/LW 30",
  ],
  ...[
    "/Metadata 40 0 R",
    "/Tabs /S",
    "/ProcSet [/PDF]",
    "/Version /1.2",
    "/Extensions << >>",
    "/ITXT (x)",
  ],
  ...[
    "/Font 59 0 R",
    "/Ff 8192",
    "/MaxLen 1",
    "/I [0]",
    "/TI 1",
    "/RV (<p>9000</p>)",
    "/Opt [(x) (y)]",
  ],
  ...[
    "/StructParents 7",
    "/StructParent 7",
    "/Alt (Pay 9000)",
    "/ActualText (Pay 9000)",
    "/Lang (hi)",
  ],
  ...[
    "/Kids [3 0 R]",
    "/Kids [18 0 R]",
    "/Parent 5 0 R",
    "/FT /Tx",
    "/FT /Sig",
    "/T (Other)",
    "/TU (x)",
  ],
  ...["/Dest [5 0 R /Fit]", "/Thumb 50 0 R", "/Popup 18 0 R", "/Threads [18 0 R]", "/SigFlags 3"],
  ...["/Collection << /View /T >>", "/AF [40 0 R]", "/Perms << >>", "/URI << /Base (http://x/) >>"],
];

/** The trailing `>>` of an object's dictionary. */
function added(body: string, entry: string): string {
  const end = body.includes("stream\n")
    ? body.lastIndexOf(">>", body.indexOf("stream\n"))
    : body.lastIndexOf(">>");
  return end < 0 ? body : `${body.slice(0, end)}${entry} ${body.slice(end)}`;
}

/** Without the entry of that name where there is one, so that it is not said twice. */
function replaced(body: string, entry: string): string {
  const key = /^\/\w+/.exec(entry)![0];
  const had = new RegExp(`${key} (?:<<[^<>]*>>|\\[[^\\]]*\\]|\\([^()]*\\)|\\d+ \\d+ R|/?[\\w.]+)`);
  return added(body.replace(had, ""), entry);
}

/** A new field, from parts that a signature field may have. */
function newField(next: Next, bodies: Objects): Objects {
  const some = (all: readonly string[]) => all.filter(() => next(3) === 0).join(" ");
  const rect = pick(next, [
    ...[
      "0 0 0 0",
      "0 0 0 0",
      "0 0 500 500",
      "500 500 0 0",
      "0 0 500 500 9",
      "0 0 500",
      "0 0 (5) 5",
    ],
    ...["0 0 500.5 500", "60 60 100 80", "0 0 500 0", "0 0 500 --500", "0 0 -500 500"],
  ]);
  const parts = [
    ...["/AP << /N 58 0 R >>", "/V (Pay 9000)", "/DA (/Helv 40 Tf 0 g)", "/MK << /BG [0 0 0] >>"],
    ...["/BS << /W 20 >>", "/Border [0 0 20]", "/AS /N", "/Q 1", "/H /N", "/TU (x)", "/Ff 4096"],
    ...["/DR << /Font << /Helv 59 0 R >> >>", "/NM (x)", "/Lock << /Action /All >>"],
  ];
  const type = () => pick(next, ["/FT /Sig", "/FT /Sig", "/FT /Sig", "/FT /Tx", "/FT /Btn"]);
  const subtype = () =>
    pick(next, ["/Widget", "/Widget", "/Widget", "/FreeText", "/Square", "/Stamp", "/Text"]);
  const name = pick(next, ["New", "New", "Amount", "Group"]);
  const added = (field: string, onPage: string): Objects => ({
    3: bodies[3].replace("/Annots [", `/Annots [${onPage} `),
    10: bodies[10].replace("/Fields [", "/Fields [90 0 R "),
    90: field,
  });
  if (next(6) === 0) {
    const plain = `/Subtype /Widget /F 4 /Rect [${pick(next, ["0 0 0 0", "20 20 80 50"])}]`;
    return added(`<< ${plain} /FT /Sig /T (${name}) >>`, "90 0 R");
  }
  const base = `/Type /Annot /Subtype ${subtype()} /F 4 /P 3 0 R /Rect [${rect}]`;
  if (next(3) > 0) {
    return added(`<< ${base} ${type()} /T (${name}) ${some(parts)} >>`, "90 0 R");
  }
  return {
    ...added(`<< ${type()} /T (${name}) /Kids [91 0 R] ${some(parts)} >>`, "91 0 R"),
    91: `<< ${base} /Parent 90 0 R ${next(2) ? type() : ""} ${some(parts)} >>`,
  };
}

/** A comment of any kind, which a certification of level 3 allows. */
function comment(next: Next, bodies: Objects): Objects {
  const some = (all: readonly string[]) => all.filter(() => next(3) === 0).join(" ");
  const subtype = pick(next, [
    ...["Text", "FreeText", "Line", "Square", "Circle", "Polygon", "Highlight", "StrikeOut", "Ink"],
    ...["Stamp", "Caret", "Popup", "Link", "FileAttachment", "Widget", "Redact", "Watermark"],
  ]);
  const rect = pick(next, [
    "40 40 80 60",
    "40 40 80 60",
    "0 0 0 0",
    "0 0 500 500",
    "0 0 500 500 9",
  ]);
  const parts = [
    ...["/L [0 0 500 500]", "/InkList [[0 0 300 500 500 0]]", "/Vertices [0 0 500 0 500 500]"],
    ...["/QuadPoints [0 800 500 800 0 0 500 0]", "/C [1 0 0]", "/IC [0 0 0]", "/Border [0 0 30]"],
    ...["/DA (/Helv 40 Tf 0 g)", "/Contents (Pay 9000)", "/BS << /W 30 >>", "/CA 0.5", "/F 2"],
    ...[
      "/RD [0 0 0 0]",
      "/LE [/Square /Square]",
      "/CL [0 0 500 500]",
      "/Name /Draft",
      "/OC 31 0 R",
    ],
  ];
  const isPlain = next(4) === 0;
  const drawn = isPlain || next(3) > 0 ? "/AP << /N 58 0 R >>" : "";
  const kind = isPlain ? "Stamp" : subtype;
  const more = isPlain ? "/Rect [40 40 80 60]" : `/Rect [${rect}] ${some(parts)}`;
  return {
    3: bodies[3].replace("/Annots [", "/Annots [90 0 R "),
    90: `<< /Type /Annot /Subtype /${kind} /F 4 ${drawn} ${more} >>`,
  };
}

const KINDS: Record<string, (next: Next, bodies: Objects) => Objects> = {
  spelling(next, bodies) {
    const num = pick(next, Object.keys(bodies).map(Number));
    return { [num]: spelled(next, bodies[num]) };
  },
  entries(next, bodies) {
    const num = pick(next, Object.keys(bodies).map(Number).filter((each) => !SPARE.includes(each)));
    // As it was, and what nobody sees.
    if (next(10) === 0) return { [num]: bodies[num] };
    const entry = pick(next, ENTRIES);
    const key = /^\/\w+/.exec(entry)![0];
    const body = bodies[num];
    return { [num]: body.includes(key) && next(2) ? replaced(body, entry) : added(body, entry) };
  },
  fields: newField,
  comments: comment,
};

export const objectKinds = Object.keys(KINDS);

/** Puts a revision of a kind behind {@linkcode everythingPdf}, signed. */
export function objectsRevision(kind: string, next: Next, signed: Uint8Array): Uint8Array {
  return classicUpdate(signed, KINDS[kind](next, bodiesOf(signed)));
}
