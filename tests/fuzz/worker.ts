/** Runs the cases of one fuzz target; see tasks/fuzz.ts. */
import { caseBytes } from "./mutate.ts";

/** Interface of the modules in this folder. */
export interface Target {
  words: readonly string[];
  seeds(): Promise<Uint8Array[]>;
  /** Throws if something happened that must not. */
  exercise(bytes: Uint8Array): void | Promise<void>;
}

export interface Job {
  target: string;
  seed: number;
  from: number;
  count: number;
  /** Two numbers: the case being run, plus one; and when all seeds are there, 1. */
  progress: SharedArrayBuffer;
}

export type Report =
  | { kind: "failure"; index: number; error: string; bytes: Uint8Array }
  | { kind: "done" };

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  const target: Target = await import(new URL(`./${data.target}.ts`, import.meta.url).href);
  const seeds = await target.seeds();
  const progress = new Int32Array(data.progress);
  Atomics.store(progress, 1, 1);
  for (let index = data.from; index < data.count; index++) {
    Atomics.store(progress, 0, index + 1);
    // zlib and others free memory only between turns.
    if (index % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
    const bytes = caseBytes(seeds, target.words, data.seed, index);
    try {
      await target.exercise(bytes);
    } catch (error) {
      const text = error instanceof Error ? error.stack ?? error.message : String(error);
      self.postMessage({ kind: "failure", index, error: text, bytes } satisfies Report);
    }
  }
  self.postMessage({ kind: "done" } satisfies Report);
};
