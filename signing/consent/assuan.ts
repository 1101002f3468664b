/** The client's side of the Assuan protocol, as pinentry programs speak it over their standard input and output. */

import { endGroup } from "./process.ts";

/** Lines are at most this long, the line feed included (Assuan manual, "Client requests"). */
const MAX_LINE = 1000;

/** `ERR` of the server: libgpg-error's code without its source, and the server's words. */
export class AssuanError extends Error {
  override readonly name = "AssuanError";
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** The program went away, or what it says is no Assuan. */
export class AssuanBroken extends Error {
  override readonly name = "AssuanBroken";
}

const LINE_FEED = 0x0a;
const PERCENT = 0x25;

export class AssuanClient {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #buffer = new Uint8Array(4 * MAX_LINE);
  #length = 0;

  private constructor(readonly child: Deno.ChildProcess) {
    this.#writer = child.stdin.getWriter();
    this.#reader = child.stdout.getReader();
  }

  /** Takes over a program just started, with piped standard input and output, and awaits its greeting. */
  static async connect(child: Deno.ChildProcess): Promise<AssuanClient> {
    const client = new AssuanClient(child);
    await client.#response();
    return client;
  }

  /**
   * Sends a command and awaits its end.
   *
   * @param argument percent-encoded on the way; cut where the line would be too long
   * @returns the data it sent (`D` lines, decoded); the caller zeroes it where it is secret
   * @throws {AssuanError} where the program says no
   * @throws {AssuanBroken}
   */
  async call(command: string, argument?: string): Promise<Uint8Array> {
    const line = argument === undefined
      ? command
      : `${command} ${encode(argument, MAX_LINE - command.length - 2)}`;
    try {
      await this.#writer.write(new TextEncoder().encode(line + "\n"));
    } catch (error) {
      throw new AssuanBroken("The program ended.", { cause: error });
    }
    return await this.#response();
  }

  /** Ends the program. */
  async close(): Promise<void> {
    this.#buffer.fill(0);
    endGroup(this.child);
    await this.#writer.abort().catch(() => {});
    await this.#reader.cancel().catch(() => {});
    await this.child.status;
  }

  async #response(): Promise<Uint8Array> {
    let data = new Uint8Array(0);
    for (;;) {
      const line = await this.#line();
      const word = ascii(line.subarray(0, 4)).split(" ")[0];
      if (word === "D") {
        const piece = decode(line.subarray(2));
        const longer = new Uint8Array(data.length + piece.length);
        longer.set(data);
        longer.set(piece, data.length);
        data.fill(0);
        piece.fill(0);
        data = longer;
      }
      const rest = ascii(line);
      line.fill(0);
      if (word === "OK") return data;
      if (word === "ERR") {
        const [, code, message] = /^ERR (\d+) ?(.*)$/.exec(rest) ?? [];
        if (!code) throw new AssuanBroken("The program's error has no number.");
        throw new AssuanError(Number(code) & 0xffff, message); // the upper bits are its source
      }
      // S (status) and # (comment) are for others; INQUIRE is not used by pinentry.
      if (!["D", "S", "#"].includes(word[0] === "#" ? "#" : word)) {
        throw new AssuanBroken("The program does not speak Assuan.");
      }
    }
  }

  /** The next line without its end. */
  async #line(): Promise<Uint8Array> {
    for (;;) {
      const end = this.#buffer.subarray(0, this.#length).indexOf(LINE_FEED);
      if (end >= 0) {
        const line = this.#buffer.slice(0, end);
        this.#buffer.copyWithin(0, end + 1, this.#length);
        this.#buffer.fill(0, this.#length - end - 1, this.#length);
        this.#length -= end + 1;
        return line;
      }
      const { done, value } = await this.#reader.read();
      if (done) throw new AssuanBroken("The program ended.");
      if (this.#length + value.length > this.#buffer.length) {
        throw new AssuanBroken("The program's line is too long.");
      }
      this.#buffer.set(value, this.#length);
      this.#length += value.length;
      value.fill(0);
    }
  }
}

const ascii = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);

/** `%`, line feed and carriage return as `%25`, `%0A`, `%0D`; at most `room` bytes of UTF-8, whole characters. */
function encode(text: string, room: number): string {
  let encoded = "";
  let length = 0;
  for (const character of text.toWellFormed()) {
    const piece = character === "%" || character === "\n" || character === "\r"
      ? "%" + character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")
      : character;
    length += new TextEncoder().encode(piece).length;
    if (length > room) break;
    encoded += piece;
  }
  return encoded;
}

/** Undoes the percent-encoding in place. */
function decode(bytes: Uint8Array): Uint8Array {
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === PERCENT) {
      bytes[length++] = parseInt(ascii(bytes.subarray(i + 1, i + 3)), 16);
      i += 2;
    } else bytes[length++] = bytes[i];
  }
  return bytes.subarray(0, length);
}
