import assert from "node:assert/strict";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { notoSans } from "../../tests/fixtures/fonts.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { pdfsig, run } from "../../tests/fixtures/pdf_tools.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { FormatError } from "../error.ts";
import { type AppearanceContent, drawAppearance } from "./appearance.ts";
import { PdfDocument } from "../pdf/document.ts";
import { addImage } from "../pdf/image.ts";
import { appendedSource, bytesSource } from "../source.ts";
import { TextSetter } from "../pdf/text.ts";
import { PdfUpdate } from "../pdf/update.ts";
import { fromLatin1, PdfName, PdfStream } from "../pdf/value.ts";

const fonts = await notoSans();
const { officers: [asha] } = makePki({ officers: [{ name: "Asha Roy" }] });

const CONTENTS = {
  English: { name: "Asha Roy", lines: ["Executive Engineer", "Kolkata, 2026-02-03 10:15 IST"] },
  Bengali: { name: "আশা রায়", lines: ["নির্বাহী প্রকৌশলী, কৃষ্ণনগর", "কারণ: অনুমোদন ক্ষেত্র শ্রী"] },
  Hindi: { name: "आशा रॉय", lines: ["कार्यकारी अभियंता (सिंचाई)", "कारण: स्वीकृति क्षेत्र श्रीमान"] },
};

function sign(content: Omit<AppearanceContent, "fonts">, pageEntries = ""): Uint8Array {
  return signPdf(classicPdf(documentObjects({ pageEntries })), asha, {
    appearance: {
      place: { page: 1, size: [220, 60] },
      draw: drawAppearance({ ...content, fonts }),
    },
  });
}

for (const [language, content] of Object.entries(CONTENTS)) {
  Deno.test(`appearance: other programs read the ${language} text as given`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      for (const rotation of [0, 90]) {
        const file = join(folder, "signed.pdf");
        const bytes = sign(content, `/Rotate ${rotation}`);
        await Deno.writeFile(file, bytes as Uint8Array<ArrayBuffer>);
        assert.deepEqual(await pdfsig(file), [{ valid: true, total: true }]);
        const { text } = await run("pdftotext", file, "-");
        for (const line of [content.name, ...content.lines]) {
          assert.ok(text.normalize("NFC").includes(line.normalize("NFC")), `${line} in ${text}`);
        }
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("appearance: conjunct letters are shaped", () => {
  const setter = new TextSetter(fonts);
  const glyphs = (text: string) => setter.show(text, 10, 0, 0).match(/ Tj/g)!.length;
  // Three characters that make one sign: consonant, virama, consonant.
  assert.equal(glyphs("ক্ষ"), 1);
  assert.equal(glyphs("क्ष"), 1);
  assert.equal(glyphs("abc"), 3);
});

Deno.test("appearance: characters missing from all fonts become question marks", () => {
  const setter = new TextSetter(fonts);
  assert.equal(setter.width("漢", 10), setter.width("?", 10));
  assert.equal(setter.width("", 10), 0);
});

Deno.test("appearance: text of any length stays within its box", () => {
  const long = { name: "A very long name ".repeat(20), lines: ["x"] };
  const bytes = sign(long);
  const document = PdfDocument.open(bytesSource(bytes));
  for (const num of document.xref.entries.keys()) {
    const object = document.object(document.refOf(num));
    if (!(object?.value instanceof PdfStream)) continue;
    const subtype = object.value.dict.get("Subtype");
    if (!(subtype instanceof PdfName) || subtype.value !== "Form") continue;
    const content = fromLatin1(document.streamData(object));
    const places = [...content.matchAll(/1 0 0 1 (\S+) (\S+) Tm/g)];
    assert.ok(places.length > 300);
    for (const [, x, y] of places) {
      assert.ok(Number(x) >= 0 && Number(x) <= 220 && Number(y) >= 0 && Number(y) <= 60);
    }
    return;
  }
  assert.fail("no appearance");
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
