/** Checks our signed PDFs with pyHanko's strict difference analysis, an independent implementation. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { appendDss } from "../../formats/pades/dss.ts";
import { drawAppearance } from "../../formats/pades/appearance.ts";
import { inspectSignatures } from "../../formats/pades/inspect.ts";
import { appendedSource, bytesSource } from "../../formats/source.ts";
import { notoSans } from "../fixtures/fonts.ts";
import { classicPdf, classicUpdate, documentObjects, streamPdf } from "../fixtures/pdf.ts";
import { makePki } from "../fixtures/pki.ts";
import { python } from "../fixtures/python.ts";
import { signPdf } from "../fixtures/sign_pdf.ts";

/** Prints for every file and signature: intact, coverage and level of modification. */
const SCRIPT = `
import json, sys
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
out = {}
for path in sys.argv[1:]:
    with open(path, "rb") as handle:
        found = out[path] = []
        reader = PdfFileReader(handle)
        if reader.encrypted:
            reader.decrypt("")
        for signature in reader.embedded_signatures:
            signature.compute_integrity_info()
            intact = signature.compute_digest() is not None
            level = getattr(signature.diff_result, "modification_level", signature.diff_result)
            found.append([signature.field_name, intact, signature.coverage.name, getattr(level, "name", str(level))])
print(json.dumps(out))
`;

/** Documents of other programs. */
const MADE = join(import.meta.dirname!, "..", "fixtures", "pdf");

Deno.test({
  name:
    "pyHanko finds nothing suspicious in what three officers sign (optional: needs pyHanko; DSIGN_TEST_PYTHON names the Python)",
  ignore: (await python("-c", "import pyhanko")).code !== 0,
  async fn() {
    const { officers } = makePki({
      officers: [{ name: "Asha Roy" }, { name: "Bikram Das" }, { name: "Chitra Sen" }],
    });
    const fonts = await notoSans();
    const objects = documentObjects({
      pages: 2,
      signatureFields: ["Officer"],
      textFields: ["Text"],
    });
    const documents = {
      table: classicPdf(objects),
      stream: streamPdf(objects),
      updated: classicUpdate(classicPdf(objects), { 4: objects[4] }),
      plain: classicPdf(documentObjects()),
    };
    const folder = await Deno.makeTempDir();
    try {
      const paths: string[] = [];
      for (const [name, document] of Object.entries(documents)) {
        const field = name === "plain" ? undefined : "Officer";
        let bytes = signPdf(document, officers[0], { field, certify: 2 });
        bytes = signPdf(bytes, officers[1]);
        const source = bytesSource(bytes);
        const { contents } = inspectSignatures(source).signatures[0];
        const signatures = [{ contents, certificates: officers[0].chain }];
        const stored = appendedSource(source, appendDss(source, { signatures }));
        bytes = signPdf(stored.read(0, stored.size), officers[2]);
        paths.push(join(folder, `${name}.pdf`));
        await Deno.writeFile(paths.at(-1)!, bytes as Uint8Array<ArrayBuffer>);
      }
      const draw = drawAppearance({ lines: ["আশা রায়", "Kolkata"], fonts });
      let visible = documents.stream;
      for (const officer of officers) {
        const appearance = { place: { page: 1, size: [200, 60] as [number, number] }, draw };
        visible = signPdf(visible, officer, { appearance });
      }
      paths.push(join(folder, "visible.pdf"));
      await Deno.writeFile(paths.at(-1)!, visible as Uint8Array<ArrayBuffer>);
      for await (const { name } of Deno.readDir(MADE)) {
        if (!name.endsWith(".pdf")) continue;
        let bytes: Uint8Array = await Deno.readFile(join(MADE, name));
        for (const officer of officers) bytes = signPdf(bytes, officer);
        paths.push(join(folder, name));
        await Deno.writeFile(paths.at(-1)!, bytes as Uint8Array<ArrayBuffer>);
      }

      const { stdout, stderr, code } = await python("-c", SCRIPT, ...paths);
      assert.equal(code, 0, stderr);
      const found: Record<string, [string, boolean, string, string][]> = JSON.parse(stdout);
      for (const path of paths) {
        const last = found[path].length - 1;
        assert.equal(last, 2);
        found[path].forEach(([field, intact, coverage, level], i) => {
          const where = `${path} ${field}: ${coverage} ${level}`;
          assert.ok(intact, where);
          assert.equal(coverage, i === last ? "ENTIRE_FILE" : "ENTIRE_REVISION", where);
          assert.ok(["NONE", "LTA_UPDATES", "FORM_FILLING"].includes(level), where);
        });
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
