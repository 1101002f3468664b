import assert from "node:assert/strict";
import { askInSteps, type Done, inSteps } from "./steps.ts";

/** Adds up what three steps give. */
const question = (done: Done) =>
  inSteps<string, number>(done, async (take) => {
    let sum = 0;
    for (const name of ["a", "b", "a", "c"]) sum += await take<number>(name, name.toUpperCase());
    return sum;
  });

Deno.test("a question is repeated with the results of its steps, and each step runs once", async () => {
  const performed: string[] = [];
  const perform = (step: string, key: string) => {
    performed.push(step + key);
    return Promise.resolve(10 ** performed.length);
  };
  assert.equal(await askInSteps(question, perform), 10 + 100 + 10 + 1000);
  assert.deepEqual(performed, ["Aa", "Bb", "Cc"]);
  performed.length = 0;
  assert.equal(await askInSteps(question, perform, [["a", 1], ["c", 5]]), 1 + 10 + 1 + 5);
  assert.deepEqual(performed, ["Bb"]);
});

Deno.test("a failing step or an endless number of steps ends the question", async () => {
  await assert.rejects(
    askInSteps(question, () => Promise.reject(new Error("no network"))),
    /no network/,
  );
  let n = 0;
  await assert.rejects(
    askInSteps(
      (done) => inSteps(done, (take) => take<never>(`${n++}`, null)),
      () => Promise.resolve(),
    ),
    /without end/,
  );
});
