import type { Result } from "../protocol/methods.ts";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, verify, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { METHODS } from "../protocol/methods.ts";
import { answerTo, PORTAL, testAgent } from "../tests/fixtures/agent.ts";
import { Audit } from "../signing/audit.ts";

const NONCE = Buffer.alloc(32, 7).toString("base64");

/** By the specification alone, with Node's cryptography: what a server would do. */
function isValid(
  { unverifiedCertificate, algorithm, signature }: Result<"auth.authenticate">,
  origin: string,
  nonce: string,
): boolean {
  const hash = `sha${algorithm.slice(2)}`;
  const digest = (text: string) => createHash(hash).update(text).digest();
  const { publicKey } = new X509Certificate(Buffer.from(unverifiedCertificate, "base64"));
  return verify(
    hash,
    Buffer.concat([digest(origin), digest(nonce)]),
    { key: publicKey, dsaEncoding: "ieee-p1363" },
    Buffer.from(signature, "base64"),
  );
}

Deno.test("auth.authenticate gives a Web eID token for the site that asks, and for no other", async () => {
  for (
    const [key, algorithm] of [["rsa-2048", "RS256"], ["p-256", "ES256"], [
      "p-384",
      "ES384",
    ]] as const
  ) {
    await using test = await testAgent({ officers: [{ name: "Anita Das (TEST)", key }] });
    test.person.sign = async (request, unlock) => {
      test.person.asked.push(request.login ? "login" : "sign");
      await unlock(answerTo(request));
    };
    const client = await test.connect();
    const token = await client.call("auth.authenticate", { nonce: NONCE });
    assert.deepEqual(METHODS["auth.authenticate"].result.parse(token), token);
    assert.equal(token.algorithm, algorithm);
    assert.ok(isValid(token, PORTAL, NONCE));
    assert.ok(!isValid(token, "https://evil.example", NONCE));
    assert.ok(!isValid(token, PORTAL, NONCE.replace("H", "I")));
    assert.deepEqual(test.person.asked, ["login"]);
    const [entry] = await new Audit(join(test.dir, "audit")).newest(1);
    assert.deepEqual([entry.action, entry.format], ["authenticate", "web-eid:1.0"]);
  }
});

Deno.test("the origin is the connection's own, whatever the caller says", async () => {
  await using test = await testAgent();
  const client = await test.connect("https://evil.example");
  await client.call("origin.request", { scopes: ["certificates"] });
  const lie = { nonce: NONCE, origin: PORTAL } as unknown as { nonce: string };
  const token = await client.call("auth.authenticate", lie);
  assert.ok(isValid(token, "https://evil.example", NONCE));
  assert.ok(!isValid(token, PORTAL, NONCE));
});

Deno.test("a login needs the permission to see certificates; the agent's own pages cannot log in", async () => {
  await using test = await testAgent();
  const stranger = await test.connect("https://new.example");
  await assert.rejects(stranger.call("auth.authenticate", { nonce: NONCE }), {
    code: "origin_not_allowed",
  });
  const own = await test.connect(test.agent.origin);
  await assert.rejects(own.call("auth.authenticate", { nonce: NONCE }), {
    code: "scope_not_granted",
  });
  const client = await test.connect();
  for (const nonce of ["short", "x".repeat(129), " ".repeat(44), "\u202e".repeat(44)]) {
    await assert.rejects(client.call("auth.authenticate", { nonce }), { code: "invalid_params" });
  }
});

Deno.test("a certificate that is only for documents logs in where the site asks for it, else says why not", async () => {
  const name = "Anita Das (TEST)";
  await using test = await testAgent({
    officers: [{ name, key: "p-256", kind: "only_for_documents" }],
  });
  const client = await test.connect();
  await client.call("sign.data", { content: { text: "Bill 7" } });
  await assert.rejects(client.call("auth.authenticate", { nonce: NONCE }), {
    code: "certificate_not_for_login",
    message: /can sign, but is not marked for logging in/,
  });
  assert.deepEqual(test.person.asked, ["sign"], "nobody is asked for a PIN that is of no use");
  const token = await client.call("auth.authenticate", { nonce: NONCE, anyPurpose: true });
  assert.ok(isValid(token, PORTAL, NONCE));
});

Deno.test("of two certificates, the one that is marked for logging in is offered", async () => {
  await using test = await testAgent({
    officers: [
      { name: "Anita Das (TEST)", key: "p-256", kind: "only_for_documents" },
      { name: "Anita Das, login (TEST)", key: "p-256" },
    ],
  });
  const offered: string[][] = [];
  test.person.sign = async (request, unlock) => {
    offered.push(request.choices.map(({ certificate }) => certificate.commonName!));
    await unlock(answerTo(request));
  };
  const client = await test.connect();
  await client.call("auth.authenticate", { nonce: NONCE });
  await client.call("auth.authenticate", { nonce: NONCE, anyPurpose: true });
  assert.deepEqual(offered, [["Anita Das, login (TEST)"], [
    "Anita Das (TEST)",
    "Anita Das, login (TEST)",
  ]]);
});

Deno.test("no bare signature is made over bytes that could be a login token", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  for (const hash of ["SHA-256", "SHA-384", "SHA-512"] as const) {
    const digest = (text: string) =>
      createHash(hash.toLowerCase().replace("-", "")).update(text).digest();
    const content = {
      base64: Buffer.concat([digest("https://victim.example"), digest(NONCE)]).toString("base64"),
    };
    await assert.rejects(client.call("sign.data", { content, format: "raw", hash }), {
      code: "invalid_params",
    });
  }
  // Text of the same length is none, and CAdES signs attributes of its own.
  await client.call("sign.data", { content: { text: "x".repeat(64) }, format: "raw" });
  const content = { base64: Buffer.alloc(64, 200).toString("base64") };
  await client.call("sign.data", { content });
  assert.deepEqual(test.person.asked, ["sign", "sign"]);
});

Deno.test("the certificate that was used is offered first the next time", async () => {
  await using test = await testAgent();
  const preferred: (string | undefined)[] = [];
  test.person.sign = async (request, unlock) => {
    preferred.push(request.preferred);
    const answer = answerTo(request);
    await unlock({ ...answer, certificate: request.choices[1].certificate.id });
  };
  const client = await test.connect();
  await client.call("auth.authenticate", { nonce: NONCE });
  await client.call("sign.data", { content: { text: "Bill 7" } });
  assert.equal(preferred[0], undefined);
  const { certificates } = await client.call("certificate.list", {});
  assert.equal(preferred[1], certificates[1].id);
});
