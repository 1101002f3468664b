import assert from "node:assert/strict";
import { facts } from "./request.ts";

Deno.test("what people are shown and consent to is one line that nothing turns around", () => {
  const { purpose, labels } = facts("Leave\u202e\n\nI agree to all\u2066", 1, ["a\0b\u200d"]);
  assert.equal(purpose, "Leave I agree to all");
  assert.deepEqual(labels, ["a b\u200d"]);
  assert.deepEqual(facts("\u202e", 1), { purpose: "—", labels: ["— (1)"] });
});
