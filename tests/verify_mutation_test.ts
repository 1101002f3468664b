/**
 * Every byte that a signature covers, in every format: changed, the verifier must not pass the file. And every byte of a
 * whole file: what still passes must say the same.
 */
import assert from "node:assert/strict";
import { readSignedData } from "../formats/cms/read.ts";
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { inspectSignatures } from "../formats/pades/inspect.ts";
import { bytesSource } from "../formats/source.ts";
import type { HashName } from "../formats/signer.ts";
import { verifyBytes } from "../formats/verify/verify.ts";
import { readMaterial } from "../formats/verify/material.ts";
import { DS } from "../formats/xml/algorithms.ts";
import { canonicalizeXml } from "../formats/xml/c14n.ts";
import { parseXml } from "../formats/xml/document.ts";
import { isSignature } from "../formats/xml/reference.ts";
import { attribute, childElements, childrenNamed, textOf } from "../formats/xml/tree.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { makeCrl } from "./fixtures/issue.ts";
import { makePki } from "./fixtures/pki.ts";
import { signPdf } from "./fixtures/sign_pdf.ts";
import {
  archiveCms,
  authorities,
  countersignCms,
  extendCms,
  makeRoute,
  signCms,
  signJws,
  signRoute,
  signXml,
  timestampCms,
} from "./fixtures/signed_files.ts";

const now = new Date();
const pki = makePki({ now, officers: [{ name: "Asha" }, { name: "Bimal" }] });
// Without the authorities' certificates there is less to change one byte at a time.
const [asha, bimal] = pki.officers.map((officer) => ({ ...officer, chain: [] }));
const material = readMaterial({
  certificates: authorities(pki).map(({ certificate }) => certificate.der),
  crls: authorities(pki).map((each) => makeCrl(each, [])),
});
const content = new TextEncoder().encode('{"amount":"1200.00","bill":7}');
const given = { digest: (hash: HashName) => digest(hash, content), bytes: () => content };

type Span = readonly [start: number, end: number];

const passes = (bytes: Uint8Array): boolean => {
  try {
    const options = { now: new Date(), anchors: [pki.root.certificate], material };
    return verifyBytes(bytes, { ...options, content: () => given }).indication === "TOTAL-PASSED";
  } catch (error) {
    assert.ok(error instanceof FormatError, String(error));
    return false;
  }
};

/** Flips a bit of each byte in the spans. */
function assertNoticed(bytes: Uint8Array, spans: readonly Span[]): void {
  assert.ok(passes(bytes), "the file itself is good");
  for (const [start, end] of spans) {
    assert.ok(start >= 0 && start < end && end <= bytes.length);
    for (let at = start; at < end; at++) {
      const changed = bytes.slice();
      changed[at] ^= 1 << (at % 7);
      assert.equal(passes(changed), false, `byte ${at} of ${start}–${end}`);
    }
  }
}

/** Positions of texts in a file. */
function spansOf(bytes: Uint8Array, pattern: RegExp): Span[] {
  const text = new TextDecoder("latin1").decode(bytes);
  const found = [...text.matchAll(pattern)].map((match) =>
    [match.index, match.index + match[0].length] as const
  );
  assert.ok(found.length > 0, String(pattern));
  return found;
}

Deno.test("CMS: changes to content, signed attributes or signature fail, of signer and countersigner", () => {
  const bytes = countersignCms(bimal, signCms(asha, { content }), 0);
  const [signer] = readSignedData(bytes).signers;
  const fields = (node: typeof signer.node) =>
    node.children.filter(({ tag }) => tag === 0xa0 || tag === 0x04)
      .map(({ start, end }): Span => [start, end]);
  // The countersignature: the value of the one unsigned attribute.
  const [, values] = signer.unsignedNode!.children[0].children;
  const [body] = spansOf(bytes, /\{"amount":"1200\.00","bill":7\}/g);
  assertNoticed(bytes, [body, ...fields(signer.node), ...fields(values.children[0])]);
});

Deno.test("CMS: changes to anything an archive timestamp covers fail when the signature depends on it", () => {
  const extended = extendCms(pki, timestampCms(pki, signCms(asha, { content }), now), now);
  const bytes = archiveCms(pki, extended, now);
  // After the authority's end only the archive timestamp holds the signature up: it covers lists and timestamps.
  const level = (changed: Uint8Array) => {
    try {
      const options = { now, anchors: [pki.root.certificate] };
      return verifyBytes(changed, options).signatures[0]?.level;
    } catch (error) {
      assert.ok(error instanceof FormatError, String(error));
      return undefined;
    }
  };
  assert.equal(level(bytes), "B-LTA");
  const { crlsNode } = readSignedData(bytes);
  for (let at = crlsNode!.children[0].start; at < crlsNode!.children[0].end; at++) {
    const changed = bytes.slice();
    changed[at] ^= 1;
    assert.notEqual(level(changed), "B-LTA", `byte ${at}`);
  }
});

Deno.test("PDF: a change to any byte outside the signature's space fails", () => {
  const bytes = signPdf(classicPdf(documentObjects()), asha, { contentsSize: 8192 });
  const [{ ranges }] = inspectSignatures(bytesSource(bytes)).signatures;
  assertNoticed(bytes, ranges.map(([offset, length]) => [offset, offset + length]));
});

Deno.test("XML: changes to content, signed information, properties or value fail", () => {
  const order = new TextEncoder().encode("<order><item>cement</item><amount>7</amount></order>");
  const bytes = signXml(asha, { kind: "enveloped", document: order });
  const parts = [
    ...spansOf(bytes, /<ds:SignedInfo>.*<\/ds:SignedInfo>/gs),
    ...spansOf(bytes, /<xades:SignedProperties .*<\/xades:SignedProperties>/gs),
    // The last characters of Base64 have bits that mean nothing.
    ...spansOf(bytes, /(?<=<ds:SignatureValue[^>]*>)[^<]+(?=[^<]{4}<)/g),
  ];
  assertNoticed(bytes, [...spansOf(bytes, /<order><item>.*?<\/amount>/g), ...parts]);
});

Deno.test("JSON: changes to payload, header or value fail, also of another's signature", () => {
  const both = signJws(bimal, { jws: signJws(asha, { payload: content }) });
  const bytes = new TextEncoder().encode(both);
  assertNoticed(bytes, spansOf(bytes, /(?<="(?:payload|protected|signature)":")[\w-]+/g));
});

Deno.test("routes: a change to any byte but the spaces that JSON allows fails", () => {
  const file = signRoute(asha, makeRoute([asha], content), content);
  const bytes = new TextEncoder().encode(file);
  assertNoticed(bytes, [[0, bytes.length]]);
});

/** The content and signers that a person would read from a file. */
function said(bytes: Uint8Array, contentOf: (bytes: Uint8Array) => string) {
  const options = { now, anchors: [pki.root.certificate], material, content: () => given };
  const { signatures } = verifyBytes(bytes, options);
  return {
    signed: signatures.map(({ signer, claimedTime, role, coverage }) => [
      contentOf(bytes),
      signer?.id,
      claimedTime,
      role,
      coverage.extent,
    ]),
    countersigners: signatures.flatMap(({ countersignatures }) =>
      countersignatures.map(({ signer }) => signer?.id)
    ).join(),
    isIgnored: signatures.some(({ findings }) =>
      findings.some(({ code }) => code === "unsigned_ignored")
    ),
  };
}

/** Flips a bit of every byte. @returns the offsets at which the file passes all the same */
function assertSaysTheSame(
  bytes: Uint8Array,
  contentOf: (bytes: Uint8Array) => string,
  [start, end]: Span = [0, bytes.length],
): number[] {
  const before = said(bytes, contentOf);
  const passed: number[] = [];
  for (let at = start; at < end; at++) {
    const changed = bytes.slice();
    changed[at] ^= 1 << (at % 7);
    if (!passes(changed)) continue;
    passed.push(at);
    const after = said(changed, contentOf);
    assert.deepEqual(after.signed, before.signed, `byte ${at}`);
    // Anybody can remove a countersignature; its remains are reported.
    assert.ok(after.countersigners === before.countersigners || after.isIgnored, `byte ${at}`);
  }
  return passed;
}

Deno.test("a CMS, XML or JSON file with any byte changed says the same if it still passes", () => {
  const cms = countersignCms(bimal, signCms(asha, { content }), 0);
  assertSaysTheSame(cms, (bytes) => {
    const pieces = readSignedData(bytes, { zeroPadded: true }).content!;
    return digest("SHA-256", ...pieces).toHex();
  });
  const order = new TextEncoder().encode(
    "<order><!-- c --><item>cement</item><amount>7</amount></order>",
  );
  const xml = signXml(asha, { kind: "enveloped", document: order });
  const passed = assertSaysTheSame(xml, (bytes) =>
    canonicalizeXml(parseXml(bytes).tree, {
      kind: "exclusive",
      withComments: false,
      omit: isSignature,
    }));
  // What stands outside of the signed canonical form: comments, an Id, white space in tags, certificates of others.
  const text = new TextDecoder().decode(xml);
  const certificates = text.indexOf("<ds:KeyInfo>");
  const outside = passed.filter((at) =>
    !(at > certificates && at < text.indexOf("</ds:KeyInfo>")) && !/[ \s]/.test(text[at])
  );
  for (const at of outside) {
    const around = text.slice(Math.max(0, at - 40), at + 40);
    assert.match(around, /<!--|Id="|DataObjectFormat|SignatureValue/, `byte ${at}: ${around}`);
  }
  // In Base64 only the content's bytes are signed, and its media type elsewhere.
  const mediaType = "text/plain";
  const enveloping = signXml(asha, { kind: "enveloping", content, mediaType });
  const at = new TextDecoder().decode(enveloping).indexOf("<ds:Object Id=");
  const span: Span = [at, at + 200];
  assertSaysTheSame(enveloping, (bytes) => {
    const { root, children } = parseXml(bytes).tree;
    const [object] = childrenNamed(root, DS, "Object");
    const type = (attribute(object, "MimeType") ?? mediaType).toLowerCase();
    const decoded = Uint8Array.fromBase64(textOf(object)).toHex();
    return [type, decoded, childElements(object).length, children.length].join();
  }, span);
  const json = new TextEncoder().encode(signJws(asha, { payload: content }));
  // Without the member's name it is detached: over the content that is given.
  const { payload } = JSON.parse(new TextDecoder().decode(json));
  assertSaysTheSame(
    json,
    (bytes) => JSON.parse(new TextDecoder().decode(bytes)).payload ?? payload,
  );
});

Deno.test("a PDF whose signature's space has any byte changed says the same if it still passes", () => {
  // All other bytes of the file are signed: the test above changes them.
  const bytes = signPdf(classicPdf(documentObjects()), asha, { contentsSize: 1920 });
  const [{ ranges: [[, start], [end]] }] = inspectSignatures(bytesSource(bytes)).signatures;
  const contentOf = (changed: Uint8Array) =>
    digest("SHA-256", changed.subarray(0, start), changed.subarray(end)).toHex();
  const passed = assertSaysTheSame(bytes, contentOf, [start, end]);
  const text = new TextDecoder("latin1").decode(bytes);
  // The case of a digit, what stands in a CMS unsigned, and the space that it leaves: never the string's ends.
  for (const at of passed) assert.match(text[at], /[0-9a-f]/, `byte ${at}`);
});
