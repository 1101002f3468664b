import assert from "node:assert/strict";
import { finish } from "../tests/fixtures/openssl.ts";
import { isGoodPin, type Lane, Pins } from "./pin.ts";
import { Secrets } from "./secrets.ts";

const peppers = (byte: number) => new Secrets(new Uint8Array(32).fill(byte)).pepper;

Deno.test("a PIN matches only with its own pepper and salt, and an unknown person takes the same work", async () => {
  using pins = new Pins(peppers(1));
  const hash = await pins.hash("asen", "493817");
  assert.match(hash, /^v3\.[0-9a-f]{8}\.[\w-]{22}\.[\w-]{43}$/);
  assert.notEqual(hash, await pins.hash("asen", "493817"));
  const before = pins.work;
  assert.equal(await pins.verify("asen", "493817", hash), true);
  assert.equal(await pins.verify("asen", "493818", hash), false);
  assert.equal(await pins.verify("asen", "493817", null), false);
  assert.equal(pins.work - before, 3);
  assert.equal(await pins.verify("broy", "493817", hash), false, "another person's");
  using other = new Pins(peppers(2));
  assert.equal(await other.verify("asen", "493817", hash), false);
});

Deno.test("PINs that are looked at at the same time each get their own answer", async () => {
  using pins = new Pins(peppers(1));
  const hash = await pins.hash("asen", "493817");
  const given = ["493817", "493818", "493817", "111222"];
  const found = await Promise.all(given.map((pin) => pins.verify("asen", pin, hash)));
  assert.deepEqual(found, [true, false, true, false]);
});

Deno.test("PINs are hashed in the same memory, one after the other", async () => {
  const from = (name: string) => JSON.stringify(new URL(name, import.meta.url));
  const program = `import { Pins } from ${from("./pin.ts")};
    import { Secrets } from ${from("./secrets.ts")};
    using pins = new Pins(new Secrets(new Uint8Array(32)).pepper);
    const hash = () => pins.hash("asen", "493817");
    await hash();
    const before = Deno.memoryUsage().rss;
    for (let i = 0; i < 10; i++) await hash();
    console.log((Deno.memoryUsage().rss - before) / 2 ** 20);`;
  const { stdout, code, stderr } = await finish(Deno.execPath(), { args: ["eval", program] });
  assert.equal(code, 0, stderr);
  assert.ok(Number(stdout) < 4 * 19, `${stdout} MiB more for ten PINs`);
});

Deno.test("the most easily guessed PINs cannot be chosen", () => {
  for (
    const pin of ["12345", "abcdef", "111111", "123456", "987654", "901234", "121212", "123123"]
  ) {
    assert.equal(isGoodPin(pin), false, pin);
  }
  for (const pin of ["493817", "112358", "1234567890123".slice(0, 7) + "0"]) {
    assert.equal(isGoodPin(pin), true, pin);
  }
});

Deno.test("answers with PIN and OTP go before known people, and these before strangers", async () => {
  using pins = new Pins(peppers(0));
  const order: string[] = [];
  const wait = (lane: Lane) =>
    pins.turn(lane, lane).then((turn) => {
      order.push(lane);
      turn[Symbol.dispose]();
    });
  const running = [await pins.turn("stranger", "x"), await pins.turn("stranger", "x")];
  const waiting = [
    wait("stranger"),
    wait("known"),
    wait("answer"),
    wait("stranger"),
    wait("answer"),
  ];
  for (const each of running) each[Symbol.dispose]();
  await Promise.all(waiting);
  assert.deepEqual(order, ["answer", "answer", "known", "stranger", "stranger"]);
});

Deno.test("a flood of strangers is turned away and takes no place from others", async () => {
  using pins = new Pins(peppers(0));
  const running = [await pins.turn("stranger", "x"), await pins.turn("stranger", "x")];
  const waiting = Array.from({ length: 16 }, () => pins.turn("stranger", "x"));
  await assert.rejects(pins.turn("stranger", "x"), { code: "too_many" });
  const answer = pins.turn("answer", "x");
  running[0][Symbol.dispose]();
  (await answer)[Symbol.dispose]();
  (await waiting[0])[Symbol.dispose]();
  running[1][Symbol.dispose]();
  for (const each of waiting) (await each)[Symbol.dispose]();
});

Deno.test("one authorization's answers do not fill the lane of all others", async () => {
  using pins = new Pins(peppers(0));
  const running = [await pins.turn("answer", "a"), await pins.turn("answer", "a")];
  const waiting = Array.from({ length: 8 }, () => pins.turn("answer", "a"));
  await assert.rejects(pins.turn("answer", "a"), { code: "too_many" });
  waiting.push(pins.turn("answer", "b"));
  for (const each of running) each[Symbol.dispose]();
  for (const each of waiting) (await each)[Symbol.dispose]();
});

Deno.test("a caller who waits too long is told so and takes nobody's turn", async () => {
  const soon = { most: 1, each: 1, wait: 1 };
  using pins = new Pins(peppers(0), { answer: soon, known: soon, stranger: soon });
  const running = [await pins.turn("answer", "x"), await pins.turn("answer", "x")];
  await assert.rejects(pins.turn("stranger", "x"), { code: "too_many" });
  for (const each of running) each[Symbol.dispose]();
  (await pins.turn("stranger", "x"))[Symbol.dispose]();
});

Deno.test("a hash from before rows were sealed covers the PIN alone", async () => {
  const pepper = new Uint8Array(32).fill(1);
  using pins = new Pins({ current: "aaaaaaaa", pepper: () => pepper });
  // made by the version before: pepper 0x01 × 32, PIN 493817
  const old = "v1.MQPPknaL7SF6IVC4jgIQAw.zTiTSoIaIzUVPEYwXnTzKVvx7i9JdoAtV4MwD2o3p_Q";
  assert.equal(await pins.verify("asen", "493817", old), true);
  assert.equal(await pins.verify("asen", "493818", old), false);
});

Deno.test("other work continues while a PIN is checked", async () => {
  using pins = new Pins(peppers(0));
  await pins.hash("asen", "493817"); // the thread is there
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  for (let i = 0; i < 4; i++) await pins.hash("asen", "493817");
  clearInterval(timer);
  assert.ok(turns >= 24, `${turns} turns meanwhile`);
});
