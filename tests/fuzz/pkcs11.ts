/** Mutated answers of a PKCS#11 driver: tokens, certificates, keys and signatures are read from them, or refused. */
import { X509Certificate } from "node:crypto";
import { structSizes, writeUlong } from "../../pkcs11_ffi/abi.ts";
import * as C from "../../pkcs11_ffi/constants.ts";
import { Pkcs11Error } from "../../pkcs11_ffi/error.ts";
import { Module } from "../../pkcs11_ffi/module.ts";
import { type FunctionName, NATIVE, type RawModule } from "../../pkcs11_ffi/raw.ts";
import { Session } from "../../pkcs11_ffi/session.ts";
import { makePki } from "../fixtures/pki.ts";

const { officers } = makePki({ officers: [{ name: "Rsa" }, { name: "Ec", key: "p-256" }] });
const { ulong } = NATIVE;
/** As in `pkcs11_ffi/module.ts`. */
const VALUE_AT = 256;

/** Which arguments a driver fills; a count stands before the list that it counts. */
const OUTPUTS: Partial<Record<FunctionName, readonly number[]>> = {
  C_GetInfo: [0],
  C_GetSlotList: [2, 1],
  C_GetSlotInfo: [1],
  C_GetTokenInfo: [1],
  C_GetMechanismList: [2, 1],
  C_OpenSession: [4],
  C_GetSessionInfo: [1],
  C_FindObjects: [3, 1],
  C_Sign: [4, 3],
};
/** What a driver may return, by the first byte of its answer. */
const RETURNS = [C.CKR.CKR_OK, ...Object.values(C.CKR)];

/** An answer: which return code, a length in two bytes, and what the driver writes. */
const answer = (rv: number, written: Uint8Array): Uint8Array =>
  Uint8Array.of(rv, written.length >> 8, written.length & 0xff, ...written);

/** Takes answers from bytes, one after another; after the last of them, a token is gone. */
class Script {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  next(): { rv: number; written: Uint8Array } {
    const [code, high, low] = this.bytes.subarray(this.#at, this.#at += 3);
    if (low === undefined) return { rv: C.CKR.CKR_DEVICE_REMOVED, written: new Uint8Array() };
    const written = this.bytes.subarray(this.#at, this.#at += (high << 8) | low);
    return { rv: RETURNS[code % RETURNS.length], written };
  }
}

/** The next answer is asked for here. */
let next: (name: FunctionName, args: readonly unknown[]) => ReturnType<Script["next"]>;

/** A driver writes no more than there is room for: one that did could not be survived. */
function call(name: FunctionName, args: readonly unknown[]): number {
  let { rv, written } = next(name, args);
  if (name === "C_GetAttributeValue") {
    // CK_ATTRIBUTE: type, address, length
    const template = args[2] as Uint8Array<ArrayBuffer>;
    const view = new DataView(template.buffer, template.byteOffset);
    const room = Number(view.getBigUint64(ulong + 8, true));
    template.set(written.subarray(0, ulong), ulong + 8);
    if (view.getBigUint64(8, true) === 0n) return rv;
    // A module's one address for values is in the same memory as the template.
    new Uint8Array(template.buffer, VALUE_AT, room).set(written.subarray(ulong, ulong + room));
    return rv;
  }
  for (const output of OUTPUTS[name] ?? []) {
    const into = args[output] as Uint8Array | null;
    into?.set(written.subarray(0, into.length));
    written = written.subarray(into?.length ?? 0);
  }
  return rv;
}

const module = new Module(
  new Proxy({} as RawModule, {
    get: (_, name: FunctionName) => (...args: unknown[]) => call(name, args),
  }),
);

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof Pkcs11Error) return undefined;
    throw error;
  }
}

/** What the product asks of a token that is used. */
function use(): void {
  attempt(() => module.info());
  const token = attempt(() => module.slotTokens())?.[0];
  const session = token && attempt(() => new Session(module, token));
  if (!session) return;
  attempt(() => session.certificates());
  attempt(() => session.login(Uint8Array.of(0x31, 0x32, 0x33, 0x34)));
  for (const { certificate, key: { algorithm } } of officers) {
    const isRsa = algorithm.scheme === "RSASSA-PKCS1-v1_5";
    const selector = {
      id: "01",
      certificate: certificate.der,
      publicKey: { type: isRsa ? "rsa" : "ec", bits: isRsa ? 2048 : 256 } as const,
    };
    const key = attempt(() => session.key(selector));
    if (!key) continue;
    const scheme = key.info.type === "ec" ? "ECDSA" : "RSASSA-PKCS1-v1_5";
    const data = new Uint8Array(32);
    const request = { scheme, hash: "SHA-256", input: "digest", data } as const;
    const signature = attempt(() => session.sign(key, request, new Uint8Array(4)));
    const isShort = signature && scheme !== "ECDSA" && signature.length !== key.signatureLength;
    if (isShort) throw new Error(`a signature of ${signature.length} bytes`);
  }
  session.close();
}

export const words = [
  ...["\0\0\0", "\0\0\x08", "\x01\0\0\0\0\0\0\0", "\xff\xff\xff\xff\xff\xff\xff\xff", "\x30\x82"],
  ...["\0\0\x10", "\0\x01\x08", "\x02\0\0\0\0\0\0\0", "\0\0\x04\0\0\0\0\0", "\x40\0\0\0\0\0\0\0"],
];

/** An honest driver's answers to {@link use}, written down. */
function recorded(how: { isRsa: boolean; flags: number }): Uint8Array {
  const { certificate } = officers[how.isRsa ? 0 : 1];
  const number = (value: number) => {
    const bytes = new Uint8Array(ulong);
    writeUlong(NATIVE, bytes, 0, BigInt(value));
    return bytes;
  };
  const join = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));
  const text = (value: string, size: number) => new TextEncoder().encode(value.padEnd(size));
  // The last 64 bytes of a P-256 key are its point; the modulus stands before the exponent.
  const { publicKey } = new X509Certificate(certificate.der);
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  const modulus = spki.slice(-5 - 256, -5), point = join(Uint8Array.of(4), spki.slice(-64));
  const attributes = new Map<number, Uint8Array>([
    [C.CKA_CERTIFICATE_TYPE, number(C.CKC_X_509)],
    [C.CKA_VALUE, certificate.der],
    [C.CKA_ID, Uint8Array.of(1)],
    [C.CKA_LABEL, new TextEncoder().encode("sign")],
    [C.CKA_KEY_TYPE, number(how.isRsa ? C.CKK_RSA : C.CKK_EC)],
    [C.CKA_SIGN, Uint8Array.of(1)],
    [C.CKA_ALWAYS_AUTHENTICATE, Uint8Array.of(how.flags & 1)],
    ...how.isRsa ? [[C.CKA_MODULUS, modulus] as const] : [
      [C.CKA_EC_PARAMS, Uint8Array.fromHex("06082a8648ce3d030107")] as const,
      [C.CKA_EC_POINT, point] as const,
    ],
  ]);
  const sizes = structSizes(NATIVE);
  const info = new Uint8Array(sizes.tokenInfo);
  info.set(text("Token", 32));
  info.set(text("Maker", 32), 32);
  info.set(text("Model", 16), 64);
  info.set(text("0001", 16), 80);
  info.set(number(C.CKF_TOKEN_INITIALIZED | C.CKF_USER_PIN_INITIALIZED | how.flags), 96);
  let isFound = false;
  const bytes: number[] = [];
  next = (name, args) => {
    let written = new Uint8Array();
    let isThere = true;
    if (name === "C_GetSlotList") written = join(number(1), number(3));
    else if (name === "C_GetTokenInfo") written = info;
    else if (name === "C_GetMechanismList") {
      written = join(number(2), number(C.CKM_RSA_PKCS), number(C.CKM_ECDSA));
    } else if (name === "C_OpenSession") written = number(7);
    else if (name === "C_FindObjects") {
      isFound = !isFound;
      written = isFound ? join(number(1), number(9)) : number(0);
    } else if (name === "C_Sign") {
      const signature = args[3] as Uint8Array;
      written = join(number(signature.length), new Uint8Array(signature.length).fill(1));
    } else if (name === "C_GetAttributeValue") {
      const template = args[2] as Uint8Array;
      const value = attributes.get(
        new DataView(template.buffer).getUint32(template.byteOffset, true),
      );
      isThere = value !== undefined;
      written = value ? join(number(value.length), value) : number(-1 >>> 0);
    }
    const rv = isThere ? 0 : RETURNS.lastIndexOf(C.CKR.CKR_ATTRIBUTE_TYPE_INVALID);
    bytes.push(...answer(rv, written));
    return { rv: RETURNS[rv], written };
  };
  use();
  return Uint8Array.from(bytes);
}

export function seeds(): Promise<Uint8Array[]> {
  return Promise.resolve([
    recorded({ isRsa: true, flags: 0 }),
    recorded({ isRsa: false, flags: C.CKF_LOGIN_REQUIRED }),
    recorded({ isRsa: true, flags: C.CKF_LOGIN_REQUIRED | C.CKF_USER_PIN_COUNT_LOW | 1 }),
  ]);
}

/** @throws whatever is not a driver's error */
export function exercise(bytes: Uint8Array): void {
  const script = new Script(bytes);
  next = () => script.next();
  // Sessions say on standard error what a driver complains about at their end.
  const { error } = console;
  console.error = () => {};
  try {
    use();
  } finally {
    console.error = error;
  }
}
