/** Who has a port of this computer: a person whose D-Sign is at another one needs names. */
import { getLogger } from "@logtape/logtape";
import type { PortHolder } from "../protocol/console.ts";

const log = getLogger(["dsign", "agent"]);

type Names = Omit<PortHolder, "port">;

/** Asks the system by its own programs: Deno lets nobody read /proc who has given up a permission. */
export async function holderOf(port: number): Promise<PortHolder> {
  const nobody = { user: null, program: null };
  try {
    return { port, ...await NAMES[Deno.build.os]?.(port) ?? nobody };
  } catch (error) {
    log.debug("Who has port {port} is not known: {error}", { port, error });
    return { port, ...nobody };
  }
}

const NAMES: Partial<Record<typeof Deno.build.os, (port: number) => Promise<Names | null>>> = {
  async linux(port) {
    const told = fromSs(await output("ss", "-Hltnpe", `sport = :${port}`));
    if (!told) return null;
    const { uid, program } = told;
    const passwd = (await Deno.readTextFile("/etc/passwd")).split("\n");
    const [user] = passwd.map((line) => line.split(":")).find(([, , id]) => id === uid) ?? [];
    return { user: user ?? `user ${uid}`, program };
  },
  darwin: async (port) =>
    fromLsof(await output("lsof", "-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fcu", "-FL")),
  async windows(port) {
    const pid = fromNetstat(await output("netstat", "-ano", "-p", "TCP"), port);
    if (pid === null) return null;
    return fromTasklist(
      await output("tasklist", "/v", "/fi", `PID eq ${pid}`, "/fo", "csv", "/nh"),
    );
  },
};

async function output(command: string, ...args: string[]): Promise<string> {
  const signal = AbortSignal.timeout(3000);
  const { stdout } = await new Deno.Command(command, { args, signal, stdin: "null" }).output();
  return new TextDecoder().decode(stdout);
}

/** `ss -e` names the user id unless it is root's, `ss -p` the program of one's own. */
export function fromSs(text: string): { uid: string; program: string | null } | null {
  const [line] = text.split("\n");
  if (!line.startsWith("LISTEN")) return null;
  return {
    uid: /\buid:(\d+)/.exec(line)?.[1] ?? "0",
    program: /users:\(\("([^"]+)"/.exec(line)?.[1] ?? null,
  };
}

/** `lsof -F`: a field a line, its kind the first letter. */
export function fromLsof(text: string): Names | null {
  const field = (kind: string) => text.split("\n").find((line) => line.startsWith(kind))?.slice(1);
  return field("p") ? { program: field("c") ?? null, user: field("L") ?? null } : null;
}

/** Process id of the listener in `netstat -ano`, whose words are in the system's language. */
export function fromNetstat(text: string, port: number): string | null {
  for (const line of text.split(/\r?\n/)) {
    const [protocol, local, remote, , pid] = line.trim().split(/\s+/);
    const listens = remote === "0.0.0.0:0" || remote === "[::]:0";
    if (protocol === "TCP" && listens && local?.endsWith(`:${port}`)) return pid ?? null;
  }
  return null;
}

/** `tasklist /v /fo csv`: name, pid, session name, number, memory, status, user, … */
export function fromTasklist(text: string): Names | null {
  const cells = [...text.split("\n")[0].matchAll(/"([^"]*)"/g)].map(([, cell]) => cell);
  return cells.length < 7 ? null : { program: cells[0], user: cells[6] };
}
