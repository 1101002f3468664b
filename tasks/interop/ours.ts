import { join } from "node:path";
import { pem } from "../../formats/asn1/pem.ts";
import { xmlsec1Verify } from "../../tests/fixtures/xmlsec1.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { makePki, type Officer } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import {
  cosignCms,
  countersignCms,
  raiseFile,
  signAsic,
  signCms,
  signJws,
  signXml,
} from "../../tests/fixtures/signed_files.ts";
import { digest } from "../../formats/digest.ts";
import type { RaisedLevel } from "../../online/augment.ts";
import { type Dss, run, validate } from "./dss.ts";

interface Signed {
  file: string;
  bytes: Uint8Array;
  /** Of every signature in it; default: B-B. */
  level?: RaisedLevel;
  /** A detached signature's content is in `order.txt`. */
  isDetached?: true;
}

const text = new TextEncoder();
const content = text.encode("Pay 1200.00 to the treasury\r\n");
const order = text.encode(
  `<o:order xmlns:o="urn:o" xmlns="urn:d" n='7'><!-- c --><item>সেতু &amp; রাস্তা</item></o:order>\n`,
);

/** Every format at every level, by an RSA, a P-256 and a P-384 key. */
async function sign(now: Date): Promise<{ root: Uint8Array; files: Signed[] }> {
  const pki = makePki({
    now,
    officers: [
      { name: "Rsa" },
      { name: "P256", key: "p-256" },
      { name: "P384", key: "p-384" },
    ],
  });
  const files = pki.officers.flatMap((officer, index) => {
    const other = pki.officers[(index + 1) % pki.officers.length];
    return of(officer, other, now).map((each) => ({
      ...each,
      file: `${officer.name.toLowerCase()}-${each.file}`,
    }));
  });
  const raised: Signed[] = [];
  for (const each of files.filter(({ file }) => !file.endsWith("single.xml"))) {
    for (const level of ["B-T", "B-LT", "B-LTA"] as const) {
      raised.push({
        ...each,
        file: each.file.replace(/(?=\.\w+$)/, `-${level.slice(2).toLowerCase()}`),
        level,
        bytes: await raiseFile(pki, each.bytes, level, now, each.isDetached && content),
      });
    }
  }
  const containers: Signed[] = [];
  for (const [index, officer] of pki.officers.entries()) {
    const other = pki.officers[(index + 1) % pki.officers.length];
    for (const kind of ["asic-s", "asic-e"] as const) {
      for (const format of ["cades", "xades"] as const) {
        for (const level of ["B-B", "B-T", "B-LT", "B-LTA"] as const) {
          const how = { kind, format, level };
          const files = [
            { name: "order 7.txt", bytes: content, mediaType: "text/plain" },
            { name: "plans/আদেশ.xml", bytes: order, mediaType: "text/xml" },
          ].slice(0, kind === "asic-s" ? 1 : 2);
          const once = await signAsic(pki, officer, { files }, how, now);
          const twice = await signAsic(pki, other, { container: once }, how, now);
          const name = `${officer.name.toLowerCase()}-${format}-${level.slice(2).toLowerCase()}`;
          const made = level === "B-B" ? undefined : level;
          containers.push(
            { file: `${name}.${kind.replace("-", "")}`, level: made, bytes: once },
            { file: `${name}-twice.${kind.replace("-", "")}`, level: made, bytes: twice },
          );
        }
      }
    }
  }
  return { root: pki.root.certificate.der, files: [...files, ...raised, ...containers] };
}

function of(officer: Officer, other: Officer, now: Date): Signed[] {
  const once = signXml(officer, { kind: "enveloped", document: order });
  const mediaType = "application/xml";
  return [
    { file: "attached.p7m", bytes: signCms(officer, { content }, now) },
    {
      file: "detached.p7s",
      bytes: signCms(officer, { digest: digest(officer.key.algorithm.hash, content) }, now),
      isDetached: true,
    },
    { file: "cosigned.p7m", bytes: cosignCms(other, signCms(officer, { content }, now)) },
    { file: "countersigned.p7m", bytes: countersignCms(other, signCms(officer, { content }), 0) },
    { file: "enveloped.xml", bytes: once },
    { file: "twice.xml", bytes: signXml(other, { kind: "enveloped", document: once }) },
    {
      file: "enveloping.xml",
      bytes: signXml(officer, { kind: "enveloping", content: order, mediaType }),
    },
    {
      file: "single.xml",
      bytes: signXml(officer, { kind: "enveloped", document: order, single: true }, {
        plain: true,
      }),
    },
    {
      file: "jades.json",
      bytes: text.encode(signJws(officer, { payload: text.encode('{"bill":7}') })),
    },
    ...officer.key.algorithm.hash === "SHA-256"
      ? [{
        file: "pades.pdf",
        bytes: signPdf(classicPdf(documentObjects()), officer, { time: now }),
      }]
      : [], // the tests' maker of PDFs knows SHA-256 alone
  ];
}

/** Our signatures are valid for OpenSSL, xmlsec1, Java, Bouncy Castle and EU DSS. */
export async function ours(
  dss: Dss | undefined,
  folder: string,
  tell: (line: string) => void,
  fault: (line: string) => void,
): Promise<void> {
  const out = join(folder, "ours");
  await Deno.mkdir(out);
  const { root, files } = await sign(new Date());
  await Deno.writeFile(join(out, "order.txt"), content);
  await Deno.writeTextFile(join(out, "root.pem"), pem("CERTIFICATE", root));
  for (const { file, bytes } of files) await Deno.writeFile(join(out, file), bytes);
  const cms = files.filter(({ file }) => /\.p7[ms]$/.test(file));
  const xml = files.filter(({ file }) => file.endsWith(".xml"));
  const judged = async (name: string, judge: () => Promise<[file: string, verdict: string][]>) => {
    let verdicts: [string, string][];
    try {
      verdicts = await judge();
    } catch (error) {
      return tell(`skipped: ${name} (${(error as Error).message.split("\n")[0].slice(0, 200)})`);
    }
    const bad = verdicts.filter(([, verdict]) => verdict !== "valid");
    for (const [file, verdict] of bad) fault(`${name}, ${file}: ${verdict}`);
    tell(`ours: ${verdicts.length - bad.length} of ${verdicts.length} files valid to ${name}`);
  };

  await judged(
    "OpenSSL",
    () =>
      Promise.all(cms.map(async ({ file, isDetached }): Promise<[string, string]> => {
        const detached = isDetached ? ["-content", "order.txt", "-binary"] : [];
        const args = ["cms", "-verify", "-inform", "DER", "-in", file, "-CAfile", "root.pem"];
        const more = ["-purpose", "any", "-out", "/dev/null", ...detached];
        try {
          await run("openssl", [...args, ...more], out);
          return [file, "valid"];
        } catch (error) {
          if ((error as Error).cause) throw error;
          return [file, (error as Error).message];
        }
      })),
  );
  await judged("xmlsec1", async () => {
    const verdicts: [string, string][] = [];
    for (const { file, bytes } of xml) {
      const count = file.includes("twice") ? 2 : 1;
      for (let n = 1; n <= count; n++) {
        verdicts.push([file, await xmlsec1Verify(bytes, root, n) ?? "valid"]);
      }
    }
    return verdicts;
  });
  const java = async (program: string, args: string[], libraries?: string) => {
    const source = join(import.meta.dirname!, program);
    const path = libraries ? ["-cp", `${libraries}/*`] : [];
    const said = await run("java", [...path, source, ...args], out);
    return said.trim().split("\n").map((line) => line.split("\t").toReversed() as [string, string]);
  };
  await judged(
    "Java's XML Signature",
    () => java("XmlDsig.java", xml.map(({ file }) => file)),
  );
  if (!dss) return tell("skipped: Bouncy Castle and DSS on ours (no EU DSS)");
  const named = cms.map(({ file, isDetached }) => isDetached ? `${file}=order.txt` : file);
  await judged("Bouncy Castle", () => java("BouncyCastle.java", named, dss.libraries));
  await judged("EU DSS", async () => {
    // DSS calls every XML Signature without XAdES properties INDETERMINATE.
    const advanced = files.filter(({ file }) => !file.endsWith("single.xml"));
    const list = advanced.map(({ file, isDetached }) => isDetached ? `${file}\torder.txt` : file);
    await Deno.writeTextFile(join(out, "list.tsv"), list.join("\n") + "\n");
    const found = await validate(dss, join(out, "root.pem"), join(out, "list.tsv"));
    return found.map(({ file, signatures = [], error }, index) => {
      const { level = "B-B" } = advanced[index];
      const isGood = signatures.length > 0 &&
        signatures.every(({ indication, countersignature, format }) =>
          indication === "TOTAL_PASSED" &&
          (countersignature || format.endsWith(`BASELINE-${level.slice(2)}`))
        );
      return [file, isGood ? "valid" : error ?? JSON.stringify(signatures).slice(0, 300)];
    });
  });
}
