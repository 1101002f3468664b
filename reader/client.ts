/**
 * Strangers' documents behind a border: questions about them are answered in a process that has no permissions, may be
 * ended at any time, and takes nothing else with it.
 *
 * ```ts ignore
 * const reader = new ReaderPool<typeof questions>({ command });
 * const facts = await reader.ask("pdfFacts", { password }, { documents: [source], origin });
 * await reader.close();
 * ```
 */
import { FormatError, isFormatErrorCode } from "../formats/error.ts";
import type { Source } from "../formats/source.ts";
import { type Answer, decodeMessage, encodeMessage, type Failure } from "./messages.ts";
import { ReaderProcess } from "./process.ts";
import { Served } from "./served.ts";
import { ReaderBreach, ReaderThread } from "./thread.ts";
import type { Questions } from "./worker.ts";

/** How one question is asked. */
export interface AskOptions {
  documents?: readonly Source[];
  /**
   * For whom: one asker's questions are answered one after another (or as many at a time as its `share`), and all
   * askers in turn; with `apart`, never by a process that has read for another.
   */
  origin?: string;
  /** Of a pool: by a process that has read nothing before, and ends with the answer, as befits a secret in `input`. */
  alone?: boolean;
  signal?: AbortSignal;
}

/** Answers questions about strangers' bytes. */
export interface Reader<Q extends Questions> {
  /**
   * @throws {FormatError} `too_costly` if the answer takes too much time or memory, and what the question
   *   throws; the signal's reason
   */
  ask<N extends keyof Q & string>(
    question: N,
    input: Parameters<Q[N]>[0],
    options?: AskOptions,
  ): Promise<Awaited<ReturnType<Q[N]>>>;
  close(): Promise<void>;
}

export interface ReaderOptions {
  /** Milliseconds that a question may take. */
  deadline?: number;
  /** Makes an error of another room's class; by default, FormatErrors alone are. */
  revive?: (failure: Failure) => Error | undefined;
}

/** Of a process, which others wait for; and of a command, which the person can end at any time. */
const DEADLINE = 30_000;
export const COMMAND_DEADLINE = 120_000;
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

/** A question that waits for a process. */
interface Waiting {
  origin: string;
  start(): void;
}

/** Answers questions in processes: started when they are needed, a few at most, ended when they are not. */
export class ReaderPool<Q extends Questions> implements Reader<Q> {
  readonly #idle: Idle[] = [];
  /** Processes that read for an asker now. */
  readonly #busy = new Map<string, number>();
  #running = 0;
  #waiting: Waiting[] = [];
  readonly #closing = new AbortController();

  /**
   * @param options `command` starts the program in its `reader` role, with `env` too; `apart`: a process that has read for one origin
   *   ends before another's document is read, so that what a document does to its reader concerns its bringer only;
   *   `share`: processes that one asker has at most. Default: 1
   */
  constructor(
    readonly options: ReaderOptions & {
      command: readonly string[];
      env?: Record<string, string>;
      apart?: boolean;
      share?: number;
      processes?: number;
      idle?: number;
      onLog?: (text: string) => void;
    },
  ) {}

  get #most(): number {
    return this.options.processes ?? PROCESSES;
  }

  /** Processes that run now, for diagnosis. */
  get processes(): number {
    return this.#idle.length + this.#running;
  }

  async ask<N extends keyof Q & string>(
    question: N,
    input: Parameters<Q[N]>[0],
    { documents = [], origin = "", alone = false, signal }: AskOptions = {},
  ): Promise<Awaited<ReturnType<Q[N]>>> {
    const { deadline = DEADLINE, revive } = this.options;
    const ending = AbortSignal.any([this.#closing.signal, ...signal ? [signal] : []]);
    await this.#turn(origin, ending);
    let process: ReaderProcess | undefined;
    try {
      process = await this.#take(origin, alone) ?? this.#start();
      const served = new Served(documents);
      const asked = encodeMessage({
        ask: question,
        input,
        documents: served.announced(),
        deadline,
      });
      const answer = process.ask(asked, deadline, (need) => served.serve(need), ending);
      return valueOf(await answer.finally(() => alone && asked.fill(0)), revive);
    } catch (error) {
      throw refusalOf(error);
    } finally {
      if (alone && process?.alive) await process.close();
      this.#count(origin, -1);
      this.#running--;
      if (process?.alive) this.#keep(process, origin);
      this.#next();
    }
  }

  /** Ends the processes; questions in progress fail. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("The reader has been closed."));
    await Promise.all(this.#idle.splice(0).map(end));
  }

  #count(origin: string, change: number): void {
    const count = (this.#busy.get(origin) ?? 0) + change;
    if (count > 0) this.#busy.set(origin, count);
    else this.#busy.delete(origin);
  }

  /** Waits until a process is free and it is the asker's turn. */
  #turn(origin: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = { origin, start: resolve };
    this.#waiting.push(waiting);
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

  /**
   * Begins with the first question of the askers that have the fewest processes; what else that asker waits for then
   * comes behind everybody's.
   */
  #next(): void {
    while (this.#running < this.#most) {
      const busy = this.#waiting.map(({ origin }) => this.#busy.get(origin) ?? 0);
      const least = Math.min(...busy);
      if (least >= (this.options.share ?? 1)) return;
      const [{ origin, start }] = this.#waiting.splice(busy.indexOf(least), 1);
      const [others, own] = [false, true].map((isOwn) =>
        this.#waiting.filter((each) => (each.origin === origin) === isOwn)
      );
      this.#waiting = [...others, ...own];
      this.#count(origin, 1);
      this.#running++;
      start();
    }
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
    const process = new ReaderProcess(command, onLog, env);
    // Others may end it while it is idle, such as a system short of memory.
    void process.ended.then(() => this.#drop(process));
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

/**
 * Answers questions in a thread of this process, for commands that read one document and end: Deno does not stop a thread
 * that loops, so after a question that took too much, nothing more is read.
 */
export class LocalReader<Q extends Questions> implements Reader<Q> {
  #thread: ReaderThread | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** The refusal of the question that took too much. */
  #refusal: unknown;

  /** @param module URL of the script that calls `answerQuestions` */
  constructor(readonly module: URL, readonly options: ReaderOptions = {}) {}

  ask<N extends keyof Q & string>(
    question: N,
    input: Parameters<Q[N]>[0],
    { documents = [], signal }: AskOptions = {},
  ): Promise<Awaited<ReturnType<Q[N]>>> {
    const { deadline = COMMAND_DEADLINE, revive } = this.options;
    const answer = this.#last.then(async () => {
      if (this.#refusal) throw this.#refusal;
      const thread = this.#thread ??= new ReaderThread(this.module);
      try {
        const served = new Served(documents);
        const asked = { ask: question, input, documents: served.announced(), deadline };
        return valueOf(
          decodeMessage<Answer>(
            await thread.ask(encodeMessage(asked), deadline, (need) => served.serve(need), signal),
          ),
          revive,
        );
      } catch (error) {
        if (thread.ended) this.#thread = undefined;
        const refusal = refusalOf(error);
        if (error instanceof ReaderBreach) this.#refusal = refusal;
        throw refusal;
      }
    });
    this.#last = answer.catch(() => {});
    return answer as Promise<Awaited<ReturnType<Q[N]>>>;
  }

  close(): Promise<void> {
    this.#thread?.close();
    this.#thread = undefined;
    return Promise.resolve();
  }
}

/** Longest sentence that is taken over from a reader, in UTF-16 units. */
const MAX_WORDS = 2000;

/** A reader that a document has taken over may answer anything: only known codes and short sentences are taken over. */
// deno-lint-ignore no-explicit-any -- the table of questions says what it is
function valueOf(answer: Answer, revive: ReaderOptions["revive"]): any {
  if ("ok" in answer) return answer.ok;
  const words = (text: unknown) => typeof text === "string" ? text.slice(0, MAX_WORDS) : undefined;
  const { name, code } = answer.failure;
  const [message = "", detail] = [answer.failure.message, answer.failure.detail].map(words);
  if (name === "FormatError" && isFormatErrorCode(code)) throw new FormatError(code, message);
  throw revive?.({ name, code, message, detail }) ?? new Error(`The reader failed: ${message}`);
}

function refusalOf(error: unknown): unknown {
  if (!(error instanceof ReaderBreach)) return error;
  return new FormatError(
    "too_costly",
    error.breach === "deadline"
      ? "Reading the document takes too long. It may be damaged, or made to keep D-Sign busy."
      : "Reading the document takes too much memory. It may be damaged, or made to fill this computer's memory.",
  );
}
