/**
 * Drivers that behave oddly: each row is a driver of one token with two keys, and tells what a person gets from it.
 * Whatever the driver does, a typed PIN is at most one C_Login, and the process ends when it is told to.
 */
import assert from "node:assert/strict";
import { verifySignature } from "../formats/x509/signature.ts";
import { Pkcs11Client } from "../pkcs11_ffi/client.ts";
import { ODD_DRIVERS, OK } from "../tests/fakes/odd_drivers.ts";
import { buildFaultDriver } from "../tests/fakes/pkcs11_fault.ts";
import { HOST_COMMAND, makeKeys, PIN, softhsm } from "../tests/fakes/pkcs11_tokens.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { find } from "./certificates.ts";
import { Pkcs11Provider } from "./pkcs11.ts";
import { type KeyInfo, SignerError } from "./provider.ts";

Deno.test("odd drivers", async (t) => {
  await inTempDir(async (dir) => {
    const token = await softhsm(dir, await makeKeys(dir, ["rsa2048", "p256"]));
    const driver = await buildFaultDriver(dir, token);
    for (const row of ODD_DRIVERS) {
      await t.step(row.name, async () => {
        driver.set(...row.faults);
        const hangs = row.problems?.includes("driver_timeout");
        const client = new Pkcs11Client({
          modulePath: driver.modulePath,
          command: HOST_COMMAND,
          env: driver.env,
          timeouts: hangs ? { startMs: 1000 } : {},
        });
        const provider = new Pkcs11Provider([{ name: "odd", client }]);
        const before = driver.logins().length;
        let asked = 0;
        const sign = async (key: KeyInfo | undefined): Promise<string | null> => {
          if (!key) return null;
          const askPin = () => {
            asked++;
            return Promise.resolve(new TextEncoder().encode(PIN));
          };
          try {
            const signer = await provider.open(key, { hash: "SHA-256", askPin });
            try {
              const input = { message: new Uint8Array([1, 2, 3]) };
              const signature = await signer.sign(input);
              // What is signed is verified before it is given out, there as here.
              const { algorithm } = signer;
              return verifySignature(key.certificate, algorithm, input, signature)
                ? OK
                : "signature_invalid";
            } finally {
              await signer.close();
            }
          } catch (error) {
            assert.ok(error instanceof SignerError, `${error}`);
            return error.code;
          }
        };
        const { tokens, keys, problems } = await provider.list();
        const of = (type: string) =>
          keys.find(({ certificate }) => find(certificate).parsed?.publicKey.type === type);
        const signs = [await sign(of("rsa")), await sign(of("ec"))];
        assert.deepEqual(signs, row.signs ?? [OK, OK]);
        assert.deepEqual(problems.map(({ code }) => code), row.problems ?? []);
        if (row.label) assert.equal(tokens[0].label, row.label);
        const unreadable = keys.filter(({ certificate }) => find(certificate).parsed === null);
        assert.equal(unreadable.length, row.unreadable ?? 0);
        const opened = signs.filter((each) => each !== null).length;
        assert.equal(asked, row.asked ?? opened);
        assert.equal(driver.logins().length - before, asked, "one C_Login for each typed PIN");
        await provider.close();
        assert.deepEqual(client.pids, []);
      });
    }
    driver.set(); // ends the daemons
  });
});
