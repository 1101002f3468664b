/** Mutated PDFs: read, judge and sign them, and read the result again. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { digest } from "../../formats/digest.ts";
import { prepareSignature, prepareTimestamp } from "../../formats/pades/prepare.ts";
import { changesAfter } from "../../formats/pades/changes.ts";
import { appendDss } from "../../formats/pades/dss.ts";
import { inspectSignatures } from "../../formats/pades/inspect.ts";
import { PdfDocument } from "../../formats/pdf/document.ts";
import { formFields } from "../../formats/pdf/form.ts";
import { appendedSource, bytesSource } from "../../formats/source.ts";
import { fromLatin1, latin1 } from "../../formats/pdf/value.ts";
import { verifyBytes } from "../../formats/verify/verify.ts";
import {
  classicPdf,
  classicUpdate,
  documentObjects,
  hybridPdf,
  streamPdf,
} from "../fixtures/pdf.ts";
import { signPdf } from "../fixtures/sign_pdf.ts";
import { attempt } from "./attempt.ts";
import { Honest, pkiOf, trusting } from "./honest.ts";

/** Larger files of the corpus only make fewer mutations a second. */
const MAX_SEED = 8_000;

export const words = [
  "<<",
  ">>",
  "[",
  "]",
  "(",
  ")",
  "<",
  ">",
  "/",
  "%",
  " 0 R",
  " 0 obj",
  "endobj",
  "stream\n",
  "endstream",
  "xref\n",
  "trailer",
  "startxref\n",
  "%%EOF\n",
  "null",
  "true",
  "/Length ",
  "/Type ",
  "/Kids ",
  "/Parent ",
  "/Prev ",
  "/XRefStm ",
  "/Root ",
  "/Encrypt ",
  "/Annots ",
  "/Fields ",
  "/AcroForm ",
  "/V ",
  "/T ",
  "/FT /Sig ",
  "/Contents ",
  "/ByteRange ",
  "/W [1 2 1] ",
  "/Index [0 9] ",
  "/N ",
  "/First ",
  "/Filter /FlateDecode ",
  "/ObjStm ",
  "/Perms ",
  "/DocMDP ",
  "/DSS ",
  "/Count ",
];

/** Documents of every structure, signed ones, and the corpus as far as present. */
export async function seeds(): Promise<Uint8Array[]> {
  const objects = documentObjects({
    pages: 2,
    signatureFields: ["Officer"],
    textFields: ["Amount"],
    fieldEntries: "/Lock << /Action /Include /Fields [(Amount)] >>",
  });
  const plain = [
    classicPdf(objects),
    streamPdf(objects),
    streamPdf(objects, { deflate: false }),
    hybridPdf(objects, [9]),
    classicUpdate(classicPdf(objects), { 3: objects[3] }),
  ];
  const signed = plain.map((bytes) => sign(bytes, "Officer"));
  const twice = signed.slice(0, 3).map((bytes) => sign(bytes));
  const source = bytesSource(signed[0]);
  const more = appendedSource(source, appendDss(source, { crls: [latin1("crl")] }));
  const asha = { ...pki.officers[0], chain: [] };
  // no more room than the signature takes: mutations of what is left empty try nothing
  const contentsSize = 3000;
  const valid = plain.slice(0, 2).map((bytes) =>
    signPdf(bytes, asha, { field: "Officer", contentsSize })
  );
  valid.push(signPdf(valid[1], asha, { contentsSize }));
  honest.learn(valid);
  return [...plain, ...signed, ...twice, more.read(0, more.size), ...valid, ...await corpus()];
}

/** With something that stands for a CMS; what it says is not looked at here. */
function sign(bytes: Uint8Array, field?: string): Uint8Array {
  const source = bytesSource(bytes);
  const prepared = prepareSignature(source, { field, contentsSize: 8 });
  const signed = appendedSource(source, prepared.complete(Uint8Array.of(0x30, 0)));
  return signed.read(0, signed.size);
}

async function corpus(): Promise<Uint8Array[]> {
  const folder = join(import.meta.dirname!, "..", "..", "..", "shared", "corpus", "pdf");
  const out: Uint8Array[] = [];
  try {
    for await (const group of Deno.readDir(folder)) {
      for await (const { name } of Deno.readDir(join(folder, group.name))) {
        const bytes = await Deno.readFile(join(folder, group.name, name));
        if (bytes.length <= MAX_SEED) out.push(bytes);
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return out;
}

const pki = pkiOf({ name: "Asha" });
const options = trusting(pki);
const honest = new Honest(
  (bytes) => attempt(() => verifyBytes(bytes, options)),
  (bytes, { signatures }) => {
    const passed = signatures.filter(({ indication }) => indication === "TOTAL-PASSED");
    const size = Math.max(...passed.map(({ coverage }) => coverage.revision?.size ?? Infinity));
    // The signature stands in a hole that is not signed.
    const text = fromLatin1(bytes.subarray(0, size)).replace(/<[0-9a-fA-F\s]{256,}>/g, "<>");
    return digest("SHA-256", latin1(text)).toHex();
  },
);

/** @throws whatever no reader of a document may throw */
export function exercise(bytes: Uint8Array): void {
  honest.check(bytes);
  const source = bytesSource(bytes);
  const inspection = attempt(() => inspectSignatures(source));
  for (const signature of inspection?.signatures ?? []) {
    if (signature.coverage !== "partial") attempt(() => changesAfter(source, signature));
  }
  const prepared = attempt(() => prepareSignature(source, { contentsSize: 8 }));
  if (prepared) {
    // Whatever is signed can be read again, and the signature is the last word.
    const signed = appendedSource(source, prepared.complete(Uint8Array.of(0x30, 0)));
    const after = inspectSignatures(signed);
    assert.equal(after.recovered, false, "the signed document is damaged");
    const own = after.signatures.filter(({ field }) => field === prepared.field);
    assert.deepEqual(own.map(({ coverage }) => coverage), ["document"]);
    // Nothing of the document gets lost, even if its cross-reference was repaired.
    const [old, young] = [PdfDocument.open(source), PdfDocument.open(signed)];
    old.verify();
    const names = new Set(formFields(young).map(({ name }) => name));
    for (const { name } of formFields(old)) assert.ok(names.has(name), `the field ${name} is lost`);
    for (const num of old.xref.entries.keys()) {
      const exists = (document: PdfDocument) => document.object(document.refOf(num)) !== undefined;
      const before = attempt(() => exists(old));
      assert.ok(!before || exists(young), `object ${num} is lost`);
    }
  }
  attempt(() => prepareTimestamp(source, { contentsSize: 8 }));
  attempt(() => appendDss(source, { certificates: [latin1("certificate")] }));
}
