import assert from "node:assert/strict";
import type { Choice } from "../../protocol/consent.ts";
import { pinStateOf, type Refusal } from "./pin_state.ts";

function choice(state: Choice["token"]["state"], more: Partial<Choice["token"]> = {}): Choice {
  return {
    certificate: {},
    token: { state, protectedAuthenticationPath: false, ...more },
  } as Choice;
}
const refusal = (more: Partial<Refusal> = {}): Refusal => ({
  ok: false,
  code: "pin_incorrect",
  message: "",
  again: true,
  ...more,
});

Deno.test("a token that is well takes a typed PIN and nothing more", () => {
  assert.deepEqual(pinStateOf(choice("ready"), null), {
    entry: "typed",
    tries: null,
    confirm: false,
  });
});

Deno.test("the last try is confirmed, whoever says that it is the last", () => {
  for (
    const state of [
      pinStateOf(choice("pin_final_try"), null),
      pinStateOf(choice("pin_final_try"), refusal({ code: "pin_invalid" })),
      pinStateOf(choice("ready"), refusal({ triesLeft: "final" })),
      pinStateOf(choice("pin_low"), refusal({ code: "pin_final_try" })),
    ]
  ) assert.deepEqual([state.tries, state.confirm], ["final", true]);
});

Deno.test("an unknown count is dangerous after a wrong PIN", () => {
  const state = pinStateOf(choice("ready"), refusal({ triesLeft: "unknown" }));
  assert.deepEqual([state.tries, state.confirm], ["unknown", true]);
});

Deno.test("few tries are said and not confirmed", () => {
  for (
    const state of [
      pinStateOf(choice("pin_low"), null),
      pinStateOf(choice("ready"), refusal({ triesLeft: "low" })),
    ]
  ) assert.deepEqual([state.tries, state.confirm], ["low", false]);
});

Deno.test("no PIN is asked of tokens with a keypad, unlocked or locked ones", () => {
  const keypad = choice("pin_final_try", { protectedAuthenticationPath: true });
  assert.deepEqual(pinStateOf(keypad, null), { entry: "keypad", tries: "final", confirm: true });
  assert.equal(pinStateOf({ ...choice("ready"), unlocked: true }, null).entry, "unlocked");
  for (const state of ["pin_locked", "pin_not_set", "empty"] as const) {
    assert.equal(pinStateOf(choice(state), null).entry, "impossible");
  }
});
