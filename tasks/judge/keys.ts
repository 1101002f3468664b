/** OpenSSL 3.5 makes keys in every form, certificates, key files and CMS; ours reads them, and its CMS are read there. */
import { join } from "node:path";
import { readCertificates } from "../../formats/x509/bundle.ts";
import { withMlDsa } from "../../formats/keys/ml_dsa.ts";
import { verifyBytes } from "../../formats/verify/verify.ts";
import { readCertificate } from "../../formats/x509/certificate.ts";
import { softwareKey } from "../../signers/software_key.ts";
import { dsignAtTerminal, environment } from "../../tests/fixtures/cli.ts";
import { type Judges, runOpenssl } from "./build.ts";

const FORMS = ["seed-only", "priv-only", "seed-priv", "bare-seed", "bare-priv"];

export async function judgeKeys(
  judges: Judges,
  folder: string,
  claim: (holds: boolean, text: string) => void,
): Promise<void> {
  const path = (name: string) => join(folder, name);
  const tool = (...args: string[]) => runOpenssl(judges, args);
  for (const scheme of ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"]) {
    const [key, crt, p12] = ["key.pem", "crt.pem", "keys.p12"].map((name) =>
      path(`${scheme}.${name}`)
    );
    await tool("genpkey", "-algorithm", scheme, "-out", key);
    const subject = ["-subj", `/CN=${scheme} (TEST)`, "-addext", "keyUsage=digitalSignature"];
    const ca = ["-addext", "basicConstraints=critical,CA:FALSE"];
    await tool("req", "-x509", "-new", "-key", key, "-days", "30", ...subject, ...ca, "-out", crt);
    const [der] = readCertificates(await Deno.readFile(crt));
    const { publicKey } = readCertificate(der);
    for (const form of FORMS) {
      const out = path("form.der");
      const provider = ["-provparam", `ml-dsa.output_formats=${form}`];
      await tool("pkey", "-in", key, ...provider, "-outform", "DER", "-out", out);
      const fits = await softwareKey(await Deno.readFile(out))
        .then((key) => key.fits(publicKey.bytes), () => false);
      claim(fits === !form.startsWith("bare"), `${scheme}: OpenSSL's key in the form ${form}`);
    }
    await tool(
      "pkcs12",
      "-export",
      "-inkey",
      key,
      "-in",
      crt,
      "-passout",
      "pass:geheim",
      "-out",
      p12,
    );
    await Deno.writeTextFile(path("bill.txt"), "Pay 1200.00 to the treasury\n");
    const env = environment(folder);
    await Deno.mkdir(path("config/dsign"), { recursive: true });
    await Deno.copyFile(crt, p12.replace(/p12$/, "crt"));
    await Deno.writeTextFile(
      path("config/dsign/config.json"),
      JSON.stringify({ searchModules: false, postQuantum: true }),
    );
    const { code, stderr } = await dsignAtTerminal(
      ["sign", "--force", "--detached", "--key-file", p12, path("bill.txt")],
      env,
      [[/PIN to sign[^:]*: /, "geheim\r"]],
    );
    claim(code === 0, `${scheme}: dsign sign --key-file with OpenSSL's .p12${code ? stderr : ""}`);
    await tool(
      ...["cms", "-verify", "-binary", "-inform", "DER", "-in", path("bill.txt.p7s")],
      ...["-content", path("bill.txt"), "-CAfile", crt, "-purpose", "any", "-out", path("out")],
    ).then(
      () => claim(true, `${scheme}: OpenSSL 3.5 accepts the CMS`),
      (error) => claim(false, `${error}`),
    );

    const theirs = path("theirs.p7m");
    await tool(
      ...["cms", "-sign", "-binary", "-nodetach", "-in", path("bill.txt"), "-signer", crt],
      ...["-inkey", key, "-md", "sha512", "-outform", "DER", "-out", theirs],
    );
    const bytes = await Deno.readFile(theirs);
    const verdict = () =>
      withMlDsa(() => {
        const anchors = [readCertificate(der)];
        const options = { now: new Date(), anchors, revocation: "if_available" } as const;
        return verifyBytes(bytes, options).signatures[0].indication;
      });
    claim(await verdict() === "TOTAL-PASSED", `${scheme}: OpenSSL's CMS is TOTAL-PASSED here`);
    bytes[bytes.length - 1] ^= 1;
    claim(await verdict() === "TOTAL-FAILED", `${scheme}: changed, it is TOTAL-FAILED`);
  }
}
