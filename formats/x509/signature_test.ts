import assert from "node:assert/strict";
import { constants, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { goldenSigner } from "../../tests/fixtures/golden_signers.ts";
import { prepareCertificate } from "./write.ts";
import { readAsn1 } from "../asn1/read.ts";
import { concat, integer, octetString, sequence, tlv } from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { FormatError, type FormatErrorCode } from "../error.ts";
import { encodeName } from "./name.ts";
import { maxSignatureLength, verifySignature } from "./signature.ts";
import type { HashName, SignatureAlgorithm } from "../signer.ts";

const message = new TextEncoder().encode("Technical Sanction 42");
const hashes: HashName[] = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];
const nodeName = (hash: HashName) => hash.replace("-", "").toLowerCase();

function refused(code: FormatErrorCode, body: () => unknown) {
  assert.throws(body, (error) => error instanceof FormatError && error.code === code);
}

/** A certificate with the key in it; who issued it does not matter here. */
function certify(publicKey: KeyObject | Uint8Array): Uint8Array {
  const name = encodeName([["CN", "TEST"]]);
  const spki = publicKey instanceof Uint8Array
    ? publicKey
    : new Uint8Array(publicKey.export({ format: "der", type: "spki" }));
  return prepareCertificate({
    serialNumber: Uint8Array.of(1),
    issuer: name,
    subject: name,
    notBefore: new Date("2020-01-01"),
    notAfter: new Date("2120-01-01"),
    publicKey: spki,
    algorithm: { scheme: "ECDSA", hash: "SHA-256" },
    extensions: [],
  }).complete(new Uint8Array(8));
}

/** True for the signature from message and digest alike; false for any change. */
function assertOnly(certificate: Uint8Array, algorithm: SignatureAlgorithm, signature: Uint8Array) {
  const hashed = digest(algorithm.hash, message);
  const check = (input: { message: Uint8Array } | { digest: Uint8Array }, value = signature) =>
    verifySignature(certificate, algorithm, input, value);
  assert.equal(check({ message }), true);
  assert.equal(check({ digest: hashed }), true);
  assert.ok(signature.length <= maxSignatureLength(certificate));
  assert.equal(check({ message: message.slice(1) }), false);
  for (const at of [0, 1, signature.length >> 1, signature.length - 1]) {
    const changed = signature.slice();
    changed[at] ^= 1;
    assert.equal(check({ message }, changed), false, `byte ${at}`);
  }
  assert.equal(check({ message }, signature.subarray(1)), false);
  assert.equal(check({ message }, concat(signature, Uint8Array.of(0))), false);
  assert.equal(check({ message }, concat(Uint8Array.of(0), signature)), false);
  assert.equal(check({ message }, new Uint8Array()), false);
  assert.equal(check({ message }, new Uint8Array(signature.length)), false);
  assert.equal(check({ message }, new Uint8Array(signature.length).fill(0xff)), false);
}

// 1025: a modulus whose encoded message is a byte shorter for PSS (RFC 8017 §8.1.2).
for (const [bits, publicExponent] of [[2048, 65537], [1025, 3], [1032, 17]]) {
  Deno.test(`signatures made by the runtime verify: RSA ${bits} bits, exponent ${publicExponent}`, () => {
    const keys = generateKeyPairSync("rsa", { modulusLength: bits, publicExponent });
    const certificate = certify(keys.publicKey);
    for (const hash of hashes) {
      const pkcs1 = new Uint8Array(sign(nodeName(hash), message, keys.privateKey));
      assertOnly(certificate, { scheme: "RSASSA-PKCS1-v1_5", hash }, pkcs1);
      const { length } = digest(hash, message);
      for (const saltLength of [length, 0, 20]) {
        if (length + saltLength + 2 > Math.ceil((bits - 1) / 8)) continue;
        const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
        const pss = new Uint8Array(
          sign(nodeName(hash), message, { key: keys.privateKey, ...padding }),
        );
        assertOnly(certificate, { scheme: "RSASSA-PSS", hash, saltLength }, pss);
        const other = { scheme: "RSASSA-PSS", hash, saltLength: saltLength + 1 } as const;
        assert.equal(verifySignature(certificate, other, { message }, pss), false);
      }
      assert.equal(
        verifySignature(certificate, { scheme: "RSASSA-PSS", hash }, { message }, pkcs1),
        false,
      );
    }
  });
}

for (const namedCurve of ["P-256", "P-384", "P-521"]) {
  Deno.test(`signatures made by the runtime verify with every digest: ECDSA ${namedCurve}`, () => {
    const keys = generateKeyPairSync("ec", { namedCurve });
    const certificate = certify(keys.publicKey);
    for (const hash of hashes) {
      let signature: Uint8Array;
      try {
        signature = new Uint8Array(sign(nodeName(hash), message, keys.privateKey));
      } catch {
        continue; // the runtime refuses digests below half of the curve's size
      }
      assertOnly(certificate, { scheme: "ECDSA", hash }, signature);
    }
  });
}

Deno.test("ECDSA accepts s and its complement, and never zero, too large or negative numbers", () => {
  const { certificate, algorithm, signMessage } = goldenSigner("ec");
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const signature = signMessage(message);
  const r = BigInt("0x" + signature.subarray(4, 4 + signature[3]).toHex());
  const s = BigInt("0x" + signature.subarray(6 + signature[3]).toHex());
  const check = (a: bigint, b: bigint) =>
    verifySignature(certificate, algorithm, { message }, sequence(integer(a), integer(b)));
  assert.equal(check(r, s), true);
  assert.equal(check(r, order - s), true);
  const wrong: [bigint, bigint][] = [[0n, 0n], [0n, s], [r, 0n], [r, order], [order, s], [-r, s]];
  for (const [a, b] of [...wrong, [r + order, s], [r, s + order], [r, -s]] as [bigint, bigint][]) {
    assert.equal(check(a, b), false);
  }
});

Deno.test("an ECDSA key used often is checked by table, with the same results", () => {
  const { certificate, algorithm, signMessage } = goldenSigner("ec384");
  const signature = signMessage(message);
  for (let i = 0; i < 110; i++) {
    assert.ok(verifySignature(certificate, algorithm, { message }, signature));
  }
  assertOnly(certificate, algorithm, signature);
  assertOnly(certificate, algorithm, signMessage(message));
});

Deno.test("ECDSA signatures are accepted only in DER", () => {
  const { certificate, algorithm, signMessage } = goldenSigner("ec");
  const [r, s] = [...readAsn1(signMessage(message)).children].map((node) => node.bytes);
  const long = (number: Uint8Array) => tlv(0x02, new Uint8Array(1), readAsn1(number).content);
  const check = (signature: Uint8Array) =>
    verifySignature(certificate, algorithm, { message }, signature);
  assert.equal(check(sequence(r, s)), true);
  for (const wrong of [sequence(r), sequence(r, s, s), sequence(long(r), s), concat(r, s)]) {
    assert.equal(check(wrong), false);
  }
});

Deno.test("RSA PKCS #1 accepts only the one correct encoding, not forgeries for lenient readers", () => {
  const keys = generateKeyPairSync("rsa", { modulusLength: 2048, publicExponent: 3 });
  const certificate = certify(keys.publicKey);
  const algorithm = { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const;
  const hashed = digest("SHA-256", message);
  const info = Uint8Array.fromHex("3031300d060960864801650304020105000420");
  const withoutNull = Uint8Array.fromHex("302f300b0609608648016503040201" + "0420");
  /** Signs an encoded message as it is. */
  const raw = (...parts: Uint8Array[]) => {
    const encoded = concat(...parts);
    assert.equal(encoded.length, 256);
    return modularPower(keys.privateKey, encoded);
  };
  const head = (length: number, ...fill: number[]) =>
    concat(Uint8Array.of(0, ...fill), new Uint8Array(length).fill(0xff), Uint8Array.of(0));
  const check = (signature: Uint8Array) =>
    verifySignature(certificate, algorithm, { message }, signature);
  assert.equal(check(raw(head(202, 1), info, hashed)), true);
  assert.equal(check(raw(head(204, 1), withoutNull, hashed)), false);
  assert.equal(check(raw(head(8, 1), info, hashed, new Uint8Array(194))), false);
  assert.equal(check(raw(head(202, 2), info, hashed)), false);
  assert.equal(check(raw(head(221, 1), hashed)), false);
});

/** `encoded^d mod n`, by the key's own numbers. */
function modularPower(privateKey: KeyObject, encoded: Uint8Array): Uint8Array {
  const jwk = privateKey.export({ format: "jwk" });
  const number = (text?: string) =>
    BigInt("0x" + Uint8Array.fromBase64(text!, { alphabet: "base64url" }).toHex());
  const modulus = number(jwk.n);
  let [power, result] = [BigInt("0x" + encoded.toHex()), 1n];
  for (let exponent = number(jwk.d); exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = result * power % modulus;
    power = power * power % modulus;
  }
  return Uint8Array.fromHex(result.toString(16).padStart(encoded.length * 2, "0"));
}

Deno.test("the algorithm must match the key, and a digest must have the right length", () => {
  const [rsa, ec] = [goldenSigner("rsa"), goldenSigner("ec")];
  const check = (certificate: Uint8Array, algorithm: SignatureAlgorithm, signature: Uint8Array) =>
    verifySignature(certificate, algorithm, { message }, signature);
  assert.equal(check(rsa.certificate, ec.algorithm, ec.signMessage(message)), false);
  assert.equal(check(ec.certificate, rsa.algorithm, rsa.signMessage(message)), false);
  refused(
    "invalid_argument",
    () => verifySignature(rsa.certificate, rsa.algorithm, { digest: message }, new Uint8Array(256)),
  );
  refused("certificate_malformed", () => maxSignatureLength(new Uint8Array(5)));
});

Deno.test("malformed and unsupported keys are refused by name", () => {
  const { publicKey } = generateKeyPairSync("ed25519");
  refused("algorithm_unsupported", () => maxSignatureLength(certify(publicKey)));
  const rsaKey = (modulus: bigint, exponent: bigint) => {
    const bits = concat(Uint8Array.of(0), sequence(integer(modulus), integer(exponent)));
    const algorithm = Uint8Array.fromHex("300d06092a864886f70d0101010500");
    const value = octetString(bits);
    value[0] = 0x03; // BIT STRING
    return certify(sequence(algorithm, value));
  };
  const modulus = (1n << 2047n) + 1n;
  assert.equal(maxSignatureLength(rsaKey(modulus, 65537n)), 256);
  const { publicKey: point } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const offCurve = new Uint8Array(point.export({ format: "der", type: "spki" }));
  offCurve[offCurve.length - 1] ^= 1;
  refused("key_malformed", () => maxSignatureLength(certify(offCurve)));
  refused("key_malformed", () => maxSignatureLength(rsaKey(modulus, 1n)));
  refused("key_malformed", () => maxSignatureLength(rsaKey(modulus, 4n)));
  refused("key_malformed", () => maxSignatureLength(rsaKey(modulus - 1n, 3n)));
  refused("algorithm_unsupported", () => maxSignatureLength(rsaKey(modulus, (1n << 65n) + 1n)));
  refused("algorithm_unsupported", () => maxSignatureLength(rsaKey((1n << 8192n) + 1n, 3n)));
});
