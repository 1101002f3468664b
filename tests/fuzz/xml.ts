/** Mutated XML: verify it, sign it, and verify the result. */
import assert from "node:assert/strict";
import { verifyBytes } from "../../formats/verify/verify.ts";
import { prepareXmlSignature } from "../../formats/xml/xades.ts";
import { verifyXml } from "../../formats/xml/xades_verify.ts";
import { makePki } from "../fixtures/pki.ts";
import { cmsSigner, signXml } from "../fixtures/signed_files.ts";
import { signBytes } from "../fixtures/keys.ts";
import { attempt } from "./attempt.ts";

const now = new Date();
const pki = makePki({ now, officers: [{ name: "Asha" }, { name: "Bimal" }] });
const [asha, bimal] = pki.officers.map((officer) => ({ ...officer, chain: [] }));
const options = { now, anchors: [pki.root.certificate] };

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

export function seeds(): Promise<Uint8Array[]> {
  const once = signXml(asha, { kind: "enveloped", document: order });
  return Promise.resolve([
    order,
    once,
    signXml(bimal, { kind: "enveloped", document: once }),
    signXml(asha, { kind: "enveloped", document: order }, { plain: true }),
    signXml(asha, { kind: "enveloping", content: order, mediaType: "application/xml" }),
    signXml(asha, { kind: "enveloping", content: order, mediaType: "text/plain" }),
    signXml(asha, { kind: "enveloped", document: order }, { pki, stampedAt: now }),
  ]);
}

/** @throws whatever no reader of XML may throw */
export function exercise(bytes: Uint8Array): void {
  attempt(() => verifyBytes(bytes, options));
  const prepared = attempt(() =>
    prepareXmlSignature({
      ...cmsSigner(asha),
      packaging: { kind: "enveloped", document: bytes },
      xades: { signingTime: now },
    })
  );
  if (!prepared) return;
  const signed = attempt(() => prepared.complete(signBytes(asha.key, prepared.toBeSigned)));
  if (!signed) return;
  // The signature is valid, and covers the whole document.
  const all = verifyXml(signed);
  const own = all[all.length - 1];
  assert.deepEqual([own.problems, own.covers[0]], [[], { kind: "document" }]);
}
