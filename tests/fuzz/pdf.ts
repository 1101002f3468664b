/** Mutated PDFs: read, judge and sign them, and read the result again. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { FormatError } from "../../formats/error.ts";
import { prepareSignature, prepareTimestamp } from "../../formats/pades/prepare.ts";
import { changesAfter } from "../../formats/pades/changes.ts";
import { appendDss } from "../../formats/pades/dss.ts";
import { inspectSignatures } from "../../formats/pades/inspect.ts";
import { PdfDocument } from "../../formats/pdf/document.ts";
import { formFields } from "../../formats/pdf/form.ts";
import { appendedSource, bytesSource } from "../../formats/source.ts";
import { latin1 } from "../../formats/pdf/value.ts";
import {
  classicPdf,
  classicUpdate,
  documentObjects,
  hybridPdf,
  streamPdf,
} from "../fixtures/pdf.ts";

/** Larger files of the corpus only make fewer mutations a second. */
const MAX_SEED = 24_000;

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
  return [...plain, ...signed, ...twice, more.read(0, more.size), ...await corpus()];
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

/** A mutated document may be refused; every other error passes through. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** @throws whatever no reader of a document may throw */
export function exercise(bytes: Uint8Array): void {
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
