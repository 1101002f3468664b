import assert from "node:assert/strict";
import { classicPdf, classicUpdate, documentObjects, streamPdf } from "../../tests/fixtures/pdf.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { bytesSource, prefixSource } from "../source.ts";
import { PdfDocument } from "./document.ts";
import { looseness } from "./strict.ts";
import { fromLatin1, latin1 } from "./value.ts";

const { officers: [asha] } = makePki({ officers: [{ name: "Asha", key: "p-256" }] });
const objects = documentObjects();
const base = classicPdf(objects);

const check = (bytes: Uint8Array, size = base.length) => {
  const source = bytesSource(bytes);
  return looseness(PdfDocument.open(prefixSource(source, size)), PdfDocument.open(source));
};

Deno.test("strict: our revisions follow the standard", () => {
  for (const document of [base, streamPdf(objects)]) {
    const twice = signPdf(signPdf(document, asha), asha);
    assert.equal(check(twice, document.length), undefined);
  }
  assert.equal(check(classicUpdate(base, { 4: objects[4] })), undefined);
  assert.equal(check(base), undefined);
});

const updated = fromLatin1(classicUpdate(base, { 4: objects[4] }));
const tail = (change: (appended: string) => string) => {
  const changed = latin1(updated.slice(0, base.length) + change(updated.slice(base.length)));
  assert.notDeepEqual(changed, latin1(updated));
  return changed;
};

/** Puts something before the section, which is then where it is said to be. */
const moved = (more: string) =>
  tail((text) =>
    text.replace("xref\n0 1", `${more}xref\n0 1`).replace(
      /startxref\n(\d+)/,
      (_, at) => `startxref\n${Number(at) + more.length}`,
    )
  );

for (
  const [what, bytes, why] of [
    ["an entry of 19 bytes", tail((text) => text.replace("00000 n \n", "00000 n\n")), /20 bytes/],
    ["a comment in a table", tail((text) => text.replace("4 1\n", "%c\n4 1\n")), /20 bytes/],
    [
      "two entries for one object",
      tail((text) => text.replace(/4 1\n(.{20})/s, "$&$&")),
      /two entries/,
    ],
    ["a Size that shrinks", tail((text) => text.replace(/Size \d+/, "Size 4")), /Size/],
    ["no Prev", tail((text) => text.replace(/\/Prev \d+/, "")), /broken/],
    [
      "a Prev that leaves a revision out",
      tail((text) => text.replace(/\/Prev \d+/, `/Prev ${updated.length - 5}`)),
      /broken/,
    ],
    ["an object that no entry names", moved("9 0 obj\nnull\nendobj\n"), /names/],
    ["something behind the end", tail((text) => text + "9 0 obj null endobj"), /behind|end/],
    ["a comment with an object", moved("% 9 0 obj null endobj\n"), /names/],
    ["an object without an end", tail((text) => text.replace("endobj\n", "      \n")), /no end/],
    [
      "a wrong Length",
      tail((text) => text.replace(/Length \d+/, "Length 7 ")),
      /Length|cannot be read/,
    ],
    [
      "a Length that is no whole number",
      tail((text) =>
        text.replace(/Length (\d+)( >>\nstream\n)../, (_, n, s) => `Length ${n - 2}.5${s}`)
      ),
      /Length|cannot be read/,
    ],
    [
      "an entry that leads into the signed revision",
      tail((text) => text.replace(/4 1\n\d{10}/, "4 1\n0000000017")),
      /leads out|broken/,
    ],
  ] as const
) {
  Deno.test(`strict: not exact is ${what}`, () => {
    assert.match(check(bytes) ?? "exact", why);
  });
}

Deno.test("strict: white space and comments between objects are allowed", () => {
  assert.equal(check(moved("% made by a program\n\n \n")), undefined);
});
