/**
 * Messages between a program and its reader: plain values with bytes in them. The same bytes go through the pipe of a
 * reader process and to a reader thread.
 */
import { FormatError } from "../formats/error.ts";
import type { DigestName } from "../formats/signer.ts";
import type { Ranges } from "../formats/source.ts";

/** Asks a question of the table that the reader's thread answers. */
export interface Ask {
  ask: string;
  input: unknown;
  /** Small documents come whole; larger ones are read in ranges. */
  documents: { size: number; bytes?: Uint8Array }[];
  /** Milliseconds of work that the answer may take; waiting for bytes does not count. */
  deadline: number;
}

/** A document of a question, as the reader needs it. */
export type Need =
  | { need: "bytes"; document: number; offset: number; length: number }
  | {
    need: "digest";
    document: number;
    hash: DigestName;
    ranges: Ranges;
    then?: Uint8Array;
  };

/** The end of a question. */
export type Answer = { ok: unknown } | { failure: Failure };

/** An error as it crosses the border. */
export interface Failure {
  /** The class's. */
  name: string;
  code?: string;
  message: string;
  detail?: string;
}

/** Longest message, in bytes. XML of 64 MiB comes back signed as one. */
export const MAX_MESSAGE = 256 * 1024 * 1024;
/** Longest JSON in one, in bytes: a program stands still while it parses that. Routes of 4 MiB cross as JSON. */
const MAX_JSON = 8 * 1024 * 1024;
/** Bytes of each length in a message's head, and of the head. */
const LENGTH = 4, HEAD = 2 * LENGTH;
/** Bytes before a piece that answers a {@linkcode Need}. */
export const PIECE_HEAD = LENGTH;
/** Longest message with a {@linkcode Need}, but for the bytes in it: nobody waits while a long one is parsed. */
export const MAX_NEED = 64 * 1024;
/** Most bytes that one {@linkcode Need} asks for. */
export const MAX_PIECE = 1024 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
/** Stands in the JSON for bytes that follow it; the key occurs in no other value. */
const BYTES = "\u0000bytes";
/** As JSON spells it. */
const BYTES_IN_JSON = JSON.stringify(BYTES);

/**
 * Encodes a value: u32 length of all that follows, u32 length of the JSON, both little-endian, the JSON, then the bytes
 * of every Uint8Array in it, in order. Members that are undefined are left out.
 *
 * @throws {FormatError} `limit_exceeded` if there is too much besides the bytes
 */
export function encodeMessage(value: unknown): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const json = encoder.encode(JSON.stringify(withoutBytes(value, parts)));
  if (json.length > MAX_JSON) {
    throw new FormatError("limit_exceeded", "There is more in the document than can be told.");
  }
  const message = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, HEAD + json.length),
  );
  const head = new DataView(message.buffer);
  head.setUint32(0, message.length - LENGTH, true);
  head.setUint32(LENGTH, json.length, true);
  message.set(json, HEAD);
  let at = HEAD + json.length;
  for (const part of parts) {
    message.set(part, at);
    at += part.length;
  }
  return message;
}

/**
 * Decodes {@linkcode encodeMessage}'s bytes. The Uint8Arrays are views of `message`.
 *
 * @throws {SyntaxError | TypeError | RangeError} if it is not a message
 */
export function decodeMessage<T>(message: Uint8Array): T {
  let at = HEAD + jsonLength(message);
  if (at > message.length) throw new RangeError("The message is cut off.");
  if (at > HEAD + MAX_JSON) throw new RangeError("The message is too long.");
  const bytes = (length: number) => {
    if (!(length >= 0) || at + length > message.length) throw new RangeError("Bytes are missing.");
    return message.subarray(at, at += length);
  };
  const json = decoder.decode(message.subarray(HEAD, at));
  const value = JSON.parse(json);
  return (json.includes(BYTES_IN_JSON) ? withBytes(value, bytes) : value) as T;
}

/** Bytes of the JSON in a message. */
export const jsonLength = (message: Uint8Array): number =>
  new DataView(message.buffer, message.byteOffset, HEAD).getUint32(LENGTH, true);

/**
 * A value with lengths in the place of bytes, which are put into `parts`; what holds no bytes is not copied. A replacer
 * of JSON.stringify() would get a Buffer as an array of numbers, and is called for every member.
 */
function withoutBytes(value: unknown, parts: Uint8Array[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) {
    parts.push(value);
    return { [BYTES]: value.length };
  }
  const before = parts.length;
  if (Array.isArray(value)) {
    const copy = value.map((member) => withoutBytes(member, parts));
    return parts.length > before ? copy : value;
  }
  let copy: Record<string, unknown> | undefined;
  for (const [key, member] of Object.entries(value)) {
    const given = withoutBytes(member, parts);
    if (given !== member) (copy ??= { ...value })[key] = given;
  }
  return copy ?? value;
}

/** Puts bytes where they belong, in place. A reviver of JSON.parse() takes up to twenty times as long. */
function withBytes(value: unknown, bytes: (length: number) => Uint8Array): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = withBytes(value[i], bytes);
    return value;
  }
  const members = value as Record<string, unknown>;
  if (typeof members[BYTES] === "number") return bytes(members[BYTES]);
  for (const key in members) members[key] = withBytes(members[key], bytes);
  return value;
}

/** Answers a {@linkcode Need}: the bytes behind their length. They are given away when this resolves. */
export async function writePiece(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  bytes: Uint8Array,
): Promise<void> {
  const head = new Uint8Array(LENGTH);
  new DataView(head.buffer).setUint32(0, bytes.length, true);
  const written = writer.write(head);
  await Promise.all([written, writer.write(bytes)]);
}

/** Bytes that are taken out of a pipe at most at a time. */
const CHUNK = 64 * 1024;

/**
 * Takes messages, their heads included, out of a pipe.
 *
 * @throws {RangeError} if one is longer than {@linkcode MAX_MESSAGE}, or the pipe ends within one
 */
export async function* readFrames(
  pipe: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const head = new Uint8Array(LENGTH);
  let message = head;
  let filled = 0;
  // One buffer for all: messages are small, and a new one for each would be filled with zeros first.
  let buffer = new Uint8Array(CHUNK);
  for (const reader = pipe.getReader({ mode: "byob" });;) {
    const { value: chunk, done } = await reader.read(buffer);
    if (done) break;
    buffer = new Uint8Array(chunk.buffer);
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + message.length - filled);
      message.set(piece, filled);
      piece.fill(0); // it may be of a private key
      at += piece.length;
      filled += piece.length;
      if (filled < message.length) break;
      if (message === head) {
        message = messageWith(head);
        if (filled < message.length) continue;
      }
      yield message;
      message = head;
      filled = 0;
    }
  }
  if (filled > 0) throw new RangeError("The pipe ended within a message.");
}

/** Room for a message, with its head. @throws {RangeError} if it is longer than {@linkcode MAX_MESSAGE} */
function messageWith(head: Uint8Array): Uint8Array<ArrayBuffer> {
  const length = new DataView(head.buffer).getUint32(0, true);
  if (length > MAX_MESSAGE) throw new RangeError(`A message of ${length} bytes.`);
  const message = new Uint8Array(LENGTH + length);
  message.set(head);
  return message;
}

/**
 * The next message of a pipe, its head included, for a thread that has nothing else to do; null at the pipe's end.
 *
 * @throws {RangeError} as {@linkcode readFrames}
 */
export function readMessageSync(
  pipe: { readSync(into: Uint8Array): number | null },
): Uint8Array<ArrayBuffer> | null {
  const fill = (bytes: Uint8Array, from: number): boolean => {
    for (let at = from; at < bytes.length;) {
      const read = pipe.readSync(bytes.subarray(at));
      if (read !== null) at += read;
      else if (at === 0) return false;
      else throw new RangeError("The pipe ended within a message.");
    }
    return true;
  };
  const head = new Uint8Array(LENGTH);
  if (!fill(head, 0)) return null;
  const message = messageWith(head);
  fill(message, LENGTH);
  return message;
}

/** Writes a message in one piece where the pipe takes it. */
export function writeMessageSync(
  pipe: { writeSync(bytes: Uint8Array): number },
  message: Uint8Array,
): void {
  for (let at = 0; at < message.length;) at += pipe.writeSync(message.subarray(at));
}
