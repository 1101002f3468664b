/**
 * The server's end of a WebSocket (RFC 6455), on a connection whose handshake was read as HTTP. What it keeps of a
 * message is bounded while the message arrives, in however many frames it comes; no extension is spoken.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import process from "node:process";
import type { Duplex } from "node:stream";

/** RFC 6455 §1.3 */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** RFC 6455 §5.2 */
const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** RFC 6455 §7.4.1 */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  invalidText: 1007,
  policy: 1008,
  tooLarge: 1009,
} as const;

/** RFC 6455 §5.5: the longest payload of a control frame, in bytes. */
const CONTROL = 125;

/** Two bytes, the longest length and the mask. */
const LONGEST_HEAD = 14;

/** For how long the other end may take after a close, in milliseconds. */
const LINGER = 3_000;

/** A client that was silent for this long is asked whether it is there, and must have said so after as long again. */
const SILENCE = 15_000;

/** Bytes that wait to be read by the client, beyond which its pings are not answered (RFC 6455 §5.5.3). */
const PONG_ROOM = 64 * 1024;

/** So many messages of a client are taken at once: one that sends thousands does not keep the others waiting. */
const AT_ONCE = 4;

/** No message. An empty one has another buffer, which its taker may detach. */
const NOTHING = new Uint8Array(0);

/** The longest messages that are taken, in bytes. */
export interface MessageLimits {
  text: number;
  binary: number;
}

/** Receiver of messages. */
export interface Taker {
  text(message: string): void;
  /** The taker may detach the message's buffer: nothing else uses it. */
  binary(message: Uint8Array<ArrayBuffer>): void;
  /** A message is longer than allowed; the close is sent after this. */
  tooLarge(): void;
  /** The connection is gone. Comes once, and last. */
  closed(): void;
}

export class ServerSocket {
  readonly #stream: Duplex;
  readonly #limits: MessageLimits;
  readonly #first: Uint8Array<ArrayBuffer>;
  #taker: Taker | undefined;
  /** A close was sent; everything that arrives later is ignored. */
  #ended = false;
  #heard = true;
  /** Messages and control frames of this turn of the loop. */
  #came = 0;
  #timer: ReturnType<typeof setTimeout>;

  readonly #head = new Uint8Array(LONGEST_HEAD);
  #headLength = 0;
  /** Payload bytes of the frame that are still to come; null: its head is. */
  #left: number | null = null;
  #opcode: number = OPCODE.continuation;
  #isLast = false;

  readonly #control = new Uint8Array(CONTROL);
  #controlLength = 0;
  /** The message's opcode, while it arrives. */
  #kind: typeof OPCODE.text | typeof OPCODE.binary | null = null;
  #message = NOTHING;
  #length = 0;
  /** Start of the frame's payload in the message. */
  #start = 0;
  /** Frames of this turn of the event loop, which go out in one write. */
  readonly #frames: Buffer[] = [];

  private constructor(stream: Duplex, read: Uint8Array<ArrayBuffer>, limits: MessageLimits) {
    this.#stream = stream;
    this.#first = read;
    this.#limits = limits;
    this.#timer = setInterval(() => this.#watch(), SILENCE);
  }

  /**
   * Answers a handshake (RFC 6455 §4.2); null, with nothing sent, if it is not a handshake or the connection is gone.
   *
   * @param read bytes already read behind the request
   */
  static accept(
    request: IncomingMessage,
    stream: Duplex,
    read: Uint8Array<ArrayBuffer>,
    limits: MessageLimits,
  ): ServerSocket | null {
    const { upgrade, "sec-websocket-key": key, "sec-websocket-version": version } = request.headers;
    const isHandshake = request.method === "GET" && upgrade?.toLowerCase() === "websocket" &&
      version === "13" && key !== undefined && /^[+/0-9A-Za-z]{22}==$/.test(key);
    if (!isHandshake || stream.destroyed) return null;
    const accepted = createHash("sha1").update(key + GUID).digest("base64");
    stream.write([
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${accepted}`,
      "",
      "",
    ].join("\r\n"));
    return new ServerSocket(stream, read, limits);
  }

  /** Begins to read. */
  start(taker: Taker): void {
    this.#taker = taker;
    this.#read(this.#first);
    this.#stream.on("data", (chunk: Uint8Array<ArrayBuffer>) => this.#read(chunk));
    this.#stream.on("end", () => this.#stream.destroy());
    this.#stream.on("close", () => {
      this.#ended = true;
      clearTimeout(this.#timer);
      this.#dropMessage();
      taker.closed();
    });
  }

  /** Bytes that the client has not taken yet. */
  get unread(): number {
    return this.#frames.reduce((sum, { length }) => sum + length, this.#stream.writableLength);
  }

  /** Bytes kept for a message that has not arrived completely. */
  get buffered(): number {
    return this.#message.length;
  }

  /** Sends a message; after a close, nothing. */
  send(message: string | Uint8Array): void {
    if (this.#ended) return;
    if (typeof message === "string") this.#send(OPCODE.text, Buffer.from(message));
    else this.#send(OPCODE.binary, message);
  }

  /**
   * Sends a close and ends the connection: at once if the client closes too, otherwise soon.
   *
   * @param reason at most 123 bytes of UTF-8
   */
  close(code: number, reason = ""): void {
    if (this.#ended) return;
    const payload = Buffer.concat([Buffer.alloc(2), Buffer.from(reason)]);
    payload.writeUInt16BE(code);
    this.#send(OPCODE.close, payload);
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#dropMessage();
    this.#flush();
    this.#stream.end();
    clearInterval(this.#timer);
    this.#timer = setTimeout(() => this.#stream.destroy(), LINGER);
  }

  #send(opcode: number, payload: Uint8Array): void {
    const { length } = payload;
    const head = length < 126 ? 2 : length < 0x10000 ? 4 : 10;
    const frame = Buffer.allocUnsafe(head + length);
    frame[0] = 0x80 | opcode;
    if (head === 2) frame[1] = length;
    else if (head === 4) {
      frame[1] = 126;
      frame.writeUInt16BE(length, 2);
    } else {
      frame[1] = 127;
      frame.writeBigUInt64BE(BigInt(length), 2);
    }
    frame.set(payload, head);
    if (this.#frames.push(frame) === 1) process.nextTick(() => this.#flush());
  }

  /** One buffer, since a stream that is corked hands over its pieces one by one, which takes 8 µs each. */
  #flush(): void {
    const frames = this.#frames.splice(0);
    if (frames.length > 0) {
      this.#stream.write(frames.length === 1 ? frames[0] : Buffer.concat(frames));
    }
  }

  #watch(): void {
    if (!this.#heard) return void this.#stream.destroy();
    this.#heard = false;
    this.#send(OPCODE.ping, new Uint8Array(0));
  }

  #read(chunk: Uint8Array<ArrayBuffer>, at = 0): void {
    this.#heard = true;
    this.#came = 0;
    while (at < chunk.length && !this.#ended && this.#came < AT_ONCE) {
      at += this.#left === null ? this.#readHead(chunk, at) : this.#readPayload(chunk, at);
    }
    if (at < chunk.length && !this.#ended) {
      this.#stream.pause();
      // After setImmediate, Deno 2.9.6 reads no socket as long as there is another one.
      return void setTimeout(() => this.#read(chunk, at));
    }
    // Freed now, because the garbage collector lets a hundred megabytes pile up. A view of a shared buffer stays.
    if (chunk.length === chunk.buffer.byteLength) chunk.buffer.transfer(0);
    if (this.#stream.isPaused()) this.#stream.resume();
  }

  /** @returns how many bytes it took */
  #readHead(chunk: Uint8Array, at: number): number {
    const head = this.#head;
    head[this.#headLength++] = chunk[at];
    if (this.#headLength < 2) return 1;
    if (this.#headLength === 2 && !this.#isLawful()) {
      this.close(CLOSE.protocolError, "a frame breaks RFC 6455");
      return 1;
    }
    const short = head[1] & 0x7f;
    const size = short === 127 ? 8 : short === 126 ? 2 : 0;
    if (this.#headLength < 2 + size + 4) return 1;
    this.#headLength = 0;
    const view = new DataView(head.buffer);
    const length = size === 8
      ? Number(view.getBigUint64(2))
      : size === 2
      ? view.getUint16(2)
      : short;
    head.copyWithin(0, 2 + size, 2 + size + 4); // the mask, which is used when the payload is there
    if (this.#opcode < OPCODE.close && !this.#makeRoom(length)) return 1;
    this.#left = length;
    if (length === 0) this.#endFrame();
    return 1;
  }

  /** Whether the first two bytes may stand there (RFC 6455 §5.2, §5.4, §5.5; no extension, always masked). */
  #isLawful(): boolean {
    const [first, second] = this.#head;
    this.#isLast = (first & 0x80) !== 0;
    this.#opcode = first & 0x0f;
    if ((first & 0x70) !== 0 || (second & 0x80) === 0) return false;
    switch (this.#opcode) {
      case OPCODE.continuation:
        return this.#kind !== null;
      case OPCODE.text:
      case OPCODE.binary:
        if (this.#kind !== null) return false;
        this.#kind = this.#opcode;
        return true;
      case OPCODE.close:
      case OPCODE.ping:
      case OPCODE.pong:
        return this.#isLast && (second & 0x7f) <= CONTROL;
      default:
        return false;
    }
  }

  /** Appends a frame to the message. Memory grows with the announced length, never above the limit. */
  #makeRoom(length: number): boolean {
    const size = this.#length + length;
    const limit = this.#limits[this.#kind === OPCODE.text ? "text" : "binary"];
    if (size > limit) {
      this.#taker!.tooLarge();
      this.close(CLOSE.tooLarge, "message too large");
      return false;
    }
    if (this.#message === NOTHING) this.#message = new Uint8Array(size);
    else if (size > this.#message.length) {
      // Many small frames would be copied again and again if it grew by each.
      const room = Math.min(limit, Math.max(size, 2 * this.#length));
      this.#message = new Uint8Array(this.#message.buffer.transfer(room));
    }
    this.#start = this.#length;
    return true;
  }

  /** @returns how many bytes it took */
  #readPayload(chunk: Uint8Array, at: number): number {
    const piece = chunk.subarray(at, at + this.#left!);
    if (this.#opcode < OPCODE.close) {
      this.#message.set(piece, this.#length);
      this.#length += piece.length;
    } else {
      this.#control.set(piece, this.#controlLength);
      this.#controlLength += piece.length;
    }
    this.#left! -= piece.length;
    if (this.#left === 0) this.#endFrame();
    return piece.length;
  }

  #endFrame(): void {
    this.#left = null;
    const mask = this.#head.subarray(0, 4);
    if (this.#isLast) this.#came++; // as every control frame is
    if (this.#opcode < OPCODE.close) {
      unmask(this.#message.subarray(this.#start, this.#length), mask);
      if (this.#isLast) this.#endMessage();
      return;
    }
    const payload = this.#control.subarray(0, this.#controlLength);
    this.#controlLength = 0;
    unmask(payload, mask);
    if (this.#opcode === OPCODE.ping) {
      if (this.unread <= PONG_ROOM) this.#send(OPCODE.pong, payload);
    } else if (this.#opcode === OPCODE.close) this.#answerClose(payload);
  }

  #endMessage(): void {
    const message = this.#message.subarray(0, this.#length);
    const kind = this.#kind;
    this.#message = NOTHING;
    this.#dropMessage();
    if (kind === OPCODE.binary) return this.#taker!.binary(message);
    const text = utf8(message);
    message.buffer.transfer(0);
    if (text === null) this.close(CLOSE.invalidText, "text is UTF-8");
    else this.#taker!.text(text);
  }

  #dropMessage(): void {
    if (this.#message !== NOTHING) this.#message.buffer.transfer(0); // freed now
    this.#message = NOTHING;
    this.#length = 0;
    this.#kind = null;
  }

  /** RFC 6455 §5.5.1, §7.4 */
  #answerClose(payload: Uint8Array): void {
    if (payload.length === 0) return this.close(CLOSE.normal);
    const code = payload.length > 1 ? (payload[0] << 8) | payload[1] : 0;
    const isCode = code >= 3000 && code < 5000 ||
      code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code);
    if (!isCode) this.close(CLOSE.protocolError, "no code to close with");
    else if (utf8(payload.subarray(2)) === null) this.close(CLOSE.invalidText);
    else this.close(code);
  }
}

/** From this length on, in bytes, unmasking by words is quicker. */
const BY_WORDS = 512;

/** RFC 6455 §5.3, in place. */
export function unmask(bytes: Uint8Array, mask: Uint8Array): void {
  let done = 0;
  const upTo = (end: number) => {
    for (; done < end; done++) bytes[done] ^= mask[done & 3];
  };
  if (bytes.length >= BY_WORDS) {
    // Words begin at every fourth byte of the buffer.
    upTo(-bytes.byteOffset & 3);
    const turned = new Uint8Array(4).map((_, i) => mask[(done + i) & 3]);
    const [word] = new Uint32Array(turned.buffer);
    const words = new Uint32Array(
      bytes.buffer,
      bytes.byteOffset + done,
      (bytes.length - done) >> 2,
    );
    for (let i = 0; i < words.length; i++) words[i] ^= word;
    done += 4 * words.length;
  }
  upTo(bytes.length);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}
