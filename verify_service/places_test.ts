import assert from "node:assert/strict";
import { Places } from "./places.ts";

Deno.test("one caller leaves places and disk for others", () => {
  const places = new Places({ requests: 8, bytes: 100 });
  const taken = Array.from({ length: 8 }, () => places.take("a", 1)).filter((each) => each);
  assert.equal(taken.length, 6);
  const other = places.take("b", 90)!;
  assert.ok(other, "a caller's first request may be of any size");
  assert.equal(places.take("b", 1), undefined);
  assert.equal(places.take("c", 5), undefined, "the disk is full");
  const last = places.take("c", 4)!;
  assert.deepEqual([places.requests, places.bytes], [8, 100]);
  assert.equal(places.take("d", 0), undefined, "all places are taken");
  for (const place of [...taken, other, last]) place![Symbol.dispose]();
  assert.deepEqual([places.requests, places.bytes], [0, 0]);
});

Deno.test("a portal that asks without a proxy may have all places", () => {
  const places = new Places({ requests: 8, bytes: 100 });
  for (let i = 0; i < 8; i++) assert.ok(places.take(undefined, 12));
  assert.equal(places.take(undefined, 1), undefined);
});
