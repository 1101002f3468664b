import { join } from "node:path";
import { pem } from "../../formats/asn1/pem.ts";
import { digest } from "../../formats/digest.ts";
import { FormatError } from "../../formats/error.ts";
import { readCertificates } from "../../formats/x509/bundle.ts";
import { readCertificate } from "../../formats/x509/certificate.ts";
import { verifyBytes, type VerifyContent } from "../../formats/verify/verify.ts";
import { makeCrl } from "../../tests/fixtures/issue.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { makePki, type Pki } from "../../tests/fixtures/pki.ts";
import { raiseFile } from "../../tests/fixtures/signed_files.ts";
import { python } from "../../tests/fixtures/python.ts";
import { type Dss, run, validate } from "./dss.ts";
import { exceptions } from "./expected.ts";

type Tell = (line: string) => void;

/** Files signed by EU DSS pass here, except for those listed in `expected.ts`. */
export async function theirs(dss: Dss, folder: string, tell: Tell, fault: Tell): Promise<void> {
  const special = join(folder, "special");
  await Deno.mkdir(special);
  await run("java", ["-jar", dss.jar, "make", special]);
  await judge(special, "with their own PKI, in special forms too", tell, fault);
  const { out, pki } = await signAll(dss, folder);
  await judge(out, "each format, level, packaging and key", tell, fault);
  await raiseAll(dss, out, pki, tell, fault);
}

/** What pyHanko signs is raised here, and passes in EU DSS. */
export async function pyhanko(dss: Dss, folder: string, tell: Tell, fault: Tell): Promise<void> {
  const program = join(import.meta.dirname!, "pyhanko_signs.py");
  const out = join(folder, "pyhanko");
  const pki = await givePki(out);
  const { code, stdout, stderr } = await python(program, out);
  if (code !== 0) {
    const why = /No module named|not found/.exec(stderr)
      ? "pyHanko is missing"
      : stderr.slice(-300);
    return tell(`skipped: pyHanko (${why}; DSIGN_TEST_PYTHON names a Python that has it)`);
  }
  await Deno.writeTextFile(join(out, "list.tsv"), stdout);
  await raiseAll(dss, out, pki, tell, fault, "pyHanko");
}

/** DSS signs with our test PKI, by `DssSigns.java`. */
export async function signAll(
  { jar, libraries }: Dss,
  folder: string,
): Promise<{ out: string; pki: Pki }> {
  const out = join(folder, "all");
  const pki = await givePki(out);
  const program = join(import.meta.dirname!, "DssSigns.java");
  await run("java", ["-cp", `${jar}:${libraries}/*`, program, out]);
  return { out, pki };
}

/** Fills a new folder with keys, certificates, lists, and what is to be signed. */
async function givePki(out: string): Promise<Pki> {
  await Deno.mkdir(out);
  const write = (name: string, data: string | Uint8Array) =>
    typeof data === "string"
      ? Deno.writeTextFile(join(out, name), data)
      : Deno.writeFile(join(out, name), data);
  const pki = makePki({
    officers: [
      { name: "rsa", key: "rsa-3072" },
      { name: "p256", key: "p-256" },
      { name: "p384", key: "p-384" },
    ],
  });
  const pems = (ders: readonly Uint8Array[]) => ders.map((der) => pem("CERTIFICATE", der)).join("");
  const authorities = [pki.subCa, pki.ca, pki.root];
  const chain = authorities.map(({ certificate }) => certificate.der);
  await write("authorities.pem", pems(chain));
  await write("root.pem", pems([pki.root.certificate.der]));
  for (const [index, each] of authorities.entries()) {
    await write(`${index}.crl`, makeCrl(each, []));
  }
  for (const party of [{ ...pki.timestampAuthority, name: "tsa" }, ...pki.officers]) {
    const { name, key, certificate } = party;
    await write(`${name}.pk8`, key.privateKey.export({ type: "pkcs8", format: "der" }));
    await write(`${name}.pem`, pems([certificate.der, ...chain]));
  }
  await write("order.txt", "Sanctioned: Rs 12,00,000\r\nfor the road.\n");
  await write("order.xml", `<order xmlns="urn:x" Id="order"><for>সেতু &amp; রাস্তা</for></order>\n`);
  await write("order.json", `{"amount":1200000,"for":"road"}`);
  await write("order.pdf", classicPdf(documentObjects()));
  return pki;
}

/** What they signed at any level is raised here to B-LTA, and passes in DSS as such. */
async function raiseAll(
  dss: Dss,
  out: string,
  pki: Pki,
  tell: Tell,
  fault: Tell,
  whose = "EU DSS",
): Promise<void> {
  const list = (await Deno.readTextFile(join(out, "list.tsv"))).trimEnd().split("\n");
  const raised: string[] = [];
  for (const line of list) {
    const [file, named = ""] = line.split("\t");
    const content = named ? await Deno.readFile(join(out, named)) : undefined;
    try {
      const bytes = await Deno.readFile(join(out, file));
      const made = await raiseFile(pki, bytes, "B-LTA", new Date(), content);
      await Deno.writeFile(join(out, `raised-${file}`), made);
      raised.push(`raised-${file}\t${named}`);
    } catch (error) {
      fault(`${file} cannot be raised: ${(error as Error).message}`);
    }
  }
  await Deno.writeTextFile(join(out, "raised.tsv"), raised.join("\n") + "\n");
  const found = await validate(dss, join(out, "root.pem"), join(out, "raised.tsv"));
  for (const { file, signatures = [], error } of found) {
    const isGood = signatures.length > 0 &&
      signatures.every(({ indication, format }) =>
        indication === "TOTAL_PASSED" && /(?:BASELINE|PKCS7)-LTA$/.test(format)
      );
    if (!isGood) fault(`${file}: ${error ?? JSON.stringify(signatures).slice(0, 300)}`);
  }
  const files = `${raised.length} files of ${list.length} that ${whose} signed`;
  tell(`theirs: ${files} raised here to B-LTA, judged by EU DSS`);
}

/** @param out holds `root.pem`, and `list.tsv` with a file and its content a line */
async function judge(out: string, what: string, tell: Tell, fault: Tell): Promise<void> {
  const anchors = readCertificates(await Deno.readFile(join(out, "root.pem")))
    .map((der) => readCertificate(der));
  const list = (await Deno.readTextFile(join(out, "list.tsv"))).trimEnd().split("\n");
  const counts = new Map<string, number>();
  for (const line of list) {
    const [file, named = ""] = line.split("\t");
    const content = named ? await Deno.readFile(join(out, named)) : undefined;
    const given: VerifyContent | null = content
      ? { digest: (hash) => digest(hash, content), bytes: () => content }
      : null;
    let verdict: string;
    let why = "";
    try {
      const report = verifyBytes(await Deno.readFile(join(out, file)), {
        now: new Date(),
        anchors,
        revocation: "if_available",
        content: () => given,
      });
      verdict = report.indication;
      why = report.signatures.flatMap(({ findings }) => findings).map(({ code }) => code).join();
      const made = /-(b|t|lt|lta)\.\w+$/.exec(file)?.[1].toUpperCase();
      const levels = report.signatures.map(({ level }) => level);
      if (made && verdict === "TOTAL-PASSED" && !levels.some((level) => level === `B-${made}`)) {
        fault(`${file}: ${levels}, not B-${made}`);
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      verdict = "not read";
      why = error.message;
    }
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    const expected = exceptions.find(({ pattern }) => pattern.test(file))?.verdict ??
      "TOTAL-PASSED";
    if (verdict !== expected) fault(`${file}: ${verdict}, not ${expected} (${why})`);
  }
  const told = [...counts].map(([verdict, count]) => `${count} ${verdict}`).join(", ");
  tell(`theirs: of ${list.length} files that EU DSS signed (${what}), ${told}`);
  for (const { pattern, verdict, reason } of exceptions) {
    const count = list.filter((line) => pattern.test(line.split("\t")[0])).length;
    if (count > 0) tell(`  ${count} ${verdict}: ${reason}`);
  }
}
