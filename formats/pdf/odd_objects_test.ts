import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { classicPdf, documentObjects, type Objects } from "../../tests/fixtures/pdf.ts";
import { bytesSource } from "../source.ts";
import { PdfDocument } from "./document.ts";
import { oddContents } from "./odd_content.ts";
import { fromLatin1, latin1 } from "./value.ts";

const stream = (text: string, more = "") =>
  `<< /Length ${text.length} ${more} >>\nstream\n${text}\nendstream`;

/** Numbers of the odd objects of a page that uses objects from number 10 on. */
function oddOf(
  content: string,
  resources: string,
  more: Objects,
  page = "",
  catalog = "",
): number[] {
  const objects = { ...documentObjects({ catalogEntries: catalog }), ...more };
  objects[4] = stream(content);
  objects[3] = objects[3].replace("/Resources <<", `${page} /Resources << ${resources}`);
  const document = PdfDocument.open(bytesSource(classicPdf(objects)));
  return oddContents(document).map(({ object }) => object);
}

function test(kind: string, cases: Record<string, () => number[]>, isOdd: boolean): void {
  for (const [name, run] of Object.entries(cases)) {
    Deno.test(`objects: readers draw ${isOdd ? "differently" : "alike"} ${kind}: ${name}`, () => {
      assert.equal(run().length > 0, isOdd, String(run()));
    });
  }
}

// Images of 2 by 2 pixels

const GREY = "/ColorSpace /DeviceGray /BitsPerComponent 8";
const SIZE = "/Width 2 /Height 2";
const FLATE = "/Filter /FlateDecode";
const packed = (text: string) => fromLatin1(deflateSync(latin1(text)));
const image = (entries: string, data: string, more: Objects = {}) => () =>
  oddOf("/I Do", "/XObject << /I 10 0 R >>", {
    10: stream(data, `/Type /XObject /Subtype /Image ${entries}`),
    ...more,
  });
const soft = (entries: string, data = "abcd") =>
  image(`${SIZE} ${GREY} /SMask 11 0 R`, "abcd", {
    11: stream(data, `/Type /XObject /Subtype /Image ${entries}`),
  });

/** A JPEG's outline: one scan of one byte. */
function jpeg(
  { width = 2, height = 2, components = 1, frame = "\xc0", data = "\x10", end = "\xff\xd9" },
) {
  const many = String.fromCharCode(components);
  const each = "\x01\x11\0".repeat(components);
  const length = (n: number) => `\0${String.fromCharCode(n)}`;
  return "\xff\xd8\xff\xdb\0\x04ab\xff\xc4\0\x04ab" +
    `\xff${frame}${length(8 + 3 * components)}\x08${length(height)}${length(width)}${many}${each}` +
    `\xff\xda${length(6 + 2 * components)}${many}${
      "\x01\0".repeat(components)
    }\0\x3f\0${data}${end}`;
}
const dct = (shape: Parameters<typeof jpeg>[0], entries = `${SIZE} ${GREY}`) =>
  image(`${entries} /Filter /DCTDecode`, jpeg(shape));
const fax = (parms: string, entries = "") =>
  image(
    `${SIZE} /ColorSpace /DeviceGray /BitsPerComponent 1 ${entries} /Filter /CCITTFaxDecode /DecodeParms ${parms}`,
    "abc",
  );
const table = (hival: number, colours: string, data = "\0\x01\0\x01") =>
  image(
    `${SIZE} /BitsPerComponent 8 /ColorSpace [/Indexed /DeviceGray ${hival} <${colours}>]`,
    data,
  );
const jpeg2000 = (width: number, components: number, end = "\xff\xd9") =>
  "\xff\x4f\xff\x51\0\x29\0\0" + `\0\0\0${String.fromCharCode(width)}\0\0\0\x02` + "\0".repeat(8) +
  `\0\0\0${String.fromCharCode(width)}\0\0\0\x02` + "\0".repeat(8) +
  `\0${String.fromCharCode(components)}` + end;

test("an image", {
  "as it stands": image(`${SIZE} ${GREY}`, "abcd"),
  "that is compressed": image(`${SIZE} ${GREY} ${FLATE}`, packed("abcd")),
  "with more data than it needs": image(`${SIZE} ${GREY} ${FLATE}`, packed("abcdef")),
  "with a row predictor": image(
    `${SIZE} ${GREY} ${FLATE} /DecodeParms << /Predictor 15 /Colors 1 /Columns 2 >>`,
    packed("\x02ab\x01cd"),
  ),
  "that is inverted": image(`${SIZE} ${GREY} /Decode [1.0 0]`, "abcd"),
  "that is a stencil": image(`${SIZE} /ImageMask true /Decode [1 0]`, "ab"),
  "as JPEG": dct({}),
  "as JPEG with a restart": image(
    `${SIZE} ${GREY} /Filter [/DCTDecode]`,
    jpeg({ data: "\x10\xff\xd0\x10\xff\0\x10" }).replace(
      "\xff\xc4",
      "\xff\xdd\0\x04\0\x01\xff\xc4",
    ),
  ),
  "as JPEG 2000 without a colour space": image(`${SIZE} /Filter /JPXDecode`, jpeg2000(2, 1)),
  "as a fax": fax("<< /K -1 /Columns 2 >>"),
  "of a table of colours": table(1, "00ff"),
  "with a soft mask": soft(`${SIZE} ${GREY}`),
  "with a stencil": image(`${SIZE} ${GREY} /Mask 11 0 R`, "abcd", {
    11: stream("ab", `/Subtype /Image ${SIZE} /ImageMask true`),
  }),
  "with a colour that is not drawn": image(`${SIZE} ${GREY} /Mask [97 97]`, "abcd"),
}, false);

test("an image", {
  "whose type is a string": () =>
    oddOf("/I Do", "/XObject << /I 10 0 R >>", {
      10: stream("abcd", `/Subtype (Image) ${SIZE} ${GREY}`),
    }),
  "with too few data": image(`${SIZE} ${GREY} ${FLATE}`, packed("a")),
  "with compressed data that are cut off": image(
    `/Width 40 /Height 40 ${GREY} ${FLATE}`,
    packed("abcdefgh".repeat(200)).slice(0, 12),
  ),
  "with the keys of an inline image": image(`${SIZE} /W 1 ${GREY}`, "abcd"),
  "with a width as a real": image(`/Width 2.0 /Height 2 ${GREY}`, "abcd"),
  "without bits": image(`${SIZE} /ColorSpace /DeviceGray`, "abcd"),
  "with three bits": image(`${SIZE} /ColorSpace /DeviceGray /BitsPerComponent 3`, "abcd"),
  "without a colour space": image(`${SIZE} /BitsPerComponent 8`, "abcd"),
  "with half a range": image(`${SIZE} ${GREY} /Decode [0 0.5]`, "abcd"),
  "with a range that is too short": image(`${SIZE} ${GREY} /Decode [1]`, "abcd"),
  "whose columns are others than its predictor's": image(
    `${SIZE} ${GREY} ${FLATE} /DecodeParms << /Predictor 15 /Colors 1 /Columns 1 >>`,
    packed("\x02a\x01c\x02a\x01c"),
  ),
  "with an unknown row filter": image(
    `${SIZE} ${GREY} ${FLATE} /DecodeParms << /Predictor 15 /Colors 1 /Columns 2 >>`,
    packed("\x07ab\x01cd"),
  ),
  "whose parameters are those of a list": image(
    `${SIZE} ${GREY} ${FLATE} /DecodeParms [<< /Predictor 1 >>]`,
    packed("abcd"),
  ),
  "with an unknown filter": image(`${SIZE} ${GREY} /Filter /Foo`, "abcd"),
  "as JPEG of another width": dct({ width: 1 }),
  "as JPEG of other colours": dct({ components: 3 }),
  "as JPEG without an end": dct({ end: "" }),
  "as JPEG that is lossless": dct({ frame: "\xc3" }),
  "as JPEG with another header in its data": dct({ data: "\x10\xff\xd0\x10" }),
  "as JPEG behind other bytes": image(`${SIZE} ${GREY} /Filter /DCTDecode`, `junk${jpeg({})}`),
  "as JPEG with one bit": dct({}, `${SIZE} /ColorSpace /DeviceGray /BitsPerComponent 1`),
  "as JPEG and a stencil": dct({}, `${SIZE} /ImageMask true`),
  "as JPEG 2000 of another width": image(`${SIZE} /Filter /JPXDecode`, jpeg2000(3, 1)),
  "as JPEG 2000 with an opacity": image(`${SIZE} /Filter /JPXDecode`, jpeg2000(2, 4)),
  "as JPEG 2000 without an end": image(`${SIZE} /Filter /JPXDecode`, jpeg2000(2, 1, "")),
  "as a fax of other columns": fax("<< /K -1 >>"),
  "as a fax whose black is a number": fax("<< /K -1 /Columns 2 /BlackIs1 1 >>"),
  "as a fax whose K is a real": fax("<< /K -1.0 /Columns 2 >>"),
  "with a table that is too short": table(2, "00ff"),
  "with a colour beyond its table": table(1, "00ff", "\0\x02\0\x01"),
  "with a soft mask in colours": soft(
    `${SIZE} /ColorSpace /DeviceRGB /BitsPerComponent 8`,
    "abcdefghijkl",
  ),
  "with a soft mask that is too short": soft(`${SIZE} ${GREY}`, "a"),
  "with a soft mask that is none": image(`${SIZE} ${GREY} /SMask 11 0 R`, "abcd", { 11: "<< >>" }),
  "with a stencil that does not say so": image(`${SIZE} ${GREY} /Mask 11 0 R`, "abcd", {
    11: stream("abcd", `/Subtype /Image ${SIZE} ${GREY}`),
  }),
  "with a colour that there is not": image(`${SIZE} ${GREY} /Mask [97 300]`, "abcd"),
}, true);

// Colours

const fill = (space: string, colour = "1", more: Objects = {}) => () =>
  oddOf(`/C cs ${colour} scn 0 0 9 9 re f`, `/ColorSpace << /C ${space} >>`, more);
const tint = (entries: string) => fill(`[/Separation /S /DeviceGray << ${entries} >>]`);
const coded = (code: string) =>
  fill("[/Separation /S /DeviceGray 10 0 R]", "1", {
    10: stream(code, "/FunctionType 4 /Domain [0 1] /Range [0 1]"),
  });
const samples = (entries: string, data = "\xff\0") =>
  fill("[/Separation /S /DeviceGray 10 0 R]", "1", {
    10: stream(data, `/FunctionType 0 /Domain [0 1] /Range [0 1] ${entries}`),
  });
const PART = "<< /FunctionType 2 /Domain [0 1] /C0 [1] /C1 [0] /N 1 >>";
const stitched = (entries: string) => tint(`/FunctionType 3 /Domain [0 1] ${entries}`);
const white = "/WhitePoint [0.9505 1 1.089]";

test("a colour", {
  "of an exponential function": tint("/FunctionType 2 /Domain [0 1] /C0 [1] /C1 [0] /N 1"),
  "of samples": samples("/Size [2] /BitsPerSample 8"),
  "of parts": stitched(`/Functions [${PART} ${PART}] /Bounds [.5] /Encode [0 1 0 1]`),
  "of a calculator": coded("{dup 0.5 gt {pop 0} {1 exch sub} ifelse}"),
  "of a calculator with a roll": coded("{0 1 3 -1 roll mul exch 2 div add 0 index pop}"),
  "of a table": fill("[/Indexed /DeviceGray 1 <00ff>]"),
  "of usual gamma": fill(`[/CalGray << ${white} /Gamma 2.2 >>]`),
}, false);

/** Parts of parts, each named often. */
const nested = Object.fromEntries([11, 12, 13, 14].map((num) => [
  num,
  num === 14 ? PART : "<< /FunctionType 3 /Domain [0 1] " +
    `/Functions [${`${num + 1} 0 R `.repeat(256)}] ` +
    `/Bounds [${".5 ".repeat(255)}] /Encode [${"0 1 ".repeat(256)}] >>`,
]));

test("a colour", {
  "of parts that name others many times": fill("[/Separation /S /DeviceGray 11 0 R]", "1", nested),
}, false);

test("a colour", {
  "without an exponent": tint("/FunctionType 2 /Domain [0 1] /C0 [1] /C1 [0]"),
  "of too few outputs": tint("/FunctionType 2 /Domain [0 1] /C0 [1] /C1 [] /N 1"),
  "of a domain the other way round": tint("/FunctionType 2 /Domain [1 0] /C0 [1] /C1 [0] /N 1"),
  "of a range that cuts off": tint(
    "/FunctionType 2 /Domain [0 1] /Range [0.9 1] /C0 [1] /C1 [0] /N 1",
  ),
  "of a type as a real": tint("/FunctionType 2.0 /Domain [0 1] /C0 [1] /C1 [0] /N 1"),
  "of too few samples": samples("/Size [9] /BitsPerSample 8"),
  "of one sample": samples("/Size [1] /BitsPerSample 8"),
  "of too many bounds": stitched(`/Functions [${PART} ${PART}] /Bounds [.3 .6] /Encode [0 1 0 1]`),
  "of bounds the other way round": stitched(
    `/Functions [${PART} ${PART} ${PART}] /Bounds [.8 .2] /Encode [0 1 0 1 0 1]`,
  ),
  "of no encoding": stitched(`/Functions [${PART} ${PART}] /Bounds [.5]`),
  "of a division by nothing": coded("{0 div}"),
  "of a root": coded("{neg sqrt}"),
  "of a truth": coded("{0.5 gt}"),
  "of too few operands": coded("{pop}"),
  "of too many results": coded("{1}"),
  "of an exponent in a calculator": coded("{pop 1e0}"),
  "of another number in each branch": coded("{dup 0.5 gt {pop} {1} ifelse}"),
  "beyond its table": fill("[/Indexed /DeviceGray 1 <00ff>]", "2"),
  "before its table": fill("[/Indexed /DeviceGray 1 <00ff>]", "-1"),
  "of an unusual gamma": fill(`[/CalGray << ${white} /Gamma 0.01 >>]`),
  "of a dark white": fill("[/CalGray << /WhitePoint [.1 1 .1] /Gamma 2.2 >>]"),
  "of a profile for others": fill("[/ICCBased 10 0 R]", "0 0 0 1", {
    10: stream("\0".repeat(16) + "RGB \0\0", "/N 4"),
  }),
}, true);

const shading = (entries: string) => () =>
  oddOf("/S sh", "/Shading << /S 10 0 R >>", { 10: `<< /ColorSpace /DeviceGray ${entries} >>` });

test("a shading", {
  "along a line": shading(`/ShadingType 2 /Coords [0 0 9 0] /Function ${PART}`),
  "between circles": shading(`/ShadingType 3 /Coords [0 0 1 9 0 1] /Function [${PART}]`),
}, false);

test("a shading", {
  "from a point to itself": shading(`/ShadingType 2 /Coords [9 0 9 0] /Function ${PART}`),
  "with too few places": shading(`/ShadingType 2 /Coords [9 0 9] /Function ${PART}`),
  "between the same circles": shading(`/ShadingType 3 /Coords [0 0 1 0 0 1] /Function ${PART}`),
  "without a function": shading("/ShadingType 2 /Coords [0 0 9 0]"),
}, true);

// Fonts

const SFNT = "\0\x01\0\0\0\x06" + "\0".repeat(6) +
  ["glyf", "head", "hhea", "hmtx", "loca", "maxp"].map((tag) => tag + "\0".repeat(12)).join("");
const font = (entries: string, flags = 32, program = SFNT) => () =>
  oddOf("BT /T 9 Tf (a) Tj ET", "", {
    3: documentObjects()[3].replace("/Font <<", "/Font << /T 10 0 R"),
    10: `<< /Type /Font /BaseFont /ABCDEF+Sans /FontDescriptor 11 0 R ${entries} >>`,
    11: `<< /Type /FontDescriptor /Flags ${flags} /FontFile2 12 0 R >>`,
    12: stream(program),
  });
const TRUETYPE = "/Subtype /TrueType";
const composite = (encoding: string, entries = "") =>
  font(
    `/Subtype /Type0 /Encoding ${encoding} /DescendantFonts [<< /Type /Font /Subtype /CIDFontType2 ` +
      `/FontDescriptor 11 0 R ${entries} >>]`,
  );

test("a font", {
  "that is embedded": font(TRUETYPE),
  "with other letters": font(`${TRUETYPE} /Encoding << /Differences [65 /B /uni0043] >>`),
  "of many characters": composite("/Identity-H", "/DW 1000 /W [1 [500] 3 9 600]"),
}, false);

test("a font", {
  "that is broken": font(TRUETYPE, 32, "junk"),
  "that lacks a table": font(TRUETYPE, 32, SFNT.replace("head", "daeh")),
  "that is cut off": font(TRUETYPE, 32, SFNT.slice(0, 50)),
  "with other letters for symbols": font(`${TRUETYPE} /Encoding << /Differences [65 /B] >>`, 4),
  "with a string for a letter": font(`${TRUETYPE} /Encoding << /Differences [65 (B)] >>`),
  "with numbers for glyphs": font(`${TRUETYPE} /Encoding << /Differences [65 /cid7] >>`),
  "with widths that begin nowhere": font(`${TRUETYPE} /Widths [500]`),
  "whose map is unknown": composite("/Foo-H"),
  "whose width is a real": composite("/Identity-H", "/DW 1000.0"),
  "whose widths lack one": composite("/Identity-H", "/W [3 9]"),
}, true);

// Fields and comments

const annotated = (entries: string, form = "", catalog = "") => () =>
  oddOf(
    "",
    "",
    {
      10: `<< /Type /Annot /Rect [9 9 200 200] ${entries} >>`,
      11: stream("BT (12) Tj ET", "/Subtype /Form /BBox [0 0 9 9] /Resources << >>"),
    },
    "/Annots [10 0 R]",
    `/AcroForm << /Fields [10 0 R] ${form} >> ${catalog}`,
  );
const APPEARANCE = "/AP << /N 11 0 R >>", ANEW = "/NeedAppearances true";
const text = "/Subtype /Widget /FT /Tx /T (a)";

test("a field", {
  "with an appearance": annotated(`${text} /V (98) ${APPEARANCE}`),
  "whose value is drawn anew as it is": annotated(`${text} /V (1 2) ${APPEARANCE}`, ANEW),
  "without an appearance": annotated(`${text} /V (98)`),
  "that is hidden": annotated(`${text} /V (98) /F 2 ${APPEARANCE}`, ANEW),
}, false);

test("a field", {
  "whose value is another than its appearance": annotated(`${text} /V (98) ${APPEARANCE}`, ANEW),
  "with rich text and no appearance": annotated(`${text} /V (98) /RV (12)`),
  "with a list and no appearance": annotated("/Subtype /Widget /FT /Ch /V (98) /Opt [(98) (12)]"),
  "with a cross and no appearance": annotated("/Subtype /Widget /FT /Btn /V /Yes /AS /Yes"),
  "of no type": annotated(`/Subtype /Widget /T (a) ${APPEARANCE}`),
  "of XFA that is to be rendered": annotated(`${text}`, "/XFA (a)", "/NeedsRendering true"),
}, true);

test("a comment", {
  "with an appearance": annotated(`/Subtype /FreeText ${APPEARANCE}`),
  "that is a small icon": annotated("/Subtype /Text /Contents (a)"),
}, false);

test("a comment", {
  "of text without an appearance": annotated("/Subtype /FreeText /Contents (98)"),
  "of a shape without an appearance": annotated("/Subtype /Polygon /IC [1 1 1]"),
  "of no kind": annotated(APPEARANCE),
  "that is a link with an appearance": annotated(`/Subtype /Link ${APPEARANCE}`),
  "that is a link with a border like a bar": annotated("/Subtype /Link /Border [0 0 90]"),
  "that is a large picture for a file": annotated(`/Subtype /FileAttachment ${APPEARANCE}`),
}, true);
