/** The machine that the doctor examines; tests pass another one. */
import type { Paths } from "../../settings/config.ts";
import type { Provider } from "../../signers/provider.ts";
import type { Settings } from "../../settings/policy_file.ts";

export interface Machine {
  os: typeof Deno.build.os;
  env(name: string): string | undefined;
  now(): Date;
  /** Version of this program. */
  version: string;
  /** Starts the process in which a driver runs (host_command.ts). */
  hostCommand: string[];
  /** Starts the process in which a provider of the Windows store runs (host_command.ts). */
  storeHostCommand: string[];
  /** Starts the process in which key files are read (host_command.ts). */
  readerCommand: string[];
  /** Starts this program (self_command.ts). */
  selfCommand: string[];
  /** Of the agent that this program runs; else drivers and key files are opened anew. */
  providers?: readonly Provider[];
  /** Prefix of the system's absolute paths; empty except in tests. */
  root: string;
  /** User id of the administrator. */
  administrator: number;
}

/** Configuration and paths of a machine, as far as they can be read. */
export interface Situation {
  machine: Machine;
  paths: Paths;
  settings: Settings;
}

/** The machine that this program runs on. */
export function thisMachine(
  context: Pick<
    Machine,
    "version" | "hostCommand" | "storeHostCommand" | "readerCommand" | "selfCommand" | "providers"
  >,
): Machine {
  return {
    ...context,
    os: Deno.build.os,
    env: (name) => Deno.env.get(name),
    now: () => new Date(),
    root: "",
    administrator: 0,
  };
}
