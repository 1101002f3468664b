import { caseBytes } from "./mutate.ts";
import { exercise, seeds, words } from "./pdf.ts";

Deno.test("fuzz: a few hundred mutated PDFs are read and signed, or refused", async () => {
  const documents = await seeds();
  for (let index = 0; index < 400; index++) {
    const bytes = caseBytes(documents, words, 1, index);
    try {
      exercise(bytes);
    } catch (cause) {
      throw new Error(`case ${index} of seed 1`, { cause });
    }
  }
});
