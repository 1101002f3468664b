import * as cms from "./cms.ts";
import * as der from "./der.ts";
import * as json from "./json.ts";
import { caseBytes } from "./mutate.ts";
import * as xml from "./xml.ts";

for (const [name, { seeds, words, exercise }] of Object.entries({ der, cms, xml, json })) {
  Deno.test(`fuzz: a few hundred mutations of ${name} are read, or refused`, async () => {
    const documents = await seeds();
    for (let index = 0; index < 300; index++) {
      const bytes = caseBytes(documents, words, 1, index);
      try {
        exercise(bytes);
      } catch (cause) {
        throw new Error(`case ${index} of seed 1`, { cause });
      }
    }
  });
}
