/** Checks a signature with nothing but the root and the OpenSSL program. */
import { Buffer } from "node:buffer";
import { pem } from "../formats/asn1/pem.ts";

async function program(
  name: string,
  missing: string,
  args: string[],
): Promise<{ success: boolean; output: string }> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(name, {
      args,
      stdin: "null",
      env: { LC_ALL: "C" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { success, output: text(stdout) + text(stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(missing);
  }
}

const openssl = (...args: string[]) =>
  program(
    "openssl",
    "The OpenSSL program is missing, so nothing can be checked. Install openssl.",
    args,
  );

export interface Checked {
  /** CMS SignedData with the content in it, DER. */
  signature: Uint8Array;
  /** The expected content. */
  content: Uint8Array;
  /** The expected signer's certificate, DER; absent: anybody's that leads to the root. */
  signer?: Uint8Array;
  /** PEM file of the one trusted root. */
  root: string;
  /** For the program's files; private. */
  folder: string;
}

/**
 * Verifies an attached CAdES signature by `openssl cms`: its value, its signing-certificate attribute, the path to
 * the root, that it is over `content` and by `signer`.
 *
 * @returns `ok`, or why not
 * @throws {Error} if the program is missing
 */
export async function check(
  { signature, content, signer, root, folder }: Checked,
): Promise<string> {
  const files = { in: `${folder}/signature.p7s`, out: `${folder}/content`, by: `${folder}/by.pem` };
  await Deno.writeFile(files.in, signature);
  try {
    const { output: help } = await openssl("cms", "-help");
    const { success, output } = await openssl(
      "cms",
      "-verify",
      // checks the signing-certificate attribute (EN 319 122-1 §5.2.2); since OpenSSL 3.0, not in LibreSSL
      ...(/^\s*-cades\b/m.test(help) ? ["-cades"] : []),
      ...["-binary", "-inform", "DER", "-in", files.in, "-out", files.out],
      ...["-CAfile", root, "-purpose", "any", "-signer", files.by],
    );
    if (!success) return output.trim().split("\n").at(-1) ?? "refused";
    if (!Buffer.from(content).equals(await Deno.readFile(files.out))) {
      return "it is over something else";
    }
    if (signer && await Deno.readTextFile(files.by) !== pem("CERTIFICATE", signer)) {
      return "it is by somebody else";
    }
    return "ok";
  } finally {
    await Promise.all(Object.values(files).map((file) => Deno.remove(file).catch(() => {})));
  }
}

/**
 * Has `dsign verify` judge a file: a PDF, a route, a signature beside another file.
 *
 * @param content what it signs, where that is not in it
 * @param root PEM file of the one trusted root
 * @param folder for the program's files; private
 * @param trial whether the root is a trial agent's
 * @returns `ok`, or why not
 */
export async function checkByDsign(
  signed: Uint8Array,
  { content, root, folder, trial }: {
    content?: Uint8Array;
    root: string;
    folder: string;
    trial?: boolean;
  },
): Promise<string> {
  const [file, beside] = [`${folder}/signed`, `${folder}/content`];
  await Deno.writeFile(file, signed);
  if (content) await Deno.writeFile(beside, content);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", new URL("../main.ts", import.meta.url).href, "verify", "--json"],
      // The demonstration's authorities answer nobody but its agent.
      ...["--trust", root, ...trial ? ["--trial"] : ["--revocation", "if-available"]],
      ...content ? ["--content", beside, file] : [file],
    ],
    stdin: "null",
    stderr: "null",
  }).output();
  const { ok, error, files } = JSON.parse(new TextDecoder().decode(stdout));
  if (ok) return "ok";
  if (error) return error.message;
  const [{ findings, signatures }] = files;
  const [against] = [...findings, ...signatures.flatMap((each: typeof files[0]) => each.findings)]
    .filter(({ severity }) => severity !== "notice");
  return against?.message ?? "it does not hold";
}

/**
 * Verifies the signatures within a PDF by `pdfsig`: their cryptography, not whom to trust.
 *
 * @param signatures how many there must be
 * @returns `ok`, or why not
 * @throws {Error} if the program is missing
 */
export async function checkPdf(
  pdf: Uint8Array,
  signatures: number,
  folder: string,
): Promise<string> {
  const file = `${folder}/signed.pdf`;
  await Deno.writeFile(file, pdf);
  try {
    const { success, output } = await program(
      "pdfsig",
      "The program pdfsig is missing, so the PDF cannot be checked. Install poppler-utils.",
      ["-nocert", file],
    );
    if (!success) return output.trim().split("\n").at(-1) ?? "refused";
    const found = [...output.matchAll(/^ +- Signature Validation: (.+)$/gm)].map(([, each]) =>
      each
    );
    if (found.length !== signatures) return `${found.length} signatures, not ${signatures}`;
    return found.find((each) => each !== "Signature is Valid.") ?? "ok";
  } finally {
    await Deno.remove(file);
  }
}
