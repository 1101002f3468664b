import assert from "node:assert/strict";
import { join } from "node:path";
import { openNote, readNoteKey } from "../formats/log/note.ts";
import { Audit } from "../signing/audit.ts";
import { dsign, environment } from "../tests/fixtures/cli.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";

Deno.test("dsign log shows the newest entries, and finds altered ones", () =>
  inTempDir(async (dir) => {
    const env = environment(dir);
    assert.deepEqual(await dsign(["log", "verify"], env), {
      code: 0,
      stdout: "The audit log is empty.\n",
      stderr: "",
    });
    const folder = join(dir, "state", "dsign", "audit");
    const audit = new Audit(folder, () => new Date("2026-11-21T10:00:00Z"));
    const certificate = { id: "cd".repeat(32), name: "Anita Das" };
    const document = { name: "order\u202e.pdf", algorithm: "SHA-256", hash: "ab".repeat(32) };
    await audit.record({
      action: "grant",
      origin: "https://a.example",
      scopes: ["sign"],
      outcome: "done",
    });
    await audit.record({
      action: "sign",
      origin: null,
      format: "PAdES B-T",
      documents: [document, document],
      certificate,
      outcome: "done",
    });
    const shown = await dsign(["log", "show", "--count", "1"], env);
    assert.equal(
      shown.stdout,
      "2026-11-21T10:00:00.000Z sign | done | command line | PAdES B-T | " +
        "order\\u{202e}.pdf and 1 more | Anita Das\n",
    );
    const all = JSON.parse((await dsign(["log", "show", "--json"], env)).stdout);
    assert.deepEqual(all.entries.map(({ number }: { number: number }) => number), [1, 2]);
    assert.match((await dsign(["log", "verify"], env)).stdout, /^Entries 1 to 2 are unaltered/);

    const { checkpoint, key } = JSON.parse(
      (await dsign(["log", "checkpoint", "--json"], env)).stdout,
    );
    const { last } = await audit.verify();
    const hash = Uint8Array.fromHex(last).toBase64();
    assert.equal(
      openNote(checkpoint, [readNoteKey(key)]).text,
      `dsign audit chain v1\n2\n${hash}\n`,
    );
    const again = await dsign(["log", "checkpoint"], env);
    assert.deepEqual(again, { code: 0, stdout: checkpoint, stderr: `Key: ${key}\n` });

    const file = join(folder, "000001.jsonl");
    const text = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, text.replace("Anita", "Bikram"));
    const found = await dsign(["log", "verify"], env);
    assert.deepEqual([found.code, found.stderr], [
      1,
      "dsign: line 2 of 000001.jsonl was changed.\n",
    ]);
    assert.match((await dsign(["log", "checkpoint"], env)).stderr, /not whole: line 2/);
    assert.equal((await dsign(["log", "show", "--count", "x"], env)).code, 2);
  }));
