/** The store on both databases, several instances at once. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { PATIENT, startPostgres } from "../tests/fixtures/postgres.ts";
import { type End, type Event, FRESH, open, RULES, type Transaction } from "./authorize.ts";
import { openPostgres } from "./store_postgres.ts";
import { openSqlite } from "./store_sqlite.ts";
import type { Person } from "./rows.ts";
import { Secrets } from "./secrets.ts";
import { Store } from "./store.ts";

const PERSON: Person = { id: "asen", name: "Anita Sen", language: "bn", otp: "mail", email: "a@x" };
const BINDING = { hashes: ["aGFzaA=="], hashAlgorithm: "2.16.1", signatures: 1 };
const FACTS = { purpose: "Sanction 7", labels: ["sanction.pdf"] };
const SECRETS = new Secrets(new Uint8Array(32).fill(7));
const USE = {
  type: "use",
  bare: false,
  sad: "sad-hash",
  client: "portal",
  credential: "c1",
  hashes: BINDING.hashes,
} as const;

const opened = (id: string, now: number): Transaction =>
  open(
    { id, client: "portal", credential: "c1", mode: "oauth2code", binding: BINDING },
    now,
  );

async function suite(t: Deno.TestContext, instance: () => Promise<Store>, clock: { now: number }) {
  const [one, two] = [await instance(), await instance()];
  try {
    await t.step("people and credentials are stored once and read back", async () => {
      assert.equal(await one.read((tx) => tx.person("a\0sen")), null);
      assert.equal(await one.run((tx) => tx.addPerson(PERSON)), true);
      assert.equal(await two.run((tx) => tx.addPerson(PERSON)), false);
      await two.run(async (tx) => {
        const row = (await tx.person("asen"))!;
        assert.deepEqual(row, { person: PERSON, guard: FRESH, pin: null, locked: null, epoch: 1 });
        tx.savePerson({ ...row, pin: "hash", locked: "left" });
        tx.addCredential({
          id: "c1",
          person: "asen",
          kind: "one-time",
          mode: "oauth2code",
          keyType: "p-256",
        });
      });
      await one.run(async (tx) => {
        assert.equal((await tx.persons())[0].locked, "left");
        assert.equal((await tx.credentialsOf("asen"))[0].id, "c1");
        assert.equal((await tx.credential("c1"))!.kind, "one-time");
        assert.equal(await tx.person("nobody"), null);
      });
    });

    await t.step("only one of 1,000 parallel uses of a SAD succeeds", async () => {
      await one.run(async (tx) => {
        tx.addTransaction(opened("t1", tx.now), "asen", FACTS);
        const found = (await tx.transaction({ id: "t1" }))!;
        const authorized = { ...found.transaction, phase: "authorized" as const, sad: "sad-hash" };
        const transaction = { ...authorized, pending: BINDING.hashes, remaining: 1 };
        tx.saveTransaction({ ...found, transaction });
        const person = (await tx.person("asen"))!;
        tx.savePerson({ ...person, locked: null });
      });
      const uses = await Promise.all(
        Array.from({ length: 1000 }, (_, i) =>
          (i % 2 ? one : two).run(async (tx) => {
            const { outcome } = (await tx.apply({ sad: "sad-hash" }, USE))!;
            const ok = outcome.ok;
            tx.audit({ event: ok ? "sad.used" : "sad.refused", transaction: "t1" });
            return ok;
          })),
      );
      assert.equal(uses.filter((ok) => ok).length, 1);
    });

    await t.step("a failed transaction leaves nothing behind", async () => {
      const before = await one.auditHead();
      await assert.rejects(
        one.run(async (tx) => {
          await tx.addPerson({ ...PERSON, id: "half" });
          tx.audit({ event: "person.added", person: "half" });
          throw new Error("in between");
        }),
        /in between/,
      );
      assert.equal(await two.run((tx) => tx.person("half")), null);
      assert.deepEqual(await one.auditHead(), before);
    });

    await t.step("entries from every writer form one log", async () => {
      const before = (await one.auditHead()).seq;
      await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          // deno-lint-ignore require-await -- the store's shape
          (i % 2 ? one : two).run(async (tx) => tx.audit({ event: "otp.sent", n: i }))),
      );
      const head = await two.auditHead();
      assert.equal(head.seq, before + 40);
      assert.deepEqual(await one.verifyAudit(), {
        ok: true,
        lines: head.seq,
        root: head.hash,
      });
    });

    await t.step("opaque values work once and in time, and are revoked by family", async () => {
      const data = { kind: "refresh", client: "portal" } as const;
      const value = await one.run((tx) => tx.issue(data, 1000, "family"));
      assert.equal(await one.run((tx) => tx.read("code", value)), null);
      const taken = await Promise.all(
        [one, two, one, two].map((store) => store.run((tx) => tx.take("refresh", value))),
      );
      assert.equal(taken.filter((each) => each !== null).length, 1);
      const access = { kind: "access", client: "portal" } as const;
      const [a, b] = [
        await one.run((tx) => tx.issue(access, 1000, "family")),
        await one.run((tx) => tx.issue(access, 1000)),
      ];
      await two.run((tx) => tx.revoke({ family: "family" }));
      assert.equal(await one.run((tx) => tx.read("access", a)), null);
      assert.deepEqual((await one.run((tx) => tx.read("access", b)))!.data, access);
      clock.now += 1000;
      assert.equal(await one.run((tx) => tx.read("access", b)), null);
    });

    await t.step("documents are found by digest and sender", async () => {
      const bytes = crypto.getRandomValues(new Uint8Array(60_000));
      const document = { name: "a.pdf", bytes };
      const quota = { documents: 2, bytes: 130_000 };
      const add = (store: Store, digests: string[], bytes = document.bytes) =>
        store.run((tx) =>
          tx.addDocument("portal", digests, { ...document, bytes }, { lifetime: 1000, quota })
        );
      assert.equal(await add(one, ["d1", "d2"]), true);
      const found = (await two.run((tx) => tx.document("portal", "d2")))!;
      assert.deepEqual(new Uint8Array(found.bytes), bytes);
      assert.equal(found.name, "a.pdf");
      assert.equal(await two.run((tx) => tx.document("other", "d2")), null);
      assert.deepEqual(
        await two.read((tx) => tx.documentsOf("portal", ["d3", "d2", "d1"])),
        ["d2", "d1"],
      );
      assert.equal(await add(one, ["d1"]), true, "the same again takes no more room");
      assert.equal(await add(two, ["d3"], new Uint8Array(80_000)), false, "too many bytes");
      assert.equal(await add(two, ["d3"], new Uint8Array(10)), true);
      assert.equal(await add(one, ["d4"], new Uint8Array(11)), false, "too many documents");
      clock.now += 1000;
      assert.equal(await add(one, ["d4"], new Uint8Array(11)), true, "in their time");
    });

    await t.step("certificates, keys and counters are stored and read back", async () => {
      const der = Uint8Array.of(1, 2, 3);
      await one.run((tx) =>
        tx.addCertificate({ serial: "0a", person: "asen", transaction: "t1", der, notAfter: 9e12 })
      );
      assert.equal(await two.run((tx) => tx.revokeCertificate("0a", "keyCompromise")), true);
      assert.equal(await two.run((tx) => tx.revokeCertificate("0a", "superseded")), false);
      const [row] = await one.run((tx) => tx.revokedCertificates());
      assert.deepEqual([row.serial, row.reason, [...row.der], row.notAfter], [
        "0a",
        "keyCompromise",
        [1, 2, 3],
        9e12,
      ]);
      await one.run((tx) => tx.saveKey("k", "sealed"));
      assert.equal(await two.run((tx) => tx.key("k")), "sealed");
      const counts = await Promise.all(
        [one, two, one, two, one].map((store) => store.run((tx) => tx.count("crl"))),
      );
      assert.deepEqual(counts.sort(), [1, 2, 3, 4, 5]);
    });

    await t.step(
      "expired authorizations are ended with an audit entry and deleted later",
      async () => {
        await one.run((tx) => tx.addTransaction(opened("t2", tx.now), "asen", FACTS));
        clock.now += RULES.lifetime + 120_000;
        await Promise.all([one.sweep(), two.sweep()]);
        const lines = (await Array.fromAsync(one.audit())).map((line) => JSON.parse(line));
        assert.deepEqual(
          lines.filter(({ event }) => /ended|failed/.test(event)).map(({ transaction, reason }) => [
            transaction,
            reason,
          ]).sort(),
          [["t1", "interrupted"], ["t2", "expired"]],
        );
        clock.now += 25 * 3_600_000;
        await two.sweep();
        assert.equal(await one.run((tx) => tx.transaction({ id: "t2" })), null);
        assert.equal(await one.run((tx) => tx.document("portal", "d1")), null);
        assert.ok(await one.run((tx) => tx.certificate("0a")));
      },
    );

    await t.step(
      "the audit records the end of an authorization once, whatever its cause",
      async () => {
        const answer = { type: "settle", pin: false, otp: false, number: 1, sad: "x" } as const;
        const ends: [End, Event, Partial<Transaction>?][] = [
          // a second answer, at an instance whose clock is behind
          ["clock", { type: "attempt" }, { seenAt: clock.now + 60_000 }],
          ["clock", { ...USE, type: "extend", next: "x" }, { seenAt: clock.now + 60_000 }],
          ["expired", { type: "attempt" }, { createdAt: clock.now - RULES.lifetime }],
          ["expired", { type: "send" }, { createdAt: clock.now - RULES.lifetime }],
          ["deviation", { ...USE, sad: "end4", hashes: ["other"] }],
          ["tries", answer, { phase: "open", settled: RULES.tries - 1 }],
          ["rejected", { type: "end", why: "rejected" }],
          ["superseded", { type: "end", why: "superseded" }, { phase: "open" }],
          ["revoked", { type: "end", why: "revoked" }, { phase: "signing" }],
        ];
        for (const [number, [end, event, more]] of ends.entries()) {
          const id = `end${number}`;
          const given = { phase: "authorized", sad: id, pending: BINDING.hashes } as const;
          await one.run((tx) =>
            tx.addTransaction({ ...opened(id, tx.now), ...given, ...more }, "asen", FACTS)
          );
          for (const store of [one, two]) {
            const { transaction } = (await store.run((tx) => tx.apply({ id }, event)))!;
            assert.equal(transaction.end, end);
          }
        }
        await one.run(async (tx) => {
          tx.addTransaction(opened("end-locked", tx.now), "asen", FACTS);
          tx.savePerson({ ...(await tx.person("asen"))!, locked: "left" });
        });
        for (const store of [one, two]) {
          await store.run((tx) => tx.apply({ id: "end-locked" }, { type: "send" }));
        }
        const lines = (await Array.fromAsync(one.audit())).map((line) => JSON.parse(line));
        assert.deepEqual(
          lines.filter(({ event, transaction }) =>
            event === "authorization.ended" && /^end/.test(transaction)
          ).map(({ person, transaction, reason }) => [person, transaction, reason]),
          [
            ...ends.map(([end], number) => ["asen", `end${number}`, end]),
            ["asen", "end-locked", "locked"],
          ],
        );
      },
    );
  } finally {
    await one.close();
    await two.close();
  }
}

Deno.test("the store works on SQLite", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "dsign_test_" });
  const clock = { now: 1_800_000_000_000 };
  try {
    const instance = () =>
      Promise.resolve(
        new Store(
          openSqlite(join(folder, "otp.db")),
          () => clock.now,
          SECRETS,
          SECRETS.logSigner("store/log"),
        ),
      );
    await suite(t, instance, clock);
    await t.step("the audit cannot be changed", () => {
      const database = openSqlite(join(folder, "otp.db"));
      return database.transaction(async (query) => {
        for (const change of ["UPDATE audit SET line = '{}'", "DELETE FROM audit"]) {
          await assert.rejects(async () => await query(change), /append-only/);
        }
      }).finally(() => database.close());
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the store works on PostgreSQL", async (t) => {
  const server = await startPostgres();
  try {
    const url = await server.createDatabase();
    const clock = { now: 1_800_000_000_000 };
    // both at once: only one of them makes the schema
    const instance = async () =>
      new Store(
        await openPostgres(url, PATIENT),
        () => clock.now,
        SECRETS,
        SECRETS.logSigner("store/log"),
      );
    const [a, b] = await Promise.all([instance(), instance()]);
    await Promise.all([a.close(), b.close()]);
    await suite(t, instance, clock);
    await t.step("a clock that differs from the database server's is noticed", async () => {
      const store = await instance();
      for (const ahead of [0, 120_000, -120_000]) {
        clock.now = Date.now() + ahead;
        const difference = await store.clockDifference();
        assert.ok(Math.abs(difference - ahead) < 60_000, `${difference} for ${ahead}`);
      }
      await store.close();
    });
    await t.step("the audit cannot be changed", async () => {
      const database = await openPostgres(url, PATIENT);
      for (
        const change of ["UPDATE audit SET line = '{}'", "DELETE FROM audit", "TRUNCATE audit"]
      ) {
        await assert.rejects(database.transaction((query) => query(change)), /append-only/);
      }
      await database.close();
    });
  } finally {
    await server.close();
  }
});
