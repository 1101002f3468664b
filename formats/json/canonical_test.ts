import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalJson } from "./canonical.ts";
import { FormatError, type FormatErrorCode } from "../error.ts";

const canonical = (text: string) => new TextDecoder().decode(canonicalJson(text));

function refused(text: string | Uint8Array, code: FormatErrorCode) {
  assert.throws(
    () => canonicalJson(text),
    (error) => error instanceof FormatError && error.code === code,
    `${text.slice(0, 40)} must be refused as ${code}`,
  );
}

Deno.test("the example of RFC 8785 §3.2.2–3.2.4 comes out byte for byte", () => {
  const input = String.raw`{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`;
  const expected = "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273" +
    "223a5b3333333333333333332e333333333333332c31652b33302c342e352c302e3030322c31652d32375d2c2273" +
    "7472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d";
  assert.equal(canonicalJson(input).toHex(), expected);
});

Deno.test("members are sorted by UTF-16 code units (RFC 8785 §3.2.3)", () => {
  const input = String.raw`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew",` +
    String.raw`"1":"One","\ud83d\ude00":"Emoji","\u0080":"Control","\u00f6":"Latin"}`;
  assert.equal(
    canonical(input),
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin","€":"Euro Sign",' +
      '"😀":"Emoji","\ufb33":"Hebrew"}',
  );
});

Deno.test("numbers are printed as in RFC 8785 Appendix B", () => {
  const samples: [bits: string, text: string][] = [
    ["0000000000000000", "0"],
    ["8000000000000000", "0"],
    ["0000000000000001", "5e-324"],
    ["8000000000000001", "-5e-324"],
    ["7fefffffffffffff", "1.7976931348623157e+308"],
    ["ffefffffffffffff", "-1.7976931348623157e+308"],
    ["4340000000000000", "9007199254740992"],
    ["c340000000000000", "-9007199254740992"],
    ["4430000000000000", "295147905179352830000"],
    ["44b52d02c7e14af5", "9.999999999999997e+22"],
    ["44b52d02c7e14af6", "1e+23"],
    ["44b52d02c7e14af7", "1.0000000000000001e+23"],
    ["444b1ae4d6e2ef4e", "999999999999999700000"],
    ["444b1ae4d6e2ef4f", "999999999999999900000"],
    ["444b1ae4d6e2ef50", "1e+21"],
    ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
    ["3eb0c6f7a0b5ed8d", "0.000001"],
    ["41b3de4355555553", "333333333.3333332"],
    ["41b3de4355555554", "333333333.33333325"],
    ["41b3de4355555555", "333333333.3333333"],
    ["41b3de4355555556", "333333333.3333334"],
    ["41b3de4355555557", "333333333.33333343"],
    ["becbf647612f3696", "-0.0000033333333333333333"],
    ["43143ff3c1cb0959", "1424953923781206.2"],
  ];
  for (const [bits, text] of samples) {
    const value = new DataView(Uint8Array.fromHex(bits).buffer).getFloat64(0);
    assert.equal(canonical(value.toExponential()), text);
  }
  assert.equal(canonical("-0"), "0");
  assert.equal(canonical("1e21"), "1e+21");
  assert.equal(canonical(" [ 1.10 , 100000000000000000000 ]\n"), "[1.1,100000000000000000000]");
});

Deno.test("text with two possible readings is refused", () => {
  refused('{"amount":1,"amount":2}', "json_duplicate_key");
  refused(String.raw`{"amount":1,"\u0061mount":2}`, "json_duplicate_key");
  refused('[{"a":{"b":1},"c":[{"b":1,"x":[],"b":2}]}]', "json_duplicate_key");
  refused('{"__proto__":1,"__proto__":2}', "json_duplicate_key");
  refused(String.raw`["\ud800"]`, "json_malformed");
  refused(String.raw`{"\udc00x":1}`, "json_malformed");
  refused("9007199254740993", "json_malformed");
  refused("1" + "0".repeat(309), "json_malformed");
  refused("-1e400", "json_malformed");
});

Deno.test("names that only look repeated are accepted", () => {
  assert.equal(canonical('{"a":"a","b":{"a":["a","a"]}}'), '{"a":"a","b":{"a":["a","a"]}}');
  assert.equal(
    canonical(String.raw`{"\"a\":1,":"{\"a\":1}"}`),
    String.raw`{"\"a\":1,":"{\"a\":1}"}`,
  );
  assert.equal(
    canonical('{"toString":1,"__proto__":{"z":1,"a":2}}'),
    '{"__proto__":{"a":2,"z":1},"toString":1}',
  );
  // Composed and decomposed: not normalised (RFC 8785 §3.1).
  assert.equal(canonical(String.raw`{"\u00e9":1,"e\u0301":2}`), '{"e\u0301":2,"\u00e9":1}');
});

Deno.test("invalid JSON, invalid UTF-8 and a byte order mark are refused", () => {
  for (const text of ["", "{", "{a:1}", "[1,]", "01", "NaN", "'a'", '"\n"', "1 2", "\ufeff1"]) {
    refused(text, "json_malformed");
  }
  refused(Uint8Array.of(0x22, 0xff, 0x22), "json_malformed");
  refused(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31), "json_malformed");
});

Deno.test("deep nesting is refused without a crash", () => {
  refused("[".repeat(100_000) + "]".repeat(100_000), "limit_exceeded");
  canonical("[".repeat(200) + "]".repeat(200));
});

Deno.test("long strings and numbers cause neither delay nor crash", () => {
  const text = String.raw`"` + String.raw`\u0061\"`.repeat(500_000) + '"';
  assert.equal(canonicalJson(text).length, 2 + 3 * 500_000);
  refused("1".repeat(1_000_000), "json_malformed");
});

Deno.test("the canonical form is stable and has the same value", () => {
  fc.assert(fc.property(fc.json(), (text) => {
    let once: string;
    try {
      once = canonical(text);
    } catch (error) {
      assert.ok(error instanceof FormatError);
      return;
    }
    assert.equal(canonical(once), once);
    assert.deepEqual(JSON.parse(once), JSON.parse(JSON.stringify(JSON.parse(text))));
  }));
});

Deno.test("a whole number whose canonical form would have other digits is refused", () => {
  const text = (json: string) => new TextDecoder().decode(canonicalJson(json));
  for (const number of ["1795300454294967300", "295147905179352830000", "-9007199254740992"]) {
    assert.equal(text(number), number);
  }
  assert.equal(text("1000000000000000000000"), "1e+21");
  assert.equal(text("-12300000000000000000000"), "-1.23e+22");
  // Each is a double's exact value, but not what is printed of it.
  for (const number of ["1795300454294967296", "295147905179352825856"]) {
    assert.throws(() => canonicalJson(number), { code: "json_malformed" });
  }
});
