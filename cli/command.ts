/** The parts that every command shares: its context, how it joins the program, and options that repeat. */
import type { Command } from "commander";

/** Everything a command gets from main.ts. */
export interface Context {
  version: string;
  /** Starts the process in which a driver runs (host_command.ts). */
  hostCommand: string[];
  /** Starts the process in which a provider of the Windows store runs (host_command.ts). */
  storeHostCommand: string[];
  /** Starts the process in which untrusted documents are parsed (host_command.ts). */
  readerCommand: string[];
  /** The script of the thread that parses them, for commands that parse in a separate thread. */
  readerWorker: URL;
  /** Starts the process in which a PDF's text is searched (host_command.ts). */
  textCommand: string[];
  /** Starts this program again (self_command.ts). */
  selfCommand: string[];
  /** Folder into which the self-extracting form has unpacked itself (unpacked.ts). */
  unpacked: string | null;
  /** Folder of the built pages, ending in a slash. */
  web: URL;
  /** Fires when the program is to end. */
  signal: AbortSignal;
}

/** Wraps the function of a command, which returns an exit code, or nothing for 0. */
export type Action = <A extends unknown[]>(
  work: (...args: A) => Promise<number | void>,
) => (...args: A) => Promise<void>;

/** Adds a command to the program. */
export type AddCommand = (program: Command, context: Context, action: Action) => void;

/** Collects an option that may be repeated. A variadic option would swallow the files that follow it. */
export const repeated = (value: string, before: string[] = []): string[] => [...before, value];
