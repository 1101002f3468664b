/** Writing DER (X.690 §10–11). Every function returns one complete value, identifier included. */
import { type Asn1Node, constructedTag, octetStringPieces, primitiveTag, Tag } from "./read.ts";
import { FormatError } from "../error.ts";

const utf8 = new TextEncoder();

/** Joins byte strings. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Bytes that the length field takes for `length` content bytes. */
function lengthOfLength(length: number): number {
  return length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : length < 0x1000000 ? 4 : 5;
}

/**
 * One value: identifier octet, shortest definite length, then the parts as content.
 *
 * @throws {FormatError} `limit_exceeded` from 4 GiB on
 */
export function tlv(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length > 0xffffffff) {
    throw new FormatError("limit_exceeded", "A value of 4 GiB or more cannot be embedded.");
  }
  const head = 1 + lengthOfLength(length);
  const out = new Uint8Array(head + length);
  out[0] = tag;
  if (head === 2) out[1] = length;
  else {
    out[1] = 0x80 | (head - 2);
    for (let i = head - 1, rest = length; i > 1; i--, rest = Math.floor(rest / 256)) out[i] = rest;
  }
  let at = head;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** SEQUENCE of complete values. */
export const sequence = (...values: readonly Uint8Array[]) => tlv(Tag.SEQUENCE, ...values);

/** Order of SET OF elements: as octet strings, the shorter padded with zeros (X.690 §11.6). */
function compareEncodings(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** SET OF complete values, in DER order; `tag` for `[n] IMPLICIT SET OF`. */
export function setOf(values: readonly Uint8Array[], tag: number = Tag.SET) {
  return tlv(tag, ...values.toSorted(compareEncodings));
}

/**
 * A value in DER, from BER: definite lengths in their shortest form, strings in one piece. The order of a SET OF is kept,
 * as nothing in the encoding tells it from a SET. What is in DER already is a view, not a copy.
 */
export function derOf(node: Asn1Node): Uint8Array {
  const { tag, bytes } = node;
  if (areDer(bytes, 0, bytes.length)) return bytes;
  if (tag === (Tag.OCTET_STRING | 0x20)) return tlv(Tag.OCTET_STRING, ...octetStringPieces(node));
  return tag & 0x20 ? tlv(tag, ...node.children.map(derOf)) : tlv(tag, node.content);
}

/** Deeper values count as BER. */
const MAX_DER_DEPTH = 16;

/** Whether values are in DER as {@linkcode derOf} has it. Nodes of a thousand signers' attributes would fill the memory. */
function areDer(bytes: Uint8Array, from: number, to: number, depth = 0): boolean {
  for (let at = from; at < to;) {
    const tag = bytes[at];
    const isLong = bytes[at + 1] >= 0x80;
    const head = isLong ? 2 + (bytes[at + 1] & 0x7f) : 2;
    const isIndefinite = bytes[at + 1] === 0x80;
    if ((tag & 0x1f) === 0x1f || tag === 0 || isIndefinite || head > 6 || at + head > to) {
      return false;
    }
    let length = isLong ? 0 : bytes[at + 1];
    for (let i = at + 2; i < at + head; i++) length = length * 256 + bytes[i];
    const end = at + head + length;
    if (head !== 1 + lengthOfLength(length) || end > to) return false;
    if (tag & 0x20) {
      if (tag === (Tag.OCTET_STRING | 0x20) || depth === MAX_DER_DEPTH) return false;
      if (!areDer(bytes, at + head, end, depth + 1)) return false;
    }
    at = end;
  }
  return true;
}

/** `[n] EXPLICIT` around complete values. */
export const explicit = (n: number, ...values: readonly Uint8Array[]) =>
  tlv(constructedTag(n), ...values);

/** `[n] IMPLICIT` over a primitive type: its content octets under the context tag. */
export const implicit = (n: number, content: Uint8Array) => tlv(primitiveTag(n), content);

export const boolean = (value: boolean) => tlv(Tag.BOOLEAN, Uint8Array.of(value ? 0xff : 0));

export const nullValue = () => tlv(Tag.NULL);

/** INTEGER of a number (safe integers) or bigint in the shortest two's complement form. */
export function integer(value: number | bigint, tag: number = Tag.INTEGER) {
  let rest = BigInt(value);
  const bytes: number[] = [];
  do {
    bytes.unshift(Number(BigInt.asUintN(8, rest)));
    rest >>= 8n;
  } while (!(rest === 0n && bytes[0] < 0x80) && !(rest === -1n && bytes[0] >= 0x80));
  return tlv(tag, Uint8Array.from(bytes));
}

/** INTEGER of an unsigned big-endian number, such as a serial number or a hash. */
export function unsignedInteger(bytes: Uint8Array) {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  return digits.length === 0 || digits[0] >= 0x80
    ? tlv(Tag.INTEGER, Uint8Array.of(0), digits)
    : tlv(Tag.INTEGER, digits);
}

const oids = new Map<string, Uint8Array<ArrayBuffer>>();

/** OBJECT IDENTIFIER from its dotted form; do not change the result, it is shared. */
export function oid(dotted: string): Uint8Array<ArrayBuffer> {
  const known = oids.get(dotted);
  if (known) return known;
  if (!/^[0-2](\.(0|[1-9]\d*))+$/.test(dotted)) {
    throw new FormatError("invalid_argument", `"${dotted}" is not an object identifier.`);
  }
  const [first, second, ...rest] = dotted.split(".").map(BigInt);
  if (first < 2n && second > 39n) {
    throw new FormatError("invalid_argument", `"${dotted}" is not an object identifier.`);
  }
  const content = [first * 40n + second, ...rest].flatMap((arc) => {
    const bytes = [Number(arc & 0x7fn)];
    for (arc >>= 7n; arc > 0n; arc >>= 7n) bytes.unshift(Number(arc & 0x7fn) | 0x80);
    return bytes;
  });
  const value = tlv(Tag.OID, Uint8Array.from(content));
  // The few that the standards name are kept; a caller's own might be without end.
  if (oids.size < 512) oids.set(dotted, value);
  return value;
}

export const octetString = (...parts: readonly Uint8Array[]) => tlv(Tag.OCTET_STRING, ...parts);

/** BIT STRING; `unused` bits at the end of the last byte must be zero (X.690 §11.2.1). */
export const bitString = (bytes: Uint8Array, unused = 0) =>
  tlv(Tag.BIT_STRING, Uint8Array.of(unused), bytes);

export const utf8String = (text: string) => tlv(Tag.UTF8_STRING, utf8.encode(text));

/** PrintableString if the text fits its alphabet, else UTF8String (RFC 5280 §4.1.2.4). */
export function directoryString(text: string) {
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)
    ? tlv(Tag.PRINTABLE_STRING, utf8.encode(text))
    : utf8String(text);
}

/** IA5String of ASCII text. */
export const ia5String = (text: string) => tlv(Tag.IA5_STRING, utf8.encode(text));

const digits = (date: Date) => date.toISOString().slice(0, 19).replace(/[-:T]/g, "") + "Z";

/** GeneralizedTime to the second, `YYYYMMDDHHMMSSZ`; years 0–9999. */
export const generalizedTime = (date: Date) => tlv(Tag.GENERALIZED_TIME, utf8.encode(digits(date)));

/** UTCTime from 1950 through 2049, GeneralizedTime otherwise (RFC 5280 §4.1.2.5). */
export function time(date: Date) {
  const year = date.getUTCFullYear();
  return year >= 1950 && year <= 2049
    ? tlv(Tag.UTC_TIME, utf8.encode(digits(date).slice(2)))
    : generalizedTime(date);
}
