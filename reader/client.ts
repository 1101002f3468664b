/**
 * Strangers' documents behind a border: questions about them are answered elsewhere, in processes (pool.ts) or, for
 * commands, in a thread.
 */
import { FormatError, isFormatErrorCode } from "../formats/error.ts";
import type { Source } from "../formats/source.ts";
import { type Answer, decodeMessage, encodeMessage, type Failure } from "./messages.ts";
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
export const DEADLINE = 30_000;
export const COMMAND_DEADLINE = 120_000;

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
export function valueOf(answer: Answer, revive: ReaderOptions["revive"]): any {
  if ("ok" in answer) return answer.ok;
  const words = (text: unknown) => typeof text === "string" ? text.slice(0, MAX_WORDS) : undefined;
  const { name, code } = answer.failure;
  const [message = "", detail] = [answer.failure.message, answer.failure.detail].map(words);
  if (name === "FormatError" && isFormatErrorCode(code)) throw new FormatError(code, message);
  throw revive?.({ name, code, message, detail }) ?? new Error(`The reader failed: ${message}`);
}

/** What the asker is told of an error. */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof ReaderBreach)) return error;
  return new FormatError(
    "too_costly",
    error.breach === "deadline"
      ? "Reading the document takes too long. It may be damaged, or made to keep D-Sign busy."
      : "Reading the document takes too much memory. It may be damaged, or made to fill this computer's memory.",
  );
}
