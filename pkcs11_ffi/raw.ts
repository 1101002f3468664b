/**
 * The unsafe file: the only one that loads libraries and handles addresses. Functions take and
 * give what C takes and gives; the only check here is that the library is a PKCS#11 module.
 */
import { type Abi, functionOffset, LLP64_PACKED, LP64, readUlong } from "./abi.ts";
import { CKR } from "./constants.ts";
import { Pkcs11Error } from "./error.ts";

/** Layout of this system. */
export const NATIVE: Abi = Deno.build.os === "windows" ? LLP64_PACKED : LP64;

const ULONG = (NATIVE.ulong === 8 ? "u64" : "u32") as "u64";

/** Index in CK_FUNCTION_LIST and parameters. Every function gives a CK_RV. */
const FUNCTIONS = {
  C_Initialize: [0, ["buffer"]],
  C_GetInfo: [2, ["buffer"]],
  C_GetSlotList: [4, ["u8", "buffer", "buffer"]],
  C_GetSlotInfo: [5, [ULONG, "buffer"]],
  C_GetTokenInfo: [6, [ULONG, "buffer"]],
  C_GetMechanismList: [7, [ULONG, "buffer", "buffer"]],
  C_SetPIN: [11, [ULONG, "buffer", ULONG, "buffer", ULONG]],
  C_OpenSession: [12, [ULONG, ULONG, "pointer", "pointer", "buffer"]],
  C_CloseSession: [13, [ULONG]],
  C_GetSessionInfo: [15, [ULONG, "buffer"]],
  C_Login: [18, [ULONG, ULONG, "buffer", ULONG]],
  C_Logout: [19, [ULONG]],
  C_DestroyObject: [22, [ULONG, ULONG]],
  C_GetAttributeValue: [24, [ULONG, ULONG, "buffer", ULONG]],
  C_FindObjectsInit: [26, [ULONG, "buffer", ULONG]],
  C_FindObjects: [27, [ULONG, "buffer", ULONG, "buffer"]],
  C_FindObjectsFinal: [28, [ULONG]],
  C_SignInit: [42, [ULONG, "buffer", ULONG]],
  C_Sign: [43, [ULONG, "buffer", ULONG, "buffer", "buffer"]],
  C_GenerateKeyPair: [59, [
    ...[ULONG, "buffer"] as const,
    ...["buffer", ULONG, "buffer", ULONG] as const,
    ...["buffer", "buffer"] as const,
  ]],
} as const;

/** Drivers of tokens that only sign, or that know no PIN, may leave these out; and the description of themselves. */
const OPTIONAL: ReadonlySet<string> = new Set([
  ...["C_GetInfo", "C_Login", "C_Logout", "C_SetPIN", "C_GetSessionInfo"],
  ...["C_DestroyObject", "C_GenerateKeyPair"],
]);

/** A function that the safe layer may call. */
export type FunctionName = keyof typeof FUNCTIONS;

type Argument<T> = T extends "buffer" ? Uint8Array<ArrayBuffer> | null
  : T extends "pointer" ? null
  : T extends "u8" ? number
  : bigint;

type Arguments<P extends readonly unknown[]> = { -readonly [I in keyof P]: Argument<P[I]> };

/** One function of the driver: gives its CK_RV. */
export type RawFunction<F extends FunctionName> = (
  ...args: Arguments<typeof FUNCTIONS[F][1]>
) => number;

/** The functions of a driver. Every one blocks until the driver returns. */
export type RawModule = { readonly [F in FunctionName]: RawFunction<F> };

/**
 * Loads a library and takes its function list. Only C_GetFunctionList is looked up by name:
 * some modules export nothing else.
 *
 * @throws {Pkcs11Error} `driver_load_failed`, `driver_not_pkcs11`
 */
export function openLibrary(path: string): RawModule {
  const list = functionList(path);
  const raw: Partial<Record<FunctionName, unknown>> = {};
  for (const name of Object.keys(FUNCTIONS) as FunctionName[]) {
    const [index, parameters] = FUNCTIONS[name];
    const address = list.getBigUint64(functionOffset(NATIVE, index));
    const pointer = Deno.UnsafePointer.create(address);
    if (!pointer) {
      if (!OPTIONAL.has(name)) {
        throw new Pkcs11Error("driver_not_pkcs11", { reason: `${name} is NULL` });
      }
      raw[name] = () => CKR.CKR_FUNCTION_NOT_SUPPORTED;
      continue;
    }
    const definition = { parameters, result: ULONG } as Deno.ForeignFunction;
    const fn = new Deno.UnsafeFnPointer(
      pointer as Deno.PointerObject<typeof definition>,
      definition,
    );
    const call = fn.call.bind(fn) as (...args: unknown[]) => bigint | number;
    raw[name] = NATIVE.ulong === 8
      ? (...args: unknown[]) => Number(call(...args))
      // Deno takes no bigint for a 32-bit parameter.
      : (...args: unknown[]) =>
        Number(call(...args.map((a) => typeof a === "bigint" ? Number(a) : a)));
  }
  return raw as RawModule;
}

function functionList(path: string): Deno.UnsafePointerView {
  let symbols;
  try {
    symbols = Deno.dlopen(
      path,
      { C_GetFunctionList: { parameters: ["buffer"], result: ULONG, optional: true } } as const,
    ).symbols;
  } catch (error) {
    throw new Pkcs11Error("driver_load_failed", { reason: String(error) });
  }
  if (!symbols.C_GetFunctionList) {
    throw new Pkcs11Error("driver_not_pkcs11", { reason: "C_GetFunctionList is not exported" });
  }
  const out = new Uint8Array(8);
  const rv = Number(symbols.C_GetFunctionList(out));
  const pointer = Deno.UnsafePointer.create(readUlong(LP64, out)); // A pointer has 8 bytes.
  if (rv !== 0 || !pointer) {
    throw new Pkcs11Error("driver_not_pkcs11", { functionName: "C_GetFunctionList", rv });
  }
  return new Deno.UnsafePointerView(pointer);
}

/**
 * Memory that structures point into. It lives as long as the object, and never moves, so that an
 * address stays good for as long as the driver may use it.
 */
export class Arena {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #base: bigint;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#base = Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.bytes));
  }

  /** The address of `bytes[offset]`. */
  address(offset: number): bigint {
    return this.#base + BigInt(offset);
  }
}
