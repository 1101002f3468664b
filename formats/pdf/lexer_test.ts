import assert from "node:assert/strict";
import { FormatError } from "../error.ts";
import { PdfLexer } from "./lexer.ts";
import { bytesSource } from "../source.ts";
import {
  fromLatin1,
  latin1,
  name,
  PdfArray,
  PdfDict,
  PdfName,
  PdfRef,
  PdfStream,
  PdfString,
  type PdfValue,
  serialize,
  textOf,
  textString,
} from "./value.ts";
import { PdfWindow } from "./window.ts";

const read = (text: string) => new PdfLexer(latin1(text)).value();

/** Values as plain data, for comparison. */
function plain(value: PdfValue): unknown {
  if (value instanceof PdfName) return `/${value.value}`;
  if (value instanceof PdfString) return fromLatin1(value.bytes);
  if (value instanceof PdfRef) return `${value.num} ${value.gen} R`;
  if (value instanceof PdfArray) return value.items.map(plain);
  if (value instanceof PdfStream) return { stream: plain(value.dict) };
  if (value instanceof PdfDict) {
    return Object.fromEntries([...value.entries].map(([key, item]) => [key, plain(item)]));
  }
  return value;
}

Deno.test("lexer: reads every kind of value", () => {
  const cases: [string, unknown][] = [
    ["true ", true],
    ["null", null],
    ["-12", -12],
    ["+.5", 0.5],
    ["4.", 4],
    ["--3", -3],
    ["12 0 R", "12 0 R"],
    ["[1 2 0 R 3 4]", [1, "2 0 R", 3, 4]],
    ["/A#20B", "/A B"],
    ["/", "/"],
    ["(a\\(b\\)(c)\\n\\101\\\r\nd\re)", "a(b)(c)\nAd\ne"],
    ["<48 65 6c6C 6>", "Hell`"],
    ["<</A<</B(c)>>/D[]%x>>\n/E 1>>", { A: { B: "c" }, D: [], E: 1 }],
  ];
  for (const [text, expected] of cases) assert.deepEqual(plain(read(text)), expected, text);
});

Deno.test("lexer: refuses input that is not PDF with a typed error", () => {
  for (
    const text of ["", "(", "<4", "[1", "<</A 1", "<</A>>", "<<1 2>>", "}", ")", "foo", "<4x>"]
  ) {
    assert.throws(() => read(text), (e) => e instanceof FormatError, text);
  }
  assert.throws(
    () => read("[".repeat(100_000)),
    (e) => e instanceof FormatError && e.code === "limit_exceeded",
  );
});

Deno.test("lexer: records the positions of entries, including repeated ones", () => {
  const text = "  << /A (x) /B [1 2]/A 7>>";
  const dict = read(text) as PdfDict;
  assert.equal(dict.hasDuplicates, true);
  assert.deepEqual(
    dict.spans.map(({ key, valueStart, valueEnd }) => [key, text.slice(valueStart, valueEnd)]),
    [["A", "(x)"], ["B", "[1 2]"], ["A", "7"]],
  );
  assert.equal(text.slice(dict.start, dict.end), text.trim());
});

Deno.test("window: a truncated value is read again from a larger window", () => {
  const text = `<< /Long (${"x".repeat(5000)}) /Ref 12 0 R /Name /Value >>`;
  const window = new PdfWindow(bytesSource(latin1(text)));
  for (const size of [1, 2, 3, 16, 5011, 5030]) {
    const value = window.parse(0, (lexer) => lexer.value(), size) as PdfDict;
    assert.deepEqual([...value.entries.keys()], ["Long", "Ref", "Name"]);
    assert.equal(plain(value.get("Ref")!), "12 0 R");
  }
});

Deno.test("window: work is limited", () => {
  const window = new PdfWindow(bytesSource(new Uint8Array(10)));
  assert.throws(
    () => window.spend(1 << 30),
    (e) => e instanceof FormatError && e.code === "limit_exceeded",
  );
});

Deno.test("values: are read back as written", () => {
  const draft = {
    Name: name("A b#(é"),
    Number: -1.25,
    Text: textString("ascii (with) \\"),
    Unicode: textString("স্বাক্ষর हस्ताक्षर"),
    Bytes: new PdfString(Uint8Array.of(0, 255, 10)),
    List: [1, true, null, new PdfRef(3, 1)],
    Left: undefined,
  };
  const value = read(serialize(draft)) as PdfDict;
  assert.equal(value.get("Left"), undefined);
  assert.equal((value.get("Name") as PdfName).value, "A b#(é");
  assert.equal(textOf(value.get("Unicode") as PdfString), "স্বাক্ষর हस्ताक्षर");
  assert.equal(textOf(value.get("Text") as PdfString), "ascii (with) \\");
  assert.deepEqual(plain(value.get("List")!), [1, true, null, "3 1 R"]);
  assert.equal(value.get("Number"), -1.25);
});

Deno.test("lexer: long hexadecimal strings are read like short ones", () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
  const hex = bytes.toHex();
  const readBytes = (text: string) => (read(`<${text}>`) as PdfString).bytes;
  for (const text of [hex, hex.toUpperCase(), hex.replace(/.{64}/g, "$&\r\n"), ` ${hex}`]) {
    assert.deepEqual(readBytes(text), bytes);
  }
  assert.deepEqual(readBytes(hex + "a"), Uint8Array.of(...bytes, 0xa0));
  for (const wrong of ["\xef\xbb\xbf", "g", "\xff", "0x"]) {
    assert.throws(() => read(`<${wrong}${hex}>`), { code: "pdf_malformed" }, wrong);
    assert.throws(() => read(`<${hex}${wrong}>`), { code: "pdf_malformed" }, wrong);
  }
});
