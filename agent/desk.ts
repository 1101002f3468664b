/** The desk at which the person is asked: one request at a time, and no asker keeps the others away. */
import { DsignError } from "../protocol/errors.ts";
import { toCancelled } from "./errors.ts";

/** After so many times no within this time (milliseconds), an asker is not heard for as long. */
const MANY_NOES = 5;
const QUIET = 60_000;

/** How many may wait. One connection alone cannot have more in flight than a quarter of it. */
const MAX_WAITING = 1024;

interface Waiting {
  admit(): void;
  refuse(error: DsignError): void;
}

export class Desk {
  #taken = false;
  /** By asker, in the order in which they are next served. */
  #queues = new Map<string, Waiting[]>();
  #waiting = 0;
  /** Times of no, by asker, newest last. */
  #noes = new Map<string, number[]>();

  constructor(readonly now: () => number = Date.now) {}

  /**
   * Waits for the desk. Askers are served in turn, whatever the number of requests of each.
   *
   * @returns leaves the desk; further calls do nothing
   * @throws {DsignError} `busy`; `request_cancelled` when `signal` fires; what {@linkcode dismiss} was called with
   */
  async enter(asker: string, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw toCancelled(signal);
    if (this.#recentNoes(asker).length >= MANY_NOES) {
      throw new DsignError("busy", "The person declined several times. Ask again in a minute.");
    }
    if (this.#taken) {
      if (this.#waiting >= MAX_WAITING) throw new DsignError("busy");
      await this.#wait(asker, signal);
    }
    this.#taken = true;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#taken = false;
      this.#next();
    };
  }

  /** The person said no: all that this asker has waiting is sent away with it. */
  dismiss(asker: string, error: DsignError): void {
    for (const each of this.#noes.keys()) this.#recentNoes(each);
    this.#noes.set(asker, [...this.#recentNoes(asker), this.now()]);
    for (const waiting of [...this.#queues.get(asker) ?? []]) waiting.refuse(error);
  }

  #recentNoes(asker: string): number[] {
    const recent = (this.#noes.get(asker) ?? []).filter((time) => this.now() - time < QUIET);
    if (recent.length === 0) this.#noes.delete(asker);
    return recent;
  }

  #wait(asker: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(asker) ?? [];
      this.#queues.set(asker, queue);
      const leave = () => {
        queue.splice(queue.indexOf(waiting), 1);
        if (queue.length === 0) this.#queues.delete(asker);
        this.#waiting--;
        signal.removeEventListener("abort", cancelled);
      };
      const waiting: Waiting = {
        admit: () => (leave(), resolve()),
        refuse: (error) => (leave(), reject(error)),
      };
      const cancelled = () => waiting.refuse(toCancelled(signal));
      signal.addEventListener("abort", cancelled);
      queue.push(waiting);
      this.#waiting++;
    });
  }

  #next(): void {
    const turn = this.#queues.entries().next().value;
    if (!turn) return;
    const [asker, queue] = turn;
    // Taken already here, lest somebody step in before the admitted one runs.
    this.#taken = true;
    queue[0].admit();
    if (this.#queues.delete(asker) && queue.length > 0) this.#queues.set(asker, queue);
  }
}
