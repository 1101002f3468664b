import assert from "node:assert/strict";
import { join } from "node:path";
import { integer, octetString, oid, sequence, tlv } from "../formats/asn1/der.ts";
import { ML_DSA, withMlDsa } from "../formats/keys/ml_dsa.ts";
import type { MlDsa } from "../formats/signer.ts";
import { verifySignature } from "../formats/x509/signature.ts";
import type { MlDsaKeyType } from "../tests/fixtures/keys.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { withKeyFileReader } from "../tests/fixtures/key_files.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { Pkcs12Provider } from "./pkcs12.ts";
import { writePkcs12 } from "./pkcs12_write.ts";
import { MAX_ML_DSA_MESSAGE } from "./provider.ts";
import { softwareKey } from "./software_key.ts";

const message = new TextEncoder().encode("bill 7");
const password = () => new TextEncoder().encode("geheim");
const seed = Uint8Array.from({ length: 32 }, (_, i) => i); // that of RFC 9881, Appendix C
const code = (wanted: string) => (error: unknown) => (error as { code?: string }).code === wanted;

const pkcs8 = (name: MlDsa, key: Uint8Array) =>
  sequence(integer(0), sequence(oid(ML_DSA[name].oid)), octetString(key));

for (const [type, library] of Object.entries({ ml_dsa44, ml_dsa65, ml_dsa87 })) {
  const keyType = type.replace("ml_dsa", "ml-dsa-") as MlDsaKeyType;
  const name = keyType.toUpperCase() as MlDsa;
  Deno.test(`the three forms of an ${name} key give one key, which signs with fresh randomness`, async () => {
    const { secretKey, publicKey } = library.keygen(seed);
    const forms = [
      tlv(0x80, seed),
      octetString(secretKey),
      sequence(octetString(seed), octetString(secretKey)),
    ];
    for (const form of forms) {
      const key = await softwareKey(pkcs8(name, form));
      assert.ok(key.fits(publicKey));
      assert.ok(!key.fits(library.keygen(new Uint8Array(32)).publicKey));
      const [one, two] = [0, 1].map(() => key.sign({ scheme: name, hash: "SHA-512" }, { message }));
      assert.ok(library.verify(one, message, publicKey));
      assert.notDeepEqual(one, two);
      key.wipe();
    }
  });

  Deno.test(`an ${name} key of the wrong length, or with another seed, is damaged`, async () => {
    const { secretKey } = library.keygen(seed);
    for (
      const form of [
        tlv(0x80, seed.subarray(1)),
        octetString(secretKey.subarray(1)),
        octetString(secretKey, Uint8Array.of(0)),
        sequence(octetString(new Uint8Array(32)), octetString(secretKey)),
      ]
    ) await assert.rejects(softwareKey(pkcs8(name, form)), code("driver_error"));
  });
}

Deno.test("RFC 9881's key in both forms is read", async () => {
  const pem = await Deno.readTextFile(
    new URL("../tests/fixtures/ml_dsa/rfc9881_ml_dsa_44_both.key.pem", import.meta.url),
  );
  const key = await softwareKey(Uint8Array.fromBase64(pem.replace(/-----.*-----/g, "")));
  assert.ok(key.fits(ml_dsa44.keygen(seed).publicKey));
});

Deno.test("a key file with an ML-DSA key signs messages up to 1 MiB, and no digests", () =>
  inTempDir((dir) =>
    withKeyFileReader(async (reader) => {
      const { officers: [officer] } = makePki({ officers: [{ name: "Deepa", key: "ml-dsa-65" }] });
      const certificates = [officer.certificate.der, ...officer.chain];
      const file = await writePkcs12({
        key: officer.pkcs8,
        certificates,
        friendlyName: "Deepa",
        password: password(),
        iterations: 1000,
      });
      await Deno.writeFile(join(dir, "deepa.p12"), file);
      const provider = new Pkcs12Provider([dir], reader);
      const { keys: [own] } = await provider.list();
      const askPin = () => Promise.resolve(password());
      const signer = await provider.open(own, { hash: "SHA-256", askPin });
      assert.deepEqual(signer.algorithm, { scheme: "ML-DSA-65", hash: "SHA-512" });
      const longest = new Uint8Array(MAX_ML_DSA_MESSAGE);
      for (const message of [new Uint8Array(0), longest]) {
        const signature = await signer.sign({ message });
        assert.ok(
          await withMlDsa(() =>
            verifySignature(own.certificate, signer.algorithm, { message }, signature)
          ),
        );
      }
      const tooMuch = new Uint8Array(MAX_ML_DSA_MESSAGE + 1);
      for (const input of [{ message: tooMuch }, { digest: new Uint8Array(64) }]) {
        await assert.rejects(signer.sign(input), code("mechanism_unsupported"));
      }
      await signer.close();
      await provider.close();
    })
  ));

const integerOf = (value: bigint) => {
  const hex = value.toString(16);
  const bytes = Uint8Array.fromHex((hex.length % 2 ? "0" : "") + hex);
  return tlv(2, Uint8Array.of(...bytes[0] < 128 ? [] : [0], ...bytes));
};

/** Keys of an RSA modulus pq, whose numbers belong together, though p and q need not be primes. */
function rsaKeyOf(p: bigint, q: bigint): Uint8Array {
  const e = 65537n;
  const inverse = (value: bigint, modulus: bigint) => {
    let [last, rest, a, b] = [modulus, value % modulus, 0n, 1n];
    while (rest > 0n) [last, rest, a, b] = [rest, last % rest, b, a - last / rest * b];
    return (a + modulus) % modulus;
  };
  const d = inverse(e, (p - 1n) * (q - 1n));
  const numbers = [p * q, e, d, p, q, d % (p - 1n), d % (q - 1n), inverse(q, p)];
  const key = sequence(integer(0), ...numbers.map(integerOf));
  return sequence(integer(0), sequence(oid("1.2.840.113549.1.1.1")), octetString(key));
}

Deno.test("an RSA key that would take minutes for a signature is not used", async () => {
  const near = (bits: bigint) => rsaKeyOf(2n ** bits - 1n, 2n ** bits - 3n);
  for (const half of [256n, 4100n, 32_768n]) {
    await assert.rejects(() => softwareKey(near(half)), code("mechanism_unsupported"), `${half}`);
  }
});

Deno.test("keys that are seen to be damaged late are damaged all the same", async () => {
  const key = await softwareKey(rsaKeyOf(2n ** 1024n - 1n, 2n ** 1024n - 3n)); // no primes
  for (const scheme of ["RSASSA-PKCS1-v1_5", "RSASSA-PSS"] as const) {
    assert.throws(() => key.sign({ scheme, hash: "SHA-256" }, { message }), code("driver_error"));
  }
  const p256 = sequence(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"));
  for (const scalar of [new Uint8Array(32), new Uint8Array(32).fill(255), new Uint8Array(7)]) {
    const ec = sequence(integer(0), p256, octetString(sequence(integer(1), octetString(scalar))));
    await assert.rejects(() => softwareKey(ec), code("driver_error"));
  }
});
