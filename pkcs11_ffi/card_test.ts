/** A card in one of two readers, through OpenSC and pcscd: found, used, and pulled out at every step. */
import assert from "node:assert/strict";
import { verify } from "node:crypto";
import { cardReader } from "../tests/fakes/card_reader.ts";
import { findModule, makeKeys, PIN } from "../tests/fakes/pkcs11_tokens.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { Pkcs11Client, Pkcs11Error, type Pkcs11Session } from "./client.ts";

const root = Deno.uid() === 0;
const bytes = (text: string) => new TextEncoder().encode(text);
const REQUEST = { scheme: "ECDSA", hash: "SHA-256", input: "message", data: bytes("Pay") } as const;

Deno.test({
  name: `a card in a reader${root ? "" : " (optional: needs root)"}`,
  ignore: !root,
  fn: (t) =>
    inTempDir(async (dir) => {
      const [key] = await makeKeys(dir, ["p256"]);
      const reader = await cardReader(dir, key);
      const modulePath = findModule(["opensc-pkcs11.so"], "opensc-pkcs11");
      const client = new Pkcs11Client({
        modulePath,
        command: reader.command,
        // OpenSC may wait for a card that has gone; then its process is ended, and another one finds the readers.
        timeouts: { requestMs: 4000 },
      });
      /** Until the readers have noticed. */
      const noticed = async (count: number) => {
        for (;;) {
          const tokens = await client.tokens().catch((error) => {
            assert.equal(error.code, "driver_timeout");
            return null;
          });
          if (tokens?.length === count) return tokens;
          await new Promise((done) => setTimeout(done, 50));
        }
      };
      const insert = async () => {
        reader.insert();
        return (await noticed(1))[0];
      };
      try {
        await t.step("two readers without a card have no token", async () => {
          assert.deepEqual(await client.tokens(), []);
        });

        await t.step("its certificate is seen, and its key signs after one PIN", async () => {
          const { uri, removable, slotDescription, label } = await insert();
          assert.equal(removable, true);
          assert.match(slotDescription, /^Virtual PCD 00 00/);
          assert.equal(label, "p256");
          const [certificate] = await client.certificates(uri);
          assert.ok(key.certificate.raw.equals(certificate.der));
          const session = await client.openSession(uri);
          const wrong = await session.login(bytes("00000000")).catch((error) => error);
          assert.deepEqual([wrong.code, reader.pins()], ["pin_incorrect", ["wrong"]]);
          await session.login(bytes(PIN));
          const found = await session.key({ id: certificate.id, certificate: certificate.der });
          const signature = await found.sign(REQUEST);
          assert.ok(verify("sha256", REQUEST.data, key.certificate.publicKey, signature));
          await session.close();
          // OpenSC itself may repeat a PIN that was right.
          assert.deepEqual([...new Set(reader.pins().slice(1))], ["right"]);
          await reader.remove();
          await noticed(0);
        });

        const steps: [name: string, step: (uri: string, session: Pkcs11Session) => unknown][] = [
          ["session", (uri) => client.openSession(uri)],
          ["login", (_, session) => session.login(bytes(PIN))],
          ["signature", async (_, session) => {
            const found = await session.key({ certificate: key.certificate.raw });
            await reader.remove();
            await noticed(0);
            await found.sign(REQUEST);
          }],
        ];
        for (const [i, [name, step]] of steps.entries()) {
          await t.step(`pulled out before the ${name}`, async () => {
            const { uri } = await insert();
            const session = await client.openSession(uri);
            if (i > 1) await session.login(bytes(PIN));
            if (name !== "signature") {
              await reader.remove();
              await noticed(0);
            }
            const error = await Promise.resolve(step(uri, session)).then(() => null, (e) => e);
            assert.ok(error instanceof Pkcs11Error, `${error}`);
            const missed = ["token_removed", "token_not_present", "token_not_found"];
            const ended = ["driver_timeout", "user_not_logged_in"];
            assert.ok(
              [...missed, ...ended].includes(error.code),
              `${error.code}: ${error.message}`,
            );
            await session.close();
            await noticed(0);
          });
        }
      } finally {
        await client.close();
        await reader.close();
      }
    }),
});
