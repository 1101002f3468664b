/** The real program in a separate process with separate folders, and the windows it opens. */
import { join } from "node:path";
import { MAIN } from "../fixtures/program.ts";
import { within } from "../fixtures/within.ts";

export interface AgentProcess extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  origin: string;
  port: number;
  /** The address of the next window that the agent opens, in order. @throws {Error} after a minute without one */
  window(): Promise<string>;
  /** Ends it as Ctrl-C does, and so does leaving the scope; a second time, nothing happens. */
  stop(): Promise<void>;
}

/**
 * Starts `dsign agent` on a free port.
 *
 * @param dir an empty folder for its configuration and state
 * @param config its config.json, but for `browser`
 * @param args of the command line; with none but `--json` the console is its first window
 */
export async function startAgentProcess(
  dir: string,
  config: Record<string, unknown>,
  env: Record<string, string>,
  args = ["agent", "--port", "0", "--json"],
): Promise<AgentProcess> {
  const windows = join(dir, "windows");
  const browser = join(dir, "browser.sh");
  await Deno.mkdir(windows);
  await Deno.mkdir(join(dir, "config", "dsign"), { recursive: true });
  await noteWindows(browser, dir, windows);
  await Deno.writeTextFile(
    join(dir, "config", "dsign", "config.json"),
    JSON.stringify({ ...config, browser: [browser] }),
  );
  const opened = Deno.watchFs(windows);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, ...args],
    cwd: new URL("../../", import.meta.url),
    env: {
      ...env,
      XDG_CONFIG_HOME: join(dir, "config"),
      XDG_STATE_HOME: join(dir, "state"),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const port = await portOf(child);
  const addresses = addressesOf(opened);
  let stopped = false;
  let ended = false;
  child.status.then(() => ended = true);
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    opened.close();
    if (!ended) child.kill("SIGINT");
    await child.status;
  };
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    window: async () => (await within(addresses.next(), "The agent opened no window.")).value!,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Writes a program in a browser's place, which notes each address in a file of `windows`. */
export async function noteWindows(browser: string, dir: string, windows: string): Promise<void> {
  // Renamed into place, so that a file that is seen is complete.
  await Deno.writeTextFile(
    browser,
    `#!/bin/sh\nprintf %s "$1" > "${dir}/$$" && mv "${dir}/$$" "${windows}/$$"\n`,
    { mode: 0o700 },
  );
}

/** Reads the one line that the agent prints when it listens. */
async function portOf(child: Deno.ChildProcess): Promise<number> {
  let line = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    line += text;
    if (line.includes("\n")) return JSON.parse(line).port;
  }
  throw new Error(`The agent ended with ${(await child.status).code}.`);
}

/** The addresses of the windows that are noted in a folder, see {@linkcode noteWindows}. */
export async function* addressesOf(opened: Deno.FsWatcher): AsyncGenerator<string, undefined> {
  for await (const { kind, paths } of opened) {
    if (kind !== "rename" && kind !== "create") continue;
    for (const path of paths) {
      const address = await Deno.readTextFile(path).catch(() => "");
      await Deno.remove(path).catch(() => {});
      if (address !== "") yield address;
    }
  }
  return undefined;
}
