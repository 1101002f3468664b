import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { readCheckpoint, verifyReceipt } from "../formats/log/checkpoint.ts";
import { formatNoteKey, type NoteKey, type NoteSigner, readNoteKey } from "../formats/log/note.ts";
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

const isGood = (receipt: string, key: NoteKey): boolean => {
  try {
    verifyReceipt(receipt, key, entryOf);
    return true;
  } catch {
    return false;
  }
};

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
      ) => [isGood(receipt, before.key), isGood(receipt, next)]),
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

Deno.test("whatever two instances do while the log's key is rotated step by step, one log comes of it (property)", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.constantFrom("add 0", "add 1", "seal 0", "seal 1", "restart 0", "restart 1", "step"),
        { minLength: 8, maxLength: 40 },
      ),
      (actions) =>
        inTempDir(async (dir) => {
          const path = join(dir, "log-key");
          await Deno.writeTextFile(path, `${"7c".repeat(32)}\n`, { mode: 0o600 });
          const secrets = new Secrets(new Uint8Array(32));
          const database = openSqlite(join(dir, "db"));
          const start = async () =>
            new Store(database, Date.now, secrets, await readLogSigner(path, NAME));
          const stores = [await start(), await start()];
          const steps = [prepareLogKey, useNextLogKey, retireLogKeys];
          let [step, restarted] = [0, [true, true]];
          const keys = new Set([formatNoteKey(stores[0].log.signer.key)]);
          const kept: { line: string; store: Store }[] = [];
          const checkpoints: string[] = [];
          for (const action of actions) {
            const who = Number(action.at(-1));
            const store = stores[who];
            if (action.startsWith("add")) {
              const { lines: [line] } = await store.runWithLines((tx) => {
                tx.audit({ event: "otp.sent" });
              });
              kept.push({ line, store });
            } else if (action.startsWith("seal")) checkpoints.push((await store.auditHead()).note!);
            else if (action.startsWith("restart")) {
              await store.log.settle(); // as when an instance ends
              [stores[who], restarted[who]] = [await start(), true];
            } // as the guide has it: all instances were restarted since the step before
            else if (
              restarted.every((each) => each)
            ) {
              keys.add(await steps[step++ % steps.length](path, NAME, noted));
              restarted = [false, false];
            }
          }
          const check = await (await start()).verifyAudit(
            checkpoints.filter((note) => note !== null),
          );
          assert.deepEqual([check.problem, check.lines], [undefined, kept.length]);
          for (const { line } of kept) {
            const { receipt } = (await stores[0].log.find(entryOf(line).toHex()))!;
            assert.ok([...keys].some((key) => isGood(receipt, readNoteKey(key))));
          }
          await database.close();
        }),
    ),
    { numRuns: 40 },
  ));
