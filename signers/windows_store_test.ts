import assert from "node:assert/strict";
import { type FakeStore, fakeStoreChild } from "../tests/fakes/windows_store_host.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { SignerError } from "./provider.ts";
import { type WindowsStoreOptions, WindowsStoreProvider } from "./windows_store.ts";

const CARD = "Microsoft Smart Card Key Storage Provider";
const MAKER = "Maker Key Storage Provider";
const DIGEST = { digest: new Uint8Array(32) };
const { officers: [anita, bimal], timestampAuthority } = makePki({
  officers: [{ name: "Anita" }, { name: "Bimal" }],
});
type Key = FakeStore["keys"][number];
const key = (der: Uint8Array, provider: string, container = "key"): Key => ({
  der: der.toHex(),
  provider,
  container,
  type: 0,
});
const ANITA = key(anita.certificate.der, MAKER);
const pin = () => Promise.resolve(new TextEncoder().encode("1234"));
const notAsked = () => Promise.reject(new Error("A PIN was asked for."));

async function withStore(
  store: FakeStore,
  options: Partial<WindowsStoreOptions>,
  body: (provider: WindowsStoreProvider) => Promise<void>,
): Promise<void> {
  const provider = new WindowsStoreProvider({
    ...fakeStoreChild(store),
    keys: "hardware",
    pin: "windows",
    ...options,
  });
  try {
    await body(provider);
  } finally {
    await provider.close();
  }
}

Deno.test("keys in hardware are listed, software keys only where that is wanted, and need no PIN", async () => {
  for (
    const [implementation, keys, tokens] of [[9, "hardware", 1], [2, "hardware", 0], [
      2,
      "all",
      1,
    ]] as const
  ) {
    await withStore({ keys: [ANITA], implementation }, { keys }, async (provider) => {
      const listing = await provider.list();
      assert.equal(listing.tokens.length, tokens);
      assert.equal(listing.keys.length, tokens);
      assert.deepEqual(listing.problems, []);
      if (tokens === 0) return;
      const [{ label, windowsAsks, loginRequired }] = listing.tokens;
      assert.equal(label, MAKER);
      assert.equal(windowsAsks, implementation === 9 ? true : undefined);
      assert.equal(loginRequired, implementation === 9 ? undefined : false);
    });
  }
});

Deno.test({
  name: "Windows' own software provider has no process once it is known",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const children = () =>
      [...Deno.readDirSync("/proc")].filter(({ name }) => {
        try {
          const parent = / \(.*\) \S (\d+)/s.exec(Deno.readTextFileSync(`/proc/${name}/stat`))?.[1];
          return Number(parent) === Deno.pid &&
            Deno.readTextFileSync(`/proc/${name}/cmdline`).includes("windows_store_host");
        } catch {
          return false; // no process, or one that has just ended
        }
      }).length;
    const keys = [key(anita.certificate.der, "Microsoft Software Key Storage Provider")];
    await withStore({ keys, implementation: 2 }, {}, async (provider) => {
      for (let i = 0; i < 2; i++) {
        const { tokens, keys, problems } = await provider.list();
        assert.deepEqual([tokens, keys, problems], [[], [], []]);
        assert.equal(children(), 1, "it reads the store");
      }
    });
  },
});

Deno.test("certificates that are for something else than documents are left out", async () => {
  const keys = [ANITA, key(timestampAuthority.certificate.der, MAKER, "tsa")];
  await withStore({ keys }, {}, async (provider) => {
    const { keys } = await provider.list();
    assert.deepEqual(keys.map(({ certificate }) => certificate), [anita.certificate.der]);
  });
});

Deno.test("certificates of tokens that are away are told apart from those that can sign", async () => {
  const cases = [
    ["NCryptOpenKey", 0x8010000C, "token_not_present"],
    ["NCryptOpenKey", 0x80100069, "token_not_present"],
    ["NCryptOpenStorageProvider", 0x80090011, "driver_not_found"],
    ["NCryptOpenKey", 0x8009001D, "driver_not_found"],
    ["NCryptOpenKey", 0x80090029, "mechanism_unsupported"],
    // The card is in use, or wants a dialog first: its key is there.
    ["NCryptOpenKey", 0x8010000B, undefined],
    ["NCryptOpenKey", 0x80090022, undefined],
  ] as const;
  for (const [name, status, missing] of cases) {
    const away = key(bimal.certificate.der, CARD, "away");
    const by = name === "NCryptOpenKey" ? "away" : CARD;
    await withStore(
      { keys: [ANITA, away], faults: { [name]: { [by]: status } } },
      {},
      async (provider) => {
        const { tokens, keys, works } = await provider.list();
        assert.ok(works);
        assert.deepEqual(keys.map(({ hasKey, missing }) => ({ hasKey, missing })), [
          { hasKey: true, missing: undefined },
          { hasKey: missing === undefined, missing },
        ]);
        assert.deepEqual(
          tokens.map(({ label }) => label),
          missing === undefined ? [MAKER, CARD] : [MAKER],
        );
      },
    );
  }
});

Deno.test("a provider that crashes or hangs takes no other with it", async () => {
  for (const [fault, code] of [["crash", "driver_crashed"], ["hang", "driver_timeout"]] as const) {
    const store = {
      keys: [ANITA, key(bimal.certificate.der, CARD, "bad")],
      faults: { NCryptOpenKey: { bad: fault } },
    };
    await withStore(store, { timeouts: { requestMs: 3000 } }, async (provider) => {
      const { tokens, problems } = await provider.list();
      assert.deepEqual(tokens.map(({ label }) => label), [MAKER]);
      assert.deepEqual(problems.map(({ driver, code }) => [driver, code]), [[CARD, code]]);
    });
  }
});

Deno.test("Windows asks for the PIN, unless the provider is Microsoft's and our window is wanted", async () => {
  const keys = [ANITA, key(bimal.certificate.der, CARD)];
  for (const where of ["windows", "window"] as const) {
    await withStore({ keys }, { pin: where }, async (provider) => {
      for (const key of (await provider.list()).keys) {
        const typed = where === "window" && key.token.label === CARD;
        assert.equal(key.token.windowsAsks, typed ? undefined : true);
        const signer = await provider.open(key, {
          hash: "SHA-256",
          askPin: typed ? pin : notAsked,
        });
        assert.deepEqual([...await signer.sign(DIGEST)], [1, 2, 3, 4]);
        await signer.close();
      }
    });
  }
});

Deno.test("a wrong PIN shows at the opening or at the signature, and costs one try", async () => {
  const card = key(anita.certificate.der, CARD);
  const wrong = { "*": 0x8010006B };
  const failure = { code: "pin_incorrect", details: { triesLeft: "unknown" } };
  await withStore(
    { keys: [card], faults: { NCryptSetProperty: wrong } },
    { pin: "window" },
    async (provider) => {
      const [key] = (await provider.list()).keys;
      await assert.rejects(provider.open(key, { hash: "SHA-256", askPin: pin }), failure);
      // The next attempt has a process without the PIN.
      await assert.rejects(provider.open(key, { hash: "SHA-256", askPin: pin }), failure);
    },
  );
  await withStore(
    { keys: [card], faults: { NCryptSignHash: wrong } },
    { pin: "window" },
    async (provider) => {
      const [key] = (await provider.list()).keys;
      const signer = await provider.open(key, { hash: "SHA-256", askPin: pin });
      await Promise.all([1, 2, 3].map(() => assert.rejects(signer.sign(DIGEST), failure)));
      await signer.close();
    },
  );
});

Deno.test("what the person does in the dialog has its own error", async () => {
  const cases = [
    [0x8010006E, "user_cancelled"],
    [0x80090036, "user_cancelled"],
    [0x8010006C, "pin_locked"],
    [0x80100069, "token_removed"],
    ["hang", "consent_timeout"],
    ["crash", "driver_crashed"],
  ] as const;
  for (const [fault, code] of cases) {
    const store = { keys: [ANITA], faults: { NCryptSignHash: { "*": fault } } };
    await withStore(
      store,
      fault === "hang" ? { timeouts: { pinPadMs: 300 } } : {},
      async (provider) => {
        const [key] = (await provider.list()).keys;
        const signer = await provider.open(key, { hash: "SHA-256", askPin: notAsked });
        await assert.rejects(signer.sign(DIGEST), (error) => {
          assert.ok(error instanceof SignerError);
          assert.equal(error.code, code, `${fault}`);
          return true;
        });
        await signer.close();
      },
    );
  }
});

Deno.test("while a key is open its provider is not asked again, and afterwards its process is another", async () => {
  const store = { keys: [ANITA], faults: { NCryptSignHash: { "*": "hang" as const } } };
  await withStore(store, {}, async (provider) => {
    const before = await provider.list();
    const signer = await provider.open(before.keys[0], { hash: "SHA-256", askPin: notAsked });
    const stop = new AbortController();
    const signed = assert.rejects(signer.sign(DIGEST, stop.signal), { code: "request_cancelled" });
    // The dialog stands, and a listing still comes.
    assert.deepEqual(await provider.list(), before);
    await assert.rejects(provider.open(before.keys[0], { hash: "SHA-256", askPin: notAsked }), {
      code: "driver_error",
    });
    stop.abort();
    await signed;
    await signer.close();
    assert.deepEqual(await provider.list(), before);
    const again = await provider.open(before.keys[0], { hash: "SHA-256", askPin: notAsked });
    await again.close();
  });
});

Deno.test("a change in the store is told", async () => {
  await withStore({ keys: [ANITA] }, { watchInterval: 50 }, async (provider) => {
    const list = provider.list.bind(provider);
    let away = false;
    let looked = Promise.withResolvers<void>();
    provider.list = async (signal) => {
      const listing = await list(signal);
      looked.resolve();
      return away ? { ...listing, tokens: [], keys: [] } : listing;
    };
    const changed = Promise.withResolvers<void>();
    let changes = 0;
    const stop = provider.watch(() => {
      changes++;
      changed.resolve();
    });
    for (let i = 0; i < 3; i++) {
      await looked.promise;
      looked = Promise.withResolvers();
    }
    assert.equal(changes, 0);
    away = true;
    await changed.promise;
    stop();
  });
});
