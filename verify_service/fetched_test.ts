import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { keyOf } from "../online/pki_http.ts";
import { FetchedAnswers } from "./fetched.ts";

const HOUR = 3_600_000;
const step = { get: "http://ca.example/crl" };
const KEY = keyOf(step);

function answers(answer: () => Promise<Response> = () => Promise.resolve(new Response("crl"))) {
  const clock = { now: 1_000_000 };
  let asked = 0;
  const fetched = new FetchedAnswers(() => {
    asked++;
    return answer();
  }, () => clock.now);
  return { fetched, clock, asked: () => asked };
}

Deno.test("an answer is kept until it is out of date, and never longer than an hour", async () => {
  for (const [next, kept] of [[10 * HOUR, HOUR], [1000, 1000]]) {
    const { fetched, clock, asked } = answers();
    const { isNew } = await fetched.get(step);
    assert.ok(isNew);
    await fetched.settle(KEY, clock.now + next);
    clock.now += kept - 1;
    assert.equal((await fetched.get(step)).isNew, false);
    const sha256 = createHash("sha256").update("crl").digest("hex");
    assert.deepEqual(fetched.atHand(), [[KEY, { sha256 }]]);
    clock.now += 1;
    assert.deepEqual(fetched.atHand(), []);
    await fetched.get(step);
    assert.equal(asked(), 2);
  }
});

Deno.test("what no authority has signed, and what cannot be had, is not asked for again for a minute", async () => {
  const failing = answers(() => Promise.resolve(new Response(null, { status: 500 })));
  const forged = answers();
  assert.ok((await forged.fetched.get(step)).isNew);
  await forged.fetched.settle(KEY, null);
  await failing.fetched.get(step);
  for (const { fetched, clock, asked } of [failing, forged]) {
    clock.now += 59_999;
    const { answer, isNew } = await fetched.get(step);
    assert.ok(!isNew && "problem" in answer);
    assert.equal(asked(), 1);
    assert.deepEqual(fetched.atHand(), [[KEY, answer]]);
    clock.now += 1;
    await fetched.get(step);
    assert.equal(asked(), 2);
  }
});

Deno.test("an address is asked once at a time, and again if nobody looked at its answer", async () => {
  const { fetched, asked } = answers();
  const all = await Promise.all(Array.from({ length: 5 }, () => fetched.get(step)));
  assert.deepEqual(all.map(({ isNew }) => isNew), [true, false, false, false, false]);
  assert.equal((await fetched.get(step)).isNew, false, "until it is settled");
  await fetched.settle(KEY, undefined);
  assert.ok((await fetched.get(step)).isNew);
  assert.equal(asked(), 2);
});

Deno.test("what is kept is bounded, and what was used last stays", async () => {
  const { fetched, clock } = answers(() => Promise.resolve(new Response(new Uint8Array(1 << 20))));
  for (let i = 0; i < 300; i++) {
    const { key } = await fetched.get({ get: `http://ca.example/${i}` });
    await fetched.settle(key, clock.now + HOUR);
    await fetched.get({ get: "http://ca.example/0" });
  }
  assert.ok(fetched.bytes <= 256 << 20, `${fetched.bytes}`);
  assert.equal((await fetched.get({ get: "http://ca.example/0" })).isNew, false);
});

Deno.test("an answer is kept for its own request only", () => {
  const body = new Uint8Array(3);
  const post = { post: "http://ca.example/", type: "a/b", accept: "c/d", body };
  const steps = [
    step,
    { get: "http://ca.example/" },
    post,
    { ...post, type: "a/bc", accept: "/d" },
    { ...post, body: body.subarray(1) },
  ];
  assert.equal(new Set(steps.map(keyOf)).size, steps.length);
});
