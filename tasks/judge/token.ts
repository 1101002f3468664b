/** An ML-DSA token signs through the command line; others judge, and refuse whatever was changed. */
import { join } from "node:path";
import { pem } from "../../formats/asn1/pem.ts";
import { bitString, oid, sequence } from "../../formats/asn1/der.ts";
import { readSignedData } from "../../formats/cms/read.ts";
import { ML_DSA } from "../../formats/keys/ml_dsa.ts";
import { inspectSignatures } from "../../formats/pades/inspect.ts";
import type { MlDsa } from "../../formats/signer.ts";
import { bytesSource } from "../../formats/source.ts";
import { dsign, dsignAtTerminal, environment } from "../../tests/fixtures/cli.ts";
import { makeKey, type MlDsaKeyType, type TestKey } from "../../tests/fixtures/keys.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { generalVerify, importSPKI } from "jose";
import { type Judges, run, runOpenssl } from "./build.ts";

const PIN = "12345678";
const SCRIPT = join(import.meta.dirname!, "python.py");

export async function judgeToken(
  judges: Judges,
  parent: string,
  claim: (holds: boolean, text: string) => void,
): Promise<void> {
  for (const type of ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] as const) {
    const folder = join(parent, type);
    await Deno.mkdir(folder);
    await judgeOne(judges, folder, type, claim);
  }
}

async function judgeOne(
  judges: Judges,
  folder: string,
  type: MlDsaKeyType,
  claim: (holds: boolean, text: string) => void,
): Promise<void> {
  const { kryoptic, python, bouncyCastle } = judges;
  const path = (name: string) => join(folder, name);
  const write = (name: string, bytes: Uint8Array) => Deno.writeFile(path(name), bytes);
  const conf = `[[slots]]\nslot = 0\ndbtype = "sqlite"\ndbargs = "${path("token.sql")}"\n`;
  await Deno.writeTextFile(path("kryoptic.conf"), conf);
  const env = environment(folder, { KRYOPTIC_CONF: path("kryoptic.conf") });
  const tool = (...args: string[]) => run("pkcs11-tool", ["--module", kryoptic, ...args], { env });
  const so = ["--so-pin", "87654321"];
  await tool("--init-token", "--slot-index", "0", "--label", "PQ", ...so);
  await tool(
    "--token-label",
    "PQ",
    "--login",
    "--login-type",
    "so",
    ...so,
    "--init-pin",
    "--new-pin",
    PIN,
  );
  const scheme = type.toUpperCase() as MlDsa;
  const number = type.slice(-2);
  const made = await run(python, [SCRIPT, "token", kryoptic, "PQ", PIN, "01", number], { env });
  const publicKey = sequence(
    sequence(oid(ML_DSA[scheme].oid)),
    bitString(Uint8Array.fromHex(made.trim())),
  );
  // Only the officer's key is on the token; the authorities' are made here.
  const onToken = { publicKey, algorithm: { scheme, hash: "SHA-512" } } as TestKey;
  const { root, officers: [officer] } = makePki({
    officers: [{ name: "Anita (TEST)", key: type }],
    newKey: (wanted) => wanted === type ? onToken : makeKey("ml-dsa-87"),
  });
  const chain = [officer.certificate.der, ...officer.chain];
  for (const [i, der] of chain.entries()) await write(`${i}.der`, der);
  const files = chain.map((_, i) => path(`${i}.der`));
  await run(python, [SCRIPT, "store", kryoptic, "PQ", PIN, ...files], { env });
  for (let i = 0; i + 1 < chain.length; i++) {
    const checked = run(python, [SCRIPT, "certificate", path(`${i}.der`), path(`${i + 1}.der`)]);
    claim(await succeeds(checked), `${scheme}: cryptography accepts certificate ${i} of the chain`);
  }

  await Deno.writeTextFile(path("root.pem"), pem("CERTIFICATE", root.certificate.der));
  await Deno.mkdir(path("config/dsign"), { recursive: true });
  const config = { searchModules: false, modules: [{ path: kryoptic }], postQuantum: true };
  await Deno.writeTextFile(path("config/dsign/config.json"), JSON.stringify(config));
  await Deno.writeTextFile(path("bill.txt"), "Pay 1200.00 to the treasury\n");
  await write("order.pdf", classicPdf(documentObjects()));
  const sign = async (...args: string[]) => {
    const { code, stderr } = await dsignAtTerminal(["sign", ...args], env, [
      [/PIN to sign[^:]*: /, `${PIN}\r`],
    ]);
    claim(code === 0, `${scheme}: dsign sign ${args.slice(0, -1).join(" ")}`);
    if (code !== 0) throw new Error(stderr);
  };
  await sign("--detached", path("bill.txt"));
  await sign(path("order.pdf"));
  await sign("--format", "jws", path("bill.txt"));
  const trust = ["--trust", path("root.pem"), "--revocation", "if-available"];
  for (const file of ["bill.txt.p7s", "order-signed.pdf", "bill.txt.jws"]) {
    const { code } = await dsign(["verify", path(file), ...trust], env);
    claim(code === 0, `${scheme}: dsign verify ${file}`);
  }

  const byOpenssl = (file: string, content = "bill.txt") =>
    succeeds(runOpenssl(judges, [
      ...["cms", "-verify", "-binary", "-inform", "DER", "-in", path(file)],
      ...["-content", path(content), "-CAfile", path("root.pem"), "-purpose", "any"],
      ...["-out", path("out")],
    ]));
  const byPyHanko = (file: string) =>
    succeeds(run(python, [SCRIPT, "pdf", path(file), path(`${chain.length - 1}.der`)]));
  claim(await byOpenssl("bill.txt.p7s"), `${scheme}: OpenSSL 3.5 accepts the CMS`);
  claim(await byPyHanko("order-signed.pdf"), `${scheme}: pyHanko accepts the PDF`);
  const jws = JSON.parse(await Deno.readTextFile(path("bill.txt.jws")));
  const key = await importSPKI(pem("PUBLIC KEY", publicKey), scheme);
  claim(await succeeds(generalVerify(jws, key)), `${scheme}: jose accepts the JWS`);

  // Every byte that is signed: the content, and the signed attributes but for their tag, in whose place the one of a SET
  // OF is signed (RFC 5652 §5.4); Bouncy Castle does not look at it.
  const cms = await Deno.readFile(path("bill.txt.p7s"));
  const content = await Deno.readFile(path("bill.txt"));
  const [{ children }] = readSignedData(cms).signerInfos.children;
  const [, , , attributes, , signature] = children;
  const mutants: [cms: string, content: string][] = [];
  for (
    const [part, whole, step] of [
      [attributes.bytes.subarray(1), cms, 1],
      [signature.content, cms, 97],
      [content, content, 1],
    ] as const
  ) {
    for (const mutant of changed(part, whole, step)) {
      const name = `mutant-${mutants.length}`;
      await write(name, mutant);
      mutants.push(whole === cms ? [name, "bill.txt"] : ["bill.txt.p7s", name]);
    }
  }
  let kept = 0;
  for (const mutant of mutants) if (await byOpenssl(...mutant)) kept++;
  claim(kept === 0, `${scheme}: OpenSSL 3.5 refuses each of ${mutants.length} changed CMS`);
  if (bouncyCastle) {
    const program = join(import.meta.dirname!, "..", "interop", "BouncyCastle.java");
    const files = [["bill.txt.p7s", "bill.txt"], ...mutants].map((each) => each.join("="));
    const java = ["-cp", `${bouncyCastle}/*`, program, ...files];
    const verdicts = (await run("java", java, { cwd: folder })).trim().split("\n");
    const valid = verdicts.flatMap((line, i) => line.startsWith("valid") ? [i] : []);
    claim(
      verdicts.length === files.length && valid[0] === 0,
      `${scheme}: Bouncy Castle accepts the CMS`,
    );
    claim(
      valid.length === 1,
      `${scheme}: Bouncy Castle refuses each of ${mutants.length} changed CMS`,
    );
  } else console.log(`skipped: Bouncy Castle on ${scheme}`);

  const pdf = await Deno.readFile(path("order-signed.pdf"));
  let tried = 0;
  for (const [at, length] of inspectSignatures(bytesSource(pdf)).signatures[0].ranges) {
    for (const mutant of changed(pdf.subarray(at, at + length), pdf, 149)) {
      await write("mutant.pdf", mutant);
      tried++;
      if (await byPyHanko("mutant.pdf")) kept++;
    }
  }
  claim(kept === 0, `${scheme}: pyHanko refuses each of ${tried} changed PDFs`);
}

/** `whole` with one bit of every `step`th byte of `part`, which is a view of it, changed: valid until the next. */
function* changed(part: Uint8Array, whole: Uint8Array, step: number): Generator<Uint8Array> {
  for (let at = 0; at < part.length; at += step) {
    part[at] ^= 1;
    yield whole;
    part[at] ^= 1;
  }
}

const succeeds = (promise: Promise<unknown>) => promise.then(() => true, () => false);
