/** Changes that one reader draws, reads aloud or reads otherwise, and others do not; `deno task fuzz agreement` finds such. */
import assert from "node:assert/strict";
import { classicPdf, classicUpdate, type Objects } from "../../tests/fixtures/pdf.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { bodiesOf, everythingPdf } from "../../tests/fuzz/agreement_objects.ts";
import { bytesSource } from "../source.ts";
import { changesAfter } from "./changes.ts";
import { inspectSignatures } from "./inspect.ts";

const [officer] = makePki({ officers: [{ name: "Asha", key: "p-256" }] }).officers;
const signed = signPdf(everythingPdf(), officer);
const bodies = bodiesOf(signed);
const certified = signPdf(everythingPdf(), officer, { certify: 2 });

/** Each change after the first signature, with its class. */
function judged(bytes: Uint8Array): string[] {
  const source = bytesSource(bytes);
  return changesAfter(source, inspectSignatures(source).signatures[0])
    .map(({ kind, name, allowed, unclear, reason = "" }) =>
      `${allowed ? "allowed" : unclear ? "unclear" : "forbidden"} ${kind} ${name} ${reason}`.trim()
    );
}

/** The document with some objects written anew. */
const after = (objects: Objects, base = signed) => judged(classicUpdate(base, objects));

/** The document with one more field on its first page. */
const withField = (field: string, more: Objects = {}, onPage = 90) =>
  after({
    3: bodies[3].replace("/Annots [", `/Annots [${onPage} 0 R `),
    10: bodies[10].replace("/Fields [", "/Fields [90 0 R "),
    90: field,
    ...more,
  });

const some = (found: string[], pattern: RegExp) =>
  assert.ok(found.some((each) => pattern.test(each)), found.join("\n"));

Deno.test("changes: a new signature field is nothing but a widget, where every reader sees it", () => {
  const field = (rect: string, subtype = "Widget", more = "") =>
    `<< /Type /Annot /Subtype /${subtype} /FT /Sig /T (New) /F 4 /Rect [${rect}] ${more} >>`;
  assert.deepEqual(withField(field("0 0 0 0")), ["allowed empty_signature_field New"]);
  for (const subtype of ["FreeText", "Square", "Stamp", "Text"]) {
    some(withField(field("0 0 0 0", subtype)), /^unclear .*unknown parts/);
  }
  for (const rect of ["0 0 500 500 9", "0 0 500", "0 0 (5) 5"]) {
    some(withField(field(rect)), /^unclear .*unknown parts/);
  }
  const parent = "<< /FT /Sig /T (New) /Kids [91 0 R] >>";
  const kid = (more: string) =>
    `<< /Subtype /Widget /Parent 90 0 R /Rect [0 0 500 500] /F 4 ${more} >>`;
  const text = kid("/FT /Tx /V (Pay 9,000,000) /DA (/Helv 40 Tf 0 g)");
  some(withField(parent, { 91: text }, 91), /^unclear .*unknown parts/);
  some(withField(parent, { 91: kid("/Kids [11 0 R]") }, 91), /^unclear .*unknown parts/);
});

Deno.test("changes: an appearance without bounds, which one reader draws over the page, is not harmless", () => {
  const field = (box: string, data: string) =>
    withField("<< /Subtype /Widget /FT /Sig /T (New) /F 4 /Rect [0 0 0 0] /AP << /N 92 0 R >> >>", {
      92: `<< /Subtype /Form ${box} /Length ${data.length} >>\nstream\n${data}\nendstream`,
    });
  for (const box of ["/BBox [0 0 0 0]", "", "/BBox [0 0 9]"]) {
    some(field(box, "0 0 500 500 re f"), /^unclear .*no bounds/);
  }
  // As LibreOffice and iText sign without a picture.
  assert.deepEqual(field("/BBox [0 0 0 0]", ""), ["allowed empty_signature_field New"]);
});

Deno.test("changes: a field that waits for a signature is reported with its place, and must be small", () => {
  const field = (rect: string) =>
    `<< /Type /Annot /Subtype /Widget /FT /Sig /T (New) /F 4 /Rect [${rect}] >>`;
  assert.deepEqual(withField(field("20 20 80 50")), ["allowed empty_signature_field New"]);
  some(withField(field("0 0 500 500")), /^unclear .*a tenth of its page/);
});

Deno.test("changes: fields are filled in where a certification says so, each told by its name", () => {
  const amount = { 11: bodies[11].replace("(1000)", "(9000)") };
  some(after(amount), /^unclear form_field Amount .*filled in/);
  assert.deepEqual(after(amount, certified), ["allowed form_field Amount"]);
  const group = { 16: bodies[16].replace("(2000)", "(9000)") };
  some(after(group), /^unclear form_field Group.Sub/);
  assert.deepEqual(after(group, certified), ["allowed form_field Group.Sub"]);
  const locked = signPdf(everythingPdf(), officer, {
    lock: { action: "Include", fields: ["Group.Sub"] },
  });
  some(after(group, locked), /^forbidden form_field Group.Sub .*locks/);
});

Deno.test("changes: what a reader needs to draw a field by itself stays as it was", () => {
  const form = (more: string) => after({ 10: bodies[10].replace("/DA (/Helv 12 Tf 0 g)", more) });
  const font = "/DR << /Font << /Helv 59 0 R >> >>";
  some(form(`/DA (/Helv 12 Tf 0 g) ${font}`), /^unclear other Root\/AcroForm\/DR .*font/);
  const other = form(`/DA (/Helv 12 Tf 0 g) ${font.replace("Helv", "ZaDb")}`);
  assert.deepEqual(other, []);
  some(form("/DA (/Helv 12 Tf 1 g)"), /^forbidden other Root\/AcroForm\/DA/);
  some(form("/DA (/Helv 12 Tf 0 g) /Q 2"), /^unclear other Root\/AcroForm\/Q/);
  const asking = signPdf(
    classicPdf({ ...bodies, 10: bodies[10].replace("/DA", "/NeedAppearances true /DA") }),
    officer,
  );
  const asked = bodiesOf(asking)[10];
  some(
    after({ 10: asked.replace("NeedAppearances true", "NeedAppearances false") }, asking),
    /^unclear other Root\/AcroForm\/NeedAppearances/,
  );
});

Deno.test("changes: numbers and names that programs read differently are not the same as before", () => {
  const written = (num: number, from: string, to: string) => {
    assert.ok(bodies[num].includes(from));
    return after({ [num]: bodies[num].replace(from, to) });
  };
  assert.deepEqual(written(2, "595 842", "+595 00842"), []);
  assert.deepEqual(written(5, "/CropBox", "/Crop#42ox"), []);
  for (const to of ["385-9", "--385", "99999999999"]) {
    assert.notDeepEqual(written(12, "385", to), [], to);
  }
  some(written(5, "/Rotate 90", "/Rotate 90.0"), /^unclear .*Rotate .*real/);
  some(written(57, "/C0 [1]", "/C0 [1.0]"), /^unclear .*real/);
  some(written(18, "/Stamp", "/Stamp#00"), /Subtype|object 18/);
});

Deno.test("changes: what is read aloud stays as it was", () => {
  const structure = (root: string, more: Objects = {}) =>
    after({ 20: bodies[20].replace("/K [21 0 R]", root), ...more });
  const element = (more: string) => `<< /Type /StructElem /S /Form /P 20 0 R ${more} >>`;
  const added = (more: string) => structure("/K [21 0 R 90 0 R]", { 90: element(more) });
  assert.deepEqual(
    structure("/K [21 0 R 90 0 R]", {
      90: element("/K << /Type /OBJR /Obj 91 0 R /Pg 3 0 R >>"),
      91: "<< >>",
    }),
    ["allowed metadata structure tree"],
  );
  const said = [
    ...["/ActualText (Pay 9,000,000)", "/Alt (Pay 9,000,000)", "/E (x)", "/K 0", "/K [21 0 R]"],
    ...["/K << /Type /MCR /MCID 0 >>", "/K << /Type /OBJR /Obj 17 0 R >>", "/Pg 5 0 R /K 3"],
  ];
  for (const each of said) some(added(each), /^unclear .*read aloud/);
  some(structure("/K [21 0 R] /RoleMap << /P /Artifact >>"), /^unclear/);
  some(structure("/K []"), /^forbidden/);
  some(
    after({ 21: bodies[21].replace("(Page 1)", "(Page 9)") }),
    /^forbidden other .*ActualText/,
  );
});

Deno.test("changes: a Type that decides how an object is read is not added", () => {
  some(after({ 4: bodies[4].replace("<< ", "<< /Type /Page ") }), /^unclear/);
  some(after({ 6: bodies[6].replace("<< ", "<< /Type /Pages ") }), /^unclear/);
});
