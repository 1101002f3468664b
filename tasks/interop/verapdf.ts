/**
 * `deno task interop verapdf`: PDF/A stays PDF/A and PDF/UA-1 stays PDF/UA-1 when it is signed, as veraPDF judges it.
 * LibreOffice makes the documents. Needs both, Java and Maven; what is missing is named.
 */
import { join } from "node:path";
import { drawAppearance } from "../../formats/pades/appearance.ts";
import type { SignatureOptions } from "../../formats/pades/prepare.ts";
import { notoFor } from "../../tests/fixtures/fonts.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { classPath, exists, lastLine, run, source } from "./pdf_producers.ts";

const VERAPDF = "org.verapdf:validation-model:1.30.2";

/** Flavour, as veraPDF calls it, and LibreOffice's options for it. */
const FLAVOURS = [
  ["2b", '{"SelectPdfVersion":{"type":"long","value":"2"}}'],
  ["3b", '{"SelectPdfVersion":{"type":"long","value":"3"}}'],
  ["ua1", '{"PDFUACompliance":{"type":"boolean","value":"true"}}'],
] as const;

const DOCUMENT = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<title>Sanction order 7</title></head><body><h1>Sanction order 7</h1>
<p>The work is sanctioned.</p></body></html>`;

/** Rules that are broken knowingly, and why. */
const KNOWN: Record<string, string> = {
  "ua1, visible twice: 7.18.4-1":
    "a later signature's field stays out of the structure, or pyHanko calls the earlier one broken",
};

/** How a document is signed, the last two of them upon a signature that is there. */
async function ways(): Promise<[name: string, options: SignatureOptions[]][]> {
  const seen = async (...lines: string[]): Promise<SignatureOptions> => ({
    appearance: {
      place: { page: 1, size: [200, 60] },
      draw: drawAppearance({ lines, fonts: await notoFor(lines.join()) }),
    },
  });
  const english = await seen("Digitally signed by Asha Roy", "Executive Engineer");
  const bengali = await seen("ডিজিটাল স্বাক্ষর: আশা রায়", "কারণ: অনুমোদন");
  return [
    ["hidden", [{}]],
    ["certified", [{ certify: 2 }]],
    ["visible", [english]],
    ["visible, in Bengali", [bengali]],
    ["hidden twice", [{}, {}]],
    ["visible twice", [english, bengali]],
  ];
}

/** @returns how many signed documents break a rule that the document kept */
export async function interopVerapdf(): Promise<number> {
  const scratch = await Deno.makeTempDir({ prefix: "dsign_verapdf_" });
  try {
    const path = await classPath(join(scratch, "maven"), [VERAPDF]);
    if (typeof path !== "string") return missing(path.missing);
    const { officers: [asha, bikram] } = makePki({
      officers: [{ name: "Asha Roy" }, { name: "Bikram Sen" }],
    });
    await Deno.writeTextFile(join(scratch, "order.html"), DOCUMENT);
    let broken = 0;
    for (const [flavour, options] of FLAVOURS) {
      const folder = join(scratch, flavour);
      const { stdout, stderr } = await run("soffice", [
        ...["--headless", `-env:UserInstallation=file://${join(scratch, "profile")}`],
        ...["--infilter=HTML (StarWriter)", "--convert-to", `pdf:writer_pdf_Export:${options}`],
        ...["--outdir", folder, join(scratch, "order.html")],
      ]);
      const base = join(folder, "order.pdf");
      if (!await exists(base)) return missing(`LibreOffice (${lastLine(stdout + stderr)})`);
      const names = new Map([[base, "unsigned"]]);
      for (const [name, signatures] of await ways()) {
        const signed = signatures.reduce<Uint8Array>(
          (bytes, options, i) => {
            const officer = [asha!, bikram!][i]!;
            return signPdf(bytes, officer, { ...options, signerName: officer.name });
          },
          await Deno.readFile(base),
        );
        const file = join(folder, `${names.size}.pdf`);
        await Deno.writeFile(file, signed);
        names.set(file, name);
      }
      const judged = await run("java", [
        ...["-cp", path, source("VeraPdf.java"), flavour, ...names.keys()],
      ]);
      const rules = new Map(
        judged.stdout.split("\n").filter((line) => line.includes("\t")).map((line) =>
          line.split("\t") as [string, string]
        ),
      );
      for (const [file, name] of names) {
        const said = rules.get(file) ?? `no verdict: ${lastLine(judged.stderr)}`;
        const known = KNOWN[`${flavour}, ${name}: ${said}`];
        const verdict = said === "" ? "conforms" : `breaks ${said}${known ? ` (${known})` : ""}`;
        console.log(`${flavour}, ${name}: ${verdict}`);
        if (said !== "" && !known) broken++;
      }
    }
    return broken;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

function missing(what: string): number {
  console.log(`skipped, as it is missing: ${what}`);
  return 0;
}
