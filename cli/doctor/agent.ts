/** The agent: whether it runs, in which version, and whether it can be reached. */
import { createServer, request } from "node:http";
import { join } from "node:path";
import { holderOf } from "../../agent/port_holder.ts";
import { readRunning } from "../../agent/instance.ts";
import { PORTS } from "../../protocol/envelope.ts";
import { Autostart } from "../autostart.ts";
import type { Situation } from "./machine.ts";
import { type Finding, ok, orOk, skipped } from "./tickets.ts";

/** Milliseconds to wait for an answer from this computer. */
const PATIENCE = 3000;

/** Milliseconds to wait for an agent to start. */
const START = 10_000;

/** An answer to `GET` on the loopback address. */
interface Answer {
  status: number;
  text: string;
}

/**
 * Asks a port of this computer without a proxy (`fetch` would use HTTP_PROXY).
 *
 * @throws {Error} from the system: refused, reset, timed out
 */
function get(port: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(
      { host: "127.0.0.1", port, path, agent: false, signal: AbortSignal.timeout(PATIENCE) },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => text = (text + chunk).slice(0, 4096));
        response.on("end", () => resolve({ status: response.statusCode!, text }));
        response.on("error", reject);
      },
    );
    asking.on("error", reject);
    asking.end();
  });
}

/** The version of the agent that listens on a port; null if none does. */
async function versionOn(port: number): Promise<string | null> {
  try {
    const { name, version } = JSON.parse((await get(port, "/status")).text);
    return name === "dsign" && typeof version === "string" ? version : null;
  } catch {
    return null;
  }
}

/** Whether the agent runs, in this version, and whether a port is free for it. */
export async function checkAgent({ machine, paths, settings }: Situation): Promise<Finding[]> {
  const running = await readRunning(join(paths.state, "agent.json"));
  const version = running ? await versionOn(running.port) : null;
  const ports = (settings.ports ?? PORTS).filter((port) => port !== 0);
  if (running && version !== null) {
    const outdated: Finding = version === machine.version ? ok("agent_outdated") : {
      id: "agent_outdated",
      status: "error",
      values: { running: version, installed: machine.version },
    };
    const earlier = ports.slice(0, Math.max(0, ports.indexOf(running.port)));
    const squatted = await Promise.all(
      earlier.filter((port) => !isFree(port)).map(async (port): Promise<Finding> => ({
        id: "port_earlier_taken",
        status: "warning",
        values: await valuesOf(port),
      })),
    );
    return [
      ok("agent_not_running"),
      outdated,
      ok("port_taken"),
      ...orOk("port_earlier_taken", squatted),
    ];
  }
  const isTaken = ports.length > 0 && !ports.some(isFree);
  return [
    {
      id: "agent_not_running",
      status: "error",
      // Do not offer to start it if it could not start anyway.
      ...!isTaken && { fix: () => start(machine.selfCommand, paths.state) },
    },
    skipped("agent_outdated"),
    isTaken
      ? { id: "port_taken", status: "error", values: { ports: ports.join(", ") } }
      : ok("port_taken"),
    skipped("port_earlier_taken"),
  ];
}

/** The program that holds a port, in words common to all languages. */
async function valuesOf(port: number): Promise<Record<string, string | number>> {
  const { user, program } = await holderOf(port);
  return { port, program: program ?? "?", user: user ?? "?" };
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    if (error instanceof Deno.errors.AddrNotAvailable) return true; // loopback_missing tells it
    throw error;
  }
}

/** Starts the agent detached, in its own session if the system has a command for that. */
async function start(selfCommand: readonly string[], stateFolder: string): Promise<void> {
  const command = [...selfCommand, "agent"];
  if (Deno.build.os === "linux") command.unshift("setsid");
  const child = new Deno.Command(command[0], {
    args: command.slice(1),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  child.unref();
  // Wait until it announces itself or the time is over; the doctor then checks again.
  for (let waited = 0; waited < START; waited += 100) {
    const running = await readRunning(join(stateFolder, "agent.json"));
    if (running && await versionOn(running.port) !== null) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Whether a program on this computer can reach another one and get its answer. */
export async function checkLoopback(
  reach: (port: number, path: string) => Promise<Answer> = get,
): Promise<Finding[]> {
  const word = crypto.randomUUID();
  const server = createServer((_, response) => response.end(word));
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.on("error", reject);
  server.listen(0, "127.0.0.1", resolve);
  const blocked = (error: string): Finding[] => [
    { id: "loopback_blocked", status: "error", values: { error } },
  ];
  try {
    try {
      await listening;
    } catch {
      return [{ id: "loopback_missing", status: "error" }];
    }
    const { status, text } = await reach((server.address() as { port: number }).port, "/");
    if (status === 200 && text === word) return [ok("loopback_missing"), ok("loopback_blocked")];
    return blocked(`another program answered (HTTP ${status})`);
  } catch (error) {
    return blocked((error as Error).message);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Whether this program is the one that starts at login. */
export async function checkAutostart({ machine }: Situation): Promise<Finding[]> {
  const autostart = new Autostart([...machine.selfCommand, "agent"], machine.env, machine.os);
  const { enabled, current, kind, place } = await autostart.status();
  if (!enabled || current) return [ok("autostart_elsewhere")];
  return [{
    id: "autostart_elsewhere",
    status: "warning",
    values: { place: place! },
    fix: () => autostart.enable(kind === "systemd"),
  }];
}
