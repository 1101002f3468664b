import assert from "node:assert/strict";
import { FormatError } from "../error.ts";
import { insertLast, parseXml } from "./document.ts";

const parse = (text: string) => parseXml(new TextEncoder().encode(text));

const REFUSED: [string, string, string][] = [
  ["empty", "", "xml_malformed"],
  ["only text", "hello", "xml_malformed"],
  ["unclosed", "<a><b></a>", "xml_malformed"],
  ["mismatched", "<a></b>", "xml_malformed"],
  ["almost the same name", "<a></a;>", "xml_malformed"],
  ["two roots", "<a/><b/>", "xml_malformed"],
  ["text after the root", "<a/>x", "xml_malformed"],
  ["unquoted attribute", "<a x=1/>", "xml_malformed"],
  ["attribute without value", "<a x/>", "xml_malformed"],
  ["attribute twice", `<a x="1" x="2"/>`, "xml_malformed"],
  ["less-than in a value", `<a x="<"/>`, "xml_malformed"],
  ["unclosed comment", "<a><!-- </a>", "xml_malformed"],
  ["dashes in a comment", "<a><!-- -- --></a>", "xml_malformed"],
  ["]]> in text", "<a>]]></a>", "xml_malformed"],
  ["CDATA outside", "<![CDATA[x]]><a/>", "xml_malformed"],
  ["declaration not first", `<a/><?xml version="1.0"?>`, "xml_malformed"],
  ["version 1.1", `<?xml version="1.1"?><a/>`, "xml_unsupported"],
  ["unknown encoding", `<?xml version="1.0" encoding="Shift_JIS"?><a/>`, "xml_unsupported"],
  ["wide encoding that is none", `<?xml version="1.0" encoding="UTF-16"?><a/>`, "xml_malformed"],
  ["two byte order marks", "\ufeff\ufeff<a/>", "xml_malformed"],
  ["control character", "<a>\u0001</a>", "xml_malformed"],
  ["control character by reference", "<a>&#1;</a>", "xml_malformed"],
  ["surrogate by reference", "<a>&#xD800;</a>", "xml_malformed"],
  ["undeclared prefix", "<p:a/>", "xml_malformed"],
  ["undeclared attribute prefix", `<a p:x="1"/>`, "xml_malformed"],
  ["same expanded attribute", `<a xmlns:p="u" xmlns:q="u" p:x="1" q:x="2"/>`, "xml_malformed"],
  ["DTD", `<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`, "xml_forbidden"],
  ["external DTD", `<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`, "xml_forbidden"],
  ["unknown entity", "<a>&x;</a>", "xml_forbidden"],
  ["bare ampersand", "<a>&</a>", "xml_malformed"],
  ["half a reference", "<a>&amp</a>", "xml_malformed"],
  ["no-break space in a tag", "<a\u00a0x='1'/>", "xml_malformed"],
  ["prefix undeclared", `<p:a xmlns:p="u"><b xmlns:p=""/></p:a>`, "xml_malformed"],
  ["xml bound to another name", `<a xmlns:xml="u"/>`, "xml_malformed"],
  ["three parts in a name", `<p:a:b xmlns:p="u"/>`, "xml_malformed"],
  ["too deep", "<a>".repeat(600) + "</a>".repeat(600), "limit_exceeded"],
];

for (const [name, text, code] of REFUSED) {
  Deno.test(`the parser refuses ${name}`, () => {
    assert.throws(
      () => parse(text),
      (error) => error instanceof FormatError && error.code === code,
    );
  });
}

Deno.test("the parser refuses bytes that are not UTF-8", () => {
  assert.throws(() => parseXml(Uint8Array.of(0x3c, 0x61, 0xff, 0x2f, 0x3e)), FormatError);
});

Deno.test("a signature is inserted before the root's end and nothing else changes", () => {
  const cases: [string, string][] = [
    ["<a></a>", "<a>+</a>"],
    ["<a/>", "<a>+</a>"],
    ["<p:a xmlns:p='u' x='>'  />\n", "<p:a xmlns:p='u' x='>'  >+</p:a>\n"],
    [
      "<a>\n</a >\n<!-- </a> --><?x </a> ?>\n<!----> ",
      "<a>\n+</a >\n<!-- </a> --><?x </a> ?>\n<!----> ",
    ],
    ["<a><![CDATA[</a>]]></a>", "<a><![CDATA[</a>]]>+</a>"],
    ["<a/><!-- <!- -->", "<a>+</a><!-- <!- -->"],
  ];
  for (const [before, after] of cases) {
    assert.equal(new TextDecoder().decode(insertLast(parse(before), "+")), after);
  }
});

Deno.test("the byte order mark and the encoding are kept", () => {
  const source = parse("\ufeff<a/>");
  assert.equal(source.text, "<a/>");
  assert.deepEqual(insertLast(source, "é"), new TextEncoder().encode("\ufeff<a>é</a>"));
  const latin = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
  const declared = '<?xml version="1.0" encoding="ISO-8859-1"?>';
  assert.deepEqual(
    insertLast(parseXml(latin(`${declared}<é/>`)), "ü€"),
    latin(`${declared}<é>ü&#8364;</é>`),
  );
});

Deno.test("hostile markup is refused in linear time", () => {
  for (
    const text of [
      "<a" + " ".repeat(1_000_000),
      "<a " + 'x="1" '.repeat(100_000) + "<",
      "<a>" + "<!-- ".repeat(100_000),
      "<a>" + "&".repeat(1_000_000),
    ]
  ) assert.throws(() => parse(text), FormatError);
});
