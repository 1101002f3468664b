import assert from "node:assert/strict";
import { pem } from "../formats/asn1/pem.ts";
import { join } from "node:path";
import { verifySignature } from "../formats/x509/signature.ts";
import { inTempDir, openssl } from "../tests/fixtures/openssl.ts";
import { withKeyFileReader } from "../tests/fixtures/key_files.ts";
import { makePki, type Officer } from "../tests/fixtures/pki.ts";
import { type KeyFileReader, openKeyFile, Pkcs12Provider } from "./pkcs12.ts";
import { writePkcs12 } from "./pkcs12_write.ts";
import type { AskPin } from "./provider.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const pin = (text: string): AskPin => () => Promise.resolve(utf8(text));
async function write(dir: string, officer: Officer): Promise<string> {
  const path = join(dir, `${officer.name}.p12`);
  const certificates = [officer.certificate.der, ...officer.chain];
  const friendlyName = officer.name;
  const key = officer.pkcs8;
  const options = { key, certificates, friendlyName, password: utf8("geheim"), iterations: 1000 };
  await Deno.writeFile(path, await writePkcs12(options));
  return path;
}

Deno.test("key files in a folder are tokens, and RSA and EC keys sign after the right password", () =>
  inTempDir((dir) =>
    withKeyFileReader(async (reader) => {
      const { officers } = makePki({
        officers: [
          { name: "Anita" },
          { name: "Bimal", key: "p-256" },
          { name: "Chitra", key: "p-384" },
        ],
      });
      for (const officer of officers) await write(dir, officer);
      const provider = new Pkcs12Provider([dir], reader);
      const { tokens, keys, problems } = await provider.list();
      assert.deepEqual(problems, []);
      assert.deepEqual(tokens.map(({ label }) => label), ["Anita", "Bimal", "Chitra"]);
      for (const { name, certificate, chain } of officers) {
        const [own, ...others] = keys.filter(({ token, hasKey }) => hasKey && token.label === name);
        assert.equal(others.length, 0);
        assert.equal(own.certificate.toHex(), certificate.der.toHex());
        assert.deepEqual(
          own.chain.map((each) => each.toHex()),
          chain.map((each) => new Uint8Array(each).toHex()),
        );
        for (const hash of ["SHA-256", "SHA-512"] as const) {
          const signer = await provider.open(own, { hash, askPin: pin("geheim") });
          const message = utf8("bill 7");
          const digest = new Uint8Array(await crypto.subtle.digest(hash, message));
          for (const input of [{ message }, { digest }]) {
            const signature = await signer.sign(input);
            assert.ok(verifySignature(own.certificate, signer.algorithm, { message }, signature));
          }
          await signer.close();
          await assert.rejects(signer.sign({ message }), { name: "SignerError" });
        }
        await assert.rejects(provider.open(own, { hash: "SHA-256", askPin: pin("falsch") }), {
          code: "password_incorrect",
        });
      }
      await provider.close();
    })
  ));

Deno.test("a certificate bound to RSASSA-PSS signs with PSS", () =>
  inTempDir((dir) =>
    withKeyFileReader(async (reader) => {
      const path = join(dir, "pss.p12");
      const [key, certificate] = [join(dir, "key.pem"), join(dir, "pss.crt")];
      const subject = ["-subj", "/CN=PSS", "-addext", "basicConstraints=CA:FALSE"];
      const newKey = ["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048", "-nodes"];
      await openssl(["req", "-x509", ...newKey, ...subject, "-keyout", key, "-out", certificate]);
      const both = ["-inkey", key, "-in", certificate, "-passout", "pass:geheim"];
      await openssl(["pkcs12", "-export", ...both, "-out", path]);
      const provider = new Pkcs12Provider([path], reader);
      const { keys: [own] } = await provider.list();
      const signer = await provider.open(own, { hash: "SHA-256", askPin: pin("geheim") });
      assert.equal(signer.algorithm.scheme, "RSASSA-PSS");
      const message = utf8("bill 7");
      const signature = await signer.sign({ message });
      assert.ok(verifySignature(own.certificate, signer.algorithm, { message }, signature));
      await assert.rejects(signer.sign({ digest: new Uint8Array(32) }), {
        code: "mechanism_unsupported",
      });
      await signer.close();
    })
  ));

Deno.test("certificates beside a file whose own are encrypted are used; without them the password shows its own", () =>
  inTempDir((dir) =>
    withKeyFileReader(async (reader) => {
      const { officers: [officer] } = makePki({ officers: [{ name: "Anita" }] });
      const paths = Object.fromEntries(
        ["a.p12", "a.pem", "key.pem"].map((name) => [name, join(dir, name)]),
      );
      await Deno.writeTextFile(
        paths["key.pem"],
        `-----BEGIN PRIVATE KEY-----\n${officer.pkcs8.toBase64()}\n-----END PRIVATE KEY-----\n`,
      );
      const chain = [officer.certificate.der, ...officer.chain];
      await Deno.writeTextFile(
        paths["a.pem"],
        `a comment\n${chain.map((der) => pem("CERTIFICATE", der)).join("\n")}`,
      );
      const both = ["-inkey", paths["key.pem"], "-in", paths["a.pem"], "-passout", "pass:geheim"];
      await openssl(["pkcs12", "-export", ...both, "-out", paths["a.p12"]]);

      const provider = new Pkcs12Provider([paths["a.p12"]], reader);
      const { keys } = await provider.list();
      assert.equal(keys.length, chain.length);
      assert.equal(keys[0].chain.length, 3);
      const signer = await provider.open(keys[0], { hash: "SHA-256", askPin: pin("geheim") });
      await signer.close();

      await Deno.remove(paths["a.pem"]);
      const alone = await provider.list();
      const [token] = alone.tokens;
      assert.deepEqual([token.hidesCertificates, alone.keys, alone.problems], [true, [], []]);
      await assert.rejects(provider.reveal(token, pin("falsch")), { code: "password_incorrect" });
      await provider.reveal(token, pin("geheim"));
      const revealed = await provider.list();
      assert.equal(revealed.tokens[0].hidesCertificates, undefined);
      const [own] = revealed.keys.filter(({ hasKey }) => hasKey);
      assert.deepEqual([own.chain.length, own.certificate], [3, officer.certificate.der]);
      await (await provider.open(own, { hash: "SHA-256", askPin: pin("geheim") })).close();
      // A service has the password.
      const opened = await openKeyFile(paths["a.p12"], utf8("geheim"), "SHA-256", reader);
      assert.deepEqual(opened.certificate, officer.certificate.der);
      await opened.close();
      // Another file of the same name hides its own.
      await Deno.writeTextFile(paths["a.pem"], pem("CERTIFICATE", officer.certificate.der));
      await openssl(["pkcs12", "-export", ...both, "-out", paths["a.p12"]]);
      await Deno.remove(paths["a.pem"]);
      assert.equal((await provider.list()).tokens[0].hidesCertificates, true);
      await Deno.writeTextFile(paths["a.pem"], pem("CERTIFICATE", officer.certificate.der));
      const ciphers = ["-keypbe", "aria-256-cbc", "-certpbe", "aria-256-cbc"];
      await openssl(["pkcs12", "-export", ...both, ...ciphers, "-out", paths["a.p12"]]);
      await Deno.remove(paths["a.pem"]);
      await provider.list();
      await assert.rejects(provider.reveal(token, pin("geheim")), { code: "key_file_unsupported" });
    })
  ));

Deno.test("a reader that gives another's key, or none, opens nothing", () =>
  inTempDir((dir) =>
    withKeyFileReader(async (reader) => {
      const { officers: [own, other] } = makePki({
        officers: [{ name: "Bimal", key: "p-256" }, { name: "Chitra", key: "p-256" }],
      });
      await write(dir, own);
      let given: unknown;
      const liar: KeyFileReader = {
        ask: (question, ...rest) =>
          question === "privateKey"
            ? Promise.resolve(given as never)
            : reader.ask(question, ...rest),
        close: () => reader.close(),
      };
      const provider = new Pkcs12Provider([dir], liar);
      const { keys: [key] } = await provider.list();
      const open = () => provider.open(key, { hash: "SHA-256", askPin: pin("geheim") });
      given = new Uint8Array(own.pkcs8);
      await (await open()).close();
      given = new Uint8Array(other.pkcs8);
      await assert.rejects(open, { code: "key_not_found" });
      for (given of [null, "key", [1], {}, new Uint8Array(), new Uint8Array(1 << 20)]) {
        await assert.rejects(open);
      }
    })
  ));

Deno.test("a key file with very many certificates is a problem", () =>
  inTempDir((dir) =>
    withKeyFileReader(async (reader) => {
      const { officers: [{ name, certificate, pkcs8: key }] } = makePki({
        officers: [{ name: "Bimal", key: "p-256" }],
      });
      for (const [count, code] of [[100, undefined], [101, "key_file_unreadable"]] as const) {
        const certificates = Array(count).fill(certificate.der);
        const options = { key, certificates, friendlyName: name, password: utf8("geheim") };
        await Deno.writeFile(
          join(dir, "many.p12"),
          await writePkcs12({ ...options, iterations: 1 }),
        );
        const { problems } = await new Pkcs12Provider([dir], reader).list();
        assert.equal(problems[0]?.code, code);
      }
    })
  ));

Deno.test("missing, damaged and huge files are problems, and a missing folder is not", () =>
  inTempDir((dir) =>
    withKeyFileReader(async (reader) => {
      const path = (name: string) => join(dir, name);
      await Deno.writeTextFile(path("text.p12"), "no key");
      await Deno.writeFile(path("huge.p12"), new Uint8Array(2 << 20));
      await Deno.mkdir(path("folder.pfx"));
      const files = ["absent.p12", "text.p12", "huge.p12", "nowhere/"].map(path);
      const { tokens, problems } = await new Pkcs12Provider(files, reader).list();
      assert.deepEqual(tokens, []);
      assert.deepEqual(problems.map(({ driver, code }) => [driver, code]).sort(), [
        [path("absent.p12"), "token_not_present"],
        [path("huge.p12"), "key_file_unreadable"],
        [path("text.p12"), "key_file_unreadable"],
      ]);
      assert.equal((await new Pkcs12Provider([dir], reader).list()).problems.length, 3);
      await new Deno.Command("mkfifo", { args: [path("pipe.p12")] }).output();
      const [pipe] = (await new Pkcs12Provider([path("pipe.p12")], reader).list()).problems;
      assert.deepEqual([pipe.code, pipe.message], [
        "key_file_unreadable",
        "The key file is a pipe, a device or a folder.",
      ]);
    })
  ));
