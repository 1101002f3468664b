import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  classicPdf,
  classicUpdate,
  damagedPdf,
  documentObjects,
  type FormOptions,
  hybridPdf,
  streamPdf,
} from "../../tests/fixtures/pdf.ts";
import { pdfsig, qpdfCheck, run } from "../../tests/fixtures/pdf_tools.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { completeWith, signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { readSignedData } from "../cms/read.ts";
import { FormatError, type FormatErrorCode } from "../error.ts";
import {
  type Appearance,
  prepareSignature,
  prepareTimestamp,
  type Rectangle,
  type SignatureOptions,
  signedBytes,
} from "./prepare.ts";
import { inspectSignatures } from "./inspect.ts";
import { PdfDocument } from "../pdf/document.ts";
import { findPage, formFields } from "../pdf/form.ts";
import { appendedSource, bytesSource } from "../source.ts";
import { fromLatin1, latin1, name, PdfDict, PdfRef, PdfStream } from "../pdf/value.ts";

const { officers } = makePki({
  officers: [{ name: "Asha Roy" }, { name: "Bikram Das" }, { name: "Chitra Sen" }],
});
const [asha, bikram] = officers;

const make = (options: FormOptions = {}) => classicPdf(documentObjects(options));
const prepare = (bytes: Uint8Array, options?: SignatureOptions) =>
  prepareSignature(bytesSource(bytes), options);
const inspect = (bytes: Uint8Array) => inspectSignatures(bytesSource(bytes)).signatures;

function refused(run: () => unknown, code: FormatErrorCode, message?: RegExp) {
  assert.throws(run, (error) => {
    assert.ok(error instanceof FormatError, String(error));
    assert.equal(error.code, code, error.message);
    if (message) assert.match(error.message, message);
    return true;
  });
}

const dictOf = (value: unknown) => {
  assert.ok(value instanceof PdfDict);
  return value;
};

async function withFile<T>(bytes: Uint8Array, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "document.pdf");
    await Deno.writeFile(file, bytes as Uint8Array<ArrayBuffer>);
    return await use(file);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Verdicts of independent programs after three officers signed. */
async function threeSignatories(bytes: Uint8Array, repaired = false, password?: string) {
  const before = await withFile(bytes, (file) => qpdfCheck(file, password));
  let signed = bytes;
  for (const [index, officer] of officers.entries()) {
    const next = signPdf(signed, officer, { reason: `Step ${index + 1}`, password });
    assert.deepEqual(next.subarray(0, signed.length), signed);
    signed = next;
    await withFile(signed, async (file) => {
      const results = await pdfsig(file, password);
      assert.deepEqual(
        results.map(({ valid, total }) => [valid, total]),
        results.map((_, i) => [true, i === index]),
      );
      assert.equal(results.length, index + 1);
      const after = await qpdfCheck(file, password);
      // qpdf does not mend every document that we can.
      if (before.pages !== "none") assert.equal(after.pages, before.pages);
      assert.ok(repaired || after.check === 0, `qpdf says ${after.check}`);
    });
  }
  const { signatures } = inspectSignatures(bytesSource(signed), password);
  assert.deepEqual(signatures.map(({ coverage }) => coverage), [
    "revision",
    "revision",
    "document",
  ]);
}

const base = documentObjects({ pages: 2, textFields: ["Remark"] });
for (
  const [kind, bytes] of [
    ["a table", classicPdf(base)],
    ["a stream", streamPdf(base)],
    ["a hybrid", hybridPdf(base, [7])],
    ["an updated table", classicUpdate(classicPdf(base), { 4: base[4] })],
    ["no form", make({ pages: 2 })],
    ["an indirect form", make({ catalogEntries: "/AcroForm 90 0 R" })],
    ["shared lists", indirectLists()],
    ["no end of line at its end", classicPdf(base).slice(0, -1)],
  ] as const
) {
  Deno.test(`PAdES: three signatories on a document with ${kind}`, () => threeSignatories(bytes));
}

Deno.test("PAdES: three signatories on a document with a broken cross-reference", () =>
  threeSignatories(damagedPdf(base), true));

Deno.test("PAdES: three signatories on a packed document with a broken cross-reference", () => {
  const text = fromLatin1(streamPdf(base));
  return threeSignatories(latin1(text.replace(/startxref\n\d+/, "startxref\n9")), true);
});

Deno.test("PAdES: repairing a hybrid document keeps the contents of its object streams", async () => {
  const objects = documentObjects({ pages: 2, textFields: ["Remark"] });
  const text = fromLatin1(hybridPdf(objects, [5, 7]));
  const bytes = latin1(text.replace(/^(6 1\n)\d{10}/m, "$10000000020"));
  await threeSignatories(bytes, true);
  const signed = signPdf(bytes, asha);
  const document = PdfDocument.open(bytesSource(signed));
  assert.equal(document.recovered, false);
  assert.equal(findPage(document, 2).ref?.num, 5);
  assert.equal(formFields(document)[0].name, "Remark");
});

/** A form and a list of annotations that are objects of their own. */
function indirectLists(): Uint8Array {
  const objects = documentObjects({
    catalogEntries: "/AcroForm 90 0 R",
    pageEntries: "/Annots 91 0 R",
  });
  objects[90] = "<< /Fields 92 0 R /SigFlags 0 >>";
  objects[91] = "[]";
  objects[92] = "[ ]";
  return classicPdf(objects);
}

for (const method of [["128", "--use-aes=n"], ["128", "--use-aes=y"], ["256"]]) {
  for (const linearize of [[], ["--linearize", "--object-streams=generate"]]) {
    const kind = [...method, ...linearize].join(" ");
    Deno.test(`PAdES: three signatories on a file that qpdf made with ${kind}`, async () => {
      const bytes = await withFile(make({ pages: 3 }), async (file) => {
        const made = `${file}.made`;
        const { code, text } = await run(
          "qpdf",
          "--allow-weak-crypto",
          ...linearize,
          "--encrypt",
          "user",
          "owner",
          ...method,
          "--",
          file,
          made,
        );
        assert.equal(code, 0, text);
        return await Deno.readFile(made);
      });
      refused(() => prepare(bytes), "pdf_encrypted");
      await threeSignatories(bytes, false, "user");
    });
  }
}

Deno.test("PAdES: the CMS covers everything except its own place", () => {
  const bytes = make();
  const source = bytesSource(bytes);
  const prepared = prepare(bytes);
  const digest = createHash("sha256");
  for (const piece of signedBytes(source, prepared)) digest.update(piece);
  const appended = completeWith(source, prepared, asha);
  const [signature] = inspectSignatures(appendedSource(source, appended)).signatures;
  assert.equal(signature.coverage, "document");
  assert.deepEqual(signature.byteRange, [...prepared.byteRange]);
  const whole = appendedSource(source, appended);
  const again = createHash("sha256");
  for (const [offset, length] of signature.ranges) again.update(whole.read(offset, length));
  assert.equal(again.digest("hex"), digest.digest("hex"));
  assert.ok(readSignedData(signature.cms));
});

Deno.test("PAdES: the signature contains the details the signer gave", () => {
  const signed = signPdf(make(), asha, {
    subFilter: "adbe.pkcs7.detached",
    time: new Date("2026-02-03T04:05:06.789Z"),
    signerName: "Asha Roy",
    reason: "স্বাক্ষর",
    location: "Kolkata",
    contactInfo: "asha@example.in",
  });
  const [signature] = inspect(signed);
  assert.equal(signature.subFilter, "adbe.pkcs7.detached");
  assert.equal(signature.time, "D:20260203040506Z");
  assert.equal(signature.signerName, "Asha Roy");
  assert.equal(signature.reason, "স্বাক্ষর");
  assert.equal(signature.location, "Kolkata");
  assert.equal(signature.contactInfo, "asha@example.in");
  assert.equal(inspect(signPdf(make(), asha))[0].subFilter, "ETSI.CAdES.detached");
});

Deno.test("PAdES: an existing empty field can be signed by name", () => {
  const bytes = make({ signatureFields: ["First", "Second"], textFields: ["Text"] });
  const once = signPdf(bytes, asha, { field: "Second" });
  const { signatures, emptyFields } = inspectSignatures(bytesSource(once));
  assert.deepEqual(signatures.map(({ field }) => field), ["Second"]);
  assert.deepEqual(emptyFields, ["First"]);
  refused(() => prepare(once, { field: "Second" }), "invalid_argument", /already signed/);
  refused(() => prepare(once, { field: "Text" }), "invalid_argument", /not a signature field/);
  refused(() => prepare(once, { field: "No.Such" }), "not_found");
  const twice = signPdf(once, bikram, { field: "New" });
  assert.deepEqual(inspect(twice).map(({ field }) => field), ["Second", "New"]);
});

Deno.test("PAdES: a new field never gets a name already in use", () => {
  const bytes = make({ signatureFields: ["Signature1"], textFields: ["Signature2"] });
  assert.equal(prepare(bytes).field, "Signature3");
});

const draw: Appearance["draw"] = (update, { width, height, matrix }) =>
  update.addStream({
    Type: name("XObject"),
    Subtype: name("Form"),
    BBox: [0, 0, width, height],
    Matrix: [...matrix],
  }, latin1("0 0 10 10 re f"));

const rectangle = (x1: number, y1: number, x2: number, y2: number, page = 1) => ({
  place: { page, rectangle: [x1, y1, x2, y2] as Rectangle },
  draw,
});

/** The widget that a signed document has on a page, the last one. */
function widget(bytes: Uint8Array, page = 1): { rect: unknown[]; matrix: unknown[] } {
  const document = PdfDocument.open(bytesSource(bytes));
  const annotation = document.array(findPage(document, page).dict, "Annots")!.items.at(-1);
  const dict = dictOf(document.resolve(annotation));
  const form = document.resolve(document.dict(dict, "AP")!.get("N"));
  assert.ok(form instanceof PdfStream);
  return {
    rect: document.array(dict, "Rect")!.items,
    matrix: document.array(form.dict, "Matrix")!.items,
  };
}

Deno.test("PAdES: a visible signature appears at its place on its page", () => {
  const bytes = make({ pages: 3 });
  const signed = signPdf(bytes, asha, { appearance: rectangle(200, 80, 50, 20, 2) });
  assert.deepEqual(widget(signed, 2).rect, [50, 20, 200, 80]);
  refused(() => prepare(bytes, { appearance: { draw } }), "invalid_argument");
  refused(() => prepare(bytes, { appearance: rectangle(0, 0, 9, 9, 4) }), "not_found");
  refused(() => prepare(bytes, { appearance: rectangle(500, 0, 600, 9) }), "invalid_argument");
  refused(() => prepare(bytes, { appearance: rectangle(5, 5, 5, 9) }), "invalid_argument");
});

Deno.test("PAdES: places refer to the page as displayed", () => {
  const cases: [entries: string, rect: number[], matrix: number[]][] = [
    ["/CropBox [100 200 400 600]", [110, 220, 150, 240], [1, 0, 0, 1, 0, 0]],
    ["/CropBox [100 200 400 600] /Rotate 90", [360, 210, 380, 250], [0, 1, -1, 0, 20, 0]],
    ["/CropBox [100 200 400 600] /Rotate 180", [350, 560, 390, 580], [-1, 0, 0, -1, 40, 20]],
    ["/CropBox [100 200 400 600] /Rotate -90", [120, 550, 140, 590], [0, -1, 1, 0, 0, 40]],
  ];
  for (const [pageEntries, rect, matrix] of cases) {
    const signed = signPdf(make({ pageEntries }), asha, { appearance: rectangle(10, 20, 50, 40) });
    assert.deepEqual(widget(signed), { rect, matrix });
  }
});

Deno.test("PAdES: automatically placed signatures do not cover one another", () => {
  const appearance: Appearance = { place: { page: 1, size: [200, 60] }, draw };
  let signed = make({ pageEntries: "/Rotate 90" });
  const rects: number[][] = [];
  for (let i = 0; i < 6; i++) {
    signed = signPdf(signed, officers[i % 3], { appearance });
    rects.push(widget(signed).rect as number[]);
  }
  for (const [i, a] of rects.entries()) {
    for (const b of rects.slice(i + 1)) {
      const apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
      assert.ok(apart, `${a} and ${b}`);
    }
  }
  const huge: Appearance = { place: { page: 1, size: [2000, 60] }, draw };
  refused(() => prepare(signed, { appearance: huge }), "no_room");
  // All of a page is taken that is too large to be searched.
  const side = "9".repeat(15);
  const taken = `/Annots [<< /Subtype /Square /Rect [0 0 ${side} ${side}] >>]`;
  const endless = fromLatin1(make({ pageEntries: taken })).replaceAll("595 842", `${side} ${side}`);
  refused(() => prepare(latin1(endless), { appearance }), "no_room");
  for (const size of [[-6, 60], [9, 60], [NaN, 60]] as [number, number][]) {
    refused(
      () => prepare(signed, { appearance: { place: { page: 1, size }, draw } }),
      "invalid_argument",
    );
  }
});

Deno.test("PAdES: an appearance fits the existing field", () => {
  const boxes: number[][] = [];
  const appearance: Appearance = {
    draw: (update, box) => {
      boxes.push([box.width, box.height]);
      return draw(update, box);
    },
  };
  const bytes = make({ signatureFields: ["A"] });
  signPdf(bytes, asha, { field: "A", appearance });
  const turned = make({ signatureFields: ["A"], fieldEntries: "/MK << /R 90 >>" });
  assert.deepEqual(widget(signPdf(turned, asha, { field: "A", appearance })).matrix.slice(0, 4), [
    0,
    1,
    -1,
    0,
  ]);
  assert.deepEqual(boxes, [[150, 25], [25, 150]]);
});

Deno.test("PAdES: no appearance is drawn in a field that a screen may not show", () => {
  const rectangle = { draw };
  const hidden = ["/F 6", "/F 36", "/F 5", "/F 260", "/OC << /Type /OCG /Name (Print) >>"];
  for (const fieldEntries of hidden) {
    const objects = documentObjects({ signatureFields: ["A"], fieldEntries });
    for (const [number, body] of Object.entries(objects)) {
      if (body.includes("(A)") && fieldEntries.startsWith("/F")) {
        objects[Number(number)] = body.replace("/F 4 ", "");
      }
    }
    const bytes = classicPdf(objects);
    refused(
      () => prepare(bytes, { field: "A", appearance: rectangle }),
      "invalid_argument",
      /screen/,
    );
    assert.equal(prepare(bytes, { field: "A" }).field, "A", "without one it is signed");
  }
});

Deno.test("PAdES: certifications are respected", () => {
  const appearance = rectangle(0, 0, 9, 9);
  const bytes = make({ signatureFields: ["Waiting"] });
  for (const level of [1, 2, 3] as const) {
    const certified = signPdf(bytes, asha, { certify: level });
    assert.equal(inspect(certified)[0].docMdp, level);
    const document = PdfDocument.open(bytesSource(certified));
    assert.ok(document.dict(document.catalog().value, "Perms")?.get("DocMDP") instanceof PdfRef);
    refused(
      () => prepare(certified, { certify: 2 }),
      level === 1 ? "document_locked" : "invalid_argument",
    );
    if (level === 1) {
      refused(() => prepare(certified), "document_locked", /no changes/);
      refused(() => prepare(certified, { field: "Waiting" }), "document_locked");
    } else {
      refused(() => prepare(certified, { appearance }), "document_locked", /invisible/);
      assert.equal(inspect(signPdf(certified, bikram)).length, 2);
      assert.equal(inspect(signPdf(certified, bikram, { field: "Waiting" })).length, 2);
    }
    // Timestamps and validation data may always follow.
    assert.equal(prepareTimestamp(bytesSource(certified)).field, "Signature2");
  }
  refused(() => prepare(signPdf(bytes, asha), { certify: 2 }), "invalid_argument", /first/);
});

Deno.test("PAdES: field locks are written and respected", () => {
  const bytes = make({ signatureFields: ["First", "Second"], textFields: ["Amount"] });
  const some = signPdf(bytes, asha, {
    field: "First",
    lock: { action: "Include", fields: ["Amount", "Second"] },
  });
  assert.deepEqual(inspect(some)[0].fieldLocks, [
    { action: "Include", fields: ["Amount", "Second"] },
  ]);
  refused(() => prepare(some, { field: "Second" }), "document_locked", /First/);
  assert.equal(prepare(some, { field: "Third" }).field, "Third");
  const others = signPdf(bytes, asha, { lock: { action: "Exclude", fields: ["Second"] } });
  assert.equal(prepare(others, { field: "Second" }).field, "Second");
  refused(() => prepare(others, { field: "Third" }), "document_locked");
  const all = signPdf(bytes, asha, { lock: { action: "All" } });
  refused(() => prepare(all), "document_locked");
});

Deno.test("PAdES: signing a field applies the lock that its author set", () => {
  const bytes = make({
    signatureFields: ["First", "Second"],
    fieldEntries: "/Lock << /Type /SigFieldLock /Action /Include /Fields [(First) (Second)] >>",
  });
  const signed = signPdf(bytes, asha, { field: "First" });
  assert.match(fromLatin1(signed), /\/TransformMethod \/FieldMDP/);
  refused(() => prepare(signed, { field: "Second" }), "document_locked");
  const final = make({ signatureFields: ["Final"], fieldEntries: "/Lock << /Action /All /P 1 >>" });
  refused(() => prepare(signPdf(final, asha, { field: "Final" })), "document_locked");
});

Deno.test("PAdES: requirements of a field's author are met or refused", () => {
  const field = (seed: string) =>
    make({ signatureFields: ["F"], fieldEntries: `/SV << /Type /SV ${seed} >>` });
  const reasons = field("/Ff 8 /Reasons [(Approved) (Seen)]");
  assert.equal(prepare(reasons, { field: "F", reason: "Seen" }).field, "F");
  refused(() => prepare(reasons, { field: "F", reason: "Else" }), "document_locked", /reasons/);
  const older = field("/Ff 2 /SubFilter [/adbe.pkcs7.detached]");
  refused(() => prepare(older, { field: "F" }), "document_locked");
  assert.equal(prepare(older, { field: "F", subFilter: "adbe.pkcs7.detached" }).field, "F");
  refused(() => prepare(field("/Ff 32"), { field: "F" }), "document_locked");
  const digest = (name: string) => field(`/Ff 64 /DigestMethod [(${name})]`);
  refused(() => prepare(digest("SHA1"), { field: "F" }), "document_locked");
  assert.equal(prepare(digest("SHA256"), { field: "F" }).field, "F");
  const certifying = field("/MDP << /P 2 >>");
  refused(() => prepare(certifying, { field: "F" }), "document_locked", /level 2/);
  assert.equal(prepare(certifying, { field: "F", certify: 2 }).field, "F");
});

Deno.test("PAdES: the space for the signature is checked", () => {
  const prepared = prepare(make(), { contentsSize: 100 });
  assert.equal(prepared.complete(new Uint8Array(100)).length, prepared.appended.length);
  refused(() => prepared.complete(new Uint8Array(101)), "space_too_small");
  for (const contentsSize of [0, -1, 1.5, 2 << 20]) {
    refused(() => prepare(make(), { contentsSize }), "invalid_argument");
  }
});

Deno.test("PAdES: untouched parts stay byte for byte", () => {
  const objects = documentObjects({
    catalogEntries: "/Odd#20Key (\\101) % a comment >>\n/Names<<>>",
  });
  const signed = fromLatin1(signPdf(classicPdf(objects), asha));
  assert.equal(signed.split("/Odd#20Key (\\101) % a comment >>\n/Names<<>>").length, 3);
});

Deno.test("PAdES: a document without pages is refused", () => {
  const empty = {
    1: "<< /Type /Catalog /Pages 2 0 R >>",
    2: "<< /Type /Pages /Kids [] /Count 0 >>",
  };
  refused(() => prepare(classicPdf(empty)), "not_found");
});

Deno.test("PAdES: dangling references in the trailer are dropped", () => {
  const objects = documentObjects();
  // The next free number: it would become the signature's.
  const next = Math.max(...Object.keys(objects).map(Number)) + 1;
  const signed = signPdf(classicPdf(objects, `/Encrypt ${next} 0 R`), asha);
  assert.deepEqual(inspect(signed).map(({ coverage }) => coverage), ["document"]);
});

Deno.test("PAdES: an object numbered 0 does not exist", () => {
  const text = fromLatin1(classicPdf(documentObjects()));
  const zero = "0 0 obj\n<< /Type /Catalog /Pages 9 0 R >>\nendobj\n";
  const damaged = text.replace("xref\n", zero + "xref\n");
  assert.deepEqual(inspect(signPdf(latin1(damaged), asha)).map(({ coverage }) => coverage), [
    "document",
  ]);
});

Deno.test("PAdES: a signature whose ByteRange leaves out more than its place is partial", () => {
  const signed = signPdf(make(), asha);
  const [{ byteRange: [, before, after, length] }] = inspect(signed);
  const text = fromLatin1(signed);
  const shift = (from: number, to: number) => {
    const range = `[0 ${from} ${to} ${length - (to - after)}]`;
    const old = `[0 ${before} ${after} ${length}]`;
    const changed = text.replace(old, range.padEnd(old.length)).slice(0, text.length);
    return inspect(latin1(changed))[0].coverage;
  };
  assert.equal(shift(before, after), "document");
  assert.equal(shift(before - 1, after), "partial");
  assert.equal(shift(before, after + 1), "partial");
});

Deno.test("PAdES: with bytes after the last revision, a signature no longer covers the whole document", () => {
  const signed = signPdf(make(), asha);
  const more = latin1(fromLatin1(signed) + "% more\n");
  assert.equal(inspect(more)[0].coverage, "revision");
});

Deno.test("PAdES: a document preceded by other bytes is signed from its own first byte", async () => {
  for (const bytes of [classicPdf(base), streamPdf(base)]) {
    await threeSignatories(latin1("HTTP/1.1 200 OK\r\n\r\n" + fromLatin1(bytes)));
  }
});

Deno.test("PAdES: a document timestamp's new field has no appearance", () => {
  const { appended } = prepareTimestamp(bytesSource(classicPdf(base)));
  assert.ok(!fromLatin1(appended).includes("/AP"));
});

Deno.test("a mended document with an unreadable field can be read once it is signed", () => {
  const objects = documentObjects({ signatureFields: ["One"], textFields: ["Two"] });
  const broken = Object.keys(objects).map(Number).find((num) => objects[num].includes("(Two)"))!;
  objects[broken] = objects[broken].replace("(before)", "<no hex>");
  const text = fromLatin1(classicPdf(objects));
  // Another object's offset is wrong, so that the file is mended.
  const page = text.lastIndexOf(`${String(text.indexOf("3 0 obj")).padStart(10, "0")} 00000 n`);
  const damaged = latin1(text.slice(0, page) + "0000000017" + text.slice(page + 10));
  const signed = signPdf(damaged, asha);
  assert.deepEqual(inspect(signed).map(({ coverage }) => coverage), ["document"]);
  assert.equal(PdfDocument.open(bytesSource(signed)).recovered, false);
});
