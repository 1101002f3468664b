/** XML signatures as others make them (xmlsec1 signs), and what stands beside what is signed. */
import assert from "node:assert/strict";
import { makePki } from "../../tests/fixtures/pki.ts";
import { signXml } from "../../tests/fixtures/signed_files.ts";
import { xmlsec1Sign, xmlsec1Verify } from "../../tests/fixtures/xmlsec1.ts";
import { DS, Transform } from "../xml/algorithms.ts";
import { verifyBytes } from "./verify.ts";

const now = new Date();
const utf8 = new TextEncoder();
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const pki = makePki({ now, officers: [{ name: "Asha" }, { name: "Bimal", key: "p-256" }] });
const [asha, bimal] = pki.officers;
const material = [pki.ca, pki.subCa].map(({ certificate }) => certificate.der);

const C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const C14N_11 = "http://www.w3.org/2006/12/xml-c14n11";
const SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256";
const SHA224 = "http://www.w3.org/2001/04/xmldsig-more#sha224";
const MORE = "http://www.w3.org/2001/04/xmldsig-more#";

const transform = (algorithm: string, content = "") =>
  `<ds:Transform Algorithm="${algorithm}">${content}</ds:Transform>`;
const ENVELOPED = transform(Transform.enveloped);

/** The template of an enveloped signature. */
function template(
  transforms: string,
  { uri = "", method = "rsa-sha256", digest = SHA256, c14n = C14N, before = "", inside = "" } = {},
): string {
  return `<?xml version="1.0"?>\n<!-- a comment --><o:order xmlns:o="urn:o" Id="all">` +
    `<amount>7</amount><!-- another -->${before}<ds:Signature xmlns:ds="${DS}"><ds:SignedInfo>` +
    `<ds:CanonicalizationMethod Algorithm="${c14n}"/>` +
    `<ds:SignatureMethod Algorithm="${MORE}${method}"/><ds:Reference URI="${uri}">` +
    `<ds:Transforms>${transforms}</ds:Transforms><ds:DigestMethod Algorithm="${digest}"/>` +
    `<ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo>` +
    `<ds:X509Data/></ds:KeyInfo>${inside}</ds:Signature></o:order>`;
}

const sign = (text: string) =>
  xmlsec1Sign(asha, text, { ids: ["urn:o:order", "amount", `${DS}:Object`] });

function verify(bytes: Uint8Array | string) {
  return verifyBytes(typeof bytes === "string" ? utf8.encode(bytes) : bytes, {
    now,
    anchors: [pki.root.certificate],
    certificates: material,
    revocation: "if_available",
  });
}

function told(bytes: Uint8Array | string): string {
  const [{ indication, findings }] = verify(bytes).signatures;
  return [indication, ...findings.map(({ code }) => code)].join(" ");
}

/** A plain XML Signature does not name its certificate. */
const PASSED = "TOTAL-PASSED signing_certificate_absent";

const xpath = (expression: string, declared = "") =>
  transform(Transform.xpath, `<ds:XPath ${declared}>${expression}</ds:XPath>`);
const filter2 = (filter: string, expression: string) =>
  transform(
    Transform.filter2,
    `<XPath xmlns="${Transform.filter2}" xmlns:s="${DS}" Filter="${filter}">${expression}</XPath>`,
  );

const KNOWN: Record<string, string> = {
  enveloped: template(ENVELOPED),
  "Filter 2.0, subtract": template(filter2("subtract", "/descendant::s:Signature")),
  "Filter 2.0, the abbreviated step": template(filter2("subtract", "//s:Signature")),
  "Filter 2.0, here()": template(filter2("subtract", "here()/ancestor::s:Signature[1]")),
  "XPath with another prefix": template(
    xpath(" not( ancestor-or-self::sig:Signature ) ", `xmlns:sig="${DS}"`),
  ),
  "XPath as in XML Signature §6.6.4": template(xpath(
    "count(ancestor-or-self::ds:Signature | here()/ancestor::ds:Signature[1]) &gt; " +
      "count(ancestor-or-self::ds:Signature)",
  )),
  "Canonical XML 1.1": template(ENVELOPED + transform(C14N_11), { c14n: C14N_11 }),
  "with comments": template(ENVELOPED + transform(`${C14N}#WithComments`)),
  "several canonicalizations": template(
    ENVELOPED + transform(Transform.exclusive) + transform(C14N) + transform(C14N_11),
  ),
  "the whole by XPointer": template(ENVELOPED, { uri: "#xpointer(/)" }),
  "comments by XPointer": template(ENVELOPED + transform(`${C14N}#WithComments`), {
    uri: "#xpointer(/)",
  }),
  "the root by Id": template(ENVELOPED, { uri: "#all" }),
  "the root by XPointer": template(ENVELOPED, { uri: "#xpointer(id('all'))" }),
  "SHA-224": template(ENVELOPED, { method: "rsa-sha224", digest: SHA224 }),
};

for (const [name, text] of Object.entries(KNOWN)) {
  Deno.test(`signatures of xmlsec1 pass, and changed ones fail: ${name}`, async () => {
    const signed = decode(await sign(text));
    assert.equal(told(signed), PASSED);
    const { subIndication } = verify(signed.replace("<amount>7", "<amount>9")).signatures[0];
    assert.equal(subIndication, "HASH_FAILURE");
  });
}

Deno.test("comments count where an XPointer keeps them, and nowhere else", async () => {
  const change = (text: string) => text.replace("<!-- another -->", "<!-- changed -->");
  const kept = decode(await sign(KNOWN["comments by XPointer"]));
  assert.equal(verify(change(kept)).signatures[0].subIndication, "HASH_FAILURE");
  assert.equal(told(change(decode(await sign(KNOWN["with comments"])))), PASSED);
});

Deno.test("unsupported algorithms and transforms are named, and nothing untrue is added", async () => {
  const xslt = "http://www.w3.org/TR/1999/REC-xslt-19991116";
  const cases: [string, string, RegExp][] = [
    [KNOWN.enveloped, "xslt", /REC-xslt-19991116/],
    [template(xpath("not(ancestor-or-self::amount)")), "", /XPath not\(ancestor-or-self::amount\)/],
    [template(filter2("intersect", "//amount")), "", /XPath \/\/amount/],
    [template(xpath("not(ancestor-or-self::d:Signature)", 'xmlns:d="urn:x"')), "", /XPath not/],
    [template(ENVELOPED, { uri: "#xpointer(/o:order/amount)" }), "", /xpointer/],
  ];
  for (const [text, kind, named] of cases) {
    let signed = text;
    try {
      signed = decode(await sign(text));
    } catch {
      // xmlsec1 does not sign all of it either; the template's empty values tell nothing
      signed = text.replaceAll(/<ds:(DigestValue|SignatureValue)\/>/g, "<ds:$1>AAAA</ds:$1>");
    }
    if (kind) signed = signed.replace(Transform.enveloped, xslt);
    const findings = verify(signed).signatures[0].findings.map(({ code, message }) =>
      `${code}: ${message}`
    ).filter((each) => !/^(signature_wrong|certificate_missing)/.test(each));
    assert.equal(findings.length, 1, findings.join("\n"));
    assert.match(findings[0], /^algorithm_unsupported: Not checked, as it is not supported: /);
    assert.match(findings[0], named);
  }
});

Deno.test("a signature over a part, a ds:Manifest or nothing says so and is INDETERMINATE", async () => {
  const part = await sign(
    template("", { uri: "#part", before: '<amount Id="part">8</amount>' })
      .replace("<ds:Transforms></ds:Transforms>", ""),
  );
  const [{ indication, subIndication, findings, coverage }] = verify(part).signatures;
  assert.deepEqual([indication, subIndication], ["INDETERMINATE", "SIG_CONSTRAINTS_FAILURE"]);
  assert.deepEqual(coverage, { extent: "part", parts: ["/o:order[1]/amount[2]"] });
  assert.match(findings[0].message, /covers \/o:order\[1\]\/amount\[2\] only/);

  const manifest = `<ds:Object Id="list"><ds:Manifest><ds:Reference URI="#part">` +
    `<ds:DigestMethod Algorithm="${SHA256}"/><ds:DigestValue/></ds:Reference></ds:Manifest></ds:Object>`;
  const listed = await sign(
    template("", { uri: "#list", inside: manifest, before: '<amount Id="part">8</amount>' })
      .replace("<ds:Transforms></ds:Transforms>", ""),
  );
  const [list] = verify(listed).signatures;
  assert.equal(list.indication, "INDETERMINATE");
  assert.match(list.findings[0].message, /Manifest\), whose entries are not checked only/);
  const gone = decode(part).replace('Id="part"', 'Id="elsewhere"');
  assert.equal(verify(gone).signatures[0].subIndication, "SIGNED_DATA_NOT_FOUND");
});

const order = utf8.encode("<order><amount>7</amount></order>");
const own = decode(signXml(asha, { kind: "enveloped", document: order }));
const unsigned = (content: string) =>
  own.replace(
    "</xades:SignedProperties>",
    `$&<xades:UnsignedProperties><xades:UnsignedSignatureProperties>${content}` +
      "</xades:UnsignedSignatureProperties></xades:UnsignedProperties>",
  );

Deno.test("unknown or broken unsigned properties are reported without changing the verdict", () => {
  const stamp = "<xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>";
  const notices = [
    '<x:note xmlns:x="urn:x">approved</x:note>',
    "<xades:SignatureTimeStamp/>",
    `${stamp}!</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>`,
    "<xades:RefsOnlyTimeStamp/>",
    "<xades:CertificateValues><xades:EncapsulatedX509Certificate>?</xades:EncapsulatedX509Certificate></xades:CertificateValues>",
  ];
  for (const content of notices) {
    assert.equal(told(unsigned(content)), "TOTAL-PASSED unsigned_ignored", content);
  }
  const broken = `${stamp}AAAA</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>`;
  assert.equal(told(unsigned(broken)), "TOTAL-PASSED timestamp_not_accepted");
});

Deno.test("text that a signature does not cover is always reported", () => {
  const named = own.replace("<ds:KeyInfo>", "$&<ds:KeyName>pay 9000</ds:KeyName>");
  assert.equal(told(named), "TOTAL-PASSED unsigned_ignored");
  for (
    const within of [
      unsigned("pay 9000"),
      unsigned("<!---->").replace("<xades:UnsignedProperties>", "$&pay 9000"),
      own.replace("<ds:KeyInfo>", "$&pay 9000"),
      own.replace("<ds:X509Data>", "$&pay 9000"),
      own.replace("</ds:KeyInfo>", "$&<ds:KeyInfo>pay 9000</ds:KeyInfo>"),
    ]
  ) assert.equal(told(within), "INDETERMINATE coverage_partial", within.slice(0, 80));
});

Deno.test("a countersignature is reported with the signature it countersigns", async () => {
  const id = /<ds:SignatureValue Id="([^"]*)"/.exec(own)![1];
  const counter = (uri: string) =>
    `<xades:CounterSignature>${
      template("", { uri }).replace(/^[^]*?(?=<ds:Signature )|<\/o:order>$/g, "")
        .replace("<ds:Transforms></ds:Transforms>", "")
    }</xades:CounterSignature>`;
  const made = await xmlsec1Sign(asha, unsigned(counter(`#${id}`)), {
    ids: [`${DS}:SignatureValue`],
    n: 2,
  });
  assert.equal(await xmlsec1Verify(made, pki.root.certificate.der, 1), null);
  const [countersigned] = verify(made).signatures;
  assert.deepEqual(
    [countersigned, ...countersigned.countersignatures].map((each) => each.indication),
    ["TOTAL-PASSED", "TOTAL-PASSED"],
  );
  assert.equal(countersigned.countersignatures[0].signer?.commonName, "Asha");
  // Of another signature's value it says nothing.
  const other = decode(made).replace(`URI="#${id}"`, 'URI="#dsign-1-properties"');
  assert.equal(verify(other).signatures[0].countersignatures[0].indication, "TOTAL-FAILED");

  const empty = unsigned(counter(`#${id}`));
  const [signature] = verify(empty).signatures;
  assert.equal(signature.indication, "TOTAL-PASSED");
  assert.deepEqual(signature.countersignatures.map(({ kind, indication }) => [kind, indication]), [
    ["countersignature", "TOTAL-FAILED"],
  ]);
  assert.equal(verify(empty).indication, "TOTAL-FAILED");
});

Deno.test("documents in UTF-16 and ISO-8859-1, with a comment after the root, are signed unchanged", async () => {
  const latin = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
  const wide = (text: string) =>
    new Uint8Array(Uint16Array.from(text, (c) => c.charCodeAt(0)).buffer);
  const documents = [
    wide('\ufeff<?xml version="1.0" encoding="UTF-16"?><আদেশ>মঞ্জুরি</আদেশ><!--x-->'),
    latin('<?xml version="1.0" encoding="ISO-8859-1"?><r>é</r><!--x--><?p?>'),
    utf8.encode("<a/><!--x-->"),
  ];
  for (const document of documents) {
    const signed = signXml(bimal, { kind: "enveloped", document });
    assert.equal(told(signed), "TOTAL-PASSED");
    assert.equal(await xmlsec1Verify(signed, pki.root.certificate.der), null);
  }
});

Deno.test("older XAdES is reported as unsupported, not as wrong", () => {
  const older = own.replaceAll(
    "http://uri.etsi.org/01903/v1.3.2#",
    "http://uri.etsi.org/01903/v1.2.2#",
  );
  const findings = verify(older).signatures[0].findings.map(({ code }) => code);
  assert.ok(findings.includes("algorithm_unsupported") && !findings.includes("format_wrong"));
});

Deno.test("XML of a version or encoding that is not read is INDETERMINATE, with the reason", () => {
  for (
    const [declaration, reason] of [
      [`<?xml version="1.1"?>`, "The XML document is in XML 1.1. Save it as XML 1.0."],
      [
        `<?xml version="1.0" encoding="Shift_JIS"?>`,
        "The XML document is in the encoding shift_jis, which is not supported. Save it as UTF-8.",
      ],
    ]
  ) {
    const { indication, findings, signatures } = verify(`${declaration}<order/>`);
    assert.deepEqual([indication, findings, signatures], [
      "INDETERMINATE",
      [{ code: "algorithm_unsupported", severity: "unclear", message: reason }],
      [],
    ]);
  }
});

Deno.test("of a document signed with rsa-sha1, integrity and algorithm are told apart", async () => {
  const sha1 = template(ENVELOPED, { digest: `${DS}sha1` })
    .replace(`${MORE}rsa-sha256`, `${DS}rsa-sha1`);
  const signed = decode(await sign(sha1));
  const of = (text: string) => {
    const [{ indication, subIndication, findings }] = verify(text).signatures;
    const messages = findings.filter(({ severity }) => severity !== "notice")
      .map(({ message }) => message);
    return [indication, subIndication, ...messages];
  };
  assert.deepEqual(of(signed), [
    "INDETERMINATE",
    "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
    "The content is as it was signed, but the signature relies on SHA-1, which can be forged today.",
  ]);
  assert.deepEqual(of(signed.replace("<amount>7", "<amount>8")), [
    "TOTAL-FAILED",
    "HASH_FAILURE",
    "The content was changed after it was signed.",
    "The signature relies on SHA-1, which can be forged today.",
  ]);
});
