/** Secrets and keys are replaced by the real command while two instances on PostgreSQL serve. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { OIDS } from "../protocol/csc.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import {
  authorization,
  challenge,
  dsign,
  enrol,
  initialise,
  Instance,
  mailServer,
  signing,
} from "./fixtures/otp_process.ts";
import { asAdministrator, startPostgres } from "./fixtures/postgres.ts";

const hashOf = (text: string) => createHash("sha256").update(text).digest("base64");

Deno.test("the secret is rotated while two instances sign, and no request fails", () =>
  inTempDir(async (dir) => {
    const [server, mail] = [await startPostgres(), await mailServer()];
    const instances: Instance[] = [];
    try {
      const database = await server.createDatabase();
      const { config, secret } = await initialise(dir, mail.port, { database });
      const file = join(dirname(config), "secret");
      instances.push(...await Promise.all([Instance.start(config), Instance.start(config)]));
      const [one, two] = instances;
      const token = await one.token(secret);
      const people: { userID: string; id: string }[] = [];
      for (const userID of ["asen", "broy", "cdas"]) {
        people.push({
          userID,
          id: await enrol(one, token, mail.mails, userID, { kind: "stored" }),
        });
      }
      await Promise.all(Array.from({ length: 150 }, () => one.token(secret))); // rows

      const failed: unknown[] = [];
      const counts = { tokens: 0, signatures: 0 };
      const stop = new AbortController();
      const ok = ({ status, body }: { status: number; body: unknown }) => {
        if (status > 299) failed.push([status, body]);
        // deno-lint-ignore no-explicit-any -- an answer of any kind
        return body as any;
      };
      const clients = [one, two].map(async (instance) => {
        while (!stop.signal.aborted) {
          const own = await instance.token(secret);
          const credentialID = people[counts.tokens++ % people.length].id;
          for (const each of [one, two]) {
            ok(await each.call("/csc/v2/credentials/info", { credentialID }, own));
          }
        }
      });
      const otpOf = (label: string) => {
        const found = mail.mails.findLast((each) => each.includes(label))!;
        return /^Subject: OTP (\d{6})/m.exec(found)![1];
      };
      /** One instance sends the OTP and signs, the other one takes the answer. */
      const begin = async ({ id }: { id: string }, label: string) => {
        const hash = hashOf(label);
        ok(
          await one.call("/csc/v2/credentials/getChallenge", {
            ...challenge(id, hash),
            description: label,
          }, token),
        );
        return async () => {
          const given = authorization(id, otpOf(label), hash);
          const { SAD } = ok(await two.call("/csc/v2/credentials/authorize", given, token));
          const asked = signing(id, SAD, OIDS.ecdsaWithSha256, hash);
          const { signatures } = ok(await one.call("/csc/v2/signatures/signHash", asked, token));
          counts.signatures += signatures?.length ?? 0;
        };
      };
      const rotate = async (...args: string[]) => {
        const done = await dsign("rotate", "secret", "--config", config, "--json", ...args);
        assert.equal(done.code, 0, done.stderr);
        return JSON.parse(done.stdout);
      };
      const before = await begin(people[0], "Sanction 1");
      const { prepared } = await rotate("--prepare");
      await begin(people[1], "Sanction 2").then((finish) => finish());
      const { tokens } = counts;
      const { sealed } = await rotate("--use");
      assert.ok(sealed > 150, `${sealed} rows`);
      assert.ok(counts.tokens > tokens, "both served meanwhile");
      await before();
      await begin(people[2], "Sanction 3").then((finish) => finish());
      stop.abort();
      await Promise.all(clients);
      assert.deepEqual([failed, counts.signatures], [[], 3]);

      const others = await asAdministrator(database, async (client) => {
        const query = ["persons", "credentials", "tokens", "transactions", "certificates"]
          .map((table) => `SELECT mac FROM ${table}`).join(" UNION ALL ");
        const { rows } = await client.query(query);
        return rows.filter(({ mac }: { mac: string }) => !mac.startsWith(prepared)).length;
      });
      assert.equal(others, 0);
      const early = await dsign("rotate", "secret", "--config", config, "--retire");
      assert.equal(early.code, 2);
      assert.match(early.stderr, /live until 20/);
      // ten minutes later
      const text = await Deno.readTextFile(file);
      await Deno.writeTextFile(file, text.replace(/20\d\d-\S+Z/, "2026-01-01T00:00:00Z"));
      const { secrets } = await rotate("--retire");
      assert.deepEqual(
        secrets.map(({ use, pins }: Record<string, unknown>) => [use, pins]),
        [["current", 2], ["pepper", 1]],
        "broy has signed before the new one was in use",
      );
      const verified = await dsign("audit", "verify", "--config", config);
      assert.equal(verified.code, 0, verified.stderr);
    } finally {
      await Promise.all(instances.map((each) => each.end("SIGTERM")));
      await mail.close();
      await server.close();
    }
  }));
