import assert from "node:assert/strict";
import { join } from "node:path";
import { readCheckpoint, verifyReceipt } from "../formats/log/checkpoint.ts";
import { type NoteSigner, readNoteKey } from "../formats/log/note.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { entryOf } from "./audit.ts";
import {
  prepareLogKey,
  readLogSigner,
  retireLogKeys,
  useNextLogKey,
  writeDerivedLogKey,
} from "./log_key.ts";
import { Secrets } from "./secrets.ts";
import { openSqlite } from "./store_sqlite.ts";
import { Store } from "./store.ts";

const NAME = "sign.example/log";
const noted = () => Promise.resolve();

Deno.test("while the log's key is rotated, receipts are good with either key, and the audit stays one", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log-key");
    await Deno.writeTextFile(path, `${"7c".repeat(32)}\n`, { mode: 0o600 });
    const secrets = new Secrets(new Uint8Array(32));
    /** A start of the service: a receipt of a new line, and the checkpoint that is filed. */
    const serve = async (expect: string[], started?: NoteSigner) => {
      const signer = started ?? await readLogSigner(path, NAME);
      const store = new Store(openSqlite(join(dir, "db")), Date.now, secrets, signer);
      try {
        const { lines } = await store.runWithLines((tx) => {
          tx.audit({ event: "otp.sent" });
          return Promise.resolve();
        });
        const { note } = await store.auditHead();
        assert.equal((await store.verifyAudit(expect)).problem, undefined);
        for (const filed of expect) await store.log.checkFiled(filed);
        return {
          signer,
          key: signer.key,
          note: note!,
          receipt: (await store.log.receipt(lines[0], 5000))!,
        };
      } finally {
        await store.close();
      }
    };
    const good = (receipt: string, key: Parameters<typeof verifyReceipt>[1]) => {
      try {
        verifyReceipt(receipt, key, entryOf);
        return true;
      } catch {
        return false;
      }
    };
    const before = await serve([]);
    const next = readNoteKey(await prepareLogKey(path, NAME, noted));
    assert.equal(
      (await prepareLogKey(path, NAME, noted)).includes(next.id),
      true,
      "once more: the same",
    );
    const between = await serve([before.note]);
    await useNextLogKey(path, NAME, noted);
    await assert.rejects(useNextLogKey(path, NAME, noted), { message: /--prepare/ });
    const after = await serve([before.note, between.note]);
    // an instance that was not restarted yet, beside the new one
    await serve([before.note, between.note, after.note], between.signer);
    await retireLogKeys(path, NAME, noted);
    await serve([before.note, between.note, after.note]); // what was filed counts all the same
    const late = serve([], before.signer); // an instance that was never restarted
    await assert.rejects(late, { name: "TamperedError", message: /another key/ });
    assert.deepEqual(
      [before, between, after].map((
        { receipt },
      ) => [good(receipt, before.key), good(receipt, next)]),
      [[true, false], [true, true], [false, true]],
    );
  }));

Deno.test("a start with a new key signs the end anew, so that it can be filed without waiting for a line", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log-key");
    const secrets = new Secrets(new Uint8Array(32));
    const open = (signer: NoteSigner) =>
      new Store(openSqlite(join(dir, "db")), Date.now, secrets, signer);
    const store = open(secrets.logSigner(NAME));
    await store.run((tx) => tx.audit({ event: "otp.sent" }));
    const { note, seq } = await store.auditHead();
    await store.close();
    // the key that was derived from the secret gets a file, and then it is as any other
    await writeDerivedLogKey(path, secrets.logSeed);
    await writeDerivedLogKey(path, secrets.logSeed);
    await assert.rejects(writeDerivedLogKey(path, new Uint8Array(32)), { message: /another key/ });
    const next = readNoteKey(await prepareLogKey(path, NAME, noted));
    const again = open(await readLogSigner(path, NAME));
    const head = await again.auditHead();
    assert.equal(head.seq, seq);
    for (const key of [next, secrets.logSigner(NAME).key]) {
      assert.equal(readCheckpoint(head.note!, key).size, seq);
    }
    await again.log.checkFiled(note!);
    await again.close();
  }));

Deno.test("a key's file that says two things is refused", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log-key");
    const [one, other] = ["7c", "7d"].map((byte) => byte.repeat(32));
    for (
      const lines of [[one, other], [one, `next ${one}`, `next ${other}`], [`next ${one}`], []]
    ) {
      await Deno.writeTextFile(path, lines.join("\n") + "\n", { mode: 0o600 });
      await assert.rejects(readLogSigner(path, NAME), { name: "SetupError", message: /64 hex/ });
    }
  }));

Deno.test("where the audit cannot tell of a step, the key's file is as before", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "log-key");
    await Deno.writeTextFile(path, `${"7c".repeat(32)}\n`, { mode: 0o600 });
    const out = () => Promise.reject(new Error("the database is out"));
    for (const change of [prepareLogKey, useNextLogKey, retireLogKeys]) {
      const before = await Deno.readTextFile(path);
      await assert.rejects(change(path, NAME, out), { message: /is out/ });
      assert.equal(await Deno.readTextFile(path), before);
      await change(path, NAME, noted);
    }
  }));
