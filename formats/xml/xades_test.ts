import assert from "node:assert/strict";
import { constants, createHash, sign } from "node:crypto";
import { makePki, type Officer } from "../../tests/fixtures/pki.ts";
import { xmlsec1Sign, xmlsec1Verify } from "../../tests/fixtures/xmlsec1.ts";
import { FormatError } from "../error.ts";
import type { SignatureAlgorithm } from "../signer.ts";
import { xmlAugmenter } from "./augment.ts";
import { prepareXmlSignature, type XmlPackaging } from "./xades.ts";
import { verifyXml } from "./xades_verify.ts";

const pki = makePki({
  officers: [
    { name: "Anita Das", key: "rsa-2048" },
    { name: "Bimal Roy", key: "p-256" },
    { name: "Chitra Sen", key: "p-384" },
  ],
});
const [anita, bimal, chitra] = pki.officers;
const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const ORDER = `<?xml version="1.0" encoding="UTF-8"?>\r
<!-- sanction -->
<o:order xmlns:o="urn:example:order" xmlns="urn:example:text" Id='order-1'>
  <title xml:lang="bn">মঞ্জুরি &amp; <![CDATA[<আদেশ>]]></title><amount  unit="INR">1200.00</amount>
  <?page break?><empty/>
</o:order>
<!-- end -->
`;

function makeSignature(
  officer: Officer,
  packaging: XmlPackaging,
  { xades = true, algorithm = officer.key.algorithm }: {
    xades?: boolean;
    algorithm?: SignatureAlgorithm;
  } = {},
): Uint8Array {
  const prepared = prepareXmlSignature({
    certificate: officer.certificate.der,
    chain: officer.chain,
    algorithm,
    packaging,
    xades: xades
      ? { signingTime: new Date("2026-11-21T10:00:00Z"), role: "Approver & maker" }
      : undefined,
  });
  const padding = algorithm.scheme === "RSASSA-PSS"
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    : {};
  const hash = algorithm.hash.replace("-", "").toLowerCase();
  const key = { key: officer.key.privateKey, ...padding };
  return prepared.complete(sign(hash, prepared.toBeSigned, key));
}

const enveloped = (document: Uint8Array): XmlPackaging => ({ kind: "enveloped", document });

async function xmlsec1(
  bytes: Uint8Array,
  signatures: number,
  files?: Record<string, Uint8Array>,
): Promise<void> {
  for (let n = 1; n <= signatures; n++) {
    assert.equal(await xmlsec1Verify(bytes, pki.root.certificate.der, n, files), null);
  }
}

Deno.test("three officers sign one order; the rest of the file stays byte for byte", async () => {
  let signed = encode(ORDER);
  for (const officer of [anita, bimal, chitra, anita]) {
    signed = makeSignature(officer, enveloped(signed)) as Uint8Array<ArrayBuffer>;
  }
  const [head, tail] = ORDER.split("</o:order>");
  assert.ok(decode(signed).startsWith(head));
  assert.ok(decode(signed).endsWith("</o:order>" + tail));
  const found = verifyXml(signed);
  assert.deepEqual(found.map(({ problems }) => problems), [[], [], [], []]);
  assert.deepEqual(found.map(({ id }) => id), ["dsign-1", "dsign-2", "dsign-3", "dsign-4"]);
  for (const { covers, isXades, role, signingTime } of found) {
    assert.deepEqual(covers, [{ kind: "document" }, { kind: "properties" }]);
    assert.ok(isXades);
    assert.equal(role, "Approver & maker");
    assert.equal(signingTime?.toISOString(), "2026-11-21T10:00:00.000Z");
  }
  assert.deepEqual(found[1].certificate, bimal.certificate.der);
  await xmlsec1(signed, 4);
});

Deno.test("a document without a separate end tag can be signed with plain XML Signature", async () => {
  const signed = makeSignature(bimal, enveloped(encode("<order number='7' />")), { xades: false });
  const [signature] = verifyXml(signed);
  assert.deepEqual(signature.problems, []);
  assert.equal(signature.isXades, false);
  await xmlsec1(signed, 1);
});

Deno.test("RSASSA-PSS signatures verify (xmlsec1 1.2 does not know them)", () => {
  const algorithm = { scheme: "RSASSA-PSS", hash: "SHA-256" } as const;
  const [signature] = verifyXml(makeSignature(anita, enveloped(encode(ORDER)), { algorithm }));
  assert.deepEqual(signature.problems, []);
});

Deno.test("enveloping signatures hold XML as it is and anything else in Base64", async () => {
  for (
    const [content, mediaType] of [[ORDER, "application/xml"], ["a bill\n", "text/plain"]] as const
  ) {
    const signed = makeSignature(anita, {
      kind: "enveloping",
      content: encode(content),
      mediaType,
    });
    const [signature] = verifyXml(signed);
    assert.deepEqual(signature.problems, []);
    const [object] = signature.covers;
    assert.ok(object.kind === "object" && object.mediaType === mediaType);
    if (mediaType === "text/plain") assert.equal(decode(object.content), content);
    await xmlsec1(signed, 1);
  }
});

Deno.test("a detached signature holds the digest of the file", async () => {
  const value = createHash("sha256").update("a bill\n").digest();
  const uri = "bill%207.txt";
  const signed = makeSignature(bimal, {
    kind: "detached",
    files: [{ uri, digest: value, mediaType: "text/plain" }],
  });
  assert.deepEqual(verifyXml(signed)[0].problems, ["content_missing"]);
  const file = (digest: Uint8Array) => ({ digest: () => digest });
  const named = (name: string) => name === uri ? file(value) : null;
  assert.deepEqual(verifyXml(signed, named)[0].problems, []);
  const other = file(new Uint8Array(32));
  assert.deepEqual(verifyXml(signed, () => other)[0].problems, ["content_changed"]);
  await xmlsec1(signed, 1, { "bill 7.txt": encode("a bill\n") });
});

Deno.test("unsigned properties are added, and do not affect the signature", async () => {
  const signed = makeSignature(anita, enveloped(encode(ORDER)));
  const at = (file: Uint8Array) => ({ file, index: 0, content: () => null });
  const token = Uint8Array.of(0x30, 0);
  const stamping = xmlAugmenter.signatureTimestamp(at(signed), "SHA-256");
  const data = {
    certificates: [pki.root.certificate.der],
    crls: [Uint8Array.of(0x30, 0)],
    ocspResponses: [Uint8Array.of(0x30, 0)],
  };
  const lasting = xmlAugmenter.addValidationData(at(stamping.complete(token)), data);
  const again = xmlAugmenter.addValidationData(at(lasting), { ...data, crls: [] });
  const sealed = xmlAugmenter.archiveTimestamp(at(again), "SHA-256").complete(token);
  const [{ problems, ignored, timestamps, ...signature }] = verifyXml(sealed);
  assert.deepEqual([problems, ignored, timestamps.map(({ kind }) => kind)], [[], [], [
    "signature",
    "archive",
  ]]);
  assert.match(decode(timestamps[0].input[0]), /^<ds:SignatureValue xmlns:ds=/);
  assert.deepEqual([signature.crls.length, signature.ocspResponses.length], [1, 2]);
  // CertificateValues and RevocationValues each once (EN 319 132-1 §5.4.2, §5.4.3).
  assert.equal(decode(sealed).split("<a:TimeStampValidationData").length, 2);
  const outside = decode(sealed).replace(
    /<xades:UnsignedProperties.*<\/xades:UnsignedProperties>/s,
    "",
  );
  assert.equal(outside, decode(signed));
  await xmlsec1(sealed, 1);
});

Deno.test("enveloped signatures of xmlsec1 with inclusive c14n are read", async () => {
  const DS = "http://www.w3.org/2000/09/xmldsig#";
  const template = `<order><amount>1</amount><Signature xmlns="${DS}"><SignedInfo>
<CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>
<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>
<Reference URI=""><Transforms><Transform Algorithm="${DS}enveloped-signature"/></Transforms>
<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue/></Reference>
</SignedInfo><SignatureValue/><KeyInfo><X509Data/></KeyInfo></Signature></order>`;
  const signed = await xmlsec1Sign(anita, template);
  const [signature] = verifyXml(signed);
  assert.deepEqual(signature.problems, []);
  assert.deepEqual(signature.covers, [{ kind: "document" }]);
  const changed = encode(decode(signed).replace("<amount>1<", "<amount>9<"));
  assert.deepEqual(verifyXml(changed)[0].problems, ["content_changed"]);
});

Deno.test("a change to any byte of the signed parts is detected", () => {
  const signed = makeSignature(bimal, enveloped(encode(ORDER)));
  const text = decode(signed);
  const unsignedParts = [
    /<!-- sanction -->/, // comments are outside of the canonical form
    /<!-- end -->/,
    /<\?xml[^]*?\?>/,
    / Id="dsign-1-value"/,
    /<ds:KeyInfo>[^]*<\/ds:KeyInfo>/,
  ].map((part) => [text.search(part), text.search(part) + part.exec(text)![0].length]);
  const at = (index: number) => decode(signed.subarray(0, index)).length;
  let tried = 0;
  for (let index = 0; index < signed.length; index += 3) {
    const changed = signed.slice();
    changed[index] ^= 1;
    if (unsignedParts.some(([from, to]) => at(index) >= from && at(index) < to)) continue;
    if (/\s/.test(String.fromCharCode(signed[index]))) continue; // white space inside of tags
    tried++;
    let problems: string[] = [];
    try {
      const found = verifyXml(changed);
      problems = found.length === 1 ? found[0].problems : ["the signature is gone"];
    } catch (error) {
      assert.ok(error instanceof FormatError);
      problems = [error.code];
    }
    assert.notDeepEqual(
      problems,
      [],
      `byte ${index}: ${text.slice(at(index) - 20, at(index) + 20)}`,
    );
  }
  assert.ok(tried > 500);
});

Deno.test("wrapped content does not pass for signed content", () => {
  const order = `<order Id="o"><pay to="A">1</pay></order>`;
  const signed = decode(
    makeSignature(anita, { kind: "enveloping", content: encode(order), mediaType: "text/xml" }),
  );
  const signature = signed.slice(signed.indexOf("<ds:Signature"));
  // The old signature rides along in a document that says something else.
  const [wrapped] = verifyXml(encode(`<doc><pay to="B">9</pay>${signature}</doc>`));
  assert.deepEqual(wrapped.problems, []);
  assert.ok(!wrapped.covers.some(({ kind }) => kind === "document"));

  // A second element with the referenced Id.
  const [doubled] = verifyXml(encode(`<doc><x Id="dsign-1-object"/>${signature}</doc>`));
  assert.deepEqual(doubled.problems, ["malformed"]);

  // Properties that nobody signed in the place where they are read.
  const properties = /<xades:SignedProperties[^]*<\/xades:SignedProperties>/.exec(signature)![0];
  const forged = properties.replace(/Id="[^"]*"/, 'Id="other"').replace("2026-11", "2020-01");
  const moved = signature.replace(properties, forged).replace(
    "</ds:Signature>",
    `<ds:Object><b xmlns:xades="http://uri.etsi.org/01903/v1.3.2#">${properties}</b></ds:Object></ds:Signature>`,
  );
  assert.deepEqual(verifyXml(encode(moved))[0].problems, ["malformed", "properties_unsigned"]);

  // A signature that covers nothing.
  const [empty] = verifyXml(
    encode(`<doc><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/></doc>`),
  );
  assert.ok(empty.problems.includes("malformed"));
});

Deno.test("transforms that could hide content are refused", () => {
  const signed = decode(makeSignature(anita, enveloped(encode(ORDER))));
  for (
    const [from, to] of [
      ["not(ancestor-or-self::ds:Signature)", "not(ancestor-or-self::title)"],
      [
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
      ],
    ]
  ) {
    const [changed] = verifyXml(encode(signed.replace(from, to)));
    assert.ok(changed.problems.includes("algorithm_unsupported"));
  }
  // Base64 of a whole document would be that of nothing.
  const octets =
    '<ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#base64"/>';
  const [nothing] = verifyXml(
    encode(signed.replace(/<ds:Transforms>.*?(?=<\/ds:Transforms>)/s, octets)),
  );
  assert.ok(nothing.problems.includes("algorithm_unsupported"));
  assert.deepEqual(nothing.covers.map(({ kind }) => kind), ["properties"]);
});

Deno.test("many references to a long document are refused before any canonicalization", () => {
  const references = (count: number) =>
    new TextEncoder().encode(
      `<a>${"x".repeat(1024 * 1024)}<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">` +
        `${"<Reference/>".repeat(count)}</Signature></a>`,
    );
  assert.throws(() => verifyXml(references(600)), { code: "limit_exceeded" });
  assert.deepEqual(verifyXml(references(400)).map(({ problems }) => problems), [["malformed"]]);
});
