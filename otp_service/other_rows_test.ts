/** A database that answers with a good row, but another than was asked for, as views and rules of a thief's could. */
import assert from "node:assert/strict";
import { entryOf } from "./audit.ts";
import { open } from "./authorize.ts";
import type { Database, Query, Value } from "./database.ts";
import type { Credential, EsignRow, Person } from "./rows.ts";
import { Secrets, sha256 } from "./secrets.ts";
import { openSqlite } from "./store_sqlite.ts";
import { Store, type Tx } from "./store.ts";

const SECRETS = new Secrets(new Uint8Array(32).fill(3));
const LIFETIME = 60_000;

/** Looks for `other[value]` wherever it is asked for `value`. */
function substituting(inner: Database) {
  const other = new Map<Value, Value>();
  const through = (query: Query): Query => (statement, ...values) =>
    query(
      statement,
      ...values.map((value) => statement.startsWith("INSERT") ? value : other.get(value) ?? value),
    );
  const database: Database = {
    ...inner,
    transaction: (work) => inner.transaction((query) => work(through(query))),
    read: (work) => inner.read((query) => work(through(query))),
  };
  return { database, other };
}

const person = (id: string): Person => ({ id, name: id, language: "en", otp: "mail" });
const credential = (id: string, person: string): Credential => ({
  id,
  person,
  kind: "one-time",
  mode: "explicit",
  keyType: "p-256",
});
const esign = (id: string): EsignRow => ({
  id,
  client: "portal",
  phase: "waiting",
  facts: {
    name: id,
    purpose: "—",
    language: "en",
    redirect: "https://portal.example/",
    request: "",
    digest: "",
    contents: [0, 1],
  },
  expires: Date.now() + LIFETIME,
});

/** What is asked for by one name, in the place of which the row of another name is given. */
const LOOKUPS: [what: string, mine: Value, theirs: Value, look: (tx: Tx) => Promise<unknown>][] = [
  ["a person", "asen", "mallory", (tx) => tx.person("asen")],
  ["a credential", "ca", "cm", (tx) => tx.credential("ca")],
  ["a certificate", "0a", "0b", (tx) => tx.certificate("0a")],
  ["a person's credentials", "asen", "mallory", (tx) => tx.credentialsOf("asen")],
  ["a person's certificates", "asen", "mallory", (tx) => tx.certificatesOf("asen")],
  ["an authorization", "ta", "tm", (tx) => tx.transaction({ id: "ta" })],
  ["an authorization with its person", "ta", "tm", (tx) => tx.find({ id: "ta" })],
  [
    "the authorization of a SAD",
    sha256("sa"),
    sha256("sm"),
    (tx) => tx.find({ sad: sha256("sa") }),
  ],
  [
    "the open authorization of a credential",
    "ca",
    "cm",
    (tx) => tx.transaction({ client: "portal", credential: "ca" }),
  ],
  ["a token", sha256("va"), sha256("vm"), (tx) => tx.read("enrolment", "va")],
  ["a token of another kind", "access", "enrolment", (tx) => tx.read("access", "va")],
  ["a token that is taken", sha256("va"), sha256("vm"), (tx) => tx.take("enrolment", "va")],
  ["an eSign", "ea", "em", (tx) => tx.esign("ea")],
  ["an eSign's documents", "ea", "em", (tx) => tx.esignBytes("ea")],
];

async function fill(tx: Tx): Promise<void> {
  for (const [who, end, serial] of [["asen", "a", "0a"], ["mallory", "m", "0b"]]) {
    await tx.addPerson(person(who));
    tx.addCredential(credential(`c${end}`, who));
    tx.addCertificate({
      serial,
      person: who,
      transaction: null,
      der: new Uint8Array(3),
      notAfter: tx.now + LIFETIME,
    });
    const request = {
      id: `t${end}`,
      client: "portal",
      credential: `c${end}`,
      mode: "explicit",
    } as const;
    const facts = { purpose: "—", labels: [] };
    tx.addTransaction({ ...open(request, tx.now), sad: sha256(`s${end}`) }, who, facts);
    await tx.issue(
      { kind: "enrolment", holder: { person: who, epoch: 1 } },
      LIFETIME,
      who,
      `v${end}`,
    );
    tx.addEsign(esign(`e${end}`), new Uint8Array(3));
  }
}

Deno.test("a good row counts only as the one that was asked for", async (t) => {
  const { database, other } = substituting(openSqlite(":memory:"));
  const signer = SECRETS.logSigner("sign.example/log");
  const store = new Store(database, Date.now, SECRETS, signer);
  try {
    await store.run(fill);
    for (const transaction of ["ea", "em"]) {
      await store.run((tx) => tx.audit({ event: "esign.signed", transaction }));
    }
    for (const [what, mine, theirs, look] of LOOKUPS) {
      await t.step(what, async () => {
        const undone = new Error("undone");
        const there = store.run(async (tx) => {
          assert.ok(await look(tx) || what === "a token of another kind", "it is there");
          throw undone;
        });
        await assert.rejects(there, undone);
        other.set(mine, theirs);
        await assert.rejects(store.run(look), { name: "TamperedError" });
        other.clear();
      });
    }
    await t.step("a line of the audit", async () => {
      const lines = await Array.fromAsync(store.audit());
      const [mine, theirs] = lines.map((line) => entryOf(line).toHex());
      assert.ok(await store.log.find(mine));
      assert.equal(await store.log.lineOf("esign.signed", "ea"), lines[0]);
      other.set(mine, theirs);
      other.set('%"transaction":"ea"%', '%"transaction":"em"%');
      await assert.rejects(store.log.find(mine), { name: "TamperedError" });
      assert.equal(await store.log.lineOf("esign.signed", "ea"), null);
      other.clear();
    });
  } finally {
    await store.close();
  }
});
