/** `dsign sign --also` and `dsign verify` with two key files: one ECDSA, one ML-DSA. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { writePkcs12 } from "../signers/pkcs12_write.ts";
import { dsign, dsignAtTerminal, environment, type Step } from "./fixtures/cli.ts";
import { inTempDir, openssl } from "./fixtures/openssl.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { pdfsig } from "./fixtures/pdf_tools.ts";
import { makePki, type Officer } from "./fixtures/pki.ts";
import { REPORT_WORDS } from "../words/report.ts";
import type { Language } from "../words/speech.ts";

const { root, officers: [anita, postQuantum] } = makePki({
  officers: [{ name: "Anita", key: "p-256" }, { name: "Anita (post-quantum)", key: "ml-dsa-65" }],
});

const pins = { anita: "1111", postQuantum: "2222" };
const typed = (pin: string): Step => [/PIN to sign[^:]*: /, `${pin}\r`];
const both = [typed(pins.anita), typed(pins.postQuantum)];

interface Desk {
  path(name: string): string;
  env: Record<string, string>;
  sign(args: string[], steps?: Step[]): ReturnType<typeof dsignAtTerminal>;
  verify(...files: string[]): ReturnType<typeof dsign>;
}

const atDesk = (use: (desk: Desk) => Promise<void>) => () =>
  inTempDir(async (dir) => {
    const path = (name: string) => join(dir, name);
    const keyFile = async (name: keyof typeof pins, officer: Officer) =>
      Deno.writeFile(
        path(`${name}.p12`),
        await writePkcs12({
          key: officer.pkcs8,
          certificates: [officer.certificate.der, ...officer.chain],
          password: new TextEncoder().encode(pins[name]),
          friendlyName: officer.name,
          iterations: 1000,
        }),
      );
    await keyFile("anita", anita);
    await keyFile("postQuantum", postQuantum);
    await Deno.writeTextFile(path("root.pem"), pem("CERTIFICATE", root.certificate.der));
    await Deno.writeTextFile(path("bill.txt"), "Pay 1200.00 to the treasury\n");
    await Deno.writeFile(path("order.pdf"), classicPdf(documentObjects()));
    await Deno.mkdir(path("config/dsign"), { recursive: true });
    const pkcs12 = [path("anita.p12"), path("postQuantum.p12")];
    await Deno.writeTextFile(
      path("config/dsign/config.json"),
      JSON.stringify({ searchModules: false, pkcs12, postQuantum: true }),
    );
    const env = environment(dir);
    const trust = ["--trust", path("root.pem"), "--revocation", "if-available"];
    await use({
      path,
      env,
      sign: (args, steps = both) =>
        dsignAtTerminal(
          ["sign", "--certificate", anita.certificate.fingerprint, ...args],
          env,
          steps,
        ),
      verify: (...files) => dsign(["verify", ...trust, ...files], env),
    });
  });

const also = ["--also", postQuantum.certificate.fingerprint];

Deno.test(
  "a PDF gets an ECDSA signature and an ML-DSA one beside it: one question, two PINs, both reported",
  atDesk(async ({ path, sign, verify }) => {
    const { code, stderr, stdout } = await sign([...also, "--json", path("order.pdf")]);
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /Two keys sign\. The second one is post-quantum, of Anita \(post-quantum\)/,
    );
    assert.equal(stderr.match(/asks for a signature/g)?.length, 1);
    assert.equal(stderr.match(/PIN to sign/g)?.length, 2);
    const signed = path("order-signed.pdf");
    assert.deepEqual(JSON.parse(stdout).signed[0].beside, `${signed}.p7s`);
    assert.deepEqual(await pdfsig(signed), [{ valid: true, total: true }]);

    const said = await verify(signed);
    assert.equal(said.code, 0, said.stdout);
    assert.match(
      said.stdout,
      /order-signed\.pdf: VALID[^]*rests on +ECDSA with SHA-256, P-256 \(a large/,
    );
    assert.match(
      said.stdout,
      /order-signed\.pdf\.p7s: VALID[^]*rests on +ML-DSA-65 with SHA-512 \(post/,
    );
    const told = JSON.parse((await verify("--json", signed)).stdout);
    assert.deepEqual(
      told.files.map(({ signatures: [each] }: { signatures: { algorithm: string }[] }) =>
        each.algorithm
      ),
      ["ECDSA with SHA-256, P-256", "ML-DSA-65 with SHA-512"],
    );

    for (const language of ["en", "bn", "hi"]) {
      const report = ["--report", path(`${language}.html`), "--language", language];
      assert.equal((await verify(...report, signed)).code, 0);
      const page = await Deno.readTextFile(path(`${language}.html`));
      assert.equal(page.split(REPORT_WORDS[language as Language].post_quantum).length, 2, language);
    }

    // Whoever forges the first signature does not get past the second.
    const bytes = await Deno.readFile(signed);
    bytes[bytes.length - 2] ^= 1;
    await Deno.writeFile(signed, bytes);
    const changed = await verify(signed);
    assert.equal(changed.code, 1);
    assert.match(changed.stdout, /order-signed\.pdf\.p7s: NOT VALID/);
  }),
);

Deno.test(
  "CMS, attached and detached, gets an ML-DSA signature over the whole CMS, and OpenSSL still accepts the first",
  atDesk(async ({ path, sign, verify }) => {
    for (const [output, ...how] of [["attached.p7m"], ["bill.txt.p7s", "--detached"]]) {
      const args = [...also, ...how, "--output", path(output), path("bill.txt")];
      const { code, stderr } = await sign(args);
      assert.equal(code, 0, stderr);
      await openssl([
        ...["cms", "-verify", "-binary", "-inform", "DER", "-in", path(output)],
        ...how.length > 0 ? ["-content", path("bill.txt")] : [],
        ...["-CAfile", path("root.pem"), "-purpose", "any"],
      ]);
      const said = await verify(path(output));
      assert.equal(said.code, 0, said.stdout);
      assert.match(said.stdout, /\.p7s: VALID[^]*rests on +ML-DSA-65/);
    }
  }),
);

Deno.test(
  "what stands beside a file as its second signature is a CMS over it, not another file that is valid",
  atDesk(async ({ path, sign, verify }) => {
    assert.equal((await sign([...also, path("order.pdf")])).code, 0);
    const by = ["--certificate", postQuantum.certificate.fingerprint];
    const signAlone = async (...args: string[]) => {
      const { code, stderr } = await sign([...by, ...args], [typed(pins.postQuantum)]);
      assert.equal(code, 0, stderr);
    };
    await Deno.writeFile(path("other.pdf"), classicPdf(documentObjects()));
    const beside = path("order-signed.pdf.p7s");
    for (const args of [[path("other.pdf")], ["--format", "jws", path("bill.txt")]]) {
      await signAlone("--force", "--output", beside, ...args);
      const { code, stdout, stderr } = await verify(path("order-signed.pdf"));
      assert.equal(code, 1, stdout);
      assert.match(stdout, /order-signed\.pdf\.p7s: CANNOT BE CHECKED/);
      assert.match(stderr, /does not sign the file beside it/);
      assert.doesNotMatch(stdout, /rests on/);
    }
    await signAlone("--force", "--output", beside, "--format", "cades", path("bill.txt"));
    const { code, stdout } = await verify(path("order-signed.pdf"));
    assert.equal(code, 1);
    assert.match(stdout, /order-signed\.pdf\.p7s: NOT VALID/);
  }),
);

Deno.test(
  "the second signature of a detached CMS is found also where its content has another name",
  atDesk(async ({ path, sign, verify }) => {
    const args = ["--detached", "--output", path("a.p7s"), path("bill.txt")];
    assert.equal((await sign([...also, ...args])).code, 0);
    const said = await verify("--content", path("bill.txt"), path("a.p7s"));
    assert.equal(said.code, 0, said.stdout);
    assert.match(said.stdout, /a\.p7s\.p7s: VALID[^]*rests on +ML-DSA-65/);
  }),
);

Deno.test(
  "a second certificate that is not post-quantum, a declined one, or a wrong second PIN leaves no file",
  atDesk(async ({ path, sign }) => {
    const names = async () =>
      (await Array.fromAsync(Deno.readDir(path(".")), ({ name }) => name))
        .filter((name) => /signed|p7s|^\.dsign/.test(name));
    const first = ["--also", anita.certificate.fingerprint, path("order.pdf")];
    const { stderr, code } = await sign(first, []);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /not post-quantum/);
    assert.doesNotMatch(stderr, /PIN to sign/);

    const declined = await sign([...also, path("order.pdf")], [typed(pins.anita), typed("")]);
    assert.notEqual(declined.code, 0);
    const wrong = [typed(pins.anita), typed("0000"), typed("")];
    const refused = await sign([...also, path("order.pdf")], wrong);
    assert.match(refused.stderr, /password of the key file is wrong/);
    assert.deepEqual(await names(), []);

    for (const bad of [["--format", "jws"], ["--batch"], ["--cosign", path("root.pem")]]) {
      const { code, stderr } = await sign([...also, ...bad, path("bill.txt")], []);
      assert.equal(code, 2);
      assert.match(stderr, /--also/);
    }
  }),
);
