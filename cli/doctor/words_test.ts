import assert from "node:assert/strict";
import { TICKETS } from "./tickets.ts";
import { DOCTOR_WORDS } from "../../words/doctor.ts";
import { toChecks } from "./words.ts";

Deno.test("every ticket has its texts, in the same order", () => {
  for (const { tickets } of Object.values(DOCTOR_WORDS)) {
    assert.deepEqual(Object.keys(tickets), [...TICKETS]);
  }
});

Deno.test("a value in a command is one quoted shell word, whatever it contains", () => {
  const values = { driver: "a'; rm -rf ~ #" };
  const [{ action }] = toChecks([{ id: "driver_path_wrong", status: "error", values }], "en");
  assert.ok(action.endsWith(`dsign modules remove 'a'\\''; rm -rf ~ #'`), action);
});

Deno.test("findings become sentences in the order in which to solve them, with values filled in", () => {
  const [first, second, third] = toChecks([
    { id: "pin_locked", status: "error", values: { token: "{driver} $& Anita" } },
    { id: "configuration_wrong", status: "ok" },
    { id: "chain_incomplete", status: "skipped" },
  ], "en");
  assert.deepEqual([first.id, second.id, third.id], [
    "configuration_wrong",
    "pin_locked",
    "chain_incomplete",
  ]);
  assert.equal(first.action, "");
  assert.equal(second.seen, "The PIN of the token {driver} $& Anita is locked.");
  assert.match(third.seen, /not checked/);
});
