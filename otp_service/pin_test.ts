import assert from "node:assert/strict";
import { isGoodPin, Pins } from "./pin.ts";

Deno.test("a PIN is right with its own pepper and salt only, and nobody costs as much as somebody", async () => {
  using pins = new Pins(new Uint8Array(32).fill(1));
  const hash = await pins.hash("493817");
  assert.match(hash, /^v1\.[\w-]{22}\.[\w-]{43}$/);
  assert.notEqual(hash, await pins.hash("493817"));
  const before = pins.work;
  assert.equal(await pins.verify("493817", hash), true);
  assert.equal(await pins.verify("493818", hash), false);
  assert.equal(await pins.verify("493817", null), false);
  assert.equal(pins.work - before, 3);
  using other = new Pins(new Uint8Array(32).fill(2));
  assert.equal(await other.verify("493817", hash), false);
});

Deno.test("PINs that are guessed first cannot be chosen", () => {
  for (
    const pin of ["12345", "abcdef", "111111", "123456", "987654", "901234", "121212", "123123"]
  ) {
    assert.equal(isGoodPin(pin), false, pin);
  }
  for (const pin of ["493817", "112358", "1234567890123".slice(0, 7) + "0"]) {
    assert.equal(isGoodPin(pin), true, pin);
  }
});

Deno.test("a flood of PINs is turned away, until there is a place again", () => {
  using pins = new Pins(new Uint8Array(32));
  const places = Array.from({ length: 32 }, () => pins.admit());
  assert.throws(() => pins.admit(), { code: "too_many" });
  places[7][Symbol.dispose]();
  pins.admit();
  assert.throws(() => pins.admit(), { code: "too_many" });
});

Deno.test("while a PIN is looked at, other work goes on", async () => {
  using pins = new Pins(new Uint8Array(32));
  await pins.hash("493817"); // the thread is there
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  for (let i = 0; i < 4; i++) await pins.hash("493817");
  clearInterval(timer);
  assert.ok(turns >= 24, `${turns} turns meanwhile`);
});
