/**
 * `deno task bench otp`: the PIN/OTP service, one and two instances on PostgreSQL with keys in SoftHSM. A ceremony is what a
 * signatory waits for: OTP by mail, PIN and OTP looked at (one Argon2id of 19 MiB), a key and a certificate made, one signature.
 */
import { createHash, randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { OIDS } from "../protocol/csc.ts";
import { Pins } from "../otp_service/pin.ts";
import { openPostgres } from "../otp_service/store_postgres.ts";
import { readLogSigner } from "../otp_service/log_key.ts";
import { readSecrets } from "../otp_service/secret_file.ts";
import { Secrets, sha256 } from "../otp_service/secrets.ts";
import { Store } from "../otp_service/store.ts";
import { PIN as TOKEN_PIN, softhsm } from "../tests/fakes/pkcs11_tokens.ts";
import {
  authorization,
  challenge,
  enrol,
  initialise,
  Instance,
  LOG,
  mailServer,
  signing,
} from "../tests/fixtures/otp_process.ts";
import { startPostgres } from "../tests/fixtures/postgres.ts";
import { type Figures, timed } from "./bench_figures.ts";
import { Child, cpuOf, cpuOfChildren, idleTime, sum } from "./bench_process.ts";
import type { RawStart } from "./bench_raw.ts";
import { ensure } from "./setup.ts";

const PEOPLE = 8;
/** Of each person: in an hour there are ten. */
const CEREMONIES = { warm: 2, measured: 8 };
/** Requests to sign, by the number of hashes of each. Fewer, and a single pause of the machine would be their p99. */
const REQUESTS = [[1, 2000], [10, 100]] as const;
/** Requests of each instance before that: until its code is compiled, one takes twice the processor time. */
const WARM = 400;
/** So many sign at the same time, each one thing after another. */
const SIGNERS = 16;
const RAW = 2000;
const PINS = 20;
const CEREMONY = "ceremonies (one-time P-256)";
const ARGON = "Argon2id, 19 MiB, t=2: processor time of one PIN";

const percentile = (values: number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!;

/** Runs the tasks of all signers at the same time; gives the milliseconds that each took. */
async function pipelined(signers: (() => Promise<unknown>)[][]): Promise<number[]> {
  const times: number[] = [];
  await Promise.all(signers.map(async (tasks) => {
    for (const task of tasks) times.push(await timed(task));
  }));
  return times;
}

function addRate(figures: Figures, name: string, times: number[], elapsed: number, each = 1) {
  figures.add(name, times.length * each / elapsed * 1000, each > 1 ? "signatures/s" : "/s");
  figures.add(`${name}: p50`, percentile(times, 0.5), "ms");
  figures.add(`${name}: p99`, percentile(times, 0.99), "ms");
}

/** @param only the beginning of the names of what is measured */
export async function benchOtp(figures: Figures, _long: boolean, only: string): Promise<void> {
  await ensure("test");
  const dir = await Deno.makeTempDir({ prefix: "dsign-bench-" });
  const server = await startPostgres();
  const mail = await mailServer();
  try {
    using argon = new Pins(new Secrets(randomBytes(32)).pepper);
    const hash = await argon.hash("asen", "493817");
    const before = await cpuOf(Deno.pid);
    for (let i = 0; i < PINS; i++) await argon.verify("asen", "493817", hash);
    figures.add(ARGON, (await cpuOf(Deno.pid) - before) / PINS, "ms");

    const database = await server.createDatabase();
    const token = await softhsm(dir, [], "otp");
    await Deno.writeTextFile(join(dir, "token.pin"), TOKEN_PIN, { mode: 0o600 });
    const { config, secret } = await initialise(dir, mail.port, {
      database,
      keys: {
        module: token.modulePath,
        token: "pkcs11:token=otp",
        pinFile: join(dir, "token.pin"),
        env: token.env,
        processes: 2,
      },
    });
    const store = new Store(
      await openPostgres(database),
      Date.now,
      await readSecrets(join(dirname(config), "secret")),
      await readLogSigner(join(dirname(config), "log-key"), LOG),
    );
    const instances = await Promise.all([Instance.start(config), Instance.start(config)]);
    try {
      const access = await instances[0].token(secret);
      const people: string[] = [];
      for (let i = 0; i < PEOPLE; i++) {
        people.push(await enrol(instances[0], access, mail.mails, `person${i}`));
      }
      const stored: string[] = [];
      for (let i = 0; i < SIGNERS; i++) {
        stored.push(
          await enrol(instances[0], access, mail.mails, `stored${i}`, {
            kind: "stored",
            keyType: "rsa-2048",
          }),
        );
      }
      const certificate = (await instances[0].call("/csc/v2/credentials/info", {
        credentialID: stored[0],
      }, access)).body.cert.certificates[0];

      // The token's own limit: a bare loop.
      const raw = new Child("bench_raw.ts", token.env);
      const start: RawStart = {
        modulePath: token.modulePath,
        token: "pkcs11:token=otp",
        pin: TOKEN_PIN,
        certificate,
      };
      await raw.write(JSON.stringify(start));
      const loop = async () => {
        await raw.write(String(RAW));
        return RAW / Number(await raw.read()) * 1000;
      };
      await loop();
      const rawBefore = await cpuOf(raw.pid);
      const rawRate = await loop();
      const rawTime = (await cpuOf(raw.pid) - rawBefore) / RAW;
      await raw.close();
      figures.add("raw loop (RSA-2048)", rawRate, "signatures/s");
      figures.add("raw loop: processor time", rawTime, "ms");
      const databasePid = await server.pid();
      const services = instances.map(({ process }) => process.pid);
      const cpu = async (): Promise<Cpu> => ({
        idle: await idleTime(),
        by: {
          services: await sum(services, cpuOf),
          "token and readers": await sum(services, cpuOfChildren),
          database: await cpuOf(databasePid) + await cpuOfChildren(databasePid),
          "this client": await cpuOf(Deno.pid),
        },
      });

      for (const count of [1, 2]) {
        const used = instances.slice(0, count);
        const label = `${count} instance${count > 1 ? "s" : ""}`;
        if (`${label}: ${CEREMONY}`.startsWith(only)) {
          await forgetGenerations(store);
          const ceremonies = (each: number) =>
            runCeremonies(used, people, access, mail.mails, each);
          await ceremonies(CEREMONIES.warm);
          await measureCeremonies(figures, label, {
            count,
            argon: figures.value(ARGON),
            cpu,
            run: () => ceremonies(CEREMONIES.measured),
          });
        }
        for (const [each, requests] of REQUESTS) {
          const name = `${label}: signHash, ${each} a request`;
          if (!name.startsWith(only)) continue;
          const warm = Math.ceil(WARM * count / each / SIGNERS);
          const signers: (() => Promise<unknown>)[][] = [];
          const underWay = used.map(() => 0);
          for (const [signer, credential] of stored.entries()) {
            const mine = warm + Math.ceil(requests / SIGNERS);
            const sads = await authorizeAll(store, { signer, credential }, mine, each);
            signers.push(sads.map(({ SAD, hashes }) => async () => {
              const body = { ...signing(credential, SAD, OIDS.sha256WithRsa, hashes[0]!), hashes };
              // where the fewest are under way, as our nginx.conf has it
              const at = underWay.indexOf(Math.min(...underWay));
              underWay[at]!++;
              const { status } = await used[at]!.call("/csc/v2/signatures/signHash", body, access);
              underWay[at]!--;
              if (status !== 200) throw new Error(`signHash: ${status}`);
            }));
          }
          await pipelined(signers.map((tasks) => tasks.splice(0, warm)));
          let all: number[] = [];
          const before = await cpu();
          const elapsed = await timed(async () => {
            all = await pipelined(signers);
          });
          const after = await cpu();
          const isJudged = count === 2 && each === 1;
          addRate(figures, name, all, elapsed, each);
          const steady = percentile(all, 0.99) / percentile(all, 0.5);
          figures.add(`${name}: p99 / p50`, steady, "", isJudged ? { atMost: 2 } : {});
          const ratio = all.length * each / elapsed * 1000 / rawRate;
          addBound(figures, name, {
            value: ratio,
            what: "ratio to raw",
            atLeast: isJudged ? 0.55 : undefined,
            cpu: [before, after],
            count: all.length * each,
          });
          const time = totalOf(before, after) / (all.length * each);
          const most = navigator.hardwareConcurrency * rawTime / time;
          figures.add(`${name}: the processors' bound, ratio to raw`, most, "");
        }
      }
      if (!figures.all.some(({ name }) => name.startsWith(only))) {
        throw new Error(`Nothing that is measured has a name that begins with "${only}".`);
      }
    } finally {
      await Promise.all(instances.map((instance) => instance.end("SIGTERM")));
      await store.close();
    }
  } finally {
    await mail.close();
    await server.close();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Processor time so far, in milliseconds, by who used it, and what nobody used. */
interface Cpu {
  by: Record<"services" | "token and readers" | "database" | "this client", number>;
  idle: number;
}

const totalOf = (before: Cpu, after: Cpu) =>
  Object.values(after.by).reduce((sum, each) => sum + each, 0) -
  Object.values(before.by).reduce((sum, each) => sum + each, 0);

/** A part of the processors' time, as far as no other program took it, that says that nothing else is waited for. */
const BUSY = 0.9;

/**
 * A figure that keeps its bound, or else is bound by the processors: services, token, database and this client, which are
 * on one machine, keep all of them busy.
 */
function addBound(
  figures: Figures,
  name: string,
  { value, what, atLeast, cpu: [before, after], count }: {
    value: number;
    what: string;
    atLeast?: number;
    cpu: [before: Cpu, after: Cpu];
    count: number;
  },
): void {
  const isBound = atLeast !== undefined && value < atLeast;
  figures.add(`${name}: ${what}`, value, "", isBound ? {} : { atLeast });
  for (const who of Object.keys(after.by) as (keyof Cpu["by"])[]) {
    figures.add(`${name}: processor time, ${who}`, (after.by[who] - before.by[who]) / count, "ms");
  }
  const used = totalOf(before, after);
  const share = used / (used + after.idle - before.idle);
  figures.add(
    `${name}: part used of the processors' free time`,
    share,
    "",
    isBound ? { atLeast: BUSY } : {},
  );
}

async function measureCeremonies(
  figures: Figures,
  label: string,
  { count, argon, cpu, run }: {
    /** Of instances. */
    count: number;
    argon: number;
    cpu: () => Promise<Cpu>;
    run: () => Promise<number[]>;
  },
): Promise<void> {
  let times: number[] = [];
  const before = await cpu();
  const elapsed = await timed(async () => {
    times = await run();
  });
  const after = await cpu();
  const name = `${label}: ${CEREMONY}`;
  addRate(figures, name, times, elapsed);
  // one instance looks at one PIN at a time
  const most = Math.min(count, navigator.hardwareConcurrency) * 1000 / argon;
  addBound(figures, name, {
    value: times.length / elapsed * 1000 / most,
    what: "part of what Argon2id alone would give",
    atLeast: count === 2 ? 0.9 : undefined,
    cpu: [before, after],
    count: times.length,
  });
}

/** Each person signs so many times, one after another; all persons at the same time. */
async function runCeremonies(
  instances: Instance[],
  people: string[],
  access: string,
  mails: string[],
  each: number,
): Promise<number[]> {
  const times: number[] = [];
  await Promise.all(people.map(async (credentialID, person) => {
    for (let i = 0; i < each; i++) {
      const instance = instances[(person + i) % instances.length]!;
      times.push(await timed(() => ceremony(instance, credentialID, access, mails)));
    }
  }));
  return times;
}

async function ceremony(
  instance: Instance,
  credentialID: string,
  access: string,
  mails: string[],
): Promise<void> {
  const hash = createHash("sha256").update(randomBytes(16)).digest("base64");
  const call = async (path: string, body: unknown) => {
    const answer = await instance.call(path, body, access);
    if (answer.status > 204) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  await call("/csc/v2/credentials/getChallenge", challenge(credentialID, hash));
  const prefix = Uint8Array.fromBase64(hash).toHex().slice(0, 16).toUpperCase().match(/.{4}/g)!;
  const message = mails.findLast((mail) => mail.includes(prefix.join(" ")))!;
  const otp = /^Subject: OTP (\d{6})/m.exec(message)![1]!;
  const { SAD } = await call(
    "/csc/v2/credentials/authorize",
    authorization(credentialID, otp, hash),
  );
  await call(
    "/csc/v2/signatures/signHash",
    signing(credentialID, SAD, OIDS.ecdsaWithSha256, hash),
  );
}

/** SADs as PIN and OTP would have given them: what is measured then is signing alone. */
async function authorizeAll(
  store: Store,
  { signer, credential }: { signer: number; credential: string },
  count: number,
  each: number,
) {
  return await Promise.all(Array.from({ length: count }, async () => {
    const hashes = Array.from({ length: each }, () => randomBytes(32).toString("base64"));
    const [SAD, id] = [randomBytes(32).toString("base64url"), randomBytes(16).toString("hex")];
    await store.run((tx) => {
      const transaction = {
        id,
        client: "portal",
        credential,
        mode: "explicit" as const,
        phase: "authorized" as const,
        binding: { hashes, hashAlgorithm: OIDS.sha256, signatures: each },
        createdAt: tx.now,
        seenAt: tx.now,
        sends: 1,
        attempts: 1,
        settled: 1,
        sad: sha256(SAD),
        pending: hashes,
        remaining: each,
      };
      tx.addTransaction(transaction, `stored${signer}`, {
        purpose: "benchmark",
        labels: [],
      });
    });
    return { SAD, hashes };
  }));
}

/** The cap of OTPs an hour is not what is measured. */
async function forgetGenerations(store: Store): Promise<void> {
  await store.run(async (tx) => {
    for (const { person: { id } } of await tx.persons()) {
      const row = (await tx.person(id))!;
      tx.savePerson({ ...row, guard: { ...row.guard, generations: [] } });
    }
  });
}
