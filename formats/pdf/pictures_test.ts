import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../../tests/fixtures/openssl.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { run } from "../../tests/fixtures/pdf_tools.ts";
import { FormatError } from "../error.ts";
import { type Appearance, prepareSignature } from "../pades/prepare.ts";
import { bytesSource } from "../source.ts";
import { PdfDocument } from "./document.ts";
import { findPage } from "./form.ts";
import { drawingsOf } from "./pictures.ts";
import { latin1, name } from "./value.ts";

/** One pixel, black. */
const IMAGE = "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 " +
  "/ColorSpace /DeviceGray /Length 1 >>\nstream\n\0\nendstream";
const FORM =
  "<< /Type /XObject /Subtype /Form /BBox [-9 -9 99 99] /Matrix [2 0 0 2 5 5] /Length 22 >>\n" +
  "stream\n0 g 0 0 40 10 re f    \nendstream";

/** Pages with this content; each may draw the image `/I` and the form `/X`. */
function pdfOf(contents: string[], pageEntries = ""): Uint8Array<ArrayBuffer> {
  const objects = documentObjects({ pages: contents.length });
  contents.forEach((content, i) => {
    objects[4 + 2 * i] = `<< /Length ${content.length} >>\nstream\n${content}\nendstream`;
    objects[3 + 2 * i] = objects[3 + 2 * i]
      .replace("/Resources <<", "/Resources << /XObject << /I 900 0 R /X 901 0 R >>")
      .replace(/>>$/, `${pageEntries} >>`);
  });
  objects[900] = IMAGE;
  objects[901] = FORM;
  return classicPdf(objects) as Uint8Array<ArrayBuffer>;
}

const boxesOf = (content: string) => {
  const document = PdfDocument.open(bytesSource(pdfOf([content])));
  return drawingsOf(document, findPage(document, 1)).map(({ box }) => box);
};

Deno.test("images, inline images, forms and paths are found where they are drawn", () => {
  assert.deepEqual(boxesOf("q 100 0 0 50 20 30 cm /I Do Q"), [[20, 30, 120, 80]]);
  assert.deepEqual(boxesOf("q 0 100 -50 0 200 30 cm /I Do Q"), [[150, 30, 200, 130]]);
  assert.deepEqual(boxesOf("1 0 0 1 10 10 cm /X Do"), [[15, 15, 95, 35]]);
  const inline = "q 10 0 0 10 5 5 cm BI /W 1 /H 1 /BPC 8 /CS /G ID \0 EI Q";
  assert.deepEqual(boxesOf(`${inline} 4 w 7 7 m 9 20 l S`), [[5, 5, 15, 15], [5, 5, 11, 22]]);
  assert.deepEqual(boxesOf("10 10 20 20 re W n 1 2 3 4 5 6 c n BT (f) Tj ET"), [], "only clips");
  // What is damaged ends the search, and hides nothing found before.
  assert.deepEqual(boxesOf("0 0 5 5 re f ) ( 1 1 5 5 re f"), [[0, 0, 5, 5]]);
  assert.deepEqual(boxesOf("/X Do ".repeat(3)).length, 3);
});

Deno.test("a signature goes where poppler draws nothing", () =>
  inTempDir(async (dir) => {
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48271) % 0x7fffffff;
      return Math.floor(seed / 0x7fffffff * below);
    };
    const drawing = () => {
      const [x, y, w, h] = [random(560), random(800), 5 + random(150), 5 + random(90)];
      return [
        `q ${w} 0 0 ${h} ${x} ${y} cm /I Do Q`,
        `0 g ${x} ${y} ${w} ${h} re f`,
        `2 w ${x} ${y} m ${x + w} ${y} l S`,
        `q 1 0 0 1 ${x} ${y} cm /X Do Q`,
        `0 g ${x} ${y} m ${x + w} ${y} ${x} ${y + h} ${x + w} ${y + h} c b`,
      ][random(5)];
    };
    const pages = Array.from(
      { length: 24 },
      (_, i) => Array.from({ length: 4 + i }, drawing).join("\n"),
    );
    for (const pageEntries of ["", "/Rotate 90 /CropBox [50 60 560 800]"]) {
      const bytes = pdfOf(pages, pageEntries);
      await Deno.writeFile(join(dir, "plan.pdf"), bytes);
      await run("pdftoppm", "-r", "72", "-cropbox", "-gray", join(dir, "plan.pdf"), join(dir, "p"));
      let placed = 0;
      for (const [i] of pages.entries()) {
        const page = i + 1;
        const draw: Appearance["draw"] = (update) =>
          update.addStream(
            { Type: name("XObject"), Subtype: name("Form"), BBox: [0, 0, 1, 1] },
            latin1(""),
          );
        let box;
        try {
          const appearance = { place: { page, size: [120, 40] as [number, number] }, draw };
          ({ places: [{ box }] } = prepareSignature(bytesSource(bytes), { appearance }));
        } catch (error) {
          assert.ok(error instanceof FormatError && error.code === "no_room", String(error));
          continue;
        }
        placed++;
        const image = await Deno.readFile(join(dir, `p-${String(page).padStart(2, "0")}.pgm`));
        const head = /^P5\s+(\d+)\s+(\d+)\s+255\s/.exec(
          new TextDecoder("latin1").decode(image.subarray(0, 40)),
        )!;
        const [width, height] = [Number(head[1]), Number(head[2])];
        for (let y = Math.ceil(box[1]); y < box[3]; y++) {
          for (let x = Math.ceil(box[0]); x < box[2]; x++) {
            const pixel = image[head[0].length + (height - 1 - y) * width + x];
            assert.ok(pixel > 200, `page ${page}: ${pixel} at ${x} ${y} in ${box}`);
          }
        }
      }
      assert.ok(placed > 12, String(placed));
    }
  }));
