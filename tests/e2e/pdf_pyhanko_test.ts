/** pyHanko's strict difference analysis of what we sign: an independent implementation's word. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { appendDss } from "../../formats/pades_dss.ts";
import { drawAppearance } from "../../formats/pades_appearance.ts";
import { inspectSignatures } from "../../formats/pades_inspect.ts";
import { appendedSource, bytesSource } from "../../formats/pdf_source.ts";
import { notoSans } from "../fixtures/fonts.ts";
import { classicPdf, classicUpdate, documentObjects, streamPdf } from "../fixtures/pdf.ts";
import { makePki } from "../fixtures/pki.ts";
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
        for signature in PdfFileReader(handle).embedded_signatures:
            signature.compute_integrity_info()
            intact = signature.compute_digest() is not None
            level = getattr(signature.diff_result, "modification_level", signature.diff_result)
            found.append([signature.field_name, intact, signature.coverage.name, getattr(level, "name", str(level))])
print(json.dumps(out))
`;

async function hasPyHanko(): Promise<boolean> {
  try {
    return (await new Deno.Command("python3", { args: ["-c", "import pyhanko"] }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test({
  name: "pyHanko finds nothing suspicious in what three officers sign (optional: needs pyHanko)",
  ignore: !(await hasPyHanko()),
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
      const draw = drawAppearance({ name: "আশা রায়", lines: ["Kolkata"], fonts });
      let visible = documents.stream;
      for (const officer of officers) {
        const appearance = { place: { page: 1, size: [200, 60] as [number, number] }, draw };
        visible = signPdf(visible, officer, { appearance });
      }
      paths.push(join(folder, "visible.pdf"));
      await Deno.writeFile(paths.at(-1)!, visible as Uint8Array<ArrayBuffer>);

      const { stdout, stderr, success } = await new Deno.Command("python3", {
        args: ["-c", SCRIPT, ...paths],
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const found: Record<string, [string, boolean, string, string][]> = JSON.parse(
        new TextDecoder().decode(stdout),
      );
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
