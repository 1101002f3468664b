/** Windows' functions with a store and providers in memory, which fail as they are told. */
import { encodeAddress, encodeDword, encodeText } from "../../windows_ffi/layout.ts";
import type { RawWindows } from "../../windows_ffi/raw.ts";

export interface FakeKey {
  der: Uint8Array<ArrayBuffer>;
  provider: string;
  container: string;
  /** 0: CNG */
  type: number;
  keySpec?: number;
  flags?: number;
}

/** What functions give, by their names: a status of CNG, or the last error of CryptoAPI; 0: it works. */
export type Faults = Record<string, number | ((asked: string) => number)>;

export interface FakeWindows extends RawWindows {
  /** The calls that matter, with what they were given. */
  readonly calls: string[];
  /** PINs as they were given, to see that they are wiped. */
  readonly pins: Uint8Array[];
}

/**
 * @param signature of every key
 * @param implementation NCRYPT_IMPL_* and CRYPT_IMPL_* of every provider
 */
export function fakeWindows(
  keys: readonly FakeKey[],
  faults: Faults = {},
  signature = Uint8Array.of(1, 2, 3, 4),
  implementation = 9,
): FakeWindows {
  const memory = new Map<bigint, Uint8Array<ArrayBuffer>>();
  const addresses = new WeakMap<Uint8Array, bigint>();
  let next = 0x10000n;
  const addressOf = (bytes: Uint8Array<ArrayBuffer>) => {
    const known = addresses.get(bytes);
    if (known) return known;
    const address = next += 0x10000n;
    addresses.set(bytes, address);
    memory.set(address, bytes);
    return address;
  };
  const calls: string[] = [];
  const pins: Uint8Array[] = [];
  let lastError = 0;
  const textOf = (bytes: Uint8Array | null) =>
    bytes ? new TextDecoder("utf-16le").decode(bytes).replace(/\0.*/s, "") : "-";
  const fault = (name: string, asked = "") => {
    const said = faults[name];
    return typeof said === "function" ? said(asked) : said ?? 0;
  };
  /** As CryptoAPI tells: TRUE, or FALSE and the last error. */
  const did = (name: string, asked = "") => {
    lastError = fault(name, asked);
    return lastError === 0 ? 1 : 0;
  };
  const note = (name: string, ...told: unknown[]) => {
    calls.push([name, ...told].join(" "));
  };
  const handle = (out: Uint8Array | null) => out!.set(encodeAddress(next += 0x10000n));
  const contexts = keys.map(({ der }) => {
    const context = new Uint8Array(40);
    context.set(encodeAddress(addressOf(der)), 8);
    context.set(encodeDword(der.length), 16);
    return addressOf(context);
  });
  const windows: FakeWindows = {
    calls,
    pins,
    lastError: () => lastError,
    read: (address, length) => memory.get(address)!.slice(0, length),
    addressOf,
    crypt32: {
      CertOpenStore: (_provider, _encoding, _context, _flags, name) =>
        did("CertOpenStore", textOf(name)) ? 1n : 0n,
      CertCloseStore: () => 1,
      CertEnumCertificatesInStore: (_store, before) => contexts[contexts.indexOf(before) + 1] ?? 0n,
      CertGetIssuerCertificateFromStore: () => 0n,
      CertGetCertificateContextProperty(context, _property, out, length) {
        const { container, provider, type, flags = 0, keySpec = 0xFFFFFFFF } =
          keys[contexts.indexOf(context)];
        const [first, second] = [encodeText(container), encodeText(provider)];
        length!.set(encodeDword(48 + first.length + second.length));
        if (!out) return 1;
        const base = addressOf(out);
        out.set(encodeAddress(base + 48n), 0);
        out.set(encodeAddress(base + 48n + BigInt(first.length)), 8);
        out.set([...encodeDword(type), ...encodeDword(flags)], 16);
        out.set(encodeDword(keySpec), 40);
        out.set([...first, ...second], 48);
        return 1;
      },
      CertFreeCertificateContext: () => 1,
    },
    advapi32: {
      CryptAcquireContextW(out, container, provider, type, flags) {
        note("CryptAcquireContextW", textOf(container), textOf(provider), type, flags.toString(16));
        if (!did("CryptAcquireContextW", textOf(provider))) return 0;
        handle(out);
        return 1;
      },
      CryptReleaseContext: () => 1,
      CryptGetProvParam(_context, _parameter, out) {
        out!.set(encodeDword(implementation));
        return did("CryptGetProvParam");
      },
      CryptSetProvParam(_context, parameter, value) {
        if (parameter === 32 || parameter === 33) pins.push(value!);
        note("CryptSetProvParam", parameter, value!.length);
        return did("CryptSetProvParam");
      },
      CryptGetUserKey(_context, _spec, out) {
        handle(out);
        return did("CryptGetUserKey");
      },
      CryptDestroyKey: () => 1,
      CryptCreateHash(_context, algorithm, _key, _flags, out) {
        handle(out);
        return did("CryptCreateHash", algorithm.toString(16));
      },
      CryptSetHashParam: () => did("CryptSetHashParam"),
      CryptSignHashW(_hash, spec, _text, _flags, out, length) {
        note("CryptSignHashW", spec);
        if (!did("CryptSignHashW")) return 0;
        out!.set(signature);
        length!.set(encodeDword(signature.length));
        return 1;
      },
      CryptDestroyHash: () => 1,
    },
    ncrypt: {
      NCryptOpenStorageProvider(out, name) {
        note("NCryptOpenStorageProvider", textOf(name));
        handle(out);
        return fault("NCryptOpenStorageProvider", textOf(name));
      },
      NCryptOpenKey(_provider, out, name, spec, flags) {
        note("NCryptOpenKey", textOf(name), spec, flags.toString(16));
        handle(out);
        return fault("NCryptOpenKey", textOf(name));
      },
      NCryptGetProperty(_object, _name, out, _size, length) {
        out!.set(encodeDword(implementation));
        length!.set(encodeDword(4));
        return fault("NCryptGetProperty");
      },
      NCryptSetProperty(_object, name, value, size, flags) {
        if (textOf(name) === "SmartCardPin") pins.push(value!);
        note("NCryptSetProperty", textOf(name), size, flags.toString(16));
        return fault("NCryptSetProperty", textOf(name));
      },
      NCryptSignHash(_key, padding, digest, size, out, _room, length, flags) {
        const how = !padding ? "-" : padding.length === 8 ? "PKCS1" : `PSS-${padding[8]}`;
        note("NCryptSignHash", how, digest!.length, size, flags.toString(16));
        out!.set(signature);
        length!.set(encodeDword(signature.length));
        return fault("NCryptSignHash");
      },
      NCryptFreeObject: () => 0,
    },
    user32: {
      CreateWindowExW: () => BigInt(fault("CreateWindowExW")),
      ShowWindow: () => 1,
      DestroyWindow: () => {
        note("DestroyWindow");
        return 1;
      },
    },
  };
  return windows;
}
