/**
 * Reader processes: they have no permissions, may be ended at any time, and take nothing else with them.
 *
 * ```ts ignore
 * const reader = new ReaderPool<typeof questions>({ command });
 * const facts = await reader.ask("pdfFacts", { password }, { documents: [source], origin });
 * await reader.close();
 * ```
 */
import {
  type AskOptions,
  DEADLINE,
  type Reader,
  type ReaderOptions,
  refusalOf,
  valueOf,
} from "./client.ts";
import { encodeMessage } from "./messages.ts";
import { NotBegun, ReaderProcess } from "./process.ts";
import { Served } from "./served.ts";
import type { Questions } from "./worker.ts";

/** Processes at a time, unless said otherwise. */
const PROCESSES = 2;
/** Milliseconds after which a process that has nothing to do ends. */
const IDLE = 60_000;

/** A process that waits for its next question. */
interface Idle {
  process: ReaderProcess;
  /** For whom it has read. */
  origin: string;
  timer: ReturnType<typeof setTimeout>;
}

/** The place of a process that works. */
interface Place {
  process?: ReaderProcess;
  /** Questions that have been given to it: the one it works on, and those behind. */
  questions: number;
}

/** A question that waits for a process. */
interface Waiting {
  origin: string;
  mayStandInLine: boolean;
  start(place: Place): void;
}

export interface PoolOptions extends ReaderOptions {
  /** Starts the program in its `reader` role, with `env` too. */
  command: readonly string[];
  env?: Record<string, string>;
  /**
   * A process that has read for one origin ends before another's document is read, so that what a document does to its
   * reader concerns its bringer only.
   */
  apart?: boolean;
  /** Processes that one asker has at most. Default: 1 */
  share?: number;
  /** A process that works gets one more question of those that wait, so that it never rests between the two. */
  inLine?: boolean;
  processes?: number;
  idle?: number;
  onLog?: (text: string) => void;
}

/** Answers questions in processes: started when they are needed, a few at most, ended when they are not. */
export class ReaderPool<Q extends Questions> implements Reader<Q> {
  readonly #idle: Idle[] = [];
  /** Questions of an asker that processes have now. */
  readonly #busy = new Map<string, number>();
  #running = 0;
  /** Processes that work, and have no question behind. */
  readonly #open = new Set<Place>();
  readonly #waiting: Waiting[] = [];
  readonly #started = new Set<ReaderProcess>();
  readonly #closing = new AbortController();
  /** The last process ended before it could answer: what the next one says is known already. */
  #isBroken = false;

  constructor(readonly options: PoolOptions) {}

  get #most(): number {
    return this.options.processes ?? PROCESSES;
  }

  /** Processes that run now, for diagnosis. */
  get processes(): number {
    return this.#started.size;
  }

  async ask<N extends keyof Q & string>(
    question: N,
    input: Parameters<Q[N]>[0],
    { documents = [], origin = "", alone = false, signal }: AskOptions = {},
  ): Promise<Awaited<ReturnType<Q[N]>>> {
    const { deadline = DEADLINE, revive, inLine = false } = this.options;
    const ending = AbortSignal.any([this.#closing.signal, ...signal ? [signal] : []]);
    const served = new Served(documents);
    const isWhole = inLine && !alone && served.areSmall;
    for (let next = await this.#turn(origin, { mayStandInLine: isWhole, signal: ending });;) {
      const place = next; // the question may leave it after it has begun at another one
      let done: Promise<unknown> | undefined;
      let other: Promise<Place | void> | undefined;
      const late = (leave: () => void, begun: AbortSignal) => {
        this.#count(origin, -1);
        const signal = AbortSignal.any([ending, begun]);
        other = this.#turn(origin, { isAgain: true, signal, leave }).catch(() => {})
          .finally(() => this.#count(origin, 1));
      };
      try {
        const process = place.process ??= await this.#take(origin, alone) ?? this.#start();
        ending.throwIfAborted();
        if (!process.alive) throw new NotBegun();
        const asked = encodeMessage({
          ask: question,
          input,
          documents: served.announced(),
          deadline,
        });
        const serve = isWhole ? undefined : served.serve.bind(served);
        const asking = process.ask(asked, { deadline, serve, signal: ending, late });
        done = asking.done;
        if (isWhole) this.#offer(place);
        const answer = await asking.answer;
        this.#isBroken = false;
        return valueOf(answer, revive);
      } catch (error) {
        if (!(error instanceof NotBegun)) throw refusalOf(error);
      } finally {
        if (alone && place.process?.alive) await place.process.close();
        this.#count(origin, -1);
        const leave = () => this.#leave(place, origin);
        if (done) void done.then(leave);
        else leave();
      }
      next = await other ?? await this.#turn(origin, { isAgain: true, signal: ending });
    }
  }

  /** Ends the processes; questions in progress fail. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("The reader has been closed."));
    for (const { timer } of this.#idle.splice(0)) clearTimeout(timer);
    // Some work on questions that have been left.
    await Promise.all([...this.#started].map((process) => process.close()));
  }

  /** A question has left its place: the process works on the one behind, or is free. */
  #leave(place: Place, origin: string): void {
    const { process } = place;
    if (--place.questions > 0) return process?.alive ? this.#offer(place) : undefined;
    this.#open.delete(place);
    this.#running--;
    if (process?.alive) this.#keep(process, origin);
    this.#next();
  }

  /** A question that waits may stand in line behind the one that is there. */
  #offer(place: Place): void {
    if (place.questions === 1 && place.process?.isReady) this.#open.add(place);
    this.#next();
  }

  #count(origin: string, change: number): void {
    const count = (this.#busy.get(origin) ?? 0) + change;
    // Below 0 for a moment where a question that has looked for another process is refused by the one it had.
    if (count !== 0) this.#busy.set(origin, count);
    else this.#busy.delete(origin);
  }

  /**
   * Waits until a process is free, or may be given one more question, and it is the asker's turn.
   *
   * @param options `leave` is called at that moment
   */
  #turn(
    origin: string,
    { mayStandInLine = false, isAgain = false, signal, leave }: {
      mayStandInLine?: boolean;
      isAgain?: boolean;
      signal: AbortSignal;
      leave?: () => void;
    },
  ): Promise<Place> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Place>();
    const start = (place: Place) => {
      leave?.();
      resolve(place);
    };
    const waiting = { origin, mayStandInLine, start };
    if (isAgain) this.#waiting.unshift(waiting);
    else this.#waiting.push(waiting);
    const abort = () => {
      const at = this.#waiting.indexOf(waiting);
      if (at < 0) return; // it has begun
      this.#waiting.splice(at, 1);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    this.#next();
    return promise.finally(() => signal.removeEventListener("abort", abort));
  }

  /** Gives places to those that wait: first those of processes that are free. */
  #next(): void {
    const { share = 1 } = this.options;
    while (this.#running < this.#most) {
      const waiting = this.#pick(share);
      if (!waiting) break;
      this.#running++;
      this.#give(waiting, { questions: 0 });
    }
    for (const place of this.#open) {
      const waiting = this.#pick(2 * share, true);
      if (!waiting) return;
      this.#open.delete(place);
      this.#give(waiting, place);
    }
  }

  #give({ origin, start }: Waiting, place: Place): void {
    place.questions++;
    this.#count(origin, 1);
    start(place);
  }

  /**
   * Takes the first question of the asker of whom the fewest are being answered; what else that asker waits for then
   * comes behind everybody's.
   *
   * @param most of one asker
   * @param inLine gives none where that question may not stand in line: others must not overtake it
   */
  #pick(most: number, inLine = false): Waiting | undefined {
    let least = most;
    let picked: Waiting | undefined;
    for (const each of this.#waiting) {
      const busy = this.#busy.get(each.origin) ?? 0;
      if (busy >= least) continue;
      least = busy;
      picked = each;
    }
    if (!picked || inLine && !picked.mayStandInLine) return undefined;
    const { origin } = picked;
    this.#waiting.splice(this.#waiting.indexOf(picked), 1);
    // Stable: each asker's questions stay in order.
    this.#waiting.sort((a, b) => Number(a.origin === origin) - Number(b.origin === origin));
    return picked;
  }

  /** An idle process that may read for this origin, if there is one. */
  async #take(origin: string, alone: boolean): Promise<ReaderProcess | undefined> {
    const at = alone
      ? -1
      : this.#idle.findLastIndex((each) => !this.options.apart || each.origin === origin);
    const [idle] = this.#idle.splice(at < 0 ? 0 : at, 1);
    if (!idle) return undefined;
    if (at < 0) {
      // Not for this question: it makes room.
      if (this.#idle.length + this.#running >= this.#most) await end(idle);
      else this.#idle.unshift(idle);
      return undefined;
    }
    clearTimeout(idle.timer);
    return idle.process;
  }

  #keep(process: ReaderProcess, origin: string): void {
    if (this.#closing.signal.aborted) return void process.close();
    const timer = setTimeout(() => {
      this.#drop(process);
      void process.close();
    }, this.options.idle ?? IDLE);
    Deno.unrefTimer(timer);
    this.#idle.push({ process, origin, timer });
  }

  #start(): ReaderProcess {
    const { command, onLog, env } = this.options;
    const process = new ReaderProcess(command, this.#isBroken ? undefined : onLog, env);
    this.#started.add(process);
    // Others may end it while it is idle, such as a system short of memory.
    void process.ended.then(() => {
      this.#started.delete(process);
      this.#drop(process);
      if (process.hasFailed) this.#isBroken = true;
    });
    return process;
  }

  /** Forgets an idle process. */
  #drop(process: ReaderProcess): void {
    const at = this.#idle.findIndex((each) => each.process === process);
    if (at >= 0) clearTimeout(this.#idle.splice(at, 1)[0].timer);
  }
}

function end({ process, timer }: Idle): Promise<void> {
  clearTimeout(timer);
  return process.close();
}
