/**
 * `deno task bench peers`: the same PDF of 50 KB, signed and verified in one process that is warm, by D-Sign's library and
 * by others: @libpdf/core, and pyHanko where DSIGN_TEST_PYTHON (or python3) has it. Key in memory, RSA-2048, no timestamp.
 * `bench verify` has EU DSS, OpenSSL and pdfsig.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { PDF } from "@libpdf/core";
import { pem } from "../formats/asn1/pem.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { prepareSignature, signedBytes } from "../formats/pades/prepare.ts";
import { bytesSource } from "../formats/source.ts";
import { readMaterial } from "../formats/verify/material.ts";
import { verifyFile } from "../formats/verify/verify.ts";
import { makeCrl } from "../tests/fixtures/issue.ts";
import { signBytes } from "../tests/fixtures/keys.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { python } from "../tests/fixtures/python.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";
import { authorities, cmsSigner } from "../tests/fixtures/signed_files.ts";
import { type Figures, median, timed } from "./bench_figures.ts";
import { SAMPLES, writeSample } from "./bench_pdf.ts";

const ROUNDS = 60;

/** Milliseconds; the first half warms up. */
async function once(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) times.push(await timed(work));
  return median(times.slice(ROUNDS / 2));
}

/** Measures all that are here, and names what is not. */
export async function benchPeers(figures: Figures): Promise<void> {
  const now = new Date();
  const pki = makePki({ now, officers: [{ name: "Bench" }] });
  const [officer] = pki.officers;
  const { certificate, chain, key } = officer!;
  const crls = authorities(pki).map((each) => makeCrl(each, []));
  const options = { now, anchors: [pki.root.certificate], material: readMaterial({ crls }) };
  const folder = await Deno.makeTempDir({ prefix: "dsign_bench_" });
  try {
    const path = (name: string) => join(folder, name);
    writeSample(path("a.pdf"), SAMPLES[0]!);
    const document = await Deno.readFile(path("a.pdf"));
    const signed = signPdf(document, officer!);
    const passes = (bytes: Uint8Array) =>
      verifyFile({ source: bytesSource(bytes) }, options).report.indication === "TOTAL-PASSED";
    const verify = (bytes: Uint8Array) => {
      if (!passes(bytes)) throw new Error("The signature is not TOTAL-PASSED.");
      return Promise.resolve();
    };
    const ours = () => {
      const source = bytesSource(document);
      const prepared = prepareSignature(source);
      const hash = createHash("sha256");
      for (const piece of signedBytes(source, prepared)) hash.update(piece);
      const cms = prepareSignedData({ digest: hash.digest() }, cmsSigner(officer!));
      return Promise.resolve(prepared.complete(cms.complete(signBytes(key, cms.toBeSigned))));
    };
    figures.add("signed, ours", await once(ours), "ms");
    const libpdf = async () => {
      const pdf = await PDF.load(document);
      const signer = {
        certificate: certificate.der,
        certificateChain: [...chain],
        keyType: "RSA" as const,
        signatureAlgorithm: "RSASSA-PKCS1-v1_5" as const,
        sign: (data: Uint8Array) => Promise.resolve(signBytes(key, data)),
      };
      return (await pdf.sign({ signer })).bytes;
    };
    await verify(await libpdf());
    figures.add("signed, @libpdf/core", await once(libpdf), "ms");
    figures.add("verified, ours", await once(() => verify(signed)), "ms");

    await Deno.writeFile(path("signed.pdf"), signed);
    await Deno.writeTextFile(path("key.pem"), pem("PRIVATE KEY", key.pkcs8));
    const certificates = { certificate: certificate.der, root: pki.root.certificate.der };
    for (const [name, der] of Object.entries(certificates)) {
      await Deno.writeTextFile(path(`${name}.pem`), pem("CERTIFICATE", der));
    }
    await Deno.writeTextFile(
      path("chain.pem"),
      chain.map((der) => pem("CERTIFICATE", der)).join(""),
    );
    for (const [i, der] of crls.entries()) await Deno.writeFile(path(`${i}.crl`), der);
    const script = new URL("bench_peers.py", import.meta.url).pathname;
    const { code, stdout, stderr } = await python(script, folder, String(ROUNDS));
    if (code !== 0) {
      console.error(`pyHanko is not compared with: ${stderr.trim().split("\n").at(-1)}`);
      return;
    }
    for (const [name, times] of Object.entries<number[]>(JSON.parse(stdout))) {
      figures.add(`${name}, pyHanko`, median(times.slice(ROUNDS / 2)), "ms");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
