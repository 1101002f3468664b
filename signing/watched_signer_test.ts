import assert from "node:assert/strict";
import { SignerError, type SignerErrorCode } from "../signers/provider.ts";
import { watched } from "./watched_signer.ts";

const INPUT = { digest: new Uint8Array(32) };

function signer(codes: (SignerErrorCode | null)[]) {
  let asked = 0;
  const told: string[] = [];
  const watching = watched({
    certificate: new Uint8Array(),
    chain: [],
    algorithm: { scheme: "ECDSA", hash: "SHA-256" },
    sign() {
      const code = codes[asked++];
      return code ? Promise.reject(new SignerError(code, code)) : Promise.resolve(new Uint8Array());
    },
    close: () => Promise.resolve(),
  }, { right: () => told.push("right"), wrong: ({ code }) => told.push(code) });
  return { sign: () => watching.sign(INPUT), told, asked: () => asked };
}

Deno.test("after a wrong PIN or a no the key signs nothing more", async () => {
  for (
    const code of [
      "pin_incorrect",
      "pin_locked",
      "pin_expired",
      "user_cancelled",
      "consent_timeout",
    ] as const
  ) {
    const { sign, told, asked } = signer([null, code, null]);
    await sign();
    for (let i = 0; i < 3; i++) await assert.rejects(sign(), { code });
    assert.equal(asked(), 2);
    assert.deepEqual(told, ["right", code]);
  }
});

Deno.test("other failures may pass, and tell nothing of the PIN", async () => {
  const { sign, told } = signer(["driver_error", null]);
  await assert.rejects(sign(), { code: "driver_error" });
  await sign();
  assert.deepEqual(told, ["right"]);
});
