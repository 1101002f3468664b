import assert from "node:assert/strict";
import { signRequest } from "../../tests/fakes/consent_requests.ts";
import { timeToAnswer } from "./port.ts";

const request = signRequest();
const [item] = request.items;

Deno.test("a person has two minutes, and more for many or long documents", () => {
  assert.equal(timeToAnswer(request), 120_000);
  assert.equal(timeToAnswer({ ...request, items: Array(13).fill(item) }), 180_000);
  assert.equal(timeToAnswer({ ...request, items: [{ ...item, size: 600_000 }] }), 180_000);
});

Deno.test("a page's wish gives more time, never less, and nothing exceeds the limit", () => {
  const wish = (answerWithin: number) => ({
    ...request,
    asker: { ...request.asker, answerWithin },
  });
  assert.equal(timeToAnswer(wish(300)), 300_000);
  assert.equal(timeToAnswer({ ...wish(120), items: Array(13).fill(item) }), 180_000);
  assert.equal(timeToAnswer(wish(1800), 120_000, 600_000), 600_000);
});
