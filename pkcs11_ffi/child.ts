import { Pkcs11Error } from "./error.ts";
import type { Request } from "./messages.ts";
import {
  type Answer,
  type ChildOptions,
  DriverProcess,
  type Pending,
  type RequestOptions,
  settle,
} from "./process.ts";

/** Requests that may be under way in the pipe; the others can still be cancelled for nothing. */
const WINDOW = 64;
/**
 * One driver in one process: started on first use, killed when it does not answer in time,
 * started again by the next request. It answers requests strictly in order.
 */
export class DriverChild {
  readonly #options: ChildOptions;
  #waiting: Pending[] = [];
  #process: DriverProcess | null = null;
  #starts = 0;
  #scheduled = false;
  #closed = false;

  constructor(options: ChildOptions) {
    this.#options = options;
  }

  /** Number of the process that runs now; 0 when none does. */
  get incarnation(): number {
    return this.#process?.incarnation ?? 0;
  }

  /** Requests that are waiting or under way. */
  get load(): number {
    return this.#waiting.length + (this.#process?.load ?? 0);
  }

  /** Operating-system id of the process that runs now. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * Sends one request. Bytes of `blob` are copied into the pipe and the copy is wiped.
   *
   * @throws {Pkcs11Error} what the driver said; `driver_crashed`, `driver_timeout`, `cancelled`,
   * `closed`; `user_not_logged_in` when the process that the request belongs to is gone
   */
  request(header: Request, options: RequestOptions, blob?: Uint8Array): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Pkcs11Error("closed"));
      const signal = options.signal;
      if (signal?.aborted) return reject(new Pkcs11Error("cancelled"));
      const pending: Pending = { header, blob, options, resolve, reject, unlisten: () => {} };
      if (signal) {
        const abort = () => this.#abort(pending);
        signal.addEventListener("abort", abort, { once: true });
        pending.unlisten = () => signal.removeEventListener("abort", abort);
      }
      this.#waiting.push(pending);
      this.#schedule();
    });
  }

  /** Ends the process of this number by force; the next request starts another. */
  stop(incarnation: number, reason: string): void {
    if (incarnation === this.incarnation) this.#process?.stop("driver_crashed", reason);
  }

  /** Ends the process: politely, and after two seconds by force. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const pending of this.#waiting.splice(0)) settle(pending, new Pkcs11Error("closed"));
    const process = this.#process;
    this.#process = null;
    await process?.close();
  }

  #abort(pending: Pending): void {
    const at = this.#waiting.indexOf(pending);
    if (at >= 0) this.#waiting.splice(at, 1);
    else if (pending.options.killOnAbort) this.#process?.stop("cancelled");
    settle(pending, new Pkcs11Error("cancelled"));
  }

  /** Requests of the same turn of the event loop go out in one write. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    const batch: Pending[] = [];
    let room = WINDOW - (this.#process?.load ?? 0);
    while (room > 0 && this.#waiting.length > 0) {
      const pending = this.#waiting.shift()!;
      const wanted = pending.options.incarnation;
      if (wanted !== undefined && wanted !== this.incarnation) {
        settle(pending, new Pkcs11Error("user_not_logged_in", { reason: "the driver restarted" }));
        continue;
      }
      batch.push(pending);
      room--;
    }
    if (batch.length === 0) return;
    try {
      this.#process ??= this.#start();
    } catch (error) {
      const failure = new Pkcs11Error("driver_load_failed", { reason: String(error) });
      for (const pending of batch) settle(pending, failure);
      return;
    }
    this.#process.send(batch);
  }

  #start(): DriverProcess {
    const process: DriverProcess = new DriverProcess(this.#options, ++this.#starts, {
      onReplies: () => this.#pump(),
      onEnd: () => {
        if (this.#process === process) this.#process = null;
        this.#schedule();
      },
    });
    return process;
  }
}
