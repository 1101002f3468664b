import assert from "node:assert/strict";
import {
  CKG_MGF1_SHA384,
  CKM_ECDSA,
  CKM_ECDSA_SHA512,
  CKM_ML_DSA,
  CKM_RSA_PKCS,
  CKM_RSA_PKCS_PSS,
  CKM_SHA256_RSA_PKCS,
  CKM_SHA384,
  CKM_SHA384_RSA_PKCS_PSS,
} from "./constants.ts";
import { Pkcs11Error } from "./error.ts";
import { chooseMechanism, ecdsaToDer, type Hash, type Scheme } from "./mechanism.ts";

const RSA = { type: "rsa", bits: 2048 } as const;
const P256 = { type: "ec", bits: 256 } as const;
const code = (wanted: string) => (error: unknown) =>
  error instanceof Pkcs11Error && error.code === wanted;

Deno.test("a message takes the combined mechanism where there is one", () => {
  const both = new Set([CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS]);
  assert.deepEqual(
    chooseMechanism(RSA, "RSASSA-PKCS1-v1_5", "SHA-256", "message", both),
    { mechanism: CKM_SHA256_RSA_PKCS, pss: undefined, feed: "message" },
  );
});

Deno.test("without it the message is hashed and wrapped in DigestInfo", () => {
  const raw = new Set([CKM_RSA_PKCS]);
  const choice = chooseMechanism(RSA, "RSASSA-PKCS1-v1_5", "SHA-256", "message", raw);
  assert.equal(choice.mechanism, CKM_RSA_PKCS);
  assert.ok(choice.feed !== "message");
  // RFC 8017 §9.2, note 1.
  assert.equal(choice.feed.prefix.toHex(), "3031300d060960864801650304020105000420");
  const sha512 = chooseMechanism(RSA, "RSASSA-PKCS1-v1_5", "SHA-512", "digest", raw);
  assert.ok(sha512.feed !== "message");
  assert.equal(sha512.feed.prefix.toHex(), "3051300d060960864801650304020305000440");
});

Deno.test("a digest needs a raw mechanism", () => {
  const combined = new Set([CKM_SHA256_RSA_PKCS]);
  assert.throws(
    () => chooseMechanism(RSA, "RSASSA-PKCS1-v1_5", "SHA-256", "digest", combined),
    code("mechanism_unsupported"),
  );
});

Deno.test("PSS has its parameters in both forms", () => {
  const pss = { hashAlg: CKM_SHA384, mgf: CKG_MGF1_SHA384, saltLength: 48 };
  const offered = new Set([CKM_RSA_PKCS_PSS, CKM_SHA384_RSA_PKCS_PSS]);
  const message = chooseMechanism(RSA, "RSASSA-PSS", "SHA-384", "message", offered);
  assert.deepEqual(message, { mechanism: CKM_SHA384_RSA_PKCS_PSS, pss, feed: "message" });
  const digest = chooseMechanism(RSA, "RSASSA-PSS", "SHA-384", "digest", offered);
  assert.deepEqual([digest.mechanism, digest.pss], [CKM_RSA_PKCS_PSS, pss]);
});

Deno.test("ECDSA cuts a digest that is longer than the curve's order", () => {
  const choice = chooseMechanism(P256, "ECDSA", "SHA-512", "digest", new Set([CKM_ECDSA]));
  assert.deepEqual(choice.feed, { prefix: new Uint8Array(0), maxDigest: 32 });
  const combined = new Set([CKM_ECDSA_SHA512]);
  const message = chooseMechanism(P256, "ECDSA", "SHA-512", "message", combined);
  assert.equal(message.mechanism, CKM_ECDSA_SHA512);
});

Deno.test("wrong key, unknown scheme, and SHA-1 but in PKCS #1 v1.5 are refused", () => {
  const all = new Set([CKM_RSA_PKCS, CKM_RSA_PKCS_PSS, CKM_ECDSA]);
  const choose = (scheme: string, hash: string) => () =>
    chooseMechanism(RSA, scheme as Scheme, hash as Hash, "digest", all);
  assert.throws(choose("ECDSA", "SHA-256"), code("mechanism_unsupported"));
  assert.throws(choose("RSA-OAEP", "SHA-256"), code("mechanism_unsupported"));
  assert.throws(choose("RSASSA-PSS", "SHA-1"), code("mechanism_unsupported"));
  assert.throws(
    () => chooseMechanism(P256, "ECDSA", "SHA-1", "digest", all),
    code("mechanism_unsupported"),
  );
  const { feed } = choose("RSASSA-PKCS1-v1_5", "SHA-1")();
  assert.ok(feed !== "message");
  assert.equal(feed.prefix.toHex(), "3021300906052b0e03021a05000414");
});

Deno.test("ECDSA-Sig-Value has minimal, positive integers", () => {
  const raw = new Uint8Array(64);
  raw[31] = 0x7f; // r = 127
  raw[62] = 0x80; // s = 0x8000
  assert.equal(ecdsaToDer(raw).toHex(), "300802017f0203008000");
  assert.equal(ecdsaToDer(new Uint8Array(64)).toHex(), "3006020100020100");
  // P-521 needs the long form of the length.
  const long = ecdsaToDer(new Uint8Array(132).fill(0x01));
  assert.equal(long.subarray(0, 5).toHex(), "3081880242");
  for (const length of [0, 63, 1000]) {
    assert.throws(() => ecdsaToDer(new Uint8Array(length)), code("driver_nonsense"));
  }
});

Deno.test("an ML-DSA key signs messages in its own parameter set, and no digests", () => {
  const key = { type: "ml-dsa", bits: 0, parameterSet: "ML-DSA-65" } as const;
  const offered = new Set([CKM_ML_DSA, CKM_ECDSA]);
  assert.deepEqual(
    chooseMechanism(key, "ML-DSA-65", "SHA-512", "message", offered),
    { mechanism: CKM_ML_DSA, feed: "message" },
  );
  const refused: [Scheme, "message" | "digest", Set<number>][] = [
    ["ML-DSA-65", "digest", offered],
    ["ML-DSA-65", "message", new Set([CKM_ECDSA])],
    ["ML-DSA-87", "message", offered],
    ["ECDSA", "message", offered],
  ];
  for (const [scheme, input, mechanisms] of refused) {
    assert.throws(
      () => chooseMechanism(key, scheme, "SHA-512", input, mechanisms),
      code("mechanism_unsupported"),
    );
  }
  assert.throws(
    () => chooseMechanism(P256, "ML-DSA-65", "SHA-512", "message", offered),
    code("mechanism_unsupported"),
  );
});
