/** Programs of others that sign PDFs, and the ways to them: Maven, PyPI, npm, Debian. What is missing is named. */
import { basename, join } from "node:path";
import { pem } from "../../formats/asn1/pem.ts";
import { latin1, name } from "../../formats/pdf/value.ts";
import { openssl } from "../../tests/fixtures/openssl.ts";
import type { Officer } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";

const HERE = new URL("./pdf/", import.meta.url);
export const source = (file: string) => new URL(file, HERE).pathname;
export const PYTHON = Deno.env.get("DSIGN_TEST_PYTHON") ?? "python3";

const BOUNCY_CASTLE = ["org.bouncycastle:bcpkix-jdk18on:1.78.1"];
const DSS_VERSION = "6.4";

export type Pair = [from: string, to: string];
/** Signs files with the keys in a folder; a file that exists afterwards was signed. */
export type Sign = (keys: string, pairs: readonly Pair[]) => Promise<string>;

/** A program that signs; `open` names a missing requirement instead. */
export interface Producer {
  name: string;
  open(scratch: string): Promise<Sign | { missing: string }>;
}

interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

export async function run(
  command: string,
  args: readonly string[],
  cwd?: string,
): Promise<Finished> {
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

export const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? "";

/** The class path of Maven artifacts with all that they need. */
export async function classPath(
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

export const DSS_ARTIFACTS = [
  ...["dss-pades-pdfbox", "dss-cms-object", "dss-token", "dss-validation", "dss-policy-jaxb"],
  ...["dss-utils-apache-commons", "dss-crl-parser-x509crl"],
].map((id) => `eu.europa.ec.joinup.sd-dss:${id}:${DSS_VERSION}`);

/** It has Debian's python3-uno. */
const SYSTEM_PYTHON = "/usr/bin/python3";
const LIBREOFFICE =
  "LibreOffice: Debian's libreoffice-draw-nogui, libreoffice-writer-nogui, python3-uno and libnss3-tools";

/** The Java program with a wrapper for Node, which is not used. */
const JSIGNPDF = "jsignpdf@1.1.1";

const SIGNPDF = [
  "@signpdf/signpdf@3.3.0",
  "@signpdf/signer-p12@3.3.0",
  "@signpdf/placeholder-plain@3.3.0",
];

export const producers = (officers: Record<string, Officer>): Producer[] => [
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
  java("OpenPDF 1.3.43", "Lowagie.java", ["com.github.librepdf:openpdf:1.3.43", ...BOUNCY_CASTLE]),
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
    name: "JSignPdf 2.2.0",
    async open(scratch) {
      const folder = join(scratch, "jsignpdf");
      await Deno.mkdir(folder);
      const install = ["install", "--silent", "--no-audit", "--prefix", folder, JSIGNPDF];
      const { code, stderr } = await run("npm", install, folder);
      if (code !== 0) {
        return { missing: `${JSIGNPDF} from npm (${lastLine(stderr).slice(0, 120)})` };
      }
      const jar = join(folder, "node_modules/jsignpdf/lib/jsignpdf-2.2.0/JSignPdf.jar");
      return async (keys, pairs) => {
        let said = "";
        for (const [from, to] of pairs) {
          // It names its results after what it signs.
          const out = await Deno.makeTempDir({ dir: folder });
          const { stdout, stderr } = await run("java", [
            ...["-Djava.awt.headless=true", "-jar", jar, "-kst", "PKCS12", "-ksp", "interop"],
            ...["-ksf", join(keys, "signer.p12"), "-a", "-ha", "SHA256", "-V"],
            ...[
              "-llx",
              "440",
              "-lly",
              "20",
              "-urx",
              "540",
              "-ury",
              "50",
              "-d",
              out,
              "-os",
              "",
              from,
            ],
          ]);
          const made = join(out, basename(from));
          if (await exists(made)) await Deno.rename(made, to);
          else said += `failed ${to} ${lastLine(stdout + stderr)}\n`;
        }
        return said;
      };
    },
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
export async function writeKeys(
  folder: string,
  { pkcs8, certificate, chain }: Officer,
): Promise<void> {
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

export const exists = (path: string) => Deno.stat(path).then(({ size }) => size > 0, () => false);
