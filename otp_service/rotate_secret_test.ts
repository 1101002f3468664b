/** Two instances on one database, and the administrator's command as a third: each has read the file of the secret by itself. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { OIDS } from "../protocol/csc.ts";
import { EXPLICIT, HASH, onPage, openPage, STORED } from "../tests/fixtures/otp_calls.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { asAdministrator, PATIENT, startPostgres } from "../tests/fixtures/postgres.ts";
import { makeRoot, makeService, PIN, type TestService } from "../tests/fixtures/otp_service.ts";
import type { Database } from "./database.ts";
import { pepperOf, Pins } from "./pin.ts";
import {
  prepareSecret,
  retireSecrets,
  sealWithCurrent,
  secretStates,
  useNextSecret,
} from "./rotate_secret.ts";
import { readSecrets } from "./secret_file.ts";
import { openPostgres } from "./store_postgres.ts";
import { openSqlite } from "./store_sqlite.ts";

const ROOT = makeRoot();

interface Desk {
  path: string;
  database: string;
  /** Another instance, which has seen nothing yet. */
  instance(database?: Database, file?: string): Promise<TestService>;
  /** As who can write to the database. */
  raw: DatabaseSync;
}

const atDesk = (body: (desk: Desk) => Promise<void>) => () =>
  inTempDir(async (dir) => {
    const [path, database] = [join(dir, "secret"), join(dir, "otp.db")];
    await Deno.writeTextFile(path, `${"5a".repeat(32)}\n`, { mode: 0o600 });
    const made: TestService[] = [];
    let raw: DatabaseSync | undefined;
    const instance = async (opened = openSqlite(database), file = path) => {
      const { clock, sent } = made[0] ?? {};
      const secret = await readSecrets(file);
      const test = makeService({ database: opened, secret, root: ROOT, clock, sent });
      made.push(test);
      return test;
    };
    try {
      await (await instance()).token(); // there is a database
      raw = new DatabaseSync(database);
      await body({ path, database, instance, raw });
    } finally {
      raw?.close();
      for (const each of made) await each.close();
    }
  });

/** How many rows have a seal of the secret in use, and of others. */
function seals(raw: DatabaseSync, name: string): { current: number; others: number } {
  const found = { current: 0, others: 0 };
  const tables = ["persons", "credentials", "transactions", "tokens", "certificates", "documents"];
  for (const table of [...tables, "esigns", "audit_head"]) {
    for (const { mac } of raw.prepare(`SELECT mac FROM ${table}`).all()) {
      found[`${mac}`.startsWith(`${name}.`) ? "current" : "others"]++;
    }
  }
  return found;
}

const by = "test";
const challenge = (credentialID: string) => ({
  credentialID,
  authObjectID: "OTP",
  hashes: [HASH],
  hashAlgorithmOID: OIDS.sha256,
});
const answer = (credentialID: string, otp: string) => ({
  credentialID,
  hashes: [HASH],
  hashAlgorithmOID: OIDS.sha256,
  numSignatures: 1,
  authData: [{ id: "PIN", value: PIN }, { id: "OTP", value: otp }],
});
const sign = (credentialID: string, SAD: string) => ({
  credentialID,
  SAD,
  hashes: [HASH],
  hashAlgorithmOID: OIDS.sha256,
  signAlgo: OIDS.ecdsaWithSha256,
});

Deno.test(
  "what began before the secret was rotated goes on, on instances that have not read the file again",
  atDesk(async ({ path, instance, raw }) => {
    const [a, b] = [await instance(), await instance()];
    const token = await a.token();
    const credentialID = await a.enrol({ userID: "asen", credential: STORED });
    const page = await a.enrol({ userID: "broy" });
    const app = await a.service.people.add(
      {
        userID: "cdas",
        name: "Chitra Das",
        language: "en",
        otp: "totp",
        credential: EXPLICIT,
      } as Parameters<typeof a.service.people.add>[0],
      by,
    );
    const link = (app.enrolment as { link: string }).link.split("#enrol-")[1];
    await a.call("/csc/v2/credentials/getChallenge", challenge(credentialID), token);
    const otp = a.lastOtp();
    await a.call("/portal/v1/documents?name=order.txt", "order", token);
    const asked = await openPage(a, {
      scope: "credential",
      credentialID: page,
      numSignatures: "1",
      hashes: HASH.replaceAll("+", "-").replaceAll("/", "_").replace("=", ""),
    }, false);
    const { store } = a.service;
    const secretOfApp = new TextEncoder().encode("an authenticator's secret");
    await store.run(async (tx) => {
      const row = (await tx.person("cdas"))!;
      const totp = store.secrets.seal("totp cdas", secretOfApp);
      tx.savePerson({ ...row, person: { ...row.person, totp } });
    });
    const before = store.secrets.pepper.current;

    const name = await prepareSecret(path);
    await assert.rejects(prepareSecret(path), { message: /--use it/ });
    const command = await instance();
    assert.equal(command.service.store.secrets.pepper.current, before, "read, but not used");
    await useNextSecret(path);
    const restarted = await instance();
    assert.ok(await sealWithCurrent({ store: restarted.service.store, by }) > 5);
    const { others, current } = seals(raw, name);
    assert.deepEqual([others, current > 8], [0, true]);

    const authorized = await b.call(
      "/csc/v2/credentials/authorize",
      answer(credentialID, otp),
      token,
    );
    assert.equal(authorized.status, 200, JSON.stringify(authorized.body));
    const signed = await a.call(
      "/csc/v2/signatures/signHash",
      sign(credentialID, authorized.body.SAD),
      token,
    );
    assert.equal(signed.status, 200, JSON.stringify(signed.body));
    assert.equal((await onPage(b, "view", asked.ticket)).status, 200);
    assert.match((await b.service.people.enrolment(link))!.totp!.uri, /^otpauth:/);
    assert.equal(seals(raw, name).others, 0, "both write with the new one");

    const rotating = { store: restarted.service.store, by };
    await assert.rejects(retireSecrets(path, rotating), { message: /live until/ });
    const file = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, file.replace(/20\d\d-.*Z/, "2026-01-01T00:00:00Z"));
    const [old] = raw.prepare("SELECT * FROM persons WHERE id = 'broy'").all();
    assert.equal(await retireSecrets(path, rotating), 0);
    for (const { service: { store } } of [a, b]) {
      assert.ok(store.secrets.reload());
      await store.check({ seals: true });
    }
    // boxes within the rows are of the new one too
    const fresh = (await instance()).service;
    assert.match((await fresh.people.enrolment(link))!.totp!.uri, /^otpauth:/);
    const { person: { totp } } = (await fresh.store.read((tx) => tx.person("cdas")))!;
    assert.deepEqual(fresh.store.secrets.open("totp cdas", totp!), secretOfApp);
    const states = await secretStates(path, a.service.store);
    assert.deepEqual(
      states.map(({ use, pins }) => [use, pins]),
      [["current", 1], ["pepper", 1]],
      "asen has signed since, broy has not",
    );
    assert.ok(await b.service.people.checkPin("broy", PIN, "known"));
    assert.equal(pepperOf((await b.service.store.read((tx) => tx.person("broy")))!.pin!), name);

    raw.prepare("UPDATE persons SET pin = $pin, mac = $mac WHERE id = 'broy'")
      .run({ $pin: old.pin, $mac: `${before}.${`${old.mac}`.split(".")[1]}` });
    await assert.rejects(
      b.service.store.read((tx) => tx.person("broy")),
      { name: "TamperedError", message: /another secret/ },
      "a thief of the old secret makes no rows",
    );
  }),
);

Deno.test(
  "a rotation that is killed after any of its transactions is whole, and goes on",
  atDesk(async ({ path, database, instance, raw }) => {
    const test = await instance();
    for (const userID of ["asen", "broy"]) await test.enrol({ userID, credential: STORED });
    let [isOver, at] = [false, 0];
    for (; !isOver; at++) {
      let done = 0;
      const name = await prepareSecret(path);
      await useNextSecret(path);
      const opened = openSqlite(database);
      const killed = await instance({
        ...opened,
        transaction: (work) => {
          if (done++ === at) throw new Error("killed");
          return opened.transaction(work);
        },
      });
      try {
        await sealWithCurrent({ store: killed.service.store, by });
        isOver = true;
      } catch (error) {
        assert.equal((error as Error).message, "killed");
      }
      await test.service.store.check({ seals: true });
      await test.token();
      await useNextSecret(path);
      const { service: { store } } = await instance();
      await sealWithCurrent({ store, by });
      assert.equal(seals(raw, name).others, 0, `${at} transactions`);
      await store.check({ seals: true });
      const file = await Deno.readTextFile(path);
      await Deno.writeTextFile(path, file.replace(/20\d\d-.*Z/, "2026-01-01T00:00:00Z"));
      await retireSecrets(path, { store, by });
      await test.service.store.log.settle();
    }
    assert.ok(at > 9, `${at}`);
  }),
);

Deno.test(
  "PINs that name no secret, and a log's key that is derived, are the oldest secret's at each step",
  atDesk(async ({ path, instance, raw }) => {
    const first = await instance();
    await first.enrol({ userID: "asen", credential: STORED });
    const { store } = first.service;
    const { pin, ...row } = (await store.read((tx) => tx.person("asen")))!;
    // as versions before wrote it, with the one secret that there was
    const unnamed = pin!.replace(/^v3\.[^.]+/, "v2");
    await store.run(async (tx) => {
      await tx.person("asen");
      tx.savePerson({ ...row, pin: unnamed });
    });
    const isAsBefore = async () => {
      const { service } = await instance();
      using pins = new Pins(service.store.secrets.pepper);
      assert.ok(await pins.verify("asen", PIN, unnamed));
      assert.deepEqual(service.store.log.signer.key, store.log.signer.key);
      assert.equal((await service.store.verifyAudit()).problem, undefined);
      const states = await secretStates(path, service.store);
      assert.deepEqual(states.map(({ pins }) => pins).slice(0, -1), states.slice(1).map(() => 0));
      return { store: service.store, by };
    };
    await prepareSecret(path);
    await isAsBefore();
    await useNextSecret(path);
    await sealWithCurrent(await isAsBefore());
    await retireSecrets(path, await isAsBefore(), { now: true });
    await isAsBefore();
    await prepareSecret(path);
    await isAsBefore();
    assert.equal(raw.prepare("SELECT pin FROM persons").get()!.pin, unnamed);
  }),
);

Deno.test("a row that others hold all the while is sealed anew before the rotation is over", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "secret");
    await Deno.writeTextFile(path, `${"5a".repeat(32)}\n`, { mode: 0o600 });
    const server = await startPostgres();
    try {
      const address = await server.createDatabase();
      const open = async () =>
        makeService({
          database: await openPostgres(address, PATIENT),
          secret: await readSecrets(path),
          root: ROOT,
        });
      const test = await open();
      await test.enrol({ userID: "asen", credential: STORED });
      const name = await prepareSecret(path);
      await useNextSecret(path);
      const command = await open();
      await asAdministrator(address, async (holder) => {
        await holder.query("BEGIN");
        await holder.query("SELECT * FROM persons FOR UPDATE");
        let isOver = false;
        const sealing = sealWithCurrent({ store: command.service.store, by })
          .finally(() => isOver = true);
        const waiting = `SELECT 1 FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND query LIKE '%persons%'`;
        await asAdministrator(address, async (other) => {
          while (!isOver && (await other.query(waiting)).rows.length === 0);
        });
        await holder.query("COMMIT");
        await sealing;
        const { rows: [{ mac }] } = await holder.query("SELECT mac FROM persons");
        assert.ok(mac.startsWith(`${name}.`), mac);
      });
      for (const each of [command, test]) await each.close();
    } finally {
      await server.close();
    }
  }));

Deno.test(
  "an instance whose machine lacks the new secret says so, and goes on once the file is there",
  atDesk(async ({ path, instance }) => {
    const elsewhere = `${path}-elsewhere`;
    await Deno.copyFile(path, elsewhere);
    const other = await instance(undefined, elsewhere);
    await prepareSecret(path);
    await useNextSecret(path);
    await sealWithCurrent({ store: (await instance()).service.store, by });
    const { store } = other.service;
    // as its timers do, and who asks whether it can serve
    for (const work of [() => store.check(), () => store.ready(), () => store.log.sealAll()]) {
      await assert.rejects(work, { message: /copy the file to this machine/ });
    }
    await Deno.copyFile(path, elsewhere);
    await other.token();
    await store.check({ seals: true });
  }),
);

Deno.test(
  "the step --use, run again, lets what began with the old secret live on from then",
  atDesk(async ({ path, instance }) => {
    await prepareSecret(path);
    await useNextSecret(path);
    const used = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, used.replace(/20\d\d-.*Z/, "2026-01-01T00:00:00Z"));
    await useNextSecret(path);
    const withoutTimes = (text: string) => text.replace(/20\d\d-.*Z/, "");
    assert.equal(withoutTimes(await Deno.readTextFile(path)), withoutTimes(used));
    const rotating = { store: (await instance()).service.store, by };
    await assert.rejects(retireSecrets(path, rotating), { message: /live until/ });
  }),
);

Deno.test(
  "a backup of before a rotation is restored with its secret as an old one",
  atDesk(async ({ path, database, instance, raw }) => {
    const test = await instance();
    await test.enrol({ userID: "asen", credential: STORED });
    await test.service.store.auditHead();
    const backup = `${database}-backup`;
    raw.prepare("VACUUM INTO ?").run(backup);
    await prepareSecret(path);
    await useNextSecret(path);
    const rotating = { store: (await instance()).service.store, by };
    await sealWithCurrent(rotating);
    await retireSecrets(path, rotating, { now: true });

    const restore = async () => (await instance(openSqlite(backup))).service;
    await assert.rejects((await restore()).store.verifyAudit(), { message: /another secret/ });
    const file = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, file.replace("pepper ", "old "));
    const { store, people } = await restore();
    assert.equal((await store.verifyAudit()).problem, undefined);
    await store.seal(by, "restored");
    await sealWithCurrent({ store, by });
    await retireSecrets(path, { store, by });
    await store.check({ seals: true });
    assert.ok(await people.checkPin("asen", PIN, "known"));
  }),
);
