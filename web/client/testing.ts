/**
 * A trial agent for tests in Node, Deno or Bun, beside Playwright or node:test. No display, token or driver is needed,
 * and no key of the person is touched.
 *
 * ```ts ignore
 * import { startTrial } from "dsign-web/testing";
 *
 * const trial = await startTrial();
 * await page.goto(`http://localhost:3000/?trial=${trial.port}`); // the page: connect({ trial: port })
 * await trial.set({ answer: "decline" });
 * await trial.stop();
 * ```
 */
import { type ChildProcess, spawn } from "node:child_process";

/** How the trial agent answers: consent for each question, until it is set anew. */
export interface TrialAnswers {
  /** `wrong-pin`: a wrong PIN is typed; `removed`: the token is pulled out while it signs. */
  answer?: "sign" | "decline" | "wrong-pin" | "timeout" | "removed";
  /** Whose token signs, 1 or 2, where the page names no certificate. */
  officer?: 1 | 2;
  /** Tokens that are inserted from now on. */
  tokens?: (1 | 2)[];
}

export interface TrialOptions {
  /** The first answer; `window`: a person answers, in the agent's own window. Default: `sign`. */
  answer?: TrialAnswers["answer"] | "window";
  /** The program and its first arguments. Default: `["dsign"]`. */
  command?: readonly string[];
  /** Sites that may connect, beside those of this computer. */
  origins?: readonly string[];
}

/** A running trial agent. It ends with this process at the latest. */
export interface Trial {
  /** For `connect({ trial: port })`. */
  port: number;
  /** File of the root certificate: `dsign verify --trial --trust ROOT`. */
  root: string;
  pin: string;
  /** The people of the tokens; `pan` as for `dsign verify --pan`. */
  officers: { name: string; pan: string }[];
  /** Resolves when the following questions are answered so. */
  set(answers: TrialAnswers): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts `dsign trial`.
 *
 * @throws {Error} if the program cannot be started or refuses, with what it says
 * @throws {TypeError} for options that cannot be
 */
export async function startTrial(options: TrialOptions = {}): Promise<Trial> {
  const { command = ["dsign"], origins = [], answer = "sign" } = options;
  const [program, ...first] = command;
  if (!Array.isArray(command) || !program) {
    throw new TypeError('command is a list: startTrial({ command: ["dsign"] })');
  }
  if (!Array.isArray(origins)) {
    throw new TypeError(
      'origins is a list: startTrial({ origins: ["https://test.portal.example"] })',
    );
  }
  const args = [...first, "trial", "--json", "--steer", "--answer", answer];
  for (const origin of origins) args.push("--origin", origin);
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const line = lines(child);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const started = await line().then(startOf).catch((error) => {
    child.kill(); // or it would keep the test's program from ending
    throw error;
  });
  let turn: Promise<unknown> = Promise.resolve();
  return {
    ...started,
    async set(answers) {
      const mine = turn.then(async () => {
        child.stdin!.write(`${JSON.stringify(answers ?? null)}\n`);
        const { ok, error } = JSON.parse(await line());
        if (!ok) throw new TypeError(error);
      });
      turn = mine.catch(() => {});
      await mine;
    },
    async stop() {
      child.stdin!.end();
      await ended;
    },
  };
}

/** @param line the first one that the program prints */
function startOf(line: string): Omit<Trial, "set" | "stop"> {
  let started;
  try {
    started = JSON.parse(line);
  } catch {
    throw new Error(`This is not what \`dsign trial\` prints. Correct command. ${line}`);
  }
  if (started.error) throw new Error(started.error.message);
  return started;
}

/** Reads stdout line by line. */
function lines(child: ChildProcess): () => Promise<string> {
  const waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];
  const come: string[] = [];
  let rest = "";
  let failure: Error | undefined;
  child.stdout!.setEncoding("utf8").on("data", (piece: string) => {
    const all = (rest + piece).split("\n");
    rest = all.pop()!;
    for (const line of all) waiting.length > 0 ? waiting.shift()!.resolve(line) : come.push(line);
  });
  const fail = (error: Error) => {
    failure = error;
    for (const each of waiting.splice(0)) each.reject(error);
  };
  child.once(
    "error",
    (error: Error) =>
      fail(
        new Error(
          `${child.spawnfile} cannot be started: install D-Sign, or give command. ${error.message}`,
        ),
      ),
  );
  child.once("close", () => fail(new Error("The trial agent has ended.")));
  child.stdin!.on("error", () => {}); // it has ended, which the next read says
  return () => {
    const line = come.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (failure) return Promise.reject(failure);
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  };
}
