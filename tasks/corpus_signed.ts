/**
 * `deno task corpus signed [--dir D] [--all]`: reads PDFs that others have signed, and tells of which signatures what came
 * later is not allowed, not vouched for, or ambiguous. Without `--dir` they are those of EU DSS's own tests, which Maven has
 * (pinned by version and SHA-256; needs Maven). There the outcome must be what {@linkcode EXPECTED} says.
 */
import { join } from "node:path";
import { unzipSync } from "fflate";
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { withMlDsa } from "../formats/keys/ml_dsa.ts";
import { verifyPdf } from "../formats/pades/verify.ts";
import { bytesSource } from "../formats/source.ts";
import { run } from "../tests/fixtures/pdf_tools.ts";
import { pdfFiles } from "./corpus_files.ts";

const ARTIFACT = "eu.europa.ec.joinup.sd-dss:dss-pades:6.4:jar:tests";
const SHA256 = "dac39854e33163a4189106d39d162c357e9f4998c9b38c2a9835156c1d2c7223";

/** Whose later revisions are no harmless additions, with the reason; every other one's must be. */
const EXPECTED: Record<string, string> = {
  "51sigs.pdf": "50 visible signatures came later, and take half of their page",
  "DSS-2199.pdf": "validation data were removed",
  "DSS1376-rev_n.pdf": "certified, and a visible signature was added",
  "Signature-P-FR_CS-5.pdf": "validation data were removed",
  "Signature-P-HU_POL-7.pdf": "validation data were removed",
  "annotation-and-visible-change.pdf": "a page was changed",
  "certified-no-change-permitted.pdf":
    "objects stand directly behind %%EOF, where some see a comment",
  "hide.pdf": "an attack: the file is damaged",
  "modified_after_signature.pdf": "an attack: the file is damaged",
  "pades-5-signatures-and-1-document-timestamp.pdf":
    "one startxref leads nowhere, so a scan finds others",
  "pades-multiple-pages-annots-overlap.pdf":
    "objects stand directly behind %%EOF, where some see a comment",
  "pades-revoc-removed-from-dss-dict.pdf": "validation data were removed",
  "pades-signed-annot-added.pdf": "comments were added",
  "pades-signed-filled-form.pdf":
    "fields were filled in, and no certification says that they may be",
  "pades-tst-with-orphan-refs.pdf": "validation data were removed",
  "pdf-removed-pages.pdf": "pages were removed",
  "pdf-signed-added-page.pdf": "a page was added",
  "pdf-structtreeroot-changes.pdf": "the structure was changed",
  "replace.pdf": "an attack: a field was filled in",
  "test-with-vri.pdf": "a signature locks the field that was signed later",
  "timestamped-fields.pdf": "a timestamp is drawn, and comments were added",
};

/** The PDFs of a Maven artifact, put into a folder; or why they are not there. */
async function fetched(folder: string): Promise<{ missing: string } | undefined> {
  const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";
  const { code } = await run(
    ...["mvn", "-q", "-B", goal, `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${folder}`] as const,
  );
  const path = join(folder, "dss-pades-6.4-tests.jar");
  if (code !== 0) return { missing: `Maven, or ${ARTIFACT} from it` };
  const jar = await Deno.readFile(path);
  if (digest("SHA-256", jar).toHex() !== SHA256) throw new Error("The jar is another one.");
  const files = unzipSync(jar, { filter: ({ name }) => name.endsWith(".pdf") });
  for (const [name, bytes] of Object.entries(files)) {
    await Deno.writeFile(join(folder, name.replaceAll("/", "_")), bytes as Uint8Array<ArrayBuffer>);
  }
  await Deno.remove(path);
  return undefined;
}

/** What is told of the signatures of a file, each in a word; undefined where the file cannot be read. */
async function outcomes(bytes: Uint8Array): Promise<string[] | undefined> {
  try {
    const { signatures } = await withMlDsa(() => verifyPdf(bytesSource(bytes)));
    return signatures.map(({ status, since }) => {
      if (status !== "valid") return `signature ${status}`;
      if (!since) return "later changes unknown";
      const { changes, ambiguities } = since;
      if (changes.some(({ allowed, unclear }) => !allowed && !unclear)) return "forbidden";
      if (changes.some(({ unclear }) => unclear)) return "not vouched for";
      return ambiguities.length > 0 ? "ambiguous" : "good";
    });
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return undefined;
  }
}

/** @returns the exit code */
export async function corpusSigned(given: string | undefined, all: boolean): Promise<number> {
  const folder = given ?? await Deno.makeTempDir({ prefix: "corpus-" });
  try {
    const skipped = given === undefined ? await fetched(folder) : undefined;
    if (skipped) {
      console.log(`skipped: ${skipped.missing}`);
      return 0;
    }
    const counts = new Map<string, number>();
    let files = 0, signed = 0, wrong = 0;
    for await (const path of pdfFiles(folder)) {
      files++;
      const found = await outcomes(await Deno.readFile(path));
      if (!found) counts.set("unreadable file", (counts.get("unreadable file") ?? 0) + 1);
      if (!found || found.length === 0) continue;
      signed++;
      for (const each of found) counts.set(each, (counts.get(each) ?? 0) + 1);
      const name = path.slice(folder.length + 1);
      const bad = found.filter((each) => each !== "good" && !each.startsWith("signature"));
      const reason = Object.entries(EXPECTED).find(([known]) => name.endsWith(known))?.[1];
      const isKnown = given !== undefined || (bad.length > 0) === (reason !== undefined);
      if (!isKnown) wrong++;
      if (!isKnown || (all && bad.length > 0)) {
        console.log(`${isKnown ? "" : "UNEXPECTED "}${name}: ${found.join(", ")} ${reason ?? ""}`);
      }
    }
    console.log(`${files} files, ${signed} of them signed`);
    for (const [what, count] of [...counts].sort((a, b) => b[1] - a[1])) {
      console.log(`${String(count).padStart(5)} ${what}`);
    }
    return wrong === 0 ? 0 : 1;
  } finally {
    if (given === undefined) await Deno.remove(folder, { recursive: true });
  }
}
