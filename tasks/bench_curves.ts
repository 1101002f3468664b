/**
 * `deno task bench curves`: cost against size, where the size is somebody else's to choose: signatures in a PDF, signers
 * of a CMS, entries of a CRL, bytes of an XML document, items of a batch. Cost is to grow as the size does.
 */
import process from "node:process";
import { bitString, concat, sequence, time, unsignedInteger } from "../formats/asn1/der.ts";
import { readAsn1 } from "../formats/asn1/read.ts";
import { prepareCosignature } from "../formats/cms/add.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { prepareSignature } from "../formats/pades/prepare.ts";
import { digest } from "../formats/digest.ts";
import { bytesSource } from "../formats/source.ts";
import { readMaterial } from "../formats/verify/material.ts";
import { verifyFile } from "../formats/verify/verify.ts";
import { makeCrl, type Party } from "../tests/fixtures/issue.ts";
import { signBytes } from "../tests/fixtures/keys.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { completeWith } from "../tests/fixtures/sign_pdf.ts";
import { authorities, cmsSigner, signXml } from "../tests/fixtures/signed_files.ts";
import { benchTokens, besideRaw } from "./bench_desk.ts";
import { type Curve, type Figures, growth, median } from "./bench_figures.ts";
import { cpuOf, cpuOfChildren } from "./bench_process.ts";
import { ensure } from "./setup.ts";

const ROUNDS = 3;
/** What is short is measured more often, as the collector of memory disturbs it more. */
const SHORT = 200, MORE_ROUNDS = 15;
/** The exponent of the growth: 1 is linear, 2 is quadratic. */
const LINEAR = 1.15;

/** Processor time of `work`, in milliseconds. */
function cost(work: () => unknown): number {
  const times: number[] = [];
  for (let round = 0; round < (times[0]! < SHORT ? MORE_ROUNDS : ROUNDS); round++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
  }
  return median(times);
}

/** Measures all; each curve's growth is a figure. */
export async function benchCurves(figures: Figures): Promise<void> {
  const now = new Date();
  const pki = makePki({ now, officers: [{ name: "Bench" }] });
  const [officer] = pki.officers;
  const crls = authorities(pki).map((each) => makeCrl(each, []));
  const options = { anchors: [pki.root.certificate], material: readMaterial({ crls }) };
  const add = (curve: Curve) => {
    figures.curves.push(curve);
    const last = curve.points.at(-1)!;
    figures.add(`${curve.name}, ${last.size} ${curve.unit}`, last.cost, "ms");
    figures.add(`${curve.name}: growth`, growth(curve), "", { atMost: LINEAR });
  };
  const curveOf = (name: string, unit: string): Curve => ({ name, unit, points: [] });
  const passes = (bytes: Uint8Array, content?: Uint8Array, more = options) => {
    const given = content && {
      digest: (hash: Parameters<typeof digest>[0]) => digest(hash, content),
      bytes: () => content,
    };
    const { report } = verifyFile(
      { source: bytesSource(bytes), content: () => given ?? null },
      { ...more, now: new Date() },
    );
    return report.indication === "TOTAL-PASSED";
  };
  const check = (name: string, ...file: Parameters<typeof passes>) => {
    if (!passes(...file)) throw new Error(`${name}: the signature is not TOTAL-PASSED.`);
  };

  {
    const signing = curveOf("PDF: one more signature", "signatures");
    const verifying = curveOf("PDF: all signatures verified", "signatures");
    let bytes: Uint8Array = classicPdf(documentObjects());
    let most = 0;
    for (let n = 0; n <= 200; n++) {
      if ([1, 25, 50, 100, 200].includes(n)) {
        signing.points.push({ size: n, cost: cost(() => prepareSignature(bytesSource(bytes))) });
        verifying.points.push({ size: n, cost: cost(() => passes(bytes)) });
        if (passes(bytes)) most = n;
      }
      const source = bytesSource(bytes);
      const appended = completeWith(source, prepareSignature(source), officer);
      bytes = concat(bytes, appended);
    }
    figures.add("PDF: most signatures that were all verified", most, "", { atLeast: 200 });
    add(signing);
    add(verifying);
  }

  {
    const signing = curveOf("CMS: one more signer", "signers");
    const verifying = curveOf("CMS: all signers verified", "signers");
    const content = new Uint8Array(1024).fill(97);
    const given = { digest: digest("SHA-256", content) };
    const signer = cmsSigner(officer);
    const first = prepareSignedData(given, signer, { signingTime: now });
    let cms: Uint8Array = first.complete(signBytes(officer.key, first.toBeSigned));
    for (let n = 1; n <= 1000; n++) {
      // Each at another second: two that are the same would be one.
      const signingTime = new Date(now.getTime() - n * 1000);
      const cosign = () => prepareCosignature(cms, signer, { signingTime }, given);
      if ([1, 100, 250, 500, 1000].includes(n)) {
        signing.points.push({ size: n, cost: cost(cosign) });
        verifying.points.push({ size: n, cost: cost(() => check("CMS", cms, content)) });
      }
      const prepared = cosign();
      cms = prepared.complete(signBytes(officer.key, prepared.toBeSigned));
    }
    add(signing);
    add(verifying);
  }

  {
    const curve = curveOf("CRL: read, and a signature judged by it", "MB");
    const content = new Uint8Array(1024).fill(97);
    const prepared = prepareSignedData(
      { digest: digest("SHA-256", content) },
      cmsSigner(officer),
      { signingTime: now },
    );
    const cms = prepared.complete(signBytes(officer.key, prepared.toBeSigned));
    const [issuer] = authorities(pki).slice(-1);
    for (const megabytes of [1, 5, 10, 25, 50]) {
      const crl = longCrl(issuer, megabytes * 1e6);
      const judge = () => {
        const material = readMaterial({ crls: [...crls.slice(0, -1), crl] });
        check("CRL", cms, content, { ...options, material });
      };
      curve.points.push({ size: megabytes, cost: cost(judge) });
    }
    add(curve);
  }

  {
    const curve = curveOf("XML: verified", "MB");
    const row = "<row><code>12345</code><amount>250.00</amount><to>Anita Das</to></row>\n";
    for (const megabytes of [1, 5, 10, 25, 50]) {
      const text = `<bill>\n${row.repeat(megabytes * 1e6 / row.length)}</bill>`;
      const document = new TextEncoder().encode(text);
      const signed = signXml(officer, { kind: "enveloped", document });
      curve.points.push({ size: megabytes, cost: cost(() => check("XML", signed)) });
    }
    add(curve);
  }

  await ensure("demo");
  const folder = await Deno.makeTempDir({ prefix: "dsign-bench-" });
  try {
    add(await batches(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A batch of many small files through the agent, all processes together. */
async function batches(folder: string): Promise<Curve> {
  const curve: Curve = { name: "Batch: CAdES of small files", unit: "items", points: [] };
  await besideRaw(await benchTokens(folder), folder, async ({ agent, page, certificate }) => {
    for (const size of [200, 1000, 2500, 5000, 10_000]) {
      const files = Array.from({ length: size }, (_, i) => ({
        name: `bill-${size}-${i}.txt`,
        content: new Blob([`Bill ${size}/${i}`], { type: "text/plain" }),
      }));
      const used = async () => await cpuOf(agent.pid) + await cpuOfChildren(agent.pid);
      const before = await used();
      const { left, failed } = await page.signBatch(files, { certificate, format: "cades" });
      if (left + failed > 0) throw new Error("The batch did not end well.");
      curve.points.push({ size, cost: await used() - before });
    }
  });
  return curve;
}

/** A CRL with so many bytes of entries. */
function longCrl(issuer: Party, bytes: number): Uint8Array {
  const { children: [tbs, algorithm] } = readAsn1(makeCrl(issuer, []));
  const parts = tbs!.children.map((each) => each.bytes);
  const date = time(new Date(Date.now() - 86_400_000));
  const one = (i: number) => {
    const serial = new Uint8Array(16).fill(0x41);
    new DataView(serial.buffer).setUint32(12, i);
    return sequence(unsignedInteger(serial), date);
  };
  const { length } = one(0);
  const count = Math.floor(bytes / length);
  const entries = new Uint8Array(count * length);
  for (let i = 0; i < count; i++) entries.set(one(i), i * length);
  // version, signature, issuer, thisUpdate, nextUpdate, then the entries, before the extensions
  const signed = sequence(...parts.slice(0, 5), sequence(entries), ...parts.slice(5));
  return sequence(signed, algorithm!.bytes, bitString(signBytes(issuer.key, signed)));
}
