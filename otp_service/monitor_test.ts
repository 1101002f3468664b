/** What a load balancer, Prometheus and the log learn. */
import assert from "node:assert/strict";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { AsyncLocalStorage } from "node:async_hooks";
import { authorize, EXPLICIT, HASH } from "../tests/fixtures/otp_calls.ts";
import {
  makeService,
  type TestService,
  type TestServiceOptions,
} from "../tests/fixtures/otp_service.ts";
import { type Database, DatabaseError } from "./database.ts";
import { Metrics } from "./metrics.ts";
import { startMonitor } from "./monitor.ts";
import { readiness } from "./readiness.ts";
import { openSqlite } from "./store_sqlite.ts";

const SECRET = new Uint8Array(32).fill(5);

/** Runs `work` with a service and what its monitor answers. */
async function watched(
  options: TestServiceOptions,
  work: (
    test: TestService,
    get: (path: string) => Promise<{ status: number; text: string }>,
  ) => Promise<void>,
) {
  const metrics = new Metrics();
  const test = makeService({ ...options, metrics });
  metrics.watch({
    pins: test.pins,
    inFlight: () => ({ known: 1, stranger: 2 }),
    overdue: () => test.service.store.overdue(),
    clockDifference: () => test.service.store.clockDifference(),
  });
  await using monitor = startMonitor(test.service, { hostname: "127.0.0.1", port: 0 }, metrics);
  try {
    await work(test, async (path) => {
      const response = await fetch(`http://127.0.0.1:${monitor.addr.port}${path}`);
      return { status: response.status, text: await response.text() };
    });
  } finally {
    await test.close();
  }
}

Deno.test("the figures tell ceremonies, refusals by reason, deliveries, keys, queues and times, and nothing of people", () =>
  watched({}, async (test, get) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const wrong = await authorize(test, credentialID, [HASH], { pin: "111111" });
    assert.equal(wrong.status, 400);
    test.clock.now += 60_000;
    const { token, body: { SAD } } = await authorize(test, credentialID);
    const sign = {
      credentialID,
      SAD,
      hashes: [HASH],
      hashAlgorithmOID: "2.16.840.1.101.3.4.2.1",
      signAlgo: "1.2.840.10045.4.3.2",
    };
    const signed = await test.call("/csc/v2/signatures/signHash", sign, token);
    assert.equal(signed.status, 200, JSON.stringify(signed.body));
    await test.call("/csc/v2/no/such/method/for/asen");
    const { status, text } = await get("/metrics");
    assert.equal(status, 200);
    for (
      const line of [
        /^dsign_otp_events_total\{event="signature.made",reason=""\} 1$/m,
        /^dsign_otp_events_total\{event="answer.refused",reason="wrong"\} 1$/m,
        /^dsign_otp_delivery_seconds_count\{way="mail",outcome="ok"\} 3$/m,
        /^dsign_otp_key_seconds_count\{operation="sign",outcome="ok"\} 1$/m,
        /^dsign_otp_key_seconds_count\{operation="generate",outcome="ok"\} 1$/m,
        /^dsign_otp_database_seconds_count\{kind="transaction",outcome="ok"\} [1-9]\d*$/m,
        /^dsign_otp_http_request_seconds_count\{route="\/csc\/v2\/signatures\/signHash",status="200"\} 1$/m,
        /^dsign_otp_pin_queue\{lane="answer"\} 0$/m,
        /^dsign_otp_requests_in_flight\{who="stranger"\} 2$/m,
        /^dsign_otp_clock_difference_seconds 0$/m,
        /^dsign_otp_resident_memory_bytes [1-9]\d{6,}$/m,
      ]
    ) assert.match(text, line);
    assert.doesNotMatch(text, /asen|anita|works\.example|no\/such/i);
  }));

Deno.test("an instance that cannot sign says so, and why: database, clock, keys, log", async (t) => {
  const readyz = async (options: TestServiceOptions) => {
    let answer: { status: number; text: string } | undefined;
    await watched(options, async (_, get) => {
      assert.equal((await get("/healthz")).text, "ok\n");
      answer = await get("/readyz");
    });
    return { status: answer!.status, ...JSON.parse(answer!.text) };
  };
  const ok = { database: "ok", clock: "ok", keys: "ok", log: "ok" };
  const sqlite = openSqlite(":memory:");

  await t.step("all is well", async () => {
    assert.deepEqual(await readyz({}), { status: 200, ready: true, checks: ok });
  });

  await t.step("the database is out", async () => {
    const out = () => Promise.reject(new DatabaseError("The database server: gone."));
    const database: Database = { ...openSqlite(":memory:"), read: out };
    const { status, ready, checks } = await readyz({ database });
    assert.deepEqual([status, ready], [503, false]);
    assert.deepEqual(checks, { ...ok, database: "The database server: gone." });
  });

  await t.step("the clocks differ", async () => {
    const now = Date.now() - 120_000;
    const database: Database = { ...sqlite, clock: `SELECT ${now} AS now` };
    const { status, checks } = await readyz({ database });
    assert.equal(status, 503);
    assert.match(checks.clock, /^This computer's clock is 12\d s ahead of the database server's\./);
    assert.equal(checks.database, "ok");
  });

  await t.step("the keys do not answer", async () => {
    const gone = () => Promise.reject(new Error("The token is not plugged in."));
    const keys = { oneTime: gone, create: gone, open: gone, check: gone };
    const { status, checks } = await readyz({ keys });
    assert.equal(status, 503);
    assert.deepEqual(checks, { ...ok, keys: "The token is not plugged in." });
  });

  await t.step("lines that another instance left are not sealed in time", async () => {
    const database = openSqlite(":memory:");
    const before = makeService({ database, secret: SECRET, clock: { now: Date.now() - 61_000 } });
    await before.token();
    const { status, checks } = await readyz({ database, secret: SECRET });
    assert.equal(status, 503);
    assert.match(checks.log, /^[12] lines of the audit wait longer than promised to be sealed\.$/);
  });

  await t.step("the log was cut", async () => {
    const database = openSqlite(":memory:");
    const test = makeService({ database, secret: SECRET });
    await test.token();
    await test.service.store.auditHead();
    await database.transaction((query) => query("UPDATE audit_head SET hash = '00'"));
    await assert.rejects(test.service.store.log.sealAll(), { name: "TamperedError" });
    const { log } = await readiness(test.service);
    assert.match(log, /not as the service wrote it/);
    await test.close();
  });
});

Deno.test("each request has a name, the proxy's or ours, in the answer and in all its lines of the log", () =>
  watched({}, async (test) => {
    const records: LogRecord[] = [];
    configureSync({
      reset: true,
      contextLocalStorage: new AsyncLocalStorage(),
      sinks: { kept: (record) => void records.push(record) },
      loggers: [{ category: ["dsign"], sinks: ["kept"], lowestLevel: "debug" }, {
        category: ["logtape", "meta"],
        lowestLevel: "warning",
      }],
    });
    try {
      const ask = async (id: string | null, path = "/portal/v1/audit?person=asen") => {
        const { headers } = await test.handler(
          new Request(`https://sign.works.example${path}`, {
            headers: id === null ? {} : { "x-request-id": id },
          }),
        );
        return headers.get("x-request-id")!;
      };
      assert.equal(await ask("from-the-proxy:1"), "from-the-proxy:1");
      for (const id of [null, "short", "with a blank in it", "x".repeat(65)]) {
        assert.match(await ask(id), /^[0-9a-f]{8}-[0-9a-f-]{27}$/, `${id}`);
      }
      const own = records.filter(({ properties }) => properties.request === "from-the-proxy:1");
      assert.deepEqual(own.map(({ level }) => level), ["debug", "info"]);
      const { method, route, status } = own[1].properties;
      assert.equal(method, "GET");
      assert.equal(status, 400);
      assert.doesNotMatch(`${route}`, /asen/);
    } finally {
      resetSync();
    }
  }));
