/** Mutated XML: verify it, sign it, and verify the result. */
import assert from "node:assert/strict";
import { verifyBytes } from "../../formats/verify/verify.ts";
import { prepareXmlSignature } from "../../formats/xml/xades.ts";
import { verifyXml } from "../../formats/xml/xades_verify.ts";
import { cmsSigner, signXml } from "../fixtures/signed_files.ts";
import { libxml2WithoutSignatures } from "../fixtures/libxml2.ts";
import { attempt } from "./attempt.ts";
import { Honest, now, pkiOf, trusting } from "./honest.ts";

const pki = pkiOf({ name: "Asha" }, { name: "Bimal" });
const [asha, bimal] = pki.officers.map((officer) => ({ ...officer, chain: [] }));
const options = trusting(pki);

export const words = [
  ...["<", ">", "/>", "</", "<!--", "-->", "<![CDATA[", "]]>", "<?x ", "?>", "&", "&#13;", "&#x0;"],
  ...["&amp;", "&lt;", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;", "'", '"', "=", " xmlns=''"],
  ...[" xmlns:ds='http://www.w3.org/2000/09/xmldsig#'", " xmlns:a='b'", "a:", " Id='dsign-1'"],
  ...["<ds:Signature>", "</ds:Signature>", "<ds:Object>", "<order>", "</order>", "URI=''"],
  ...[
    "#dsign-1",
    "<ds:Transform Algorithm='",
    "xml:lang='en'",
    "\r\n",
    "\u00e9",
    "\ufeff",
    "\ud7ff",
  ],
];

const order = new TextEncoder().encode(
  "<?xml version='1.0'?><order xmlns='urn:a' xmlns:b='urn:b'><b:item n=\"1\">cement &amp; sand</b:item><!-- c --><amount>7</amount></order>",
);

const honest = new Honest(
  (bytes) => attempt(() => verifyBytes(bytes, options)),
  (bytes) => {
    const text = new TextDecoder().decode(bytes);
    const canonical = libxml2WithoutSignatures(text, { kind: "exclusive", withComments: false });
    return canonical === undefined ? "not well-formed" : canonical;
  },
);

export function seeds(): Promise<Uint8Array[]> {
  const once = signXml(asha, { kind: "enveloped", document: order });
  const signed = [
    once,
    signXml(bimal, { kind: "enveloped", document: once }),
    signXml(asha, { kind: "enveloped", document: order }, { plain: true }),
    signXml(asha, { kind: "enveloping", content: order, mediaType: "application/xml" }),
    signXml(asha, { kind: "enveloping", content: order, mediaType: "text/plain" }),
    signXml(asha, { kind: "enveloped", document: order }, { pki, stampedAt: now }),
  ];
  honest.learn(signed);
  return Promise.resolve([order, ...signed]);
}

/** @throws whatever no reader of XML may throw */
export function exercise(bytes: Uint8Array): void {
  honest.check(bytes);
  const prepared = attempt(() =>
    prepareXmlSignature({
      ...cmsSigner(asha),
      packaging: { kind: "enveloped", document: bytes },
      xades: { signingTime: now },
    })
  );
  if (!prepared) return;
  // A key would take longer than all the rest; nothing else is wrong, and the whole document is covered.
  const signed = attempt(() => prepared.complete(new Uint8Array(256)));
  if (!signed) return;
  const all = verifyXml(signed);
  const own = all[all.length - 1];
  assert.deepEqual([own.problems, own.covers[0]], [["signature_wrong"], { kind: "document" }]);
}
