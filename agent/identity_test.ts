import assert from "node:assert/strict";
import { join } from "node:path";
import { proofText, successorText } from "../protocol/agent_proof.ts";
import { PORTAL, testAgent } from "../tests/fixtures/agent.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { AgentIdentity } from "./identity.ts";

const NONCE = new Uint8Array(32).toBase64();

async function holds(key: string, signature: string, text: string): Promise<boolean> {
  const point = Uint8Array.fromBase64(key);
  const EC = { name: "ECDSA", namedCurve: "P-256" };
  return await crypto.subtle.verify(
    { name: "ECDSA", hash: "SHA-256" },
    await crypto.subtle.importKey("raw", point, EC, false, ["verify"]),
    Uint8Array.fromBase64(signature),
    new TextEncoder().encode(text),
  );
}

Deno.test("an agent has the same key for a site after a restart, and another one for every other site", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "identity.json");
    const first = await (await AgentIdentity.load(path)).prove(PORTAL, 7791, NONCE);
    const again = await (await AgentIdentity.load(path)).prove(PORTAL, 7791, NONCE);
    assert.equal(again.key, first.key);
    assert.ok(await holds(again.key, first.signature, proofText(PORTAL, 7791, NONCE)));
    const elsewhere = await (await AgentIdentity.load(path)).prove(
      "https://b.example",
      7791,
      NONCE,
    );
    assert.notEqual(elsewhere.key, first.key);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  }));

Deno.test("a new key is vouched for by each that came before", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "identity.json");
    const old = await (await AgentIdentity.load(path)).prove(PORTAL, 7791, NONCE);
    for (let i = 0; i < 9; i++) await (await AgentIdentity.load(path)).rotate();
    const { key, predecessors } = await (await AgentIdentity.load(path)).prove(PORTAL, 7791, NONCE);
    assert.equal(predecessors.length, 7);
    assert.ok(!predecessors.some((each) => each.key === old.key), "too long ago");
    const keys = [...predecessors.map((each) => each.key), key];
    for (const [i, { key, signature }] of predecessors.entries()) {
      assert.ok(await holds(key, signature, successorText(keys[i + 1])));
    }
  }));

Deno.test({
  name: "a secret that others can read, or that is no secret, is not used",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inTempDir(async (dir) => {
      const path = join(dir, "identity.json");
      await AgentIdentity.load(path);
      await Deno.chmod(path, 0o640);
      const code = "storage_failed";
      await assert.rejects(AgentIdentity.load(path), { code, message: /other users/ });
      await Deno.writeTextFile(path, '{"secrets":[]}');
      await Deno.chmod(path, 0o600);
      await assert.rejects(AgentIdentity.load(path), { code });
    }),
});

Deno.test("the agent signs the port at which it was called, whatever is asked", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const ask = { nonce: NONCE, port: 1, origin: "https://other.example" };
  const { key, signature } = await client.call("agent.prove", ask);
  assert.ok(await holds(key, signature, proofText(PORTAL, test.agent.port, NONCE)));
  await assert.rejects(client.call("agent.prove", { nonce: "AAAA" }), { code: "invalid_params" });
});
