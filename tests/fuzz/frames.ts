/** Mutated bytes of a WebSocket and of the JSON-RPC in it: each gets lawful frames back, however the bytes are cut. */
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { Connection, MESSAGES } from "../../agent/connection.ts";
import { ServerSocket } from "../../agent/websocket.ts";
import { DsignError, isErrorCode } from "../../protocol/errors.ts";
import { generator } from "./mutate.ts";

/** RFC 6455 §5.2; a client's frame, masked with zeros so that words of JSON can be found by mutations. */
function frame(opcode: number, payload: string, { mask = 0, isLast = true } = {}): Uint8Array {
  const bytes = new TextEncoder().encode(payload);
  const { length } = bytes;
  const size = length < 126 ? [length] : [126, length >> 8, length & 0xff];
  return Uint8Array.of(
    ...[opcode | (isLast ? 0x80 : 0), 0x80 | size[0], ...size.slice(1)],
    ...[mask, mask, mask, mask, ...bytes.map((byte) => byte ^ mask)],
  );
}
const join = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));
const call = (id: unknown, method = "echo", params: unknown = { a: 1 }) =>
  JSON.stringify({ jsonrpc: "2.0", id, method, params });

export const words = [
  ...["\x81\x80\0\0\0\0", "\x82\x84\0\0\0\0\0\0\0\x01", "\x01\x81\0\0\0\0{", "\x80\x80\0\0\0\0"],
  ...["\x88\x82\0\0\0\0\x03\xe8", "\x89\x80\0\0\0\0", "\x8a\x80\0\0\0\0", "\xff\xff", "\xfe"],
  ...["\xff\0\0\0\0\0\x10\0\0", "\0\0\0\0", "\x7f", "\x7e", "\xed\xa0\x80", "\\ud800", "\\u0000"],
  ...['{"jsonrpc":"2.0",', '"id":', "null", '"method":"echo"', '"$/cancelRequest"', "[", "]"],
  ...['"params":{', "}", '"__proto__":{}', "1e999", '"id":"1"', ","],
];

export function seeds(): Promise<Uint8Array[]> {
  const text = call("x".repeat(200));
  return Promise.resolve([
    join(frame(1, call(1)), frame(1, call(2)), frame(8, "\x03\xe8")),
    join(frame(1, call(1), { mask: 0x5a }), frame(9, "are you there"), frame(10, "")),
    join(
      frame(1, text.slice(0, 90), { isLast: false }),
      frame(9, ""),
      frame(0, text.slice(90), { isLast: false }),
      frame(0, ""),
    ),
    join(frame(2, "\0\0\0\x01document"), frame(2, "\0"), frame(1, call(null))),
    join(frame(1, call(3, "wait")), frame(1, call(undefined, "$/cancelRequest", { id: 3 }))),
    join(frame(1, "[]"), frame(1, "{"), frame(1, call(1, "none")), frame(8, "")),
  ]);
}

/** The other end of a connection. */
class Wire extends Duplex {
  readonly written: Uint8Array[] = [];
  override _read() {}
  override _write(chunk: Uint8Array, _: string, done: () => void) {
    this.written.push(chunk);
    done();
  }
}

const HANDSHAKE = {
  method: "GET",
  headers: {
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  },
} as unknown as IncomingMessage;

async function dispatch(method: string, params: unknown, { signal }: { signal: AbortSignal }) {
  if (method === "wait") {
    await new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true })
    );
  }
  if (method !== "echo") throw new DsignError("method_not_found");
  return await Promise.resolve(params);
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** The frames that come back. */
async function talk(pieces: readonly Uint8Array[]): Promise<[opcode: number, payload: string][]> {
  const wire = new Wire();
  const socket = ServerSocket.accept(HANDSHAKE, wire, new Uint8Array(), MESSAGES)!;
  let ends = 0;
  new Connection(socket, "https://portal.example", 7791, false, dispatch, () => ends++);
  for (const piece of pieces) {
    if (wire.destroyed) break;
    wire.push(piece.slice());
    await turn();
  }
  await turn();
  wire.push(null);
  while (!wire.closed) {
    wire.destroy();
    await turn();
  }
  assert.deepEqual([ends, socket.buffered], [1, 0]);
  return framesOf(join(...wire.written));
}

/** @throws {AssertionError} where a server may not send such a frame (RFC 6455 §5.1, §5.2, §5.5) */
function framesOf(bytes: Uint8Array): [opcode: number, payload: string][] {
  const view = new DataView(bytes.buffer);
  const frames: [number, string][] = [];
  let at = new TextDecoder("latin1").decode(bytes).indexOf("\r\n\r\n") + 4;
  while (at < bytes.length) {
    const [first, second] = bytes.subarray(at, at += 2);
    const opcode = first & 0x0f;
    assert.ok([1, 2, 8, 9, 10].includes(opcode) && (first & 0xf0) === 0x80 && second < 128);
    let length = second;
    if (second === 126) length = view.getUint16((at += 2) - 2);
    if (second === 127) length = Number(view.getBigUint64((at += 8) - 8));
    assert.ok(length < 126 || opcode < 8);
    assert.ok(at + length <= bytes.length, "half a frame");
    frames.push([opcode, new TextDecoder("latin1").decode(bytes.subarray(at, at += length))]);
  }
  return frames;
}

/** @throws whatever no connection may throw */
export async function exercise(bytes: Uint8Array): Promise<void> {
  const whole = await talk([bytes]);
  for (const [opcode, payload] of whole) {
    if (opcode !== 1) continue;
    const { jsonrpc, id, result, error } = JSON.parse(payload);
    assert.ok(
      jsonrpc === "2.0" && id !== undefined && (error === undefined) !== (result === undefined),
    );
    const code = error?.data.code;
    assert.ok(!error || isErrorCode(code) && code !== "internal_error", code);
  }
  const next = generator(bytes.length);
  const [a, b] = [next(bytes.length + 1), next(bytes.length + 1)].sort((a, b) => a - b);
  const cut = await talk([bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)]);
  // What comes later than the close is not sent: in pieces, more is answered before.
  const [few, more] = [whole, cut].map((frames) => frames.map((each) => each.join()));
  // Two requests with one id are both answered where the second comes later.
  const missing = few.filter((each) =>
    !more.includes(each) && !each.includes("already uses this id")
  );
  assert.deepEqual(missing, [], "cut otherwise, answered otherwise");
}
