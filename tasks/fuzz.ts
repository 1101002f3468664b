/**
 * `deno task fuzz TARGET [--count N] [--seed S] [--from I]`: tries mutated documents; TARGET is a module of
 * `tests/fuzz`. A case depends on the seed and its number alone, so that a long run can be done in parts: `--from` says
 * with which case to begin. An error that is not of the room's own class, a crash, or a case of more than two
 * seconds is a failure; its input is written to a folder, which is printed at the end. TARGET `agreement` is another matter,
 * see `fuzz_agreement.ts`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fuzzAgreement } from "./fuzz_agreement.ts";
import type { Job, Report } from "../tests/fuzz/worker.ts";

const MAX_CASE_MS = 2000;
const MAX_FAILURES = 20;

interface Failure {
  index: number;
  error: string;
  bytes?: Uint8Array;
}

/** Runs cases from `from` on until all are done or one hangs; then the next one is given back. */
function runFrom(job: Job, fail: (failure: Failure) => void): Promise<number> {
  const progress = new Int32Array(job.progress);
  progress.fill(0);
  const worker = new Worker(new URL("../tests/fuzz/worker.ts", import.meta.url), {
    type: "module",
  });
  return new Promise((resolve, reject) => {
    let last = 0, since = performance.now();
    const end = (next: number) => {
      clearInterval(watch);
      worker.terminate();
      resolve(next);
    };
    const watch = setInterval(() => {
      const current = Atomics.load(progress, 0);
      const now = performance.now();
      if (current !== last || Atomics.load(progress, 1) === 0) {
        last = current;
        since = now;
      } else if (now - since > MAX_CASE_MS) {
        fail({ index: current - 1, error: `more than ${MAX_CASE_MS} ms` });
        end(current);
      }
    }, 100);
    worker.onmessage = ({ data }: MessageEvent<Report>) => {
      if (data.kind === "done") end(job.count);
      else fail(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      clearInterval(watch);
      worker.terminate();
      reject(new Error(event.message));
    };
    worker.postMessage(job);
  });
}

async function main(): Promise<void> {
  const { values, positionals: [target] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: { count: { type: "string" }, seed: { type: "string" }, from: { type: "string" } },
  });
  if (!/^[a-z0-9]+$/.test(target ?? "")) {
    throw new Error("usage: fuzz TARGET [--count N] [--seed S] [--from I]");
  }
  const count = Number(values.count ?? 100_000);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const first = Number(values.from ?? 0);
  const end = first + count;
  console.log(`fuzz ${target}: ${count} mutations from ${first} on, seed ${seed}`);
  if (target === "agreement") {
    if (!await fuzzAgreement(first, end, seed)) Deno.exitCode = 1;
    return;
  }
  const failures: Failure[] = [];
  const fail = (failure: Failure) => failures.push(failure);
  const started = performance.now();
  const progress = new SharedArrayBuffer(8);
  for (let from = first; from < end && failures.length < MAX_FAILURES;) {
    from = await runFrom({ target, seed, from, count: end, progress }, fail);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${count} mutations in ${seconds} s: ${failures.length} failures`);
  if (failures.length === 0) return;
  const folder = await Deno.makeTempDir({ prefix: `fuzz-${target}-` });
  for (const { index, error, bytes } of failures.slice(0, MAX_FAILURES)) {
    console.log(`\ncase ${index} of seed ${seed}: ${error}`);
    if (bytes) {
      await Deno.writeFile(join(folder, `${seed}-${index}`), bytes as Uint8Array<ArrayBuffer>);
    }
  }
  console.log(`\nInputs are in ${folder}`);
  Deno.exitCode = 1;
}

if (import.meta.main) await main();
