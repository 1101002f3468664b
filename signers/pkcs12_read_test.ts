import assert from "node:assert/strict";
import { explicit, integer, octetString, sequence } from "../formats/asn1/der.ts";
import { readAsn1, readOctetString } from "../formats/asn1/read.ts";
import { publicCertificates, readPkcs12 } from "./pkcs12_read.ts";
import { writePkcs12 } from "./pkcs12_write.ts";
import { SignerError } from "./provider.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

/** Runs OpenSSL in `folder`. Debian package: openssl. */
async function openssl(folder: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("openssl", { args, cwd: folder })
    .output().catch(() => {
      throw new Error("This test needs OpenSSL: apt-get install openssl");
    });
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr));
  return decoder.decode(stdout);
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** key.pem (PKCS #8) with cert.pem, and both in DER. */
async function makeIdentity(folder: string) {
  await openssl(
    folder,
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=Officer".split(" "),
    ..."-keyout key.pem -out cert.pem -days 2".split(" "),
  );
  await openssl(
    folder,
    ..."pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der".split(" "),
  );
  await openssl(folder, ..."x509 -in cert.pem -outform DER -out cert.der".split(" "));
  return {
    key: await Deno.readFile(`${folder}/key.der`),
    certificate: await Deno.readFile(`${folder}/cert.der`),
  };
}

Deno.test("OpenSSL reads writePkcs12's key and certificate, and a wrong password fails", () =>
  inFolder(async (folder) => {
    const { key, certificate } = await makeIdentity(folder);
    const file = await writePkcs12({
      key,
      certificates: [certificate],
      password: utf8("pässwörd"),
      friendlyName: "Officer ১",
    });
    await Deno.writeFile(`${folder}/a.p12`, file);
    const export12 = ["pkcs12", "-in", "a.p12", "-nodes", "-passin"];
    const text = await openssl(folder, ...export12, "pass:pässwörd");
    assert.match(text, /BEGIN PRIVATE KEY/);
    assert.match(text, /BEGIN CERTIFICATE/);
    await assert.rejects(openssl(folder, ...export12, "pass:other"), /mac verify error/i);
    const info = ["pkcs12", "-info", "-in", "a.p12", "-noout", "-passin", "pass:pässwörd"];
    assert.equal(await openssl(folder, ...info), "");

    assert.deepEqual(publicCertificates(file), [certificate]);
    const contents = readPkcs12(file, utf8("pässwörd"));
    assert.deepEqual(contents, { keys: [key], certificates: [certificate] });
  }));

const forms: Record<string, { args: string[]; certificates: number; shown?: number }> = {
  "AES-256, HMAC-SHA-256": { args: [], certificates: 1 },
  "AES-128": { args: ["-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC"], certificates: 1 },
  "3DES, SHA-1": {
    args: ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
    certificates: 1,
  },
  "RC2 certificates, 3DES key": {
    args: ["-legacy", "-descert", "-certpbe", "PBE-SHA1-RC2-40", "-macalg", "sha1"],
    certificates: 0,
  },
  "no encryption, SHA-512": {
    args: ["-keypbe", "NONE", "-certpbe", "NONE", "-macalg", "sha512"],
    certificates: 1,
    shown: 1,
  },
  "no MAC": { args: ["-nomac"], certificates: 1, shown: 1 },
};

for (const [name, { args, certificates, shown = 0 }] of Object.entries(forms)) {
  Deno.test(`readPkcs12 reads files that OpenSSL wrote with ${name}`, () =>
    inFolder(async (folder) => {
      const { key } = await makeIdentity(folder);
      const write = "pkcs12 -export -inkey key.pem -in cert.pem -out b.p12 -passout pass:1234";
      await openssl(folder, ...write.split(" "), ...args);
      const file = await Deno.readFile(`${folder}/b.p12`);
      const contents = readPkcs12(file, utf8("1234"));
      assert.deepEqual(contents.keys.map((each) => each.toHex()), [key.toHex()]);
      assert.equal(contents.certificates.length, certificates);
      assert.equal(publicCertificates(file).length, shown);
      assert.throws(() => readPkcs12(file, utf8("12345")), (error) => {
        assert.ok(error instanceof SignerError);
        assert.equal(error.code, "password_incorrect");
        return true;
      });
    }));
}

Deno.test("readPkcs12 soon ends with one error on damaged files and absurd iteration counts", () =>
  inFolder(async (folder) => {
    const { key, certificate } = await makeIdentity(folder);
    const password = utf8("1234");
    const file = await writePkcs12({
      key,
      certificates: [certificate],
      password,
      friendlyName: "x",
      iterations: 1000,
    });
    for (let at = 0; at < file.length; at += 7) {
      const damaged = file.slice();
      damaged[at] ^= 0xff;
      for (const bytes of [damaged, file.slice(0, at)]) {
        for (const read of [() => readPkcs12(bytes, password), () => publicCertificates(bytes)]) {
          let contents;
          try {
            contents = read();
          } catch (error) {
            assert.ok(error instanceof SignerError);
            continue;
          }
          // Bits without a meaning, such as the parameters of SHA-256, may differ.
          if (!Array.isArray(contents)) {
            assert.deepEqual(contents, { keys: [key], certificates: [certificate] });
          }
        }
      }
    }
    // iterations INTEGER 1000 at the end: 02 02 03 e8 → a larger one of the same length is fine, a
    // negative one is not.
    const negative = file.slice();
    negative.set([0xff, 0xff], file.length - 2);
    assert.throws(() => readPkcs12(negative, password), { code: "key_file_unreadable" });
    assert.throws(() => readPkcs12(new Uint8Array(1 << 21), password), {
      code: "key_file_unreadable",
    });

    const [version, authSafe, mac] = readAsn1(file).children;
    const [digest, salt] = mac.children.map(({ bytes }) => bytes);
    const endless = sequence(digest, salt, integer(1_000_000_000));
    const forged = sequence(version.bytes, authSafe.bytes, endless);
    assert.throws(() => readPkcs12(forged, password), { code: "key_file_unreadable" });
    // without a MAC, and with so many keys that each costs little and all together much
    const content = readOctetString(authSafe.children[1].children[0]);
    const [certificates, keys] = readAsn1(content).children;
    const bags = readAsn1(readOctetString(keys.children[1].children[0])).children[0].bytes;
    const many = sequence(
      certificates.bytes,
      sequence(
        keys.children[0].bytes,
        explicit(0, octetString(sequence(...Array(9).fill(bags)))),
      ),
    );
    const crowd = sequence(
      version.bytes,
      sequence(authSafe.children[0].bytes, explicit(0, octetString(many))),
    );
    assert.throws(() => readPkcs12(crowd, password), {
      code: "key_file_unreadable",
      details: { cause: "The file has too many encrypted parts." },
    });
  }));
