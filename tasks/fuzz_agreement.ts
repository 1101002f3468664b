/**
 * `deno task fuzz agreement`: changes signed PDFs by kinds; what is still called valid is shown to poppler, MuPDF, pdf.js
 * and, where it is there, PDFium: each must show what was signed. Fails too where of a kind too few are still valid.
 */
import { join } from "node:path";
import { openEngines } from "../tests/fixtures/pdf_engines.ts";
import { agree, type Counts, type Disagreement, FLOOR } from "../tests/fuzz/agreement.ts";

const PROGRESS = 1000;

/**
 * Tries the cases of a seed from `first` to before `end`.
 *
 * @returns whether all is as it should be
 */
export async function fuzzAgreement(first: number, end: number, seed: number): Promise<boolean> {
  const totals = new Map<string, Counts>();
  const disagreements: Disagreement[] = [];
  const parts = Math.max(1, navigator.hardwareConcurrency);
  const scratch = await Deno.makeTempDir({ prefix: "fuzz-agreement-" });
  let next = first;
  await Promise.all(Array.from({ length: parts }, async (_, part) => {
    const { engines, missing } = await openEngines();
    if (part === 0) {
      console.log(`Engines: ${engines.map(({ name }) => name).join(", ")}`);
      for (const name of missing) console.log(`Missing: ${name}`);
    }
    const folder = join(scratch, String(part));
    await Deno.mkdir(folder);
    try {
      while (next < end) {
        const from = next;
        next += PROGRESS;
        const found = await agree({
          ...{ seed, from, count: Math.min(PROGRESS, end - from), engines, folder },
        });
        disagreements.push(...found.disagreements);
        for (const [kind, counts] of found.counts) {
          const sum = totals.get(kind) ?? { mutants: 0, passed: 0, refused: 0 };
          for (const key of ["mutants", "passed", "refused"] as const) sum[key] += counts[key];
          totals.set(kind, sum);
        }
        const passed = totals.values().reduce((sum, counts) => sum + counts.passed, 0);
        console.log(`cases before ${next}: ${passed} valid, ${disagreements.length} disagreements`);
      }
    } finally {
      for (const engine of engines) engine[Symbol.dispose]();
    }
  }));
  let isGood = disagreements.length === 0;
  for (const [kind, { mutants, passed }] of totals) {
    const isEnough = passed * 100 >= FLOOR * mutants;
    isGood &&= isEnough;
    console.log(
      `${kind.padEnd(14)}${String(mutants).padStart(7)} mutants ${
        String(passed).padStart(7)
      } valid` +
        (isEnough ? "" : `, fewer than ${FLOOR} %`),
    );
  }
  for (const { index, kind, engine, what, bytes } of disagreements) {
    console.log(`case ${index} of seed ${seed}, ${kind}: ${engine}: ${what}`);
    await Deno.writeFile(join(scratch, `${seed}-${index}.pdf`), bytes as Uint8Array<ArrayBuffer>);
  }
  if (disagreements.length > 0) console.log(`Files are in ${scratch}`);
  else await Deno.remove(scratch, { recursive: true });
  console.log(`${disagreements.length} disagreements`);
  return isGood;
}
