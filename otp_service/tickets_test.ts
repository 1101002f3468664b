import assert from "node:assert/strict";
import { HASH, onPage, openPage } from "../tests/fixtures/otp_calls.ts";
import { makeService, PIN } from "../tests/fixtures/otp_service.ts";
import { RULES } from "./authorize.ts";
import { openSqlite } from "./store_sqlite.ts";

Deno.test("strangers who send browsers to the page write nothing into the database", async () => {
  const database = openSqlite(":memory:");
  const test = makeService({ database });
  try {
    const credentialID = await test.enrol({ userID: "asen" });
    await test.service.store.auditHead();
    const state = () =>
      database.read(async (query) => [
        ...await query("SELECT COUNT(*) AS count FROM tokens"),
        ...await query(
          "SELECT seq, row_sum FROM audit_head UNION ALL SELECT COUNT(*), '' FROM pending",
        ),
      ]);
    const before = await state();
    const request = { scope: "credential", credentialID, numSignatures: "1", hashes: HASH };
    for (let i = 0; i < 10; i++) {
      const { ticket } = await openPage(test, request, false);
      assert.equal((await onPage(test, "view", ticket)).body.kind, "sign_in");
      await onPage(test, "answer", ticket, { decision: "reject" });
      await openPage(test, { scope: "service" }, false);
    }
    assert.deepEqual(await state(), before);
  } finally {
    await test.close();
  }
});

Deno.test("a sealed ticket works once, for its time, and only as it was sealed", async () => {
  const test = makeService();
  try {
    const credentialID = await test.enrol({ userID: "asen" });
    const open = async () => (await openPage(test, { scope: "service" }, false)).ticket;
    const signIn = async (ticket: string) =>
      (await onPage(test, "answer", ticket, { decision: "sign_in", userID: "asen", pin: PIN }))
        .body;
    const ended = { ok: false, code: "ended" };
    const ticket = await open();
    const flipped = ticket.slice(0, -1) + (ticket.endsWith("0") ? "1" : "0");
    for (const wrong of [flipped, ticket.slice(0, -2), "asked-", "asked-zz", ticket.slice(6)]) {
      assert.deepEqual(await signIn(wrong), ended, wrong);
    }
    assert.equal((await signIn(ticket)).ok, true);
    assert.deepEqual(await signIn(ticket), ended);
    assert.equal((await onPage(test, "view", ticket)).status, 404);
    const late = await open();
    test.clock.now += RULES.lifetime;
    assert.deepEqual(await signIn(late), ended);
    // as much as its parameters may hold: an address longer than proxies take
    const request = { scope: "credential", credentialID, numSignatures: "1", hashes: HASH };
    const long = { state: "x".repeat(2048), description: "ক".repeat(500) };
    const { location } = await openPage(test, { ...request, ...long }, false);
    assert.match(location, /^https:\/\/portal\.example.*error=invalid_request.*push/);
  } finally {
    await test.close();
  }
});
