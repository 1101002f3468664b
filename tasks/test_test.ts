import assert from "node:assert/strict";
import { makesUp, readCounts, readFailures, summary } from "./test.ts";

const OUTPUT = `./a_test.ts => ok ... ok (335µs)
./a_test.ts => needs a token (optional: needs foo) ... ignored (0ms)
./a_test.ts => steps ... two ... ignored (0ms)
./a_test.ts => steps ... FAILED (due to 1 failed step) (809µs)

FAILED | 1 passed (1 step) | 2 failed (1 step) | 1 ignored (1 step) (3ms)
`;

Deno.test("the runner's own counts are taken, steps left out", () => {
  const counts = readCounts(OUTPUT);
  assert.deepEqual(counts, {
    passed: 1,
    failed: 2,
    skipped: ["needs a token (optional: needs foo)"],
  });
  assert.equal(summary(counts!), "1 passed, 2 failed, 1 skipped");
});

Deno.test("the last closing line counts, and its absence is a failure", () => {
  assert.deepEqual(
    readCounts(
      "ok | 9 passed | 0 failed (1s)\n\nok | 3 passed | 0 failed | 2 filtered out (1m2s)\n",
    ),
    { passed: 3, failed: 0, skipped: [] },
  );
  assert.equal(readCounts("error: Module not found\n"), null);
});

/** As `deno test --parallel` prints it. */
const FAILED = `./a_test.ts => ok ... ok (1ms)
./a_test.ts => steps ... one ... FAILED (1ms)
./a_test.ts => steps ... FAILED (due to 1 failed step) (2ms)
./a_test.ts => other ... FAILED (1ms)
Uncaught error from ./b_test.ts FAILED
./b_test.ts => under way ... cancelled (0ms)

FAILED | 1 passed | 4 failed (1 step) (3ms)

error: Test failed
`;

Deno.test("failed files are named once each, those with an uncaught error too", () => {
  const failures = { files: ["./a_test.ts", "./b_test.ts"], tests: 3 };
  assert.deepEqual(readFailures(FAILED, readCounts(FAILED)!), failures);
});

Deno.test("nothing is run again if something failed of which no file is named", () => {
  for (
    const [line, other] of [
      ["Uncaught error from ./b_test.ts FAILED\n", ""],
      ["./a_test.ts => other", "some output./a_test.ts => other"],
      ["error: Test failed", "error: the event loop has ended"],
    ]
  ) assert.equal(readFailures(FAILED.replace(line, other), readCounts(FAILED)!), null, line);
  const passed = "ok | 9 passed | 0 failed (1s)\n\nerror: a leak\n";
  assert.equal(readFailures(passed, readCounts(passed)!), null);
});

Deno.test("a second run makes up for a first one only if as many pass and no more is skipped", () => {
  const first = { passed: 9, failed: 2, skipped: ["a"] };
  const failures = { files: ["./a_test.ts"], tests: 2 };
  const again = { passed: 2, failed: 0, skipped: [] };
  assert.ok(makesUp(again, first, failures));
  assert.ok(makesUp({ ...again, skipped: ["a"] }, first, failures));
  for (const worse of [{ passed: 1 }, { failed: 1 }, { skipped: ["b"] }]) {
    assert.ok(!makesUp({ ...again, ...worse }, first, failures));
  }
  assert.ok(!makesUp(null, first, failures));
  assert.ok(!makesUp({ ...again, passed: 0 }, first, { ...failures, tests: 0 }));
});
