/**
 * `deno task interop pdf --bases [--dir D]`: programs of others sign PDFs of every structure, and those of a folder, each
 * as the first signer and as the second one; D-Sign must call every signature valid.
 */
import { basename, join } from "node:path";
import { verifyBytes } from "../../formats/verify/verify.ts";
import {
  classicPdf,
  classicUpdate,
  documentObjects,
  hybridPdf,
  linearizedPdf,
  streamPdf,
} from "../../tests/fixtures/pdf.ts";
import { encryptedObjects, encryption } from "../../tests/fixtures/pdf_encrypted.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { everythingPdf } from "../../tests/fuzz/agreement_objects.ts";
import { pdfFiles } from "../corpus_files.ts";
import { exists, lastLine, type Pair, producers, type Sign, writeKeys } from "./pdf_producers.ts";

const objects = documentObjects({ pages: 2 });
const form = documentObjects({ pages: 2, signatureFields: ["Officer"], textFields: ["Amount"] });
form[1] = form[1].replace(
  "/AcroForm <<",
  "/AcroForm << /DR << /Font << /Helv << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>",
);
const structured = {
  ...form,
  1: form[1].replace("/Pages", "/StructTreeRoot 70 0 R /Pages"),
};
const rc4 = encryption("RC4", 80), aes = encryption("AES", 80);

const BASES: Record<string, Uint8Array> = {
  form: classicPdf(form),
  everything: everythingPdf(),
  revised: classicUpdate(classicPdf(form), { 4: form[4].replace("Page 1", "Page one") }),
  packed: streamPdf(form),
  extended: streamPdf(objects, { containers: 2 }),
  // Old readers see no structure.
  hybrid: hybridPdf({ ...structured, 70: "<< /Type /StructTreeRoot >>" }, [70]),
  linearized: linearizedPdf(objects, [3, 4]),
  rc4: classicPdf(encryptedObjects(form, rc4), rc4.trailer),
  aes: classicPdf(encryptedObjects(objects, aes), aes.trailer),
  "packed-aes": streamPdf(form, { encryption: aes }),
};

/** Files that are not valid: who signed last, what is behind it, and what is told of them. */
const KNOWN: [last: RegExp, because: string, says: RegExp][] = [
  [/@signpdf/, "a second /AcroForm in the catalog, or a file that cannot be read", /./],
  [/LibreOffice/, "it uses numbers that objects have already", /./],
  [/iText 8/, "it hides what it adds from readers without cross-reference streams", /^hybrid/],
  [/iText|OpenPDF|JSignPdf/, "fonts for fields without an appearance", /get another font/],
];

/** @returns how many signed files have a signature that is not valid here */
export async function interopBases(dir: string | undefined): Promise<number> {
  const scratch = await Deno.makeTempDir({ prefix: "interop-bases-" });
  const { officers: [first, second], root } = makePki({
    officers: [{ name: "First" }, { name: "Second" }],
  });
  const keys = [join(scratch, "first"), join(scratch, "second")];
  await writeKeys(keys[0], first);
  await writeKeys(keys[1], second);
  const bases = new Map<string, string>();
  for (const [name, bytes] of Object.entries(BASES)) {
    const path = join(scratch, `${name}.pdf`);
    await Deno.writeFile(path, bytes as Uint8Array<ArrayBuffer>);
    bases.set(name, path);
  }
  if (dir !== undefined) {
    for await (const path of pdfFiles(dir)) bases.set(`${bases.size} ${basename(path)}`, path);
  }
  const signers: { name: string; sign: Sign }[] = [];
  for (const { name, open } of producers({ [keys[0]]: first, [keys[1]]: second })) {
    const sign = await open(scratch);
    if (typeof sign === "function") signers.push({ name, sign });
    else console.log(`Missing: ${sign.missing}`);
  }
  const outcomes = new Map<string, Map<string, number>>();
  const count = (by: string, what: string) => {
    const told = outcomes.getOrInsertComputed(by, () => new Map());
    told.set(what, (told.get(what) ?? 0) + 1);
  };
  let valid = 0, bad = 0;
  /** Signs, and judges what was signed. @returns those files, by what they are */
  const round = async (name: string, sign: Sign, key: string, from: Map<string, string>) => {
    const made = new Map<string, string>();
    const pairs = [...from].map(([what, path], i): Pair => {
      const to = join(
        scratch,
        `${key === keys[0] ? 1 : 2}-${signers.length}-${crypto.randomUUID()}-${i}.pdf`,
      );
      made.set(`${what}, ${name}`, to);
      return [path, to];
    });
    const said = await sign(key, pairs);
    for (const [what, path] of made) {
      if (!await exists(path)) {
        made.delete(what);
        count(name, "could not sign");
        const why = said.split("\n").find((line) => line.includes(path)) ?? lastLine(said);
        console.log(`not signed: ${what}: ${why.replaceAll(path, "").slice(0, 160)}`);
        continue;
      }
      const found = judged(await Deno.readFile(path), root.certificate);
      count(name, found.length === 0 ? "valid" : "not valid");
      if (found.length === 0) {
        valid += what.split(", ").length - 1;
        continue;
      }
      const text = found.join(" ");
      const known = KNOWN.find(([last, _, says]) =>
        last.test(name) && says.test(`${what}: ${text}`)
      );
      if (!known) bad++;
      console.log(`${known ? `known (${known[1]})` : "NOT VALID"}: ${what}: ${text}`);
      made.delete(what);
    }
    return made;
  };
  for (const [i, { name, sign }] of signers.entries()) {
    const made = await round(name, sign, keys[0], bases);
    // Each file goes on to another signer.
    for (const [j, later] of signers.entries()) {
      const files = [...made].filter((_, at) => (at + i) % signers.length === j);
      await round(later.name, later.sign, keys[1], new Map(files));
    }
  }
  for (const [name, told] of outcomes) {
    console.log(`${name.padEnd(16)}${[...told].map(([what, n]) => `${n} ${what}`).join(", ")}`);
  }
  console.log(`${bases.size} documents, ${valid} valid signatures, ${bad} files not valid`);
  await Deno.remove(scratch, { recursive: true });
  return bad;
}

/** What is wrong with the signatures of a file; empty if all are valid. */
function judged(bytes: Uint8Array, anchor: Parameters<typeof verifyBytes>[1]["anchors"][number]) {
  try {
    const { signatures } = verifyBytes(bytes, {
      now: new Date(),
      anchors: [anchor],
      revocation: "if_available",
    });
    if (signatures.length === 0) return ["no signature"];
    return signatures.filter(({ indication }) => indication !== "TOTAL-PASSED").flatMap((each) => [
      `${each.id} ${each.indication}`,
      ...each.findings.map(({ message }) => message.slice(0, 300)),
    ]);
  } catch (error) {
    return [String(error)];
  }
}
