import { EXIT_CODES } from "./host.ts";
import {
  type Answer,
  decodeMessage,
  jsonLength,
  MAX_NEED,
  type Need,
  readFrames,
  writePiece,
} from "./messages.ts";
import { ReaderBreach } from "./thread.ts";

/** Milliseconds after which a process that should have ended itself is killed. */
const GRACE = 2000;

/** Bytes of one process that reach the log. */
const MAX_LOG = 8 * 1024;

/** The process ended, or was ended, without an answer: by somebody else, or because it asked for what it may not have. */
export class ReaderEnded extends Error {
  override readonly name = "ReaderEnded";

  /** @param isFromOutside whether it was ended by a signal that neither it nor this program gave */
  constructor(readonly isFromOutside: boolean, cause: unknown) {
    super("The reader process ended without an answer.", { cause });
  }
}

/** A question that waited behind another one in vain: another process is to be asked. */
export class NotBegun extends Error {
  override readonly name = "NotBegun";
}

/** How long a question waits behind another one only, in milliseconds; most are answered in one. */
export const PATIENCE = 20;

/** What a question may take. */
export interface Terms {
  /** Milliseconds of the process's own work. */
  deadline: number;
  /** Gives what the process needs besides; absent: all that it may read goes along. */
  serve?: (need: Need) => Promise<Uint8Array>;
  signal?: AbortSignal;
  /**
   * Called when the question has stood in line for long: `leave` gives it up here, with {@linkcode NotBegun}, until
   * `begun` is aborted.
   */
  late?: (leave: () => void, begun: AbortSignal) => void;
}

/** One run of the reader process. */
export class ReaderProcess {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #frames: AsyncGenerator<Uint8Array<ArrayBuffer>>;
  /** Settles when all questions have been answered. */
  #last: Promise<unknown> = Promise.resolve();
  #questions = 0;
  #isKilled = false;
  /** Whether it can be asked again. */
  alive = true;
  /** Whether it has answered already: it starts for longer than most answers take. */
  isReady = false;
  /** Resolves when it has ended, by whatever. */
  readonly ended: Promise<void>;
  /** Whether it ended by itself before it had answered anything. */
  hasFailed = false;

  /**
   * @param command starts the program in its `reader` role
   * @param env added to the environment
   */
  constructor(
    command: readonly string[],
    onLog?: (text: string) => void,
    env?: Record<string, string>,
  ) {
    const [program, ...args] = command;
    this.#child = new Deno.Command(program, {
      args,
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#frames = readFrames(this.#child.stdout);
    void this.#log(onLog);
    this.ended = this.#child.status.then(() => {
      this.alive = false;
      this.hasFailed = !this.isReady && !this.#isKilled;
    });
  }

  /**
   * Asks a question, at once or behind another one: the process finds it in its pipe when it has answered that one. Only
   * questions without `serve` may stand in line, as what others are served would get behind them.
   *
   * @param ask is wiped and freed when it is written: there may be a secret in it, and documents of a batch would
   *   keep the garbage collector busy
   * @returns `answer`, or {ReaderBreach}; {ReaderEnded}; {NotBegun}; the signal's reason. If the question had begun, the
   *   process has ended with each. `done`: the process works on it no more
   */
  ask(
    ask: Uint8Array<ArrayBuffer>,
    terms: Terms,
  ): { answer: Promise<Answer>; done: Promise<unknown> } {
    const written = this.#writer.write(ask).finally(() => {
      ask.fill(0);
      ask.buffer.transfer(0);
    });
    const answered = (terms: Terms) =>
      this.#answer(written, terms).finally(() => this.#questions--);
    if (this.#questions++ === 0) {
      const answer = answered(terms);
      return { answer, done: this.#last = answer.catch(() => {}) };
    }
    written.catch(() => {}); // the process has ended, as is seen below
    const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
    const { signal, late } = terms;
    let begun: AbortController | undefined;
    let isLeft = false;
    const leave = (reason: unknown) => {
      isLeft = true;
      clearTimeout(timer);
      reject(reason);
    };
    const abort = () => leave(signal!.reason);
    signal?.addEventListener("abort", abort);
    const timer = setTimeout(() => {
      begun = new AbortController();
      late?.(() => leave(new NotBegun()), begun.signal);
    }, PATIENCE);
    const begin = () => {
      clearTimeout(timer);
      begun?.abort();
      signal?.removeEventListener("abort", abort);
      // One that has been left is ended soon: nobody waits for its answer, but others for the process.
      if (this.alive) return answered(isLeft ? { deadline: 0 } : terms);
      this.#questions--;
      throw new NotBegun();
    };
    return { answer, done: this.#last = this.#last.then(begin).then(resolve, reject) };
  }

  async #answer(
    written: Promise<void>,
    { deadline, serve, signal }: Terms,
  ): Promise<Answer> {
    const kill = () => this.#kill();
    signal?.addEventListener("abort", kill);
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isLate = false;
    // All its turns count together: a process could ask for bytes without end, or never take them.
    let left = deadline + GRACE;
    const turn = async (written: Promise<void>) => {
      const started = performance.now();
      timer = setTimeout(() => {
        isLate = true;
        kill();
      }, Math.max(0, left));
      await written;
      const { value } = await this.#frames.next();
      clearTimeout(timer);
      if (!value) throw new Error("The reader process ended.");
      const answer = decodeMessage<Answer | Need>(value);
      left -= performance.now() - started;
      if ("need" in answer && jsonLength(value) > MAX_NEED) throw new RangeError("A long request.");
      return answer;
    };
    try {
      for (let answer = await turn(written);;) {
        if (!("need" in answer)) {
          this.isReady = true;
          return answer;
        }
        if (!serve) throw new RangeError("The reader asks for what it has.");
        answer = await turn(writePiece(this.#writer, await serve(answer)));
      }
    } catch (error) {
      const { code, signal: by } = await this.#end();
      signal?.throwIfAborted();
      for (const breach of ["deadline", "memory"] as const) {
        if (code === EXIT_CODES[breach]) throw new ReaderBreach(breach);
      }
      if (isLate) throw new ReaderBreach("deadline");
      throw new ReaderEnded(!this.#isKilled && (by === "SIGKILL" || by === "SIGTERM"), error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", kill);
    }
  }

  /** Ends the process at once: it has nothing to finish, and others may wait for its place. */
  async close(): Promise<void> {
    this.alive = false;
    this.#kill();
    await this.#writer.abort().catch(() => {}); // it has ended already
    await this.#child.status;
  }

  async #end(): Promise<Deno.CommandStatus> {
    this.alive = false;
    await this.#writer.abort().catch(() => {});
    const timer = setTimeout(() => this.#kill(), GRACE);
    const status = await this.#child.status;
    clearTimeout(timer);
    return status;
  }

  #kill(): void {
    this.#isKilled = true;
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It ended by itself in this moment.
    }
  }

  /** A document may have taken the process over: it must not fill the log. */
  async #log(onLog?: (text: string) => void): Promise<void> {
    let left = MAX_LOG;
    for await (const chunk of this.#child.stderr) {
      if (left > 0) onLog?.(new TextDecoder().decode(chunk.subarray(0, left)));
      left -= chunk.length;
    }
  }
}
