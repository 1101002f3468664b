/** While the database is out: nothing hangs, nothing is answered with yes, and it goes on by itself afterwards. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { authorize, EXPLICIT, HASH } from "../tests/fixtures/otp_calls.ts";
import { makeService, PIN, type TestService } from "../tests/fixtures/otp_service.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { asAdministrator, startPostgres } from "../tests/fixtures/postgres.ts";
import { OIDS } from "../protocol/csc.ts";
import { openPostgres } from "./store_postgres.ts";
import { openSqlite } from "./store_sqlite.ts";

/** Every kind of call that needs the database. */
function calls(test: TestService, token: string): [string, () => Promise<Response>][] {
  const at = (path: string, init: RequestInit = {}) => () =>
    test.handler(
      new Request(`https://sign.works.example${path}`, {
        ...init,
        headers: { authorization: `Bearer ${token}`, ...init.headers },
      }),
    );
  const post = (path: string, body: unknown, headers = {}) =>
    at(path, { method: "POST", body: JSON.stringify(body), headers });
  return [
    ["sign in", post("/csc/v2/auth/login", {}, { authorization: `Basic ${btoa(`asen:${PIN}`)}` })],
    ["list", post("/csc/v2/credentials/list", { userID: "asen" })],
    ["page", at("/otp/view")],
    ["send", post("/otp/send", {})],
    [
      "answer",
      post("/otp/answer", { decision: "approve", pin: PIN, otp: "000000", language: "en" }),
    ],
    ["persons", at("/portal/v1/persons")],
    ["audit", at("/portal/v1/audit")],
    ["upload", at("/portal/v1/documents", { method: "POST", body: "x" })],
    ["OCSP", at("/ca/crl")],
  ];
}

async function allSay(test: TestService, token: string, status: number, but: string[] = []) {
  const answers = await Promise.all(
    calls(test, token).map(async ([name, call]) => {
      const response = await call();
      const text = await response.text();
      return [name, response.status, response.headers.get("retry-after") !== null, text] as const;
    }),
  );
  for (const [name, got, retry, text] of answers) {
    if (but.includes(name)) continue;
    assert.deepEqual([got, retry], [status, true], `${name}: ${text}`);
    assert.match(text, /temporarily_unavailable/, name);
  }
}

Deno.test("the service survives PostgreSQL being stopped, started, locked by somebody else and crashed", async (t) => {
  const server = await startPostgres();
  const url = await server.createDatabase();
  const test = makeService({ database: await openPostgres(url) });
  try {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    let token = await test.token();
    const signs = async () => {
      test.clock.now += 3_600_000;
      const { token, body: { SAD } } = await authorize(test, credentialID);
      const body = { credentialID, SAD, hashes: [HASH], signAlgo: OIDS.ecdsaWithSha256 };
      const signed = await test.call("/csc/v2/signatures/signHash", body, token);
      assert.equal(signed.status, 200, JSON.stringify(signed.body));
    };
    await signs();

    await t.step(
      "while somebody else locks it, every answer says so, and the last CRL is still served",
      async () => {
        token = await test.token();
        assert.equal(
          (await test.handler(new Request("https://sign.works.example/ca/crl"))).status,
          200,
        );
        test.clock.now += 2 * 60_000;
        const tables =
          "persons, tokens, transactions, counters, audit_head, audit, pending, documents";
        await asAdministrator(url, async (client) => {
          await client.query("BEGIN");
          await client.query(`LOCK TABLE ${tables}`);
          const crl = await test.handler(new Request("https://sign.works.example/ca/crl"));
          assert.equal(crl.status, 200);
          await crl.body?.cancel();
          await allSay(test, token, 503, ["OCSP"]);
          await client.query("ROLLBACK");
        });
        await signs();
      },
    );

    for (const mode of ["fast", "immediate"] as const) {
      await t.step(
        `the service reports that PostgreSQL is stopped (${mode}), and works once it is back`,
        async () => {
          token = await test.token();
          await server.stop(mode);
          await allSay(test, token, 503, ["OCSP"]);
          await server.start();
          // the connections of before are found broken once each
          for (let i = 0; i < 30 && !await test.token(); i++) {
            await new Promise((resolve) => setTimeout(resolve, 200));
          }
          await signs();
          await test.service.store.check({ seals: true });
        },
      );
    }
  } finally {
    await test.close();
    await server.close();
  }
});

Deno.test("a full disk under SQLite is reported, leaves nothing half stored, and work goes on when there is room", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "otp.db");
    const root = makeService({ database: openSqlite(path), secret: new Uint8Array(32) });
    await root.enrol({ userID: "asen", credential: EXPLICIT });
    const { clock, root: party } = root;
    await root.close();
    const { size } = await Deno.stat(path);
    const options = { secret: new Uint8Array(32), root: party, clock };
    const full = makeService({ ...options, database: openSqlite(path, Math.ceil(size / 4096)) });
    const token = await (async () => {
      // fill what is left of the last pages
      let token = "";
      for (let i = 0; i < 300; i++) {
        const next = await full.token();
        if (next === undefined) break;
        token = next;
      }
      return token;
    })();
    try {
      const error = await full.service.store.run((tx) =>
        tx.addDocument("portal", ["d"], { name: "x", bytes: new Uint8Array(100_000) }, {
          lifetime: 1000,
          quota: { documents: 9, bytes: 1e9 },
        })
      ).catch((error) => error);
      assert.deepEqual([error.name, /the disk is full: make room/.test(error.message)], [
        "DatabaseError",
        true,
      ]);
      const upload = await full.handler(
        new Request("https://sign.works.example/portal/v1/documents", {
          method: "POST",
          body: new Uint8Array(100_000),
          headers: { authorization: `Bearer ${token}` },
        }),
      );
      assert.equal(upload.status, 503);
      await upload.body?.cancel();
    } finally {
      await full.close();
    }
    const again = makeService({ ...options, database: openSqlite(path) });
    try {
      await again.service.store.check({ seals: true });
      assert.ok(await again.token());
    } finally {
      await again.close();
    }
  }));
