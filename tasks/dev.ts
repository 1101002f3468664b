/**
 * `deno task dev`: runs the agent from its sources, restarts it after each change, and rebuilds the pages when they
 * change. It uses its own settings and state in `dist/dev`, so grants and logs of an installed D-Sign stay untouched.
 */
import { fileURLToPath } from "node:url";
import { build } from "./build.ts";

const ROOT = new URL("../", import.meta.url);
/** Editors write a file in several steps; milliseconds. */
const SETTLE = 200;
/** Rooms of the agent; the pages' own code is `web/`, and both use `words/`. */
const AGENT = ["main.ts", "agent", "cli", "formats", "online", "pkcs11_ffi", "protocol", "reader"]
  .concat("settings", "signers", "signing", "windows_ffi", "words");
const PAGES = ["web", "words"];

const path = (name: string) => fileURLToPath(new URL(name, ROOT));

function startAgent(): Deno.ChildProcess {
  const home = path("dist/dev");
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", path("main.ts"), "agent", ...Deno.args],
    env: { XDG_CONFIG_HOME: `${home}/config`, XDG_STATE_HOME: `${home}/state` },
    stdin: "null",
  }).spawn();
}

/** Rebuilds in a new process: this one still has the old sources loaded. */
async function rebuild(): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", path("tasks/build.ts")],
  }).output();
  console.error(success ? "Rebuilt the pages. Reload them." : "The pages could not be built.");
}

/** Whether a changed file is in one of these rooms; tests change nothing that runs. */
const isIn = (rooms: readonly string[], file: string) =>
  !/_test\.tsx?$/.test(file) && rooms.some((room) => file.startsWith(path(room)));

if (import.meta.main) {
  await build();
  let agent = startAgent();
  const changed = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stopAgent = () => {
    try {
      agent.kill("SIGTERM");
    } catch {
      // it has ended by itself, e.g. because of a syntax error
    }
  };
  for (const signal of ["SIGINT", Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      stopAgent();
      await agent.status;
      Deno.exit(0);
    });
  }
  const apply = async () => {
    const files = [...changed];
    changed.clear();
    if (files.some((file) => isIn(PAGES, file))) await rebuild();
    if (!files.some((file) => isIn(AGENT, file))) return;
    console.error("Restarting the agent.");
    stopAgent();
    await agent.status;
    agent = startAgent();
  };
  for await (const { kind, paths } of Deno.watchFs([...new Set([...AGENT, ...PAGES])].map(path))) {
    if (kind === "access") continue;
    paths.forEach((file) => changed.add(file));
    clearTimeout(timer);
    timer = setTimeout(apply, SETTLE);
  }
}
