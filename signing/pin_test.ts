import assert from "node:assert/strict";
import type { Token } from "../protocol/methods.ts";
import { type PinHistory, pinStateOf } from "./pin.ts";

const of = (state: Token["state"], history?: PinHistory, keypad = false) =>
  pinStateOf({ state, protectedAuthenticationPath: keypad }, history);

Deno.test("a token that is well takes a typed PIN and nothing more", () => {
  const well = { entry: "typed", why: null, tries: null, confirm: false };
  assert.deepEqual(of("ready"), well);
  assert.deepEqual(of("ready", { triesLeft: "many" }), well);
});

Deno.test("the last try is confirmed, whoever says that it is the last", () => {
  for (
    const { tries, confirm } of [
      of("pin_final_try"),
      of("pin_final_try", { triesLeft: "unknown" }),
      of("pin_final_try", { triesLeft: "many" }),
      of("ready", { triesLeft: "final" }),
      of("pin_low", { triesLeft: "final" }),
    ]
  ) assert.deepEqual([tries, confirm], ["final", true]);
});

Deno.test("an unknown count is dangerous after a wrong PIN", () => {
  for (const state of ["ready", "pin_low"] as const) {
    const { tries, confirm } = of(state, { triesLeft: "unknown" });
    assert.deepEqual([tries, confirm], ["unknown", true]);
  }
});

Deno.test("few tries are said and not confirmed", () => {
  for (const { tries, confirm } of [of("pin_low"), of("ready", { triesLeft: "low" })]) {
    assert.deepEqual([tries, confirm], ["low", false]);
  }
});

Deno.test("no PIN is asked of tokens with a keypad, unlocked or locked ones", () => {
  const keypad = of("pin_final_try", undefined, true);
  assert.deepEqual(keypad, { entry: "keypad", why: null, tries: "final", confirm: true });
  const windows = {
    state: "ready",
    protectedAuthenticationPath: false,
    windowsAsks: true,
  } as const;
  assert.deepEqual(pinStateOf(windows, { triesLeft: "unknown" }), {
    entry: "windows",
    why: null,
    tries: "unknown",
    confirm: true,
  });
  assert.equal(of("pin_final_try", { unlocked: true }).entry, "unlocked");
  for (
    const [state, why] of [
      ["pin_locked", "pin_locked"],
      ["pin_not_set", "pin_not_set"],
      ["empty", "token_not_initialised"],
    ] as const
  ) {
    for (const keypad of [false, true]) {
      const { entry, why: said } = of(state, { triesLeft: "low" }, keypad);
      assert.deepEqual([entry, said], ["impossible", why]);
    }
  }
  assert.equal(of("ready", { triesLeft: "none" }).why, "pin_locked");
});
