/** The audit's log: whatever happens, trees go on from each other, and what was answered for has its proof. */
import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { readCheckpoint, verifyReceipt } from "../formats/log/checkpoint.ts";
import { openNote } from "../formats/log/note.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { PATIENT, startPostgres } from "../tests/fixtures/postgres.ts";
import { entryOf } from "./audit.ts";
import type { Database, Query, Value } from "./database.ts";
import { Secrets } from "./secrets.ts";
import { openPostgres } from "./store_postgres.ts";
import { openSqlite } from "./store_sqlite.ts";
import { Store } from "./store.ts";

const SECRETS = new Secrets(new Uint8Array(32).fill(9));
const NAME = "sign.example/log";
const { key } = SECRETS.logSigner(NAME);
const newStore = (database: Database) =>
  new Store(database, Date.now, SECRETS, SECRETS.logSigner(NAME));

/** Adds lines in one transaction, with a row that changes, as every real step has one. */
const add = (store: Store, count: number) =>
  store.runWithLines(async (tx) => {
    for (let i = 0; i < count; i++) tx.audit({ event: "otp.sent", i });
    await tx.issue({ kind: "answered" }, 60_000);
  }).then(({ lines }) => lines);

/**
 * A database whose program is killed at one of its next statements: what it did in that transaction is gone.
 *
 * @param kill how its connection ends
 */
function killable(
  inner: Database,
  kill = (_: Query): Promise<unknown> => Promise.reject(new Error("killed")),
): Database & { killAfter: number } {
  const database = {
    ...inner,
    killAfter: Infinity,
    transaction: <T>(work: (query: Query) => Promise<T>) =>
      inner.transaction((query) =>
        work(async (statement, ...values) => {
          if (database.killAfter-- <= 0) await kill(query);
          return await query(statement, ...values);
        })
      ),
  };
  return database;
}

Deno.test("any sequence of appends, sealers and crashes gives trees that go on from each other (property)", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          who: fc.nat(1),
          what: fc.constantFrom("add", "add", "seal", "crash"),
          count: fc.integer({ min: 0, max: 300 }),
          killAfter: fc.nat(40),
        }),
        { minLength: 1, maxLength: 12 },
      ),
      (steps) =>
        inTempDir(async (dir) => {
          const open = () => killable(openSqlite(join(dir, "otp.db")));
          const databases = [open(), open()];
          const stores = databases.map(newStore);
          const lines: string[] = [];
          const checkpoints: string[] = [];
          for (const { who, what, count, killAfter } of steps) {
            const store = stores[who];
            if (what === "add") lines.push(...await add(store, count % 7));
            if (what === "seal") checkpoints.push((await store.auditHead()).note!);
            if (what === "crash") {
              await add(store, count).then((added) => lines.push(...added));
              databases[who].killAfter = killAfter;
              await store.auditHead().catch(() => {});
              databases[who].killAfter = Infinity;
              await store.close();
              databases[who] = open();
              stores[who] = newStore(databases[who]);
            }
          }
          const { problem, lines: count } = await stores[0].verifyAudit(checkpoints);
          assert.equal(problem, undefined);
          assert.equal(count, lines.length);
          const kept = new Set(await Array.fromAsync(stores[1].audit()));
          assert.ok(lines.every((line) => kept.has(line)), "what was committed stays");
          for (const line of lines.filter((_, i) => i % 50 === 0)) {
            const { receipt } = (await stores[1].log.find(entryOf(line).toHex()))!;
            assert.equal(verifyReceipt(receipt, key, entryOf).line, line);
          }
          await stores[0].check();
          for (const store of stores) await store.close();
        }),
    ),
    { numRuns: 12 },
  ));

Deno.test("a sealer that is killed at any of its statements leaves the log to the next", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "otp.db");
    for (let step = 0, done = false; !done; step++) {
      const database = killable(openSqlite(path));
      const store = newStore(database);
      await add(store, 2);
      await store.log.settle();
      await add(store, 2);
      database.killAfter = step;
      done = await store.log.sealAll().then(() => true, (error) => {
        assert.match(error.message, /killed/);
        return false;
      });
      database.killAfter = Infinity;
      await store.close();
      const next = newStore(openSqlite(path));
      assert.equal((await next.verifyAudit()).problem, undefined, `killed at ${step}`);
      await next.close();
      assert.ok(step < 60);
    }
  }));

Deno.test("while nothing can be sealed an answer carries a signed promise, which is counted once it is overdue", async () => {
  const database = killable(openSqlite(":memory:"));
  const store = newStore(database);
  const { now } = performance;
  try {
    const [line] = await add(store, 1);
    database.killAfter = 0;
    const receipted = await store.log.receiptFor(line);
    assert.ok("receiptPromise" in receipted);
    const { promise, path, due } = receipted.receiptPromise;
    const [kind, name, entry, until] = openNote(promise, [key]).text.split("\n");
    assert.deepEqual([kind, name, until], ["dsign receipt promise v1", NAME, due]);
    assert.equal(path, `/portal/v1/receipts/${Uint8Array.fromBase64(entry).toHex()}`);
    assert.equal(entry, entryOf(line).toBase64());
    assert.equal(await store.overdue(), 0);
    performance.now = () => now.call(performance) + 61_000;
    assert.equal(await store.overdue(), 1);
    database.killAfter = Infinity;
    assert.equal(await store.log.checkOwn(), 0);
    assert.equal(await store.overdue(), 0);
    const { receipt } = (await store.log.find(entryOf(line).toHex()))!;
    assert.equal(verifyReceipt(receipt, key, entryOf).line, line);
  } finally {
    performance.now = now;
    await store.close();
  }
});

Deno.test("a line that another instance has sealed has its receipt, though this one cannot seal", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "otp.db");
    const database = killable(openSqlite(path));
    const [one, other] = [newStore(database), newStore(openSqlite(path))];
    for (let i = 0; i < 3; i++) {
      const [line] = await add(one, 1);
      await other.log.sealAll();
      await add(one, 1);
      database.killAfter = 4; // all that is read; nothing of it is written
      const receipted = await one.log.receiptFor(line);
      assert.ok("receipt" in receipted);
      assert.equal(verifyReceipt(receipted.receipt, key, entryOf).line, line);
      await one.log.settle();
      assert.ok(database.killAfter < 0, "it was about to write");
      database.killAfter = Infinity;
    }
    assert.equal((await one.verifyAudit()).problem, undefined);
    for (const store of [one, other]) await store.close();
  }));

const cases: [
  name: string,
  body: (
    store: Store,
    other: Store,
    write: (text: string, ...values: Value[]) => Promise<unknown>,
  ) => Promise<void>,
][] = [];

cases.push(["lines of two instances at the same time each get their receipt", async (one, two) => {
  const receipts = await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const store = i % 2 ? one : two;
      const [line] = await add(store, 1);
      const receipted = await store.log.receiptFor(line);
      if ("receipt" in receipted) return { line, receipt: receipted.receipt };
      const { promise, path } = receipted.receiptPromise;
      assert.match(promise, /^dsign receipt promise v1\nsign\.example\/log\n/);
      await store.log.sealAll();
      const found = await store.log.find(path.split("/").at(-1)!);
      return { line, receipt: found!.receipt };
    }),
  );
  const places = new Set<number>();
  for (const { line, receipt } of receipts) {
    const read = verifyReceipt(receipt, key, entryOf);
    assert.equal(read.line, line);
    places.add(read.index);
  }
  assert.equal(places.size, 40);
  assert.equal((await one.verifyAudit()).problem, undefined);
}]);

cases.push([
  "a step stands in the log before what followed from it, whoever seals",
  async (one, two) => {
    const order: string[] = [];
    for (let i = 0; i < 6; i++) {
      const [store, other] = i % 2 ? [one, two] : [two, one];
      order.push(...await add(store, 1));
      if (i % 3 === 0) await other.log.sealAll();
    }
    assert.deepEqual(await Array.fromAsync(one.audit()), order);
  },
]);

cases.push([
  "a line, tile, note or waiting entry that is changed is found",
  async (one, two, write) => {
    await add(one, 300);
    await one.auditHead();
    const tampered = { name: "TamperedError" };
    for (const trigger of ["audit_no_delete", "audit_no_update", "audit_append_only ON audit"]) {
      await write(`DROP TRIGGER ${trigger}`).catch(() => {}); // of the other database
    }
    const change = async (set: string, back: string, finds: () => Promise<unknown>) => {
      await write(set);
      await finds();
      await write(back);
      assert.equal((await two.verifyAudit()).problem, undefined, back);
    };
    await write("CREATE TABLE kept AS SELECT * FROM audit");
    await change(
      `UPDATE audit SET line = replace(line, '"i":7', '"i":8') WHERE seq = 8`,
      "UPDATE audit SET line = (SELECT line FROM kept WHERE kept.seq = audit.seq)",
      async () => assert.match((await two.verifyAudit()).problem!, /are not those/),
    );
    await change(
      "DELETE FROM audit WHERE seq > 250",
      "INSERT INTO audit SELECT * FROM kept WHERE seq > 250",
      async () => assert.match((await two.verifyAudit()).problem!, /are missing/),
    );
    await write("CREATE TABLE kept_tiles AS SELECT * FROM tiles");
    await change(
      "UPDATE tiles SET hashes = (SELECT hashes FROM kept_tiles WHERE level = 1) WHERE number = 1",
      "UPDATE tiles SET hashes = (SELECT hashes FROM kept_tiles WHERE number = 1) WHERE number = 1",
      async () => assert.match((await two.verifyAudit()).problem!, /does not fit the lines/),
    );
    await write("CREATE TABLE kept_head AS SELECT * FROM audit_head");
    await change(
      "UPDATE audit_head SET note = replace(note, '300', '299')",
      "UPDATE audit_head SET note = (SELECT note FROM kept_head)",
      () => assert.rejects(two.verifyAudit(), tampered),
    );
    // before it is sealed
    await one.log.settle();
    await write("CREATE TABLE kept_pending AS SELECT * FROM pending");
    await two.run((tx) => tx.issue({ kind: "answered" }, 60_000));
    await change(
      "UPDATE pending SET id = id || 'x'",
      "UPDATE pending SET id = substr(id, 1, 22)",
      () => assert.rejects(two.auditHead(), tampered),
    );
    await two.run((tx) => tx.issue({ kind: "answered" }, 60_000));
    await write("DELETE FROM pending");
    await assert.rejects(two.check(), tampered);
  },
]);

cases.push([
  "a filed checkpoint notices a cut log and another one in its place",
  async (one, two) => {
    await add(one, 10);
    const early = (await one.auditHead()).note!;
    await add(one, 5);
    const late = (await one.auditHead()).note!;
    assert.deepEqual([early, late].map((note) => readCheckpoint(note, key).size), [10, 15]);
    await two.log.checkFiled(early);
    await two.log.checkFiled(late);
    const another = newStore(openSqlite(":memory:"));
    await add(another, 12);
    await assert.rejects(another.log.checkFiled(late), /15 lines.*12/);
    await assert.rejects(another.log.checkFiled(early), /does not go on/);
    assert.match((await another.verifyAudit([early])).problem!, /first 10 lines/);
    await another.close();
  },
]);

Deno.test("the log on SQLite", async (t) => {
  for (const [name, body] of cases) {
    await t.step(name, () =>
      inTempDir(async (dir) => {
        const open = () => openSqlite(join(dir, "otp.db"));
        await withTwo(() => Promise.resolve(open()), body);
      }));
  }
});

Deno.test("the log on PostgreSQL", async (t) => {
  const server = await startPostgres();
  try {
    for (const [name, body] of cases) {
      const url = await server.createDatabase();
      await t.step(name, () => withTwo(() => openPostgres(url, PATIENT), body));
    }
    await t.step(
      "a sealer whose connection dies at any of its statements leaves the log to the other instance",
      async () => {
        const url = await server.createDatabase();
        // the server sees no more of a process that was killed
        const database = killable(
          await openPostgres(url, PATIENT),
          (query) => query("SELECT pg_terminate_backend(pg_backend_pid())"),
        );
        const [one, two] = [newStore(database), newStore(await openPostgres(url, PATIENT))];
        const lines: string[] = [];
        let step = 0;
        for (let done = false; !done; step++) {
          lines.push(...await add(one, 2), ...await add(two, 1));
          database.killAfter = step;
          done = await one.log.sealAll().then(() => true, (error) => {
            assert.equal(error.name, "DatabaseError");
            return false;
          });
          database.killAfter = Infinity;
          await two.log.sealAll();
          assert.ok(step < 60);
        }
        assert.ok(step > 5, "each statement was one at which it died");
        assert.deepEqual(await Array.fromAsync(two.audit()), lines);
        assert.equal((await two.verifyAudit()).problem, undefined);
        for (const line of lines) {
          const { receipt } = (await one.log.find(entryOf(line).toHex()))!;
          assert.equal(verifyReceipt(receipt, key, entryOf).line, line);
        }
        await one.check();
        for (const store of [one, two]) await store.close();
      },
    );
    await t.step(
      "a restored dump is whole, and noticed by a checkpoint filed after it",
      async () => {
        const url = await server.createDatabase();
        const store = newStore(await openPostgres(url, PATIENT));
        await add(store, 20);
        const early = (await store.auditHead()).note!;
        const copy = await server.restored(url);
        await add(store, 3);
        const late = (await store.auditHead()).note!;
        await store.close();
        const restored = newStore(await openPostgres(copy, PATIENT));
        assert.equal((await restored.verifyAudit([early])).problem, undefined);
        await restored.check({ seals: true });
        await restored.log.checkFiled(early);
        await assert.rejects(restored.log.checkFiled(late), /23 lines.*has 20.*backup/);
        await restored.close();
      },
    );
  } finally {
    await server.close();
  }
});

async function withTwo(open: () => Promise<Database>, body: (typeof cases)[number][1]) {
  const raw = await open();
  const [one, two] = [newStore(await open()), newStore(await open())];
  try {
    await body(one, two, (text, ...values) => raw.transaction((query) => query(text, ...values)));
  } finally {
    for (const store of [one, two]) await store.close();
    await raw.close();
  }
}
