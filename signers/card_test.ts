/** A card in one of two readers, through OpenSC and pcscd: found, used, and pulled out at every step. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Signer } from "../formats/signer.ts";
import { verifySignature } from "../formats/x509/signature.ts";
import { Pkcs11Client } from "../pkcs11_ffi/client.ts";
import { cardReader } from "../tests/fakes/card_reader.ts";
import { findModule, makeKeys, PIN, type TestKey } from "../tests/fakes/pkcs11_tokens.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { Pkcs11Provider } from "./pkcs11.ts";
import { type KeyInfo, type Listing, SignerError } from "./provider.ts";

const root = Deno.uid() === 0;
const MESSAGE = { message: new TextEncoder().encode("Pay") };
/** What a person may be told of a card that is pulled out; OpenSC may wait for it, and is ended then. */
const GONE = ["token_removed", "token_not_present", "driver_timeout", "driver_crashed"];
/** Instructions at which the card leaves: GET DATA, VERIFY, GENERAL AUTHENTICATE (SP 800-73-4 Part 2). */
const [READING, LOGGING_IN, SIGNING] = ["cb", "20", "87"];
/** Deno looks for leaks after the whole test. */
const AT_ONCE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };

/** Two readers, what is done at them, and the keys of two cards. */
async function openDesk(t: Deno.TestContext, dir: string, [own, foreign]: TestKey[]) {
  const reader = await cardReader(dir);
  const client = new Pkcs11Client({
    modulePath: findModule(["opensc-pkcs11.so"], "opensc-pkcs11"),
    command: reader.command,
    timeouts: { requestMs: 4000, loginMs: 4000 },
  });
  const provider = new Pkcs11Provider([{ name: "OpenSC", client }]);
  let typed = 0;
  const open = (key: KeyInfo, typing = () => Promise.resolve()) =>
    provider.open(key, {
      hash: "SHA-256",
      askPin: async () => {
        await typing();
        typed++;
        return new TextEncoder().encode(PIN);
      },
    });
  const isGone = (code: string) => GONE.includes(code) || code === "driver_error";
  /** Until the readers have noticed. */
  const listing = async (keys: number): Promise<Listing> => {
    for (;;) {
      const found = await provider.list();
      if (found.keys.length === keys) return found;
      for (const { code } of found.problems) assert.ok(isGone(code), code);
      await new Promise((done) => setTimeout(done, 50));
    }
  };
  const inserted = async (leaveAt?: string): Promise<KeyInfo> => {
    reader.insert(own, { leaveAt });
    return (await listing(1)).keys[0];
  };
  const pullOut = async () => {
    await reader.remove();
    await listing(0);
  };
  /** It ends with a failure that a person can understand. */
  const fails = async (work: Promise<unknown>) => {
    const error = await work.then(() => null, (reason) => reason);
    assert.ok(error instanceof SignerError, `${error}`);
    assert.ok(isGone(error.code), `${error.code}: ${error.message}`);
  };
  const signs = async (signer: Signer, { certificate }: KeyInfo) => {
    const signature = await signer.sign(MESSAGE);
    assert.ok(verifySignature(certificate, signer.algorithm, MESSAGE, signature));
  };
  /** One signature after one PIN. */
  const works = async (key: KeyInfo) => {
    const signer = await open(key);
    await signs(signer, key);
    await signer.close();
  };
  return {
    ...{ own, foreign, reader, provider, open, isGone, listing, inserted, pullOut },
    ...{ fails, signs, works },
    typed: () => typed,
    step: (name: string, fn: () => Promise<void>) => t.step({ name, fn, ...AT_ONCE }),
    async close() {
      await provider.close();
      await reader.close();
    },
  };
}

type Desk = Awaited<ReturnType<typeof openDesk>>;

/** Done at the same time, with separate readers: most of it is waiting for readers and for OpenSC. */
const DESKS = {
  "up to the login": async (
    { fails, inserted, isGone, open, own, provider, pullOut, reader, step, works }: Desk,
  ) => {
    await step("two readers without a card have no token", async () => {
      const { tokens, problems, works } = await provider.list();
      assert.deepEqual([tokens, problems, works], [[], [], true]);
    });

    await step("its key signs after one PIN, a wrong one is given once", async () => {
      const key = await inserted();
      assert.ok(own.certificate.raw.equals(key.certificate));
      assert.equal(key.token.label, "p256");
      const wrong = () => Promise.resolve(new TextEncoder().encode("00000000"));
      const code = await provider.open(key, { hash: "SHA-256", askPin: wrong })
        .catch((error) => error.code);
      assert.deepEqual([code, reader.pins()], ["pin_incorrect", ["wrong"]]);
      await works(key);
      // OpenSC itself may repeat a PIN that was right.
      assert.deepEqual([...new Set(reader.pins().slice(1))], ["right"]);
      await pullOut();
    });

    await step("pulled out while it is listed", async () => {
      let isIn = true;
      reader.insert(own, { leaveAt: READING }).then(() => isIn = false);
      while (isIn) {
        const { keys, problems } = await provider.list();
        assert.deepEqual(keys, []);
        for (const { code } of problems) assert.ok(isGone(code), code);
      }
      await pullOut();
    });

    await step("pulled out while the PIN is typed", async () => {
      const key = await inserted();
      await fails(open(key, () => reader.remove()));
      await pullOut();
    });

    await step("pulled out at the login", async () => {
      await fails(open(await inserted(LOGGING_IN)));
      await pullOut();
    });
  },

  "while it signs": async ({ fails, inserted, open, pullOut, reader, signs, step }: Desk) => {
    await step("pulled out between the login and the signature", async () => {
      const signer = await open(await inserted());
      await reader.remove();
      await fails(signer.sign(MESSAGE));
      await signer.close();
      await pullOut();
    });

    await step("pulled out while it signs", async () => {
      const key = await inserted(SIGNING);
      const signer = await open(key);
      await fails(signer.sign(MESSAGE));
      await signer.close();
      await pullOut();
    });

    await step("pulled out between two signatures of a batch", async () => {
      const key = await inserted();
      const signer = await open(key);
      await signs(signer, key);
      await reader.remove();
      await fails(signer.sign(MESSAGE));
      await fails(signer.sign(MESSAGE));
      await signer.close();
      await pullOut();
    });
  },

  "put back": async (
    { fails, inserted, listing, open, pullOut, signs, step, typed, works }: Desk,
  ) => {
    await step("pulled out after the signature, and put back", async () => {
      const key = await inserted();
      const signer = await open(key);
      await signs(signer, key);
      await pullOut();
      await signer.close();
      await works(await inserted());
    });

    await step("put back while a login is open: that login does not sign", async () => {
      const signer = await open((await listing(1)).keys[0]);
      await pullOut();
      await inserted();
      const before = typed();
      await fails(signer.sign(MESSAGE));
      assert.equal(typed(), before);
      await signer.close();
      await pullOut();
    });
  },

  "another card, and two": async (
    { fails, foreign, inserted, listing, open, own, pullOut, reader, step, typed, works }: Desk,
  ) => {
    await step(
      "another card in its place: neither signs for the other",
      async () => {
        const key = await inserted();
        const signer = await open(key);
        await pullOut();
        reader.insert(foreign);
        const { keys: [other] } = await listing(1);
        assert.ok(foreign.certificate.raw.equals(other.certificate));
        await fails(signer.sign(MESSAGE));
        await signer.close();
        const before = typed();
        await fails(open(key));
        assert.equal(typed(), before, "nobody types a PIN for another card");
        await works(other);
      },
    );

    await step("a card in each reader: each signs with its own PIN", async () => {
      reader.insert(own, { reader: 1 });
      const { keys } = await listing(2);
      assert.equal(new Set(keys.map(({ token }) => token.uri)).size, 2);
      for (const key of keys) await works(key);
    });
  },
};

Deno.test({
  name: `a card in a reader${root ? "" : " (optional: needs root)"}`,
  ignore: !root,
  fn: (t) =>
    inTempDir(async (dir) => {
      const keys = await Promise.all(["one", "other"].map(async (name) => {
        await Deno.mkdir(join(dir, name));
        return (await makeKeys(join(dir, name), ["p256"]))[0];
      }));
      await Promise.all(
        Object.entries(DESKS).map(([name, work]) =>
          t.step({
            name,
            ...AT_ONCE,
            async fn(t) {
              await Deno.mkdir(join(dir, name));
              const desk = await openDesk(t, join(dir, name), keys);
              try {
                await work(desk);
                const wrong = desk.reader.pins().filter((each) => each === "wrong");
                assert.equal(wrong.length, work === DESKS["up to the login"] ? 1 : 0);
              } finally {
                await desk.close();
              }
            },
          })
        ),
      );
    }),
});
