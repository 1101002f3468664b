import { disagreement, xmlsec1Disagreement } from "../../tests/fuzz/xml_agreement.ts";
import { makeSeeds } from "../../tests/fuzz/xml_mutants.ts";

/** xmlsec1 is a process for each; of this many one is shown to it. */
const XMLSEC1_EVERY = 100;

/** Changed signed XML: every digest as in libxml2, every hundredth verdict as in xmlsec1. */
export async function mutants(
  count: number,
  tell: (line: string) => void,
  fault: (line: string) => void,
): Promise<void> {
  const seeds = makeSeeds();
  let differ = 0, asked = 0;
  for (let index = 0; index < count; index++) {
    const found = [disagreement(seeds, index)];
    if (index % XMLSEC1_EVERY === 0) {
      asked++;
      found.push(await xmlsec1Disagreement(seeds, index));
    }
    for (const each of found) {
      if (each === null) continue;
      differ++;
      fault(each.slice(0, 500));
    }
  }
  tell(`mutants: ${count} shown to libxml2, ${asked} to xmlsec1, ${differ} disagreements`);
}
