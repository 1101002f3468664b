import assert from "node:assert/strict";
import {
  classicPdf,
  classicUpdate,
  documentObjects,
  type FormOptions,
  type Objects,
  streamPdf,
} from "../../tests/fixtures/pdf.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { completeWith, signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { FormatError } from "../error.ts";
import { type Appearance, prepareTimestamp, type SignatureOptions } from "./prepare.ts";
import { type Change, changesAfter } from "./changes.ts";
import { appendDss } from "./dss.ts";
import { inspectSignatures } from "./inspect.ts";
import { PdfDocument } from "../pdf/document.ts";
import { findPage, formFields } from "../pdf/form.ts";
import { appendedSource, bytesSource } from "../source.ts";
import { PdfUpdate } from "../pdf/update.ts";
import { fromLatin1, latin1, name, PdfDict, PdfRef, PdfStream } from "../pdf/value.ts";

const { officers: [asha, bikram] } = makePki({
  officers: [{ name: "Asha Roy", key: "p-256" }, { name: "Bikram Das", key: "p-256" }],
});

const appearance: Appearance = {
  place: { page: 1, rectangle: [0, 0, 100, 50] },
  draw: (update) =>
    update.addStream({ Subtype: name("Form"), BBox: [0, 0, 9, 9] }, latin1("0 0 1 1 re f")),
};

/** Changes after the first signature. */
function changes(bytes: Uint8Array): Change[] {
  const source = bytesSource(bytes);
  return changesAfter(source, inspectSignatures(source).signatures[0]);
}

const allowed = (bytes: Uint8Array) =>
  changes(bytes).map((each) => {
    assert.ok(each.allowed, `${each.kind} ${each.name}: ${each.reason}`);
    return `${each.kind} ${each.name}`;
  }).sort();

function forbidden(bytes: Uint8Array, pattern: RegExp) {
  const found = changes(bytes).filter((each) => !each.allowed);
  assert.ok(
    found.some((each) => pattern.test(`${each.kind} ${each.name}: ${each.reason}`)),
    JSON.stringify(changes(bytes)),
  );
}

const signed = (form: FormOptions = {}, options?: SignatureOptions) =>
  signPdf(classicPdf(documentObjects(form)), asha, options);

/** The syntax of an object of a document, to be changed. */
function syntax(bytes: Uint8Array, num: number): string {
  const document = PdfDocument.open(bytesSource(bytes));
  const object = document.object(document.refOf(num))!;
  assert.ok(object.value instanceof PdfDict);
  return fromLatin1(object.bytes.subarray(object.value.start, object.value.end));
}

function numberOf(bytes: Uint8Array, what: "catalog" | "page" | string): number {
  const document = PdfDocument.open(bytesSource(bytes));
  if (what === "catalog") return document.catalog().num;
  if (what === "page") return findPage(document, 1).ref!.num;
  return formFields(document).find((field) => field.name === what)!.object.num;
}

/** Adds entries to an object, or replaces some of its syntax. */
function edit(
  bytes: Uint8Array,
  what: string,
  change: string | ((old: string) => string),
  more: Objects = {},
): Uint8Array {
  const num = numberOf(bytes, what);
  const old = syntax(bytes, num);
  const changed = typeof change === "string" ? `${old.slice(0, -2)} ${change} >>` : change(old);
  assert.notEqual(changed, old);
  return classicUpdate(bytes, { [num]: changed, ...more });
}

Deno.test("changes: none is found after a signature of the whole document", () => {
  assert.deepEqual(changes(signed()), []);
});

Deno.test("changes: more signatures, fields and timestamps are allowed", () => {
  const first = signed({ signatureFields: ["Waiting"] });
  assert.deepEqual(allowed(signPdf(first, bikram)), ["signature Signature2"]);
  assert.deepEqual(allowed(signPdf(first, bikram, { field: "Waiting" })), ["signature Waiting"]);
  const visible = signPdf(signPdf(first, bikram, { appearance }), asha, { field: "Waiting" });
  assert.deepEqual(allowed(visible), ["signature Signature2", "signature Waiting"]);
  const source = bytesSource(first);
  const stamped = completeWith(source, prepareTimestamp(source), asha);
  assert.deepEqual(allowed(appendedSource(source, stamped).read(0, 1 << 20)), [
    "timestamp Signature2",
  ]);
});

Deno.test("changes: more signatures are allowed on packed documents too", () => {
  const base = streamPdf(documentObjects({ pages: 3, signatureFields: ["Waiting"] }));
  const both = signPdf(signPdf(base, asha), bikram, { field: "Waiting" });
  assert.deepEqual(allowed(both), ["signature Waiting"]);
});

Deno.test("changes: validation data is allowed, even after a strict certification", () => {
  const first = signed({}, { certify: 1 });
  const source = bytesSource(first);
  const { contents } = inspectSignatures(source).signatures[0];
  const once = appendedSource(
    source,
    appendDss(source, {
      certificates: asha.chain,
      crls: [latin1("crl")],
      signatures: [{ contents, certificates: [asha.certificate.der] }],
    }),
  );
  const twice = appendedSource(once, appendDss(once, { ocsps: [latin1("ocsp")] }));
  for (const each of [once, twice]) {
    assert.deepEqual(allowed(each.read(0, each.size)), ["validation_data DSS"]);
  }
  const bytes = twice.read(0, twice.size).slice();
  const dss = /\/DSS (\d+) 0 R/.exec(fromLatin1(bytes))![1];
  // Seen from a timestamp over the validation data, their removal is not allowed.
  const stamped = completeWith(twice, prepareTimestamp(twice), asha);
  const sealed = appendedSource(twice, stamped);
  const removed = bytesSource(
    classicUpdate(sealed.read(0, sealed.size).slice(), { [dss]: "<< /Type /DSS >>" }),
  );
  const last = inspectSignatures(removed).signatures[1];
  assert.equal(last.kind, "timestamp");
  assert.ok(changesAfter(removed, last).some((each) => !each.allowed));
});

Deno.test("changes: forms may be filled in, unless a signature forbids it", () => {
  const fill = (bytes: Uint8Array) =>
    edit(
      bytes,
      "Amount",
      (old) => old.replace("(before)", "(after)").replace("/V", "/AP << /N 99 0 R >> /V"),
      {
        99: "<< /Subtype /Form /Length 0 >>\nstream\n\nendstream",
      },
    );
  const form = { textFields: ["Amount", "Other"] };
  unclear(fill(signed(form)), /form_field Amount: .*No signature says/);
  assert.deepEqual(allowed(fill(signed(form, { certify: 2 }))), ["form_field Amount"]);
  forbidden(fill(signed(form, { certify: 1 })), /form_field Amount: .*Signature1/);
  const lock = (fields: string[]) => ({ lock: { action: "Include" as const, fields } });
  forbidden(fill(signed(form, lock(["Amount"]))), /form_field Amount: .*locks/);
  unclear(fill(signed(form, lock(["Other"]))), /form_field Amount/);
  forbidden(fill(signed(form, { lock: { action: "All" } })), /locks/);
});

Deno.test("changes: only level 3 allows annotations", () => {
  const drawn = "/AP << /N 97 0 R >>";
  const annotate = (bytes: Uint8Array, subtype = "Text", more = drawn) => {
    const page = numberOf(bytes, "page");
    return classicUpdate(bytes, {
      [page]: syntax(bytes, page).replace(/\/Annots \[/, "/Annots [98 0 R "),
      98: `<< /Type /Annot /Subtype /${subtype} /Rect [0 0 9 9] /Contents (note) ${more} >>`,
      97: picture,
    });
  };
  const certified = signed({}, { certify: 3 });
  assert.deepEqual(allowed(annotate(certified)).length, 1);
  unclear(annotate(certified, "Link"), /no comment/);
  unclear(annotate(certified, "Text", `${drawn} /A << /S /JavaScript >>`), /may act/);
  const quads = "/QuadPoints [0 500 500 500 0 0 500 0]";
  unclear(annotate(certified, "Highlight", `${drawn} ${quads}`), /different ways/);
  unclear(annotate(certified, "Ink", "/InkList [[0 0 500 500]]"), /different ways/);
  forbidden(annotate(signed({}, { certify: 2 })), /annotation/);
  forbidden(annotate(signed()), /annotation/);
});

Deno.test("changes: metadata may change", () => {
  const bytes = edit(signed(), "catalog", "/Metadata 97 0 R /Version /2.0", {
    97: "<< /Type /Metadata /Subtype /XML /Length 4 >>\nstream\n<x/>\nendstream",
  });
  assert.deepEqual(allowed(bytes), ["metadata XMP metadata"]);
});

Deno.test("changes: another title is told by itself", () => {
  const bytes = classicUpdate(signed(), { 97: "<< /Title (Sanction 7) >>" }, "/Info 97 0 R");
  assert.deepEqual(allowed(bytes), [
    "metadata document information",
    "metadata title “Sanction 7”",
  ]);
});

/** The same document under a catalog with another number. */
function withCatalog99(bytes: Uint8Array, change = (old: string) => old): Uint8Array {
  const text = fromLatin1(classicUpdate(bytes, { 99: change(syntax(bytes, 1)) }));
  const at = text.lastIndexOf("/Root 1 0 R");
  return latin1(`${text.slice(0, at)}/Root 99 0 R${text.slice(at + 11)}`);
}

const stream = (text: string) => `<< /Length ${text.length} >>\nstream\n${text}\nendstream`;

/** Changes that nothing forbids and nobody vouches for. */
function unclear(bytes: Uint8Array, pattern: RegExp) {
  const found = changes(bytes).filter((each) => each.unclear);
  assert.ok(
    found.some((each) => pattern.test(`${each.kind} ${each.name}: ${each.reason}`)),
    JSON.stringify(changes(bytes)),
  );
}

/** A form XObject as large as it is drawn, and a field that it is put into. */
const picture = "<< /Subtype /Form /BBox [0 0 9 9] /Length 12 >>\nstream\n0 0 9 9 re f\nendstream";
const widget = (rect: string, more: string) =>
  `<< /Type /Annot /Subtype /Widget /FT /Sig /T (New) /Rect [${rect}] /AP << /N 98 0 R >> ${more} >>`;

/** The document with one more field on its first page. */
function withField(bytes: Uint8Array, field: string, more: Objects = { 98: picture }): Uint8Array {
  const catalog = numberOf(bytes, "catalog"), page = numberOf(bytes, "page");
  return classicUpdate(bytes, {
    [catalog]: syntax(bytes, catalog).replace("/Fields [", "/Fields [99 0 R "),
    [page]: syntax(bytes, page).replace("/Annots [", "/Annots [99 0 R "),
    99: field,
    ...more,
  });
}

/** With a document timestamp in the field that waits, and an appearance for it. */
function stampedVisibly(bytes: Uint8Array): Uint8Array {
  const source = bytesSource(bytes);
  const stamp = completeWith(source, prepareTimestamp(source, { field: "Waiting" }), asha);
  const all = appendedSource(source, stamp);
  return edit(all.read(0, all.size).slice(), "Waiting", "/AP << /N 98 0 R >>", { 98: picture });
}

Deno.test("changes: unsigned content may not be drawn over a page", () => {
  const waiting = { signatureFields: ["Waiting"] };
  unclear(withField(signed(), widget("0 0 595 842", "")), /empty_signature_field New: .*nobody/);
  unclear(withField(signed(), widget("0 0 9 9", "")), /empty_signature_field New: .*nobody/);
  unclear(withField(signed(), widget("0 0 9 9", "/A << /S /URI >>")), /unknown parts/);
  const drawn = (bytes: Uint8Array) =>
    edit(bytes, "Waiting", "/AP << /N 98 0 R >>", { 98: picture });
  unclear(drawn(signed(waiting)), /empty_signature_field Waiting: .*nobody/);
  unclear(drawn(signed(waiting, { certify: 2 })), /Waiting/);
  forbidden(drawn(signed(waiting, { certify: 1 })), /allows no changes/);
  forbidden(drawn(signed(waiting, { lock: { action: "All" } })), /locks/);
  unclear(stampedVisibly(signed(waiting)), /timestamp Waiting: .*no appearance/);
  forbidden(stampedVisibly(signed(waiting, { certify: 1 })), /allows no changes/);
  forbidden(stampedVisibly(signed(waiting, { lock: { action: "All" } })), /locks/);
});

Deno.test("changes: a later signature's appearance is reported with page and box, and must be small", () => {
  const place = (rectangle: [number, number, number, number]): Appearance => ({
    ...appearance,
    place: { page: 1, rectangle },
  });
  const [small] = changes(signPdf(signed(), bikram, { appearance: place([10, 20, 110, 70]) }));
  assert.deepEqual([small.allowed, small.signedBy], [true, "Signature2"]);
  assert.deepEqual(small.places?.map(({ page, box }) => [page, box]), [[1, [10, 20, 110, 70]]]);
  unclear(
    signPdf(signed(), bikram, { appearance: place([0, 0, 500, 300]) }),
    /a tenth of its page/,
  );
  // A field that was drawn before draws nothing new when it is signed without an appearance.
  const base = signed({ signatureFields: ["Waiting"], fieldEntries: "/AP << /N 4 0 R >>" });
  const [same] = changes(signPdf(base, bikram, { field: "Waiting" }));
  assert.deepEqual([same.allowed, same.places], [true, undefined]);
});

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

Deno.test("changes: many signatures must leave half of their page alone", () => {
  let bytes = signed();
  const place = (i: number): Appearance => ({
    ...appearance,
    place: { page: 1, rectangle: [0, 80 * i, 590, 80 * i + 79] },
  });
  for (let i = 0; i < 5; i++) bytes = signPdf(bytes, bikram, { appearance: place(i) });
  assert.equal(allowed(bytes).length, 5);
  forbidden(signPdf(bytes, bikram, { appearance: place(5) }), /Together with others/);
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
    forbidden(classicUpdate(strange, { 3: with3 }), /P\/Rotate: /);
  }
  for (const other of ["/Rotate 180", "/CropBox [0 0 500 400]", "/UserUnit 90", "/Rotate 90.0"]) {
    forbidden(page(other), /P\/(Rotate|CropBox|UserUnit): /);
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

Deno.test("validation data: data already present is not added again", () => {
  const bytes = signed();
  const source = bytesSource(bytes);
  const data = { certificates: [asha.certificate.der, asha.certificate.der], crls: [latin1("c")] };
  const once = appendedSource(source, appendDss(source, data));
  assert.equal(appendDss(once, data).length, 0);
  const document = PdfDocument.open(once);
  const dss = document.dict(document.catalog().value, "DSS")!;
  assert.equal(document.array(dss, "Certs")?.items.length, 1);
  const more = appendedSource(once, appendDss(once, { ...data, crls: [latin1("d")] }));
  const after = PdfDocument.open(more);
  const list = after.array(after.dict(after.catalog().value, "DSS")!, "CRLs")!;
  assert.deepEqual(
    list.items.map((item) => fromLatin1(after.streamData(after.object(item as PdfRef)!))),
    ["c", "d"],
  );
});

Deno.test("validation data: an entry for a signature is found by its digest", async () => {
  const bytes = signed();
  const source = bytesSource(bytes);
  const { contents } = inspectSignatures(source).signatures[0];
  const time = new Date("2026-01-02T03:04:05Z");
  const update = appendDss(source, {
    signatures: [{ contents, crls: [latin1("crl")], ocsps: [latin1("ocsp")], time }],
  });
  const document = PdfDocument.open(appendedSource(source, update));
  const vri = document.dict(document.dict(document.catalog().value, "DSS")!, "VRI")!;
  const sha1 = new Uint8Array(await crypto.subtle.digest("SHA-1", contents.slice()));
  const entry = document.dict(vri, sha1.toHex().toUpperCase())!;
  assert.deepEqual([...entry.entries.keys()], ["CRL", "OCSP", "TU"]);
});
