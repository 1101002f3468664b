/** Keys made on a token: in SoftHSM, through the process boundary. */
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { PIN, softhsm } from "../tests/fakes/pkcs11_tokens.ts";
import { Pkcs11Client, Pkcs11Error, type PublicPart } from "./client.ts";

function toKey(part: PublicPart) {
  const base64url = (hex: string) =>
    Uint8Array.fromHex(hex).toBase64({ alphabet: "base64url", omitPadding: true });
  const jwk = part.type === "rsa"
    ? { kty: "RSA", n: base64url(part.modulus), e: base64url(part.exponent) }
    : {
      kty: "EC",
      crv: "P-256",
      x: base64url(part.point.slice(2, 66)),
      y: base64url(part.point.slice(66)),
    };
  return createPublicKey({ key: jwk, format: "jwk" });
}

Deno.test("a key pair is made on the token, signs, and is destroyed", async () => {
  const dir = await Deno.makeTempDir({ prefix: "dsign_test_" });
  const token = await softhsm(dir, []);
  const client = new Pkcs11Client({ ...token, poolSize: 2 });
  try {
    const session = await client.openSession(`pkcs11:token=${encodeURIComponent(token.label)}`);
    await assert.rejects(session.generate({ type: "ec", bits: 256 }), /logged in/);
    await session.login(new TextEncoder().encode(PIN));
    const data = crypto.getRandomValues(new Uint8Array(100));
    for (const spec of [{ type: "ec", bits: 256 }, { type: "rsa", bits: 2048 }] as const) {
      const scheme = spec.type === "ec" ? "ECDSA" : "RSASSA-PKCS1-v1_5";
      const request = { scheme, hash: "SHA-256", input: "message", data } as const;
      const { key, publicPart } = await session.generate(spec);
      assert.equal(key.info.bits, spec.bits);
      assert.ok(verify("sha256", data, toKey(publicPart), await key.sign(request)));
      await key.destroy();
      await assert.rejects(
        key.sign(request),
        (error) => error instanceof Pkcs11Error && error.code === "key_not_found",
      );

      // with an identifier it stays, and every child of the pool finds it
      const id = spec.type === "ec" ? "0a01" : "0a02";
      const stored = await session.generate({ ...spec, id });
      const found = await session.key({ id });
      for (let i = 0; i < 2; i++) {
        const signatures = await Promise.all([found.sign(request), found.sign(request)]);
        for (const signature of signatures) {
          assert.ok(verify("sha256", data, toKey(stored.publicPart), signature));
        }
      }
    }
    await assert.rejects(session.generate({ type: "ec", bits: 123 }), Pkcs11Error);
    await session.close();
  } finally {
    await client.close();
    await Deno.remove(dir, { recursive: true });
  }
});
