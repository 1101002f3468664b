/**
 * Which of our code an input reaches, as V8 counts it: each block of statements, and how often it ran. Code must be
 * loaded after {@linkcode Coverage.start}, since V8 counts blocks only in what it compiles from then on.
 */
import inspector from "node:inspector/promises";

const ROOT = new URL("../../", import.meta.url).href;

/** The part of V8's answer that is used. */
interface ScriptCoverage {
  url: string;
  /** Outer functions before those within them. */
  functions: { ranges: { startOffset: number; endOffset: number; count: number }[] }[];
}

/** What ran since one asked last. */
export interface Taken {
  /** How many blocks ran: the same for the same input, however fast the machine is. */
  steps: number;
  scripts: ScriptCoverage[];
}

export class Coverage {
  /** By script, which of its characters belong to code that ran. */
  readonly #reached = new Map<string, Uint8Array>();

  private constructor(readonly session: inspector.Session) {}

  static async start(): Promise<Coverage> {
    const session = new inspector.Session();
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    return new Coverage(session);
  }

  async take(): Promise<Taken> {
    const answer = await this.session.post("Profiler.takePreciseCoverage");
    const { result } = answer as { result: ScriptCoverage[] };
    let steps = 0;
    for (const { functions } of result) {
      for (const { ranges } of functions) {
        for (const { count } of ranges) steps += count;
      }
    }
    const isOurs = (url: string) => url.startsWith(ROOT) && !url.startsWith(`${ROOT}tests/`);
    return { steps, scripts: result.filter(({ url }) => isOurs(url)) };
  }

  /** Counts what ran as reached. */
  add(taken: Taken): void {
    this.#paint(taken, (reached, ran) => {
      for (let i = 0; i < ran.length; i++) reached[i] |= ran[i];
      return false;
    });
  }

  /** Whether something ran that was never reached before. */
  isNew(taken: Taken): boolean {
    return this.#paint(taken, (reached, ran) => {
      for (let i = 0; i < ran.length; i++) if (ran[i] > reached[i]) return true;
      return false;
    });
  }

  /** Number of characters of code that were reached. */
  get reached(): number {
    let sum = 0;
    for (const script of this.#reached.values()) for (const each of script) sum += each;
    return sum;
  }

  /** Begins anew, as if nothing had run. */
  forget(): void {
    this.#reached.clear();
  }

  /** Asks about one script after another until one answer is true. */
  #paint(
    { scripts }: Taken,
    look: (reached: Uint8Array, ran: Uint8Array) => boolean,
  ): boolean {
    return scripts.some(({ url, functions }) => {
      const all = functions.flatMap(({ ranges }) => ranges);
      const length = Math.max(...all.map(({ endOffset }) => endOffset));
      let reached = this.#reached.get(url) ?? new Uint8Array();
      if (reached.length < length) {
        const longer = new Uint8Array(length);
        longer.set(reached);
        this.#reached.set(url, reached = longer);
      }
      const ran = new Uint8Array(length);
      for (const { startOffset, endOffset, count } of all) {
        ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
      }
      return look(reached, ran);
    });
  }
}
