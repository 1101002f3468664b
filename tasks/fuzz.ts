/**
 * `deno task fuzz TARGET [--count N] [--seed S] [--from I] [--minutes M] [--guided]`: tries mutated documents; TARGET is a module of
 * `tests/fuzz`. A case depends on the seed and its number alone, so that a long run can be done in parts: `--from` says
 * with which case to begin, `--minutes` when to stop. An error that is not of the room's own class, a crash, or a case that does not end is a
 * failure; its input is written to a folder, which is printed at the end.
 *
 * With `--guided`, V8 counts which code runs (see `tests/fuzz/coverage.ts`): inputs that reach new code are mutated too, and
 * kept in `tests/fuzz/found` for the next run and for the tests; steps and memory of each input are bounded.
 * TARGET `agreement` is another matter, see `fuzz_agreement.ts`.
 */
import { join } from "node:path";
import { cpuUsage } from "node:process";
import { parseArgs } from "node:util";
import { fuzzAgreement } from "./fuzz_agreement.ts";
import { readFound, writeFound } from "../tests/fuzz/found.ts";
import type { Job, Report } from "../tests/fuzz/worker.ts";

/** Processor time of a case. A guided run counts steps, and this bounds what it does between two cases too. */
const MAX_CASE_MS = { guided: 20_000, unguided: 2_000 };
/** How long a case may wait for something, in looks at it: none is taken while the process is stopped. */
const [LOOK_MS, MAX_LOOKS] = [100, 300];
const MAX_FAILURES = 20;
const MAX_INPUT = 1024 * 1024;

interface Failure {
  index: number;
  error: string;
  bytes: Uint8Array;
}

/** Results of a run. */
interface Results {
  /** The case after the last one that was tried. */
  next: number;
  failures: Failure[];
  /** Those that a guided run mutates too. */
  found: Uint8Array[];
  /** Inputs that reached new code in this run. */
  paths: number;
  /** Characters of code that were reached. */
  reached: number;
}

/** Runs cases from `results.next` on until the time is over, all are done or one hangs; says whether it is over. */
function run(
  job: Omit<Job, "from" | "found" | "progress" | "input">,
  results: Results,
): Promise<boolean> {
  const [progress, input] = [new SharedArrayBuffer(8), new SharedArrayBuffer(4 + MAX_INPUT)];
  const counts = new Int32Array(progress);
  const worker = new Worker(new URL("../tests/fuzz/worker.ts", import.meta.url), {
    type: "module",
  });
  return new Promise((resolve, reject) => {
    const limit = MAX_CASE_MS[job.isGuided ? "guided" : "unguided"];
    let last = 0, looks = 0, began = cpuUsage();
    const end = (next: number, isOver: boolean) => {
      clearInterval(watch);
      worker.terminate();
      results.next = next;
      resolve(isOver);
    };
    const isTooMany = () => results.failures.length >= MAX_FAILURES;
    const watch = setInterval(() => {
      const current = Atomics.load(counts, 0);
      if (current !== last || Atomics.load(counts, 1) === 0) {
        [last, looks, began] = [current, 0, cpuUsage()];
        return;
      }
      const { user, system } = cpuUsage(began);
      const took = (user + system) / 1000;
      if (took <= limit && ++looks <= MAX_LOOKS) return;
      const length = new DataView(input).getUint32(0);
      const bytes = new Uint8Array(input).slice(4, 4 + length);
      const error = took > limit
        ? `more than ${limit} ms of processor time`
        : `no end within ${MAX_LOOKS * LOOK_MS / 1000} s`;
      results.failures.push({ index: current - 1, error, bytes });
      end(current, isTooMany());
    }, LOOK_MS);
    worker.onmessage = ({ data }: MessageEvent<Report>) => {
      switch (data.kind) {
        case "failure":
          results.failures.push(data);
          if (isTooMany()) end(data.index + 1, true);
          break;
        case "found":
          results.found.push(data.bytes);
          results.paths++;
          break;
        case "done":
          if (job.isGuided) Object.assign(results, { found: data.found, reached: data.reached });
          end(data.next, true);
      }
    };
    worker.onerror = (event) => {
      event.preventDefault();
      clearInterval(watch);
      worker.terminate();
      reject(new Error(event.message));
    };
    const { next: from, found } = results;
    worker.postMessage({ ...job, from, found, progress, input } satisfies Job);
  });
}

async function main(): Promise<void> {
  const { values, positionals: [target] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      count: { type: "string" },
      seed: { type: "string" },
      from: { type: "string" },
      minutes: { type: "string" },
      guided: { type: "boolean", default: false },
    },
  });
  if (!/^[a-z0-9_]+$/.test(target ?? "")) {
    throw new Error(
      "usage: fuzz TARGET [--count N] [--seed S] [--from I] [--minutes M] [--guided]",
    );
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
  const isGuided = values.guided;
  const results: Results = {
    next: first,
    failures: [],
    found: await readFound(target),
    paths: 0,
    reached: 0,
  };
  const { failures } = results;
  const started = performance.now();
  const until = Date.now() + Number(values.minutes ?? 1e6) * 60_000;
  while (!await run({ target, seed, end, until, isGuided }, results));
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${results.next - first} mutations in ${seconds} s: ${failures.length} failures`);
  if (isGuided) {
    console.log(
      `${results.paths} reached new code; ${results.found.length} inputs kept; ` +
        `${results.reached} characters of code reached`,
    );
    await writeFound(target, results.found);
  }
  if (failures.length === 0) return;
  const folder = await Deno.makeTempDir({ prefix: `fuzz-${target}-` });
  for (const { index, error, bytes } of failures.slice(0, MAX_FAILURES)) {
    console.log(`\ncase ${index} of seed ${seed}: ${error}`);
    await Deno.writeFile(join(folder, `${seed}-${index}`), bytes as Uint8Array<ArrayBuffer>);
  }
  console.log(`\nInputs are in ${folder}`);
  Deno.exitCode = 1;
}

if (import.meta.main) {
  await main();
  // A worker that hangs would go on even now.
  Deno.exit();
}
