import * as asic from "./asic.ts";
import * as cms from "./cms.ts";
import * as der from "./der.ts";
import * as json from "./json.ts";
import { caseBytes } from "./mutate.ts";
import * as pictures from "./pictures.ts";
import * as pkcs12 from "./pkcs12.ts";
import * as uploads from "./uploads.ts";
import type { Target } from "./worker.ts";
import * as xml from "./xml.ts";

const targets: Record<string, Target> = { asic, der, cms, xml, json, pictures, pkcs12, uploads };
for (const [name, { seeds, words, exercise }] of Object.entries(targets)) {
  Deno.test(`fuzz: a few hundred mutations of ${name} are read, or refused`, async () => {
    const documents = await seeds();
    for (let index = 0; index < 300; index++) {
      const bytes = caseBytes(documents, words, 1, index);
      try {
        await exercise(bytes);
      } catch (cause) {
        throw new Error(`case ${index} of seed 1`, { cause });
      }
    }
  });
}
