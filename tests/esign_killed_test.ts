/** eSign through the real `dsign otp-service`, which is killed between its steps: an answer counts once and is never lost. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import type { Database } from "../otp_service/database.ts";
import { readLogSigner } from "../otp_service/log_key.ts";
import { readSecrets } from "../otp_service/secret_file.ts";
import { openPostgres } from "../otp_service/store_postgres.ts";
import { openSqlite } from "../otp_service/store_sqlite.ts";
import { Store } from "../otp_service/store.ts";
import { writePkcs12 } from "../signers/pkcs12_write.ts";
import { FakeEsp } from "./fakes/esp.ts";
import { issue } from "./fixtures/issue.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { initialise, Instance, LOG } from "./fixtures/otp_process.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { pdfsig } from "./fixtures/pdf_tools.ts";
import { startPostgres } from "./fixtures/postgres.ts";

const PDF = classicPdf(documentObjects());
const REDIRECT = "https://portal.example/signed";

const NAME =
  "an eSign answer counts once and is never lost, even if the service is killed at any moment";

Deno.test(`${NAME}, on SQLite`, () =>
  inTempDir((dir) => {
    const database = join(dir, "service", "otp.db");
    return killBetweenSteps(dir, database, () => Promise.resolve(openSqlite(database)));
  }));

Deno.test(`${NAME}, on PostgreSQL`, () =>
  inTempDir(async (dir) => {
    const server = await startPostgres();
    try {
      const database = await server.createDatabase();
      await killBetweenSteps(dir, database, () => openPostgres(database));
    } finally {
      await server.close();
    }
  }));

async function killBetweenSteps(dir: string, database: string, open: () => Promise<Database>) {
  const asp = issue({
    subject: [["CN", "Portal (TEST)"]],
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [],
  });
  const fake = new FakeEsp({ id: "WORKS-1", certificate: asp.certificate.der });
  const { config, secret } = await initialise(dir, 1, {
    database,
    smtp: undefined,
    esp: {
      url: "https://esp.example/2.1/signdoc",
      aspId: "WORKS-1",
      key: { keyFile: "asp.p12", passwordFile: "asp.password" },
      certificatesFile: "esp.pem",
      anchorsFile: "cca.pem",
    },
  });
  const folder = join(dir, "service");
  const settings = JSON.parse(await Deno.readTextFile(config));
  settings.clients[0].redirectUris = [REDIRECT];
  await Deno.writeTextFile(config, JSON.stringify(settings));
  const mine = { mode: 0o600 };
  await Deno.writeTextFile(join(folder, "asp.password"), "asp password\n", mine);
  const pkcs12 = await writePkcs12({
    key: asp.pkcs8,
    certificates: [asp.certificate.der],
    password: new TextEncoder().encode("asp password"),
    friendlyName: "ASP",
  });
  await Deno.writeFile(join(folder, "asp.p12"), pkcs12, mine);
  const file = (name: string, der: Uint8Array) =>
    Deno.writeTextFile(join(folder, name), pem("CERTIFICATE", der));
  await file("esp.pem", fake.party.certificate.der);
  await file("cca.pem", fake.root.certificate.der);

  let instance = await Instance.start(config);
  const at = (path: string, init: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${instance.port}${path}`, { redirect: "manual", ...init });
  /** An answer that a kill came before is null. */
  const killing = async (delay: number, call: () => Promise<Response>) => {
    const calling = call()
      .then(async (response) => ({ status: response.status, body: await response.bytes() }))
      .catch(() => null);
    setTimeout(() => instance.end("SIGKILL"), delay);
    const answer = await calling;
    await instance.process.status;
    instance = await Instance.start(config);
    return answer;
  };
  try {
    let whole = 0;
    for (
      const [step, delay] of [
        ["start", 10],
        ["answer", 2],
        ["answer", 20],
        ["document", 3],
        ["none", 0],
      ] as const
    ) {
      const headers = { authorization: `Bearer ${await instance.token(secret)}` };
      const start = () =>
        at(
          `/portal/v1/esign?${new URLSearchParams({
            purpose: "Sanction 7",
            redirect_uri: REDIRECT,
          })}`,
          {
            method: "POST",
            headers,
            body: new Uint8Array(PDF),
          },
        );
      if (step === "start") {
        await killing(delay, start);
        continue;
      }
      const { transaction, location } = await (await start()).json();
      const page = await (await at(new URL(location).pathname)).text();
      const named: Record<string, string> = { quot: '"', lt: "<", gt: ">", amp: "&" };
      const plain = (text: string) =>
        text.replace(
          /&(?:#(\d+)|(\w+));/g,
          (_, code, name) => name === undefined ? String.fromCharCode(Number(code)) : named[name],
        );
      const form = Object.fromEntries(
        [...page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)]
          .map(([, name, value]) => [plain(name), plain(value)]),
      );
      const answer = fake.approve(form, "Anita Sen");
      const bring = () =>
        at("/esign/response", { method: "POST", body: new URLSearchParams(answer) });
      const first = step === "answer"
        ? await killing(delay, bring)
        : await bring().then(async (response) => ({
          status: response.status,
          body: await response.bytes(),
        }));
      const stateOf = async () =>
        (await (await at(`/portal/v1/esign/${transaction}`, { headers })).json()).state;
      if (first?.status === 303) assert.equal(await stateOf(), "signed", "what was said stays");
      // the browser repeats its POST
      const again = await bring();
      assert.equal(again.status, 303);
      await again.body?.cancel();
      assert.equal(await stateOf(), "signed");
      const { receipt } = await (await at(`/portal/v1/esign/${transaction}`, { headers })).json();
      assert.match(receipt, /^c2sp\.org\/tlog-proof@v1/, "its line is in the log");
      const fetching = () => at(`/portal/v1/esign/${transaction}/document`, { headers });
      if (step === "document") await killing(delay, fetching);
      const path = join(dir, "signed.pdf");
      await Deno.writeFile(path, await (await fetching()).bytes());
      assert.deepEqual(await pdfsig(path), [{ valid: true, total: true }]);
      whole++;
    }
    assert.equal(whole, 4);
  } finally {
    await instance.end("SIGKILL");
  }
  const secrets = await readSecrets(join(folder, "secret"));
  const signer = await readLogSigner(join(folder, "log-key"), LOG);
  const store = new Store(await open(), () => Date.now() + 40 * 60_000, secrets, signer);
  try {
    await store.sweep();
    await store.check({ seals: true });
    assert.equal((await store.verifyAudit()).problem, undefined);
    const lines = (await Array.fromAsync(store.audit())).map((line) => JSON.parse(line));
    const of = (event: string) =>
      lines.filter((line) => line.event === event).map(({ transaction }) => transaction);
    const ends = [...of("esign.signed"), ...of("esign.failed")];
    assert.equal(new Set(ends).size, ends.length, "each ends once");
    assert.deepEqual(ends.toSorted(), of("esign.started").toSorted(), "and each that began ends");
    assert.equal(of("esign.signed").length, 4);
  } finally {
    await store.close();
  }
}
