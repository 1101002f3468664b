/**
 * `deno task interop pdf [--write]`: programs of others sign a PDF one after the other, every pair of them, and so do we;
 * D-Sign must call every signature valid. poppler, pyHanko and EU DSS are asked too, and differences are reported.
 * Needs Java and Maven, Python's pyHanko (DSIGN_TEST_PYTHON) and Node; missing programs are named and left out.
 * `--write` puts the result into docs/interop.md.
 */
import { join } from "node:path";
import { pem } from "../../formats/asn1/pem.ts";
import { verifyBytes } from "../../formats/verify/verify.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { pdfsig } from "../../tests/fixtures/pdf_tools.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import {
  classPath,
  DSS_ARTIFACTS,
  exists,
  lastLine,
  type Pair,
  producers,
  PYTHON,
  run,
  type Sign,
  source,
  writeKeys,
} from "./pdf_producers.ts";

/** Pairs that are not valid, and why that cannot be fixed here. */
const KNOWN: Record<string, string> = {
  "D-Sign, then @signpdf 3.3.0":
    "it writes a second /AcroForm into the catalog, of which some readers take the first and others the last",
  "pyHanko, then LibreOffice":
    "LibreOffice 7.4 gives one number, which is in use already, to three of its objects",
  "@signpdf 3.3.0, then LibreOffice":
    "LibreOffice 7.4 gives its objects numbers that are in use already, and the form is gone",
};

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
