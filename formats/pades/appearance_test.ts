import assert from "node:assert/strict";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { notoFor, notoSans } from "../../tests/fixtures/fonts.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { pdfsig, run } from "../../tests/fixtures/pdf_tools.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { FormatError } from "../error.ts";
import { type AppearanceContent, drawAppearance } from "./appearance.ts";
import { PdfDocument } from "../pdf/document.ts";
import { addImage } from "../pdf/image.ts";
import { appendedSource, bytesSource } from "../source.ts";
import { isRightToLeft, TextSetter } from "../pdf/text.ts";
import { PdfUpdate } from "../pdf/update.ts";
import { fromLatin1, PdfName, PdfStream } from "../pdf/value.ts";

const { officers: [asha] } = makePki({ officers: [{ name: "Asha Roy" }] });

/** Names and titles in every script of India's scheduled languages. */
const TEXTS = {
  English: [
    "Digitally signed by Asha Roy",
    "Executive Engineer",
    "Date: 2026-02-03 10:15:00 +05:30",
  ],
  Romanised: ["Kṛṣṇa Śarmā", "½ of 12 m² ± 5 %"],
  Assamese: ["আশা ৰায়", "কাৰ্যবাহী অভিযন্তা"],
  Bengali: ["ডিজিটাল স্বাক্ষর: আশা রায়", "নির্বাহী প্রকৌশলী, কৃষ্ণনগর", "কারণ: অনুমোদন ক্ষেত্র শ্রী"],
  Gujarati: ["આશા રૉય", "કાર્યપાલક ઇજનેર"],
  Hindi: ["डिजिटल हस्ताक्षर: आशा रॉय", "कार्यकारी अभियंता (सिंचाई)", "कारण: स्वीकृति क्षेत्र श्रीमान ₹"],
  Kannada: ["ಆಶಾ ರಾಯ್", "ಕಾರ್ಯನಿರ್ವಾಹಕ ಎಂಜಿನಿಯರ್"],
  Malayalam: ["ആശ റോയ്", "എക്സിക്യൂട്ടീവ് എഞ്ചിനീയർ"],
  Manipuri: ["ꯑꯥꯁꯥ ꯔꯣꯌ", "ꯏꯟꯖꯤꯅꯤꯌꯔ"],
  Odia: ["ଆଶା ରାୟ", "ନିର୍ବାହୀ ଯନ୍ତ୍ରୀ"],
  Punjabi: ["ਆਸ਼ਾ ਰਾਏ", "ਕਾਰਜਕਾਰੀ ਇੰਜੀਨੀਅਰ"],
  Sanskrit: ["आशा रायः", "कार्यपालकाभियन्ता ॥"],
  Santali: ["ᱟᱥᱟ ᱨᱚᱭ", "ᱤᱸᱡᱤᱱᱤᱭᱟᱨ"],
  Tamil: ["ஆஷா ராய்", "செயற்பொறியாளர்"],
  Telugu: ["ఆశా రాయ్", "కార్యనిర్వాహక ఇంజనీర్"],
  Urdu: ["آشا رائے", "ایگزیکٹو انجینئر"],
  Kashmiri: ["آشا رٲے", "اؠگزیکٹو اِنجینیر"],
  Sindhi: ["آشا راءِ", "ايگزيڪيوٽو انجنيئر"],
};

async function sign(
  content: Omit<AppearanceContent, "fonts">,
  pageEntries = "",
  size: [number, number] = [220, 60],
): Promise<Uint8Array> {
  const fonts = await notoFor(content.lines.join());
  return signPdf(classicPdf(documentObjects({ pageEntries })), asha, {
    appearance: { place: { page: 1, size }, draw: drawAppearance({ ...content, fonts }) },
  });
}

for (const [language, lines] of Object.entries(TEXTS)) {
  Deno.test(`appearance: other programs read the ${language} text as given`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      for (const rotation of language === "English" || language === "Bengali" ? [0, 90] : [0]) {
        const file = join(folder, "signed.pdf");
        const bytes = await sign({ lines }, `/Rotate ${rotation}`);
        await Deno.writeFile(file, bytes as Uint8Array<ArrayBuffer>);
        assert.deepEqual(await pdfsig(file), [{ valid: true, total: true }]);
        const { text } = await run("pdftotext", file, "-");
        // Of what runs from right to left poppler turns vowel marks to before their letters, and marks the direction.
        const plain = (text: string) =>
          isRightToLeft(lines[0])
            ? text.normalize("NFC").replace(/[\u064b-\u0655\u202a-\u202e\u2066-\u2069]/g, "")
            : text.normalize("NFC");
        for (const line of lines) {
          assert.ok(plain(text).includes(plain(line)), `${line} in ${text}`);
        }
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("appearance: conjunct letters are shaped", async () => {
  const setter = new TextSetter(await notoSans());
  const glyphs = (text: string) => setter.show(text, 10, 0, 0).match(/ Tj/g)!.length;
  // Three characters that make one sign: consonant, virama, consonant.
  assert.equal(glyphs("ক্ষ"), 1);
  assert.equal(glyphs("क्ष"), 1);
  assert.equal(glyphs("abc"), 3);
});

/** The places of a line's glyphs from left to right, and which glyph stands there. */
function glyphsOf(setter: TextSetter, text: string): string[] {
  const shown = [...setter.show(text, 10, 0, 0).matchAll(/1 0 0 1 (\S+) \S+ Tm <(\w+)>/g)];
  return shown.map(([, x, glyph]) => ({ x: Number(x), glyph })).sort((a, b) => a.x - b.x)
    .map(({ glyph }) => glyph);
}

Deno.test("appearance: Urdu runs from right to left, numbers and Latin within it from left to right", async () => {
  const setter = new TextSetter(await notoFor("بل"));
  assert.equal(isRightToLeft("بل 12, PWD"), true);
  assert.equal(isRightToLeft("PWD, بل"), false);
  const [one, two, latin] = [
    glyphsOf(setter, "1")[0],
    glyphsOf(setter, "2")[0],
    glyphsOf(setter, "P")[0],
  ];
  const line = glyphsOf(setter, "بل 12 P");
  // As seen from the left: P, a blank, 12, a blank, and the word, whose first letter is at the right.
  assert.deepEqual([line.indexOf(latin), line.indexOf(one), line.indexOf(two)], [0, 2, 3]);
  const word = glyphsOf(setter, "بل");
  assert.deepEqual(line.slice(5), word);
  assert.equal(glyphsOf(setter, "ل").length, 1);
  assert.notDeepEqual(word, glyphsOf(setter, "لب"), "letters are joined in their order");
});

Deno.test("appearance: a character that no font has is refused by its name", async () => {
  const refused = (text: string, what: RegExp) =>
    assert.rejects(
      sign({ lines: [text] }),
      (error: FormatError) => error.code === "invalid_argument" && what.test(error.message),
    );
  await refused("Asha 漢", /no font for “漢” \(U\+6F22\) in “Asha 漢”/);
  await refused("Asha 😀", /U\+1F600/);
  await refused("ཨ", /U\+0F68/);
  // What is not drawn needs no font.
  await sign({ lines: ["Asha\u200b\u2060 Roy\u200e\tand\nothers"] });
});

/** Lines of the only form, with their sizes and places. */
function linesIn(bytes: Uint8Array): { size: number; x: number; y: number }[] {
  const document = PdfDocument.open(bytesSource(bytes));
  for (const num of document.xref.entries.keys()) {
    const object = document.object(document.refOf(num));
    if (!(object?.value instanceof PdfStream)) continue;
    const subtype = object.value.dict.get("Subtype");
    if (!(subtype instanceof PdfName) || subtype.value !== "Form") continue;
    const content = fromLatin1(document.streamData(object));
    let size = 0;
    return [...content.matchAll(/\/F\d+ (\S+) Tf|1 0 0 1 (\S+) (\S+) Tm/g)].flatMap(
      ([, font, x, y]) => {
        if (font === undefined) return [{ size, x: Number(x), y: Number(y) }];
        size = Number(font);
        return [];
      },
    );
  }
  throw new Error("no appearance");
}

Deno.test("appearance: text wraps within its box, at 6 points or more; a box that is too small is refused", async () => {
  const lines = ["Digitally signed by a name that is long ".repeat(3), "x".repeat(90)];
  for (const size of [[220, 60], [120, 120], [60, 300]] as [number, number][]) {
    for (const { size: points, x, y } of linesIn(await sign({ lines }, "", size))) {
      assert.ok(points >= 6 && x >= 3 && x < size[0] - 3 && y >= 3 && y < size[1] - 3);
    }
  }
  const short = linesIn(await sign({ lines: ["Asha", "Roy"] }));
  assert.ok(short.every(({ size }) => size >= 12), "as large as it may be");
  await assert.rejects(sign({ lines }, "", [80, 40]), (error: FormatError) => {
    const [, needed] = /needs (\d+) points of height, and has 34/.exec(error.message)!;
    assert.equal(error.code, "invalid_argument");
    return Number(needed) > 34;
  });
});

/** A PNG with a few pixels. */
function png(
  type: number,
  bits: number,
  row: number[],
  more: [string, number[]][] = [],
): Uint8Array {
  const chunk = (name: string, data: Uint8Array) => {
    const out = new Uint8Array(12 + data.length);
    const view = new DataView(out.buffer);
    view.setUint32(0, data.length);
    out.set(new TextEncoder().encode(name), 4);
    out.set(data, 8);
    view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
    return out;
  };
  const parts = [
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10),
    chunk("IHDR", Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 1, bits, type, 0, 0, 0)),
    ...more.map(([name, data]) => chunk(name, Uint8Array.from(data))),
    chunk("IDAT", new Uint8Array(deflateSync(Uint8Array.of(0, ...row)))),
    chunk("IEND", new Uint8Array()),
  ];
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** The pixels of a picture as a PDF has them. */
function pixels(picture: Uint8Array): number[] {
  const source = bytesSource(classicPdf(documentObjects()));
  const update = new PdfUpdate(PdfDocument.open(source));
  const { ref, width, height } = addImage(update, picture);
  assert.deepEqual([width, height], [2, 1]);
  const document = PdfDocument.open(appendedSource(source, update.finish().bytes));
  return [...document.streamData(document.object(ref)!)];
}

Deno.test("picture: every kind of PNG is accepted", () => {
  assert.deepEqual(pixels(png(0, 8, [1, 2])), [1, 2]);
  assert.deepEqual(pixels(png(2, 8, [1, 2, 3, 4, 5, 6])), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(pixels(png(3, 8, [1, 0], [["PLTE", [1, 2, 3, 4, 5, 6]]])), [1, 0]);
  // On white where they are clear.
  assert.deepEqual(pixels(png(6, 8, [1, 2, 3, 255, 9, 9, 9, 0])), [1, 2, 3, 255, 255, 255]);
  assert.deepEqual(pixels(png(4, 8, [7, 255, 9, 0])), [7, 7, 7, 255, 255, 255]);
  const palette: [string, number[]][] = [["PLTE", [1, 2, 3, 4, 5, 6]], ["tRNS", [0]]];
  assert.deepEqual(pixels(png(3, 8, [1, 0], palette)), [4, 5, 6, 255, 255, 255]);
  assert.deepEqual(pixels(png(0, 8, [5, 6], [["tRNS", [0, 5]]])), [255, 255, 255, 6, 6, 6]);
  const key: [string, number[]][] = [["tRNS", [0, 1, 0, 2, 0, 3]]];
  assert.deepEqual(pixels(png(2, 8, [1, 2, 3, 1, 2, 4], key)), [255, 255, 255, 1, 2, 4]);
});

Deno.test("picture: JPEG is embedded unchanged", () => {
  const jpeg = (components: number) =>
    Uint8Array.of(
      ...[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2],
      ...[0xff, 0xc0, 0, 11, 8, 0, 1, 0, 2, components, 1, 0x11, 0, 0xff, 0xd9],
    );
  const source = bytesSource(classicPdf(documentObjects()));
  const update = new PdfUpdate(PdfDocument.open(source));
  assert.deepEqual(addImage(update, jpeg(3)).width, 2);
  assert.throws(() => addImage(update, jpeg(4)), FormatError);
});

Deno.test("picture: other formats are refused", () => {
  const update = new PdfUpdate(PdfDocument.open(bytesSource(classicPdf(documentObjects()))));
  const whole = png(6, 8, [1, 2, 3, 4, 5, 6, 7, 8]);
  const interlaced = whole.slice();
  interlaced[28] = 1;
  const damaged = whole.slice();
  damaged.fill(0xff, 45, 55);
  for (const bytes of [new Uint8Array(), whole.subarray(0, 20), interlaced, damaged]) {
    assert.throws(
      () => addImage(update, bytes),
      (e) => e instanceof FormatError && e.code === "invalid_argument",
    );
  }
});
