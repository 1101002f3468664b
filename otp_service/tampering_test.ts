/** Limits of an attacker who can write to the database, or has only the secret or a key. On both databases. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { issue } from "../tests/fixtures/issue.ts";
import {
  authorize,
  EXPLICIT,
  HASH,
  onPage,
  openPage,
  STORED,
  TEXT,
} from "../tests/fixtures/otp_calls.ts";
import {
  LOG,
  makeRoot,
  makeService,
  PIN,
  type TestService,
} from "../tests/fixtures/otp_service.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { PATIENT, startPostgres } from "../tests/fixtures/postgres.ts";
import { encodeOcspRequest } from "../formats/x509/ocsp.ts";
import { readCheckpoint } from "../formats/log/checkpoint.ts";
import { noteSigner } from "../formats/log/note.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { OIDS } from "../protocol/csc.ts";
import { entryOf, verifyAudit } from "./audit.ts";
import type { Database, Row, Value } from "./database.ts";
import { Pins } from "./pin.ts";
import { Secrets, sha256 } from "./secrets.ts";
import { openPostgres } from "./store_postgres.ts";
import { openSqlite } from "./store_sqlite.ts";
import { Store } from "./store.ts";

const SECRET = new Uint8Array(32).fill(5);
const ROOT = makeRoot();

interface Desk {
  test: TestService;
  /** Another instance, which has seen nothing yet. */
  another(): Promise<TestService>;
  /** As who can write to the database. */
  write(statement: string, ...values: Value[]): Promise<Row[]>;
}

const cases: [name: string, body: (desk: Desk) => Promise<void>][] = [];

/** A test that runs on each database. */
const onBoth = (name: string, body: (desk: Desk) => Promise<void>) => cases.push([name, body]);

async function atDesk(open: () => Promise<Database>, body: (desk: Desk) => Promise<void>) {
  const [database, raw] = [await open(), await open()];
  const tests = [makeService({ database, secret: SECRET, root: ROOT })];
  try {
    await body({
      test: tests[0],
      async another() {
        const { clock, sent } = tests[0];
        const options = { database: await open(), secret: SECRET, root: ROOT, clock, sent };
        return tests[tests.push(makeService(options)) - 1];
      },
      write: (statement, ...values) => raw.transaction((query) => query(statement, ...values)),
    });
  } finally {
    await raw.close();
    for (const test of tests) await test.close();
  }
}

/** The audit as the version before wrote it: two lines, each with the hash of the one before, and no tree. */
async function rewriteAsChain(write: Desk["write"]): Promise<Row> {
  for (
    const trigger of [
      ...["audit_no_delete", "audit_no_update"],
      "audit_append_only ON audit",
    ]
  ) await write(`DROP TRIGGER ${trigger}`).catch(() => {}); // of the other database
  for (const table of ["audit", "tiles", "pending"]) await write(`DELETE FROM ${table}`);
  let hash = "0".repeat(64);
  for (const seq of [1, 2]) {
    const line = JSON.stringify({
      seq,
      time: "2026-11-01T00:00:00Z",
      event: "person.added",
      previous: hash,
    });
    await write("INSERT INTO audit (seq, line) VALUES ($1, $2)", seq, line);
    hash = entryOf(line).toHex();
  }
  await write("UPDATE audit_head SET seq = 2, hash = $1, note = NULL", hash);
  return { seq: 2, hash };
}

const login = (test: TestService, user: string, pin = PIN) =>
  test.handler(
    new Request("https://sign.works.example/csc/v2/auth/login", {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${user}:${pin}`)}` },
    }),
  ).then(async (response) => ({ status: response.status, body: await response.json() }));

const unavailable = (answer: { status: number; body: Record<string, unknown> }) =>
  assert.deepEqual([answer.status, answer.body.error], [503, "temporarily_unavailable"]);

onBoth(
  "a PIN hash and an address that are copied into another's row are of no use",
  async ({ test, write }) => {
    await test.enrol({ userID: "asen", credential: EXPLICIT });
    const victim = await test.enrol({
      userID: "cs",
      name: "Chief Secretary",
      credential: EXPLICIT,
    });
    await test.service.store.auditHead(); // the end of the audit has a seal from the first sealing on
    const [mine] = await write("SELECT * FROM persons WHERE id = $1", "asen");
    const [theirs] = await write("SELECT * FROM persons WHERE id = $1", "cs");
    // the PIN hash alone, then all of the row with its seal
    const data = JSON.stringify({
      ...JSON.parse(theirs.data as string),
      email: "asen@works.example",
    });
    await write("UPDATE persons SET pin = $2, data = $3 WHERE id = $1", "cs", mine.pin, data);
    unavailable(await login(test, "cs"));
    const token = await test.token();
    const challenge = { credentialID: victim, authObjectID: "OTP", hashes: [HASH] };
    const sent = test.sent.length;
    unavailable(await test.call("/csc/v2/credentials/getChallenge", challenge, token));
    await write(
      "UPDATE persons SET pin = $2, data = $3, guard = $4, version = $5, mac = $6 WHERE id = $1",
      ...["cs", mine.pin, mine.data, mine.guard, mine.version, mine.mac],
    );
    unavailable(await test.call("/csc/v2/credentials/getChallenge", challenge, token));
    assert.equal(test.sent.length, sent, "no OTP went out");
    // and without any seal
    await write("UPDATE persons SET mac = NULL WHERE id = 'cs'");
    unavailable(await login(test, "cs"));
    assert.equal((await login(test, "asen")).status, 200, "the others go on");
    // even with a good seal the hash is another person's
    const pins = new Pins(new Secrets(SECRET).pepper);
    assert.equal(await pins.verify("asen", PIN, mine.pin as string), true);
    assert.equal(await pins.verify("cs", PIN, mine.pin as string), false);
    pins[Symbol.dispose]();
  },
);

onBoth(
  "rows that are made up are refused: a person, a credential, an authorization, a token",
  async ({ test, write }) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const { token, body: { SAD } } = await authorize(test, credentialID);
    const sign = (hashes: string[]) =>
      test.call("/csc/v2/signatures/signHash", {
        credentialID,
        SAD,
        hashes,
        signAlgo: OIDS.ecdsaWithSha256,
      }, token);
    // another hash into what was authorized
    const other = new Uint8Array(32).fill(1).toBase64();
    const [row] = await write("SELECT state FROM transactions WHERE sad = $1", sha256(SAD));
    const state = (row.state as string).replaceAll(HASH, other);
    await write("UPDATE transactions SET state = $2 WHERE sad = $1", sha256(SAD), state);
    unavailable(await sign([other]));
    await write("UPDATE transactions SET state = $2 WHERE sad = $1", sha256(SAD), row.state);
    assert.equal(
      (await sign([HASH])).status,
      200,
      "put back in time it is the service's own again",
    );

    const data = JSON.stringify({ kind: "access", client: "portal" });
    const values = [sha256("made-up"), data, test.clock.now + 3_600_000];
    const insert = "INSERT INTO tokens (hash, kind, data, expires, version, mac)";
    await write(`${insert} VALUES ($1, 'access', $2, $3, 1, NULL)`, ...values);
    unavailable(await test.call("/csc/v2/credentials/info", { credentialID }, "made-up"));
    const [good] = await write(
      "SELECT mac FROM tokens WHERE hash <> $1 LIMIT 1",
      sha256("made-up"),
    );
    await write("UPDATE tokens SET mac = $2 WHERE hash = $1", sha256("made-up"), good.mac);
    unavailable(await test.call("/csc/v2/credentials/info", { credentialID }, "made-up"));

    const credential = { id: "made-up", person: "asen", kind: "one-time", mode: "explicit" };
    await write(
      "INSERT INTO credentials (id, person, data, version, mac) VALUES ('made-up', 'asen', $1, 1, $2)",
      JSON.stringify({ ...credential, keyType: "p-256" }),
      good.mac,
    );
    const ask = { credentialID: "made-up", authObjectID: "OTP", hashes: [HASH] };
    unavailable(await test.call("/csc/v2/credentials/getChallenge", ask, token));
  },
);

const change = async (desk: Desk, name: string, body: () => Promise<void>) => {
  const { test, another } = desk;
  await test.service.store.check();
  await body();
  const fresh = await another();
  await assert.rejects(fresh.service.store.check(), { name: "TamperedError" }, name);
  unavailable(
    await fresh.call("/csc/v2/auth/login", {}, undefined).then(() => login(fresh, "asen")),
  );
};
const restore = async ({ write }: Desk, table: string, row: Row, key: string) => {
  const names = Object.keys(row).filter((name) => name !== key);
  await write(
    `UPDATE ${table} SET ${
      names.map((name, i) => `${name} = $${i + 2}`).join(", ")
    } WHERE ${key} = $1`,
    row[key],
    ...names.map((name) => row[name]),
  );
};
onBoth("a row that is put back, taken out or brought back is noticed", async (desk) => {
  const { test, write } = desk;
  await test.enrol({ userID: "asen", credential: EXPLICIT });
  await test.enrol({ userID: "broy", credential: EXPLICIT });
  const row = async (table: string, where: string, ...values: Value[]) =>
    (await write(`SELECT * FROM ${table} WHERE ${where}`, ...values))[0];

  const tries = await row("persons", "id = 'asen'");
  for (let i = 0; i < 3; i++) await test.service.people.checkPin("asen", "000000", "stranger");
  const spent = await row("persons", "id = 'asen'");
  await change(desk, "tries that were given back", () => restore(desk, "persons", tries, "id"));
  await assert.rejects(
    test.service.people.checkPin("asen", PIN, "stranger"),
    { name: "TamperedError" },
    "who has seen the row notices at once",
  );
  await restore(desk, "persons", spent, "id");

  const old = await row("persons", "id = 'broy'");
  await test.service.people.lock("broy", "left the department", "test");
  const locked = await row("persons", "id = 'broy'");
  await change(desk, "an old PIN", () => restore(desk, "persons", old, "id"));
  await restore(desk, "persons", locked, "id");

  const { ticket } = await openPage(test, { scope: "service" });
  const unused = await row("tokens", "hash = $1", sha256(ticket));
  const sign = { decision: "sign_in", userID: "asen", pin: PIN };
  assert.ok((await onPage(test, "answer", ticket, sign)).body.redirect);
  await change(desk, "a ticket that was used", async () => {
    const names = Object.keys(unused);
    await write(
      `INSERT INTO tokens (${names.join(", ")}) VALUES (${
        names.map((_, i) => `$${i + 1}`).join(", ")
      })`,
      ...names.map((name) => unused[name]),
    );
  });
  await write("DELETE FROM tokens WHERE hash = $1", sha256(ticket));

  const credential = await row("credentials", "person = 'broy'");
  await change(desk, "a row that was deleted", async () => {
    await write("DELETE FROM credentials WHERE person = 'broy'");
  });
  await write(
    "INSERT INTO credentials (id, person, data, version, mac) VALUES ($1, $2, $3, $4, $5)",
    ...["id", "person", "data", "version", "mac"].map((name) => credential[name]),
  );
  await test.service.store.check();
  // The versions in the audit identify the row.
  const versions = (await test.audit()).findLast(({ rows }) => rows?.["persons broy"])!.rows;
  assert.equal(versions["persons broy"], locked.version);
});

onBoth("the audit cannot be cut, nor its end be made up", async ({ test, write, another }) => {
  await test.enrol({ userID: "asen" });
  await test.service.store.auditHead();
  const [before] = await write("SELECT * FROM audit_head");
  await test.service.people.lock("asen", "left the department", "test");
  await test.service.store.auditHead();
  const [after] = await write("SELECT * FROM audit_head");
  const set = (row: Row) =>
    write(
      "UPDATE audit_head SET seq = $1, hash = $2, row_sum = $3, mac = $4, note = $5",
      ...["seq", "hash", "row_sum", "mac", "note"].map((name) => row[name]),
    );
  await set({ ...after, hash: "0".repeat(64) });
  await assert.rejects(test.service.store.auditHead(), { name: "TamperedError" });
  await set({ ...after, mac: null });
  await assert.rejects(test.service.store.auditHead(), /before its rows were sealed/);
  await set(before);
  const lock = (service: TestService) => service.service.people.lock("asen", "again", "test");
  await assert.rejects(test.service.store.auditHead(), /cut back/, "who has seen the end notices");
  await assert.rejects((await another()).service.store.check(), { name: "TamperedError" });
  await set(after);
  await lock(test);
});

onBoth(
  "a document that is shown is the one that was brought, and a certificate stays revoked",
  async ({ test, write, another }) => {
    const credentialID = await test.enrol({ userID: "asen" });
    await test.handler(
      new Request("https://sign.works.example/portal/v1/documents?name=order.txt", {
        method: "POST",
        body: TEXT,
        headers: { authorization: `Bearer ${await test.token()}` },
      }),
    );
    const request = { scope: "credential", credentialID, numSignatures: "1", hashes: HASH };
    const { ticket } = await openPage(test, request);
    const view = async () => {
      const response = await test.handler(
        new Request("https://sign.works.example/otp/view", {
          headers: { authorization: `Bearer ${ticket}` },
        }),
      );
      return { status: response.status, body: await response.json() };
    };
    assert.equal((await view()).body.documents[0].shown.as, "text");
    await write("UPDATE contents SET bytes = $1", new TextEncoder().encode("Leave for two days"));
    unavailable(await view());

    await test.enrol({ userID: "broy", credential: STORED });
    const [{ serial }] = await write("SELECT serial FROM certificates WHERE person = 'broy'");
    const [good] = await write("SELECT * FROM certificates WHERE serial = $1", serial);
    await test.service.authority.revoke(serial as string, "keyCompromise", "test");
    await write(
      "UPDATE certificates SET revoked_at = NULL, reason = NULL WHERE serial = $1",
      serial,
    );
    const fresh = await another();
    const read = () => fresh.service.store.read((tx) => tx.certificate(serial as string));
    await assert.rejects(read(), { name: "TamperedError" });
    await write(
      "UPDATE certificates SET version = $2, mac = $3 WHERE serial = $1",
      ...[serial, good.version, good.mac],
    );
    assert.equal((await read())!.revokedAt, null, "put back with its old seal");
    await assert.rejects(fresh.service.store.check(), { name: "TamperedError" });
  },
);

Deno.test("the secret alone or a key alone signs nothing that the service accepts", async () => {
  const test = makeService({ secret: SECRET, root: ROOT });
  const other = makeService({ secret: SECRET, root: ROOT });
  try {
    // The secret: it opens no other database's people, and makes no token good.
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    assert.equal((await login(other, "asen")).body.error, "authentication_error");
    assert.equal(
      (await other.call("/csc/v2/credentials/info", { credentialID }, await test.token())).status,
      401,
    );

    // The authority's key: what it certifies on the side the service does not know, and says so.
    const forged = issue({
      subject: [["CN", "Anita Sen"], ["UID", "asen"]],
      notBefore: new Date(test.clock.now - 60_000),
      notAfter: new Date(test.clock.now + 3_600_000),
      extensions: [],
      issuer: ROOT,
    });
    const request = encodeOcspRequest(readCertificate(forged.certificate.der), ROOT.certificate);
    const answer = await test.service.authority.ocsp(request);
    assert.equal(answer.toHex(), "30030a0106", "unauthorized, and not good");
  } finally {
    await test.close();
    await other.close();
  }
});

Deno.test("who has the secret and the database, but not the log's key, writes no log that is believed", async () => {
  const database = openSqlite(":memory:");
  const secrets = new Secrets(SECRET);
  const signer = noteSigner(LOG, new Uint8Array(32).fill(8));
  const store = new Store(database, Date.now, secrets, signer);
  const add = (store: Store) =>
    store.run((tx) => {
      tx.audit({ event: "client.signed_in", client: "portal" });
    });
  try {
    await add(store);
    const filed = (await store.auditHead()).note!;
    const own = { ...secrets.logSigner(LOG), old: [signer.key] };
    const thief = new Store(database, Date.now, secrets, own);
    await add(thief);
    const forged = (await thief.auditHead()).note!;
    assert.throws(() => readCheckpoint(forged, signer.key), { code: "log_malformed" });
    await assert.rejects(store.verifyAudit([filed]), { name: "TamperedError" });
    await assert.rejects(
      verifyAudit(thief.audit(), { checkpoints: [forged], keys: [signer.key] }),
      { code: "log_malformed" },
    );
  } finally {
    await store.close();
  }
});

Deno.test("a thief of the database alone cannot sign, sign in or learn a PIN", async () => {
  const database = openSqlite(":memory:");
  const test = makeService({ database, secret: SECRET, root: ROOT });
  try {
    const credentialID = await test.enrol({ userID: "asen", credential: STORED });
    const { token, body: { SAD } } = await authorize(test, credentialID);
    const otp = test.lastOtp();
    const tables = [
      "persons",
      "credentials",
      "transactions",
      "tokens",
      "private_keys",
      "audit",
      "pending",
    ];
    const dump = JSON.stringify(
      await database.read(async (query) => {
        const rows: Row[] = [];
        for (const table of tables) rows.push(...await query(`SELECT * FROM ${table}`));
        return rows;
      }),
    );
    for (const secret of [PIN, otp, token, SAD]) {
      assert.ok(!new RegExp(`\\b${secret}\\b`).test(dump), "in the clear");
    }
    // the hashes are of no use where the values are asked for
    const hash = sha256(token);
    assert.equal((await test.call("/csc/v2/credentials/info", { credentialID }, hash)).status, 401);
    // and another secret opens nothing of it
    const stranger = new Secrets(new Uint8Array(32));
    const store = new Store(database, () => test.clock.now, stranger, stranger.logSigner(LOG));
    await assert.rejects(store.read((tx) => tx.person("asen")), /sealed with another secret/);
    const pins = new Pins(new Secrets(new Uint8Array(32)).pepper);
    const row = await test.service.store.read((tx) => tx.person("asen"));
    assert.equal(
      await pins.verify("asen", PIN, row!.pin),
      false,
      "no guess can be tried without it",
    );
    pins[Symbol.dispose]();
  } finally {
    await test.close();
  }
});

onBoth(
  "a database of before is taken over by the seal command alone",
  async ({ test, write, another }) => {
    await test.enrol({ userID: "asen", credential: STORED });
    const token = await test.token();
    await test.service.store.auditHead();
    // as the version before wrote it
    for (const table of ["persons", "credentials", "transactions", "tokens", "certificates"]) {
      await write(`UPDATE ${table} SET version = 0, mac = NULL`);
    }
    const guard = { pinTries: 2, generations: [], totpStep: 0 };
    await write("UPDATE persons SET guard = $1", JSON.stringify(guard));
    await rewriteAsChain(write);
    await write("UPDATE audit_head SET row_sum = NULL, mac = NULL");
    const old = await another();
    unavailable(await login(old, "asen"));
    await assert.rejects(old.service.store.check(), /dsign otp-service seal/);
    assert.equal(await old.service.store.seal("test", "compared with the backup"), 3);
    await old.service.store.check({ seals: true });
    assert.equal((await login(old, "asen")).status, 200);
    const [row] = await old.service.store.read((tx) => tx.persons());
    assert.deepEqual([row.guard.answers, row.guard.signIns.paid], [
      { paid: 2, right: 0, until: 0 },
      1,
    ]);
    const held = await old.call("/csc/v2/credentials/list", { userID: "asen" }, token);
    assert.equal(held.status, 401, "what was held before is held no more");
    // After that a row without a seal is a stranger's, whatever the command is told.
    await write("UPDATE persons SET mac = NULL");
    await assert.rejects(old.service.store.seal("test", "again"), { name: "TamperedError" });
  },
);

Deno.test("an attacker who can write to SQLite's file is detected", async (t) => {
  for (const [name, body] of cases) {
    await t.step(
      name,
      () =>
        inTempDir((dir) => atDesk(() => Promise.resolve(openSqlite(join(dir, "otp.db"))), body)),
    );
  }
});

Deno.test("an attacker who can write to PostgreSQL is detected", async (t) => {
  const server = await startPostgres();
  try {
    for (const [name, body] of cases) {
      const url = await server.createDatabase();
      await t.step(name, () => atDesk(() => openPostgres(url, PATIENT), body));
    }
  } finally {
    await server.close();
  }
});
