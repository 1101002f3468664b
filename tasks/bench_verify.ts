/** `deno task bench verify`: signatures verified a second, against other programs and the bare RSA operation. */
import { join } from "node:path";
import { digest } from "../formats/digest.ts";
import { withMlDsa } from "../formats/keys/ml_dsa.ts";
import { readPublicKey } from "../formats/keys/public_key.ts";
import { bytesSource } from "../formats/source.ts";
import { verifySignature } from "../formats/x509/signature.ts";
import { verifyFile, type VerifyOptions } from "../formats/verify/verify.ts";
import { readMaterial } from "../formats/verify/material.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { makeCrl } from "../tests/fixtures/issue.ts";
import { pem } from "../formats/asn1/pem.ts";
import { makeKey, signBytes } from "../tests/fixtures/keys.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";
import {
  authorities,
  signCms,
  signJws,
  signXml,
  timestampCms,
} from "../tests/fixtures/signed_files.ts";
import { type Figures, median, timed } from "./bench_figures.ts";
import { prepareDss, validate } from "./interop/dss.ts";

const ROUNDS = 5;
const MILLISECONDS = 400;

/** How often a second `work` is done; the median of some rounds, after one that warms up. */
function rate(work: () => void): number {
  const rounds = Array.from({ length: ROUNDS + 1 }, () => {
    const start = performance.now();
    let count = 0;
    for (; performance.now() - start < MILLISECONDS; count++) work();
    return count / ((performance.now() - start) / 1000);
  });
  return median(rounds.slice(1));
}

/** Verifications a second by a program that is started for each. */
async function rateOf(program: string, args: string[]): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i <= ROUNDS; i++) {
    times.push(
      await timed(async () => {
        const { success, stderr } = await new Deno.Command(program, { args }).output();
        if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
      }),
    );
  }
  return 1000 / median(times.slice(1));
}

/**
 * Measures; keys are RSA-2048 unless named otherwise, chains have three certificates, revocation is looked up in given CRLs;
 * the signatures of authorities are known after the first file.
 */
export async function benchVerify(figures: Figures): Promise<void> {
  const now = new Date();
  const pki = makePki({ now, officers: [{ name: "Bench" }] });
  const [officer] = pki.officers;
  const content = new Uint8Array(1024).fill(97);
  const options: VerifyOptions = {
    now,
    anchors: [pki.root.certificate],
    material: readMaterial({ crls: authorities(pki).map((each) => makeCrl(each, [])) }),
  };
  const detached = { digest: digest("SHA-256", content) };
  const order = new TextEncoder().encode("<order><amount>7</amount></order>");
  const files: Record<string, Uint8Array> = {
    "CMS (CAdES B-B, detached)": signCms(officer, detached),
    "CMS (CAdES B-T, detached)": timestampCms(pki, signCms(officer, detached), now),
    "PDF (PAdES B-B)": signPdf(classicPdf(documentObjects()), officer),
    "XML (XAdES B-B)": signXml(officer, { kind: "enveloped", document: order }),
    "JSON (JAdES B-B)": new TextEncoder().encode(signJws(officer, { payload: content })),
  };
  const given = () => ({
    digest: (hash: Parameters<typeof digest>[0]) => digest(hash, content),
    bytes: () => content,
  });
  for (const [name, bytes] of Object.entries(files)) {
    const verify = () => verifyFile({ source: bytesSource(bytes), content: given }, options).report;
    const { indication } = verify();
    if (indication !== "TOTAL-PASSED") throw new Error(`${name}: ${indication}`);
    figures.add(name, rate(verify), "/s");
  }
  const { algorithm } = officer.key;
  const signature = signBytes(officer.key, content);
  const { publicKey } = officer.certificate;
  const input = { message: content };
  figures.add(
    "one RSA-2048 verification, ours",
    rate(() => verifySignature(publicKey, algorithm, input, signature)),
    "/s",
  );

  for (const type of ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] as const) {
    const { publicKey, algorithm, sign } = makeKey(type);
    const key = readPublicKey(publicKey);
    const signature = sign!(content);
    const verify = () => verifySignature(key, algorithm, input, signature);
    if (!await withMlDsa(verify)) throw new Error(`${type}: the signature is refused.`);
    figures.add(`one ${algorithm.scheme} verification, ours`, rate(verify), "/s");
  }

  const dir = await Deno.makeTempDir({ prefix: "dsign_bench_" });
  try {
    const path = (name: string) => join(dir, name);
    await Deno.writeFile(path("a.p7s"), files["CMS (CAdES B-B, detached)"]);
    await Deno.writeFile(path("a"), content);
    await Deno.writeFile(path("a.pdf"), files["PDF (PAdES B-B)"]);
    const { root } = pki;
    await Deno.writeTextFile(path("root.pem"), pem("CERTIFICATE", root.certificate.der));
    figures.add(
      "openssl cms -verify, a process each (no revocation)",
      await rateOf("openssl", [
        ...["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", path("a.p7s")],
        ...["-content", path("a"), "-CAfile", path("root.pem"), "-purpose", "any"],
        ...["-out", path("out")],
      ]),
      "/s",
    );
    figures.add(
      "pdfsig -nocert, a process each (no trust, no revocation)",
      await rateOf("pdfsig", ["-nocert", path("a.pdf")]),
      "/s",
    );
    figures.add("one RSA-2048 verification, openssl speed", await opensslSpeed(), "/s");
    await benchDss(figures, files, { dir, content, root: path("root.pem") });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A warm EU DSS on the same files in the same run, if available; ours must be fifteen times as fast. */
async function benchDss(
  figures: Figures,
  files: Record<string, Uint8Array>,
  { dir, content, root }: { dir: string; content: Uint8Array; root: string },
): Promise<void> {
  const dss = await prepareDss(Deno.env.get("DSIGN_DSS"), dir);
  if (typeof dss === "string") {
    console.log(`skipped: EU DSS (${dss})`);
    return;
  }
  await Deno.writeFile(join(dir, "content"), content);
  const names = Object.keys(files);
  const lines: string[] = [];
  for (const [index, name] of names.entries()) {
    const file = `dss-${index}.${/^CMS/.test(name) ? "p7s" : name.slice(0, 3).toLowerCase()}`;
    await Deno.writeFile(join(dir, file), files[name]);
    lines.push(name.includes("detached") ? `${file}\tcontent` : file);
  }
  const list = join(dir, "list.tsv");
  await Deno.writeTextFile(list, Array(DSS_ROUNDS).fill(lines.join("\n")).join("\n") + "\n");
  const verdicts = await validate(dss, root, list);
  for (const [index, name] of names.entries()) {
    const times = verdicts.filter((_, at) => at % names.length === index).map(({ ms }) => ms);
    // The first half warms the virtual machine up.
    const rate = 1000 / median(times.slice(times.length / 2));
    figures.add(`${name}, EU DSS`, rate, "/s");
    figures.add(`${name}, ours to EU DSS`, figures.value(name) / rate, "times", {
      atLeast: 15,
    });
  }
}

const DSS_ROUNDS = 40;

/** `openssl speed`: the column verify/s, of the last line. */
async function opensslSpeed(): Promise<number> {
  const { stdout } = await new Deno.Command("openssl", {
    args: ["speed", "-seconds", "1", "rsa2048"],
    stderr: "null",
  }).output();
  const table = new TextDecoder().decode(stdout).trim().split("\n").slice(-2);
  const [names, values] = table.map((line) =>
    line.replace(/^rsa\s+2048 bits/, "").trim().split(/\s+/)
  );
  return Number(values[names.indexOf("verify/s")]);
}
