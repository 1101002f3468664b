import assert from "node:assert/strict";
import { join } from "node:path";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { run } from "../../tests/fixtures/pdf_tools.ts";
import { inTempDir } from "../../tests/fixtures/openssl.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { completeWith } from "../../tests/fixtures/sign_pdf.ts";
import { bytesSource } from "../source.ts";
import { latin1, name } from "../pdf/value.ts";
import { placesOfSignature } from "./drawn.ts";
import { type Appearance, prepareSignature } from "./prepare.ts";

const { officers: [asha] } = makePki({ officers: [{ name: "Asha Roy" }] });

/** Fills its box. */
const black: Appearance["draw"] = (update, { width, height, matrix }) =>
  update.addStream({
    Type: name("XObject"),
    Subtype: name("Form"),
    BBox: [0, 0, width, height],
    Matrix: [...matrix],
  }, latin1(`0 g 0 0 ${width} ${height} re f`));

/** The corners of what is dark on a page that poppler drew with a pixel for each point. */
async function inkOf(path: string): Promise<number[]> {
  const bytes = await Deno.readFile(path);
  const [head, width, height] = /^P5\s+(\d+)\s+(\d+)\s+255\s/.exec(
    new TextDecoder("latin1").decode(bytes.subarray(0, 40)),
  )!.map((part, i) => i === 0 ? part.length : Number(part)) as number[];
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (bytes[head + y * width + x] > 100) continue;
      box[0] = Math.min(box[0], x);
      box[1] = Math.min(box[1], height - y - 1);
      box[2] = Math.max(box[2], x + 1);
      box[3] = Math.max(box[3], height - y);
    }
  }
  return box;
}

Deno.test("where the widgets of a field are told to be, poppler draws them, on cropped and turned pages too", () =>
  inTempDir(async (dir) => {
    const rotations = [0, 90, 180, 270, -90];
    const crops = ["", "/CropBox [100 200 400 600]", "/CropBox [-50 -50 300 300]"];
    const pages = crops.flatMap((crop) =>
      rotations.map((rotation) => `${crop} /Rotate ${rotation}`)
    );
    const objects = documentObjects({ pages: pages.length, signatureFields: ["Cover"] });
    const field = Object.keys(objects).map(Number).find((number) =>
      objects[number].includes("(Cover)")
    )!;
    // Each page has a widget, partly beyond its edge, and no text.
    const kids = pages.map((entries, i) => {
      const [page, content, widget] = [3 + 2 * i, 4 + 2 * i, 900 + i];
      objects[content] = "<< /Length 0 >>\nstream\n\nendstream";
      objects[page] = objects[page].replace(/\/Annots \[.*?\]/, "")
        .replace(/>>$/, `${entries} /Annots [${widget} 0 R] >>`);
      objects[widget] = `<< /Type /Annot /Subtype /Widget /Parent ${field} 0 R /F 4 ` +
        `/Rect [-30 230 330 270] /P ${page} 0 R >>`;
      return `${widget} 0 R`;
    });
    objects[field] = `<< /FT /Sig /T (Cover) /Kids [${kids.join(" ")}] >>`;
    const bytes = classicPdf(objects);
    const source = bytesSource(bytes);
    const prepared = prepareSignature(source, { field: "Cover", appearance: { draw: black } });
    assert.equal(prepared.isNew, false);
    assert.deepEqual(prepared.places.map(({ page }) => page), pages.map((_, i) => i + 1));
    const file = join(dir, "signed.pdf");
    const signed = Uint8Array.from([...bytes, ...completeWith(source, prepared, asha)]);
    await Deno.writeFile(file, signed);
    assert.deepEqual(placesOfSignature(bytesSource(signed), "Cover"), prepared.places);
    const drawn = await run("pdftoppm", "-r", "72", "-cropbox", "-gray", file, join(dir, "page"));
    assert.equal(drawn.code, 0, drawn.text);
    for (const { page, box, share } of prepared.places) {
      const ink = await inkOf(join(dir, `page-${String(page).padStart(2, "0")}.pgm`));
      box.forEach((edge, i) =>
        assert.ok(Math.abs(edge - ink[i]) <= 1, `${pages[page - 1]}: ${box}, drawn at ${ink}`)
      );
      const [width, height] = [box[2] - box[0], box[3] - box[1]];
      assert.ok(width * height > 0 && share > 0 && share < 1);
    }
  }));
