/** Floods of strangers, and the same thing at the same time, against two instances that share a database. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { HASH, hashOf, onPage, openPage } from "../tests/fixtures/otp_calls.ts";
import {
  CLIENT,
  makeRoot,
  makeService,
  PIN,
  PUBLIC_URL,
  REDIRECT,
  type TestService,
} from "../tests/fixtures/otp_service.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { PATIENT, startPostgres } from "../tests/fixtures/postgres.ts";
import { RULES, wrongInARow } from "./authorize.ts";
import type { Database } from "./database.ts";
import { Intake } from "./intake.ts";
import { createHandler, startService } from "./server.ts";
import { openPostgres } from "./store_postgres.ts";
import { openSqlite } from "./store_sqlite.ts";

const SECRET = new Uint8Array(32).fill(6);

const cases: [name: string, body: (one: TestService, two: TestService) => Promise<void>][] = [];
const onBoth = (name: string, body: (typeof cases)[number][1]) => cases.push([name, body]);

async function withTwo(
  open: () => Promise<Database>,
  body: (one: TestService, two: TestService) => Promise<void>,
): Promise<void> {
  const shared = { secret: SECRET, root: makeRoot(), clock: { now: Date.now() }, sent: [] };
  const one = makeService({ ...shared, database: await open() });
  const two = makeService({ ...shared, database: await open() });
  try {
    await body(one, two);
    await one.service.store.check({ seals: true });
  } finally {
    await one.close();
    await two.close();
  }
}

const login = (test: TestService, user: string, pin: string) =>
  test.handler(
    new Request("https://sign.works.example/csc/v2/auth/login", {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${user}:${pin}`)}` },
    }),
  ).then(async (response) => (await response.body?.cancel(), response.status));

onBoth("however many strangers sign in, who has PIN and OTP signs", async (one, two) => {
  const credentialID = await one.enrol({ userID: "asen" });
  let flooding = true;
  let turnedAway = 0;
  // As many at a time as strangers may wait, and more, from as many addresses as they like.
  const strangers = Array.from({ length: 60 }, async (_, i) => {
    while (flooding) {
      const status = await login(i % 2 ? one : two, `stranger${i}`, "000000");
      if (status === 429) turnedAway++;
      // let the others in: all of this is one thread
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  try {
    for (let i = 0; i < 6; i++) {
      one.clock.now += RULES.window;
      const hashes = hashOf(new Uint8Array([i]));
      const request = { scope: "credential", credentialID, numSignatures: "1", hashes };
      const { ticket } = await openPage(one, request);
      assert.equal((await onPage(two, "send", ticket, {})).body.ok, true);
      const approve = { decision: "approve", pin: PIN, otp: one.lastOtp(), language: "en" };
      const answer = await onPage(i % 2 ? one : two, "answer", ticket, approve);
      assert.equal(answer.body.ok, true, JSON.stringify(answer));
    }
  } finally {
    flooding = false;
    await Promise.all(strangers);
  }
  assert.ok(turnedAway > 0, "it was a flood");
  const lines = await one.audit();
  assert.ok(lines.length < 100, `strangers fill nothing: ${lines.length} lines`);
});

onBoth(
  "the right answer at once to both instances gives one SAD and counts against nobody",
  async (one, two) => {
    const mode = { kind: "one-time", mode: "explicit" };
    const credentialID = await one.enrol({ userID: "asen", credential: mode });
    for (let i = 0; i < 3; i++) {
      one.clock.now += RULES.window;
      const token = await one.token();
      const what = { credentialID, hashes: [HASH], numSignatures: 1 };
      const ask = { ...what, authObjectID: "OTP" };
      assert.equal((await one.call("/csc/v2/credentials/getChallenge", ask, token)).status, 204);
      const authData = [{ id: "PIN", value: PIN }, { id: "OTP", value: one.lastOtp() }];
      const answers = await Promise.all(
        Array.from(
          { length: 8 },
          (_, i) =>
            (i % 2 ? one : two).call("/csc/v2/credentials/authorize", { ...what, authData }, token),
        ),
      );
      assert.equal(
        answers.filter(({ status }) => status === 200).length,
        1,
      );
    }
    const row = await two.service.store.read((tx) => tx.person("asen"));
    assert.equal(wrongInARow(row!.guard.answers), 0);
  },
);

onBoth(
  "wrong answers at once to both instances are no more than the rules allow",
  async (one, two) => {
    await one.enrol({ userID: "asen" });
    const guesses = await Promise.all(
      Array.from(
        { length: 30 },
        (_, i) =>
          (i % 2 ? one : two).service.people.checkPin("asen", `9${i}9${i}9`, "stranger")
            .catch(() => null),
      ),
    );
    assert.ok(guesses.every((holder) => holder === null));
    const row = await two.service.store.read((tx) => tx.person("asen"));
    assert.equal(row!.guard.signIns.paid, RULES.freeTries);
  },
);

onBoth(
  "codes, refresh tokens and tickets are good once, whichever instance is asked",
  async (one, two) => {
    await one.enrol({ userID: "asen" });
    const { ticket, verifier } = await openPage(one, { scope: "service" });
    const sign = { decision: "sign_in", userID: "asen", pin: PIN };
    const signed = await Promise.all(
      Array.from({ length: 4 }, (_, i) => onPage(i % 2 ? one : two, "answer", ticket, sign)),
    );
    const [redirect, ...more] = signed.flatMap(({ body }) => body.redirect ?? []);
    assert.deepEqual(more, []);
    const fields = {
      grant_type: "authorization_code",
      code: new URL(redirect).searchParams.get("code")!,
      redirect_uri: REDIRECT,
      code_verifier: verifier,
    };
    const granted = await one.form("/oauth2/token", fields);
    const refresh = { grant_type: "refresh_token", refresh_token: granted.body.refresh_token };
    const renewed = await Promise.all(
      Array.from({ length: 6 }, (_, i) => (i % 2 ? one : two).form("/oauth2/token", refresh)),
    );
    assert.equal(renewed.filter(({ status }) => status === 200).length, 1);
  },
);

onBoth("a PIN is changed once, whatever else changes it at the same time", async (one, two) => {
  await one.enrol({ userID: "asen" });
  const begin = async (test: TestService) => {
    const ticket = (await test.service.changePin.start("asen", PIN))!;
    await onPage(test, "send", ticket, {});
    return { ticket, otp: one.lastOtp() };
  };
  const [a, b] = [await begin(one), await begin(two)];
  const done = await Promise.all([
    one.service.changePin.finish(a.ticket, a.otp, "719384"),
    two.service.changePin.finish(b.ticket, b.otp, "628194"),
  ]);
  assert.equal(done.filter(({ ok }) => ok).length, 1);
  const next = done[0].ok ? "719384" : "628194";
  assert.ok(await two.service.people.checkPin("asen", next, "stranger"));
});

Deno.test("two instances on SQLite withstand floods and races", async (t) => {
  for (const [name, body] of cases) {
    await t.step(
      name,
      () =>
        inTempDir((dir) => withTwo(() => Promise.resolve(openSqlite(join(dir, "otp.db"))), body)),
    );
  }
});

Deno.test("two instances on PostgreSQL withstand floods and races", async (t) => {
  const server = await startPostgres();
  try {
    for (const [name, body] of cases) {
      const url = await server.createDatabase();
      await t.step(name, () => withTwo(() => openPostgres(url, PATIENT), body));
    }
  } finally {
    await server.close();
  }
});

Deno.test("a request without its body blocks nobody and is abandoned", async () => {
  const test = makeService();
  const running = startService(test.service, { hostname: "127.0.0.1", port: 0 });
  const slow: Deno.Conn[] = [];
  try {
    const head = "POST /csc/v2/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{";
    for (let i = 0; i < 600; i++) {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: running.port });
      await connection.write(new TextEncoder().encode(head));
      slow.push(connection);
    }
    const response = await fetch(`http://127.0.0.1:${running.port}/csc/v2/info`, {
      method: "POST",
      body: "{}",
    });
    assert.equal(response.status, 200);
    await response.body?.cancel();
    // those that waited longest made room
    const answer = new Uint8Array(20);
    await slow[0].read(answer);
    assert.match(new TextDecoder().decode(answer), /^HTTP\/1.1 408 /);
  } finally {
    for (const connection of slow) connection.close();
    await running.close();
    await test.close();
  }
});

Deno.test("an endless body is abandoned in time, and a slow one that ends is read whole", async () => {
  const intake = new Intake({ timeout: 1 });
  const request = (body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer>) =>
    new Request("http://x/", { method: "POST", body });
  const stalled = new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(new Uint8Array(10)) });
  await assert.rejects(intake.receive(request(stalled)), { code: "body_too_slow" });
  const large = new Uint8Array(700_000).fill(7);
  const patient = new Intake();
  for (const size of [0, 10, 512 * 1024, 700_000]) {
    const received = await patient.receive(request(large.subarray(0, size).slice()));
    assert.equal((await received.bytes()).length, size);
  }
  const halves = new Response(large).body!;
  const received = await patient.receive(request(halves));
  assert.deepEqual(await received.bytes(), large, "without a length");
});

Deno.test("strangers' requests leave room for those with a token", async () => {
  const test = makeService();
  const hold = await test.pins.turn("stranger", "x");
  const hold2 = await test.pins.turn("stranger", "x");
  const handler = createHandler(test.service);
  try {
    const token = await test.token();
    const ask = (headers: Record<string, string>) =>
      handler(
        new Request("https://sign.works.example/csc/v2/auth/login", { method: "POST", headers }),
      );
    // more than may wait for their PIN are turned away at once, and hold no place
    const waiting = Array.from(
      { length: 300 },
      (_, i) => ask({ authorization: `Basic ${btoa(`s${i}:000000`)}` }),
    );
    const response = await handler(
      new Request("https://sign.works.example/portal/v1/persons", {
        headers: { authorization: `Bearer ${token}` },
      }),
    );
    assert.equal(response.status, 200);
    await response.body?.cancel();
    hold[Symbol.dispose]();
    hold2[Symbol.dispose]();
    const statuses = await Promise.all(
      waiting.map(async (each) => {
        const { status, body } = await each;
        await body?.cancel();
        return status;
      }),
    );
    assert.ok(statuses.includes(429) && statuses.every((status) => [400, 429].includes(status)));
  } finally {
    await test.close();
  }
});

Deno.test("who shows a client's secret, or brings its pushed request, is no stranger", async () => {
  const test = makeService();
  const inFlight = { known: 0, stranger: 0 };
  const handler = createHandler(test.service, { inFlight });
  const ask = async (path: string, init?: RequestInit) => {
    const response = await handler(new Request(PUBLIC_URL + path, { redirect: "manual", ...init }));
    const { status, headers } = response;
    return { status, location: headers.get("location"), body: await response.text() };
  };
  const post = (path: string, fields: Record<string, string>, headers = {}) => {
    const body = new URLSearchParams(fields).toString();
    const length = { "content-length": String(body.length) };
    const type = { "content-type": "application/x-www-form-urlencoded" };
    return ask(path, { method: "POST", body, headers: { ...length, ...type, ...headers } });
  };
  const grant = { grant_type: "client_credentials" };
  const shown = { client_id: CLIENT.id, client_secret: CLIENT.secret };
  const pushed = {
    response_type: "code",
    scope: "service",
    redirect_uri: REDIRECT,
    code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_challenge_method: "S256",
  };
  try {
    inFlight.stranger = 128;
    const { status, body } = await post("/oauth2/pushed_authorize", { ...pushed, ...shown });
    assert.equal(status, 201, body);
    const header = { authorization: `Basic ${btoa(`${CLIENT.id}:${CLIENT.secret}`)}` };
    assert.equal((await post("/oauth2/token", { ...grant, ...shown })).status, 200);
    assert.equal((await post("/csc/v2/oauth2/token", grant, header)).status, 200);
    assert.equal(
      (await ask("/csc/v2/auth/login", { method: "POST", headers: header })).status,
      200,
    );
    const { request_uri } = JSON.parse(body);
    const query = (uri: string) =>
      new URLSearchParams({ client_id: CLIENT.id, request_uri: uri }).toString();
    const page = await ask(`/oauth2/authorize?${query(request_uri)}`);
    assert.equal(page.status, 302);
    assert.match(page.location!, /\/otp#/);
    const others = await Promise.all([
      post("/oauth2/token", { ...grant, ...shown, client_secret: "x" }),
      post("/csc/v2/info", shown),
      post("/oauth2/token", { ...grant, ...shown, more: "x".repeat(64 * 1024) }),
      ask(`/oauth2/authorize?${query(request_uri)}`), // it was used
      ask(`/oauth2/authorize?${query("urn:ietf:params:oauth:request_uri:none")}`),
    ]);
    assert.deepEqual(others.map(({ status }) => status), [429, 429, 429, 429, 429]);
    assert.deepEqual(inFlight, { known: 0, stranger: 128 });
  } finally {
    await test.close();
  }
});
