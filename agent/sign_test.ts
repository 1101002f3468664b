import assert from "node:assert/strict";
import { verifySignature } from "../formats/signature.ts";
import { testAgent } from "../tests/fixtures/agent.ts";

Deno.test("agent.info, token.list and sign.data over a WebSocket", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  assert.equal((await client.call("agent.info", {})).name, "dsign");
  const { tokens } = await client.call("token.list", {});
  assert.deepEqual(tokens.map(({ label }) => label), ["Officer 0", "Officer 1"]);
  const { signature, content, certificate, algorithm } = await client.call("sign.data", {
    content: { json: { b: 1, a: "é" } },
    format: "raw",
  });
  assert.equal(new TextDecoder().decode(Uint8Array.fromBase64(content)), '{"a":"é","b":1}');
  assert.equal(algorithm, "RS256");
  assert.ok(verifySignature(
    Uint8Array.fromBase64(certificate),
    { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    { message: Uint8Array.fromBase64(content) },
    Uint8Array.fromBase64(signature),
  ));
  assert.deepEqual(test.provider.story, ["login 0", "sign 0", "logout 0"]);
});
