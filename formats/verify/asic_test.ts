/** Containers; those that EU DSS makes and judges are tried by `deno task interop ades`. */
import assert from "node:assert/strict";
import { makePki } from "../../tests/fixtures/pki.ts";
import { signBytes } from "../../tests/fixtures/keys.ts";
import {
  extendCms,
  raiseFile,
  signAsic,
  signCms,
  signXml,
  timestamp,
  timestampCms,
} from "../../tests/fixtures/signed_files.ts";
import { readContainer, withFiles } from "../asic/container.ts";
import { listSignature, startContainer } from "../asic/make.ts";
import { manifestFor } from "../asic/manifest.ts";
import { dosTime, writeZip } from "../asic/zip.ts";
import { digest } from "../digest.ts";
import { canonicalizeXml } from "../xml/c14n.ts";
import { parseXml } from "../xml/document.ts";
import { verifyBytes } from "./verify.ts";

const now = new Date();
const utf8 = new TextEncoder();
const pki = makePki({ now, officers: [{ name: "Asha" }, { name: "Bimal", key: "p-256" }] });
const [asha, bimal] = pki.officers;
const files = [
  { name: "order 7.txt", bytes: utf8.encode("Pay 7\n"), mediaType: "text/plain" },
  { name: "plans/b.xml", bytes: utf8.encode("<a/>"), mediaType: "text/xml" },
];

function told(bytes: Uint8Array): string[] {
  const options = { now, anchors: [pki.root.certificate], revocation: "if_available" } as const;
  return verifyBytes(bytes, options).signatures.map(({ indication, level, findings }) =>
    [indication, ...level ? [level] : [], ...findings.map(({ code }) => code)].join(" ")
  );
}

for (const format of ["cades", "xades"] as const) {
  Deno.test(`ASiC-E with ${format}: every file is covered, and what is changed, added or removed is told`, async () => {
    const how = { kind: "asic-e", format, level: "B-B" } as const;
    const once = await signAsic(pki, asha, { files }, how, now);
    const both = await signAsic(pki, bimal, { container: once }, how, now);
    assert.deepEqual(told(both), ["TOTAL-PASSED B-B", "TOTAL-PASSED B-B"]);
    const container = readContainer(both);
    const changed = withFiles(container, [{ name: "plans/b.xml", bytes: utf8.encode("<b/>") }]);
    const wrong = "TOTAL-FAILED content_changed";
    assert.deepEqual(told(changed), [wrong, wrong]);
    const added = withFiles(container, [{ name: "c.txt", bytes: utf8.encode("Pay 9\n") }]);
    const partial = "INDETERMINATE B-B coverage_partial";
    assert.deepEqual(told(added), [partial, partial]);
    const beside = withFiles(container, [{ name: "META-INF/note.txt", bytes: utf8.encode("9\n") }]);
    const noted = "TOTAL-PASSED B-B unsigned_ignored";
    assert.deepEqual(told(beside), [noted, noted]);
    const removed = writeZip(container.entries.filter(({ name }) => name !== "plans/b.xml"));
    const absent = "INDETERMINATE B-B content_missing";
    assert.deepEqual(told(removed), [absent, absent]);
    const lasting = await raiseFile(pki, both, "B-LTA", now);
    assert.deepEqual(told(lasting), ["TOTAL-PASSED B-LTA", "TOTAL-PASSED B-LTA"]);
    const kept = readContainer(lasting).data;
    for (const { name, bytes } of files) assert.deepEqual(kept.get(name), bytes);
  });

  Deno.test(`ASiC-S with ${format}: one file, signed by several one after the other`, async () => {
    const how = { kind: "asic-s", format, level: "B-T" } as const;
    const once = await signAsic(pki, asha, { files: files.slice(0, 1) }, how, now);
    const both = await signAsic(pki, bimal, { container: once }, how, now);
    assert.deepEqual(told(both).toSorted(), ["TOTAL-PASSED B-T", "TOTAL-PASSED B-T"]);
    const two = signAsic(pki, asha, { files }, how, now);
    await assert.rejects(two, { code: "invalid_params" });
  });
}

Deno.test("the type comes first, and is one that is known", async () => {
  const how = { kind: "asic-e", format: "cades", level: "B-B" } as const;
  const { entries } = readContainer(await signAsic(pki, asha, { files }, how, now));
  const [type, ...others] = entries;
  const other = { ...type, bytes: utf8.encode("application/epub+zip"), packed: undefined };
  for (const all of [[...others, type], [other, ...others]]) {
    assert.throws(() => readContainer(writeZip(all)), { code: "container_malformed" });
  }
});

Deno.test("a container in a container is a file like any other", async () => {
  const how = { kind: "asic-e", format: "cades", level: "B-B" } as const;
  const inner = await signAsic(pki, asha, { files }, how, now);
  const mediaType = "application/vnd.etsi.asic-e+zip";
  const nested = [{ name: "inner.asice", bytes: inner, mediaType }];
  for (const format of ["cades", "xades"] as const) {
    const outer = { kind: "asic-s", format, level: "B-T" } as const;
    const signed = await signAsic(pki, bimal, { files: nested }, outer, now);
    assert.deepEqual(told(signed), ["TOTAL-PASSED B-T"]);
    assert.deepEqual(readContainer(signed).data.get("inner.asice"), inner);
  }
});

/** A container that somebody made of files and of signatures that were given for other things. */
function forge(
  kind: "asic-s" | "asic-e",
  names: readonly string[],
  meta: Record<string, Uint8Array>,
): Uint8Array {
  const forged = names.map((name) => ({ name, bytes: FORGED }));
  const container = startContainer(kind, forged, now);
  return withFiles(container, Object.entries(meta).map(([name, bytes]) => ({ name, bytes })));
}
const FORGED = utf8.encode("Pay 9000\n");

/** A manifest over files of the same content. */
const manifest = (of: string, names: readonly string[], bytes = FORGED) =>
  manifestFor(
    of,
    names.map((name) => ({ name, mediaType: "text/plain", digest: (hash) => digest(hash, bytes) })),
    "SHA-256",
  );

Deno.test("a signature that holds its content does not pass for the files of a container", () => {
  const partial = ["INDETERMINATE B-B coverage_partial"];
  const cms = signCms(asha, { content: utf8.encode("Pay 7\n") });
  const name = "META-INF/signature001.p7s";
  const xmlName = "META-INF/signatures.xml";
  for (const kind of ["asic-s", "asic-e"] as const) {
    assert.deepEqual(told(forge(kind, ["a.txt"], { [name]: cms })), partial);
    const right = signCms(asha, { content: FORGED });
    assert.deepEqual(told(forge(kind, ["a.txt"], { [name]: right })), ["TOTAL-PASSED B-B"]);
    const document = signXml(asha, { kind: "enveloped", document: utf8.encode("<pay>7</pay>") });
    // Named as the report names what such a signature covers.
    assert.deepEqual(told(forge(kind, ["the document"], { [xmlName]: document })), partial);
    const mediaType = "a.txt";
    const held = signXml(asha, { kind: "enveloping", content: utf8.encode("7"), mediaType });
    assert.deepEqual(told(forge(kind, ["a.txt"], { [xmlName]: held })), partial);
    const listed = listSignature(undefined, held);
    assert.deepEqual(told(forge(kind, ["a.txt"], { [xmlName]: listed })), partial);
  }
  const listed = { [name]: cms, "META-INF/ASiCManifest001.xml": manifest(name, ["a.txt"]) };
  assert.deepEqual(told(forge("asic-e", ["a.txt"], listed)), partial);
  assert.deepEqual(told(forge("asic-e", ["a.txt", "b.txt"], { [name]: cms })), partial);
});

Deno.test("manifests and timestamps in a container that belong to no signature are told", async () => {
  const how = { kind: "asic-e", format: "cades", level: "B-B" } as const;
  const signed = readContainer(await signAsic(pki, asha, { files }, how, now));
  const [name] = signed.cades.keys();
  const stamp = "META-INF/timestamp001.tst";
  const token = timestamp(pki, FORGED, now);
  for (
    const added of [
      { "META-INF/ASiCManifest998.xml": manifest(name, ["b.txt"]) }, // a second one
      { "META-INF/ASiCManifest999.xml": manifest("META-INF/signature9.p7s", ["b.txt"]) },
      { [stamp]: token },
      { "META-INF/signatures9.xml": utf8.encode("<pay>9000</pay>") },
      { [stamp]: token, "META-INF/ASiCArchiveManifest.xml": manifest(stamp, ["plans/b.xml"]) },
    ]
  ) {
    const more = Object.entries(added).map(([name, bytes]) => ({ name, bytes }));
    assert.deepEqual(told(withFiles(signed, more)), ["TOTAL-PASSED B-B unsigned_ignored"]);
  }
});

Deno.test("an archive timestamp makes B-LTA if it is over all that the signature rests on", () => {
  const name = "META-INF/signature.p7s";
  const stamp = "META-INF/timestamp001.tst";
  const cms = extendCms(
    pki,
    timestampCms(pki, signCms(asha, { digest: digest("SHA-256", FORGED) }), now),
    now,
  );
  const over = (names: readonly string[]) => {
    const entries = names.map((each) => ({
      name: each,
      mediaType: "text/plain",
      digest: (hash: Parameters<typeof digest>[0]) => digest(hash, each === name ? cms : FORGED),
    }));
    const list = manifestFor(stamp, entries, "SHA-256");
    const archive = {
      "META-INF/ASiCArchiveManifest.xml": list,
      [stamp]: timestamp(pki, list, now),
    };
    return told(forge("asic-s", ["a.txt"], { [name]: cms, ...archive }));
  };
  assert.deepEqual(over([name, "a.txt"]), ["TOTAL-PASSED B-LTA"]);
  assert.deepEqual(over([name]), ["TOTAL-PASSED B-LT"]);
});

Deno.test("OpenDocument as LibreOffice signs it: files in canonical form, and a property with the time", () => {
  const ds = "http://www.w3.org/2000/09/xmldsig#";
  const c14n = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
  const sha256 = "http://www.w3.org/2001/04/xmlenc#sha256";
  const data = {
    mimetype: utf8.encode("application/vnd.oasis.opendocument.text"),
    "content.xml": utf8.encode(`<?xml version="1.0"?>\n<c b='2' a="1">Pay 7</c>`),
    "Pictures/1.png": Uint8Array.of(1, 2, 3),
    "META-INF/manifest.xml": utf8.encode("<manifest/>"),
  };
  const reference = (uri: string, octets: Uint8Array, isXml: boolean) =>
    `<Reference URI="${uri}">${
      isXml ? `<Transforms><Transform Algorithm="${c14n}"></Transform></Transforms>` : ""
    }<DigestMethod Algorithm="${sha256}"></DigestMethod>` +
    `<DigestValue>${digest("SHA-256", octets).toBase64()}</DigestValue></Reference>`;
  const canonical = (bytes: Uint8Array) =>
    utf8.encode(canonicalizeXml(parseXml(bytes).tree, { kind: "inclusive", withComments: false }));
  const property = (namespace: string) =>
    `<SignatureProperty${namespace} Id="ID_2" Target="#ID_1"><dc:date ` +
    `xmlns:dc="http://purl.org/dc/elements/1.1/">2026-11-30T12:00:00</dc:date></SignatureProperty>`;
  const info = (namespace: string) =>
    `<SignedInfo${namespace}><CanonicalizationMethod Algorithm="${c14n}"></CanonicalizationMethod>` +
    `<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256">` +
    `</SignatureMethod>` +
    Object.entries(data).map(([name, bytes]) =>
      name.endsWith(".xml")
        ? reference(name, canonical(bytes), true)
        : reference(name, bytes, false)
    ).join("") +
    reference("#ID_2", utf8.encode(property(` xmlns="${ds}"`)), true) + `</SignedInfo>`;
  const value = signBytes(asha.key, utf8.encode(info(` xmlns="${ds}"`))).toBase64();
  const certificates = [asha.certificate.der, ...asha.chain]
    .map((der) => `<X509Certificate>${der.toBase64()}</X509Certificate>`).join("");
  const signatures = `<?xml version="1.0" encoding="UTF-8"?>\n<document-signatures ` +
    `xmlns="urn:oasis:names:tc:opendocument:xmlns:digitalsignature:1.0" version="1.2">` +
    `<Signature xmlns="${ds}" Id="ID_1">${info("")}<SignatureValue>${value}</SignatureValue>` +
    `<KeyInfo><X509Data>${certificates}</X509Data></KeyInfo><Object><SignatureProperties>` +
    `${property("")}</SignatureProperties></Object></Signature></document-signatures>`;
  const time = dosTime(now);
  const entries = Object.entries({
    ...data,
    "META-INF/documentsignatures.xml": utf8.encode(signatures),
  }).map(([name, bytes]) => ({ name, bytes, time }));
  const signed = writeZip(entries);
  // Its signatures name no certificate among what is signed: no baseline level.
  assert.deepEqual(told(signed), ["TOTAL-PASSED signing_certificate_absent"]);
  const container = readContainer(signed);
  const put = (name: string, text: string) =>
    told(withFiles(container, [{ name, bytes: utf8.encode(text) }]))[0];
  assert.match(put("content.xml", "<c>Pay 9</c>"), /^TOTAL-FAILED content_changed/);
  assert.match(put("Pictures/2.png", "x"), /^INDETERMINATE .*coverage_partial/);
});
