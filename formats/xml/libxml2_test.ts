import assert from "node:assert/strict";
import { libxml2Canonical } from "../../tests/fixtures/libxml2.ts";
import { CONTEXTS, differences, ourCanonical } from "../../tests/fixtures/xml_characters.ts";
import type { C14nMethod } from "./c14n.ts";

const withComments = true;
const METHODS: C14nMethod[] = [
  { kind: "inclusive", withComments },
  { kind: "inclusive", withComments: false },
  { kind: "inclusive11", withComments },
  { kind: "exclusive", withComments, inclusivePrefixes: ["p", "#default"] },
  { kind: "exclusive", withComments: false },
];

/** @returns what both readers make of a document; they must agree */
function agreed(document: string | Uint8Array): string[] | undefined {
  const ours = ourCanonical(document, METHODS);
  const name = typeof document === "string"
    ? JSON.stringify(document)
    : new TextDecoder("latin1").decode(document);
  assert.deepEqual(ours, libxml2Canonical(document, ...METHODS), name);
  return ours;
}

const WELL_FORMED = [
  `<?xml version='1.0' standalone='no' ?>\r\n<a/>\r`,
  `<a xmlns="urn:d" xmlns:p="urn:p"><p:b xmlns=""><c xmlns:p="urn:q" p:x="1" x="2"/></p:b></a>`,
  `<a>&lt;&#60;&#x3C;&amp;&#38;&quot;&apos;&gt;]]&gt;</a>`,
  `<a b="&#xD;&#xA;&#9;&#x20; \t\r\n\r" c='"' d="'"/>`,
  `<a>\r\r\n\n&#13;&#xD;\n</a>`,
  `<a><![CDATA[]]></a>`,
  `<a><![CDATA[]]]]><![CDATA[>]]></a>`,
  `<a><![CDATA[\r\n<b>&amp;]]></a>`,
  `<!----><a><!---x- --></a><!--y-->`,
  `<?p?><?p ?><?p  x ? > ?><a/><?q\r\n?\r\n?>`,
  `<?p ??><a/>`,
  `<a xml:lang="bn" xml:space="x"><b xml:base="c"/></a>`,
  `<_.-·:x xmlns:_.-·="u:u"/>`,
  `<a xmlns:xml="http://www.w3.org/XML/1998/namespace" xml:id="x"/>`,
  `<constructor __proto__="1" toString="2"/>`,
  `<a b="1"   \n  c="2"\t></a\n>`,
  `<script xmlns="http://www.w3.org/1999/xhtml">&lt;b&gt;<b/></script>`,
  `<a>\u0085\u2028\u00a0\ufeff\u200b</a>`,
  `<a b="\u0085\u2028\u00a0\ufeff"/>`,
  `<a xmlns:p="u:1"><b xmlns:p="u:2"><c xmlns:p="u:1"><p:d/></c></b></a>`,
  "\ufeff<a/>",
];

const NOT_WELL_FORMED = [
  ...["", " ", "a", "<a", "<a>", "</a>", "<a/", "<a></b>", "<a></a", "<a/><b/>", "<a/>x", "x<a/>"],
  ...["<a b/>", "<a b=1/>", "<a b='1'c='2'/>", "<a b='<'/>", "<a b='1' b='2'/>", "<a b='1\"/>"],
  ...[
    "< a/>",
    "<a / >",
    "<a/ >",
    "<1/>",
    "<-a/>",
    "<.a/>",
    "<a b&='1'/>",
    "<a &amp;/>",
    "<a></ a>",
  ],
  ...["<a>&</a>", "<a>&a</a>", "<a>&;</a>", "<a>& amp;</a>", "<a>&#;</a>", "<a>&#x;</a>"],
  ...["<a>&#X41;</a>", "<a>&#xG;</a>", "<a>&#1a;</a>", "<a>&#0;</a>", "<a>&#xFFFE;</a>"],
  ...["<a>&#x110000;</a>", "<a>&#99999999999999999999;</a>", "<a>&amp ;</a>", "<a>&Amp;</a>"],
  ...["<a>&constructor;</a>", "<a>&toString;</a>", "<a>&__proto__;</a>", "<a b='&x;'/>"],
  ...["<a>]]></a>", "<a><![CDATA[</a>", "<a><![cdata[]]></a>", "<![CDATA[]]><a/>", "<a/>&#32;"],
  ...["<!-- -- --><a/>", "<!----->", "<a><!-- ---></a>", "<a><!->--></a>", "<a><!--</a>"],
  ...[
    "<a><?xml x?></a>",
    "<a><?XmL?></a>",
    "<a/><?xml version='1.0'?>",
    " <?xml version='1.0'?><a/>",
  ],
  ...[
    "<?xml?><a/>",
    "<?xml version='1.0'><a/>",
    "<?xml version=1.0?><a/>",
    "<?xml version='2.0'?><a/>",
  ],
  ...["<?xml version='1.0' encoding=''?><a/>", "<?xml encoding='UTF-8'?><a/>"],
  ...["<?xml version='1.0' standalone='maybe'?><a/>", "<?xml version='1.0'encoding='UTF-8'?><a/>"],
  ...["<?xml version='1.0' standalone='yes' encoding='UTF-8'?><a/>", "<?xml VERSION='1.0'?><a/>"],
  ...["<?p", "<??><a/>", "<? p?><a/>", "<?p??><a/>", "<?p?x?><a/>", "<?a:b?><a/>", "<a><?p ?</a>"],
  ...["<p:a/>", "<a p:b='1'/>", "<:a/>", "<a:/>", "<a::b xmlns:a='u:u'/>", "<a:1 xmlns:a='u:u'/>"],
  ...["<xmlns:a/>", "<a xmlns:p=''/>", "<a xmlns:xmlns='u:u'/>", "<a xmlns:xml='u:u'/>"],
  ...["<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "<a xmlns:='u:u'/>"],
  ...["<a xmlns='http://www.w3.org/XML/1998/namespace'/>"],
  ...["<a xmlns='http://www.w3.org/2000/xmlns/'/>", "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>"],
  ...["<a xmlns:p='u:u' xmlns:q='u:u' p:b='1' q:b='2'/>", "<a xmlns='u:u' xmlns='u:u'/>"],
  ...["<a>\u0000</a>", "<a>\u000c</a>", "<a>\ufffe</a>", "<a\u00a0b='1'/>", "<a\u0085b='1'/>"],
];

Deno.test("libxml2 agrees on documents like those of the conformance suites", () => {
  for (const document of WELL_FORMED) assert.ok(agreed(document), JSON.stringify(document));
  for (const document of NOT_WELL_FORMED) {
    assert.equal(agreed(document), undefined, JSON.stringify(document));
  }
});

Deno.test("a document of a version other than 1.0 is refused, though libxml2 reads it", () => {
  const document = `<?xml version="1.1"?><a>\u0085</a>`;
  assert.equal(ourCanonical(document, METHODS), undefined);
  assert.ok(libxml2Canonical(document, ...METHODS));
});

// `deno task interop ades` tries every code point, in minutes; here those at the edges of every rule of XML.
const EDGES = [
  ...Array.from({ length: 0x3100 }, (_, code) => code),
  ...[0xd7ff, 0xe000, 0xf8ff, 0xf900, 0xfdcf, 0xfdd0, 0xfdef, 0xfdf0, 0xfeff, 0xfff9, 0xfffd],
  ...[0xfffe, 0xffff, 0x10000, 0x1d7ff, 0xeffff, 0xf0000, 0xfffff, 0x100000, 0x10ffff],
];

for (const [context, wrap] of Object.entries(CONTEXTS)) {
  Deno.test(`libxml2 agrees on every kind of character: ${context}`, () => {
    assert.deepEqual(differences(wrap, EDGES), []);
  });
}

Deno.test("libxml2 agrees on encodings", () => {
  const latin = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
  const wide = (text: string, littleEndian: boolean) => {
    const view = new DataView(new ArrayBuffer(2 * text.length));
    Array.from(text, (c, i) => view.setUint16(2 * i, c.charCodeAt(0), littleEndian));
    return new Uint8Array(view.buffer);
  };
  for (const littleEndian of [true, false]) {
    assert.ok(agreed(wide("\ufeff<a>মঞ্জুরি</a>", littleEndian)));
    const declared = '\ufeff<?xml version="1.0" encoding="UTF-16"?><আদেশ/>';
    assert.ok(agreed(wide(declared, littleEndian)));
  }
  for (const encoding of ["US-ASCII", "ISO-8859-1", "ISO-8859-15", "windows-1252"]) {
    for (let byte = 0x80; byte < 0x100; byte++) {
      const document = `<?xml version="1.0" encoding="${encoding}"?><a>x</a>`;
      agreed(latin(document.replace("x", String.fromCharCode(byte))));
    }
  }
});
