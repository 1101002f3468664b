import { Pkcs11Error, type Pkcs11ErrorCode } from "./error.ts";
import {
  decodeFrame,
  encodeFrame,
  FrameReader,
  fromFailure,
  type Reply,
  type Request,
  type StartMessage,
} from "./messages.ts";

/** How to start the child of one driver. */
export interface ChildOptions {
  /** Absolute path of the PKCS#11 library. */
  modulePath: string;
  /** Program and arguments that run `runHost()`. Neither path nor PIN of the driver is in them. */
  command: string[];
  /** CK_C_INITIALIZE_ARGS.pReserved, as NSS softokn needs it. */
  initArgs?: string;
  /** Added to the child's environment, e.g. `SOFTHSM2_CONF`. */
  env?: Record<string, string>;
  /** How long the start (load and C_Initialize) may take, in milliseconds. */
  startMs: number;
  /**
   * What the driver prints, line by line, and what happens to the child. Of a process that was
   * given a PIN no text is passed on: drivers have been seen to print what they are given.
   */
  onLog?: (line: string) => void;
}

/** How one request is to be treated. */
export interface RequestOptions {
  /** From the moment when the child can begin with it, in milliseconds. */
  timeoutMs: number;
  signal?: AbortSignal;
  /** An abort while the driver works on it ends the child: there is no other way to stop it. */
  killOnAbort?: boolean;
  /** The blob holds a PIN. */
  secret?: boolean;
  /** The process (see {@link DriverChild.incarnation}) in which this request makes sense. */
  incarnation?: number;
}

/** Result of a request. */
export interface Answer {
  value: unknown;
  blob: Uint8Array<ArrayBuffer>;
  /** The process that answered; handles in `value` are good in it alone. */
  incarnation: number;
}

/** A request that has no answer yet. */
export interface Pending {
  header: Request | StartMessage;
  blob?: Uint8Array;
  options: RequestOptions;
  resolve(answer: Answer): void;
  reject(error: Error): void;
  unlisten(): void;
}

/** Most driver output kept for the log, in bytes a process. */
const LOG_LIMIT = 64 * 1024;

/** Bytes that are read at a time. */
const CHUNK = 64 * 1024;

/** Milliseconds in which the last words of a process that has ended are read. */
const LAST_WORDS_MS = 200;

/** One run of the child process: frames out, frames in, and the clock. */
export class DriverProcess {
  readonly #options: ChildOptions;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #marker = newMarker();
  readonly #inFlight = new Map<number, Pending>();
  readonly #on: { onReplies(): void; onEnd(): void };
  readonly #stdout: ReadableStreamBYOBReader;
  readonly #stderr: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  readonly #finished: Promise<void>;
  #nextId = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When it fires, and when the oldest request has taken too long (`performance.now()`). */
  #timerAt = Infinity;
  #due = Infinity;
  #ended = false;
  #logged = 0;
  #knowsPin = false;

  constructor(
    options: ChildOptions,
    readonly incarnation: number,
    on: { onReplies(): void; onEnd(): void },
  ) {
    this.#options = options;
    this.#on = on;
    this.#child = new Deno.Command(options.command[0], {
      args: options.command.slice(1),
      env: options.env,
      stdin: "piped",
      stdout: "piped",
      // On Windows each pipe that is read holds one of Deno's threads for as long as the process lives, and Deno has four
      // of them a processor: a few drivers would leave none to write with.
      stderr: Deno.build.os === "windows" ? "null" : "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#stdout = this.#child.stdout.getReader({ mode: "byob" });
    if (Deno.build.os !== "windows") this.#stderr = this.#child.stderr.getReader();
    this.#finished = this.#run();
    const start: StartMessage = {
      modulePath: options.modulePath,
      initArgs: options.initArgs,
      marker: this.#marker.toHex(),
    };
    this.send([{
      header: start,
      options: { timeoutMs: options.startMs },
      resolve: () => {},
      // A driver that cannot be loaded fails everything that waited for it, in the same way.
      reject: (error) => this.#end(error as Pkcs11Error),
      unlisten: () => {},
    }]);
  }

  get load(): number {
    return this.#inFlight.size;
  }

  get pid(): number {
    return this.#child.pid;
  }

  send(batch: Pending[]): void {
    const frames = batch.map((pending) => {
      const id = this.#nextId++;
      this.#inFlight.set(id, pending);
      this.#knowsPin ||= pending.options.secret ?? false;
      return encodeFrame(id, pending.header, pending.blob);
    });
    if (this.#due === Infinity) this.#arm();
    const bytes = frames.length === 1 ? frames[0] : concat(frames);
    // When the pipe breaks the process has ended, and readReplies() says why.
    const wipe = () => void bytes.fill(0);
    this.#writer.write(bytes).then(wipe, wipe);
    if (frames.length > 1) { for (const frame of frames) frame.fill(0); }
  }

  /** Kills the process; everything in flight fails with `code`. */
  stop(code: Pkcs11ErrorCode, reason?: string): void {
    if (this.#ended) return;
    this.#kill();
    this.#end(new Pkcs11Error(code, { reason }));
  }

  /** Lets the child close its sessions, and kills it when that takes over two seconds. */
  async close(): Promise<void> {
    this.#end(new Pkcs11Error("closed"));
    const timer = setTimeout(() => this.#kill(), 2000);
    await this.#writer.close().catch(() => {}); // Rejects when the child is gone already.
    await this.#finished;
    clearTimeout(timer);
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }

  /** The driver works on the oldest request: its time counts. */
  #arm(): void {
    const oldest = this.#inFlight.values().next().value;
    this.#due = oldest ? performance.now() + oldest.options.timeoutMs : Infinity;
    this.#watch();
  }

  /** A timer that fires too early is cheaper than a new one for each request. */
  #watch(): void {
    if (this.#due >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = this.#due;
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity;
      if (performance.now() >= this.#due) this.stop("driver_timeout");
      else this.#watch();
    }, this.#due - performance.now());
    Deno.unrefTimer(this.#timer);
  }

  #end(error: Pkcs11Error): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    const lost = [...this.#inFlight.values()];
    this.#inFlight.clear();
    for (const pending of lost) settle(pending, error);
    this.#on.onEnd();
  }

  /**
   * Until the process ends. Its pipes may stay open for longer: some drivers leave a daemon behind, which holds them.
   */
  async #run(): Promise<void> {
    const read = Promise.all([this.#readReplies(), this.#readErrors()]);
    const status = await this.#child.status;
    const timer = setTimeout(() => {
      this.#stdout.cancel().catch(() => {});
      this.#stderr?.cancel().catch(() => {});
    }, LAST_WORDS_MS);
    await read;
    clearTimeout(timer);
    const reason = status.signal ?? `exit code ${status.code}`;
    if (!this.#ended) this.#options.onLog?.(`driver process ended: ${reason}`);
    this.#end(new Pkcs11Error("driver_crashed", { reason }));
  }

  async #readReplies(): Promise<void> {
    const frames = new FrameReader(this.#marker, (bytes) => this.#log("stdout", bytes));
    // One buffer for all replies: a new one for each would be filled with zeros first.
    let buffer = new Uint8Array(CHUNK);
    try {
      for (;;) {
        const { value: chunk, done } = await this.#stdout.read(buffer);
        if (done) return;
        frames.push(chunk, (body) => this.#reply(body));
        buffer = new Uint8Array(chunk.buffer);
        if (this.#ended) continue;
        this.#arm();
        this.#on.onReplies();
      }
    } catch (error) {
      this.stop("driver_nonsense", String(error));
    }
  }

  #reply(body: Uint8Array<ArrayBuffer>): void {
    const { id, header, blob } = decodeFrame<Reply>(body);
    const pending = this.#inFlight.get(id);
    if (!pending) return;
    this.#inFlight.delete(id);
    if ("error" in header) settle(pending, fromFailure(header.error));
    else {
      pending.unlisten();
      pending.resolve({ value: header.ok, blob: blob.slice(), incarnation: this.incarnation });
    }
  }

  /** Until the end, or until the reader is cancelled. */
  async #readErrors(): Promise<void> {
    const stderr = this.#stderr;
    while (stderr) {
      const { done, value } = await stderr.read();
      if (done) return;
      this.#log("stderr", value);
    }
  }

  #log(stream: string, bytes: Uint8Array): void {
    const room = LOG_LIMIT - this.#logged;
    if (room <= 0 || this.#knowsPin || !this.#options.onLog) return;
    this.#logged += bytes.length;
    const text = new TextDecoder().decode(bytes.subarray(0, room));
    for (const line of text.split("\n")) {
      if (line.trim() !== "") this.#options.onLog(`driver ${stream}: ${line}`);
    }
    if (bytes.length >= room) this.#options.onLog("driver prints too much, the rest is dropped");
  }
}

/**
 * Random, and a line feed at its end: Deno.stdout writes what follows the last line feed in a frame by a second system
 * call, for which the agent would wake up a second time.
 */
function newMarker(): Uint8Array {
  const marker = crypto.getRandomValues(new Uint8Array(16));
  marker[15] = 0x0a;
  return marker;
}

/** Rejects a request, once. */
export function settle(pending: Pending, error: Error): void {
  pending.unlisten();
  pending.reject(error);
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
