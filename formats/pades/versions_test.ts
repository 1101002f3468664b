import assert from "node:assert/strict";
import { type Change, changesAfter } from "./changes.ts";
import { verifyPdf } from "./verify.ts";
import type { SignatureOptions } from "./prepare.ts";
import { classicPdf, classicUpdate, documentObjects, streamPdf } from "../../tests/fixtures/pdf.ts";
import {
  appearance,
  asha,
  bikram,
  edit,
  numberOf,
  picture,
  signed,
  syntax,
  widget,
  withField,
} from "../../tests/fixtures/pdf_changes.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { bytesSource } from "../source.ts";

const verify = (bytes: Uint8Array) => verifyPdf(bytesSource(bytes)).signatures;

/** Changes after each signature, as `kind name`, with a mark before what is not allowed. */
const changes = (bytes: Uint8Array) =>
  verify(bytes).map(({ since }) => since!.changes.map(told).sort());
const told = ({ kind, name, allowed, unclear }: Change) =>
  // There are several ways to a page.
  `${allowed ? "" : unclear ? "? " : "! "}${kind} ${name.replace(/^Root.*(?=Annots)/, "")}`;

Deno.test("versions: of more signatures than could be compared with one another, each is judged", () => {
  for (const [make, count] of [[classicPdf, 100], [streamPdf, 5]] as const) {
    let bytes: Uint8Array = make(documentObjects());
    for (let i = 0; i < count; i++) bytes = signPdf(bytes, asha);
    const all = verify(bytes);
    assert.equal(all.length, count);
    all.forEach(({ status, since }, i) => {
      assert.equal(status, "valid");
      assert.deepEqual([since!.ambiguities, since!.looseness], [[], undefined]);
      assert.equal(since!.changes.length, count - 1 - i);
      assert.ok(since!.changes.every(({ allowed, kind }) => allowed && kind === "signature"));
      assert.deepEqual(since!.revision?.number, i + 2);
    });
  }
});

Deno.test("versions: what was changed between two signatures counts for those before it", () => {
  const two = signPdf(signed(), bikram);
  const changed = edit(two, "page", "/Rotate 90");
  const four = signPdf(signPdf(changed, asha), bikram);
  assert.deepEqual(changes(four), [
    [
      "? other Root/Pages/Kids/0/Rotate",
      "signature Signature2",
      "signature Signature3",
      "signature Signature4",
    ],
    ["? other Root/Pages/Kids/0/Rotate", "signature Signature3", "signature Signature4"],
    ["signature Signature4"],
    [],
  ]);
});

Deno.test("versions: what was changed and changed back was not the same for those who signed between", () => {
  const two = signPdf(signed(), bikram);
  const before = syntax(two, numberOf(two, "page"));
  const turned = signPdf(edit(two, "page", "/Rotate 90"), asha);
  const now = syntax(turned, numberOf(turned, "page")).replace("/Rotate 90", "");
  assert.notEqual(before, now);
  const back = classicUpdate(turned, { [numberOf(turned, "page")]: now });
  const [first, second, third] = changes(signPdf(back, asha));
  for (const each of [first, second]) {
    assert.ok(each.some((one) => /^[?!] other .*Rotate/.test(one)), each.join());
  }
  assert.ok(third.some((one) => /^! other .*Rotate/.test(one)), third.join());
});

Deno.test("versions: a field that is new after a certification stays new for it, whoever signs between", () => {
  const certified = signed({}, { certify: 2 });
  const waiting = withField(
    certified,
    "<< /Type /Annot /Subtype /Widget /FT /Sig /T (New) /Rect [0 0 100 50] >>",
    {},
  );
  const between = signPdf(waiting, bikram);
  const drawn = signPdf(between, asha, { field: "New", appearance });
  const [first, second] = changes(drawn);
  assert.deepEqual(first, ["! signature New", "signature Signature2"]);
  // As if nobody had signed between.
  const direct = changesAfter(bytesSource(drawn), verify(drawn)[0].signature);
  assert.deepEqual(direct.map(told).sort(), first);
  // It stood there already when the second one signed.
  assert.deepEqual(second, ["signature New"]);
});

const valueOf = (bytes: Uint8Array) =>
  /\/V \d+ \d+ R/.exec(syntax(bytes, numberOf(bytes, "Signature2")))![0];

/** The document with more fields on its first page; those that are signed have the value of the second signature. */
function withFields(
  bytes: Uint8Array,
  fields: Record<number, string>,
  isSigned = true,
): Uint8Array {
  const catalog = numberOf(bytes, "catalog"), page = numberOf(bytes, "page");
  const value = isSigned ? valueOf(bytes) : "";
  const refs = Object.keys(fields).map((num) => `${num} 0 R`).join(" ");
  const objects = Object.entries(fields).map(([num, more]) => [
    num,
    `<< /Type /Annot /Subtype /Widget /FT /Sig ${value} ${more} >>`,
  ]);
  return classicUpdate(bytes, {
    [catalog]: syntax(bytes, catalog).replace("/Fields [", `/Fields [${refs} `),
    [page]: syntax(bytes, page).replace("/Annots [", `/Annots [${refs} `),
    98: picture,
    ...Object.fromEntries(objects),
  });
}

Deno.test("versions: no field hides behind another one of its name", () => {
  const two = signPdf(signed(), bikram);
  const large = "/T (X) /Rect [0 0 595 842] /AP << /N 98 0 R >>", unseen = "/T (X) /Rect [0 0 0 0]";
  const forged = [
    withFields(two, { 90: large, 91: unseen }),
    withFields(two, { 90: unseen, 91: large }),
    withFields(signPdf(withFields(two, { 90: large }), asha), { 91: unseen }),
    // As if the second signer had drawn it.
    withFields(two, { 90: "/T (Signature2) /Rect [0 0 100 50] /AP << /N 98 0 R >>" }),
  ];
  for (const bytes of forged) {
    const [first] = verify(bytes);
    assert.ok(
      first.since!.changes.some(({ allowed }) => !allowed),
      first.since!.changes.map(told).join(),
    );
  }
});

Deno.test("versions: a field that was signed is drawn where its widgets are", () => {
  const objects = documentObjects({ signatureFields: ["X"] });
  objects[6] = "<< /Type /Annot /Subtype /Widget /Parent 5 0 R /Rect [0 0 595 842] >>";
  objects[5] = "<< /FT /Sig /T (X) /Kids [6 0 R] >>";
  objects[3] = objects[3].replace("/Annots [5 0 R", "/Annots [6 0 R");
  const two = signPdf(signPdf(classicPdf(objects), asha), bikram);
  const drawn = classicUpdate(two, {
    5: objects[5].replace("/Kids", `${valueOf(two)} /Kids`),
    6: objects[6].replace("/Parent", "/AP << /N 98 0 R >> /Parent"),
    98: picture,
  });
  const own = verify(drawn)[0].since!.changes.filter(({ name }) => name === "X");
  assert.deepEqual(own.map(({ allowed, places }) => [allowed, places?.length]), [[false, 1]]);
});

Deno.test("versions: a field that gets its name after another signature was still added after the first", () => {
  const two = signPdf(signed({}, { certify: 2 }), bikram);
  const nameless = signPdf(withFields(two, { 90: "" }, false), asha);
  const drawn = classicUpdate(nameless, { 90: widget("0 0 100 50", valueOf(two)), 98: picture });
  const [first] = verify(drawn);
  assert.ok(
    first.since!.changes.some(({ allowed }) => !allowed),
    first.since!.changes.map(told).join(),
  );
});

Deno.test("versions: a field is told once, with all the places that it was drawn in", () => {
  const waiting = withField(signed(), widget("0 0 9 9", ""), { 98: picture });
  const between = signPdf(waiting, bikram);
  assert.deepEqual(changes(between)[0], ["? empty_signature_field New", "signature Signature2"]);
  const done = signPdf(between, asha, { field: "New" });
  const [{ since }] = verify(done);
  const own = since!.changes.filter(({ name }) => name === "New");
  assert.deepEqual(own.map(({ kind, places }) => [kind, places?.map(({ box }) => box)]), [
    ["signature", [[0, 0, 9, 9]]],
  ]);
});

Deno.test("versions: signatures together must leave half of a page alone, whoever signs between", () => {
  let bytes = signed();
  for (let i = 0; i < 6; i++) {
    const rectangle: [number, number, number, number] = [0, 80 * i, 590, 80 * i + 79];
    bytes = signPdf(bytes, bikram, {
      appearance: { ...appearance, place: { page: 1, rectangle } },
    });
  }
  const [first, second] = verify(bytes).map(({ since }) => since!.changes);
  assert.ok(first.every(({ reason }) => /Together with others/.test(reason ?? "")));
  assert.ok(second.every(({ allowed }) => allowed));
});

Deno.test("versions: step by step, the same is found as at once", () => {
  const objects = documentObjects({ textFields: ["Amount"], signatureFields: ["A", "B"] });
  const fill = (bytes: Uint8Array) =>
    edit(bytes, "Amount", (old) => old.replace("(before)", "(after)"));
  const comment = (bytes: Uint8Array) =>
    edit(bytes, "page", (old) => old.replace("/Annots [", "/Annots [90 0 R "), {
      90: "<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /AP << /N 91 0 R >> >>",
      91: picture,
    });
  const sign = (options?: SignatureOptions) => (bytes: Uint8Array) =>
    signPdf(bytes, bikram, options);
  const orders = [
    [sign(), fill, sign({ field: "A" }), comment, sign({ field: "B", appearance })],
    [comment, sign({ appearance }), fill, sign(), sign({ field: "A" })],
    [sign({ lock: { action: "Include", fields: ["Amount"] } }), sign(), fill, sign(), comment],
  ];
  for (const certify of [undefined, 1, 2, 3] as const) {
    for (const order of orders) {
      let bytes = signPdf(classicPdf(objects), asha, { certify });
      try {
        for (const step of order) bytes = step(bytes);
      } catch (error) {
        assert.match(`${error}`, /allows no changes|certifies|locks/);
      }
      for (const { signature, since } of verify(bytes)) {
        const direct = changesAfter(bytesSource(bytes), signature);
        assert.deepEqual(since!.changes.map(told).sort(), direct.map(told).sort());
      }
    }
  }
});

Deno.test("versions: a revision that readers read differently is ambiguous for its signature, and for no other", () => {
  const two = signPdf(signed(), bikram);
  const page = numberOf(two, "page");
  const field = (more: string) =>
    `<< /Type /Annot /Subtype /Widget /FT /Sig /T (Odd) /Rect [0 0 0 0] ${more} >>`;
  const odd = classicUpdate(two, {
    80: field("/M (a) /M (b)"),
    [page]: syntax(two, page).replace("/Annots [", "/Annots [80 0 R "),
  });
  const mended = classicUpdate(signPdf(odd, asha), { 80: field("") });
  const all = verify(signPdf(mended, bikram));
  assert.deepEqual(all.map(({ since }) => since!.looseness), all.map(() => undefined));
  assert.deepEqual(all.map(({ since }) => since!.ambiguities.map(({ object }) => object)), [
    [],
    [],
    [80],
    [],
  ]);
});
