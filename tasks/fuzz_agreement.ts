/**
 * `deno task fuzz agreement`: changes signed PDFs by kinds; what is still called valid is shown to poppler, MuPDF, pdf.js
 * and, where it is there, PDFium: each must show what was signed. Fails too where of a kind too few are still valid.
 */
import { join } from "node:path";
import { openEngines } from "../tests/fixtures/pdf_engines.ts";
import { Agreement, Desk, FLOOR } from "../tests/fuzz/agreement.ts";

const PROGRESS = 1000;

/**
 * Tries the cases of a seed from `first` to before `end`.
 *
 * @returns whether all is as it should be
 */
export async function fuzzAgreement(first: number, end: number, seed: number): Promise<boolean> {
  const agreement = new Agreement();
  const { counts, disagreements } = agreement;
  const parts = Math.max(1, navigator.hardwareConcurrency);
  const scratch = await Deno.makeTempDir({ prefix: "fuzz-agreement-" });
  // All parts take their cases from here.
  const cases = (function* () {
    for (let index = first; index < end; index++) {
      if (index > first && index % PROGRESS === 0) {
        const passed = counts.values().reduce((sum, { passed }) => sum + passed, 0);
        console.log(
          `cases before ${index}: ${passed} valid, ${disagreements.length} disagreements`,
        );
      }
      yield index;
    }
  })();
  await Promise.all(Array.from({ length: parts }, async (_, part) => {
    const { engines, missing } = await openEngines();
    if (part === 0) {
      console.log(`Engines: ${engines.map(({ name }) => name).join(", ")}`);
      for (const name of missing) console.log(`Missing: ${name}`);
    }
    const folder = join(scratch, String(part));
    await Deno.mkdir(folder);
    try {
      await agreement.run(seed, cases, new Desk(engines, folder));
    } finally {
      for (const engine of engines) engine[Symbol.dispose]();
    }
  }));
  let isGood = disagreements.length === 0;
  for (const [kind, { mutants, distinct, passed }] of counts) {
    const isEnough = passed * 100 >= FLOOR * mutants;
    isGood &&= isEnough;
    const [all, different, valid] = [mutants, distinct, passed].map((n) => String(n).padStart(7));
    console.log(
      `${kind.padEnd(14)}${all} mutants ${different} distinct ${valid} valid` +
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
