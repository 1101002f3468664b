import assert from "node:assert/strict";
import {
  classicPdf,
  classicUpdate,
  documentObjects,
  hybridPdf,
  linearizedPdf,
  streamPdf,
} from "../../tests/fixtures/pdf.ts";
import { encryptedObjects, encryption } from "../../tests/fixtures/pdf_encrypted.ts";
import { bytesSource } from "../source.ts";
import { PdfDocument } from "./document.ts";
import { ambiguities } from "./readings.ts";
import { fromLatin1, latin1 } from "./value.ts";

function told(bytes: Uint8Array): string[] {
  const document = PdfDocument.open(bytesSource(bytes));
  return ambiguities(document, document.scan()).map(({ object, page }) => `${object} on ${page}`);
}

const stream = (text: string) => `<< /Length ${text.length} >>\nstream\n${text}\nendstream`;
const objects = documentObjects({ pages: 2, signatureFields: ["A"] });
const base = classicPdf(objects);
/** The content of page 1. */
const CONTENT = 4;
const other = stream("BT /F1 12 Tf (Pay 9,000,000) Tj ET");
const start = (bytes: Uint8Array) => /startxref\s+(\d+)\s+%%EOF\s*$/.exec(fromLatin1(bytes))![1];

/** Appends another content of page 1, and a section that `write` makes of its offset. */
function forged(
  write: (at: string, prev: string) => string,
  object = `${CONTENT} 0 obj\n${other}\nendobj\n`,
): Uint8Array {
  const text = fromLatin1(base);
  const section = write(String(text.length).padStart(10, "0"), start(base));
  return latin1(`${text}${object}${section}startxref\n${text.length + object.length}\n%%EOF\n`);
}

const trailer = (prev: string, size = 8) =>
  `trailer\n<< /Size ${size} /Root 1 0 R /Prev ${prev} >>\n`;
const offsetOf = (bytes: Uint8Array, num: number) =>
  String(fromLatin1(bytes).indexOf(`\n${num} 0 obj`) + 1).padStart(10, "0");

Deno.test("readings: documents that follow the standard have one reading", () => {
  for (
    const bytes of [
      base,
      classicUpdate(base, { [CONTENT]: other }),
      streamPdf(objects),
      classicUpdate(classicUpdate(base, { 7: objects[7] }), { 7: objects[7] }),
    ]
  ) assert.deepEqual(told(bytes), []);
});

const forgeries: [what: string, bytes: Uint8Array][] = [
  [
    "two subsections for one number",
    forged((at, prev) =>
      `xref\n4 1\n${at} 00000 n \n4 1\n${offsetOf(base, 4)} 00000 n \n${trailer(prev)}`
    ),
  ],
  [
    "an object that no entry names",
    forged((_, prev) => `xref\n0 1\n0000000000 65535 f \n${trailer(prev)}`),
  ],
  [
    "an object behind a comment that no entry names",
    forged(
      (_, prev) => `xref\n0 1\n0000000000 65535 f \n${trailer(prev)}`,
      `4 % the content\n0 obj\n${other}\nendobj\n`,
    ),
  ],
  [
    "entries of fewer digits",
    forged((_, prev) => `xref\n4 1\n${Number(offsetOf(base, 4))} 0 n \n${trailer(prev)}`),
  ],
  [
    "a Size that is too small",
    forged((at, prev) => `xref\n4 1\n${at} 00000 n \n${trailer(prev, 4)}`),
  ],
  [
    "the older of two definitions",
    forged((_, prev) => `xref\n4 1\n${offsetOf(base, 4)} 00000 n \n${trailer(prev)}`),
  ],
  [
    "a Prev that is not written in digits",
    forged((at, prev) => `xref\n4 1\n${at} 00000 n \n${trailer(`${prev}.0`)}`),
  ],
  ["a hidden object of a page", hybridPdf(objects, [3])],
  [
    "a page that names its content twice",
    classicPdf({
      ...objects,
      3: objects[3].replace("/Contents 4 0 R", "/Contents 6 0 R /Contents 4 0 R"),
    }),
  ],
  [
    "a reference to another generation",
    classicPdf({ ...objects, 3: objects[3].replace("/Contents 4 0 R", "/Contents 4 1 R") }),
  ],
  [
    "another catalog in a trailer behind the end",
    latin1(
      `${fromLatin1(base)}99 0 obj\n<< /Type /Catalog /Pages 98 0 R >>\nendobj\n` +
        "98 0 obj\n<< /Type /Pages /Kids [97 0 R] /Count 1 >>\nendobj\n" +
        "97 0 obj\n<< /Type /Page /Parent 98 0 R >>\nendobj\n" +
        `trailer\n<< /Root 99 0 R >>\nstartxref\n${start(base)}\n%%EOF\n`,
    ),
  ],
];

for (const [what, bytes] of forgeries) {
  Deno.test(`readings: ambiguous is ${what}`, () => {
    assert.ok(told(bytes).some((each) => / on [12]$|^1 /.test(each)), JSON.stringify(told(bytes)));
  });
}

Deno.test("readings: ambiguous is a Length that is wrong by more than white space", () => {
  const text = "BT /F1 12 Tf (Page 1) Tj ET";
  const withLength = (length: string, data = text) =>
    told(classicPdf({ ...objects, 4: `<< ${length} >>\nstream\n${data}\nendstream`, 60: "7" }));
  const { length } = text;
  for (
    const right of [`/Length ${length}`, `/Length ${length + 1}`, "/Length null", "/Length 99 0 R"]
  ) assert.deepEqual(withLength(right), [], right);
  assert.deepEqual(withLength(`/Length ${length}`, `${text} \r\n`), []);
  for (const wrong of ["/Length 0", "/Length 60 0 R", `/Length ${length + 100}`, "/Length 99999"]) {
    assert.deepEqual(withLength(wrong), ["4 on 1"], wrong);
  }
});

Deno.test("readings: ambiguous is a Size that excludes an encrypted document's objects", () => {
  const rc4 = encryption("RC4", 60);
  const bytes = classicPdf(encryptedObjects(objects, rc4), rc4.trailer);
  assert.deepEqual(told(bytes), []);
  const small = latin1(fromLatin1(bytes).replace("/Size 61", "/Size 0 "));
  assert.deepEqual(told(small), ["1 on undefined"]);
});

Deno.test("readings: ambiguous is a Size beyond all object numbers, with which some readers open nothing", () => {
  const large = fromLatin1(classicPdf(objects)).replace(/\/Size \d+/, "/Size 98388608");
  assert.deepEqual(told(latin1(large)), ["1 on undefined"]);
});

Deno.test("readings: what looks like an object in a stream's data counts where a reader may scan the file", () => {
  const bytes = classicPdf({ ...objects, 60: stream(`${CONTENT} 0 obj\n${other}\nendobj`) });
  assert.deepEqual(told(bytes), []);
  const text = fromLatin1(bytes);
  const broken = text.replace(/startxref\n(\d+)/, (_, at) => `startxref\n${Number(at) + 1}`);
  assert.deepEqual(told(latin1(broken)), ["4 on 1"]);
  const misplaced = text.replace(offsetOf(bytes, 5), offsetOf(bytes, 6));
  assert.deepEqual(told(latin1(misplaced)), ["4 on 1"]);

  const trap = { ...objects, 60: stream(`${CONTENT} 0 obj\n${other}\nendobj`) };
  const packed = fromLatin1(streamPdf(trap));
  assert.deepEqual(told(latin1(packed)), []);
  const end = packed.lastIndexOf("endstream"); // of the cross-reference
  const unended = packed.slice(0, end) + " ".repeat(9) + packed.slice(end + 9);
  assert.deepEqual(told(latin1(unended)), ["4 on 1"]);
});

Deno.test("readings: ambiguous is a page in an object stream that names its content twice", () => {
  const twice = { ...objects, 3: objects[3].replace("/Contents", "/Contents 6 0 R /Contents") };
  const same = { ...objects, 3: objects[3].replace("/Contents", "/Contents 4 0 R /Contents") };
  const old = { ...objects, 3: objects[3].replace("4 0 R", "4 1 R") };
  for (const deflate of [true, false]) {
    for (const listed of [true, false]) {
      assert.deepEqual(told(streamPdf(twice, { deflate, listed })), ["3 on 1"]);
      assert.deepEqual(told(streamPdf(same, { deflate, listed })), []);
      assert.deepEqual(told(streamPdf(old, { deflate, listed })), ["4 on 1"]);
    }
  }
});

Deno.test("readings: an object stream that lists an object twice is ambiguous", () => {
  const page = objects[3];
  const head = `3 0 3 ${page.length + 1} `;
  const data = `${page} ${page.replace("4 0 R", "6 0 R")} `;
  const packed = `<< /Type /ObjStm /N 2 /First ${head.length} ` +
    `/Length ${head.length + data.length} >>\nstream\n${head}${data}\nendstream`;
  const text = fromLatin1(base);
  const container = text.length;
  const body = `20 0 obj\n${packed}\nendobj\n`;
  const xref = container + body.length;
  for (const index of [0, 1]) {
    const rows = [[2, 20, index], [1, container, 0], [1, xref, 0]].map(([type, second, third]) =>
      String.fromCharCode(type, 0, 0, second >> 8, second & 255, 0, third)
    ).join("");
    const section = `21 0 obj\n<< /Type /XRef /Size 22 /W [1 4 2] /Index [3 1 20 2] /Root 1 0 R ` +
      `/Prev ${start(base)} /Length ${rows.length} >>\nstream\n${rows}\nendstream\nendobj\n`;
    const bytes = latin1(`${text}${body}${section}startxref\n${xref}\n%%EOF\n`);
    assert.deepEqual(told(bytes), ["3 on 1"]);
  }
});

Deno.test("readings: an object directly after %%EOF, as some programs write it, is found", () => {
  const whole = latin1(fromLatin1(base).trimEnd());
  const bytes = classicUpdate(whole, { [CONTENT]: other });
  assert.ok(fromLatin1(bytes).includes(`%%EOF${CONTENT} 0 obj`));
  assert.deepEqual(told(bytes), []);
});

Deno.test("readings: a linearized file's first-page section counts as long as the stated length is right", () => {
  const first = [3, CONTENT];
  assert.deepEqual(told(linearizedPdf(objects, first)), []);
  const shadow = { [CONTENT]: other };
  assert.deepEqual(told(linearizedPdf(objects, [3], { shadow, end: "main" })), ["4 on 1"]);
  assert.deepEqual(told(linearizedPdf(objects, [3], { shadow, end: "main", length: 99 })), []);
});

Deno.test("readings: a linearized file names its first page as the page tree does", () => {
  const page = { ...objects, 90: objects[3].replace(`${CONTENT} 0 R`, "91 0 R"), 91: other };
  assert.deepEqual(told(linearizedPdf(page, [3, CONTENT], { page: 3 })), []);
  assert.deepEqual(told(linearizedPdf(page, [3, CONTENT], { page: 90 })), ["90 on 1"]);
  assert.deepEqual(told(linearizedPdf(page, [3, CONTENT], { page: 90, length: 99 })), []);
});
