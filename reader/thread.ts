/**
 * Keeps a reader's thread. While the thread parses, this one goes on: it serves what the thread needs, and watches the
 * time and the memory that it takes, as nothing inside a loop or a flood of buffers could.
 */
import { decodeMessage, MAX_PIECE, type Need } from "./messages.ts";
import { type FromThread, HEAD, LENGTH, type StartThread, STATE } from "./thread_messages.ts";

/** Why a thread was ended before it answered. */
export type Breach = "deadline" | "memory";

/** A thread that took too much time or memory; it answers no more. */
export class ReaderBreach extends Error {
  override readonly name = "ReaderBreach";

  constructor(readonly breach: Breach) {
    super(breach);
  }
}

/**
 * Resident memory at which a reader is ended, in bytes: that of a reader process, or what another process has gained
 * since it started the thread. A file of 512 MiB, which is the largest that is read whole, fits.
 */
export const MAX_MEMORY = 1024 * 1024 * 1024;
/** Milliseconds between two looks. A flood of buffers fills about 2 MB in one. */
export const WATCH = 20;

export class ReaderThread {
  readonly #worker: Worker;
  /** Resident memory of the process before the thread began. */
  readonly #resident = Deno.memoryUsage().rss;
  readonly #ready: Promise<void>;
  readonly #mailbox = new SharedArrayBuffer(HEAD + MAX_PIECE);
  #end: (error: Error) => void = () => {};
  #answered: (answer: Uint8Array) => void = () => {};
  #serve: (need: Need) => Promise<Uint8Array> = () => Promise.reject();
  /** Time spent on serving, which is not the thread's. */
  #served = 0;
  #servingSince: number | undefined;
  #broken: Error | undefined;

  /** @param module URL of the script that calls `answerQuestions` */
  constructor(module: URL) {
    this.#worker = new Worker(module, { type: "module" });
    const ready = Promise.withResolvers<void>();
    this.#ready = ready.promise;
    this.#ready.catch(() => {}); // ask() tells
    this.#worker.onmessage = ({ data }: MessageEvent<FromThread>) => {
      if ("ready" in data) {
        this.#worker.postMessage({ mailbox: this.#mailbox } satisfies StartThread);
        ready.resolve();
      } else if ("answer" in data) this.#answered(data.answer);
      else if ("need" in data) void this.#give(data.need);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#broken = new Error(event.message);
      ready.reject(this.#broken);
      this.#end(this.#broken);
    };
  }

  /** Whether it has stopped answering. */
  get ended(): boolean {
    return this.#broken !== undefined;
  }

  /** Fulfilled when everything that the thread needs is loaded. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /**
   * Asks a question; one at a time.
   *
   * @param ask an encoded `Ask`
   * @param deadline milliseconds of the thread's own work
   * @param serve gives what the thread needs
   * @returns an encoded `Answer`
   * @throws {ReaderBreach}, after which the thread has ended; the signal's reason, likewise
   */
  async ask(
    ask: Uint8Array<ArrayBuffer>,
    deadline: number,
    serve: (need: Need) => Promise<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    await this.#ready;
    if (this.#broken) throw this.#broken;
    signal?.throwIfAborted();
    this.#serve = serve;
    this.#served = 0;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.#answered = resolve;
    this.#end = reject;
    const stop = (error: Error) => {
      this.close();
      reject(error);
    };
    const started = performance.now();
    const watch = setInterval(() => {
      const now = performance.now();
      const served = this.#served + (this.#servingSince ? now - this.#servingSince : 0);
      if (now - started - served > deadline) stop(new ReaderBreach("deadline"));
      else if (Deno.memoryUsage().rss - this.#resident > MAX_MEMORY) {
        stop(new ReaderBreach("memory"));
      }
    }, WATCH);
    const abort = () => stop(signal!.reason);
    signal?.addEventListener("abort", abort);
    try {
      this.#worker.postMessage(ask, [ask.buffer]);
      return await promise;
    } finally {
      clearInterval(watch);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Takes no more answers from the thread. Deno ends it where it waits, but a loop in it goes on until the process ends. */
  close(): void {
    this.#broken ??= new Error("The reader has been closed.");
    this.#worker.terminate();
  }

  async #give(encoded: Uint8Array): Promise<void> {
    this.#servingSince = performance.now();
    const state = new Int32Array(this.#mailbox, 0, 2);
    try {
      const bytes = await this.#serve(decodeMessage<Need>(encoded));
      new Uint8Array(this.#mailbox, HEAD).set(bytes);
      state[LENGTH] = bytes.length;
    } catch {
      state[LENGTH] = -1; // the thread's question fails, and with it the asker's
    }
    this.#served += performance.now() - this.#servingSince;
    this.#servingSince = undefined;
    Atomics.store(state, STATE, 1);
    Atomics.notify(state, STATE);
  }
}
