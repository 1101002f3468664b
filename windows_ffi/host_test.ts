import assert from "node:assert/strict";
import type { Request } from "../pkcs11_ffi/messages.ts";
import { type FakeKey, fakeWindows, type Faults } from "../tests/fakes/raw_windows.ts";
import { StoreHost } from "./host.ts";

const DER = Uint8Array.of(0x30, 3, 2, 1, 1);
const DIGEST = new Uint8Array(32);
const CARD = "Microsoft Smart Card Key Storage Provider";
const OLD_CARD = "Microsoft Base Smart Card Crypto Provider";
const WRONG_CHV = 0x8010006B;
const CNG: FakeKey = { der: DER, provider: CARD, container: "key", type: 0 };
const CSP: FakeKey = { der: DER, provider: OLD_CARD, container: "key", type: 1, keySpec: 2 };
const uri = (provider: string) =>
  `pkcs11:token=${encodeURIComponent(provider)};model=Windows%20store`;

/** A host over a fake Windows, with the key of its first certificate opened. */
function opened(
  stored: FakeKey,
  faults: Faults = {},
  type: "rsa" | "ec" = "rsa",
  signature?: Uint8Array<ArrayBuffer>,
) {
  const windows = fakeWindows([stored], faults, signature);
  const host = new StoreHost(windows);
  const ask = (request: Request, blob = new Uint8Array()) => host.answer(request, blob);
  const session = ask({ op: "open", token: uri(stored.provider) }).value as number;
  const publicKey = { type, bits: type === "ec" ? 256 : 2048 };
  const { key } = ask({ op: "key", session, certificate: true, publicKey }, stored.der).value as {
    key: number;
  };
  windows.calls.length = 0;
  const scheme = type === "ec" ? "ECDSA" : "RSASSA-PKCS1-v1_5";
  const sign = (more: Partial<Extract<Request, { op: "sign" }>> = {}, data = DIGEST) =>
    ask({ op: "sign", session, key, scheme, hash: "SHA-256", input: "digest", ...more }, data).blob;
  const login = (pin: string) =>
    ask({ op: "login", session, pin: true }, new TextEncoder().encode(pin));
  return { windows, ask, session, sign, login };
}

/** Of the only certificate: how a look at its key ends. */
function seen(stored: FakeKey, faults: Faults, implementation?: number) {
  const windows = fakeWindows([stored], faults, undefined, implementation);
  const { value } = new StoreHost(windows).answer(
    { op: "certificates", token: uri(stored.provider) },
    new Uint8Array(),
  );
  const [{ key }] = value as [{ key: { hardware: boolean; failure?: { code: string } } }];
  return { hardware: key.hardware, code: key.failure?.code, calls: windows.calls };
}

Deno.test("each provider that a certificate names is a token, and none of them is loaded for the list", () => {
  const windows = fakeWindows([CNG, { ...CNG, container: "other" }, CSP]);
  const { value } = new StoreHost(windows).answer({ op: "tokens" }, new Uint8Array());
  assert.deepEqual((value as { uri: string }[]).map(({ uri }) => uri), [uri(CARD), uri(OLD_CARD)]);
  assert.deepEqual(windows.calls, []);
});

Deno.test("a person without a store has no tokens; a store that cannot be opened is an error", () => {
  const tokens = (status: number) =>
    new StoreHost(fakeWindows([], { CertOpenStore: status }))
      .answer({ op: "tokens" }, new Uint8Array()).value;
  assert.deepEqual(tokens(2), []);
  assert.throws(() => tokens(5), {
    code: "driver_error",
    functionName: "CertOpenStore: 0x00000005",
  });
});

Deno.test("looking at a key is silent, and asks for no PIN and no signature", () => {
  assert.deepEqual(seen(CNG, {}).calls, [
    `NCryptOpenStorageProvider ${CARD}`,
    "NCryptOpenKey key 0 40",
  ]);
  assert.deepEqual(seen(CSP, {}).calls, [`CryptAcquireContextW key ${OLD_CARD} 1 40`]);
  // The keys of the computer are opened as such.
  assert.ok(seen({ ...CNG, flags: 0x20 }, {}).calls.includes("NCryptOpenKey key 0 60"));
});

Deno.test("a key is in hardware unless its provider says that it is software", () => {
  for (
    const [implementation, hardware] of [[1, true], [2, false], [3, true], [4, true], [9, true], [
      0x22,
      false,
    ]] as const
  ) {
    for (const key of [CNG, CSP]) assert.equal(seen(key, {}, implementation).hardware, hardware);
  }
  for (const [key, fault] of [[CNG, "NCryptGetProperty"], [CSP, "CryptGetProvParam"]] as const) {
    assert.equal(seen(key, { [fault]: 5 }, 2).hardware, true, "it does not tell");
  }
});

Deno.test("why a key cannot be used is told, of hardware and software alike", () => {
  const cases: [key: FakeKey, faults: Faults, code: string | undefined, implementation?: number][] =
    [
      [CNG, { NCryptOpenKey: 0x8010000C }, "token_not_present"],
      // Another token is in.
      [CNG, { NCryptOpenKey: 0x80090016 }, "token_not_present"],
      [CNG, { NCryptOpenKey: 0x80090016 }, "key_not_found", 2],
      [CNG, { NCryptOpenStorageProvider: 0x80090011 }, "driver_not_found"],
      // It is there, and its provider wants to ask the person first.
      [CNG, { NCryptOpenKey: 0x80090022 }, undefined],
      [CSP, { CryptAcquireContextW: 0x80100069 }, "token_removed"],
      [CSP, { CryptAcquireContextW: 0x80090019 }, "driver_not_found"],
      // Some providers give a context without the token.
      [CSP, { CryptGetUserKey: 0x8009000D }, "token_not_present"],
      [CSP, { CryptCreateHash: (asked) => asked === "800c" ? 0x80090008 : 0 }, "driver_sha1_only"],
    ];
  for (const [key, faults, code, implementation] of cases) {
    assert.equal(seen(key, faults, implementation).code, code, JSON.stringify(faults));
  }
});

Deno.test("a key of Windows' older software providers opens in the one that knows SHA-2", () => {
  let asked = 0;
  // The first provider does not know it, the second one does.
  const weak = () => asked++ === 0 ? 0x80090008 : 0;
  const { code, calls } = seen(CSP, { CryptCreateHash: weak }, 2);
  assert.equal(code, undefined);
  assert.deepEqual(calls, [
    `CryptAcquireContextW key ${OLD_CARD} 1 40`,
    "CryptAcquireContextW key - 24 40",
  ]);
});

Deno.test("a CNG key is opened again to ask the person, once, and signs with one call", () => {
  const { windows, sign } = opened(CNG, { CreateWindowExW: 7 });
  sign({ pinPad: true });
  assert.deepEqual(windows.calls, [
    `NCryptOpenStorageProvider ${CARD}`,
    "NCryptSetProperty HWND Handle 8 0",
    "NCryptOpenKey key 0 0",
    "NCryptSetProperty HWND Handle 8 0",
    "NCryptSignHash PKCS1 32 32 2",
    "DestroyWindow",
  ]);
  windows.calls.length = 0;
  sign({ pinPad: true, scheme: "RSASSA-PSS" });
  assert.deepEqual(windows.calls, [
    "NCryptSetProperty HWND Handle 8 0",
    "NCryptSignHash PSS-32 32 32 8",
    "DestroyWindow",
  ]);
});

Deno.test("a key whose provider wants to ask before it opens it is opened when it signs", () => {
  // Silently (0x40) it does not open.
  for (
    const [key, name, loud] of [
      [CNG, "NCryptOpenKey", "NCryptOpenKey key 0 0"],
      [CSP, "CryptAcquireContextW", `CryptAcquireContextW key ${OLD_CARD} 1 0`],
    ] as const
  ) {
    let asked = 0;
    const { windows, sign } = opened(key, { [name]: () => asked++ === 0 ? 0x80090022 : 0 });
    sign({ pinPad: true });
    assert.ok(windows.calls.includes(loud), windows.calls.join("\n"));
  }
});

Deno.test("with a PIN from our window nothing else is asked, and its copy is wiped", () => {
  for (
    const [key, call] of [[CNG, "NCryptSetProperty SmartCardPin 10 40"], [
      CSP,
      "CryptSetProvParam 33 5",
    ]] as const
  ) {
    const { windows, sign, login } = opened(key);
    login("1234");
    sign();
    assert.equal(windows.calls[0], call);
    assert.match(windows.calls[1], /^NCryptSignHash .* 42$|^CryptSignHashW 2$/);
    assert.deepEqual(windows.pins.map((pin) => pin.some((byte) => byte !== 0)), [false]);
  }
});

Deno.test("a PIN that providers would read in different ways is refused before it costs a try", () => {
  for (const pin of ["", "পিন", "12\n34", "é234"]) {
    const { windows, login } = opened(CNG);
    assert.throws(() => login(pin), { code: "pin_length" });
    assert.deepEqual(windows.calls, []);
  }
});

Deno.test("a wrong PIN may show when it is given or when the key signs, and is tried once", () => {
  const early = opened(CNG, { NCryptSetProperty: WRONG_CHV });
  assert.throws(() => early.login("1234"), { code: "pin_incorrect", triesLeft: "unknown" });
  for (const [key, name] of [[CNG, "NCryptSignHash"], [CSP, "CryptSignHashW"]] as const) {
    for (
      const [status, code] of [[WRONG_CHV, "pin_incorrect"], [0x8010006C, "pin_locked"], [
        0x8010006E,
        "cancelled",
      ]] as const
    ) {
      const { windows, sign } = opened(key, { [name]: status });
      const signed = () => windows.calls.filter((call) => call.startsWith(name)).length;
      for (let i = 0; i < 3; i++) assert.throws(() => sign({ pinPad: true }), { code });
      assert.equal(signed(), 1, `${name} ${code}`);
    }
  }
  // Another failure may pass.
  const passing = opened(CNG, { NCryptSignHash: 0x80100068 });
  for (let i = 0; i < 2; i++) assert.throws(() => passing.sign(), { code: "device_error" });
  assert.equal(passing.windows.calls.length, 2);
});

Deno.test("a PIN with which nothing was signed yet is not tried again after any failure", () => {
  for (const [key, name] of [[CNG, "NCryptSignHash"], [CSP, "CryptSignHashW"]] as const) {
    const { windows, sign, login } = opened(key, { [name]: 0x80100068 });
    const signed = () => windows.calls.filter((call) => call.startsWith(name)).length;
    login("1234");
    for (let i = 0; i < 3; i++) assert.throws(() => sign(), { code: "device_error" });
    assert.equal(signed(), 1);
  }
  // Once it has signed, another failure may pass.
  const fails = [0, 0x80100068, 0];
  const { sign, login } = opened(CNG, { NCryptSignHash: () => fails.shift()! });
  login("1234");
  sign();
  assert.throws(() => sign(), { code: "device_error" });
  sign();
});

Deno.test("signatures come as formats want them: RSA big-endian, ECDSA as DER", () => {
  const raw = Uint8Array.of(1, 2, 0x83, 4);
  assert.deepEqual(opened(CNG, {}, "rsa", raw).sign(), raw);
  assert.deepEqual(opened(CSP, {}, "rsa", raw).sign(), Uint8Array.of(4, 0x83, 2, 1));
  assert.deepEqual(
    opened(CNG, {}, "ec", raw).sign(),
    Uint8Array.fromHex("300902020102020300" + "8304"),
  );
});

Deno.test("a message is hashed here; a digest of another length is refused", () => {
  const { windows, sign } = opened(CNG);
  sign({ input: "message", hash: "SHA-384" }, new Uint8Array(1000));
  assert.equal(windows.calls[0], "NCryptSignHash PKCS1 48 48 42");
  assert.throws(() => sign({}, new Uint8Array(31)), { code: "input_invalid" });
  // P-256 signs the first 32 bytes of a longer digest.
  const ec = opened(CNG, {}, "ec");
  ec.sign({ hash: "SHA-512" }, new Uint8Array(64));
  assert.equal(ec.windows.calls[0], "NCryptSignHash - 32 32 40");
});

Deno.test("a CSP makes no PSS signatures, and a session ends with its keys", () => {
  const { ask, session, sign } = opened(CSP);
  assert.throws(() => sign({ scheme: "RSASSA-PSS" }), { code: "mechanism_unsupported" });
  assert.equal(ask({ op: "close", session }).value, true);
  assert.throws(() => sign(), { code: "user_not_logged_in" });
  assert.throws(() => ask({ op: "login", session, pin: true }), { code: "user_not_logged_in" });
});

Deno.test("only what is in the store can be opened", () => {
  const host = new StoreHost(fakeWindows([CNG]));
  const ask = (request: Request, blob = new Uint8Array()) => host.answer(request, blob);
  const session = ask({ op: "open", token: uri(CARD) }).value as number;
  const publicKey = { type: "rsa", bits: 2048 } as const;
  const key = (der: Uint8Array<ArrayBuffer>) => () =>
    ask({ op: "key", session, certificate: true, publicKey }, der);
  assert.throws(key(DER.slice(0, 4)), { code: "key_not_found" });
  assert.throws(() => ask({ op: "open", token: "pkcs11:token=Another" }), {
    code: "token_not_found",
  });
  assert.throws(() => ask({ op: "setPin", session }), { code: "driver_error" });
});
