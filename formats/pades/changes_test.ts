import assert from "node:assert/strict";
import { changesAfter } from "./changes.ts";
import { appendDss } from "./dss.ts";
import { inspectSignatures } from "./inspect.ts";
import { type Appearance, prepareTimestamp } from "./prepare.ts";
import { fromLatin1, latin1 } from "../pdf/value.ts";
import { appendedSource, bytesSource } from "../source.ts";
import { classicUpdate, documentObjects, streamPdf } from "../../tests/fixtures/pdf.ts";
import {
  allowed,
  appearance,
  asha,
  bikram,
  changes,
  edit,
  forbidden,
  numberOf,
  picture,
  signed,
  stampedVisibly,
  syntax,
  unclear,
  widget,
  withField,
} from "../../tests/fixtures/pdf_changes.ts";
import { completeWith, signPdf } from "../../tests/fixtures/sign_pdf.ts";

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
