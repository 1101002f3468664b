import assert from "node:assert/strict";
import { concat } from "../formats/asn1/der.ts";
import { pem } from "../formats/asn1/pem.ts";
import type { DigestName } from "../formats/signer.ts";
import { keyPurposes } from "../formats/x509/extensions.ts";
import { digest } from "../formats/digest.ts";
import { readMaterial } from "../formats/verify/material.ts";
import { verifyBytes } from "../formats/verify/verify.ts";
import { dsign, environment } from "../tests/fixtures/cli.ts";
import { extKeyUsage, keyUsage } from "../tests/fixtures/extensions.ts";
import { issue, makeCrl } from "../tests/fixtures/issue.ts";
import { makeKey } from "../tests/fixtures/keys.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { makePki, type Pki } from "../tests/fixtures/pki.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";
import {
  authorities,
  levelServices,
  raiseFile,
  signCms,
  signJws,
  signXml,
} from "../tests/fixtures/signed_files.ts";
import { xmlsec1Sign } from "../tests/fixtures/xmlsec1.ts";
import { bytesSource } from "../formats/source.ts";
import { augment } from "./augment.ts";

const DAY = 24 * 3600 * 1000;
const utf8 = new TextEncoder();
const start = new Date("2026-11-30T10:00:00Z");
const after = (days: number) => new Date(start.getTime() + days * DAY);
const YEAR = 365;

/** A PKI of this time, whose timestamp authority's certificate is valid for six years. */
function at(now: Date): Pki {
  const newKey = () => makeKey("p-256");
  const pki = makePki({ now, newKey, officers: [{ name: "Asha", key: "p-256" }] });
  const timestampAuthority = issue({
    subject: [["CN", "Timestamp authority (TEST)"]],
    issuer: pki.subCa,
    key: newKey(),
    notBefore: new Date(now.getTime() - DAY),
    notAfter: new Date(now.getTime() + 6 * YEAR * DAY),
    extensions: [keyUsage("digitalSignature"), extKeyUsage([keyPurposes.timeStamping], true)],
  });
  return { ...pki, timestampAuthority };
}

const first = at(start);
const [asha] = first.officers;
const content = utf8.encode('{"bill":7}');
const order = utf8.encode("<order><amount>7</amount></order>");
const never = new AbortController().signal;

const FILES: Record<string, { bytes: Uint8Array; content?: Uint8Array }> = {
  CMS: { bytes: signCms(asha, { content }, start) },
  "detached CMS": { bytes: signCms(asha, { digest: digest("SHA-256", content) }, start), content },
  XML: { bytes: signXml(asha, { kind: "enveloped", document: order }) },
  JSON: { bytes: utf8.encode(signJws(asha, { payload: content })) },
  PDF: { bytes: signPdf(classicPdf(documentObjects()), asha, { time: start }) },
};

/** Roots of every year are trusted; of the newest timestamp's authority there is word from outside, as `--online` brings. */
function verdict(bytes: Uint8Array, now: Date, pkis: readonly Pki[], given?: Uint8Array): string {
  const material = readMaterial({
    crls: authorities(pkis.at(-1)!).map((each) => makeCrl(each, [], { now })),
  });
  const { signatures: [{ indication, level }] } = verifyBytes(bytes, {
    now,
    anchors: pkis.map(({ root }) => root.certificate),
    material,
    content: () => given ? { digest: (hash) => digest(hash, given), bytes: () => given } : null,
  });
  return `${indication} ${level}`;
}

/** Renews the archive timestamp at `now`, by the authority of `newer`. */
async function renewed(
  file: Uint8Array,
  older: Pki,
  newer: Pki,
  now: Date,
  content?: Uint8Array,
): Promise<Uint8Array> {
  // The data for the older timestamp is that of its own authority, which the new one then covers.
  const { validationData } = levelServices(older, now);
  const given = content && {
    digest: (hash: DigestName) => digest(hash, content),
    bytes: () => content,
  };
  const raised = await augment(
    { source: bytesSource(file), content: () => given ?? null },
    { level: "B-LTA", which: "all" },
    { ...levelServices(newer, now), validationData },
    never,
  );
  return "file" in raised ? raised.file : concat(file, raised.appended);
}

for (const [name, { bytes, content }] of Object.entries(FILES)) {
  Deno.test(`${name} at B-LTA, renewed in time, outlives signer, timestamp authorities and CA by their expiry`, async () => {
    let file = await raiseFile(first, bytes, "B-LTA", start, content);
    const pkis = [first];
    assert.equal(verdict(file, after(1), pkis, content), "TOTAL-PASSED B-LTA");
    // Not renewed, it ends with the timestamp authority's certificate.
    assert.equal(verdict(file, after(5 * YEAR), pkis, content), "TOTAL-PASSED B-LTA");
    assert.equal(verdict(file, after(7 * YEAR), pkis, content), "INDETERMINATE B-B");
    for (const years of [5, 10]) {
      const now = after(years * YEAR);
      pkis.push(at(now));
      const [older, newer] = pkis.slice(-2);
      file = await renewed(file, older!, newer!, now, content);
    }
    const late = after(15 * YEAR);
    assert.ok(first.ca.certificate.notAfter < late, "the CA has expired too");
    assert.equal(verdict(file, late, pkis, content), "TOTAL-PASSED B-LTA");
    assert.match(verdict(file, after(17 * YEAR), pkis, content), /^INDETERMINATE/);
  });
}

Deno.test("dsign verify, on a clock moved by years, passes what was renewed in time and tells what was not", () =>
  inTempDir(async (dir) => {
    const second = at(after(5 * YEAR));
    const file = await raiseFile(first, FILES.PDF.bytes, "B-LTA", start);
    await Deno.writeFile(`${dir}/old.pdf`, file as Uint8Array<ArrayBuffer>);
    const newer = await renewed(file, first, second, after(5 * YEAR));
    await Deno.writeFile(`${dir}/renewed.pdf`, newer as Uint8Array<ArrayBuffer>);
    const roots = [first, second].map(({ root }) => pem("CERTIFICATE", root.certificate.der));
    await Deno.writeTextFile(`${dir}/roots.pem`, roots.join(""));
    const trusted = ["--trust", `${dir}/roots.pem`];
    const verdictOf = async (name: string, years: number) => {
      const clock = after(years * YEAR).toISOString().slice(0, 19).replace("T", " ");
      const { stdout, stderr } = await dsign(
        ["verify", `${dir}/${name}`, "--json", "--revocation", "if-available", ...trusted],
        { ...environment(dir), TZ: "UTC" },
        ["faketime", "-f", `@${clock}`],
      );
      assert.notEqual(stdout, "", stderr);
      const { files: [{ signatures: [{ indication, level }] }] } = JSON.parse(stdout);
      return `${indication} ${level}`;
    };
    assert.equal(await verdictOf("old.pdf", 5), "TOTAL-PASSED B-LTA");
    assert.equal(await verdictOf("old.pdf", 7), "INDETERMINATE B-B");
    assert.equal(await verdictOf("renewed.pdf", 10), "TOTAL-PASSED B-LTA");
    assert.match(await verdictOf("renewed.pdf", 12), /^INDETERMINATE/);
  }));

Deno.test("a service that lies, or is gone, ends it with a typed error", async () => {
  const source = bytesSource(FILES.CMS.bytes);
  const other = levelServices(first, start);
  const lying = {
    ...other,
    timestamp: (hash: "SHA-256") => other.timestamp(hash, digest(hash, order), { signal: never }),
  };
  const raise = (services: typeof other) =>
    augment({ source }, { level: "B-T", which: "all" }, services, never);
  await assert.rejects(raise(lying as typeof other), { code: "signature_invalid" });
  const gone = { ...other, timestamp: () => Promise.reject(new Error("gone")) };
  await assert.rejects(raise(gone), /gone/);
});

Deno.test("a signature that another one covers is left alone", async () => {
  // XML Signature's own transform leaves out one signature only: this one covers all within the document before it.
  const ds = "http://www.w3.org/2000/09/xmldsig#";
  const transform = `<ds:Transform Algorithm="${ds}enveloped-signature"/>`;
  const template = `<bill><ds:Signature xmlns:ds="${ds}"><ds:SignedInfo>` +
    `<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>` +
    `<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>` +
    `<ds:Reference URI=""><ds:Transforms>${transform}</ds:Transforms>` +
    `<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/>` +
    `</ds:Reference></ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data/></ds:KeyInfo>` +
    `</ds:Signature>INNER</bill>`;
  const { officers: [rina] } = makePki({ now: start, officers: [{ name: "Rina" }] });
  const packaging = { kind: "enveloping", content: order, mediaType: "text/xml" } as const;
  const inner = new TextDecoder().decode(signXml(asha, packaging)).replace(/^<\?xml.*\n/, "");
  const source = bytesSource(await xmlsec1Sign(rina, template.replace("INNER", inner)));
  const { validationData, timestamp } = levelServices(first, start);
  await assert.rejects(
    augment({ source }, { level: "B-T", which: "last" }, { validationData, timestamp }, never),
    { code: "document_locked" },
  );
});
