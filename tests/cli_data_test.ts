/** The command line with data of several officers: co-signatures, countersignatures, XML, JSON. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { writePkcs12 } from "../signers/pkcs12_write.ts";
import { dsign, dsignAtTerminal, environment } from "./fixtures/cli.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { pem } from "../formats/asn1/pem.ts";
import { makePki } from "./fixtures/pki.ts";

const PASSWORD = "geheim";

Deno.test("two officers sign the same file in each form, one after the other", () =>
  inTempDir(async (dir) => {
    const { officers, root } = makePki({ officers: [{ name: "Anita" }, { name: "Bimal" }] });
    const path = (name: string) => join(dir, name);
    for (const { name, pkcs8, certificate, chain } of officers) {
      await Deno.writeFile(
        path(`${name}.p12`),
        await writePkcs12({
          key: pkcs8,
          certificates: [certificate.der, ...chain],
          password: new TextEncoder().encode(PASSWORD),
          friendlyName: name,
        }),
      );
    }
    await Deno.mkdir(path("config/dsign/trust"), { recursive: true });
    const config = JSON.stringify({ searchModules: false, pkcs12: [dir] });
    await Deno.writeTextFile(path("config/dsign/config.json"), config);
    await Deno.writeTextFile(
      path("config/dsign/trust/root.pem"),
      pem("CERTIFICATE", root.certificate.der),
    );
    await Deno.writeTextFile(path("bill.json"), '{"bill":7}');
    await Deno.writeTextFile(path("order.xml"), "<order><amount>7</amount></order>");
    const env = environment(dir);
    const sign = async (by: string, ...args: string[]) => {
      const token = ["--token", `pkcs11:token=${by}`];
      const { code, stderr } = await dsignAtTerminal(["sign", "--json", ...token, ...args], env, [
        [/PIN to sign[^:]*: /, `${PASSWORD}\r`],
      ]);
      assert.equal(code, 0, stderr);
      return stderr;
    };
    const signers = async (file: string) => {
      const args = ["verify", "--json", "--revocation", "if-available", path(file)];
      const { code, stdout, stderr } = await dsign(args, env);
      assert.equal(code, 0, stdout + stderr);
      return JSON.parse(stdout).files[0].signatures;
    };
    const names = (signatures: { signer: { commonName: string } }[]) =>
      signatures.map(({ signer }) => signer.commonName);

    const bill = path("bill.json");
    await sign("Anita", "--detached", bill);
    const seen = await sign("Bimal", "--cosign", `${bill}.p7s`, "--force", bill);
    assert.match(seen, /already signed by Anita/);
    await sign("Anita", "--countersign", `${bill}.p7s`, "--output", path("counter.p7s"), bill);
    assert.deepEqual(names(await signers("bill.json.p7s")), ["Anita", "Bimal"]);
    await Deno.rename(path("counter.p7s"), path("bill.json.p7s"));
    const [first] = await signers("bill.json.p7s");
    assert.deepEqual(names(first.countersignatures), ["Anita"]);

    await sign("Anita", "--format", "jws", bill);
    await sign("Bimal", "--format", "jws", "--cosign", `${bill}.jws`, "--force", bill);
    assert.deepEqual(names(await signers("bill.json.jws")), ["Anita", "Bimal"]);

    await sign("Anita", "--format", "xades", path("order.xml"));
    const twice = ["--output", path("twice.xml"), path("order-signed.xml")];
    await sign("Bimal", "--format", "xmldsig", ...twice);
    assert.deepEqual(names(await signers("twice.xml")), ["Anita", "Bimal"]);

    const container = path("orders.asice");
    const into = ["--container", "asic-e", "--format", "xades"];
    await sign("Anita", ...into, "--output", container, bill, path("order.xml"));
    const asked = await sign("Bimal", ...into, container);
    assert.match(asked, /already signed by Anita/);
    const both = await signers("orders-signed.asice");
    assert.deepEqual(names(both), ["Anita", "Bimal"]);
    const parts = both.map(({ coverage }: { coverage: { parts: string[] } }) => coverage.parts);
    assert.deepEqual(parts, Array(2).fill(["bill.json", "order.xml"]));

    await Deno.writeTextFile(path("other.json"), '{"bill":8}');
    const other = ["--cosign", `${bill}.p7s`, "--output", path("x"), path("other.json")];
    const refused = await dsign(["sign", "--json", "--token", "pkcs11:token=Bimal", ...other], env);
    assert.equal(refused.code, 1);
    assert.equal(JSON.parse(refused.stdout).error.code, "signature_mismatch");
  }));
