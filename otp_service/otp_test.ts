import assert from "node:assert/strict";
import { base32, newOtp, totpEnrolment, totpStep } from "./otp.ts";
import { Secrets } from "./secrets.ts";

const SECRET = new TextEncoder().encode("12345678901234567890");

Deno.test("TOTP matches RFC 6238 appendix B (its last six digits), one step off either way and no more", () => {
  for (
    const [seconds, otp] of [
      [59, "287082"],
      [1111111109, "081804"],
      [1234567890, "005924"],
      [20000000000, "353130"],
    ] as const
  ) {
    const step = Math.floor(seconds / 30);
    for (const off of [-30, 0, 30]) {
      assert.equal(totpStep(SECRET, otp, (seconds + off) * 1000), step);
    }
    for (const off of [-61, 60]) {
      assert.equal(totpStep(SECRET, otp, (step * 30 + off) * 1000), undefined);
    }
  }
});

Deno.test("Base32 matches the test vectors of RFC 4648 §10", () => {
  const encoded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map((text) =>
    base32(new TextEncoder().encode(text))
  );
  assert.deepEqual(encoded, ["", "MY", "MZXQ", "MZXW6", "MZXW6YQ", "MZXW6YTB", "MZXW6YTBOI"]);
});

Deno.test("an authenticator's QR code is an SVG of its address", () => {
  const { uri, svg } = totpEnrolment(SECRET, "Works & Roads", "asen");
  assert.equal(
    uri,
    "otpauth://totp/Works%20%26%20Roads:asen?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" +
      "&issuer=Works%20%26%20Roads&algorithm=SHA1&digits=6&period=30",
  );
  assert.match(svg, /^<svg [^>]+>/);
});

Deno.test("OTPs are digits, and each hash belongs to one authorization", () => {
  for (const digits of [6, 7, 8]) {
    for (let i = 0; i < 100; i++) assert.match(newOtp(digits), new RegExp(`^\\d{${digits}}$`));
  }
  const [a, b] = [new Secrets(new Uint8Array(32)), new Secrets(new Uint8Array(32).fill(1))];
  const hash = a.otpHash("t1", "123456");
  assert.equal(hash, a.otpHash("t1", "123456"));
  assert.notEqual(hash, a.otpHash("t2", "123456"));
  assert.notEqual(hash, b.otpHash("t1", "123456"));
});

Deno.test("a sealed value opens only under its own name and secret", () => {
  const [a, b] = [new Secrets(new Uint8Array(32)), new Secrets(new Uint8Array(32).fill(1))];
  const sealed = a.seal("key 1", SECRET);
  assert.deepEqual(a.open("key 1", sealed), SECRET);
  assert.throws(() => a.open("key 2", sealed), /not the one/);
  assert.throws(() => b.open("key 1", sealed), /not the one/);
  const last = sealed.endsWith("0") ? "1" : "0";
  assert.throws(() => a.open("key 1", sealed.slice(0, -1) + last), /not the one/);
});
