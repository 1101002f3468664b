import assert from "node:assert/strict";
import { isPdf, SHOWN_LENGTH, shownAs } from "./shown.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const how = (bytes: Uint8Array) => shownAs(bytes, bytes.length);

Deno.test("text is shown unchanged, and long text from its beginning", () => {
  const text = "প্রিয় মহাশয়,\n\tone day of leave.\r\n";
  assert.deepEqual(how(utf8(text)), { as: "text", text, truncated: false });
  assert.deepEqual(how(new Uint8Array(0)), { as: "text", text: "", truncated: false });
  // The cut goes through a character of three bytes.
  const long = utf8("অ".repeat(SHOWN_LENGTH));
  const shown = how(long);
  assert.ok(shown.as === "text" && shown.truncated);
  assert.match(shown.text, /^অ+$/);
});

Deno.test("binary data is not shown as text", () => {
  for (const bytes of ["PK\x03\x04", "\x1b[2J", "\x00", "a\x7fb"]) {
    assert.deepEqual(how(utf8(bytes)), { as: "nothing" }, JSON.stringify(bytes));
  }
  assert.deepEqual(how(Uint8Array.of(0xff, 0xfe, 0x61, 0x00)), { as: "nothing" }, "UTF-16");
  assert.deepEqual(how(Uint8Array.of(0xe0, 0xa6)), { as: "nothing" }, "half a character");
});

Deno.test("a file that readers open as a PDF is shown as pages, not as the text before its header", () => {
  for (
    const text of [
      "%PDF-1.7\n%   Casual leave application\n",
      "\ufeff%PDF-1.7\n",
      `Dear Sir,\n${" ".repeat(1000)}%PDF-1.4\n`,
      `${"leave\n".repeat(660)}%PDF-2.0`,
      "%!PS-Adobe-3.0 PDF-1.4\n",
    ]
  ) {
    assert.deepEqual(how(utf8(text)), { as: "pdf" }, text.slice(0, 30));
    assert.ok(isPdf(utf8(text)));
  }
  assert.equal(how(utf8("A letter about %PDF, the format.")).as, "text");
});

Deno.test("a PDF without a header, which some readers repair, is not shown as text", () => {
  assert.deepEqual(how(utf8("Dear Sir,\n1 0 obj\n<< /Type /Catalog >>\nendobj\n")), {
    as: "nothing",
  });
});
