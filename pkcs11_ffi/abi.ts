/**
 * Layouts of PKCS#11's C structures, as pure functions over an {@link Abi}.
 *
 * PKCS#11 v2.40 §2.1: on Windows structures are packed to one byte and `CK_ULONG` (an
 * `unsigned long`) has four bytes; elsewhere the platform's own alignment holds and it has eight.
 */
import { CKF_OS_LOCKING_OK } from "./constants.ts";
import type { PssParams } from "./mechanism.ts";

/** How C lays out structures. Integers are little-endian on every system that Deno runs on. */
export interface Abi {
  /** Bytes of a CK_ULONG. */
  ulong: 4 | 8;
  /** Largest alignment of a member; 1 means packed. */
  pack: 1 | 8;
}

/** 64-bit Linux and macOS. */
export const LP64: Abi = { ulong: 8, pack: 8 };
/** 64-bit Windows. */
export const LLP64_PACKED: Abi = { ulong: 4, pack: 1 };

const POINTER = 8;

/** `ulong`, `pointer`, or a number of single bytes. */
type Member = "ulong" | "pointer" | number;

interface Layout {
  offsets: number[];
  size: number;
}

function layout(abi: Abi, members: Member[]): Layout {
  const roundUp = (n: number, to: number) => Math.ceil(n / to) * to;
  const offsets: number[] = [];
  let end = 0;
  let widest = 1;
  for (const member of members) {
    const size = member === "ulong" ? abi.ulong : member === "pointer" ? POINTER : member;
    const alignment = typeof member === "number" ? 1 : Math.min(size, abi.pack);
    offsets.push(end = roundUp(end, alignment));
    end += size;
    widest = Math.max(widest, alignment);
  }
  return { offsets, size: roundUp(end, widest) };
}

const VERSION = 2;
const CK_INFO: Member[] = [VERSION, 32, "ulong", 32, VERSION];
const CK_SLOT_INFO: Member[] = [64, 32, "ulong", VERSION, VERSION];
// Ten counters stand between the flags and the versions.
const CK_TOKEN_INFO: Member[] = [
  ...[32, 32, 16, 16],
  "ulong",
  ...Array<Member>(10).fill("ulong"),
  ...[VERSION, VERSION, 16],
];
const CK_ATTRIBUTE: Member[] = ["ulong", "pointer", "ulong"];
const CK_MECHANISM: Member[] = ["ulong", "pointer", "ulong"];
const CK_RSA_PKCS_PSS_PARAMS: Member[] = ["ulong", "ulong", "ulong"];
// NSS adds a member behind pReserved, and reads it; so one more pointer, always NULL.
const CK_C_INITIALIZE_ARGS: Member[] = [
  ...Array<Member>(4).fill("pointer"),
  "ulong",
  "pointer",
  "pointer",
];

/** Reads a CK_ULONG as a bigint: handles may use all bits. */
export function readUlong(abi: Abi, bytes: Uint8Array, offset = 0): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return abi.ulong === 8 ? view.getBigUint64(offset, true) : BigInt(view.getUint32(offset, true));
}

/** CK_FLAGS has 32 bits on every system; what some drivers leave in the upper half is not asked for. */
const readFlags = (abi: Abi, bytes: Uint8Array, offset: number): number =>
  Number(readUlong(abi, bytes, offset) & 0xffffffffn);

/** Writes a CK_ULONG. */
export function writeUlong(abi: Abi, bytes: Uint8Array, offset: number, value: bigint): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (abi.ulong === 8) view.setBigUint64(offset, value, true);
  else view.setUint32(offset, Number(value), true);
}

/** CK_UNAVAILABLE_INFORMATION, `(CK_ULONG) -1`. */
export function unavailable(abi: Abi): bigint {
  return (1n << BigInt(abi.ulong * 8)) - 1n;
}

function encode(
  abi: Abi,
  members: Member[],
  values: (number | bigint)[],
): Uint8Array<ArrayBuffer> {
  const { offsets, size } = layout(abi, members);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    if (members[i] === "ulong") writeUlong(abi, bytes, offsets[i], BigInt(value));
    else view.setBigUint64(offsets[i], BigInt(value), true);
  });
  return bytes;
}

/** CK_ATTRIBUTE {type, pValue, ulValueLen}; `value` is an address. */
export function encodeAttribute(
  abi: Abi,
  type: number,
  value: bigint,
  length: number,
): Uint8Array<ArrayBuffer> {
  return encode(abi, CK_ATTRIBUTE, [type, value, length]);
}

/** `ulValueLen` of an encoded CK_ATTRIBUTE, as written by C_GetAttributeValue. */
export function attributeLength(abi: Abi, attribute: Uint8Array): bigint {
  return readUlong(abi, attribute, layout(abi, CK_ATTRIBUTE).offsets[2]);
}

/** CK_MECHANISM {mechanism, pParameter, ulParameterLen}; `parameter` is an address. */
export function encodeMechanism(
  abi: Abi,
  mechanism: number,
  parameter: bigint,
  length: number,
): Uint8Array<ArrayBuffer> {
  return encode(abi, CK_MECHANISM, [mechanism, parameter, length]);
}

/** CK_RSA_PKCS_PSS_PARAMS {hashAlg, mgf, sLen}. */
export function encodePssParams(abi: Abi, params: PssParams): Uint8Array<ArrayBuffer> {
  return encode(abi, CK_RSA_PKCS_PSS_PARAMS, [params.hashAlg, params.mgf, params.saltLength]);
}

/** CK_C_INITIALIZE_ARGS with CKF_OS_LOCKING_OK; `reserved` is the address of pReserved, or 0. */
export function encodeInitArgs(abi: Abi, reserved: bigint): Uint8Array<ArrayBuffer> {
  return encode(abi, CK_C_INITIALIZE_ARGS, [0, 0, 0, 0, CKF_OS_LOCKING_OK, reserved]);
}

/** Where the pointer of the `index`-th function stands in CK_FUNCTION_LIST. */
export function functionOffset(abi: Abi, index: number): number {
  return layout(abi, [VERSION, "pointer"]).offsets[1] + index * POINTER;
}

/** Sizes of the structures that a driver fills, in bytes. */
export function structSizes(abi: Abi): { info: number; slotInfo: number; tokenInfo: number } {
  return {
    info: layout(abi, CK_INFO).size,
    slotInfo: layout(abi, CK_SLOT_INFO).size,
    tokenInfo: layout(abi, CK_TOKEN_INFO).size,
  };
}

/** Blank-padded UTF-8; some drivers pad with NUL. */
function text(bytes: Uint8Array, offset: number, length: number): string {
  return new TextDecoder().decode(bytes.subarray(offset, offset + length))
    .replace(/[ \0]+$/, "");
}

function version(bytes: Uint8Array, offset: number): string {
  return `${bytes[offset]}.${bytes[offset + 1]}`;
}

/** CK_INFO. */
export function decodeInfo(abi: Abi, bytes: Uint8Array): {
  cryptokiVersion: string;
  manufacturer: string;
  description: string;
  libraryVersion: string;
} {
  const { offsets } = layout(abi, CK_INFO);
  return {
    cryptokiVersion: version(bytes, offsets[0]),
    manufacturer: text(bytes, offsets[1], 32),
    description: text(bytes, offsets[3], 32),
    libraryVersion: version(bytes, offsets[4]),
  };
}

/** CK_SLOT_INFO. */
export function decodeSlotInfo(abi: Abi, bytes: Uint8Array): {
  description: string;
  manufacturer: string;
  flags: number;
} {
  const { offsets } = layout(abi, CK_SLOT_INFO);
  return {
    description: text(bytes, offsets[0], 64),
    manufacturer: text(bytes, offsets[1], 32),
    flags: readFlags(abi, bytes, offsets[2]),
  };
}

/** CK_TOKEN_INFO. Lengths of the PIN are in bytes. */
export function decodeTokenInfo(abi: Abi, bytes: Uint8Array): {
  label: string;
  manufacturer: string;
  model: string;
  serial: string;
  flags: number;
  maxPinLength: number;
  minPinLength: number;
} {
  const { offsets } = layout(abi, CK_TOKEN_INFO);
  return {
    label: text(bytes, offsets[0], 32),
    manufacturer: text(bytes, offsets[1], 32),
    model: text(bytes, offsets[2], 16),
    serial: text(bytes, offsets[3], 16),
    flags: readFlags(abi, bytes, offsets[4]),
    maxPinLength: Number(readUlong(abi, bytes, offsets[9])),
    minPinLength: Number(readUlong(abi, bytes, offsets[10])),
  };
}
