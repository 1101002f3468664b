import assert from "node:assert/strict";
import { join } from "node:path";
import { classicPdf, damagedPdf, documentObjects, streamPdf } from "../tests/fixtures/pdf.ts";
import { runCorpus } from "./corpus.ts";

/** `README.md` there says how they were made. */
const MADE = join(import.meta.dirname!, "..", "tests", "fixtures", "pdf");

Deno.test("corpus: files are counted by class and result", async () => {
  const folder = await Deno.makeTempDir();
  const write = (name: string, bytes: Uint8Array) =>
    Deno.writeFile(join(folder, name), bytes as Uint8Array<ArrayBuffer>);
  try {
    const objects = documentObjects({ pages: 2 });
    await Deno.mkdir(join(folder, "below"));
    await write("a.pdf", classicPdf(objects));
    await write("below/b.PDF", streamPdf(objects));
    await write("c.pdf", damagedPdf(objects));
    await write("d.pdf", new TextEncoder().encode("not a PDF"));
    await write("e.txt", new Uint8Array());
    const said: string[] = [];
    const { clean, warnings, encrypted, damaged } = await runCorpus(folder, (s) => said.push(s));
    assert.deepEqual(clean, { files: 2, one: 2, three: 2, refused: 0, broken: 0 });
    assert.deepEqual(warnings, { files: 1, one: 1, three: 1, refused: 0, broken: 0 });
    assert.deepEqual(damaged, { files: 1, one: 0, three: 0, refused: 1, broken: 0 });
    assert.equal(encrypted.files, 0);
    assert.deepEqual(said.map((line) => line.slice(0, 38)), [
      "d.pdf: damaged: refused (pdf_malformed",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("corpus: three officers sign what LibreOffice, LaTeX, Ghostscript, Chromium and qpdf make", async () => {
  const { clean, encrypted } = await runCorpus(MADE, assert.fail);
  assert.deepEqual(clean, { files: 12, one: 12, three: 12, refused: 0, broken: 0 });
  assert.deepEqual(encrypted, { files: 4, one: 4, three: 4, refused: 0, broken: 0 });
});
