import assert from "node:assert/strict";
import { octetString, setOf } from "../formats/asn1/der.ts";
import { Oid } from "../formats/asn1/oids.ts";
import { readAsn1 } from "../formats/asn1/read.ts";
import { manifestFor } from "../formats/asic/manifest.ts";
import { encodeAttribute } from "../formats/cms/add.ts";
import { prepareSignerInfo } from "../formats/cms/signer_info.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { prepareJws } from "../formats/json/jws_write.ts";
import { encodeBase64url } from "../formats/json/jws_header.ts";
import { prepareXmlSignature } from "../formats/xml/xades.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { Content } from "./content.ts";
import type { DataHow } from "./data.ts";
import { isJwsOver, isOver, isOverFiles, isStatement } from "./to_be_signed.ts";

const [officer, stranger] = makePki({
  officers: [{ name: "Asha", key: "p-256" }, { name: "Bela", key: "p-256" }],
}).officers;
const signer = {
  certificate: officer.certificate.der,
  chain: [],
  algorithm: officer.key.algorithm,
};
const utf8 = (text: string) => new TextEncoder().encode(text);
const content = Content.json(utf8('{"amount":1}'));
const other = Content.json(utf8('{"amount":9}'));
const how = (format: string) => ({ format, hash: "SHA-256", level: "B-B" }) as DataHow;
const signingTime = new Date();

const by = { ...signer, signingTime };

const cms = prepareSignedData({ content: content.bytes }, signer, { signingTime });
const jws = prepareJws({
  ...by,
  payload: content.bytes,
  contentType: "json",
}).toBeSigned;
const xml = prepareXmlSignature({
  ...signer,
  packaging: { kind: "enveloping", content: content.bytes, mediaType: "application/json" },
}).toBeSigned;

Deno.test("a key signs what is of the kind that was asked for, over the content that was shown", () => {
  const made = { cades: cms.toBeSigned, jws, xades: xml, xmldsig: xml };
  for (const [format, toBeSigned] of Object.entries(made)) {
    assert.ok(isOver(toBeSigned, how(format), content, by), format);
    for (const [kind, foreign] of Object.entries(made)) {
      if (foreign === toBeSigned) continue;
      assert.ok(!isOver(foreign, how(format), content, by), `${kind} in place of ${format}`);
    }
  }
  assert.ok(!isOver(cms.toBeSigned, how("cades"), other, by));
  assert.ok(!isOver(jws, how("jws"), other, by));
  for (const bytes of [utf8("x.."), utf8("."), utf8(""), content.bytes, new Uint8Array(32)]) {
    for (const format of Object.keys(made)) {
      assert.ok(!isOver(bytes, how(format), content, by), format);
    }
    assert.ok(!isJwsOver(bytes, content.bytes, by, "json"));
    assert.ok(!isStatement(bytes, "00", by));
  }
});

Deno.test("signed attributes are ours to the byte, whatever else holds the digest", () => {
  const digest = content.digest("SHA-256");
  const sign = (contentDigest: Uint8Array, type: string | undefined, time = signingTime) =>
    prepareSignerInfo(signer, type, contentDigest, { signingTime: time }).toBeSigned;
  const otherType = "1.2.840.113549.1.9.16.1.4";
  assert.ok(
    isOver(sign(digest, otherType), how("cades"), content, by),
    "as those who signed before",
  );
  const forged = {
    "the digest in another attribute": setOf([
      encodeAttribute(Oid.messageDigest, octetString(other.digest("SHA-256"))),
      encodeAttribute("2.999.1", octetString(digest)),
    ]),
    "another time": sign(digest, Oid.data, new Date(0)),
    "another certificate": prepareSignerInfo(
      { ...signer, certificate: stranger.certificate.der },
      Oid.data,
      digest,
      { signingTime },
    ).toBeSigned,
    "one attribute more": setOf([
      ...readAsn1(cms.toBeSigned).children.map(({ bytes }) => bytes),
      encodeAttribute("2.999.1", octetString(digest)),
    ]),
  };
  for (const [what, bytes] of Object.entries(forged)) {
    assert.ok(!isOver(bytes, how("cades"), content, by), what);
  }
});

Deno.test("a countersignature is none over a content", () => {
  const countersign = { ...how("cades"), countersign: { signature: "", signer: [0] } } as DataHow;
  const over = (type: string | undefined) =>
    prepareSignerInfo(signer, type, other.digest("SHA-256"), { signingTime }).toBeSigned;
  assert.ok(isOver(over(undefined), countersign, content, by));
  assert.ok(!isOver(over(Oid.data), countersign, content, by));
});

Deno.test("a JWS header is ours to the byte", () => {
  const header = (more: object) => {
    const [made, payload] = new TextDecoder().decode(jws).split(".");
    const json = JSON.parse(
      new TextDecoder().decode(Uint8Array.fromBase64(made, { alphabet: "base64url" })),
    );
    return utf8(`${encodeBase64url(utf8(JSON.stringify({ ...json, ...more })))}.${payload}`);
  };
  assert.ok(isOver(header({}), how("jws"), content, by));
  for (const more of [{ b64: false, crit: ["b64"] }, { iat: 0 }, { sigD: {} }]) {
    assert.ok(!isOver(header(more), how("jws"), content, by), JSON.stringify(more));
  }
});

Deno.test("an XML signature beside its content holds its digest", () => {
  const detached = { ...how("xades"), packaging: "detached" } as DataHow;
  const { toBeSigned } = prepareXmlSignature({
    ...signer,
    packaging: {
      kind: "detached",
      files: [{
        uri: "a",
        digest: content.digest("SHA-256"),
        mediaType: "application/json",
      }],
    },
  });
  assert.ok(isOver(toBeSigned, detached, content, by));
  assert.ok(!isOver(toBeSigned, detached, other, by));
});

Deno.test("a container's signature is over all files that were shown, by their names", () => {
  const files = ["a b.txt", "b.xml"].map((name) => ({
    name,
    content: new Content(utf8(name), "text/plain"),
  }));
  const xades = { kind: "asic-e", format: "xades" } as const;
  const { toBeSigned } = prepareXmlSignature({
    ...signer,
    packaging: {
      kind: "detached",
      files: files.map(({ name, content }) => ({
        uri: encodeURIComponent(name),
        digest: content.digest("SHA-256"),
        mediaType: "text/plain",
      })),
    },
  });
  const isOver = (shown: typeof files) => isOverFiles(toBeSigned, xades, shown, "", by);
  assert.ok(isOver(files));
  const [first, second] = files;
  assert.ok(!isOver([first, { ...second, name: "c.xml" }]));
  assert.ok(!isOver([first, { ...second, content: first.content }]));

  const cades = { kind: "asic-e", format: "cades" } as const;
  const name = "META-INF/signature001.p7s";
  const entries = files.map(({ name, content }) => ({
    name,
    mediaType: content.mediaType,
    digest: () => content.digest("SHA-256"),
  }));
  const manifest = manifestFor(name, entries, "SHA-256");
  const attributes = prepareSignedData({ content: manifest }, signer, {
    signingTime: by.signingTime,
  }).toBeSigned;
  assert.ok(isOverFiles(attributes, cades, files, name, by));
  assert.ok(!isOverFiles(attributes, cades, [first], name, by));
  assert.ok(!isOverFiles(attributes, cades, files, "META-INF/signature002.p7s", by));
});

Deno.test("on a route, only a statement for its content is signed", () => {
  const statement = (value: unknown) =>
    prepareJws({
      ...by,
      payload: utf8(JSON.stringify(value)),
      contentType: "json",
    }).toBeSigned;
  const type = "dsign-route-statement-1";
  assert.ok(isStatement(statement({ type, content: "ab" }), "ab", by));
  for (const value of [{ type, content: "cd" }, { content: "ab" }, null, 7]) {
    assert.ok(!isStatement(statement(value), "ab", by), JSON.stringify(value));
  }
});
