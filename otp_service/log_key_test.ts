import assert from "node:assert/strict";
import { join } from "node:path";
import { verifyReceipt } from "../formats/log/checkpoint.ts";
import { type NoteSigner, readNoteKey } from "../formats/log/note.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { entryOf } from "./audit.ts";
import { prepareLogKey, readLogSigner, useNextLogKey } from "./log_key.ts";
import { Secrets } from "./secrets.ts";
import { openSqlite } from "./store_sqlite.ts";
import { Store } from "./store.ts";

const NAME = "sign.example/log";

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
    const next = readNoteKey(await prepareLogKey(path, NAME));
    assert.equal((await prepareLogKey(path, NAME)).includes(next.id), true, "once more: the same");
    const between = await serve([before.note]);
    await useNextLogKey(path, NAME);
    await assert.rejects(useNextLogKey(path, NAME), { message: /--prepare/ });
    const after = await serve([before.note, between.note]);
    // an instance that was not restarted yet, beside the new one
    await serve([before.note, between.note, after.note], between.signer);
    assert.deepEqual(
      [before, between, after].map((
        { receipt },
      ) => [good(receipt, before.key), good(receipt, next)]),
      [[true, false], [true, true], [false, true]],
    );
  }));
