import assert from "node:assert/strict";
import { readTimestampResponse } from "../formats/cms/timestamp.ts";
import { encodeTimestampRequest } from "../formats/cms/timestamp_request.ts";
import { type Appearance, prepareTimestamp } from "../formats/pades/prepare.ts";
import { appendedSource, bytesSource, digestOf } from "../formats/source.ts";
import { fromLatin1, latin1, name } from "../formats/pdf/value.ts";
import { classicPdf, classicUpdate, documentObjects } from "../tests/fixtures/pdf.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";
import { answerTimestampRequest } from "../tests/fixtures/tsa.ts";
import { rangesOf } from "../online/pades.ts";
import { factsOf } from "./pdf_facts.ts";

const ours = makePki({ officers: [{ name: "Asha Roy" }, { name: "Bimal Roy" }] });
const stranger = makePki({ officers: [{ name: "Chief Secretary" }] }).officers[0];
const trust = { anchors: [ours.root.certificate.der], now: new Date().toISOString() };

const appearance: Appearance = {
  place: { page: 1, size: [200, 60] },
  draw: (update) =>
    update.addStream(
      { Type: name("XObject"), Subtype: name("Form"), BBox: [0, 0, 200, 60] },
      latin1("0 0 200 60 re f"),
    ),
};

Deno.test("changes after a signature are allowed, forbidden, or vouched for by nobody", () => {
  const first = signPdf(classicPdf(documentObjects()), ours.officers[0]);
  const changesIn = (bytes: Uint8Array) =>
    factsOf(bytesSource(bytes), trust).signatures[0].changes!.map(({ kind, verdict }) => [
      kind,
      verdict,
    ]);
  assert.deepEqual(changesIn(first), []);
  // What a later signature draws counts if its signer is known.
  assert.deepEqual(changesIn(signPdf(first, ours.officers[1], { appearance })), [
    ["signature", "allowed"],
  ]);
  assert.deepEqual(changesIn(signPdf(first, stranger, { appearance })), [
    ["signature", "unclear"],
  ]);
  // Page 1 is object 3, and the first signature changed it last.
  const text = fromLatin1(first);
  const page = text.slice(text.lastIndexOf("3 0 obj")).match(/3 0 obj\s+(<<[^]*?>>)\s+endobj/)![1];
  const note = "<< /Type /Annot /Subtype /Text /Rect [9 9 29 29] /Contents (No) >>";
  const commented = page.replace(/\/Annots\s*\[/, (all) => `${all}98 0 R `);
  assert.notEqual(commented, page);
  assert.deepEqual(changesIn(classicUpdate(first, { 3: commented, 98: note })), [[
    "annotation",
    "unclear",
  ]]);
  const cropped = page.replace("595 842", "300 842");
  assert.deepEqual(changesIn(classicUpdate(first, { 3: cropped })).map(([, verdict]) => verdict), [
    "forbidden",
  ]);
});

Deno.test("a timestamp's time is told as late as its accuracy allows, and not where it is vague or a stranger's", () => {
  const source = bytesSource(classicPdf(documentObjects()));
  const now = new Date(new Date().setMilliseconds(0));
  const told = (accuracy: number, { timestampAuthority } = ours) => {
    const prepared = prepareTimestamp(source, { contentsSize: 8000 });
    const whole = appendedSource(source, prepared.appended);
    const imprint = digestOf(whole, "SHA-256", rangesOf(prepared));
    const request = encodeTimestampRequest({ hash: "SHA-256", digest: imprint });
    const response = answerTimestampRequest(timestampAuthority, request, {
      now,
      accuracy,
      chain: ours.officers[0].chain,
    });
    const stamped = appendedSource(source, prepared.complete(readTimestampResponse(response)));
    const [{ time, timestamped }] = factsOf(stamped, trust).signatures;
    return [time, timestamped];
  };
  assert.deepEqual(told(90), [new Date(now.getTime() + 90_000).toISOString(), true]);
  assert.deepEqual(told(2 * 3600), [null, false]);
  assert.deepEqual(told(1, makePki({ officers: [] })), [null, false]);
});

Deno.test("a PDF without signatures that readers draw differently is told to be damaged", () => {
  const objects = documentObjects();
  const isDamaged = () => factsOf(bytesSource(classicPdf(objects)), trust).damaged;
  assert.equal(isDamaged(), false);
  objects[4] = "<< /Length 5 >>\nstream\nq Q Q\nendstream";
  assert.equal(isDamaged(), true);
});
