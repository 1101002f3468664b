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
import { FormatError } from "../formats/error.ts";
import type { Source } from "../formats/source.ts";
import { type Answer, decodeMessage, encodeMessage, type Failure } from "./messages.ts";
import { ReaderProcess } from "./process.ts";
import { Served } from "./served.ts";
import { ReaderBreach, ReaderThread } from "./thread.ts";
import type { Questions } from "./worker.ts";

/** How one question is asked. */
export interface AskOptions {
  documents?: readonly Source[];
  /** For whom: one asker's questions are answered one after another, and all askers in turn. */
  origin?: string;
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

/** Of a process, which others wait for; and of a thread of a command, which the person can end at any time. */
const DEADLINE = 30_000;
const LOCAL_DEADLINE = 120_000;
/** Processes at a time. */
const MAX_PROCESSES = 2;
/** Milliseconds after which a process that has nothing to do ends. */
const IDLE = 60_000;

/** A question that waits for a process. */
interface Waiting {
  origin: string;
  start(): void;
}

/** Answers questions in processes: started when they are needed, two at most, ended when they are not. */
export class ReaderPool<Q extends Questions> implements Reader<Q> {
  readonly #idle: { process: ReaderProcess; timer: ReturnType<typeof setTimeout> }[] = [];
  readonly #busy = new Set<string>();
  #running = 0;
  #waiting: Waiting[] = [];
  readonly #closing = new AbortController();

  /** @param options `command` starts the program in its `reader` role */
  constructor(
    readonly options: ReaderOptions & {
      command: readonly string[];
      idle?: number;
      onLog?: (text: string) => void;
    },
  ) {}

  /** Processes that run now, for diagnosis. */
  get processes(): number {
    return this.#idle.length + this.#running;
  }

  async ask<N extends keyof Q & string>(
    question: N,
    input: Parameters<Q[N]>[0],
    { documents = [], origin = "", signal }: AskOptions = {},
  ): Promise<Awaited<ReturnType<Q[N]>>> {
    const { deadline = DEADLINE, command, onLog, revive } = this.options;
    const ending = AbortSignal.any([this.#closing.signal, ...signal ? [signal] : []]);
    await this.#turn(origin, ending);
    let process: ReaderProcess | undefined;
    try {
      const idle = this.#idle.pop();
      clearTimeout(idle?.timer);
      process = idle?.process ?? new ReaderProcess(command, onLog);
      const served = new Served(documents);
      const asked = { ask: question, input, documents: served.announced(), deadline };
      return valueOf(
        await process.ask(encodeMessage(asked), deadline, (need) => served.serve(need), ending),
        revive,
      );
    } catch (error) {
      throw refusalOf(error);
    } finally {
      this.#busy.delete(origin);
      this.#running--;
      if (process?.alive) this.#keep(process);
      this.#next();
    }
  }

  /** Ends the processes; questions in progress fail. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("The reader has been closed."));
    await Promise.all(
      this.#idle.splice(0).map(({ process, timer }) => {
        clearTimeout(timer);
        return process.close();
      }),
    );
  }

  /** Waits until a process is free and the asker has none. */
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

  /** Begins with the first question whose asker has no process: an asker with many waits for its own only. */
  #next(): void {
    while (this.#running < MAX_PROCESSES) {
      const at = this.#waiting.findIndex(({ origin }) => !this.#busy.has(origin));
      if (at < 0) return;
      const [{ origin, start }] = this.#waiting.splice(at, 1);
      this.#busy.add(origin);
      this.#running++;
      start();
    }
  }

  #keep(process: ReaderProcess): void {
    if (this.#closing.signal.aborted) return void process.close();
    const timer = setTimeout(() => {
      const at = this.#idle.findIndex((each) => each.process === process);
      if (at >= 0) this.#idle.splice(at, 1);
      void process.close();
    }, this.options.idle ?? IDLE);
    Deno.unrefTimer(timer);
    this.#idle.push({ process, timer });
  }
}

/** Answers questions in a thread of this process, for commands that do one thing and end. */
export class LocalReader<Q extends Questions> implements Reader<Q> {
  #thread: ReaderThread | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** Deno does not stop a thread in a loop: if it fills the memory, the command has to end soon. */
  #isFlooded = false;

  /** @param module URL of the script that calls `answerQuestions` */
  constructor(readonly module: URL, readonly options: ReaderOptions = {}) {}

  ask<N extends keyof Q & string>(
    question: N,
    input: Parameters<Q[N]>[0],
    { documents = [], signal }: AskOptions = {},
  ): Promise<Awaited<ReturnType<Q[N]>>> {
    const { deadline = LOCAL_DEADLINE, revive } = this.options;
    const answer = this.#last.then(async () => {
      if (this.#isFlooded) {
        throw new FormatError(
          "too_costly",
          "It was not read, because an earlier file took too much memory. Run the command again without that file.",
        );
      }
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
        this.#isFlooded = error instanceof ReaderBreach && error.breach === "memory";
        throw refusalOf(error);
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

// deno-lint-ignore no-explicit-any -- the table of questions says what it is
function valueOf(answer: Answer, revive: ReaderOptions["revive"]): any {
  if ("ok" in answer) return answer.ok;
  const { failure } = answer;
  if (failure.name === "FormatError") {
    throw new FormatError(failure.code as FormatError["code"], failure.message);
  }
  throw revive?.(failure) ?? new Error(`The reader failed: ${failure.message}`);
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
