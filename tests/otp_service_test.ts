/** The real `dsign otp-service`: several processes on one PostgreSQL, and one that is killed again and again. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { OIDS } from "../protocol/csc.ts";
import { forgiveAll } from "../otp_service/authorize.ts";
import type { Database } from "../otp_service/database.ts";
import { readLogSigner } from "../otp_service/log_key.ts";
import { readSecrets } from "../otp_service/secret_file.ts";
import { openPostgres } from "../otp_service/store_postgres.ts";
import { openSqlite } from "../otp_service/store_sqlite.ts";
import { Store } from "../otp_service/store.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import {
  authorization,
  challenge,
  dsign,
  enrol,
  initialise,
  Instance,
  LOG,
  mailServer,
  PIN,
  signing,
} from "./fixtures/otp_process.ts";
import { startPostgres } from "./fixtures/postgres.ts";

const HASH = createHash("sha256").update("order").digest("base64");

Deno.test("two instances on PostgreSQL share three guesses, one signature per SAD and one audit", () =>
  inTempDir(async (dir) => {
    const [server, mail] = [await startPostgres(), await mailServer()];
    try {
      const database = await server.createDatabase();
      const { config, secret } = await initialise(dir, mail.port, { database });
      const [one, two] = await Promise.all([Instance.start(config), Instance.start(config)]);
      try {
        const token = await one.token(secret);
        const credentialID = await enrol(two, token, mail.mails);
        const sent = await one.call(
          "/csc/v2/credentials/getChallenge",
          challenge(credentialID, HASH),
          token,
        );
        assert.equal(sent.status, 204);
        const right = Number(mail.lastOtp());
        const guesses = await Promise.all(Array.from({ length: 60 }, (_, i) => {
          const otp = String((right + 1 + i) % 1_000_000).padStart(6, "0");
          return (i % 2 ? one : two).call(
            "/csc/v2/credentials/authorize",
            authorization(credentialID, otp, HASH),
            token,
          );
        }));
        // eight of one authorization may wait in a lane; more are told to come again
        const refused = ["invalid_authentication_data", "temporarily_unavailable"];
        assert.ok(guesses.every(({ body }) => refused.includes(body.error)));
        const late = await one.call(
          "/csc/v2/credentials/authorize",
          authorization(credentialID, mail.lastOtp(), HASH),
          token,
        );
        assert.equal(late.status, 400, "the right one comes too late");

        const hash = createHash("sha256").update("second").digest("base64");
        await two.call("/csc/v2/credentials/getChallenge", challenge(credentialID, hash), token);
        const { body: { SAD } } = await one.call(
          "/csc/v2/credentials/authorize",
          authorization(credentialID, mail.lastOtp(), hash),
          token,
        );
        const uses = await Promise.all(
          Array.from({ length: 200 }, (_, i) =>
            (i % 2 ? one : two).call(
              "/csc/v2/signatures/signHash",
              signing(credentialID, SAD, OIDS.ecdsaWithSha256, hash),
              token,
            )),
        );
        assert.equal(uses.filter(({ status }) => status === 200).length, 1);

        const exported = await fetch(`http://127.0.0.1:${two.port}/portal/v1/audit`, {
          headers: { authorization: `Bearer ${token}` },
        }).then((response) => response.text());
        const lines = exported.trimEnd().split("\n");
        const events = lines.map((line) => JSON.parse(line).event);
        const count = (event: string) => events.filter((each) => each === event).length;
        assert.equal(count("answer.received"), 3 + 1, "three guesses looked at, and the right one");
        assert.equal(count("signature.made"), 1);
        assert.ok(!exported.includes(PIN) && !exported.includes(secret));
        const file = join(dir, "audit.ndjson");
        await Deno.writeTextFile(file, exported);
        const get = async (path: string) => {
          const name = join(dir, path.slice(1));
          const response = await fetch(`http://127.0.0.1:${two.port}/log${path}`);
          await Deno.writeTextFile(name, await response.text());
          return name;
        };
        const log = ["--log-key", await get("/key"), "--expect", await get("/checkpoint")];
        const whole = await dsign("audit", "verify", file, ...log);
        assert.equal(whole.code, 0, whole.stderr);
        await Deno.writeTextFile(file, exported.replace("Sanction 7", "Sanction 8"));
        const changed = await dsign("audit", "verify", file, ...log, "--json");
        assert.equal(changed.code, 1);
        assert.match(JSON.parse(changed.stdout).problem, /are not those that the checkpoint/);
        const listed = await dsign("user", "list", "--config", config, "--json");
        assert.equal(JSON.parse(listed.stdout).persons[0].state, "ready");
        assert.equal((await dsign("audit", "verify", "--config", config)).code, 0);
      } finally {
        assert.equal(await one.end("SIGTERM"), 143);
        await two.end("SIGTERM");
      }
    } finally {
      await mail.close();
      await server.close();
    }
  }));

const KILLED =
  "killed at any moment: nothing is signed twice or without a trace, and the audit stays whole";

Deno.test(`${KILLED}, on SQLite`, () =>
  inTempDir((dir) => {
    const database = join(dir, "service", "otp.db");
    return killAgainAndAgain(dir, database, () => Promise.resolve(openSqlite(database)));
  }));

Deno.test(`${KILLED}, on PostgreSQL`, () =>
  inTempDir(async (dir) => {
    const server = await startPostgres();
    try {
      const database = await server.createDatabase();
      await killAgainAndAgain(dir, database, () => openPostgres(database));
    } finally {
      await server.close();
    }
  }));

async function killAgainAndAgain(
  dir: string,
  database: string,
  open: () => Promise<Database>,
): Promise<void> {
  const mail = await mailServer();
  try {
    // Making an RSA key takes long enough to be interrupted.
    const { config, secret } = await initialise(dir, mail.port, {
      keyType: "rsa-2048",
      database,
    });
    let instance = await Instance.start(config);
    let credentialID = "";
    let released = 0;
    try {
      credentialID = await enrol(instance, await instance.token(secret), mail.mails);
      // Milliseconds after a request of each kind at which the process is killed.
      const kills: ["getChallenge" | "authorize" | "signHash" | "nothing", number][] = [
        ...[0, 3].map((delay) => ["getChallenge", delay] as ["getChallenge", number]),
        ...[2, 30, 90].map((delay) => ["authorize", delay] as ["authorize", number]),
        ...[1, 4, 10, 40, 120].map((delay) => ["signHash", delay] as ["signHash", number]),
        ["nothing", 0], // and it still works
      ];
      for (const [number, [step, delay]] of kills.entries()) {
        // The cap of OTPs an hour is another test's: what is counted here is forgotten between.
        await forgetGenerations(dir, await open());
        const hash = createHash("sha256").update(`${number}`).digest("base64");
        const token = await instance.token(secret);
        const killing = async <T>(call: Promise<T>) => {
          setTimeout(() => instance.end("SIGKILL"), delay);
          const answer = await call.catch(() => null);
          await instance.process.status;
          instance = await Instance.start(config);
          return answer;
        };
        const send = () =>
          instance.call("/csc/v2/credentials/getChallenge", challenge(credentialID, hash), token);
        if (step === "getChallenge") {
          await killing(send());
          continue;
        }
        assert.equal((await send()).status, 204);
        const authorize = () =>
          instance.call(
            "/csc/v2/credentials/authorize",
            authorization(credentialID, mail.lastOtp(), hash),
            token,
          );
        const authorized = await (step === "authorize" ? killing(authorize()) : authorize());
        const SAD = authorized?.body?.SAD;
        if (!SAD) continue; // the answer was lost: nobody holds a SAD
        const sign = () =>
          instance.call(
            "/csc/v2/signatures/signHash",
            signing(credentialID, SAD, OIDS.sha256WithRsa, hash),
            token,
          );
        const first = await (step === "signHash" ? killing(sign()) : sign());
        const second = await sign();
        const good = [first, second].filter((answer) => answer?.status === 200).length;
        assert.ok(good <= 1, "signed twice");
        released += good;
      }
    } finally {
      await instance.end("SIGKILL");
    }
    // Ten minutes later, everything that hangs is ended and reported.
    const secrets = await readSecrets(join(dir, "service", "secret"));
    const clock = () => Date.now() + 13 * 60_000;
    const store = new Store(
      await open(),
      clock,
      secrets,
      await readLogSigner(join(dir, "service", "log-key"), LOG),
    );
    try {
      await store.sweep();
      assert.deepEqual(
        (await store.verifyAudit()).problem,
        undefined,
      );
      const lines = (await Array.fromAsync(store.audit())).map((line) => JSON.parse(line));
      const of = (event: string) =>
        lines.filter((line) => line.event === event).map(({ transaction }) => transaction);
      const [given, used] = [of("authorization.given"), of("sad.used")];
      assert.equal(new Set(used).size, used.length, "a SAD was used twice");
      assert.ok(used.every((id) => given.includes(id)), "used, but never authorized");
      const settled = [...of("signature.made"), ...of("signature.failed")];
      assert.deepEqual(settled.toSorted(), used.toSorted(), "every use has its end in the audit");
      assert.ok(of("signature.made").length >= released, "what was released stands in the audit");
      assert.ok(released >= 1, "the last one was left alone");
    } finally {
      await store.close();
    }
  } finally {
    await mail.close();
  }
}

async function forgetGenerations(dir: string, database: Database): Promise<void> {
  const secrets = await readSecrets(join(dir, "service", "secret"));
  const store = new Store(
    database,
    Date.now,
    secrets,
    await readLogSigner(join(dir, "service", "log-key"), LOG),
  );
  await store.run(async (tx) => {
    const row = (await tx.person("asen"))!;
    tx.savePerson({ ...row, guard: { ...forgiveAll(row.guard), generations: [] } });
  });
  await store.close();
}

Deno.test("the administrator's commands manage people and show the audit", () =>
  inTempDir(async (dir) => {
    const { config } = await initialise(dir, 1, { smtp: undefined });
    const on = (...args: string[]) => dsign(...args, "--config", config);
    const json = async (...args: string[]) => JSON.parse((await on(...args, "--json")).stdout);
    const person = ["asen", "--name", "Anita Sen", "--email", "anita@works.example"];
    const added = await json("user", "add", ...person);
    assert.match(added.enrolment.link, /\/otp#enrol-[\w-]{43}$/, "no mail: it is handed over");
    const twice = await on("user", "add", ...person);
    assert.deepEqual([twice.code, twice.stderr], [2, "dsign: The person already exists\n"]);
    const wrong = await on("user", "add", "bsen", "--name", "B", "--email", "nowhere");
    assert.equal(wrong.code, 2);
    assert.equal((await json("user", "list")).persons[0].state, "invited");
    await json("user", "lock", "asen", "--reason", "on leave");
    const [locked] = (await json("user", "list")).persons;
    assert.deepEqual([locked.state, locked.reason], ["locked", "on leave"]);
    assert.equal((await on("user", "unlock", "asen")).code, 2, "not without proof");
    const unlocked = await json("user", "unlock", "asen", "--proof", "identity card seen");
    assert.notEqual(unlocked.enrolment.link, added.enrolment.link);
    assert.ok((await json("user", "reset-pin", "asen", "--proof", "seen again")).enrolment.link);
    await json("user", "add", "cdas", "--name", "C Das", "--otp", "totp", "--stored");
    const certificates = async () => (await json("user", "certificates", "cdas")).certificates;
    const [{ serialNumber }] = await certificates();
    const revoke = ["user", "revoke", serialNumber, "--reason"];
    assert.equal((await on(...revoke, "boredom")).code, 2);
    assert.deepEqual(await json(...revoke, "superseded"), { serialNumber, revoked: true });
    assert.equal((await on(...revoke, "superseded")).code, 2, "once");
    const role = "Superintending Engineer";
    assert.deepEqual(await json("user", "role", "cdas", role), { userID: "cdas", role });
    assert.ok((await json("user", "add-credential", "cdas", "--stored")).credentialID);
    assert.deepEqual(
      (await certificates()).map(({ reason }: { reason?: string }) => reason).toSorted(),
      ["superseded", undefined],
    );
    const { stdout } = await on("audit", "export");
    const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.equal(lines.filter(({ event }) => event === "person.enrolment_sent").length, 4);
    assert.ok(
      lines.some(({ proof, by }) => proof === "identity card seen" && /^command line/.test(by)),
    );
    assert.ok(!stdout.includes("enrol-"), "no link in the audit");
    assert.match((await on("audit", "show", "--last", "1")).stdout, /audit\.exported/);
    assert.equal((await json("audit", "verify")).ok, true);
    const proof = ["--proof", "compared with the backup"];
    assert.deepEqual(await json("seal", ...proof), { rows: 0 }, "nothing to take over");
    assert.equal((await on("seal")).code, 2, "not without proof");
    const missing = await dsign("user", "list", "--config", join(dir, "none.json"));
    assert.deepEqual([missing.code, /is missing/.test(missing.stderr)], [2, true]);
    await Deno.chmod(join(dir, "service", "secret"), 0o644);
    assert.match((await on("user", "list")).stderr, /chmod 600/);
  }));
