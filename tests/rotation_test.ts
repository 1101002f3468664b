/** Secrets and keys are replaced by the real command while two instances on PostgreSQL serve. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { readCrl } from "../formats/x509/crl.ts";
import { readOtpConfig } from "../otp_service/config.ts";
import { initService } from "../otp_service/init.ts";
import { clientBySecret } from "../otp_service/service.ts";
import { OIDS } from "../protocol/csc.ts";
import { finish, inTempDir } from "./fixtures/openssl.ts";
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
      const alone = await dsign("rotate", "secret", "--config", config, "--now");
      assert.match(alone.stderr, /--now goes with --retire/);
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

Deno.test("the authority's key and a portal's secret are rotated, and both are good meanwhile", () =>
  inTempDir(async (dir) => {
    const mail = await mailServer();
    try {
      const { config, secret } = await initialise(dir, mail.port, {});
      const folder = dirname(config);
      const rotate = async (...args: string[]) => {
        const done = await dsign("rotate", ...args, "--config", config, "--json");
        assert.equal(done.code, 0, done.stderr);
        return JSON.parse(done.stdout);
      };
      /** Signs; gives the certificate, and what the service publishes of its issuer. */
      const sign = async (instance: Instance, token: string, id: string, label: string) => {
        const hash = hashOf(label);
        await instance.call("/csc/v2/credentials/getChallenge", challenge(id, hash), token);
        const given = authorization(id, mail.lastOtp(), hash);
        const { body: { SAD } } = await instance.call(
          "/csc/v2/credentials/authorize",
          given,
          token,
        );
        const { status, body } = await instance.call("/csc/v2/signatures/signDoc", {
          credentialID: id,
          SAD,
          documentDigests: [{
            hashes: [hash],
            hashAlgorithmOID: OIDS.sha256,
            signature_format: "C",
          }],
          returnValidationInfo: true,
        }, token);
        assert.equal(status, 200, JSON.stringify(body));
        const [der, ...chain] = body.validationInfo.certificates.map((each: string) =>
          Uint8Array.fromBase64(each)
        );
        const read = readCertificate(der);
        const [crl] = read.crlUrls;
        const published = await fetch(`http://127.0.0.1:${instance.port}${new URL(crl).pathname}`);
        const file = (name: string) => join(dir, `${label}.${name}`);
        await Deno.writeTextFile(file("pem"), pem("CERTIFICATE", der));
        await Deno.writeTextFile(file("ca"), pem("CERTIFICATE", chain[0]));
        const list = pem("X509 CRL", new Uint8Array(await published.arrayBuffer()));
        await Deno.writeTextFile(file("crl"), list);
        const args = ["-crl_check", "-CAfile", file("ca"), "-CRLfile", file("crl"), file("pem")];
        return { read, crl, judge: () => finish("openssl", { args: ["verify", ...args] }) };
      };
      let instance = await Instance.start(config);
      const token = await instance.token(secret);
      const stored = await enrol(instance, token, mail.mails, "asen", { kind: "stored" });
      const before = await sign(instance, token, stored, "before");
      assert.equal((await before.judge()).code, 0);
      await instance.end("SIGTERM");

      const { certificateFile } = await rotate("authority", "--prepare");
      const refused = async (...args: string[]) =>
        (await dsign("rotate", "authority", ...args, "--config", config)).stderr;
      assert.match(await refused("--prepare"), /authority-2\.password exists already/);
      const keyFile = certificateFile.replace(".pem", ".p12");
      assert.match(await refused("--use", keyFile), /--use takes the certificate/);
      const passwordFile = certificateFile.replace(".pem", ".password");
      const password = await Deno.readTextFile(passwordFile);
      await Deno.writeTextFile(passwordFile, "another");
      assert.match(await refused("--use", certificateFile), /authority-2\.p12: /);
      await Deno.writeTextFile(passwordFile, password);
      await rotate("authority", "--use", certificateFile);
      await rotate("authority", "--use", certificateFile); // as after an interruption
      const { clientSecret } = await rotate("client", "portal");
      const changed = JSON.parse(await Deno.readTextFile(config));
      assert.equal(changed.earlierAuthorities.length, 1);
      instance = await Instance.start(config);
      const newToken = await instance.token(clientSecret);
      assert.ok(newToken && await instance.token(secret), "the old secret is good too");
      const old = await sign(instance, newToken, stored, "old");
      assert.deepEqual([old.crl, (await old.judge()).code], [before.crl, 0]);
      const { stdout } = await dsign(
        ...["user", "add-credential", "asen", "--explicit"],
        "--json",
        "--config",
        config,
      );
      const next = await sign(instance, newToken, JSON.parse(stdout).credentialID, "next");
      assert.equal((await next.judge()).code, 0);
      assert.match(next.read.issuer.commonName!, / PIN\/OTP 2$/);
      assert.notEqual(next.crl, before.crl);
      const serial = old.read.serialNumber.toHex();
      const revoked = await instance.call(`/portal/v1/certificates/${serial}/revoke`, {
        reason: "superseded",
      }, newToken);
      assert.deepEqual(revoked.body, { revoked: true });
      const lists = [old, next].map(async ({ crl, read: { issuer } }) => {
        const answer = await fetch(`http://127.0.0.1:${instance.port}${new URL(crl).pathname}`);
        const list = readCrl(new Uint8Array(await answer.arrayBuffer()));
        return list.find(issuer, old.read.serialNumber) !== undefined;
      });
      assert.deepEqual(await Promise.all(lists), [true, false], "each key's list has its own");
      await instance.end("SIGTERM");

      await rotate("client", "portal", "--retire");
      instance = await Instance.start(config);
      assert.deepEqual(
        [await instance.token(secret), typeof await instance.token(clientSecret)],
        [undefined, "string"],
      );
      await instance.end("SIGTERM");
      assert.deepEqual((await Deno.stat(join(folder, "authority-2.p12"))).mode! & 0o777, 0o600);
    } finally {
      await mail.close();
    }
  }));

Deno.test("a portal's rotation that stopped half-way leaves its old secret good, and is done by running it again", () =>
  inTempDir(async (dir) => {
    const { clientId, clientSecret } = await initService(join(dir, "service"), {
      organization: "Works (TEST)",
      policy: "2.999.6.1",
      publicUrl: "http://127.0.0.1:7795",
      redirectUris: [],
      instances: 2,
    });
    const [one, two, missing] = ["1", "2", "3"].map((name) => join(dir, "service", `${name}.json`));
    const rotate = (also: string, ...more: string[]) =>
      dsign("rotate", "client", clientId, "--config", one, "--also", also, "--json", ...more);
    const goodAt = async (config: string, secret: string) =>
      clientBySecret(await readOtpConfig(config), clientId, secret) !== null;

    const untouched = await Deno.readTextFile(one);
    assert.notEqual((await rotate(missing)).code, 0);
    assert.equal(await Deno.readTextFile(one), untouched, "all files are looked at first");

    const before = await Deno.readTextFile(two);
    const lost = JSON.parse((await rotate(two)).stdout).clientSecret;
    await Deno.writeTextFile(two, before); // it was killed between the two
    const early = await rotate(two, "--retire");
    assert.match(early.stdout, /rotate it again first/);
    const again = JSON.parse((await rotate(two)).stdout).clientSecret;
    for (const config of [one, two]) {
      assert.deepEqual(
        await Promise.all([clientSecret, lost, again].map((each) => goodAt(config, each))),
        [true, false, true],
      );
    }
    assert.equal((await rotate(two, "--retire")).code, 0);
    for (const config of [one, two]) {
      assert.deepEqual(
        await Promise.all([clientSecret, again].map((each) => goodAt(config, each))),
        [false, true],
      );
    }
  }));
