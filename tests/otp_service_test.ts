/** The real `dsign otp-service`: several processes on one PostgreSQL, and one that is killed again and again. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SMTPServer } from "smtp-server";
import { OIDS } from "../protocol/csc.ts";
import { verifyAudit } from "../otp_service/audit.ts";
import { openSqlite } from "../otp_service/store_sqlite.ts";
import { Store } from "../otp_service/store.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { startPostgres } from "./fixtures/postgres.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const PIN = "493817";
/** Answers of every kind: tests look into whatever came. */
// deno-lint-ignore no-explicit-any
type Anything = any;
const HASH = createHash("sha256").update("order").digest("base64");

async function dsign(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", MAIN, "otp-service", ...args],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** A running service. */
class Instance {
  constructor(readonly process: Deno.ChildProcess, readonly port: number) {}

  static async start(config: string): Promise<Instance> {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", MAIN, "otp-service", "--config", config, "--json"],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value = "{}" } = await reader.read();
    reader.cancel();
    return new Instance(process, JSON.parse(value).port);
  }

  async call(
    path: string,
    body: unknown,
    token?: string,
  ): Promise<{ status: number; body: Anything }> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { ...token !== undefined && { authorization: `Bearer ${token}` } },
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  }

  async token(secret: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.port}/oauth2/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id: "portal",
        client_secret: secret,
      }),
    });
    return (await response.json()).access_token;
  }

  async end(signal: Deno.Signal): Promise<number> {
    try {
      this.process.kill(signal);
    } catch {
      // it has ended
    }
    return (await this.process.status).code;
  }
}

/** A real mail server that keeps what it gets. */
async function mailServer() {
  const mails: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    logger: false,
    onData(stream, _session, done) {
      const parts: Uint8Array[] = [];
      stream.on("data", (part: Uint8Array) => parts.push(part));
      stream.on("end", () => {
        mails.push(parts.map((part) => new TextDecoder().decode(part)).join(""));
        done();
      });
    },
  });
  server.on("error", () => {}); // a client that was killed
  const port = await new Promise<number>((resolve) => {
    const net = server.listen(
      0,
      "127.0.0.1",
      () => resolve((net.address() as { port: number }).port),
    );
  });
  return {
    port,
    mails,
    lastOtp: () => /^Subject: OTP (\d{6})/m.exec(mails.at(-1)!)![1]!,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** Makes the files of a service. */
async function initialise(
  dir: string,
  mailPort: number,
  more: Record<string, unknown>,
): Promise<{ config: string; secret: string }> {
  const folder = join(dir, "service");
  const made = await dsign(
    "init",
    folder,
    "--organization",
    "Works (TEST)",
    "--policy",
    "2.999.6.1",
    "--json",
  );
  assert.equal(made.code, 0, made.stderr);
  const config = join(folder, "config.json");
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      ...JSON.parse(await Deno.readTextFile(config)),
      listen: "127.0.0.1:0",
      smtp: { host: "127.0.0.1", port: mailPort, tls: "none", from: "sign@works.example" },
      ...more,
    }),
  );
  return { config, secret: JSON.parse(made.stdout).clientSecret };
}

/** Enrols a person through REST, mail and the page's own call. */
async function enrol(
  instance: Instance,
  token: string,
  mails: string[],
  credential: Record<string, unknown> = {},
): Promise<string> {
  const { status, body } = await instance.call("/portal/v1/persons", {
    userID: "asen",
    name: "Anita Sen",
    email: "anita@works.example",
    credential: { mode: "explicit", ...credential },
  }, token);
  assert.equal(status, 201, JSON.stringify(body));
  const text = mails.at(-1)!.replaceAll("=\r\n", "").replaceAll("=3D", "=");
  const code = /#(enrol-[\w-]+)/.exec(text)![1]!;
  const set = await instance.call("/otp/answer", { decision: "set_pin", pin: PIN }, code);
  assert.deepEqual(set.body, { ok: true });
  return body.credentialID;
}

const challenge = (credentialID: string, hash = HASH) => ({
  credentialID,
  authObjectID: "OTP",
  hashes: [hash],
  description: "Sanction 7",
});
const authorization = (credentialID: string, otp: string, hash = HASH) => ({
  credentialID,
  numSignatures: 1,
  hashes: [hash],
  authData: [{ id: "PIN", value: PIN }, { id: "OTP", value: otp }],
});
const signing = (credentialID: string, SAD: string, signAlgo: string, hash = HASH) => ({
  credentialID,
  SAD,
  hashes: [hash],
  hashAlgorithmOID: OIDS.sha256,
  signAlgo,
});

Deno.test("two instances on PostgreSQL: three guesses in all, one signature a SAD, one audit", () =>
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
          challenge(credentialID),
          token,
        );
        assert.equal(sent.status, 204);
        const right = Number(mail.lastOtp());
        const guesses = await Promise.all(Array.from({ length: 60 }, (_, i) => {
          const otp = String((right + 1 + i) % 1_000_000).padStart(6, "0");
          return (i % 2 ? one : two).call(
            "/csc/v2/credentials/authorize",
            authorization(credentialID, otp),
            token,
          );
        }));
        assert.ok(guesses.every(({ body }) => body.error === "invalid_authentication_data"));
        const late = await one.call(
          "/csc/v2/credentials/authorize",
          authorization(credentialID, mail.lastOtp()),
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
        assert.equal((await dsign("audit", "verify", file)).code, 0);
        await Deno.writeTextFile(file, exported.replace("Sanction 7", "Sanction 8"));
        const changed = await dsign("audit", "verify", file, "--json");
        assert.equal(changed.code, 1);
        assert.match(JSON.parse(changed.stdout).problem, /was changed/);
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

Deno.test("killed at any moment: nothing is signed twice or without a trace, and the audit stays whole", () =>
  inTempDir(async (dir) => {
    const mail = await mailServer();
    try {
      // Making an RSA key takes long enough to be interrupted.
      const { config, secret } = await initialise(dir, mail.port, { keyType: "rsa-2048" });
      const database = join(dir, "service", "otp.db");
      let instance = await Instance.start(config);
      let credentialID = "";
      let released = 0;
      try {
        credentialID = await enrol(instance, await instance.token(secret), mail.mails);
        // Milliseconds after a request of each kind at which the process is killed.
        const kills: ["getChallenge" | "authorize" | "signHash", number][] = [
          ...[0, 3].map((delay) => ["getChallenge", delay] as ["getChallenge", number]),
          ...[2, 30, 90].map((delay) => ["authorize", delay] as ["authorize", number]),
          ...[1, 4, 10, 40, 120].map((delay) => ["signHash", delay] as ["signHash", number]),
        ];
        for (const [number, [step, delay]] of kills.entries()) {
          // The cap of OTPs an hour is another test's: what is counted here is forgotten between.
          await forgetGenerations(database);
          const hash = createHash("sha256").update(`${number}`).digest("base64");
          const token = await instance.token(secret);
          const killing = async (call: Promise<{ status: number; body: Anything }>) => {
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
      // Ten minutes later, whatever hangs is ended, and told.
      const store = new Store(openSqlite(database), () => Date.now() + 11 * 60_000);
      try {
        await store.sweep();
        assert.deepEqual(
          (await verifyAudit(store.audit(), await store.auditHead())).problem,
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
        assert.ok(released >= 1, "some ceremonies went through");
      } finally {
        await store.close();
      }
    } finally {
      await mail.close();
    }
  }));

async function forgetGenerations(database: string): Promise<void> {
  const store = new Store(openSqlite(database), Date.now);
  await store.run(async (tx) => {
    const row = (await tx.person("asen"))!;
    await tx.savePerson({ ...row, guard: { ...row.guard, generations: [], pinTries: 0 } });
  });
  await store.close();
}
