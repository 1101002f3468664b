/**
 * `deno task interop pdf [--write]`: programs of others sign a PDF one after the other, every pair of them, and so do we;
 * D-Sign must call every signature valid. poppler, pyHanko and EU DSS are asked too, and differences are reported.
 * Needs Java and Maven, Python's pyHanko (DSIGN_TEST_PYTHON) and Node; missing programs are named and left out.
 * `--write` puts the result into docs/interop.md.
 */
import { join } from "node:path";
import { verifyBytes } from "../../formats/verify/verify.ts";
import { latin1, name } from "../../formats/pdf/value.ts";
import { openssl } from "../../tests/fixtures/openssl.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { pdfsig } from "../../tests/fixtures/pdf_tools.ts";
import { pem } from "../../formats/asn1/pem.ts";
import { makePki, type Officer } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";

const HERE = new URL("./pdf/", import.meta.url);
const source = (file: string) => new URL(file, HERE).pathname;
const PYTHON = Deno.env.get("DSIGN_TEST_PYTHON") ?? "python3";

const BOUNCY_CASTLE = ["org.bouncycastle:bcpkix-jdk18on:1.78.1"];
const DSS_VERSION = "6.4";

/** Pairs that are not valid, and why that cannot be fixed here. */
const KNOWN: Record<string, string> = {
  "D-Sign, then @signpdf 3.3.0":
    "it writes a second /AcroForm into the catalog, of which some readers take the first and others the last",
  "pyHanko, then LibreOffice":
    "LibreOffice 7.4 gives one number, which is in use already, to three of its objects",
  "@signpdf 3.3.0, then LibreOffice":
    "LibreOffice 7.4 gives its objects numbers that are in use already, and the form is gone",
};

type Pair = [from: string, to: string];
/** Signs files with the keys in a folder; a file that exists afterwards was signed. */
type Sign = (keys: string, pairs: readonly Pair[]) => Promise<string>;

/** A program that signs; `open` names a missing requirement instead. */
interface Producer {
  name: string;
  open(scratch: string): Promise<Sign | { missing: string }>;
}

interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

async function run(command: string, args: readonly string[], cwd?: string): Promise<Finished> {
  try {
    const { code, stdout, stderr } = await new Deno.Command(command, { args: [...args], cwd })
      .output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { code: 127, stdout: "", stderr: `${command} is not installed` };
  }
}

const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? "";

/** The class path of Maven artifacts with all that they need. */
async function classPath(
  folder: string,
  artifacts: readonly string[],
): Promise<string | { missing: string }> {
  await Deno.mkdir(folder, { recursive: true });
  const dependencies = artifacts.map((artifact) => {
    const [group, id, version] = artifact.split(":");
    return `<dependency><groupId>${group}</groupId><artifactId>${id}</artifactId><version>${version}</version></dependency>`;
  });
  await Deno.writeTextFile(
    join(folder, "pom.xml"),
    `<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version>` +
      `<dependencies>${dependencies.join("")}</dependencies></project>`,
  );
  const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath";
  const { code, stdout, stderr } = await run(
    "mvn",
    ["-q", "-B", goal, "-Dmdep.outputFile=cp"],
    folder,
  );
  if (code !== 0) {
    return {
      missing: `${artifacts.join(", ")} from Maven (${lastLine(stdout + stderr).slice(0, 120)})`,
    };
  }
  return await Deno.readTextFile(join(folder, "cp"));
}

function java(
  name: string,
  file: string,
  artifacts: readonly string[],
  ...first: string[]
): Producer {
  return {
    name,
    async open(scratch) {
      const path = await classPath(join(scratch, "maven", name.replaceAll(" ", "-")), artifacts);
      if (typeof path !== "string") return path;
      return async (keys, pairs) => {
        const { stdout, stderr } = await run("java", [
          ...["-Djava.awt.headless=true", "-cp", path, source(file), ...first, keys],
          ...pairs.flat(),
        ]);
        return stdout + stderr;
      };
    },
  };
}

const DSS_ARTIFACTS = [
  ...["dss-pades-pdfbox", "dss-cms-object", "dss-token", "dss-validation", "dss-policy-jaxb"],
  ...["dss-utils-apache-commons", "dss-crl-parser-x509crl"],
].map((id) => `eu.europa.ec.joinup.sd-dss:${id}:${DSS_VERSION}`);

/** It has Debian's python3-uno. */
const SYSTEM_PYTHON = "/usr/bin/python3";
const LIBREOFFICE =
  "LibreOffice: Debian's libreoffice-draw-nogui, libreoffice-writer-nogui, python3-uno and libnss3-tools";

const SIGNPDF = [
  "@signpdf/signpdf@3.3.0",
  "@signpdf/signer-p12@3.3.0",
  "@signpdf/placeholder-plain@3.3.0",
];

const producers = (officers: Record<string, Officer>): Producer[] => [
  {
    name: "D-Sign",
    open: () =>
      Promise.resolve(async (keys, pairs) => {
        for (const [from, to] of pairs) {
          const bytes = await Deno.readFile(from);
          const signed = signPdf(bytes, officers[keys], {
            time: new Date(),
            appearance: {
              place: { page: 1, size: [100, 30] },
              draw: (update) =>
                update.addStream(
                  { Subtype: name("Form"), BBox: [0, 0, 100, 30] },
                  latin1("0 0 99 29 re s"),
                ),
            },
          });
          await Deno.writeFile(to, signed as Uint8Array<ArrayBuffer>);
        }
        return "";
      }),
  },
  java("iText 2.1.7", "Lowagie.java", ["com.lowagie:itext:2.1.7"]),
  java("iText 5.5.13", "IText5.java", [
    "com.itextpdf:itextpdf:5.5.13.4",
    ...BOUNCY_CASTLE,
  ]),
  java("iText 8.0.5", "IText8.java", [
    ...["sign", "bouncy-castle-adapter"].map((id) => `com.itextpdf:${id}:8.0.5`),
    "org.slf4j:slf4j-nop:2.0.13",
  ]),
  java("OpenPDF 1.3.43", "Lowagie.java", ["com.github.librepdf:openpdf:1.3.43"]),
  java("PDFBox 3.0.5", "PdfBox.java", ["org.apache.pdfbox:pdfbox:3.0.5"]),
  java(
    `EU DSS ${DSS_VERSION}`,
    "Dss.java",
    [...DSS_ARTIFACTS, "org.slf4j:slf4j-nop:2.0.13"],
    "sign",
  ),
  {
    name: "pyHanko",
    async open() {
      if ((await run(PYTHON, ["-c", "import pyhanko"])).code !== 0) {
        return { missing: "pyHanko from PyPI (DSIGN_TEST_PYTHON names the Python)" };
      }
      return async (keys, pairs) => {
        const { stdout, stderr } = await run(PYTHON, [
          source("pyhanko_pdf.py"),
          "sign",
          keys,
          ...pairs.flat(),
        ]);
        return stdout + stderr;
      };
    },
  },
  {
    name: "@signpdf 3.3.0",
    async open(scratch) {
      const folder = join(scratch, "node");
      await Deno.mkdir(folder);
      await Deno.copyFile(source("signpdf.mjs"), join(folder, "signpdf.mjs"));
      const { code, stderr } = await run("npm", [
        "install",
        "--silent",
        "--no-audit",
        "--prefix",
        folder,
        ...SIGNPDF,
      ], folder);
      if (code !== 0) {
        return { missing: `${SIGNPDF[0]} from npm (${lastLine(stderr).slice(0, 120)})` };
      }
      return async (keys, pairs) => {
        const { stdout, stderr } = await run("node", [
          join(folder, "signpdf.mjs"),
          keys,
          ...pairs.flat(),
        ]);
        return stdout + stderr;
      };
    },
  },
  {
    name: "JSignPdf",
    open: () =>
      Promise.resolve({
        missing:
          "JSignPdf: Maven has no com.github.kwart.jsign:jsignpdf, nor Debian a package (it signs with OpenPDF)",
      }),
  },
  {
    name: "LibreOffice",
    async open() {
      for (const command of ["soffice", "certutil", "pk12util"]) {
        if ((await run("which", [command])).code !== 0) return { missing: LIBREOFFICE };
      }
      if ((await run(SYSTEM_PYTHON, ["-c", "import uno"])).code !== 0) {
        return { missing: LIBREOFFICE };
      }
      return async (keys, pairs) => {
        const script = source("libreoffice.py");
        const { stdout, stderr } = await run(SYSTEM_PYTHON, [script, keys, ...pairs.flat()]);
        return stdout + stderr;
      };
    },
  },
];

/** A person's key in the forms that the programs read. */
async function writeKeys(folder: string, { pkcs8, certificate, chain }: Officer): Promise<void> {
  await Deno.mkdir(folder);
  const path = (file: string) => join(folder, file);
  await Deno.writeTextFile(path("key.pem"), pem("PRIVATE KEY", pkcs8));
  await Deno.writeTextFile(path("signer.pem"), pem("CERTIFICATE", certificate.der));
  await Deno.writeTextFile(
    path("chain.pem"),
    chain.map((each) => pem("CERTIFICATE", each)).join(""),
  );
  await openssl([
    ...["pkcs12", "-export", "-inkey", path("key.pem"), "-in", path("signer.pem")],
    ...["-certfile", path("chain.pem"), "-out", path("signer.p12"), "-passout", "pass:interop"],
    ...["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-legacy"],
  ]);
}

const exists = (path: string) => Deno.stat(path).then(({ size }) => size > 0, () => false);

/** A judge's complaint about each file; files whose signatures it all calls valid are absent. */
type Objections = Map<string, string>;

async function pyhankoObjections(
  root: string,
  files: readonly string[],
): Promise<Objections | undefined> {
  const { code, stdout } = await run(PYTHON, [
    source("pyhanko_pdf.py"),
    "judge",
    root,
    ...files,
  ]);
  return code === 0 ? objections(stdout) : undefined;
}

async function dssObjections(
  path: string,
  root: string,
  files: readonly string[],
): Promise<Objections> {
  const { stdout } = await run("java", ["-cp", path, source("Dss.java"), "judge", root, ...files]);
  return objections(stdout);
}

function objections(output: string): Objections {
  const lines = output.trim().split("\n").map((line) => line.split("\t") as [string, string]);
  return new Map(lines.filter(([, said]) => said !== undefined && said !== "PASSED,PASSED"));
}

/**
 * @param write put the result into docs/interop.md
 * @returns how many signatures are not valid here
 */
export async function interopPdf(write: boolean): Promise<number> {
  const scratch = await Deno.makeTempDir({ prefix: "interop-" });
  const { officers: [first, second], root } = makePki({
    officers: [{ name: "First" }, { name: "Second" }],
  });
  const keys = [join(scratch, "first"), join(scratch, "second")];
  await writeKeys(keys[0], first);
  await writeKeys(keys[1], second);
  const rootFile = join(scratch, "root.pem");
  await Deno.writeTextFile(rootFile, pem("CERTIFICATE", root.certificate.der));
  const base = join(scratch, "base.pdf");
  await Deno.writeFile(base, classicPdf(documentObjects({ pages: 2 })) as Uint8Array<ArrayBuffer>);

  const signers: { name: string; sign: Sign }[] = [];
  const missing: string[] = [];
  for (const { name, open } of producers({ [keys[0]]: first, [keys[1]]: second })) {
    const sign = await open(scratch);
    if (typeof sign === "function") signers.push({ name, sign });
    else missing.push(sign.missing);
  }
  const fileOf = (...names: string[]) =>
    join(scratch, `${names.map((each) => each.replaceAll(/[^A-Za-z0-9.]/g, "-")).join("+")}.pdf`);
  const failed: string[] = [];
  for (const { name, sign } of signers) {
    const said = await sign(keys[0], [[base, fileOf(name)]]);
    if (!await exists(fileOf(name))) failed.push(`${name} alone: ${lastLine(said)}`);
  }
  const made: string[] = [];
  for (const { name } of signers) if (await exists(fileOf(name))) made.push(name);
  for (const { name, sign } of signers) {
    const said = await sign(keys[1], made.map((one): Pair => [fileOf(one), fileOf(one, name)]));
    for (const one of made) {
      if (await exists(fileOf(one, name))) continue;
      const why = said.split("\n").find((line) => line.includes(fileOf(one, name))) ??
        lastLine(said);
      failed.push(`${one}, then ${name}: ${why.replace(scratch, "").slice(0, 200)}`);
    }
  }

  const ours = (bytes: Uint8Array) =>
    verifyBytes(bytes, {
      now: new Date(),
      anchors: [root.certificate],
      revocation: "if_available",
    });
  const rows: string[] = [];
  const refused: string[] = [];
  const known: string[] = [];
  const files = new Map<string, string>();
  for (const one of made) {
    const cells: string[] = [];
    for (const { name } of signers) {
      const file = fileOf(one, name);
      if (!await exists(file)) {
        cells.push("–");
        continue;
      }
      files.set(file, `${one}, then ${name}`);
      const { signatures } = ours(await Deno.readFile(file));
      const bad = signatures.filter(({ indication }) => indication !== "TOTAL-PASSED");
      const isGood = bad.length === 0 && signatures.length === 2;
      const pair = `${one}, then ${name}`;
      cells.push(isGood ? "✓" : KNOWN[pair] ? "✗ (known)" : "✗");
      if (isGood) continue;
      const why = bad.flatMap((
        { id, findings },
      ) => [id, ...findings.map(({ message }) => message)]);
      (KNOWN[pair] ? known : refused).push(
        `${pair}: ${KNOWN[pair] ?? [`${signatures.length} signatures`, ...why].join(" ")}`,
      );
    }
    rows.push(`| ${one} | ${cells.join(" | ")} |`);
  }
  const paths = [...files.keys()];
  const differing: string[] = [];
  for (const path of paths) {
    const said = await pdfsig(path);
    const valid = said.filter((each) => each.valid).length;
    if (valid !== 2) {
      differing.push(`pdfsig, ${files.get(path)}: ${valid} of ${said.length} signatures valid`);
    }
  }
  const tell = (judge: string, all: Objections | undefined) => {
    if (!all) missing.push(`${judge} as judge`);
    for (const [path, said] of all ?? []) {
      differing.push(`${judge}, ${files.get(path) ?? path}: ${said.slice(0, 200)}`);
    }
  };
  tell("pyHanko", await pyhankoObjections(rootFile, paths));
  const dss = await classPath(join(scratch, "maven", "judge"), [
    ...DSS_ARTIFACTS,
    "org.slf4j:slf4j-nop:2.0.13",
  ]);
  tell("EU DSS", typeof dss === "string" ? await dssObjections(dss, rootFile, paths) : undefined);

  const list = (title: string, items: readonly string[]) =>
    items.length === 0 ? "" : `\n${title}\n\n${items.map((each) => `- ${each}`).join("\n")}\n`;
  const table = `| first \\ second | ${signers.map(({ name }) => name).join(" | ")} |\n` +
    `|${"--|".repeat(signers.length + 1)}\n${rows.join("\n")}\n`;
  const text =
    `${table}${list("Not valid here:", refused)}${list("Not valid here, and known:", known)}${
      list("Could not be signed:", failed)
    }` +
    `${list("Judges that differ:", differing)}${list("Missing:", missing)}`;
  console.log(text);
  if (write) await writeDocs(text);
  await Deno.remove(scratch, { recursive: true });
  return refused.length;
}

const BEGIN = "<!-- deno task interop pdf --write -->\n";

async function writeDocs(text: string): Promise<void> {
  const path = new URL("../../docs/interop.md", import.meta.url);
  const old = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, `${old.slice(0, old.indexOf(BEGIN) + BEGIN.length)}\n${text}`);
  await run(Deno.execPath(), ["fmt", "--quiet", path.pathname]);
}
