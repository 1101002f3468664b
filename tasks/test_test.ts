import assert from "node:assert/strict";
import { failedFiles, readCounts, summary } from "./test.ts";

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

Deno.test("failed files are named once each, those that could not be loaded too", () => {
  const output = `${OUTPUT}./a_test.ts => steps ... one ... FAILED (1ms)
./b_test.ts (uncaught error) ... FAILED
./c_test.ts => passes ... ok (1ms)
`;
  assert.deepEqual(failedFiles(output), ["./a_test.ts", "./b_test.ts"]);
});
