import assert from "node:assert/strict";
import { prepareSignedData } from "../formats/cms/write.ts";
import { prepareJws } from "../formats/json/jws.ts";
import { prepareXmlSignature } from "../formats/xml/xades.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { Content } from "./content.ts";
import type { DataHow } from "./data.ts";
import { isJwsOver, isOver, isStatement } from "./to_be_signed.ts";

const [officer] = makePki({ officers: [{ name: "Asha", key: "p-256" }] }).officers;
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

const cms = prepareSignedData({ content: content.bytes }, signer, { signingTime }).toBeSigned;
const jws = prepareJws({ ...signer, content: { payload: content.bytes }, signingTime }).toBeSigned;
const xml = prepareXmlSignature({
  ...signer,
  packaging: { kind: "enveloping", content: content.bytes, mediaType: "application/json" },
}).toBeSigned;

Deno.test("a key signs what is of the kind that was asked for, over the content that was shown", () => {
  const made = { cades: cms, jws, xades: xml, xmldsig: xml };
  for (const [format, toBeSigned] of Object.entries(made)) {
    assert.ok(isOver(toBeSigned, how(format), content), format);
    for (const [kind, foreign] of Object.entries(made)) {
      if (foreign === toBeSigned) continue;
      assert.ok(!isOver(foreign, how(format), content), `${kind} in place of ${format}`);
    }
  }
  assert.ok(!isOver(cms, how("cades"), other));
  assert.ok(!isOver(jws, how("jws"), other));
  for (const bytes of [utf8("x.."), utf8("."), utf8(""), content.bytes, new Uint8Array(32)]) {
    for (const format of Object.keys(made)) assert.ok(!isOver(bytes, how(format), content), format);
    assert.ok(!isJwsOver(bytes, content.bytes));
    assert.ok(!isStatement(bytes, "00"));
  }
});

Deno.test("on a route, only a statement for its content is signed", () => {
  const part = (text: string) => utf8(text).toBase64({ alphabet: "base64url", omitPadding: true });
  const statement = (json: string) => utf8(`${part("{}")}.${part(json)}`);
  assert.ok(isStatement(statement('{"content":"ab"}'), "ab"));
  assert.ok(!isStatement(statement('{"content":"cd"}'), "ab"));
  assert.ok(!isStatement(statement("null"), "ab"));
  assert.ok(!isStatement(statement("nonsense"), "ab"));
});
