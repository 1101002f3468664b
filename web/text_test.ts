import assert from "node:assert/strict";
import { commonNameOf, kindOf, originParts, pieces, readableJson, sizeOf } from "./text.ts";

Deno.test("characters that hide or reorder are shown as code points", () => {
  assert.deepEqual(pieces("bill\u202Efdp.exe"), ["bill", { unseen: "U+202E" }, "fdp.exe"]);
  assert.deepEqual(pieces("a\u0000\u200Bb\r\n\tc\u{E0041}"), [
    "a",
    { unseen: "U+0000" },
    { unseen: "U+200B" },
    "b",
    { unseen: "U+000D" },
    "\n\tc",
    { unseen: "U+E0041" },
  ]);
  for (
    const code of [
      0xad,
      0x61c,
      0x2066,
      0x2800,
      0x3164,
      0xfe0f,
      0x1bca0,
      0x1d173,
      0xe0100,
      0xfffc,
      0x1d159,
      0x13441,
    ]
  ) {
    const unseen = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
    assert.deepEqual(pieces(String.fromCodePoint(code)), [{ unseen }]);
  }
});

Deno.test("joiners that join nothing are shown", () => {
  assert.deepEqual(pieces("order\u200c.pdf"), ["order", { unseen: "U+200C" }, ".pdf"]);
  assert.deepEqual(pieces("ক্\u200d\u200d\u200dষ"), [
    "ক্\u200d",
    { unseen: "U+200D × 2" },
    "ষ",
  ]);
  assert.deepEqual(pieces("نامه\u200cها 👩🏽\u200d🔬"), ["نامه\u200cها 👩🏽\u200d🔬"]);
});

Deno.test("text repeated to hide something else is counted", () => {
  assert.deepEqual(pieces(`1\u200b${"\u200b".repeat(99_999)}2`), [
    "1",
    { unseen: "U+200B × 100000" },
    "2",
  ]);
  assert.deepEqual(pieces(`a${" \n".repeat(400)}amount`), ["a", { unseen: "↵ × 400" }, "amount"]);
  assert.deepEqual(pieces(`a${"\u00a0".repeat(400)}b`), ["a", { unseen: "␣ × 400" }, "b"]);
  assert.deepEqual(pieces(`Z${"\u0301".repeat(50)}`), [
    `Z${"\u0301".repeat(4)}`,
    { unseen: "U+0301 × 46" },
  ]);
  // In linear time, whatever comes.
  pieces(`${" ".repeat(79)}x`.repeat(3000) + "\u0301\u0302".repeat(50_000));
});

Deno.test("ordinary text in our languages is left alone", () => {
  for (
    const text of ["Bill No. 7 — ₹ 1,200", "ক্‍ষ র‍্যাব", "क्‌ष श्री", "line\nnext\tcell", "a\n\n\nb", "😀"]
  ) {
    assert.deepEqual(pieces(text), [text]);
  }
  assert.deepEqual(pieces(""), []);
});

Deno.test("sizes are for people", () => {
  const sizes = [0, 999, 1000, 1250, 12_345, 3_400_000, 2e12].map((size) => sizeOf(size, String));
  assert.deepEqual(sizes, ["0 B", "999 B", "1 KB", "1.3 KB", "12 KB", "3.4 MB", "2000 GB"]);
});

Deno.test("media types have words", () => {
  const kinds = ["application/json; charset=utf-8", "image/svg+xml", "text/csv", "application/pdf"];
  assert.deepEqual(kinds.map(kindOf), ["json", "xml", "text", "pdf"]);
  assert.deepEqual(["application/octet-stream", "image/png"].map(kindOf), ["file", null]);
});

Deno.test("common names are found in RFC 4514 names", () => {
  assert.equal(commonNameOf("CN=Example sub-CA,O=Example,C=IN"), "Example sub-CA");
  assert.equal(commonNameOf("C=IN,CN=Das\\, Anita"), "Das, Anita");
  assert.equal(commonNameOf("O=XCN=no,C=IN"), "O=XCN=no,C=IN");
});

Deno.test("an origin is split before its host", () => {
  assert.deepEqual(originParts("https://a.example:8443"), {
    scheme: "https://",
    host: "a.example:8443",
  });
});

Deno.test("only canonical JSON is laid out, so that nothing can hide in the layout", () => {
  assert.deepEqual(readableJson('{"amount":"1.00","bill":7}'), { amount: "1.00", bill: 7 });
  const order = (written: string) => Object.keys(readableJson('{"a":1,"b":{"c":2}}', written)!);
  assert.deepEqual(order('{"b":{"c":2},"a":1}'), ["b", "a"], "the page's order");
  assert.deepEqual(order('{"b":{"c":3},"a":1}'), ["a", "b"], "not with another value");
  assert.deepEqual(order('{"b":{"c":2},"a":1,"a":1}'), ["b", "a"], "a name twice changes nothing");
  for (
    const text of [
      '{"bill":7,"bill":8}',
      '{"amount":1.00}',
      '{"b":1,"a":2}',
      '{ "a":1}',
      "[1]",
      '"text"',
      '{"a":{"b":{"c":{"d":{}}}}}',
      "[".repeat(50_000) + "]".repeat(50_000),
      "not JSON",
    ]
  ) assert.equal(readableJson(text), null, text.slice(0, 40));
});
