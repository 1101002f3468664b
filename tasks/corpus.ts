/**
 * `deno task corpus [--dir D] [--json]`: three officers sign every PDF of a folder, one after
 * another, and independent programs look at the result: `pdfsig` at each signature, `qpdf` at
 * the structure and the pages. Needs Debian's `poppler-utils` and `qpdf`.
 */
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { FormatError } from "../formats/error.ts";
import { makePki, type Officer } from "../tests/fixtures/pki.ts";
import { pdfsig, qpdfCheck, run } from "../tests/fixtures/pdf_tools.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";

/** What `qpdf` thinks of a file before it is signed. */
export type Class = "clean" | "warnings" | "encrypted" | "damaged";

/** How many files of a class there are, and what became of them. */
export interface Counts {
  files: number;
  /** With the first signature, and with all three, as they should be. */
  one: number;
  three: number;
  /** Left as they were, with a reason. */
  refused: number;
  /** Made worse, or a signature that does not hold. */
  broken: number;
}

/** Where the files lie that are shared by all who work on this. */
export const SHARED = join(import.meta.dirname!, "..", "..", "shared", "corpus", "pdf");

interface Outcome {
  class: Class;
  signed: number;
  refusal?: FormatError;
  fault?: string;
}

async function classify(file: string, check: number): Promise<Class> {
  if ((await run("qpdf", "--is-encrypted", file)).code === 0) return "encrypted";
  return check === 0 ? "clean" : check === 3 ? "warnings" : "damaged";
}

const worse = (
  before: number,
  after: number,
) => ([0, 3, 2].indexOf(after) > [0, 3, 2].indexOf(before));

async function tryFile(path: string, officers: readonly Officer[], copy: string): Promise<Outcome> {
  const original = await Deno.readFile(path);
  const before = await qpdfCheck(path);
  const earlier = (await pdfsig(path)).filter(({ valid }) => valid).length;
  const outcome: Outcome = { class: await classify(path, before.check), signed: 0 };
  let bytes = original;
  for (const [index, officer] of officers.entries()) {
    let next: Uint8Array<ArrayBuffer>;
    try {
      next = signPdf(bytes, officer, {
        time: new Date(),
        signerName: officer.name,
        reason: "Corpus",
      }) as Uint8Array<ArrayBuffer>;
    } catch (error) {
      if (error instanceof FormatError) outcome.refusal = error;
      else outcome.fault = String(error instanceof Error ? error.stack : error);
      return outcome;
    }
    if (!bytes.every((byte, at) => next[at] === byte)) {
      outcome.fault = "the original is not a prefix of the result";
      return outcome;
    }
    await Deno.writeFile(copy, next);
    const signatures = await pdfsig(copy);
    const valid = signatures.filter((signature) => signature.valid).length;
    const total = signatures.filter((signature) => signature.total).length;
    if (valid < earlier + index + 1) outcome.fault = `${valid} signatures are valid`;
    else if (total !== 1) outcome.fault = `${total} signatures cover the whole document`;
    else {
      const after = await qpdfCheck(copy);
      if (worse(before.check, after.check)) {
        outcome.fault = `qpdf: ${before.check} → ${after.check}`;
      }
      if (before.pages !== after.pages && before.pages !== "none") {
        outcome.fault = `pages: ${before.pages} → ${after.pages}`;
      }
    }
    if (outcome.fault) return outcome;
    outcome.signed++;
    bytes = next;
  }
  return outcome;
}

async function* pdfFiles(folder: string): AsyncGenerator<string> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* pdfFiles(path);
    else if (entry.name.toLowerCase().endsWith(".pdf")) yield path;
  }
}

/**
 * Signs all PDFs of a folder and those below it.
 *
 * @param say is told of every file that was not signed three times
 */
export async function runCorpus(
  folder: string,
  say: (line: string) => void,
): Promise<Record<Class, Counts>> {
  const { officers } = makePki({
    officers: [{ name: "Asha Roy" }, { name: "Bikram Das" }, { name: "Chitra Sen" }],
  });
  const counts = (): Counts => ({ files: 0, one: 0, three: 0, refused: 0, broken: 0 });
  const table = { clean: counts(), warnings: counts(), encrypted: counts(), damaged: counts() };
  const copy = await Deno.makeTempFile({ suffix: ".pdf" });
  try {
    for await (const path of pdfFiles(folder)) {
      const outcome = await tryFile(path, officers, copy);
      const row = table[outcome.class];
      row.files++;
      if (outcome.signed >= 1) row.one++;
      if (outcome.signed === officers.length) row.three++;
      if (outcome.fault) row.broken++;
      else if (outcome.refusal) row.refused++;
      const { fault, refusal } = outcome;
      const said = fault
        ? `BROKEN: ${fault}`
        : refusal && `refused (${refusal.code}): ${refusal.message}`;
      if (said) say(`${relative(folder, path)}: ${outcome.class}: ${said}`);
    }
  } finally {
    await Deno.remove(copy);
  }
  return table;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args,
    options: { dir: { type: "string" }, json: { type: "boolean" } },
  });
  const table = await runCorpus(values.dir ?? SHARED, (line) => console.error(line));
  if (values.json) console.log(JSON.stringify(table));
  else {
    console.log(
      "| class | files | one | three | refused | broken |\n|---|---:|---:|---:|---:|---:|",
    );
    for (const [name, c] of Object.entries(table)) {
      console.log(`| ${name} | ${c.files} | ${c.one} | ${c.three} | ${c.refused} | ${c.broken} |`);
    }
  }
  if (Object.values(table).some(({ broken }) => broken > 0)) Deno.exitCode = 1;
}

if (import.meta.main) await main();
