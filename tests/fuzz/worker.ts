/** Runs the cases of one fuzz target; see tasks/fuzz.ts. */
import { Coverage, type Taken } from "./coverage.ts";
import { caseBytes } from "./mutate.ts";

/** Interface of the modules in this folder. */
export interface Target {
  words: readonly string[];
  seeds(): Promise<Uint8Array[]>;
  /** Throws if something happened that must not. */
  exercise(bytes: Uint8Array): void | Promise<void>;
  /** How many cases of an unguided run may wait at the same time; 1 if it does not say. */
  together?: number;
}

export interface Job {
  target: string;
  seed: number;
  from: number;
  end: number;
  /** When to stop, by the clock. */
  until: number;
  /** Inputs that are mutated besides the target's own seeds. */
  found: readonly Uint8Array[];
  /** Whether inputs that reach new code are mutated too. */
  isGuided: boolean;
  /** Two numbers: the case being run, plus one; and when all seeds are there, 1. */
  progress: SharedArrayBuffer;
  /** Length of the case's input in four bytes, and as much of it as fits. */
  input: SharedArrayBuffer;
}

export type Report =
  | { kind: "failure"; index: number; error: string; bytes: Uint8Array }
  | { kind: "found"; bytes: Uint8Array }
  /** The next case; those found without which less would be reached, and how much that is: nothing unless it was guided. */
  | { kind: "done"; next: number; found: Uint8Array[]; reached: number };

/** Cases between two looks at V8's counts, which take some milliseconds: more while nothing new comes. */
const [BATCH, LARGEST_BATCH] = [50, 800];
/** More blocks than any honest input of these sizes takes; a second of an idle machine is some fifty million. */
const MAX_STEPS = 20_000_000;
const MAX_MEMORY = 128 * 1024 * 1024;
/** Larger inputs make fewer mutations a second, and fill the folder. */
const MAX_FOUND = 16_384;

const post = (report: Report) => self.postMessage(report);
const memory = () => {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
};

self.onmessage = async ({ data: job }: MessageEvent<Job>) => {
  const coverage = job.isGuided ? await Coverage.start() : undefined;
  const target: Target = await import(new URL(`./${job.target}.ts`, import.meta.url).href);
  const seeds = await target.seeds();
  const progress = new Int32Array(job.progress);
  const input = new Uint8Array(job.input);
  const attempt = async (index: number, bytes: Uint8Array) => {
    new DataView(job.input).setUint32(0, bytes.length);
    input.set(bytes.subarray(0, input.length - 4), 4);
    Atomics.store(progress, 0, index + 1);
    try {
      await target.exercise(bytes);
    } catch (error) {
      const text = error instanceof Error ? error.stack ?? error.message : String(error);
      post({ kind: "failure", index, error: text, bytes });
    }
  };
  Atomics.store(progress, 1, 1);
  if (coverage) {
    post({ kind: "done", ...await guided(job, target, seeds, coverage, attempt) });
  } else {
    const documents = [...seeds, ...job.found];
    let index = job.from;
    const cases = async () => {
      while (index < job.end && Date.now() < job.until) {
        // zlib and others free memory only between turns.
        if (index % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
        const own = index++;
        await attempt(own, caseBytes(documents, target.words, job.seed, own));
      }
    };
    await Promise.all(Array.from({ length: target.together ?? 1 }, cases));
    post({ kind: "done", next: index, found: [], reached: 0 });
  }
};

async function guided(
  job: Job,
  { exercise, words }: Target,
  seeds: readonly Uint8Array[],
  coverage: Coverage,
  attempt: (index: number, bytes: Uint8Array) => Promise<void>,
) {
  /** What inputs reach since V8's counts were read last; a failure has been reported before. */
  const again = async (inputs: readonly Uint8Array[]) => {
    const before = memory();
    for (const bytes of inputs) {
      try {
        await exercise(bytes);
      } catch { /* told */ }
    }
    return { taken: await coverage.take(), grown: memory() - before };
  };
  /** Seeds, and the smallest of the others that reach something else. */
  const select = async (others: readonly Uint8Array[]) => {
    coverage.forget();
    await coverage.take();
    coverage.add((await again(seeds)).taken);
    const kept: Uint8Array[] = [];
    for (const bytes of others.toSorted((a, b) => a.length - b.length)) {
      const { taken } = await again([bytes]);
      if (!coverage.isNew(taken)) continue;
      coverage.add(taken);
      kept.push(bytes);
    }
    return kept;
  };
  for (const bytes of job.found) await attempt(job.from, bytes);
  const found = await select(job.found);
  const corpus = [...seeds, ...found];
  const isOdd = ({ steps }: Taken, grown: number) => steps > MAX_STEPS || grown > MAX_MEMORY;
  /** Looks for the inputs by which a batch reached new code or went too far: in one half, and in the other. */
  const sift = async (first: number, batch: readonly Uint8Array[]) => {
    const { taken, grown } = await again(batch);
    if (!isOdd(taken, grown) && !coverage.isNew(taken)) return;
    if (batch.length > 1) {
      const half = batch.length >> 1;
      await sift(first, batch.slice(0, half));
      return await sift(first + half, batch.slice(half));
    }
    const [bytes] = batch;
    const fail = (error: string) => post({ kind: "failure", index: first, error, bytes });
    if (taken.steps > MAX_STEPS) fail(`${taken.steps} steps`);
    if (grown > MAX_MEMORY) fail(`${grown} bytes of memory`);
    if (bytes.length > MAX_FOUND || !coverage.isNew(taken)) return;
    coverage.add(taken);
    found.push(bytes);
    corpus.push(bytes);
    post({ kind: "found", bytes });
  };
  let [from, size] = [job.from, BATCH];
  for (; from < job.end && Date.now() < job.until;) {
    await new Promise((resolve) => setTimeout(resolve));
    const before = memory();
    const batch: Uint8Array[] = [];
    for (let index = from; index < Math.min(job.end, from + size); index++) {
      const bytes = caseBytes(corpus, words, job.seed, index);
      batch.push(bytes);
      await attempt(index, bytes);
    }
    const all = await coverage.take();
    if (isOdd(all, memory() - before) || coverage.isNew(all)) {
      await sift(from, batch);
      // What runs only once, such as the filling of a cache.
      coverage.add(all);
      size = BATCH;
    } else if (all.steps < MAX_STEPS / 4) size = Math.min(2 * size, LARGEST_BATCH);
    from += batch.length;
  }
  return { next: from, found: await select(found), reached: coverage.reached };
}
