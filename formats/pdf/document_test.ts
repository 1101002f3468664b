import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import {
  classicPdf,
  classicUpdate,
  damagedPdf,
  documentObjects,
  hybridPdf,
  streamPdf,
} from "../../tests/fixtures/pdf.ts";
import { FormatError, type FormatErrorCode } from "../error.ts";
import { PdfDocument } from "./document.ts";
import { findPage, formFields } from "./form.ts";
import { appendedSource, bytesSource, prefixSource, type Source } from "../source.ts";
import { fromLatin1, latin1, PdfDict, PdfRef, PdfString, textOf } from "./value.ts";

const objects = documentObjects({ pages: 3, signatureFields: ["A", "B"], textFields: ["T"] });
const open = (bytes: Uint8Array) => PdfDocument.open(bytesSource(bytes));

function fails(bytes: Uint8Array | string, code: FormatErrorCode = "pdf_malformed") {
  assert.throws(
    () => {
      const document = open(typeof bytes === "string" ? latin1(bytes) : bytes);
      findPage(document, 1);
      formFields(document);
    },
    (error) => error instanceof FormatError && error.code === code,
  );
}

const structures: [string, Uint8Array][] = [
  ["classic", classicPdf(objects)],
  ["stream", streamPdf(objects)],
  ["hybrid", hybridPdf(objects, [9, 10])],
  ["updated", classicUpdate(classicPdf(objects), { 4: objects[4] })],
  ["updated stream", classicUpdate(streamPdf(objects), { 1: objects[1] })],
];

Deno.test("document: a scan finds objects that cross chunk borders", () => {
  const MIB = 1 << 20;
  const head = "%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n%";
  const rest = "\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n" +
    "3 0 obj\n<< /Type /Page /Parent 2 0 R >>\nendobj\n%" + "x".repeat(MIB + 1000);
  for (let before = 0; before <= 120; before++) {
    const gap = "x".repeat(MIB - head.length - before);
    const document = open(latin1(head + gap + rest));
    assert.equal(findPage(document, 1).ref?.num, 3, `${before} bytes before the chunk's end`);
  }
});

for (const [kind, bytes] of structures) {
  Deno.test(`document: reads a ${kind} cross-reference`, () => {
    const document = open(bytes);
    assert.equal(document.recovered, false);
    assert.deepEqual(formFields(document).map(({ name, type }) => [name, type]), [
      ["A", "Sig"],
      ["B", "Sig"],
      ["T", "Tx"],
    ]);
    assert.equal(findPage(document, 3).ref?.num, 7);
    const lang = document.get(document.catalog().value, "Lang") as PdfString;
    assert.equal(textOf(lang), "en-IN");
  });

  Deno.test(`document: finds the objects of a ${kind} document without its cross-reference`, () => {
    const text = fromLatin1(bytes).replaceAll(/startxref\n\d+/g, "startxref\n0");
    const document = open(latin1(text));
    assert.equal(document.recovered, true);
    assert.equal(formFields(document).length, 3);
    assert.equal(findPage(document, 2).ref?.num, 5);
  });
}

Deno.test("document: an older revision is the file up to its end", () => {
  const first = classicPdf(objects);
  const second = classicUpdate(first, { 1: objects[1].replace("en-IN", "bn-IN") });
  const lang = (source: Source) => {
    const document = PdfDocument.open(source);
    return textOf(document.get(document.catalog().value, "Lang") as PdfString);
  };
  assert.equal(lang(bytesSource(second)), "bn-IN");
  assert.equal(lang(prefixSource(bytesSource(second), first.length)), "en-IN");
  const appended = second.subarray(first.length);
  assert.equal(lang(appendedSource(bytesSource(first), appended)), "bn-IN");
});

Deno.test("document: reads from a source that reuses its memory", () => {
  const bytes = streamPdf(objects);
  const buffer = new Uint8Array(bytes.length);
  const document = PdfDocument.open({
    size: bytes.length,
    read(offset, length) {
      const part = bytes.subarray(offset, offset + length);
      buffer.fill(0xee).set(part);
      return buffer.subarray(0, part.length);
    },
  });
  assert.equal(formFields(document).length, 3);
  assert.equal(findPage(document, 3).ref?.num, 7);
});

Deno.test("document: a wrong offset anywhere leads to a scan", () => {
  const text = fromLatin1(classicPdf(objects));
  const wrong = text.replace(
    /^(\d{10}) 00000 n /gm,
    (line, offset) => text.startsWith("5 0 obj", Number(offset)) ? "0000000020 00000 n " : line,
  );
  const document = open(latin1(wrong));
  assert.equal(document.recovered, false);
  assert.equal(findPage(document, 2).ref?.num, 5);
  assert.equal(document.recovered, true);
});

Deno.test("document: a scan does not revive objects that the cross-reference omits", () => {
  const replaced = objects[1].replace("en-IN", "xx-XX");
  const text = fromLatin1(classicPdf(objects));
  // A second catalog that no cross-reference knows, and one entry that points nowhere.
  const at = text.indexOf("xref\n");
  const hidden = `1 0 obj\n${replaced}\nendobj\n`;
  const moved = text.slice(0, at) + hidden + text.slice(at)
    .replace(/startxref\n(\d+)/, (_, start) => `startxref\n${Number(start) + hidden.length}`)
    .replace(/(8 1\n)\d{10}/, "$10000000031");
  const document = open(latin1(moved));
  document.verify();
  assert.equal(document.recovered, true);
  assert.equal(textOf(document.get(document.catalog().value, "Lang") as PdfString), "en-IN");
  const entry = document.xref.entries.get(8);
  assert.ok(entry && "offset" in entry && moved.startsWith("8 0 obj", entry.offset));
});

Deno.test("document: a missing object is null, and so is one of another generation", () => {
  const document = open(classicPdf(objects));
  assert.equal(document.resolve(new PdfRef(999, 0)), null);
  assert.equal(document.resolve(new PdfRef(1, 1)), null);
  assert.ok(document.resolve(new PdfRef(1, 0)) instanceof PdfDict);
});

Deno.test("document: a file that is not a PDF is refused", () => {
  fails("");
  fails("%PDF-1.7\n");
  fails("x".repeat(1025) + fromLatin1(classicPdf(objects)));
  fails("%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n");
  fails(damagedPdf({ 1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "[]" }));
});

Deno.test("document: offsets count from the header, even if other bytes precede it", () => {
  const junk = "HTTP/1.1 200 OK\r\n\r\n";
  for (const [kind, bytes] of structures) {
    const document = open(latin1(junk + fromLatin1(bytes)));
    assert.equal(document.recovered, false, kind);
    assert.equal(document.headerAt, junk.length);
    assert.ok(findPage(document, 1).ref, kind);
  }
});

Deno.test("document: a file with unreadable encryption is not treated as unencrypted", () => {
  const more = { ...objects, 50: "1022" };
  const text = fromLatin1(classicPdf(more, "/Encrypt 50 0 R"));
  fails(text);
  // The same when that comes to light during a scan.
  fails(text.replace(/(50 1\n)\d{10}/, "$10000000020"));
});

Deno.test("document: circular references end", () => {
  const loop = fromLatin1(classicPdf(objects));
  const start = /startxref\n(\d+)/.exec(loop)![1];
  // A cross-reference that is its own predecessor is not believed.
  assert.equal(open(latin1(loop.replace("/Root", `/Prev ${start} /Root`))).recovered, true);
  const circle = { ...objects, 2: "<< /Type /Pages /Count 1 /Kids [2 0 R] >>" };
  assert.throws(() => findPage(open(classicPdf(circle)), 1), FormatError);
  const references = { ...objects, 50: "51 0 R", 51: "50 0 R" };
  assert.equal(open(classicPdf(references)).resolve(new PdfRef(50, 0)), null);
  const fields = documentObjects({ catalogEntries: "/AcroForm << /Fields [60 0 R] >>" });
  fields[60] = "<< /T (a) /Kids [60 0 R] >>";
  assert.equal(formFields(open(classicPdf(fields))).length, 0);
});

Deno.test("document: an object stream that contains its own length is read to its end", () => {
  const text = fromLatin1(streamPdf(objects));
  // Two spaces less and two characters more: all offsets stay.
  const own = text.replace(
    /\/Filter \/FlateDecode \/Length \d{3}(?= >>\nstream\n(?!.*\/Predictor))/,
    "/Filter/FlateDecode/Length 1 0 R",
  );
  assert.equal(own.length, text.length);
  assert.notEqual(own, text);
  assert.equal(formFields(open(latin1(own))).length, 3);
});

Deno.test("document: a Length that is no whole number does not move what a scan finds behind it", () => {
  const more = {
    ...objects,
    40: "<< /Length 0.5 >>\nstream\n\nendstream",
    41: "null",
    42: "true",
  };
  const text = fromLatin1(classicPdf(more)).replace(/startxref\n\d+/, "startxref\n0");
  const document = open(latin1(text));
  for (const num of [41, 42]) {
    const entry = { offset: text.indexOf(`\n${num} 0 obj`) + 1, gen: 0 };
    assert.deepEqual(document.xref.entries.get(num), entry);
  }
});

Deno.test("document: an object stream that is misplaced leads to a scan", () => {
  const text = fromLatin1(streamPdf(objects));
  const moved = text.replace("%\xe2\xe3\xcf\xd3\n", "%\xe2\xe3\n").replace(
    /startxref\n\d+/,
    (s) => `startxref\n${Number(s.slice(10)) - 2}`,
  );
  const document = open(latin1(moved));
  assert.equal(formFields(document).length, 3);
  assert.equal(document.recovered, true);
});

Deno.test("document: a cross-reference stream of millions of entries in a small file is refused", () => {
  const data = fromLatin1(deflateSync(new Uint8Array(8_000_000)));
  const text = `%PDF-1.7\n1 0 obj\n<< /Type /XRef /Size 8000000 /W [1 0 0] /Root 2 0 R ` +
    `/Filter /FlateDecode /Length ${data.length} >>\nstream\n${data}\nendstream\nendobj\n` +
    "startxref\n9\n%%EOF\n";
  fails(text, "limit_exceeded");
});

Deno.test("document: an object stream of millions of objects in a small file is refused", () => {
  const many = fromLatin1(deflateSync(latin1("1 0 ".repeat(4_000_000))));
  const text = fromLatin1(streamPdf(objects));
  const start = text.search(/\d+ 0 obj\n<< \/Type \/ObjStm/);
  const num = parseInt(text.slice(start));
  const stream = `${num} 0 obj\n<< /Type /ObjStm /N 4000000 /First 16000000 /Filter /FlateDecode ` +
    `/Length ${many.length} >>\nstream\n${many}\nendstream\nendobj\n`;
  const rest = text.slice(text.indexOf("endobj\n", start) + 7);
  const moved = text.slice(0, start) + stream + rest;
  fails(moved.replace(/startxref\n\d+/, `startxref\n${start + stream.length}`), "limit_exceeded");
});

Deno.test("document: a stream that expands without end is refused", () => {
  const bomb = fromLatin1(
    streamPdf({ ...objects, 1: objects[1] + " ".repeat(70 << 20) }),
  );
  fails(bomb, "limit_exceeded");
});
