/**
 * `deno task corpus [--dir D] [--json]`: three officers sign every PDF of a folder, one after
 * another, and independent programs look at the result: `pdfsig` and `mutool` at each signature,
 * `qpdf` at the structure and the pages. Needs Debian's `poppler-utils`, `mupdf-tools` and `qpdf`.
 * `deno task corpus signed`: see `corpus_signed.ts`.
 */
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { FormatError } from "../formats/error.ts";
import { makePki, type Officer } from "../tests/fixtures/pki.ts";
import { mutoolSign, pdfsig, qpdfCheck, run } from "../tests/fixtures/pdf_tools.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";
import { pdfFiles } from "./corpus_files.ts";
import { corpusSigned } from "./corpus_signed.ts";

/** Verdict of `qpdf` on a file before it is signed. */
export type Class = "clean" | "warnings" | "encrypted" | "damaged";

/** Number of files of a class, and their results. */
export interface Counts {
  files: number;
  /** With the first signature, and with all three, as they should be. */
  one: number;
  three: number;
  /** Refused with a reason, and left unchanged. */
  refused: number;
  /** Made worse, or a signature that does not hold. */
  broken: number;
}

/** Folder of the shared files. */
const SHARED = join(import.meta.dirname!, "..", "..", "shared", "corpus", "pdf");

interface Outcome {
  class: Class;
  signed: number;
  refusal?: FormatError;
  fault?: string;
}

/** Programs that check the signatures. */
const JUDGES = { pdfsig, mutool: mutoolSign };

/** Findings of other programs in a file. */
interface Look {
  check: number;
  pages: string;
  /** By judge: how many signatures are valid, and how many cover the whole document. */
  judged: { name: string; valid: number; total: number }[];
}

async function look(path: string): Promise<Look> {
  const judged = Object.entries(JUDGES).map(async ([name, judge]) => {
    const found = await judge(path);
    const valid = found.filter((signature) => signature.valid).length;
    const total = found.filter((signature) => signature.total).length;
    return { name, valid, total };
  });
  return { ...await qpdfCheck(path), judged: await Promise.all(judged) };
}

async function classify(file: string, check: number): Promise<Class> {
  if ((await run("qpdf", "--is-encrypted", file)).code === 0) return "encrypted";
  return check === 0 ? "clean" : check === 3 ? "warnings" : "damaged";
}

/** `qpdf`'s codes from good to bad. */
const CHECKS = [0, 3, 2];

/** Faults after the given number of signatures. */
function faultOf(before: Look, after: Look, signed: number): string | undefined {
  for (const [index, { name, valid, total }] of after.judged.entries()) {
    if (valid < before.judged[index].valid + signed) return `${name}: ${valid} are valid`;
    if (total !== 1) return `${name}: ${total} cover the whole document`;
  }
  if (CHECKS.indexOf(after.check) > CHECKS.indexOf(before.check)) {
    return `qpdf: ${before.check} → ${after.check}`;
  }
  if (before.pages !== after.pages && before.pages !== "none") {
    return `pages: ${before.pages} → ${after.pages}`;
  }
  return undefined;
}

async function tryFile(path: string, officers: readonly Officer[], copy: string): Promise<Outcome> {
  let bytes: Uint8Array = await Deno.readFile(path);
  const before = await look(path);
  const outcome: Outcome = { class: await classify(path, before.check), signed: 0 };
  for (const officer of officers) {
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
    outcome.fault = faultOf(before, await look(copy), outcome.signed + 1);
    if (outcome.fault) return outcome;
    outcome.signed++;
    bytes = next;
  }
  return outcome;
}

/**
 * Signs all PDFs of a folder and those below it.
 *
 * @param say receives every file that was not signed three times
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
  const { values, positionals: [what] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      dir: { type: "string" },
      json: { type: "boolean" },
      all: { type: "boolean", default: false },
    },
  });
  if (what === "signed") {
    Deno.exit(await corpusSigned(values.dir, values.all));
  }
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
