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
