import * as asic from "./asic.ts";
import * as cms from "./cms.ts";
import * as crl from "./crl.ts";
import * as der from "./der.ts";
import { readFound } from "./found.ts";
import * as frames from "./frames.ts";
import * as json from "./json.ts";
import { caseBytes } from "./mutate.ts";
import * as ocsp from "./ocsp.ts";
import * as pdf from "./pdf.ts";
import * as pictures from "./pictures.ts";
import * as pkcs11 from "./pkcs11.ts";
import * as pkcs12 from "./pkcs12.ts";
import * as tsp from "./tsp.ts";
import * as uploads from "./uploads.ts";
import type { Target } from "./worker.ts";
import * as xml from "./xml.ts";

const targets: Record<string, Target> = {
  ...{ asic, cms, crl, der, frames, json, ocsp, pdf, pictures, pkcs11, pkcs12, tsp, uploads, xml },
};
for (const [name, { seeds, words, exercise }] of Object.entries(targets)) {
  Deno.test(`fuzz: ${name}: what was found, and a few hundred mutations, are read or refused`, async () => {
    const documents = await seeds();
    const found = await readFound(name);
    const mutants = Array.from({ length: 300 }, (_, i) => caseBytes(documents, words, 1, i));
    for (const [index, bytes] of [...found, ...mutants].entries()) {
      try {
        await exercise(bytes);
      } catch (cause) {
        const which = index - found.length;
        throw new Error(which < 0 ? `input ${index} found` : `case ${which} of seed 1`, { cause });
      }
    }
  });
}
