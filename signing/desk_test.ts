import assert from "node:assert/strict";
import { DsignError } from "../protocol/errors.ts";
import { Desk, siteOf } from "./desk.ts";

const { signal } = new AbortController();
const known = (name: string) => ({ name, known: true });
const stranger = (name: string) => ({ name, known: false });

Deno.test("sites are served in turn, and withdrawn requests are skipped", async () => {
  const desk = new Desk();
  const order: string[] = [];
  const cancel = new AbortController();
  const leaveFirst = await desk.enter(known("a"), signal);
  const visit = async (asker: string, name: string, until = signal) => {
    const leave = await desk.enter(known(asker), until);
    order.push(name);
    leave();
    leave(); // no second effect
  };
  const visits = [
    visit("a", "a1"),
    visit("a", "a2"),
    visit("a", "a3"),
    visit("b", "b1"),
    visit("c", "c1", cancel.signal).catch((error) => order.push(error.code)),
    visit("b", "b2"),
  ];
  cancel.abort();
  await visits[4];
  leaveFirst();
  await Promise.all(visits);
  assert.deepEqual(order, ["request_cancelled", "a1", "b1", "a2", "b2", "a3"]);
  (await desk.enter(known("a"), signal))();
});

Deno.test("after a no, the site's other waiting requests are refused, and those of other sites stay", async () => {
  const desk = new Desk();
  const leave = await desk.enter(known("a"), signal);
  const waiting = [desk.enter(known("a"), signal), desk.enter(known("a"), signal)];
  const other = desk.enter(known("b"), signal);
  desk.dismiss(known("a"), new DsignError("user_cancelled"));
  for (const each of waiting) await assert.rejects(each, { code: "user_cancelled" });
  leave();
  (await other)();
});

Deno.test("the queue is bounded, and a site that fills it makes room for others", async () => {
  const desk = new Desk();
  const leave = await desk.enter(known("a"), signal);
  const cancel = new AbortController();
  const waiting = Array.from({ length: 1024 }, () => desk.enter(known("a"), cancel.signal));
  const refused = Promise.all(waiting.map((each) => assert.rejects(each)));
  await assert.rejects(desk.enter(known("a"), signal), { code: "busy" });
  const others = [desk.enter(known("b"), signal), desk.enter(known("b"), signal)];
  await assert.rejects(waiting[1023], { code: "busy" });
  await assert.rejects(waiting[1022], { code: "busy" });
  cancel.abort();
  await refused;
  leave();
  for (const each of others) (await each)();
});

Deno.test("strangers, however many, neither fill the queue nor come before those that are known", async () => {
  const desk = new Desk();
  const leave = await desk.enter(stranger("s"), signal);
  const order: string[] = [];
  const visit = async (asker: ReturnType<typeof known>) => {
    const leave = await desk.enter(asker, signal);
    order.push(asker.name);
    leave();
  };
  const strangers = Array.from({ length: 2000 }, (_, i) => visit(stranger(`s${i}`)));
  const outcomes = Promise.allSettled(strangers);
  const portal = [visit(known("portal")), visit(known("portal"))];
  leave();
  await Promise.all(portal);
  assert.deepEqual(order.slice(0, 2), ["portal", "portal"]);
  const refused = (await outcomes).filter(({ status }) => status === "rejected");
  assert.equal(refused.length, 2000 - 256);
});

Deno.test("a site that keeps asking after being declined is ignored for a while", async () => {
  let now = 0;
  const desk = new Desk(() => now);
  for (let i = 0; i < 5; i++) {
    (await desk.enter(known("a"), signal))();
    desk.dismiss(known("a"), new DsignError("user_cancelled"));
    now += 1000;
  }
  await assert.rejects(desk.enter(known("a"), signal), { code: "busy" });
  (await desk.enter(known("b"), signal))();
  now += 57_000;
  (await desk.enter(known("a"), signal))();
});

Deno.test("withdrawn requests count too, and those of unknown sites count together", async () => {
  const desk = new Desk(() => 0);
  const ask = async (asker: ReturnType<typeof known>) => {
    (await desk.enter(asker, signal))();
    desk.note(asker);
  };
  for (let i = 0; i < 5; i++) await ask(stranger("a"));
  await assert.rejects(ask(stranger("a")), { code: "busy" });
  for (let i = 0; i < 15; i++) await ask(stranger(`a${i}`));
  await assert.rejects(ask(stranger("new")), { code: "busy" });
  await ask(known("portal"));
});

Deno.test("all names that one holder may have are one site", () => {
  for (
    const [origin, site] of [
      ["https://evil.example", "evil.example"],
      ["https://a9999.evil.example:8443", "evil.example"],
      ["https://a.b.c.evil.example.", "evil.example"],
      ["https://bills.wb.gov.in", "wb.gov.in"],
      ["https://shop.evil.co.in", "evil.co.in"],
      ["https://evil.in", "evil.in"],
      ["https://a9999.t.co", "t.co"],
      ["https://localhost", "localhost"],
      ["http://a.localhost:3000", "a.localhost"],
      ["http://127.0.0.1:3000", "127.0.0.1"],
      ["http://[::1]:3000", "[::1]"],
    ]
  ) assert.equal(siteOf(origin), site);
});
