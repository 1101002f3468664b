import assert from "node:assert/strict";
import { canonicalizeXml } from "./c14n.ts";
import { parseXml } from "./document.ts";
import { childElements } from "./tree.ts";

const DOCUMENTS: Record<string, string> = {
  plain: `<a><b/><c x="1"  y='2'/></a>`,
  declaration:
    `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<!-- before -->\n<?pi  some data?>\n<a/>\n<!-- after -->\n<?end?>\n`,
  namespaces:
    `<a xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q"><p:b q:x="1" x="2" xmlns:p="urn:p"><c xmlns=""><d xmlns="urn:d"/></c></p:b><q:e xmlns:p="urn:other"><p:f/></q:e></a>`,
  attributes:
    `<a xmlns:z="urn:a" xmlns:b="urn:z" b:k="1" z:k="2" k="3" j="tab&#x9;nl&#xA;cr&#xD;q&quot;lt&lt;gt>"/>`,
  lines: "<a>\r\n<b\r\n x='1\r\n2\t3'/>\r text &#xD;\n</a>",
  text: `<a>&amp;&lt;&gt;&quot;&apos;&#65;<![CDATA[<x>&amp;]]>]]&gt;</a>`,
  scripts: `<আদেশ xmlns:হ="urn:hi" হ:ক="১">मंज़ूरी 𝒳 <é/></আদেশ>`,
  xmlAttributes: `<a xml:lang="bn" xml:space="preserve"><b xml:lang="hi">  <c/></b></a>`,
  undeclared: `<a xmlns="urn:x"><b xmlns=""><c xmlns=""/></b></a>`,
  comments: `<a><!-- one --><b><!--two--></b><?p?></a>`,
};

async function xmllint(mode: string, text: string): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    await Deno.writeTextFile(file, text);
    const { code, stdout, stderr } = await new Deno.Command("xmllint", { args: [mode, file] })
      .output().catch((cause) => {
        throw new Error("xmllint is missing: install the Debian package libxml2-utils", { cause });
      });
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(file);
  }
}

for (const [name, text] of Object.entries(DOCUMENTS)) {
  Deno.test(`c14n agrees with libxml2: ${name}`, async () => {
    const { tree } = parseXml(new TextEncoder().encode(text));
    assert.equal(
      canonicalizeXml(tree, { kind: "inclusive", withComments: true }),
      await xmllint("--c14n", text),
    );
    assert.equal(
      canonicalizeXml(tree, { kind: "exclusive", withComments: true }),
      await xmllint("--exc-c14n", text),
    );
  });
}

Deno.test("inclusive c14n of an element inherits its ancestors' declarations", () => {
  const { root } = parseXml(
    new TextEncoder().encode(`<a xmlns:p="urn:p" xml:lang="bn" id="1"><b><c/></b></a>`),
  );
  const b = childElements(root)[0];
  const inclusive = { kind: "inclusive", withComments: false } as const;
  assert.equal(
    canonicalizeXml(b, inclusive),
    `<b xmlns:p="urn:p" xml:lang="bn"><c></c></b>`,
  );
  assert.equal(canonicalizeXml(b, { ...inclusive, kind: "exclusive" }), "<b><c></c></b>");
  assert.equal(
    canonicalizeXml(b, { kind: "exclusive", withComments: false, inclusivePrefixes: ["p"] }),
    `<b xmlns:p="urn:p"><c></c></b>`,
  );
});

Deno.test("attributes and namespaces are ordered by code point, not by UTF-16 unit", () => {
  const attributes = `p:x="1" q:x="2" xmlns:p="u:\u{10000}" xmlns:q="u:\uff5e"`;
  const { root } = parseXml(new TextEncoder().encode(`<a ${attributes}/>`));
  assert.equal(
    canonicalizeXml(root, { kind: "inclusive", withComments: false }),
    `<a xmlns:p="u:\u{10000}" xmlns:q="u:\uff5e" q:x="2" p:x="1"></a>`,
  );
});

Deno.test("a filter excludes elements", () => {
  const { tree } = parseXml(new TextEncoder().encode(`<a>1<b><c/></b>2</a>`));
  const canonical = canonicalizeXml(tree, {
    kind: "exclusive",
    withComments: false,
    omit: (element) => element.local === "b",
  });
  assert.equal(canonical, "<a>12</a>");
});
