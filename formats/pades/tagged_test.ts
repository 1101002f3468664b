import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../../tests/fixtures/openssl.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { pdfsig, qpdfCheck, run } from "../../tests/fixtures/pdf_tools.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { bytesSource } from "../source.ts";
import { latin1, name } from "../pdf/value.ts";
import { changesAfter } from "./changes.ts";
import { inspectSignatures } from "./inspect.ts";
import type { Appearance } from "./prepare.ts";

const { officers: [asha, bikram] } = makePki({
  officers: [{ name: "Asha Roy" }, { name: "Bikram Sen" }],
});

const appearance: Appearance = {
  place: { page: 1, size: [200, 60] },
  draw: (update) =>
    update.addStream(
      { Type: name("XObject"), Subtype: name("Form"), BBox: [0, 0, 200, 60] },
      latin1("0 0 200 60 re f"),
    ),
};

/** Tagged, with this parent tree, and kids of its only element. */
const tagged = (tree: string, kids = "/K [0]", next = "/ParentTreeNextKey 1") => {
  const objects = documentObjects({
    catalogEntries: "/MarkInfo << /Marked true >> /StructTreeRoot 60 0 R",
    pageEntries: "/StructParents 0",
  });
  return classicPdf({
    ...objects,
    60: `<< /Type /StructTreeRoot /K 61 0 R /ParentTree 62 0 R ${next} >>`,
    61: `<< /Type /StructElem /S /Document /P 60 0 R /Pg 3 0 R ${kids} >>`,
    62: tree,
    63: "<< /Nums [0 [61 0 R]] /Limits [0 0] >>",
  });
};

Deno.test("in a tagged PDF the first signature field has an element of the structure, and no later one changes it", () =>
  inTempDir(async (dir) => {
    const documents = {
      "flat tree": tagged("<< /Nums [0 [61 0 R]] >>"),
      "tree with levels": tagged("<< /Kids [63 0 R] >>"),
      "single kid": tagged("<< /Nums [0 [61 0 R]] >>", "/K 0"),
      "no next key": tagged("<< /Nums [0 [61 0 R] 7 61 0 R] >>", "/K [0]", ""),
    };
    for (const [what, original] of Object.entries(documents)) {
      const first = signPdf(original, asha, { appearance, signerName: "Asha Roy" });
      const both = signPdf(first, bikram, { signerName: "Bikram Sen" });
      const file = join(dir, "signed.pdf");
      await Deno.writeFile(file, both as Uint8Array<ArrayBuffer>);
      assert.equal((await qpdfCheck(file)).check, 0, what);
      assert.deepEqual((await pdfsig(file)).map(({ valid }) => valid), [true, true], what);
      // As poppler reads them.
      const elements = (await run("pdfinfo", "-struct", file)).text;
      assert.equal(elements.match(/^\s+Form/gm)?.length, 1, `${what}: ${elements}`);
      const source = bytesSource(both);
      const changes = changesAfter(source, inspectSignatures(source).signatures[0]);
      assert.ok(changes.every(({ allowed }) => allowed), `${what}: ${JSON.stringify(changes)}`);
      const { text } = await run("qpdf", "--qdf", "--object-streams=disable", file, "-");
      const keys = [...text.matchAll(/\/StructParent (\d+)/g)].map(([, key]) => Number(key));
      assert.deepEqual(keys.sort(), what === "no next key" ? [8] : [1], what);
      assert.match(text, /\/Tabs \/S/);
      assert.match(text, /\/TU \(Signature of Asha Roy\)/);
    }
  }));

Deno.test("a PDF that is not tagged gets no structure", () => {
  const signed = new TextDecoder("latin1").decode(signPdf(classicPdf(documentObjects()), asha));
  assert.doesNotMatch(signed, /StructParent|StructElem|\/Tabs/);
});
