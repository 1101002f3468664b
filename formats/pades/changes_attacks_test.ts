import assert from "node:assert/strict";
import { FormatError } from "../error.ts";
import { changesAfter } from "./changes.ts";
import { inspectSignatures } from "./inspect.ts";
import { PdfDocument } from "../pdf/document.ts";
import { PdfUpdate } from "../pdf/update.ts";
import { fromLatin1, latin1, PdfDict, PdfStream } from "../pdf/value.ts";
import { appendedSource, bytesSource } from "../source.ts";
import {
  classicPdf,
  classicUpdate,
  documentObjects,
  type Objects,
  streamPdf,
} from "../../tests/fixtures/pdf.ts";
import {
  appearance,
  asha,
  bikram,
  changes,
  edit,
  forbidden,
  numberOf,
  signed,
  stream,
  syntax,
  withCatalog99,
} from "../../tests/fixtures/pdf_changes.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";

const attacks: [what: string, bytes: () => Uint8Array, pattern: RegExp][] = [
  [
    "content of a page is replaced",
    () => classicUpdate(signed(), { 4: stream("BT (Pay 9000) Tj ET") }),
    /Contents/,
  ],
  [
    "a page refers to other content",
    () =>
      edit(signed(), "page", (old) => old.replace(/\/Contents \d+/, "/Contents 99"), {
        99: stream("(other)"),
      }),
    /Contents/,
  ],
  [
    "a page gets another size",
    () => edit(signed(), "page", (old) => old.replace("842]", "200]")),
    /MediaBox/,
  ],
  ["a page is rotated", () => edit(signed(), "page", "/Rotate 90"), /Rotate/],
  ["a page is added", () => {
    const bytes = signed();
    const kids = syntax(bytes, 2).replace("[", "[99 0 R ");
    return classicUpdate(bytes, { 2: kids, 99: "<< /Type /Page /Parent 2 0 R >>" });
  }, /Kids/],
  [
    "an action is added to the document",
    () => edit(signed(), "catalog", "/OpenAction << /S /JavaScript /JS (x) >>"),
    /OpenAction/,
  ],
  ["an action is added to a page", () => edit(signed(), "page", "/AA << >>"), /AA/],
  ["a certification is added", () => edit(signed(), "catalog", "/Perms << >>"), /Perms/],
  [
    "the signature's own appearance is replaced",
    () =>
      edit(
        signed({}, { appearance }),
        "Signature1",
        (old) => old.replace(/\/AP << \/N \d+/, "/AP << /N 99"),
        { 99: stream("fake") },
      ),
    /AP/,
  ],
  ["a text field is added", () => {
    const bytes = signed();
    const catalog = numberOf(bytes, "catalog");
    return classicUpdate(bytes, {
      [catalog]: syntax(bytes, catalog).replace("/Fields [", "/Fields [99 0 R "),
      99: "<< /FT /Tx /T (New) /Type /Annot /Subtype /Widget /Rect [0 0 500 500] >>",
    });
  }, /not for signatures/],
  ["a signature field with an action is added", () => {
    const bytes = signed();
    const catalog = numberOf(bytes, "catalog");
    return classicUpdate(bytes, {
      [catalog]: syntax(bytes, catalog).replace("/Fields [", "/Fields [99 0 R "),
      99: "<< /FT /Sig /T (New) /Type /Annot /Subtype /Widget /Rect [0 0 0 0] /A << >> >>",
    });
  }, /unknown parts/],
  [
    "a field is moved over something",
    () =>
      edit(signed({ textFields: ["T"] }), "T", (old) => old.replace(/\/Rect \[\d+/, "/Rect [0")),
    /Rect/,
  ],
  ["a field is removed", () => {
    const bytes = signed({ textFields: ["T"] });
    const catalog = numberOf(bytes, "catalog");
    return classicUpdate(bytes, {
      [catalog]: syntax(bytes, catalog).replace(/\/Fields \[\d+ 0 R/, "/Fields ["),
    });
  }, /removed/],
  ["an appearance that is also the page's content is replaced", () => {
    const objects = documentObjects({ textFields: ["T"] });
    objects[5] = objects[5].replace("/V", "/AP << /N 4 0 R >> /V");
    const bytes = signPdf(classicPdf(objects), asha);
    return edit(bytes, "T", (old) => old.replace("(before)", "(after)"), { 4: stream("other") });
  }, /Contents/],
  ["a list of fields that is also the list of pages grows", () => {
    const objects = documentObjects({ catalogEntries: "/AcroForm << /Fields 50 0 R >>" });
    objects[2] = "<< /Type /Pages /Count 1 /Kids 50 0 R >>";
    objects[50] = "[3 0 R]";
    return signPdf(signPdf(classicPdf(objects), asha), bikram);
  }, /Kids/],
  ["an object that nothing refers to is replaced", () => {
    const objects = { ...documentObjects(), 50: "(hidden)" };
    return classicUpdate(signPdf(classicPdf(objects), asha), { 50: "(shown)" });
  }, /nothing refers/],
  ["fields change their order", () => {
    const bytes = signed({ textFields: ["T", "U"] });
    return edit(
      bytes,
      "catalog",
      (old) => old.replace(/Fields \[(\S+ 0 R) (\S+ 0 R)/, "Fields [$2 $1"),
    );
  }, /order/],
  [
    "a direct annotation is added",
    () =>
      edit(signed(), "page", (old) => old.replace("/Annots [", "/Annots [<< /Subtype /Text >> ")),
    /Annots/,
  ],
  ["a push button gets another appearance", () => {
    const objects = documentObjects({ textFields: ["B"] });
    objects[5] = objects[5].replace("/FT /Tx", "/FT /Btn /Ff 65536 /AP << /N 60 0 R >>");
    objects[60] = stream("(before)");
    return classicUpdate(signPdf(classicPdf(objects), asha), { 60: stream("(after)") });
  }, /AP/],
  ["a reference to nothing gets an object", () => {
    const objects = documentObjects();
    objects[3] = objects[3].replace("/Contents 4 0 R", "/Contents [4 0 R 70 0 R]");
    return classicUpdate(signPdf(classicPdf(objects), asha), { 70: stream("(shown)") });
  }, /Contents/],
  ["an entry is given twice", () => edit(signed(), "page", "/Contents 4 0 R"), /twice/],
  [
    "the trailer names another catalog",
    () => withCatalog99(signed(), (old) => old.replace("(en-IN)", "(en-GB)")),
    /Lang/,
  ],
  ["a length that a stream refers to is changed", () => {
    const objects = documentObjects();
    objects[4] = objects[4].replace(/\/Length \d+/, "/Length 50 0 R");
    objects[50] = "30";
    return classicUpdate(signPdf(classicPdf(objects), asha), { 50: "3" });
  }, /Length/],
  [
    "a visible signature follows a certification",
    () => {
      const certified = signed({}, { certify: 2 });
      const before = fromLatin1(certified);
      const plain = latin1(before.replace("/TransformMethod /DocMDP", "/TransformMethod /XocMDP"));
      const more = signPdf(plain, bikram, { appearance });
      return latin1(before + fromLatin1(more).slice(before.length));
    },
    /certifies/,
  ],
];

for (const [what, bytes, pattern] of attacks) {
  Deno.test(`changes: found when ${what}`, () => forbidden(bytes(), pattern));
}

Deno.test("changes: replacing any object is detected", () => {
  const objects: Objects = {
    ...documentObjects({ pages: 2, signatureFields: ["A"] }),
    60: "[1 2]",
    61: "7",
  };
  objects[1] = objects[1].replace("/Lang", "/Names << /List 60 0 R /Number 61 0 R >> /Lang");
  for (const make of [classicPdf, streamPdf]) {
    const source = bytesSource(signPdf(make(objects), asha, { field: "A" }));
    const [signature] = inspectSignatures(source).signatures;
    const document = PdfDocument.open(source);
    for (const num of document.xref.entries.keys()) {
      const ref = document.refOf(num);
      const object = document.object(ref);
      if (!object) continue;
      const { value } = object;
      const update = new PdfUpdate(document);
      if (value instanceof PdfDict) update.edit(object).set(value, "Other", 1);
      else if (value instanceof PdfStream) update.putRaw(ref, latin1(stream("other")));
      else update.put(ref, [1, 3]);
      const changed = appendedSource(source, update.finish().bytes);
      const found = changesAfter(changed, { ...signature, coverage: "revision" });
      assert.ok(found.some(({ allowed }) => !allowed), `object ${num}`);
    }
  }
});

Deno.test("changes: a damaged revision cannot be judged", () => {
  const text = fromLatin1(signPdf(signed(), bikram));
  const at = text.lastIndexOf("startxref\n") + "startxref\n".length;
  const bytes = latin1(text.slice(0, at) + "1" + text.slice(at + 1));
  assert.deepEqual(changes(bytes).map(({ allowed, name }) => [allowed, name]), [
    [false, "structure"],
  ]);
});

Deno.test("changes: a signature that was replaced does not cover a revision", () => {
  const bytes = edit(
    signed({ signatureFields: ["A"] }, { field: "A" }),
    "A",
    (old) => old.replace(/\/V \d+/, "/V 99"),
    { 99: "<< /Type /Sig /ByteRange [0 10 20 30] /Contents <30> >>" },
  );
  const source = bytesSource(bytes);
  const [signature] = inspectSignatures(source).signatures;
  assert.equal(signature.coverage, "partial");
  assert.throws(
    () => changesAfter(source, signature),
    (error) => error instanceof FormatError && error.code === "invalid_argument",
  );
});
