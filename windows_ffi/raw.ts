/**
 * The other unsafe file (beside pkcs11_ffi/raw.ts): functions of Windows as C has them, and reading at an address.
 * Nothing is checked here but that the functions are there.
 */
import { Pkcs11Error } from "../pkcs11_ffi/error.ts";

/** Handles and addresses are 64-bit numbers. BOOL, DWORD and SECURITY_STATUS are given as unsigned 32-bit numbers. */
const FUNCTIONS = {
  "crypt32.dll": {
    CertOpenStore: [["u64", "u32", "u64", "u32", "buffer"], "u64"],
    CertCloseStore: [["u64", "u32"], "u32"],
    CertEnumCertificatesInStore: [["u64", "u64"], "u64"],
    CertGetIssuerCertificateFromStore: [["u64", "u64", "u64", "buffer"], "u64"],
    CertGetCertificateContextProperty: [["u64", "u32", "buffer", "buffer"], "u32"],
    CertFreeCertificateContext: [["u64"], "u32"],
  },
  "advapi32.dll": {
    CryptAcquireContextW: [["buffer", "buffer", "buffer", "u32", "u32"], "u32"],
    CryptReleaseContext: [["u64", "u32"], "u32"],
    CryptGetProvParam: [["u64", "u32", "buffer", "buffer", "u32"], "u32"],
    CryptSetProvParam: [["u64", "u32", "buffer", "u32"], "u32"],
    CryptGetUserKey: [["u64", "u32", "buffer"], "u32"],
    CryptDestroyKey: [["u64"], "u32"],
    CryptCreateHash: [["u64", "u32", "u64", "u32", "buffer"], "u32"],
    CryptSetHashParam: [["u64", "u32", "buffer", "u32"], "u32"],
    CryptSignHashW: [["u64", "u32", "buffer", "u32", "buffer", "buffer"], "u32"],
    CryptDestroyHash: [["u64"], "u32"],
  },
  "ncrypt.dll": {
    NCryptOpenStorageProvider: [["buffer", "buffer", "u32"], "u32"],
    NCryptOpenKey: [["u64", "buffer", "buffer", "u32", "u32"], "u32"],
    NCryptGetProperty: [["u64", "buffer", "buffer", "u32", "buffer", "u32"], "u32"],
    NCryptSetProperty: [["u64", "buffer", "buffer", "u32", "u32"], "u32"],
    NCryptSignHash: [
      ["u64", "buffer", "buffer", "u32", "buffer", "u32", "buffer", "u32"],
      "u32",
    ],
    NCryptFreeObject: [["u64"], "u32"],
  },
  "user32.dll": {
    CreateWindowExW: [
      [
        ...["u32", "buffer", "buffer", "u32"] as const,
        ...["i32", "i32", "i32", "i32"] as const,
        ...["u64", "u64", "u64", "u64"] as const,
      ],
      "u64",
    ],
    ShowWindow: [["u64", "i32"], "u32"],
    DestroyWindow: [["u64"], "u32"],
  },
} as const;

type Libraries = typeof FUNCTIONS;
type Value<T> = T extends "buffer" ? Uint8Array<ArrayBuffer> | null
  : T extends "u64" ? bigint
  : number;
type Arguments<P extends readonly unknown[]> = { -readonly [I in keyof P]: Value<P[I]> };
type FunctionsOf<L> = {
  readonly [F in keyof L]: L[F] extends readonly [infer P extends readonly unknown[], infer R]
    ? (...args: Arguments<P>) => Value<R>
    : never;
};

/** What the safe layer needs of Windows. Every function blocks until Windows returns. */
export interface RawWindows {
  readonly crypt32: FunctionsOf<Libraries["crypt32.dll"]>;
  readonly advapi32: FunctionsOf<Libraries["advapi32.dll"]>;
  readonly ncrypt: FunctionsOf<Libraries["ncrypt.dll"]>;
  readonly user32: FunctionsOf<Libraries["user32.dll"]>;
  /** Error of the last function that returned FALSE or NULL. */
  lastError(): number;
  /** A copy of what lies at an address. */
  read(address: bigint, length: number): Uint8Array<ArrayBuffer>;
  /** Where these bytes lie. They stay there as long as they are reachable. */
  addressOf(bytes: Uint8Array<ArrayBuffer>): bigint;
}

/** Characters of the longest path (MAX_PATH). */
const MAX_PATH = 260;

/**
 * Loads Windows' libraries, each when it is first needed, from System32 alone.
 *
 * @throws {Pkcs11Error} `driver_load_failed`, here or when a library is first needed
 */
export function openWindows(): RawWindows {
  // Loaded in every process, so this name cannot mean another file.
  const kernel32 = load("kernel32.dll", {
    GetLastError: { parameters: [], result: "u32" },
    GetSystemDirectoryW: { parameters: ["buffer", "u32"], result: "u32" },
  });
  const path = new Uint8Array(2 * MAX_PATH);
  const length = kernel32.GetSystemDirectoryW(path, MAX_PATH);
  const system32 = new TextDecoder("utf-16le").decode(path.subarray(0, 2 * length));
  const library = <L extends keyof Libraries>(name: L): FunctionsOf<Libraries[L]> => {
    const functions = Object.entries(FUNCTIONS[name]) as [string, readonly [unknown, unknown]][];
    const symbols = Object.fromEntries(
      functions.map(([name, [parameters, result]]) => [name, { parameters, result }]),
    ) as Deno.ForeignLibraryInterface;
    return load(`${system32}\\${name}`, symbols) as FunctionsOf<Libraries[L]>;
  };
  const loaded = new Map<keyof Libraries, unknown>();
  const once = <L extends keyof Libraries>(name: L) => {
    if (!loaded.has(name)) loaded.set(name, library(name));
    return loaded.get(name) as FunctionsOf<Libraries[L]>;
  };
  return {
    get crypt32() {
      return once("crypt32.dll");
    },
    get advapi32() {
      return once("advapi32.dll");
    },
    get ncrypt() {
      return once("ncrypt.dll");
    },
    get user32() {
      return once("user32.dll");
    },
    lastError: () => kernel32.GetLastError(),
    read: (address, length) => new Uint8Array(viewAt(address).getArrayBuffer(length).slice(0)),
    addressOf: (bytes) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)),
  };
}

function load<S extends Deno.ForeignLibraryInterface>(path: string, symbols: S) {
  try {
    return Deno.dlopen(path, symbols).symbols;
  } catch (error) {
    throw new Pkcs11Error("driver_load_failed", { reason: String(error) });
  }
}

function viewAt(address: bigint): Deno.UnsafePointerView {
  return new Deno.UnsafePointerView(Deno.UnsafePointer.create(address)!);
}
