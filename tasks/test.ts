/**
 * `deno task test`: every check before a change lands.
 *
 * Refuses a runtime that is not the published one, installs what the tests use, builds the pages, checks format, lint,
 * types and the examples in comments (one check each), packs the program as it is shipped, runs all tests with it, and
 * ends with the one line `N passed, N failed, N skipped`. Arguments are passed to `deno test`.
 */
import { dirname, join, resolve } from "node:path";
import { programFiles } from "./compile.ts";
import { runtime, runtimeProblem } from "./runtime.ts";
import { ensure } from "./setup.ts";
import { prepareWindows } from "./windows.ts";

/** Counts of one run of `deno test`. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: string[];
}

/**
 * Reads the counts from what `deno test` printed (without colours).
 *
 * @returns null if the runner ended without its closing line: it crashed, or a module could not be loaded
 */
export function readCounts(output: string): Counts | null {
  const closing = [...output.matchAll(/^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed.*$/gm)]
    .at(-1);
  if (closing === undefined) return null;
  // a file's name stands before the test's, a step's after it
  const ignored = /^(?=\S)(?:\S+ => )?((?:(?! \.\.\. ).)+) \.\.\. ignored \(\d+m?s\)$/gm;
  const skipped = [...output.matchAll(ignored)].map((line) => line[1]!);
  return { passed: Number(closing[1]), failed: Number(closing[2]), skipped };
}

/** What failed in one run of `deno test --parallel`. */
export interface Failures {
  files: string[];
  /** Tests that failed or were cancelled, without the uncaught errors that the runner counts among them. */
  tests: number;
}

/**
 * Reads what failed from what `deno test --parallel` printed.
 *
 * @returns null if anything failed of which no file is named
 */
export function readFailures(output: string, { failed }: Counts): Failures | null {
  // a step's name stands between its test's and the result
  const tests = output.matchAll(
    /^(\S+\.tsx?) => (?:(?! \.\.\. ).)+ \.\.\. (?:FAILED|cancelled) /gm,
  );
  const uncaught = [...output.matchAll(/^Uncaught error from (\S+) FAILED$/gm)];
  const all = [...tests, ...uncaught].map((line) => line[1]!);
  // with anything else than failed tests, the runner ends by another line
  if (failed === 0 || all.length !== failed || !/^error: Test failed$/m.test(output)) return null;
  return { files: [...new Set(all)], tests: failed - uncaught.length };
}

/**
 * Whether the failed files passed when they ran again.
 *
 * @param again counts of that run; null if it did not end well
 */
export function makesUp(again: Counts | null, first: Counts, { tests }: Failures): boolean {
  return again !== null && again.failed === 0 && again.passed >= Math.max(tests, 1) &&
    again.skipped.every((name) => first.skipped.includes(name));
}

/** The last line of the whole run. */
export function summary({ passed, failed, skipped }: Counts): string {
  const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : "";
  return `${passed} passed, ${failed} failed${tail}`;
}

/** Source files whose comments have examples to run. */
async function withExamples(folder = "."): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory && !/^\.|^(?:coverage|dist|node_modules)$/.test(name)) {
      found.push(...await withExamples(path));
    } else if (/\.tsx?$/.test(name)) {
      if (/^ \* ```ts$/m.test(await Deno.readTextFile(path))) found.push(path);
    }
  }
  return found.sort();
}

/** The files that take longest. They begin first: one that began last would leave the other processors idle at the end. */
const LONGEST = [
  "tests/soak_test.ts",
  "tests/soak_agent_test.ts",
  "tests/operations_test.ts",
  "tests/otp_service_test.ts",
  "tests/token_agreement_test.ts",
  "tests/windows_test.ts",
  "tests/e2e",
];

/** Test files that run at the same time: more than processors, because many wait for a window, a database or a clock. */
const PLACES = navigator.hardwareConcurrency + 2;

/**
 * Real browsers, drivers and databases on a busy computer fail a test now and then. Up to so many failed files are run
 * again, alone, and named if they pass; a fault of ours fails again.
 */
const MOST_RUN_AGAIN = 2;

/**
 * Packs the program as it is shipped: what the tests start (tests/fixtures/program.ts).
 *
 * @returns its main file
 */
async function packProgram(): Promise<string> {
  const folder = resolve("dist/program");
  await Deno.mkdir(folder, { recursive: true });
  await Deno.remove(folder, { recursive: true });
  for (const { name, bytes } of await programFiles()) {
    const path = join(folder, name);
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeFile(path, bytes);
  }
  return join(folder, "main.js");
}

/** Runs `deno` with its output shown and kept. */
async function deno(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ success: boolean; output: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1", DENO_JOBS: String(PLACES), ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const show = async (stream: ReadableStream<Uint8Array>, to: typeof Deno.stdout) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      output += decoder.decode(bytes, { stream: true });
      for (let done = 0; done < bytes.length;) done += await to.write(bytes.subarray(done));
    }
  };
  await Promise.all([show(child.stdout, Deno.stdout), show(child.stderr, Deno.stderr)]);
  return { success: (await child.status).success, output };
}

async function main(args: string[]): Promise<number> {
  const problem = runtimeProblem(await runtime());
  if (problem !== null) {
    console.log(problem);
    console.log(summary({ passed: 0, failed: 1, skipped: [] }));
    return 1;
  }
  const total: Counts = { passed: 0, failed: 0, skipped: [] };
  const step = async (name: string, command: string[]) => {
    const start = performance.now();
    const { success } = await deno(command);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${name} ... ${success ? "ok" : "FAILED"} (${seconds}s)`);
    if (success) total.passed++;
    else total.failed++;
  };

  // tests name the programs that they miss
  await ensure("test");
  await prepareWindows();
  await step("build of the pages", ["run", "-A", "tasks/build.ts"]);
  // one processor is busy with the types for as long as the others take together
  const types = step("types", ["check", "--quiet", "--frozen"]);
  await step("format", ["fmt", "--check"]);
  await step("lint", ["lint"]);
  await step("examples in comments", ["test", "--doc", "-A", ...await withExamples()]);
  const env: Record<string, string> = {};
  try {
    env.DSIGN_TEST_MAIN = await packProgram();
  } catch (error) {
    console.log(`the program as it is shipped ... FAILED: ${(error as Error).message}`);
    total.failed++;
  }
  await types;

  const start = performance.now();
  const files = args.length > 0 ? args : [...LONGEST, "."];
  const { success, output } = await deno(
    ["test", "-A", "--no-check", "--parallel", ...files],
    env,
  );
  const counts = readCounts(output);
  if (counts === null) {
    console.log("The test runner ended without counting; see above.");
    total.failed++;
  } else {
    total.skipped.push(...counts.skipped);
    // e.g. a leak found after the last test: the runner's own verdict stands
    let failed = success ? counts.failed : Math.max(counts.failed, 1);
    const failures = readFailures(output, counts);
    if (failures && failures.files.length <= MOST_RUN_AGAIN) {
      const files = failures.files.join(", ");
      console.log(`Run again, alone: ${files}`);
      const again = await deno(["test", "-A", "--no-check", ...failures.files], env);
      if (makesUp(again.success ? readCounts(again.output) : null, counts, failures)) {
        console.log(`failed beside the others, passed alone: ${files}`);
        total.passed += failures.tests;
        failed = 0;
      }
    }
    total.passed += counts.passed;
    total.failed += failed;
  }
  console.log(`tests took ${((performance.now() - start) / 1000).toFixed(1)}s`);

  for (const name of total.skipped) console.log(`skipped: ${name}`);
  console.log(summary(total));
  return total.failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
