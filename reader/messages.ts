/**
 * Messages between a program and its reader: plain values with bytes in them. The same bytes go through the pipe of a
 * reader process and to a reader thread.
 */
import { Buffer } from "node:buffer";
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
/** Most bytes that one {@linkcode Need} asks for. */
export const MAX_PIECE = 1024 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
/** Stands in the JSON for bytes that follow it; the key occurs in no other value. */
const BYTES = "\u0000bytes";

/**
 * Encodes a value: u32 length of the JSON, little-endian, the JSON, then the bytes of every Uint8Array in it, in order.
 * Members that are undefined are left out.
 *
 * @throws {FormatError} `limit_exceeded` if there is too much besides the bytes
 */
export function encodeMessage(value: unknown): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const json = encoder.encode(JSON.stringify(value, function (this: unknown, key, member) {
    // JSON.stringify calls toJSON first, which would convert a Buffer.
    const bytes = (this as Record<string, unknown>)[key];
    if (!(bytes instanceof Uint8Array)) return member;
    parts.push(bytes);
    return { [BYTES]: bytes.length };
  }));
  if (json.length > MAX_JSON) {
    throw new FormatError("limit_exceeded", "There is more in the document than can be told.");
  }
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, json.length, true);
  return new Uint8Array(Buffer.concat([head, json, ...parts]));
}

/**
 * Decodes {@linkcode encodeMessage}'s bytes. The Uint8Arrays are views of `message`.
 *
 * @throws {SyntaxError | TypeError | RangeError} if it is not a message
 */
export function decodeMessage<T>(message: Uint8Array): T {
  let at = 4 + new DataView(message.buffer, message.byteOffset, 4).getUint32(0, true);
  if (at > message.length) throw new RangeError("The message is cut off.");
  if (at > 4 + MAX_JSON) throw new RangeError("The message is too long.");
  const value = JSON.parse(decoder.decode(message.subarray(4, at)), (_, member) => {
    const length = member?.[BYTES];
    if (typeof length !== "number") return member;
    if (!(length >= 0) || at + length > message.length) throw new RangeError("Bytes are missing.");
    return message.subarray(at, at += length);
  });
  return value;
}

/** Puts a message's length, u32 little-endian, before it, as pipes have it. */
export async function writeFrame(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  message: Uint8Array,
): Promise<void> {
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, message.length, true);
  const written = writer.write(head);
  await Promise.all([written, writer.write(message)]);
}

/**
 * Takes messages out of a pipe.
 *
 * @throws {RangeError} if one is longer than {@linkcode MAX_MESSAGE}, or the pipe ends within one
 */
export async function* readFrames(
  pipe: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let frame = new Uint8Array(4);
  let filled = 0;
  let isHead = true;
  for await (const chunk of pipe) {
    for (let at = 0; at < chunk.length || filled === frame.length;) {
      const piece = chunk.subarray(at, at + frame.length - filled);
      frame.set(piece, filled);
      at += piece.length;
      filled += piece.length;
      if (filled < frame.length) break;
      filled = 0;
      if (isHead) {
        const length = new DataView(frame.buffer).getUint32(0, true);
        if (length > MAX_MESSAGE) throw new RangeError(`A message of ${length} bytes.`);
        frame = new Uint8Array(length);
      } else {
        yield frame;
        frame = new Uint8Array(4);
      }
      isHead = !isHead;
    }
  }
  if (!isHead || filled > 0) throw new RangeError("The pipe ended within a message.");
}
