/** One agent a person: the second start finds the first. */
import { join } from "node:path";
import * as z from "zod";
import { DsignError } from "../protocol/errors.ts";
import { writeAtomically } from "../settings/files.ts";

const Running = z.object({ port: z.int(), pid: z.int() });
export type Running = z.infer<typeof Running>;

/** The right to be the agent, until the process ends or gives it up. */
export interface Instance {
  /** Announces this agent's port to later starts. */
  announce(port: number): Promise<void>;
  release(): Promise<void>;
}

/** How long another start may take from its lock to its announcement, in milliseconds. */
const STARTING = 3000;

/**
 * Claims the state folder, or finds who has it. The claim is a lock that the system drops with the process, so that a
 * crash leaves nothing to clean up.
 *
 * @throws {DsignError} `busy` if another agent holds the folder and announces no port
 */
export async function claimInstance(stateFolder: string): Promise<Instance | Running> {
  const path = join(stateFolder, "agent.json");
  const lock = await Deno.open(join(stateFolder, "agent.lock"), {
    create: true,
    write: true,
    mode: 0o600,
  });
  const giveUpAt = Date.now() + STARTING;
  while (!await lock.tryLock(true)) {
    const running = await readRunning(path);
    if (running) {
      lock.close();
      return running;
    }
    if (Date.now() > giveUpAt) {
      lock.close();
      throw new DsignError(
        "busy",
        "Another D-Sign is starting and does not become ready. Stop it.",
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // A crashed agent's announcement no longer holds.
  await Deno.remove(path).catch(ignoreAbsent);
  return {
    announce: (port) => writeAtomically(path, JSON.stringify({ port, pid: Deno.pid }) + "\n"),
    async release() {
      await Deno.remove(path).catch(ignoreAbsent);
      lock.close();
    },
  };
}

/** The announcement in `agent.json`, of a running or a crashed agent. */
export async function readRunning(path: string): Promise<Running | undefined> {
  try {
    return Running.safeParse(JSON.parse(await Deno.readTextFile(path))).data;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
