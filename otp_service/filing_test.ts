import assert from "node:assert/strict";
import { createHash, createPrivateKey, sign } from "node:crypto";
import { join } from "node:path";
import { readCheckpoint } from "../formats/log/checkpoint.ts";
import { formatNoteKey, noteKey, noteSigner } from "../formats/log/note.ts";
import { verifyConsistency } from "../formats/log/tree.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { Filing } from "./filing.ts";
import { Secrets } from "./secrets.ts";
import { openSqlite } from "./store_sqlite.ts";
import { Store } from "./store.ts";

const SECRETS = new Secrets(new Uint8Array(32).fill(9));
const NAME = "sign.example/log";
const { key } = SECRETS.logSigner(NAME);
const newStore = (path: string) =>
  new Store(openSqlite(path), Date.now, SECRETS, SECRETS.logSigner(NAME));
const add = (store: Store, count: number) =>
  store.run((tx) => {
    for (let i = 0; i < count; i++) tx.audit({ event: "otp.sent", i });
  });

/** A witness (c2sp.org/tlog-witness) that has seen a tree of no leaves. */
function witness() {
  const seed = new Uint8Array(32).fill(3);
  const pkcs8 = new Uint8Array([
    ...Uint8Array.fromHex("302e020100300506032b657004220420"),
    ...seed,
  ]);
  const privateKey = createPrivateKey({ key: pkcs8 as never, format: "der", type: "pkcs8" });
  const { publicKey } = noteSigner("w", seed).key;
  const own = noteKey("witness.example/w", publicKey, 4);
  let seen: { size: number; root: Uint8Array } = { size: 0, root: new Uint8Array() };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.text();
    const [head, ...rest] = body.split("\n\n");
    const [old, ...proof] = head.split("\n");
    const note = rest.join("\n\n");
    const { size, root } = readCheckpoint(note, key);
    const oldSize = Number(/^old (\d+)$/.exec(old)![1]);
    if (oldSize !== seen.size) return new Response(`${seen.size}\n`, { status: 409 });
    const hashes = proof.map((each) => Uint8Array.fromBase64(each));
    const claim = { old: oldSize, size, oldRoot: seen.root, root, proof: hashes };
    if (oldSize > 0 && !verifyConsistency(claim)) return new Response(null, { status: 422 });
    seen = { size, root };
    const text = note.slice(0, note.indexOf("\n\n") + 1);
    const message = new TextEncoder().encode(`cosignature/v1\ntime 1796000000\n${text}`);
    const time = new Uint8Array(8);
    new DataView(time.buffer).setBigUint64(0, 1_796_000_000n);
    const bytes = [...Uint8Array.fromHex(own.id), ...time, ...sign(null, message, privateKey)];
    return new Response(`— ${own.name} ${new Uint8Array(bytes).toBase64()}\n`);
  });
  return {
    own,
    server,
    url: `http://127.0.0.1:${server.addr.port}`,
    get seen() {
      return seen;
    },
  };
}

Deno.test("a checkpoint is filed by every way, cosigned by the witness, and once for each state of the log", () =>
  inTempDir(async (dir) => {
    const store = newStore(join(dir, "otp.db"));
    const watcher = witness();
    const got: string[] = [];
    const other = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => (got.push(await request.text()), new Response(null, { status: 204 })),
    );
    const mails: string[][] = [];
    const file = join(dir, "checkpoint");
    const options = {
      log: store.log,
      file,
      mail: (subject: string, text: string) => Promise.resolve(void mails.push([subject, text])),
      url: `http://127.0.0.1:${other.addr.port}/checkpoints`,
      timestamp: (digest: Uint8Array) => Promise.resolve(digest),
      witness: { url: watcher.url, key: formatNoteKey(watcher.own) },
    };
    try {
      const filing = new Filing(options);
      await add(store, 3);
      await store.auditHead();
      assert.deepEqual(await filing.file(), []);
      await add(store, 4);
      await store.auditHead();
      assert.deepEqual(await filing.file(), []);
      assert.deepEqual(await filing.file(), []);
      const note = await Deno.readTextFile(file);
      const { size, witnesses } = readCheckpoint(note, key, [watcher.own]);
      assert.deepEqual([size, witnesses.length, watcher.seen.size], [7, 1, 7]);
      assert.deepEqual(mails.map(([subject]) => subject), [`${NAME}: 3`, `${NAME}: 7`]);
      assert.deepEqual(got.at(-1), note);
      assert.equal((await Deno.readFile(`${file}.tst`)).length, 32);
      // another process does not know what the witness has seen
      await add(store, 1);
      await store.auditHead();
      assert.deepEqual(await new Filing(options).file(), []);
      assert.equal(watcher.seen.size, 8);
      // what fails does not keep the others from getting it
      await add(store, 1);
      await store.auditHead();
      const gone = new Filing({ ...options, url: "http://127.0.0.1:1/" });
      assert.deepEqual(await gone.file(), ["url"]);
      assert.equal(readCheckpoint(await Deno.readTextFile(file), key).size, 9);
    } finally {
      await watcher.server.shutdown();
      await other.shutdown();
      await store.close();
    }
  }));

Deno.test("a later checkpoint that another instance filed meanwhile stays, with its timestamp", () =>
  inTempDir(async (dir) => {
    const store = newStore(join(dir, "otp.db"));
    const file = join(dir, "checkpoint");
    const timestamp = (digest: Uint8Array) => Promise.resolve(digest);
    await add(store, 3);
    await store.auditHead();
    let later = "";
    // a witness that is slow, and then fails
    const slow = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
      await add(store, 2);
      later = (await store.auditHead()).note!;
      assert.deepEqual(await new Filing({ log: store.log, file, timestamp }).file(), []);
      return new Response(null, { status: 500 });
    });
    try {
      const witness = { url: `http://127.0.0.1:${slow.addr.port}`, key: formatNoteKey(key) };
      const filing = new Filing({ log: store.log, file, timestamp, witness });
      assert.deepEqual(await filing.file(), ["witness"]);
      assert.equal(await Deno.readTextFile(file), later);
      const hashOf = (note: string) => createHash("sha256").update(note).digest("hex");
      assert.equal((await Deno.readFile(`${file}.tst`)).toHex(), hashOf(later));
      // a timestamp authority that is slow
      await add(store, 1);
      await store.auditHead();
      const late = async (digest: Uint8Array) => {
        await add(store, 1);
        later = (await store.auditHead()).note!;
        assert.deepEqual(await new Filing({ log: store.log, file, timestamp }).file(), []);
        return digest;
      };
      assert.deepEqual(await new Filing({ log: store.log, file, timestamp: late }).file(), []);
      assert.equal(await Deno.readTextFile(file), later);
      assert.equal((await Deno.readFile(`${file}.tst`)).toHex(), hashOf(later));
    } finally {
      await slow.shutdown();
      await store.close();
    }
  }));

Deno.test("nothing is filed between another instance's look at the file and its filing", () =>
  inTempDir(async (dir) => {
    const store = newStore(join(dir, "otp.db"));
    const file = join(dir, "checkpoint");
    await add(store, 3);
    await store.auditHead();
    assert.deepEqual(await new Filing({ log: store.log, file }).file(), []);
    const before = await Deno.readTextFile(file);
    await add(store, 1);
    await store.auditHead();
    const asked = Promise.withResolvers<void>();
    const witness = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
      asked.resolve();
      return new Response(null, { status: 500 });
    });
    try {
      using other = await Deno.open(`${file}.lock`, { write: true, create: true });
      await other.lock(true);
      const url = `http://127.0.0.1:${witness.addr.port}`;
      const filing = new Filing({
        log: store.log,
        file,
        witness: { url, key: formatNoteKey(key) },
      });
      const filed = filing.file();
      await asked.promise;
      await add(store, 2);
      const later = (await store.auditHead()).note!;
      assert.equal(await Deno.readTextFile(file), before);
      await Deno.writeTextFile(file, later);
      await other.unlock();
      assert.deepEqual(await filed, ["witness"]);
      assert.equal(await Deno.readTextFile(file), later);
    } finally {
      await witness.shutdown();
      await store.close();
    }
  }));

Deno.test("an instance that keeps the file locked does not hold up another one for ever", () =>
  inTempDir(async (dir) => {
    const store = newStore(join(dir, "otp.db"));
    const file = join(dir, "checkpoint");
    await add(store, 3);
    const { note } = await store.auditHead();
    const mails: string[] = [];
    const mail = (_: string, text: string) => Promise.resolve(void mails.push(text));
    const filing = new Filing({ log: store.log, file, mail, patience: 1 });
    {
      using other = await Deno.open(`${file}.lock`, { write: true, create: true });
      await other.lock(true);
      assert.deepEqual(await filing.file(), ["file"]);
      assert.deepEqual(mails, [note]);
    }
    assert.deepEqual(await filing.file(), []);
    assert.equal(await Deno.readTextFile(file), note);
    await store.close();
  }));

Deno.test("a service does not start against a filed checkpoint that its log does not go on from", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "otp.db");
    const file = join(dir, "checkpoint");
    const store = newStore(path);
    await add(store, 5);
    await store.auditHead();
    await store.close();
    await Deno.copyFile(path, join(dir, "backup.db"));
    const later = newStore(path);
    await add(later, 5);
    await later.auditHead();
    const filing = new Filing({ log: later.log, file });
    await filing.start(3_600_000);
    await filing.close();
    await later.close();
    const restored = newStore(join(dir, "backup.db"));
    const start = () => new Filing({ log: restored.log, file }).start(3_600_000);
    await assert.rejects(start(), { name: "TamperedError", message: /10 lines.*has 5.*backup/ });
    await add(restored, 6);
    await assert.rejects(start(), { name: "TamperedError", message: /written anew/ });
    for (const damaged of ["", "no checkpoint\n"]) {
      await Deno.writeTextFile(file, damaged);
      const message = `${file}: Not a signed note.`;
      await assert.rejects(start(), { name: "SetupError", message }, "an administrator sees which");
    }
    await restored.close();
  }));
