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

  constructor(cause: unknown) {
    super("The reader process ended without an answer.", { cause });
  }
}

/** One run of the reader process. */
export class ReaderProcess {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #frames: AsyncGenerator<Uint8Array<ArrayBuffer>>;
  /** Whether it can be asked again. */
  alive = true;
  /** Resolves when it has ended, by whatever. */
  readonly ended: Promise<void>;

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
    this.ended = this.#child.status.then(() => void (this.alive = false));
  }

  /**
   * Asks a question; one at a time.
   *
   * @param deadline milliseconds of the process's own work
   * @throws {ReaderBreach}; {ReaderEnded}; the signal's reason. In each case it has ended.
   */
  async ask(
    ask: Uint8Array,
    deadline: number,
    serve: (need: Need) => Promise<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Answer> {
    signal?.throwIfAborted();
    const kill = () => this.#kill();
    signal?.addEventListener("abort", kill);
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isLate = false;
    // All its turns count together: a process could ask for bytes without end, or never take them.
    let left = deadline + GRACE;
    const turn = async (write: () => Promise<void>) => {
      const started = performance.now();
      timer = setTimeout(() => {
        isLate = true;
        kill();
      }, Math.max(0, left));
      await write();
      const { value } = await this.#frames.next();
      clearTimeout(timer);
      if (!value) throw new Error("The reader process ended.");
      const answer = decodeMessage<Answer | Need>(value);
      left -= performance.now() - started;
      if ("need" in answer && jsonLength(value) > MAX_NEED) throw new RangeError("A long request.");
      return answer;
    };
    try {
      for (let write = () => this.#writer.write(ask);;) {
        const answer = await turn(write);
        if (!("need" in answer)) return answer;
        const piece = await serve(answer);
        write = () => writePiece(this.#writer, piece);
      }
    } catch (error) {
      const code = await this.#end();
      signal?.throwIfAborted();
      for (const breach of ["deadline", "memory"] as const) {
        if (code === EXIT_CODES[breach]) throw new ReaderBreach(breach);
      }
      throw isLate ? new ReaderBreach("deadline") : new ReaderEnded(error);
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

  /** Ends the process. @returns its exit code */
  async #end(): Promise<number> {
    this.alive = false;
    await this.#writer.abort().catch(() => {});
    const timer = setTimeout(() => this.#kill(), GRACE);
    const { code } = await this.#child.status;
    clearTimeout(timer);
    return code;
  }

  #kill(): void {
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
