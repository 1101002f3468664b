/**
 * Attacks on the log by those who can write to the database, who have the service's secret too, or a key that was the log's
 * before. A running instance says what it has seen; what nobody saw, a filed checkpoint shows.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readCheckpoint, verifyReceipt } from "../formats/log/checkpoint.ts";
import { noteSigner } from "../formats/log/note.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { entryOf } from "./audit.ts";
import type { Database } from "./database.ts";
import { Filing } from "./filing.ts";
import { Secrets } from "./secrets.ts";
import { openSqlite } from "./store_sqlite.ts";
import { Store } from "./store.ts";

const LOG = "sign.example/log";
const SECRETS = new Secrets(new Uint8Array(32).fill(7));
const SIGNER = noteSigner(LOG, new Uint8Array(32).fill(8));
const TAMPERED = { name: "TamperedError" };

const open = (database: Database, signer = SIGNER) =>
  new Store(database, Date.now, SECRETS, signer);
const add = async (store: Store, count = 1) =>
  (await store.runWithLines((tx) => {
    for (let i = 0; i < count; i++) tx.audit({ event: "otp.sent", i });
  })).lines;

/** A database that a thief can put another in the place of, while instances run. */
function replaceable(dir: string) {
  let inner = openSqlite(join(dir, "0.db"));
  let copies = 0;
  const all = [inner];
  const database: Database = {
    lock: "",
    transaction: (work) => inner.transaction(work),
    read: (work) => inner.read(work),
    snapshot: (work) => inner.snapshot(work),
    becomeSealer: (query) => inner.becomeSealer(query),
    close: () => inner.close(),
  };
  return {
    database,
    write: (text: string) => inner.transaction((query) => query(text)),
    /** @returns a copy of what is there now, as a dump would be */
    async copy(): Promise<Database> {
      const path = join(dir, `${++copies}.db`);
      await inner.read((query) => query(`VACUUM INTO '${path}'`));
      const copy = openSqlite(path);
      all.push(copy);
      return copy;
    },
    replace(other: Database) {
      if (!all.includes(other)) all.push(other);
      inner = other;
    },
    async [Symbol.asyncDispose]() {
      for (const each of all) await each.close();
    },
  };
}

Deno.test("pending entries that are renumbered get true receipts all the same, in time", async () => {
  const database = openSqlite(":memory:");
  const store = open(database);
  try {
    const lines: string[] = [];
    for (let i = 0; i < 4; i++) lines.push(...await add(store));
    const rows = await database.read((query) => query("SELECT number FROM pending"));
    const [last] = rows.map(({ number }) => number as number).toSorted((a, b) => b - a);
    // the first comes last, the second before everything that ever was
    await database.transaction(async (query) => {
      await query(`UPDATE pending SET number = ${last! + 1_000_000} WHERE number = ${last! - 3}`);
      await query(`UPDATE pending SET number = -5 WHERE number = ${last! - 2}`);
    });
    const places = [];
    for (const line of lines) {
      const receipt = verifyReceipt((await store.log.receipt(line, 5000))!, SIGNER.key, entryOf);
      assert.equal(receipt.line, line);
      places.push(receipt.index);
    }
    assert.deepEqual(places, [3, 0, 1, 2]);
    assert.equal(await store.overdue(), 0);
    assert.equal((await store.verifyAudit()).problem, undefined);
    await store.check();
  } finally {
    await store.close();
  }
});

Deno.test("a log that was written anew with the service's secret is neither gone on from nor signed", () =>
  inTempDir(async (dir) => {
    await using thing = replaceable(dir);
    const store = open(thing.database);
    await add(store, 5);
    const filed = (await store.auditHead()).note!;
    const forged = openSqlite(join(dir, "forged.db"));
    const thief = open(forged, SECRETS.logSigner(LOG));
    await add(thief, 9);
    await thief.auditHead();
    thing.replace(forged);
    await add(store); // it stays pending
    await assert.rejects(store.auditHead(), {
      ...TAMPERED,
      message: /not signed by the log's key/,
    });
    // an instance that begins anew has seen nothing, and does not sign it either
    const fresh = open(thing.database);
    await assert.rejects(fresh.auditHead(), TAMPERED);
    await assert.rejects(fresh.verifyAudit([filed]), TAMPERED);
    await assert.rejects(fresh.log.checkFiled(filed), TAMPERED);
    assert.throws(() => readCheckpoint(filed, SECRETS.logSigner(LOG).key));
    const file = join(dir, "checkpoint");
    assert.deepEqual(await new Filing({ log: fresh.log, file }).file(), ["log"]);
    await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
  }));

Deno.test("a true checkpoint below another tree does not make it the log", () =>
  inTempDir(async (dir) => {
    await using thing = replaceable(dir);
    const store = open(thing.database);
    await add(store, 5);
    const { note } = await store.auditHead();
    const forged = openSqlite(join(dir, "forged.db"));
    const thief = open(forged, SECRETS.logSigner(LOG));
    await add(thief, 5);
    const head = { ...await thief.auditHead(), note };
    await forged.transaction((query) => thief.log.rows.write(query, head));
    thing.replace(forged);
    const message = /not what its checkpoint was signed for/;
    for (const each of [store, open(thing.database)]) {
      await assert.rejects(each.auditHead(), { ...TAMPERED, message });
    }
  }));

Deno.test("a copy that was put back is noticed by who ran, even after it has grown past the old end", () =>
  inTempDir(async (dir) => {
    await using thing = replaceable(dir);
    const [one, other] = [open(thing.database), open(thing.database)];
    await add(one, 3);
    await other.log.sealAll();
    const copy = await thing.copy();
    await add(one, 4);
    await one.log.sealAll();
    const seen = (await other.auditHead()).note!;
    thing.replace(copy);
    await assert.rejects(one.log.sealAll(), { ...TAMPERED, message: /cut back to line 3/ });
    // an instance that is restarted signs on; the other still knows
    const restarted = open(thing.database);
    await add(restarted, 300);
    assert.ok((await restarted.auditHead()).seq > 7);
    await assert.rejects(other.log.sealAll(), TAMPERED);
    await assert.rejects(other.run((tx) => tx.audit({ event: "otp.sent" })), TAMPERED);
    await assert.rejects(restarted.log.checkFiled(seen), { ...TAMPERED, message: /written anew/ });
  }));

Deno.test("tiles that did not lead to the log's end are not gone on from, whatever stands there next", () =>
  inTempDir(async (dir) => {
    await using thing = replaceable(dir);
    const [one, other] = [open(thing.database), open(thing.database)];
    await add(one, 3);
    const seen = (await one.auditHead()).note!;
    const copy = await thing.copy();
    await add(other, 3);
    await other.log.sealAll();
    // other leaves below a true end; then the end that this instance knows is put back
    await thing.write("UPDATE tiles SET hashes = zeroblob(3 * 32)");
    await assert.rejects(one.log.sealAll(), { ...TAMPERED, message: /tiles/ });
    thing.replace(copy);
    await add(one, 3);
    await one.log.sealAll();
    const check = await open(thing.database).verifyAudit([seen]);
    assert.equal(check.problem, undefined);
    // a leaf more than was signed
    await thing.write("UPDATE tiles SET hashes = CAST(hashes || zeroblob(32) AS BLOB)");
    const fresh = open(thing.database);
    await add(fresh);
    await assert.rejects(fresh.log.sealAll(), { ...TAMPERED, message: /tiles/ });
  }));

Deno.test("a copy that was put back does not get its checkpoint filed over the one that shows it", () =>
  inTempDir(async (dir) => {
    await using thing = replaceable(dir);
    const file = join(dir, "checkpoint");
    const store = open(thing.database);
    const filing = new Filing({ log: store.log, file });
    await add(store, 3);
    const copy = await thing.copy();
    await add(store, 4);
    await store.log.sealAll();
    assert.deepEqual(await filing.file(), []);
    const filed = await Deno.readTextFile(file);
    thing.replace(copy);
    // this instance, one that was restarted, and one that goes on from the copy
    const restarted = open(thing.database);
    for (const each of [store, restarted, restarted]) {
      assert.deepEqual(await new Filing({ log: each.log, file }).file(), ["log"]);
      assert.equal(await Deno.readTextFile(file), filed);
      await add(restarted, 9);
    }
    assert.deepEqual([...Deno.readDirSync(dir)].filter(({ name }) => /new$/.test(name)), []);
  }));

Deno.test("an end without a checkpoint, as an earlier version left it, is believed by nobody who saw one", async () => {
  const database = openSqlite(":memory:");
  const store = open(database);
  try {
    await add(store, 3);
    const head = await store.auditHead();
    await database.transaction((query) => store.log.rows.write(query, { ...head, note: null }));
    await assert.rejects(store.auditHead(), { ...TAMPERED, message: /cut back/ });
    // and to begin anew the lines must be a chain, which they are not
    await assert.rejects(open(database).auditHead(), TAMPERED);
  } finally {
    await store.close();
  }
});

Deno.test("a key that was the log's before signs no end once it is retired, and what was filed with it still counts", async () => {
  const database = openSqlite(":memory:");
  const next = noteSigner(LOG, new Uint8Array(32).fill(9));
  const before = open(database);
  try {
    await add(before, 3);
    const filed = (await before.auditHead()).note!;
    const rotated = open(database, { ...next, old: [SIGNER.key] });
    await rotated.auditHead();
    const retired = { ...next, retired: [SIGNER.key] };
    const now = open(database, retired);
    assert.equal((await now.verifyAudit([filed])).problem, undefined);
    await now.log.checkFiled(filed);
    // the thief has the old key, the secret and the database
    await add(open(database, { ...SIGNER, old: [next.key] }));
    await open(database, { ...SIGNER, old: [next.key] }).auditHead();
    await assert.rejects(open(database, retired).verifyAudit(), TAMPERED);
  } finally {
    await before.close();
  }
});

Deno.test("an instance with another key's file seals and signs nothing, and says which setting to look at", async () => {
  const database = openSqlite(":memory:");
  const store = open(database);
  try {
    await add(store);
    await store.auditHead();
    const other = open(database, noteSigner(LOG, new Uint8Array(32).fill(1)));
    await add(other);
    await assert.rejects(other.auditHead(), { ...TAMPERED, message: /logKeyFile/ });
    await assert.rejects(add(other), TAMPERED); // nothing is signed that it could not prove
    assert.equal((await store.auditHead()).seq, 2, "its line is sealed by the other one");
    assert.equal((await store.verifyAudit()).problem, undefined);
  } finally {
    await store.close();
  }
});
