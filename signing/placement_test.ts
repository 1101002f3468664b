import assert from "node:assert/strict";
import { bytesSource } from "../formats/source.ts";
import { PdfOptions } from "../protocol/methods.ts";
import { build } from "../tasks/build.ts";
import { TEXT_COMMAND } from "../tests/fixtures/agent.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { Placement } from "./placement.ts";

await build();
// Its process, which stays for a minute, is not of one test.
const placement = new Placement(TEXT_COMMAND);

/** The page, and the best place that is on it. */
async function place(pdf: Uint8Array, visible: unknown, [width, height] = [595, 842]) {
  const parsed = PdfOptions.parse({ visible });
  const { visible: placed } = await placement.place(bytesSource(pdf), parsed, {});
  assert.equal(placed!.anchor, undefined);
  const [rectangle] = placed!.near!.filter(([left, bottom, right, top]) =>
    left >= 0 && bottom >= 0 && right <= width && top <= height
  );
  return { page: placed!.page, rectangle: rectangle?.map(Math.round) };
}

Deno.test("a signature goes just below the last place of a text, else above, beside or further down", async () => {
  const pdf = classicPdf(documentObjects({ pages: 3 }));
  const size = [100, 40];
  // 12-point text at 72, 720
  const below = [72, 675, 172, 715];
  assert.deepEqual(await place(pdf, { anchor: "page 2", size }), { page: 2, rectangle: below });
  assert.deepEqual(await place(pdf, { anchor: "Page", size }), { page: 3, rectangle: below });
  assert.deepEqual(await place(pdf, { anchor: "Page", size, page: 1 }), {
    page: 1,
    rectangle: below,
  });
  const { rectangle } = await place(pdf, { anchor: "Page", size: [560, 716] });
  assert.equal(rectangle, undefined, "refused where the signature is prepared");
  const options = PdfOptions.parse({ visible: { anchor: "Page 1", size } });
  const { near } = (await placement.place(bytesSource(pdf), options, {})).visible!;
  assert.deepEqual(near!.slice(0, 6).map((box) => box.map(Math.round)), [
    below,
    [72, 731, 172, 771],
    [112, 703, 212, 743],
    [-30, 703, 70, 743],
    [72, 669, 172, 709],
    [72, 663, 172, 703],
  ]);
});

Deno.test("on cropped and turned pages a text's place is as the page is displayed", async () => {
  const size = [100, 40];
  const display = (entries: string): [number, number] =>
    !entries.includes("Crop")
      ? [595, 842]
      : /Rotate (90|270)/.test(entries)
      ? [442, 500]
      : [500, 442];
  const at = (pageEntries: string) =>
    place(
      classicPdf(documentObjects({ pageEntries })),
      { anchor: "Page 1", size },
      display(pageEntries),
    );
  // The visible part is 500 by 442; the text begins at 62, 320 in it, and is 38 long.
  const crop = "/CropBox [10 400 510 842]";
  assert.deepEqual((await at(crop)).rectangle, [62, 275, 162, 315]);
  assert.deepEqual((await at(`${crop} /Rotate 90`)).rectangle, [317, 358, 417, 398]);
  assert.deepEqual((await at(`${crop} /Rotate 180`)).rectangle, [400, 71, 500, 111]);
  assert.deepEqual((await at(`${crop} /Rotate 270`)).rectangle, [113, 20, 213, 60]);
  assert.deepEqual((await at("/UserUnit 2")).rectangle, [72, 675, 172, 715]);
  await assert.rejects(at("/CropBox [0 0 595 400]"), { code: "invalid_params" }, "it is cut off");
});

Deno.test("Bengali and Hindi text is found in PDFs printed by Chromium", async () => {
  const pdf = await Deno.readFile(new URL("../tests/fixtures/anchors.pdf", import.meta.url));
  const found = async (anchor: string) => (await place(pdf, { anchor })).rectangle;
  // As pdftotext -bbox has them, but for a vowel sign before the first letter: left 51, bottom 622 and 493; 438 and 386, moved to the left by the page's edge.
  assert.deepEqual(await found("নির্বাহী প্রকৌশলীর স্বাক্ষর"), [56, 562, 256, 622]);
  assert.deepEqual(await found("कार्यपालक अभियंता के हस्ताक्षर"), [51, 433, 251, 493]);
  assert.deepEqual(await found("EXECUTIVE  engineer"), [395, 325, 595, 385]);
  assert.deepEqual(await found("Signature of the Executive"), [140, 713, 340, 773]);
});

Deno.test("missing text and unreadable text give different errors", async () => {
  const pdf = classicPdf(documentObjects({ pages: 2 }));
  const refused = (wanted: unknown, code: string, bytes = pdf) =>
    assert.rejects(place(bytes, wanted), { code }, JSON.stringify(wanted));
  await refused({ anchor: "Nobody's signature" }, "invalid_params");
  await refused({ anchor: "নির্বাহী প্রকৌশলী" }, "invalid_params");
  await refused({ anchor: " \u200d" }, "invalid_params");
  await refused({ anchor: "Page 1", page: 2 }, "invalid_params");
  await refused({ anchor: "Page 1", page: 9 }, "invalid_params");
  await refused({ anchor: "Page 1", rectangle: [0, 0, 9, 9] }, "invalid_params");
  await refused({ anchor: "Page 1" }, "document_malformed", new TextEncoder().encode("%PDF-1.7"));
  const many = classicPdf(documentObjects({ pages: 2001 }));
  await refused({ anchor: "Page 7" }, "too_large", many);
  assert.equal((await place(many, { anchor: "Page 7", page: 7 })).page, 7);
  const cancelled = AbortSignal.abort();
  const options = PdfOptions.parse({ visible: { anchor: "Page" } });
  await assert.rejects(placement.place(bytesSource(pdf), options, { signal: cancelled }), {
    code: "request_cancelled",
  });
});

Deno.test("a process that dies, floods or says nothing is a document that cannot be read", async () => {
  const options = PdfOptions.parse({ visible: { anchor: "Page" } });
  const pdf = bytesSource(classicPdf(documentObjects()));
  for (const code of ["Deno.exit(1)", "for (;;) console.log('x'.repeat(9999))"]) {
    const sick = new Placement([Deno.execPath(), "eval", code]);
    await assert.rejects(sick.place(pdf, options, {}), { code: "document_malformed" }, code);
  }
});
