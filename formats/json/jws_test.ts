import assert from "node:assert/strict";
import { constants, sign } from "node:crypto";
import { ml_dsa44 } from "@noble/post-quantum/ml-dsa.js";
import { type GeneralJWSInput, generalVerify, importX509 } from "jose";
import { makePki, type Officer } from "../../tests/fixtures/pki.ts";
import { bitString, oid, sequence } from "../asn1/der.ts";
import { canonicalJson } from "./canonical.ts";
import { FormatError } from "../error.ts";
import { prepareAddedJws } from "./jws_add.ts";
import type { HeaderOptions } from "./jws_header.ts";
import { prepareJws } from "./jws_write.ts";
import { verifyJws } from "./jws_verify.ts";
import { withMlDsa } from "../keys/ml_dsa.ts";
import type { SignatureAlgorithm } from "../signer.ts";
import { encodeName } from "../x509/name.ts";
import { prepareCertificate } from "../x509/write.ts";

const pki = makePki({
  officers: [
    { name: "Anita Das", key: "rsa-2048" },
    { name: "Bimal Roy", key: "p-256" },
    { name: "Chitra Sen", key: "p-384" },
    { name: "Deepa Nag", key: "ml-dsa-65" },
  ],
});
const [anita, bimal, chitra, deepa] = pki.officers;
const payload = canonicalJson('{"bill": 7, "amount": "1200.00"}');

function signJws(
  officer: Officer,
  content: { payload: Uint8Array; detached?: boolean } | { jws: string; payload?: Uint8Array },
  algorithm: SignatureAlgorithm = officer.key.algorithm,
): string {
  const options: HeaderOptions = {
    certificate: officer.certificate.der,
    chain: officer.chain,
    algorithm,
    signingTime: new Date("2026-11-21T10:00:00Z"),
    contentType: "json",
  };
  const prepared = "jws" in content
    ? prepareAddedJws({ ...options, ...content })
    : prepareJws({ ...options, ...content });
  const padding = algorithm.scheme === "RSASSA-PSS"
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    : {};
  const hash = algorithm.hash.replace("-", "").toLowerCase();
  if (officer.key.sign) return prepared.complete(officer.key.sign(prepared.toBeSigned));
  return prepared.complete(
    sign(hash, prepared.toBeSigned, { key: officer.key.privateKey, ...padding }),
  );
}

/** `jose` checks one signature at a time, with the key of the certificate in its header. */
async function checkByJose(jws: string): Promise<number> {
  const parsed = JSON.parse(jws);
  for (const signature of parsed.signatures) {
    const one: GeneralJWSInput = { ...parsed, signatures: [signature] };
    await generalVerify(one, (header) => {
      const [certificate] = (header as unknown as { x5c: string[] }).x5c;
      const pem = `-----BEGIN CERTIFICATE-----\n${certificate}\n-----END CERTIFICATE-----`;
      return importX509(pem, header!.alg!);
    });
  }
  return parsed.signatures.length;
}

Deno.test("three officers sign one payload, and jose agrees", async () => {
  let jws = signJws(anita, { payload });
  const first = JSON.parse(jws).signatures[0];
  for (const officer of [bimal, chitra]) jws = signJws(officer, { jws });
  assert.deepEqual(JSON.parse(jws).signatures[0], first);
  const result = verifyJws(jws);
  assert.deepEqual(result.payload, payload);
  assert.deepEqual(result.signatures.map(({ problems }) => problems), [[], [], []]);
  assert.deepEqual(result.signatures[1].certificate, bimal.certificate.der);
  assert.equal(result.signatures[0].signingTime?.toISOString(), "2026-11-21T10:00:00.000Z");
  assert.equal(await checkByJose(jws), 3);
});

Deno.test("PSS is supported; a key whose curve does not fit the hash is refused", async () => {
  const jws = signJws(anita, { payload }, { scheme: "RSASSA-PSS", hash: "SHA-256" });
  assert.deepEqual(verifyJws(jws).signatures[0].problems, []);
  assert.equal(await checkByJose(jws), 1);
  assert.throws(
    () => signJws(bimal, { payload }, { scheme: "ECDSA", hash: "SHA-384" }),
    (error) => error instanceof FormatError && error.code === "algorithm_unsupported",
  );
});

Deno.test("signatures can be added to a detached JWS", () => {
  const one = signJws(anita, { payload, detached: true });
  const two = signJws(bimal, { jws: one, payload });
  assert.equal("payload" in JSON.parse(two), false);
  assert.deepEqual(verifyJws(two, { payload }).signatures.map(({ problems }) => problems), [
    [],
    [],
  ]);
  assert.deepEqual(verifyJws(two).signatures[0].problems, ["content_missing"]);
  assert.throws(() => signJws(bimal, { jws: one }), FormatError);
});

Deno.test("flattened and compact serialisations are read", () => {
  const { payload, signatures: [signature] } = JSON.parse(signJws(anita, { payload: encode("x") }));
  assert.deepEqual(
    verifyJws(JSON.stringify({ payload, ...signature })).signatures[0].problems,
    [],
  );
  const compact = `${signature.protected}.${payload}.${signature.signature}`;
  assert.deepEqual(verifyJws(compact).signatures[0].problems, []);
});

Deno.test("every changed character is detected", () => {
  const jws = signJws(bimal, { payload });
  const { protected: header, signature } = JSON.parse(jws).signatures[0];
  const parts = [JSON.parse(jws).payload, header, signature];
  for (const part of parts) {
    for (let index = 0; index < part.length; index += 2) {
      const changed = part.slice(0, index) + (part[index] === "A" ? "B" : "A") +
        part.slice(index + 1);
      let problems: string[];
      try {
        problems = verifyJws(jws.replace(part, changed)).signatures[0].problems;
      } catch (error) {
        assert.ok(error instanceof FormatError);
        problems = [error.code];
      }
      assert.notDeepEqual(problems, [], `character ${index}`);
    }
  }
});

Deno.test("forged headers are refused", () => {
  const jws = JSON.parse(signJws(anita, { payload }));
  const [signature] = jws.signatures;
  const header = JSON.parse(new TextDecoder().decode(
    Uint8Array.fromBase64(signature.protected, { alphabet: "base64url" }),
  ));
  const problems = (change: Record<string, unknown>, unprotected?: unknown) => {
    const text = encode(JSON.stringify({ ...header, ...change }))
      .toBase64({ alphabet: "base64url", omitPadding: true });
    const forged = { ...signature, protected: text, header: unprotected };
    return verifyJws(JSON.stringify({ ...jws, signatures: [forged] })).signatures[0].problems;
  };
  assert.deepEqual(problems({ alg: "none" }), ["algorithm_unsupported"]);
  assert.deepEqual(problems({ alg: "HS256" }), ["algorithm_unsupported"]);
  assert.deepEqual(problems({ alg: "ES256" }), ["signature_wrong"]);
  assert.deepEqual(problems({ crit: ["b64"], b64: false }), ["signature_wrong"]);
  assert.deepEqual(problems({ b64: false }), ["malformed"]);
  assert.deepEqual(problems({}, { alg: "RS256" }), ["malformed"]);
  assert.deepEqual(problems({ alg: undefined }, { alg: "RS256" }), ["algorithm_unsupported"]);
  for (const crit of [[], ["nbf"], ["alg", "alg"], "alg", [1]]) {
    assert.deepEqual(problems({ crit }), ["malformed"], JSON.stringify(crit));
  }
  assert.deepEqual(problems({ crit: ["exp"], exp: 1 }), ["algorithm_unsupported"]);
  assert.deepEqual(problems({ x5c: undefined }), ["certificate_missing"]);
  const other = [bimal.certificate.der.toBase64()];
  assert.ok(problems({ x5c: other }).includes("certificate_not_as_signed"));
});

Deno.test("RFC 9964's ML-DSA-44 example holds, and does not where a character was changed", async () => {
  // Appendix A.1: the key's seed is 32 zeros, and the signature is the deterministic one
  const { publicKey, secretKey } = ml_dsa44.keygen(new Uint8Array(32));
  const header = '{"alg":"ML-DSA-44","kid":"T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o"}';
  const text = "It\u2019s a dangerous business, Frodo, going out your door.";
  const signingInput = [header, text].map((each) => base64url(encode(each))).join(".");
  const signature = ml_dsa44.sign(encode(signingInput), secretKey, { extraEntropy: false });
  const compact = `${signingInput}.${base64url(signature)}`;
  assert.match(compact, /\.knI1Q_9CIzLH5Xy94Kkc7WVKqZcAgtJ3mNf0GUj1uLA6YXAWFJfXkh-zQxUtEl3UIC7z/);
  const spki = sequence(sequence(oid("2.16.840.1.101.3.4.3.17")), bitString(publicKey));
  const certificates = [certify(spki)];
  const problems = (jws: string) =>
    withMlDsa((): string[] => verifyJws(jws, { certificates }).signatures[0].problems);
  assert.deepEqual(await problems(compact), []);
  const start = compact.indexOf(".") + 1;
  for (let at = start; at < compact.length; at += at < signingInput.length ? 1 : 53) {
    const other = compact[at] === "A" ? "B" : "A";
    const changed = compact.slice(0, at) + other + compact.slice(at + 1);
    const found = await problems(changed).catch(({ code }) => [code]);
    assert.notDeepEqual(found, [], `character ${at}`);
  }
});

Deno.test("an ML-DSA signature stands beside an RSA one, and jose agrees", async () => {
  const jws = signJws(deepa, { jws: signJws(anita, { payload }) });
  const { signatures } = await withMlDsa(() => verifyJws(jws));
  assert.deepEqual(signatures.map(({ problems }) => problems), [[], []]);
  assert.deepEqual(signatures[1].algorithm, { scheme: "ML-DSA-65" });
  assert.equal(await checkByJose(jws), 2);
});

Deno.test("data that is not a JWS yields a typed error", () => {
  for (const text of ["", "{}", "[]", "1", "a.b.c", '{"payload":1}', '{"signatures":[]}', "{"]) {
    let problems: string[] = [];
    try {
      problems = verifyJws(text).signatures[0].problems;
    } catch (error) {
      assert.ok(error instanceof FormatError, text);
      problems = [error.code];
    }
    assert.notDeepEqual(problems, [], text);
  }
});

const encode = (text: string) => new TextEncoder().encode(text);
const base64url = (bytes: Uint8Array) =>
  bytes.toBase64({ alphabet: "base64url", omitPadding: true });

/** A certificate with the key in it; who issued it does not matter here. */
function certify(publicKey: Uint8Array): Uint8Array {
  const name = encodeName([["CN", "TEST"]]);
  return prepareCertificate({
    serialNumber: Uint8Array.of(1),
    issuer: name,
    subject: name,
    notBefore: new Date("2020-01-01"),
    notAfter: new Date("2120-01-01"),
    publicKey,
    algorithm: { scheme: "ECDSA", hash: "SHA-256" },
    extensions: [],
  }).complete(new Uint8Array(8));
}
