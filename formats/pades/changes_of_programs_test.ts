import assert from "node:assert/strict";
import { changesAfter } from "./changes.ts";
import { appendDss } from "./dss.ts";
import { inspectSignatures } from "./inspect.ts";
import { prepareTimestamp } from "./prepare.ts";
import { fromLatin1, latin1 } from "../pdf/value.ts";
import { appendedSource, bytesSource } from "../source.ts";
import {
  classicPdf,
  classicUpdate,
  documentObjects,
  type Objects,
} from "../../tests/fixtures/pdf.ts";
import {
  allowed,
  asha,
  edit,
  forbidden,
  picture,
  signed,
  stream,
  syntax,
  widget,
  withCatalog99,
  withField,
} from "../../tests/fixtures/pdf_changes.ts";
import { completeWith, signPdf } from "../../tests/fixtures/sign_pdf.ts";

Deno.test("changes: the extra entries other programs write with a signature are harmless", () => {
  const bytes = signed({ textFields: ["Amount"] });
  const harmless: [string, Uint8Array, string][] = [
    [
      "/DR and /H in the widget of a new field",
      withField(bytes, widget("0 0 0 0", "/H /P /DR << /XObject << >> >>")),
      "empty_signature_field New",
    ],
    [
      "/DR whose XObject another signature has left there, by iText",
      edit(
        signed({
          catalogEntries: "/AcroForm << /Fields [] /DR << /XObject << /FRM 4 0 R >> >> >>",
        }),
        "catalog",
        (old) => old.replace("/FRM 4 0 R", "/FRM 97 0 R"),
        { 97: picture },
      ),
      "",
    ],
    [
      "/DV beside /V, by LibreOffice",
      withField(bytes, widget("0 0 0 0", "/DV 98 0 R /DR << >>")),
      "empty_signature_field New",
    ],
    [
      "a read-only field",
      edit(bytes, "Amount", "/Ff 1"),
      "read_only Amount",
    ],
    [
      "a developer extension whose level rises",
      edit(
        signed({
          catalogEntries: "/Extensions << /ESIC << /BaseVersion /1.7 /ExtensionLevel 2 >> >>",
        }),
        "catalog",
        (old) => old.replace("ExtensionLevel 2", "ExtensionLevel 5"),
      ),
      "metadata developer extensions",
    ],
    ["a catalog under another number", withCatalog99(bytes), ""],
    [
      "resources of the form",
      edit(
        signed({ catalogEntries: "/AcroForm << /Fields [] /DR << /Font << >> >> >>" }),
        "catalog",
        (old) => old.replace("/DR <<", "/DR << /XObject << /FRM 98 0 R >>"),
        { 98: picture },
      ),
      "",
    ],
    [
      "an element of the structure tree",
      (() => {
        const tagged = signPdf(
          classicPdf({
            ...documentObjects({ catalogEntries: "/StructTreeRoot 60 0 R" }),
            60: "<< /Type /StructTreeRoot /K 61 0 R /ParentTree 62 0 R /ParentTreeNextKey 1 >>",
            61: "<< /S /Document /P 60 0 R /K [0] >>",
            62: "<< /Nums [0 [61 0 R]] >>",
          }),
          asha,
        );
        return classicUpdate(tagged, {
          60:
            "<< /Type /StructTreeRoot /K [61 0 R 90 0 R] /ParentTree 62 0 R /ParentTreeNextKey 2 >>",
          62: "<< /Nums [0 [61 0 R] 1 90 0 R] >>",
          90: "<< /S /Form /P 60 0 R >>",
        });
      })(),
      "metadata structure tree",
    ],
    [
      "the mark of iText 2 in the page tree",
      classicUpdate(bytes, { 2: syntax(bytes, 2).replace("/Count", "/ITXT (2.1.7) /Count") }),
      "",
    ],
    ["another key of the trailer", classicUpdate(bytes, {}, "/Private (x)"), ""],
  ];
  for (const [what, changed, told] of harmless) {
    assert.deepEqual(allowed(changed).join(), told, what);
  }
});

Deno.test("changes: the elements of the structure may be put into a Document, and nowhere else", () => {
  const root = (kids: string) =>
    `<< /Type /StructTreeRoot /K ${kids} /ParentTree << /Nums [0 [61 0 R]] >> >>`;
  const element = (parent: number) => `<< /S /P /P ${parent} 0 R /Pg 3 0 R /K [0] >>`;
  const objects = documentObjects({ catalogEntries: "/StructTreeRoot 60 0 R" });
  const bytes = signPdf(classicPdf({ ...objects, 60: root("[61 0 R]"), 61: element(60) }), asha);
  const moved = (wrapper: string, parent = 90) =>
    classicUpdate(bytes, { 60: root("[90 0 R]"), 61: element(parent), 90: `<< ${wrapper} >>` });
  assert.deepEqual(allowed(moved("/S /Document /P 60 0 R /K [61 0 R]")), []);
  for (
    const other of [
      "/S /Artifact /P 60 0 R /K [61 0 R]",
      "/S /Document /P 60 0 R /K [61 0 R] /ActualText (Pay 9000)",
      "/S /Document /P 60 0 R /K [61 0 R 1]",
      "/S /Document /P 60 0 R /K []",
    ]
  ) forbidden(moved(other), /Struct/);
  forbidden(moved("/S /Document /P 60 0 R /K [61 0 R]", 3), /Struct/);
});

Deno.test("changes: a page may be written with what it inherits, and with nothing else", () => {
  const objects = documentObjects();
  objects[2] = objects[2].replace("/Count", "/Rotate 90 /CropBox [0 0 500 500] /Count");
  const bytes = signPdf(classicPdf(objects), asha);
  const page = (more: string) =>
    classicUpdate(bytes, { 3: syntax(bytes, 3).replace("/Parent", `${more} /Parent`) });
  assert.deepEqual(allowed(page("/Rotate 90 /CropBox [0 0 500 500]")), []);
  // Some readers go by Parent, others by the tree.
  const astray: Objects = {
    ...objects,
    60: "<< /Type /Pages /Rotate 180 /Kids [3 0 R] /Count 1 >>",
  };
  astray[3] = astray[3].replace("/Parent 2 0 R", "/Parent 60 0 R");
  const strange = signPdf(classicPdf(astray), asha);
  for (const turned of ["/Rotate 180", "/Rotate 90"]) {
    const with3 = syntax(strange, 3).replace("/Parent", `${turned} /Parent`);
    forbidden(classicUpdate(strange, { 3: with3 }), /\/Rotate: /);
  }
  for (const other of ["/Rotate 180", "/CropBox [0 0 500 400]", "/UserUnit 90", "/Rotate 90.0"]) {
    forbidden(page(other), /\/(Rotate|CropBox|UserUnit): /);
  }
});

Deno.test("changes: validation data may be rewritten, under other object numbers and with a type", () => {
  const first = bytesSource(signed());
  const once = appendedSource(first, appendDss(first, { crls: [latin1("crl")] }));
  const bytes = once.read(0, once.size).slice();
  const dss = /\/DSS (\d+) 0 R/.exec(fromLatin1(bytes))![1];
  const stamped = appendedSource(
    once,
    completeWith(once, prepareTimestamp(once), asha),
  );
  const rewrite = (crl: string) =>
    classicUpdate(stamped.read(0, stamped.size).slice(), {
      [dss]: "<< /Type /DSS /CRLs 71 0 R >>",
      71: "[70 0 R]",
      70: stream(crl),
    });
  const after = (bytes: Uint8Array) => {
    const source = bytesSource(bytes);
    return changesAfter(source, inspectSignatures(source).signatures[1]);
  };
  assert.deepEqual(after(rewrite("crl")), []);
  assert.ok(after(rewrite("crx")).some((each) => each.unclear && /removed/.test(each.reason!)));
});
