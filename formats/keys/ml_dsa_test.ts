import assert from "node:assert/strict";
import { bitString, concat, nullValue, oid, sequence } from "../asn1/der.ts";
import { FormatError } from "../error.ts";
import type { MlDsa } from "../signer.ts";
import { verifySignature } from "../x509/signature.ts";
import { readSignatureAlgorithm } from "./algorithm.ts";
import { ML_DSA, ML_DSA_NAMES, withMlDsa } from "./ml_dsa.ts";
import { readPublicKey } from "./public_key.ts";
import { type MlDsaKeyType, testKey } from "../../tests/fixtures/keys.ts";

const message = new TextEncoder().encode("Technical Sanction 42");

Deno.test("the code of ML-DSA is loaded by the first signature that needs it, and not before", async () => {
  const { publicKey, sign } = testKey("ml-dsa-44");
  const check = () =>
    verifySignature(
      readPublicKey(publicKey),
      { scheme: "ML-DSA-44" },
      { message },
      sign!(message),
    );
  assert.throws(check, /not loaded/);
  let runs = 0;
  assert.equal(await withMlDsa(() => (runs++, check())), true);
  assert.equal(runs, 2);
  assert.equal(check(), true);
});

interface Vector extends Record<"publicKey" | "message" | "signature" | "comment", string> {
  parameterSet: MlDsa;
  id: number;
  context?: string;
  result: "valid" | "invalid";
}

const vectors: Vector[] = JSON.parse(
  await Deno.readTextFile(
    new URL("../../tests/fixtures/ml_dsa/wycheproof.json", import.meta.url),
  ),
);

for (const name of ML_DSA_NAMES) {
  Deno.test(`Wycheproof's ${name} signatures are judged as it says; those with a context are refused`, async () => {
    const own = vectors.filter(({ parameterSet }) => parameterSet === name);
    assert.ok(own.length > 10);
    for (const { id, comment, context, result, ...vector } of own) {
      const bytes = (of: "publicKey" | "message" | "signature") =>
        Uint8Array.fromBase64(vector[of]);
      const spki = sequence(sequence(oid(ML_DSA[name].oid)), bitString(bytes("publicKey")));
      const valid = await withMlDsa(() => {
        try {
          return verifySignature(
            readPublicKey(spki),
            { scheme: name },
            { message: bytes("message") },
            bytes("signature"),
          );
        } catch (error) {
          if (error instanceof FormatError && error.code === "key_malformed") return false;
          throw error;
        }
      });
      assert.equal(valid, result === "valid" && context === undefined, `${id}: ${comment}`);
    }
  });

  Deno.test(`an ML-DSA key of ${name} checks nothing but whole messages signed by its own parameter set`, async () => {
    const { publicKey, sign } = testKey(name.toLowerCase() as MlDsaKeyType);
    const key = readPublicKey(publicKey);
    assert.equal(key.parameterSet, name);
    const signature = sign!(message);
    assert.equal(signature.length, ML_DSA[name].signature);
    const check = (scheme: MlDsa | "Ed25519", value = signature) =>
      withMlDsa(() => verifySignature(key, { scheme }, { message }, value));
    for (const scheme of [...ML_DSA_NAMES, "Ed25519"] as const) {
      assert.equal(await check(scheme), scheme === name);
    }
    assert.equal(await check(name, signature.subarray(1)), false);
    assert.equal(await check(name, concat(signature, Uint8Array.of(0))), false);
    assert.throws(
      () => verifySignature(key, { scheme: name }, { digest: new Uint8Array(64) }, signature),
      (error) => error instanceof FormatError && error.code === "invalid_argument",
    );
  });

  Deno.test(`${name} with parameters, even NULL, is refused`, () => {
    const identifier = sequence(oid(ML_DSA[name].oid), nullValue());
    assert.throws(
      () => readSignatureAlgorithm(identifier),
      (error) => error instanceof FormatError && error.code === "algorithm_unsupported",
    );
    const { publicKey, sign } = testKey(name.toLowerCase() as MlDsaKeyType);
    const key = readPublicKey(sequence(identifier, bitString(readPublicKey(publicKey).bytes)));
    assert.throws(
      () => verifySignature(key, { scheme: name }, { message }, sign!(message)),
      (error) => error instanceof FormatError && error.code === "key_malformed",
    );
  });
}
