import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Binding,
  type Event,
  forgive,
  forgiveAll,
  FRESH,
  isLocked,
  open,
  pay,
  type Refusal,
  RULES,
  type State,
  step,
  type Transaction,
  type Tries,
  wrongInARow,
} from "./authorize.ts";

const HASHES = ["aGFzaDE=", "aGFzaDI="];
const BINDING: Binding = { hashes: HASHES, hashAlgorithm: "2.16.1", signatures: 2 };
const REQUEST = { id: "t", client: "portal", credential: "c", mode: "oauth2code" } as const;
const SIGN = {
  bare: false,
  sad: "sad",
  client: "portal",
  credential: "c",
  hashes: HASHES,
  hashAlgorithm: "2.16.1",
};
const RIGHT = { type: "settle", pin: true, otp: true, number: 1, sad: "sad" } as const;
const WRONG_PIN = { ...RIGHT, pin: false };
const WRONG_OTP = { ...RIGHT, otp: false };

/** Runs events one second apart; gives the last state and every refusal (null: none). */
function run(
  events: (Event | number)[],
  start: State = { transaction: open({ ...REQUEST, binding: BINDING }, 0), guard: FRESH },
) {
  let now = start.transaction.seenAt;
  let state = start;
  const refusals: (Refusal | null)[] = [];
  for (const event of events) {
    if (typeof event === "number") {
      now += event;
      continue;
    }
    const { outcome, ...next } = step(state, event, now += 1000);
    state = next;
    refusals.push(outcome.ok ? null : outcome.refusal);
  }
  return { ...state, refusals };
}

const SEND: Event = { type: "send", otp: "h" };
const AUTHORIZED: Event[] = [SEND, { type: "attempt" }, RIGHT];

Deno.test("the right PIN and OTP authorize one use", () => {
  const { transaction, refusals, guard } = run([
    ...AUTHORIZED,
    { type: "use", ...SIGN },
    { type: "signed" },
    { type: "use", ...SIGN },
  ]);
  assert.deepEqual(refusals, [null, null, null, null, null, "ended"]);
  assert.equal(transaction.phase, "done");
  assert.equal(wrongInARow(guard.answers), 0);
});

Deno.test("another list, order, count, algorithm, credential or client ends an authorization", () => {
  for (
    const other of [
      { hashes: [HASHES[1], HASHES[0]] },
      { hashes: [HASHES[0]] },
      { hashes: [...HASHES, HASHES[0]] },
      { hashes: [HASHES[0], "b3RoZXI="] },
      { hashes: undefined },
      { hashAlgorithm: "2.16.2" },
      { credential: "d" },
      { client: "other" },
    ]
  ) {
    const { transaction, refusals } = run([
      ...AUTHORIZED,
      { type: "use", ...SIGN, ...other },
      { type: "use", ...SIGN },
    ]);
    assert.deepEqual(refusals.slice(3), ["deviation", "ended"], JSON.stringify(other));
    assert.equal(transaction.end, "deviation");
  }
});

Deno.test("an authorization ends after three wrong answers, whichever factor was wrong", () => {
  for (const wrong of [WRONG_PIN, WRONG_OTP]) {
    const { transaction, refusals } = run([
      { type: "send", otp: "h" },
      ...Array.from({ length: 3 }, (): Event[] => [{ type: "attempt" }, wrong]).flat(),
      { type: "attempt" },
      RIGHT,
    ]);
    assert.deepEqual(refusals.slice(-3), ["wrong", "ended", "ended"]);
    assert.equal(transaction.end, "tries");
  }
});

Deno.test("simultaneous answers are all counted before any is checked", () => {
  const { refusals } = run([
    { type: "send", otp: "h" },
    ...Array<Event>(5).fill({ type: "attempt" }),
  ]);
  assert.deepEqual(refusals, [null, null, null, null, "ended", "ended"]);
});

/** Wrong answers, of either factor in turn, each in an authorization that is opened for it at its time. */
function wrongAnswers(count: number, guard = FRESH, from = 0) {
  let now = from;
  let looked = 0;
  for (let tries = 0; looked < count && tries < 5000; tries++) {
    const start = { transaction: open({ ...REQUEST, binding: BINDING }, now), guard };
    const events: Event[] = [
      SEND,
      { type: "attempt" },
      looked % 2 ? WRONG_PIN : WRONG_OTP,
    ];
    const { refusals, ...state } = run(events, start);
    guard = { ...state.guard, generations: [] };
    if (refusals[1] === "locked") break;
    if (refusals[1] === null) looked++;
    now += refusals[1] === "wait" ? 60_000 : 5_000;
  }
  return { guard, looked, now };
}

Deno.test("wrong answers of either factor add up across authorizations: five are free, then each waits longer, and 50 lock", () => {
  const five = wrongAnswers(5);
  assert.ok(five.now < 60_000, "five at once");
  const at = (now: number) => ({
    transaction: open({ ...REQUEST, binding: BINDING }, now),
    guard: five.guard,
  });
  assert.deepEqual(run([SEND, { type: "attempt" }], at(five.now)).refusals, [null, "wait"]);
  assert.deepEqual(run([SEND, { type: "attempt" }], at(five.now + 60_000)).refusals, [null, null]);
  const day = wrongAnswers(1000, FRESH, 0);
  assert.equal(day.looked, RULES.lockAfter);
  assert.ok(isLocked(day.guard));
  assert.ok(day.now > 36 * 3_600_000, "more than a day and a half");
  const { refusals, transaction } = run([SEND, { type: "attempt" }], {
    transaction: open({ ...REQUEST, binding: BINDING }, day.now * 2),
    guard: day.guard,
  });
  assert.deepEqual([refusals, transaction.end], [[null, "locked"], "locked"]);
  assert.ok(!isLocked(forgiveAll(day.guard)));
});

Deno.test("waits double from one minute to an hour", () => {
  let tries: Tries = FRESH.answers;
  const waits: number[] = [];
  for (let now = 0; waits.length < 12; now = tries.until) {
    const paid = pay(tries, now);
    assert.ok(typeof paid !== "string");
    if (paid.until > now) {
      waits.push((paid.until - now) / 60_000);
      assert.equal(pay(paid, paid.until - 1), "wait");
    }
    tries = paid;
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]);
});

Deno.test("a right answer resets the count of wrong ones, and a right PIN alone does not", () => {
  const { guard } = wrongAnswers(4);
  const start = { transaction: open({ ...REQUEST, binding: BINDING }, 0), guard };
  const half = run([SEND, { type: "attempt" }, { ...WRONG_OTP, number: 5 }], start);
  assert.equal(wrongInARow(half.guard.answers), 5);
  const right = run([SEND, { type: "attempt" }, { ...RIGHT, number: 5 }], start);
  assert.equal(wrongInARow(right.guard.answers), 0);
  const signIns = { paid: 7, right: 0, until: 1 };
  const opened = run([SEND, { type: "attempt" }, RIGHT], {
    ...start,
    guard: { ...FRESH, signIns },
  });
  assert.equal(wrongInARow(opened.guard.signIns), 0, "and opens the sign-in again");
});

Deno.test("a right answer does not reset a wrong one that began after it", () => {
  const { guard } = run([
    SEND,
    { type: "attempt" },
    { type: "attempt" },
    { ...RIGHT, number: 1 },
    { ...WRONG_PIN, number: 2 },
  ]);
  assert.equal(wrongInARow(guard.answers), 1);
  assert.equal(forgive(forgive({ paid: 3, right: 0, until: 0 }, 2), 1).right, 2, "in any order");
});

Deno.test("the right answer sent several times at once gives one authorization and counts no wrong answer", () => {
  for (const totpStep of [undefined, 7]) {
    const right = (number: number): Event => ({ ...RIGHT, number, totpStep });
    const { guard, refusals, transaction } = run([
      SEND,
      ...Array<Event>(8).fill({ type: "attempt" }),
      right(2),
      right(1),
      right(3),
    ]);
    assert.deepEqual(refusals.slice(-3), [null, "ended", "ended"]);
    assert.deepEqual(refusals.slice(4, 9), Array(5).fill("ended"), "three are looked at");
    assert.equal(transaction.phase, "authorized");
    assert.equal(wrongInARow(guard.answers), 0);
  }
});

Deno.test("a hash whose document was shown is signed with the document, never bare", () => {
  const shown = { ...BINDING, hashes: HASHES };
  const start = (of: string[]) => ({
    transaction: open({ ...REQUEST, binding: shown, shown: of }, 0),
    guard: FRESH,
  });
  const use = (bare: boolean): Event => ({ type: "use", ...SIGN, bare });
  assert.equal(run([...AUTHORIZED, use(true)], start([])).refusals.at(-1), null);
  assert.equal(run([...AUTHORIZED, use(false)], start(HASHES)).refusals.at(-1), null);
  const { refusals, transaction } = run([...AUTHORIZED, use(true)], start([HASHES[1]]));
  assert.deepEqual([refusals.at(-1), transaction.end], ["deviation", "deviation"]);
});

Deno.test("changing a PIN gives no authorization to sign", () => {
  const { refusals, transaction } = run([...AUTHORIZED, { type: "use", ...SIGN, hashes: [] }], {
    transaction: open({ ...REQUEST, mode: "pin" }, 0),
    guard: FRESH,
  });
  assert.deepEqual(refusals, [null, null, null, "ended"]);
  assert.deepEqual([transaction.phase, transaction.sad, transaction.remaining], [
    "done",
    undefined,
    0,
  ]);
});

Deno.test("no answer is checked before an OTP was requested", () => {
  const { refusals, transaction, guard } = run([{ type: "attempt" }, SEND, { type: "attempt" }]);
  assert.deepEqual(refusals, ["wrong", null, null]);
  assert.deepEqual([transaction.attempts, guard.answers.paid], [1, 1]);
});

Deno.test("OTPs are sent 30 s apart, three per authorization and ten an hour at most", () => {
  const send: Event = { type: "send", otp: "h" };
  const { refusals } = run([send, send, 30_000, send, 30_000, send, 30_000, send]);
  assert.deepEqual(refusals, [null, "too_soon", null, null, "too_many"]);
  let guard = FRESH;
  for (let i = 0; i < RULES.generations; i++) {
    guard = run([send], { transaction: open({ ...REQUEST, binding: BINDING }, i), guard }).guard;
  }
  const start = { transaction: open({ ...REQUEST, binding: BINDING }, 20_000), guard };
  assert.deepEqual(run([send], start).refusals, ["too_many"]);
  const later = { ...start, transaction: open({ ...REQUEST, binding: BINDING }, RULES.window * 2) };
  assert.deepEqual(run([send], later).refusals, [null]);
});

Deno.test("an authorization lasts ten minutes, and ends if the clock is set back", () => {
  assert.deepEqual(
    run([...AUTHORIZED, RULES.lifetime, { type: "use", ...SIGN }]).refusals.at(-1),
    "expired",
  );
  const back = run([...AUTHORIZED, -60_000, { type: "use", ...SIGN }]);
  assert.equal(back.transaction.end, "clock");
  const skewed = run([...AUTHORIZED, -4_000, { type: "use", ...SIGN }]);
  assert.equal(skewed.transaction.phase, "signing");
  // as long as it is set back a little it does not gain time
  assert.ok(skewed.transaction.seenAt >= 3000);
});

Deno.test("a signature in progress is not ended by another instance's clock or by a second use", () => {
  for (const wait of [-60_000, 0, RULES.lifetime]) {
    const { refusals, transaction } = run([
      ...AUTHORIZED,
      { type: "use", ...SIGN },
      wait,
      { type: "use", ...SIGN },
      { type: "signed" },
    ]);
    assert.deepEqual(refusals.slice(3), [null, "not_authorized", null], `${wait}`);
    assert.equal(transaction.phase, "done");
  }
});

Deno.test("each time step of an authenticator is accepted once", () => {
  const first = run([SEND, { type: "attempt" }, { ...RIGHT, totpStep: 7 }]);
  const second = { transaction: open({ ...REQUEST, binding: BINDING }, 0), guard: first.guard };
  assert.deepEqual(run([SEND, { type: "attempt" }, { ...RIGHT, totpStep: 7 }], second).refusals, [
    null,
    null,
    "wrong",
  ]);
});

Deno.test("in explicit mode the first answer binds the documents, and another binding ends the authorization", () => {
  const explicit = () => ({
    transaction: open({ ...REQUEST, mode: "explicit" as const }, 0),
    guard: FRESH,
  });
  const other = { ...BINDING, hashes: [...HASHES].reverse() };
  assert.deepEqual(
    run([
      { type: "send", otp: "h" },
      { type: "attempt", binding: BINDING },
      WRONG_OTP,
      { type: "attempt", binding: other },
      { type: "attempt", binding: BINDING },
    ], explicit()).refusals,
    [null, null, "wrong", "deviation", "ended"],
  );
});

Deno.test("in explicit mode later documents are bound one by one, and never more than authorized", () => {
  const binding = { hashes: [HASHES[0]], hashAlgorithm: "2.16.1", signatures: 2 };
  const start = {
    transaction: open({ ...REQUEST, mode: "explicit" as const, binding }, 0),
    guard: FRESH,
  };
  const one = { ...SIGN, hashes: [HASHES[0]] };
  const two = { ...SIGN, sad: "sad2", hashes: [HASHES[1]] };
  const events: Event[] = [
    ...AUTHORIZED,
    { type: "use", ...one },
    { type: "signed" },
    { type: "extend", ...SIGN, hashes: undefined, next: "sad2", more: [HASHES[1]] },
    { type: "use", ...two },
    { type: "signed" },
    { type: "extend", ...two, next: "sad3", more: [HASHES[1]] },
  ];
  assert.deepEqual(run(events, start).refusals, [...Array(8).fill(null), "ended"]);
  events[5] = { type: "extend", ...SIGN, hashes: undefined, next: "sad2", more: HASHES };
  assert.equal(run(events.slice(0, 6), start).transaction.end, "deviation");
});

Deno.test("a fresh SAD replaces the old one, for the same documents only", () => {
  const renew: Event = { type: "extend", ...SIGN, hashes: undefined, next: "sad2" };
  assert.deepEqual(
    run([...AUTHORIZED, renew, { type: "use", ...SIGN }, { type: "use", ...SIGN, sad: "sad2" }])
      .refusals.slice(3),
    [null, "not_authorized", null],
  );
  const other: Event = { ...renew, more: [HASHES[0]] } as Event;
  assert.equal(run([...AUTHORIZED, other]).transaction.end, "deviation");
});

Deno.test("a binding with a wrong count cannot be opened", () => {
  for (
    const [mode, hashes, signatures] of [
      ["oauth2code", 0, 0],
      ["oauth2code", 1, 2],
      ["oauth2code", 2, 1],
      ["oauth2code", 11, 11],
      ["explicit", 1, 11],
    ] as const
  ) {
    const binding = { hashes: Array(hashes).fill("x"), hashAlgorithm: "1", signatures };
    assert.throws(() => open({ ...REQUEST, mode, binding }, 0), RangeError);
  }
});

Deno.test("the rules hold for every order of events (property)", () => {
  const sads = fc.constantFrom("sad", "sad2", "sad3", "never");
  const lists = fc.constantFrom(HASHES, [HASHES[1], HASHES[0]], [HASHES[0]], []);
  const presented = fc.record({
    sad: sads,
    client: fc.constantFrom("portal", "portal", "other"),
    credential: fc.constantFrom("c", "c", "d"),
    hashes: lists,
    hashAlgorithm: fc.constantFrom("2.16.1", "2.16.1", "2.16.2"),
  });
  const event: fc.Arbitrary<Event> = fc.oneof(
    fc.constant<Event>({ type: "send", otp: "h" }),
    fc.record({ type: fc.constant("attempt" as const) }),
    fc.record({
      type: fc.constant("settle" as const),
      pin: fc.boolean(),
      otp: fc.boolean(),
      number: fc.integer({ min: 1, max: 5 }),
      sad: sads,
    }),
    fc.tuple(presented, fc.boolean()).map(([each, bare]): Event => ({
      type: "use",
      bare,
      ...each,
    })),
    fc.tuple(presented, sads, fc.option(lists, { nil: undefined })).map((
      [each, next, more],
    ): Event => ({ type: "extend", ...each, next, more })),
    fc.constantFrom<Event>({ type: "signed" }, { type: "failed" }, {
      type: "end",
      why: "rejected",
    }),
  );
  const moves = fc.array(
    fc.tuple(event, fc.integer({ min: -20_000, max: 400_000 })),
    { maxLength: 40 },
  );
  const bindings = fc.constantFrom<[Transaction["mode"], Binding]>(
    ["oauth2code", BINDING],
    ["explicit", BINDING],
    ["explicit", { ...BINDING, hashes: [HASHES[0]], signatures: 3 }],
  );
  fc.assert(
    fc.property(bindings, moves, fc.subarray(HASHES), ([mode, binding], moves, shown) => {
      const transaction = open({ ...REQUEST, mode, binding, shown }, 0);
      let state: State = { transaction, guard: FRESH };
      let now = 0;
      let latest = 0;
      let looked = 0;
      let signed = 0;
      const usedSads = new Set<string>();
      for (const [event, wait] of moves) {
        now += wait;
        const before = state.transaction;
        const { outcome, ...next } = step(state, event, now);
        state = next;
        const { transaction, guard } = state;
        if (event.type === "attempt" && outcome.ok) looked++;
        if (event.type === "use" && outcome.ok) {
          assert.equal(before.phase, "authorized");
          assert.deepEqual(event.hashes, before.pending);
          assert.equal(event.client, "portal");
          assert.equal(event.credential, "c");
          assert.ok(!event.bare || event.hashes!.every((hash) => !shown.includes(hash)));
          assert.ok(now <= latest + RULES.lifetime, "used in time");
          assert.ok(now < RULES.lifetime);
          usedSads.add(event.sad);
          signed += event.hashes!.length;
        }
        if (!["signed", "failed", "end"].includes(event.type)) {
          if (["open", "authorized", "signing"].includes(before.phase)) {
            latest = Math.max(latest, now);
          }
        }
        if (before.phase === "ended" || before.phase === "done") {
          assert.equal(outcome.ok, false);
          assert.deepEqual(transaction, before, "an end is an end");
        }
        if (transaction.phase === "ended" || transaction.phase === "done") {
          assert.equal(transaction.sad, undefined);
          assert.equal(transaction.otp, undefined);
        }
        assert.ok(looked <= RULES.tries);
        assert.ok(signed <= binding.signatures, "never more than authorized");
        assert.ok(
          transaction.sends <= RULES.sends && guard.generations.length <= RULES.generations,
        );
      }
    }),
    { numRuns: 3000 },
  );
});
