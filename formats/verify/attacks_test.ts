/** Signatures to which somebody added, or from which somebody took, what nobody signed. */
import assert from "node:assert/strict";
import { encodedJson, flattened } from "../../tests/fixtures/jades.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { levelServices, signCms, signXml, timestamp } from "../../tests/fixtures/signed_files.ts";
import { xmlsec1Sign, xmlsec1Verify } from "../../tests/fixtures/xmlsec1.ts";
import { sequence, tlv } from "../asn1/der.ts";
import { readSignedData } from "../cms/read.ts";
import { digest } from "../digest.ts";
import { encodeBase64url } from "../json/jws_header.ts";
import { DS, Transform } from "../xml/algorithms.ts";
import { xmlAugmenter } from "../xml/augment.ts";
import { verifyBytes } from "./verify.ts";

const DAY = 24 * 3600 * 1000;
const now = new Date(new Date().setMilliseconds(0));
const later = (days: number) => new Date(now.getTime() + days * DAY);
const utf8 = new TextEncoder();
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const pki = makePki({ now, officers: [{ name: "Asha" }, { name: "Bimal", key: "p-256" }] });
/** Its timestamp authority outlives that of the other. */
const younger = makePki({ now: later(250), officers: [] });
const [asha, bimal] = pki.officers;

function verify(file: Uint8Array | string, { content, at = now }: {
  content?: Uint8Array;
  at?: Date;
} = {}) {
  return verifyBytes(typeof file === "string" ? utf8.encode(file) : file, {
    now: at,
    anchors: [pki.root.certificate, younger.root.certificate],
    certificates: [pki.ca, pki.subCa].map(({ certificate }) => certificate.der),
    revocation: "if_available",
    content: () =>
      content ? { digest: (hash) => digest(hash, content), bytes: () => content } : null,
  });
}

function told(...given: Parameters<typeof verify>): string {
  const [{ indication, findings }] = verify(...given).signatures;
  return [indication, ...findings.map(({ code }) => code)].join(" ");
}

const PASSED = "TOTAL-PASSED";
const PARTIAL = "INDETERMINATE coverage_partial";
const TOLD = "TOTAL-PASSED unsigned_ignored";

Deno.test("XML: of content in Base64 only the bytes are signed, so that nothing else may stand there", async () => {
  const signed = decode(
    signXml(asha, { kind: "enveloping", content: utf8.encode("pay 7"), mediaType: "text/plain" }),
  );
  const value = utf8.encode("pay 7").toBase64();
  const added = signed.replace(`>${value}<`, `><x:pay xmlns:x="urn:x">${value}</x:pay><`);
  // XML Signature itself has nothing against it.
  assert.equal(await xmlsec1Verify(utf8.encode(added), pki.root.certificate.der), null);
  assert.equal(told(signed), PASSED);
  assert.equal(told(added), PARTIAL);
  // The signer signed another media type beside the content.
  assert.equal(told(signed.replace(' MimeType="text/plain"', ' MimeType="text/html"')), PARTIAL);
  assert.equal(told(signed.replace(' MimeType="text/plain"', "")), PASSED);
  assert.equal(told(signed.replace(/ Encoding="[^"]*"/, ' Encoding="urn:x"')), TOLD);
  const { coverage } = verify(signed).signatures[0];
  assert.deepEqual(coverage, { extent: "whole", parts: ["text/plain"] });
});

Deno.test("XML: an instruction beside the root, as of a style sheet, is not covered by a signature over the root", async () => {
  const sheet = '<?xml-stylesheet href="http://evil.example/all.xsl"?>';
  const enveloping = decode(
    signXml(asha, { kind: "enveloping", content: utf8.encode("<a/>"), mediaType: "text/xml" }),
  );
  const byId = decode(
    await xmlsec1Sign(
      asha,
      `<order Id="all"><amount>7</amount><ds:Signature xmlns:ds="${DS}"><ds:SignedInfo>` +
        `<ds:CanonicalizationMethod Algorithm="${Transform.exclusive}"/>` +
        `<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>` +
        `<ds:Reference URI="#all"><ds:Transforms><ds:Transform Algorithm="${Transform.enveloped}"/>` +
        `</ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>` +
        `<ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo>` +
        `<ds:X509Data/></ds:KeyInfo></ds:Signature></order>`,
      { ids: ["order"] },
    ),
  );
  const plain = " signing_certificate_absent";
  for (const [signed, also] of [[enveloping, ""], [byId, plain]]) {
    assert.equal(told(signed), PASSED + also);
    assert.equal(told(signed.replace(/<(?=order|ds:Signature )/, `${sheet}$&`)), PARTIAL + also);
    assert.equal(told(signed + sheet), PARTIAL + also);
  }
  const whole = decode(signXml(asha, { kind: "enveloped", document: utf8.encode("<a/>") }));
  assert.equal(verify(sheet + whole).signatures[0].subIndication, "HASH_FAILURE");
});

Deno.test("XML: attributes, instructions and text in the unsigned parts of a signature are told", () => {
  const signed = decode(signXml(asha, { kind: "enveloped", document: utf8.encode("<a/>") }));
  const unsigned = (content: string) =>
    signed.replace(
      "</xades:SignedProperties>",
      `$&<xades:UnsignedProperties><xades:UnsignedSignatureProperties>${content}` +
        "</xades:UnsignedSignatureProperties></xades:UnsignedProperties>",
    );
  for (
    const added of [
      signed.replace("<ds:Signature ", '<ds:Signature note="pay 9000" '),
      signed.replace("<ds:KeyInfo>", '<ds:KeyInfo xmlns:x="urn:x" x:note="pay 9000">'),
      signed.replace("<ds:KeyInfo>", "$&<?pay 9000?>"),
      signed.replace("</ds:KeyInfo>", '$&<ds:Object MimeType="pay 9000"/>'),
      unsigned("<xades:CompleteCertificateRefs>pay 9000</xades:CompleteCertificateRefs>"),
      unsigned("<xades:CertificateValues>pay 9000<xades:a/></xades:CertificateValues>"),
    ]
  ) assert.equal(told(added), TOLD, added.slice(0, 100));
});

Deno.test("CMS: the signed attributes of a signature do not pass for a detached file", () => {
  const content = utf8.encode("pay 7");
  const signed = signCms(asha, { digest: digest("SHA-256", content) }, now);
  assert.equal(told(signed, { content }), PASSED);
  const { root, node, signerInfos, signers: [signer] } = readSignedData(signed);
  const stripped = sequence(
    ...signer.node.children.filter(({ tag }) => tag !== 0xa0).map(({ bytes }) => bytes),
  );
  const parts = node.children.map((part) =>
    part === signerInfos ? tlv(0x31, stripped) : part.bytes
  );
  const forged = sequence(root.children[0].bytes, tlv(0xa0, sequence(...parts)));
  const { toBeSigned } = signer.signedAttributes!;
  const [{ indication, subIndication }] = verify(forged, { content: toBeSigned }).signatures;
  assert.deepEqual([indication, subIndication], ["TOTAL-FAILED", "SIG_CRYPTO_FAILURE"]);
});

Deno.test("an archive timestamp does not vouch for a backdated one that stands beside it", async () => {
  const [stamped, at] = [later(300), later(400)]; // the older authority's certificate ends at 365
  const proven = (file: string) => {
    const [{ provenTime, timestamps }] = verify(file, { at }).signatures;
    return [provenTime, ...timestamps.map(({ indication }) => indication)];
  };
  // The authority is accurate to a second.
  const right = [
    new Date(stamped.getTime() + 1000).toISOString(),
    "INDETERMINATE",
    "TOTAL-PASSED",
  ];

  const payload = encodeBase64url(utf8.encode("{}"));
  const jws = flattened(bimal, payload);
  const covered = utf8.encode(`${payload}.${jws.protected}.${jws.signature}.`);
  const json = [timestamp(pki, covered, later(-20)), timestamp(younger, covered, stamped)];
  const arcTst = { tstTokens: json.map((token) => ({ val: token.toBase64() })) };
  assert.deepEqual(
    proven(JSON.stringify({ ...jws, header: { etsiU: [encodedJson({ arcTst })] } })),
    right,
  );

  const file = signXml(asha, { kind: "enveloped", document: utf8.encode("<a/>") });
  const target = { file, index: 0, content: () => null };
  const { imprint, complete } = xmlAugmenter.archiveTimestamp(target, "SHA-256");
  const asking = { signal: new AbortController().signal };
  const by = (each: typeof pki, time: Date) =>
    levelServices(each, time).timestamp("SHA-256", imprint, asking);
  const backdated = (await by(pki, later(-20))).toBase64();
  const xml = decode(complete(await by(younger, stamped)));
  const tag = /<(\w+:)?EncapsulatedTimeStamp[^>]*>/.exec(xml)!;
  const forged = `${tag[0]}${backdated}</${tag[1] ?? ""}EncapsulatedTimeStamp>`;
  assert.deepEqual(proven(xml.replace(tag[0], forged + tag[0])), right);

  // Nor for one in another list of properties, to which its own does not lead.
  const value = xmlAugmenter.signatureTimestamp(target, "SHA-256");
  const early = decode(
    value.complete(
      await levelServices(pki, later(-20)).timestamp("SHA-256", value.imprint, asking),
    ),
  );
  const [list] = /<(\w+:)?UnsignedProperties.*<\/\1UnsignedProperties>/s.exec(early)!;
  const lists = xml.replace("</xades:SignedProperties>", `$&${list}`);
  assert.deepEqual(proven(lists), [null, "INDETERMINATE"]);
});

Deno.test("JSON: a parameter with the name of a method of objects is like any other", () => {
  const jws = flattened(bimal, encodeBase64url(utf8.encode("{}")));
  assert.match(told(JSON.stringify({ ...jws, header: { toString: "x" } })), /^TOTAL-PASSED/);
  const critical = flattened(bimal, encodeBase64url(utf8.encode("{}")), { crit: ["toString"] });
  assert.match(told(JSON.stringify(critical)), /^TOTAL-FAILED format_wrong/);
});
