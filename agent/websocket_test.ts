import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { ServerSocket, unmask } from "./websocket.ts";

const LIMITS = { text: 1000, binary: 200_000 };
const TEXT = 0x1, BINARY = 0x2, CONTINUATION = 0x0, CLOSE = 0x8, PING = 0x9, FIN = 0x80;

const utf8 = (text: string) => new TextEncoder().encode(text);

/** A client's frame (RFC 6455 §5.2). */
function frame(first: number, payload: Uint8Array | string, mask = [7, 0, 255, 42]): Uint8Array {
  const bytes = (typeof payload === "string" ? utf8(payload) : payload).slice();
  const { length } = bytes;
  for (let i = 0; i < length; i++) bytes[i] ^= mask[i % 4];
  const size = length < 126
    ? [length]
    : length < 0x10000
    ? [126, length >> 8, length & 255]
    : [127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 255, length & 255];
  size[0] |= 0x80;
  return new Uint8Array([first, ...size, ...mask, ...bytes]);
}

/** Messages sent in one turn of the event loop go out at its end. */
const turn = () => new Promise((resolve) => setTimeout(resolve));

/** One end, with what it was told and what it sent. */
function open() {
  const sent: number[] = [];
  const seen: (string | number)[] = [];
  const stream = new Duplex({
    read() {},
    write(chunk: Uint8Array, _, done) {
      sent.push(...chunk);
      done();
    },
  });
  const request = {
    method: "GET",
    headers: {
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    },
  } as unknown as IncomingMessage;
  const socket = ServerSocket.accept(request, stream, new Uint8Array(0), LIMITS)!;
  const handshake = String.fromCharCode(...sent.splice(0));
  const closed = new Promise<void>((resolve) =>
    socket.start({
      text: (message) => seen.push(message),
      binary: (message) => {
        seen.push(message.length);
        message.buffer.transfer(0); // as a taker may
      },
      tooLarge: () => seen.push("too large"),
      closed: resolve,
    })
  );
  return {
    socket,
    sent,
    seen,
    handshake,
    /** Hands in bytes as if they had come in pieces of this size. Few messages are taken at once, more in later turns. */
    async receive(bytes: Uint8Array, size = bytes.length) {
      for (let at = 0; at < bytes.length; at += size) {
        stream.emit("data", bytes.slice(at, at + size));
        while (stream.isPaused()) await turn();
      }
    },
    /** The status that the connection was closed with. */
    code: () => sent[0] === (FIN | CLOSE) ? sent[2] << 8 | sent[3] : null,
    async [Symbol.asyncDispose]() {
      stream.destroy();
      await closed;
    },
  };
}

Deno.test("the handshake's answer is the one of RFC 6455 §1.3", async () => {
  await using end = open();
  assert.match(end.handshake, /^HTTP\/1\.1 101 /);
  assert.match(end.handshake, /\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
});

Deno.test("messages arrive, whatever the pieces they come in", async () => {
  const stream = [
    frame(TEXT | FIN, "one"),
    frame(TEXT, "dsi"),
    frame(PING | FIN, "still there?"),
    frame(CONTINUATION, ""),
    frame(CONTINUATION | FIN, "gn ✓", [1, 2, 3, 4]),
    frame(BINARY | FIN, ""),
    frame(BINARY | FIN, ""),
    frame(TEXT | FIN, ""),
    frame(BINARY | FIN, new Uint8Array(126)),
    frame(BINARY, new Uint8Array(70_001)),
    frame(CONTINUATION, new Uint8Array(3)),
    frame(CONTINUATION | FIN, new Uint8Array(70_000)),
  ];
  const bytes = new Uint8Array(await new Blob(stream as BlobPart[]).arrayBuffer());
  for (const size of [1, 2, 3, 7, 4096, bytes.length]) {
    await using end = open();
    await end.receive(bytes, size);
    assert.deepEqual(end.seen, ["one", "dsign ✓", 0, 0, "", 126, 140_004]);
    assert.equal(end.socket.buffered, 0);
    await turn();
    assert.deepEqual(end.sent, [0x8a, 12, ...utf8("still there?")], "the pong");
  }
});

Deno.test("a client that sends thousands of messages at once leaves the others their turns", async () => {
  const messages = Array.from({ length: 3000 }, (_, i) => `${i}`);
  const bytes = new Uint8Array(
    await new Blob(messages.map((each) => frame(TEXT | FIN, each)) as BlobPart[]).arrayBuffer(),
  );
  await using end = open();
  await using other = open();
  const received = end.receive(bytes);
  other.receive(frame(TEXT | FIN, "hello"));
  assert.deepEqual(other.seen, ["hello"]);
  assert.deepEqual(end.seen, ["0", "1", "2", "3"]);
  await received;
  assert.deepEqual(end.seen, messages, "all of them, in order");
});

Deno.test("a message in many frames is bounded as one in one frame is", async () => {
  const piece = frame(CONTINUATION, new Uint8Array(1000));
  await using end = open();
  end.receive(frame(BINARY, new Uint8Array(1000)));
  let most = 0;
  for (let sent = 1; sent < 100_000; sent++) {
    end.receive(piece);
    most = Math.max(most, end.socket.buffered);
  }
  assert.equal(most, LIMITS.binary);
  assert.deepEqual([end.seen, end.code()], [["too large"], 1009]);
  assert.equal(end.socket.buffered, 0, "nothing is kept of it");

  await using small = open();
  small.receive(frame(TEXT, " "));
  for (let i = 0; i < LIMITS.text - 1; i++) small.receive(frame(CONTINUATION, " "));
  assert.equal(small.code(), null);
  small.receive(frame(CONTINUATION | FIN, " "));
  assert.equal(small.code(), 1009);
});

Deno.test("a size that is announced is refused before a byte of it has come", async () => {
  for (
    const length of [[126, 3, 233], [127, 0, 0, 0, 0, 0, 0, 3, 233], [127, ...Array(8).fill(255)]]
  ) {
    await using end = open();
    length[0] |= 0x80;
    end.receive(new Uint8Array([TEXT | FIN, ...length, 0, 0, 0, 0]));
    assert.deepEqual([end.seen, end.code()], [["too large"], 1009]);
  }
});

Deno.test("a breach of RFC 6455 closes the connection with the code it requires", async () => {
  const breaches: [string, number, ...Uint8Array[]][] = [
    ["reserved bits", 1002, frame(TEXT | FIN | 0x40, "a")],
    ["an opcode that is none", 1002, frame(0x3 | FIN, "a")],
    ["a continuation of nothing", 1002, frame(CONTINUATION | FIN, "a")],
    ["a message within a message", 1002, frame(TEXT, "a"), frame(TEXT | FIN, "a")],
    ["not masked", 1002, new Uint8Array([TEXT | FIN, 1, 97])],
    ["a control frame of 126 bytes", 1002, frame(PING | FIN, new Uint8Array(126))],
    ["a control frame in pieces", 1002, frame(PING, "a")],
    ["text that is not UTF-8", 1007, frame(TEXT | FIN, Uint8Array.of(0xff, 0xfe))],
    [
      "text cut within a character",
      1007,
      frame(TEXT, "✓"),
      frame(
        CONTINUATION | FIN,
        utf8("✓").subarray(0, 2),
      ),
    ],
    ["a close with half a code", 1002, frame(CLOSE | FIN, "a")],
    ["a close with a code that is none", 1002, frame(CLOSE | FIN, Uint8Array.of(3, 238))],
    ["a close whose reason is not UTF-8", 1007, frame(CLOSE | FIN, Uint8Array.of(3, 232, 255))],
  ];
  for (const [breach, code, ...frames] of breaches) {
    await using end = open();
    for (const each of frames) end.receive(each);
    assert.equal(end.code(), code, breach);
    end.receive(frame(TEXT | FIN, "more"));
    assert.deepEqual(end.seen, [], breach);
  }
});

Deno.test("of all 1024 beginnings of a frame only those of RFC 6455 §5.2 are taken", async () => {
  for (let first = 0; first < 256; first++) {
    for (const masked of [true, false]) {
      for (const within of [true, false]) {
        await using end = open();
        if (within) end.receive(frame(TEXT, "a"));
        const [opcode, isFinal, reserved] = [first & 0x0f, (first & FIN) !== 0, first & 0x70];
        const payload = opcode === CLOSE ? Uint8Array.of(3, 232) : utf8("a");
        end.receive(
          masked ? frame(first, payload) : new Uint8Array([first, payload.length, ...payload]),
        );
        const isControl = [CLOSE, PING, 0xa].includes(opcode) && isFinal;
        const isData = within ? opcode === CONTINUATION : opcode === TEXT || opcode === BINARY;
        const isTaken = masked && reserved === 0 && (isControl || isData);
        const code = !isTaken ? 1002 : opcode === CLOSE ? 1000 : null;
        assert.equal(end.code(), code, `${first.toString(16)} ${masked} ${within}`);
        assert.equal(end.seen.length, isTaken && isData && isFinal ? 1 : 0);
      }
    }
  }
});

Deno.test("a close is answered with its own code, and nothing is sent after it", async () => {
  for (
    const [payload, code] of [[[], 1000], [[3, 233], 1001], [[15, 160, 98], 4000]] as const
  ) {
    await using end = open();
    end.receive(frame(CLOSE | FIN, Uint8Array.from(payload)));
    assert.equal(end.code(), code);
    const { length } = end.sent;
    end.socket.send("late");
    end.socket.close(1000);
    assert.equal(end.sent.length, length);
  }
});

Deno.test("frames that are sent say their length in the shortest way", async () => {
  await using end = open();
  const heads: [number, number[]][] = [
    [125, [0x82, 125]],
    [126, [0x82, 126, 0, 126]],
    [65_535, [0x82, 126, 255, 255]],
    [65_536, [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]],
  ];
  for (const [length, head] of heads) {
    end.sent.length = 0;
    end.socket.send(new Uint8Array(length));
    await turn();
    assert.deepEqual(end.sent.slice(0, head.length), head);
    assert.equal(end.sent.length, head.length + length);
  }
});

Deno.test("unmasking: every length and place, and twice is as before", () => {
  const mask = Uint8Array.of(1, 20, 133, 255);
  // short ones byte by byte, long ones by words
  const lengths = [0, 512].flatMap((from) => Array.from({ length: 20 }, (_, i) => from + i));
  for (let at = 0; at < 9; at++) {
    for (const length of lengths) {
      const bytes = crypto.getRandomValues(new Uint8Array(550));
      const expected = bytes.map((byte, i) =>
        i >= at && i < at + length ? byte ^ mask[(i - at) % 4] : byte
      );
      unmask(bytes.subarray(at, at + length), mask);
      assert.deepEqual(bytes, expected);
    }
  }
});
