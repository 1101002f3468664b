import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { Audit, type AuditEvent } from "./audit.ts";

const WRITER = fileURLToPath(new URL("../tests/fakes/audit_writer.ts", import.meta.url));

const signed = (name: string): AuditEvent => ({
  action: "sign",
  origin: "https://portal.example",
  format: "CAdES B-B",
  documents: [{ name, algorithm: "SHA-256", hash: "ab".repeat(32) }],
  certificate: { id: "cd".repeat(32), name: "Anita Das" },
  outcome: "done",
});

const first = (dir: string) => join(dir, "000001.jsonl");

Deno.test("half a character in a name does not keep it, or what is written beside it, from the log", () =>
  inTempDir(async (dir) => {
    const audit = new Audit(dir);
    const odd = { ...signed("\ud800.txt"), certificate: { id: "cd".repeat(32), name: "\udfff" } };
    await Promise.all([signed("a"), odd, signed("\\ud800")].map((event) => audit.record(event)));
    const names = (await audit.newest(3)).map(({ documents, certificate }) =>
      `${documents![0].name} ${certificate!.name}`
    );
    assert.deepEqual(names, ["\\ud800 Anita Das", "\ufffd.txt \ufffd", "a Anita Das"]);
    assert.equal((await audit.verify()).fault, null);
  }));

Deno.test("where the folder's lock is removed, the next line is written under the new one", () =>
  inTempDir(async (dir) => {
    const audit = new Audit(dir);
    await audit.record(signed("a"));
    await Deno.remove(join(dir, "lock"));
    using other = await Deno.open(join(dir, "lock"), { create: true, write: true });
    await other.lock(true);
    let written = false;
    const line = audit.record(signed("b")).then(() => written = true);
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(written, false);
    await other.unlock();
    await line;
    assert.equal((await audit.verify()).entries, 2);
    audit.close();
  }));

Deno.test("entries are chained, and read newest first", () =>
  inTempDir(async (dir) => {
    const audit = new Audit(join(dir, "log"), () => new Date("2026-11-21T10:00:00Z"));
    assert.deepEqual(await audit.newest(10), []);
    assert.equal((await audit.verify()).entries, 0);
    await Promise.all(["a", "b", "c"].map((name) => audit.record(signed(name))));
    await audit.record({ action: "grant", origin: "https://x.example", outcome: "user_cancelled" });
    const entries = await audit.newest(3);
    assert.deepEqual(entries.map(({ number }) => number), [4, 3, 2]);
    assert.deepEqual(entries.map(({ documents }) => documents?.[0].name), [undefined, "c", "b"]);
    assert.equal(entries[0].previous, entries[1].hash);
    assert.deepEqual((await audit.newest(10, 3)).map(({ number }) => number), [2, 1]);
    const report = await audit.verify();
    assert.deepEqual(report, {
      first: 1,
      entries: 4,
      last: entries[0].hash,
      torn: false,
      fault: null,
    });
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(join(dir, "log"))).mode! & 0o777, 0o700);
      assert.equal((await Deno.stat(first(join(dir, "log")))).mode! & 0o777, 0o600);
    }
  }));

Deno.test("a line with every member is in canonical form, over which its hash is", () =>
  inTempDir(async (dir) => {
    const audit = new Audit(dir);
    const { certificate } = signed("a");
    await audit.record({
      ...signed("a"),
      also: certificate,
      documents: Array.from({ length: 101 }, (_, i) => signed(`${i}`).documents![0]),
      manifest: "ef".repeat(32),
      scopes: ["sign"],
      signed: 1,
      token: { uri: "pkcs11:token=Anita", label: "Anita" },
    });
    assert.equal((await audit.verify()).fault, null);
    const { hash: _, ...line } = (await audit.newest(1))[0];
    assert.equal(Object.keys(line).length, 15);
  }));

Deno.test("a line that is changed, taken out, put in or moved is found", () =>
  inTempDir(async (dir) => {
    const audit = new Audit(dir);
    for (const name of ["a", "b", "c", "d"]) await audit.record(signed(name));
    const lines = (await Deno.readTextFile(first(dir))).trimEnd().split("\n");
    const faultOf = async (...forged: string[]) => {
      await Deno.writeTextFile(first(dir), forged.map((line) => line + "\n").join(""));
      const { fault } = await audit.verify();
      return fault && [fault.line, fault.why];
    };
    const [a, b, c, d] = lines;
    assert.equal(await faultOf(a, b, c, d), null);
    assert.deepEqual(await faultOf(a, b.replace('"b"', '"x"'), c, d), [2, "changed"]);
    assert.deepEqual(await faultOf(a, c, d), [2, "broken"]);
    assert.deepEqual(await faultOf(a, a, b, c, d), [2, "broken"]);
    assert.deepEqual(await faultOf(a, c, b, d), [2, "broken"]);
    assert.deepEqual(await faultOf(a, "{}", c, d), [2, "unreadable"]);
    assert.deepEqual(await faultOf(a, b.replace('"b"', '"\\ud800"'), c), [2, "unreadable"]);
    assert.deepEqual(await faultOf(a, `${b.slice(0, -1)},"pin":"1"}`, c), [2, "unreadable"]);
    assert.equal(await faultOf(b, c, d), null);
    assert.equal((await audit.verify()).first, 2);
  }));

Deno.test("a line that was not written to its end is replaced by the next", () =>
  inTempDir(async (dir) => {
    await new Audit(dir).record(signed("a"));
    const whole = await Deno.readTextFile(first(dir));
    for (const rest of ['{"action":"si', "\0\0\0"]) {
      await Deno.writeTextFile(first(dir), whole + rest);
      assert.equal((await new Audit(dir).verify()).torn, true);
      await new Audit(dir).record(signed("b"));
      const { entries, torn, fault } = await new Audit(dir).verify();
      assert.deepEqual([entries, torn, fault], [2, false, null]);
      await Deno.writeTextFile(first(dir), whole);
    }
  }));

Deno.test("several programs write one chain, over many files", () =>
  inTempDir(async (dir) => {
    const logs = Array.from({ length: 3 }, () => new Audit(dir, undefined, 1000));
    await Promise.all(
      Array.from({ length: 30 }, (_, i) => logs[i % 3].record(signed(String(i)))),
    );
    const { entries, fault } = await logs[0].verify();
    assert.deepEqual([entries, fault], [30, null]);
    const files = Array.from(Deno.readDirSync(dir)).filter(({ name }) => name.endsWith(".jsonl"));
    assert.ok(files.length > 1, "it was rotated");
    await Deno.remove(first(dir));
    assert.equal((await logs[1].verify()).fault, null, "older files may be put away");
    assert.equal((await logs[0].newest(100)).length < 30, true);
  }));

Deno.test("a kill at any moment loses no entry that was acknowledged", () =>
  inTempDir(async (dir) => {
    let acknowledged = 0;
    for (let round = 0; round < 6; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", WRITER, dir, "20000"],
        stdin: "null",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const reader = child.stdout.getReader();
      const wanted = 1 + Math.floor(Math.random() * 120);
      for (let seen = 0; seen < wanted;) {
        const { value } = await reader.read();
        seen += value!.length;
        acknowledged += value!.length;
      }
      child.kill("SIGKILL");
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        acknowledged += value.length;
      }
      await child.status;
      const { entries, fault } = await new Audit(dir).verify();
      assert.equal(fault, null);
      assert.ok(entries >= acknowledged, `${entries} of ${acknowledged} are there`);
      acknowledged = entries;
    }
    await new Audit(dir).record(signed("after"));
    assert.deepEqual((await new Audit(dir).verify()).fault, null);
  }));

Deno.test("where nothing can be written, that is an error and no silence", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(join(dir, "file"), "");
    const audit = new Audit(join(dir, "file"));
    await assert.rejects(audit.record(signed("a")), { code: "storage_failed" });
  }));

Deno.test("of a large batch the beginning is listed, and the count", () =>
  inTempDir(async (dir) => {
    const audit = new Audit(dir);
    const [document] = signed("a").documents!;
    await audit.record({ ...signed("a"), documents: Array(5000).fill(document) });
    const [entry] = await audit.newest(1);
    assert.deepEqual([entry.documents!.length, entry.documentCount], [100, 5000]);
  }));
