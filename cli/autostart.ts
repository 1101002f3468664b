/** `dsign autostart`: starting the agent at login. */
import { dirname, isAbsolute, join } from "node:path";
import { writeAtomically } from "../settings/files.ts";
import { DsignError } from "../protocol/errors.ts";
import {
  desktopEntry,
  HIDDEN_ENTRY,
  launchAgent,
  runKeyLine,
  systemdUnit,
} from "./autostart_entries.ts";
import { FileError, printJson, UsageError } from "./failure.ts";
import type { AddCommand } from "./command.ts";

/** How a system starts programs at login. */
export type AutostartKind = "xdg" | "systemd" | "run-key" | "launch-agent";

export interface AutostartStatus {
  enabled: boolean;
  /** null if nothing is set up. */
  kind: AutostartKind | null;
  /** File or registry value of the entry. */
  place: string | null;
  /** Whether the entry starts this program, not an older version or one in another place. */
  current: boolean;
}

type Env = (name: string) => string | undefined;

const LABEL = "dsign.agent";
const RUN_KEY = "HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run";
const RUN_VALUE = "D-Sign";

/**
 * Starting the agent at login, for one person.
 *
 * @param command absolute path of the program, then its arguments
 */
export class Autostart {
  constructor(
    readonly command: readonly string[],
    readonly env: Env,
    readonly os: typeof Deno.build.os = Deno.build.os,
  ) {}

  /**
   * @param systemd a systemd user unit instead of an XDG entry
   * @throws {FileError | UsageError}
   */
  async enable(systemd = false): Promise<void> {
    if (systemd && this.os !== "linux") throw new UsageError("--systemd works on Linux only.");
    try {
      if (this.os === "windows") {
        const line = runKeyLine(this.command);
        await reg("add", RUN_KEY, "/v", RUN_VALUE, "/t", "REG_SZ", "/d", line, "/f");
      } else if (this.os === "darwin") {
        await write(this.#launchAgent(), launchAgent(LABEL, this.command));
      } else if (systemd) {
        const { unit, wanted } = this.#systemd();
        await write(unit, systemdUnit(this.command));
        await linkTo("../dsign.service", wanted);
        // Remove the other entry, or the agent would start twice.
        await this.#disableXdg();
      } else {
        await write(this.#xdg(), desktopEntry(this.command));
        await this.#disableSystemd();
      }
    } catch (error) {
      if (error instanceof RangeError) {
        throw new UsageError(`Cannot write the autostart entry: ${error.message}.`);
      }
      throw error;
    }
  }

  /** @throws {FileError} */
  async disable(): Promise<void> {
    if (this.os === "windows") {
      if (await this.#runKey() !== null) await reg("delete", RUN_KEY, "/v", RUN_VALUE, "/f");
    } else if (this.os === "darwin") await remove(this.#launchAgent());
    else {
      await this.#disableSystemd();
      await this.#disableXdg();
    }
  }

  async status(): Promise<AutostartStatus> {
    const off = { enabled: false, kind: null, place: null, current: false };
    if (this.os === "windows") {
      const line = await this.#runKey();
      if (line === null) return off;
      const current = line === runKeyLine(this.command);
      return { enabled: true, kind: "run-key", place: `${RUN_KEY}\\${RUN_VALUE}`, current };
    }
    if (this.os === "darwin") {
      const place = this.#launchAgent();
      const text = await read(place);
      if (text === null) return off;
      const current = text === launchAgent(LABEL, this.command);
      return { enabled: true, kind: "launch-agent", place, current };
    }
    const { unit, wanted } = this.#systemd();
    const text = await read(wanted);
    if (text !== null) {
      const current = text === systemdUnit(this.command);
      return { enabled: true, kind: "systemd", place: unit, current };
    }
    // The first entry of this name counts, even if it is disabled.
    for (const place of [this.#xdg(), ...this.#systemXdg()]) {
      const entry = await read(place);
      if (entry === null) continue;
      const enabled = !/^(Hidden=true|X-GNOME-Autostart-enabled=false)\s*$/m.test(entry);
      // The administrator's entry is as current as the package it came with.
      const current = place !== this.#xdg() || entry === desktopEntry(this.command);
      return { enabled, kind: "xdg", place, current: enabled && current };
    }
    return off;
  }

  #home(): string {
    const home = this.env("HOME");
    if (!home) throw new UsageError("HOME is not set, so the home folder is unknown.");
    return home;
  }

  /** XDG Base Directory Specification: relative paths are ignored. */
  #config(): string {
    const set = this.env("XDG_CONFIG_HOME");
    return set && isAbsolute(set) ? set : join(this.#home(), ".config");
  }

  #xdg(): string {
    return join(this.#config(), "autostart", "dsign.desktop");
  }

  #systemXdg(): string[] {
    return (this.env("XDG_CONFIG_DIRS") || "/etc/xdg").split(":").filter(isAbsolute)
      .map((folder) => join(folder, "autostart", "dsign.desktop"));
  }

  #systemd(): { unit: string; wanted: string } {
    const folder = join(this.#config(), "systemd", "user");
    return {
      unit: join(folder, "dsign.service"),
      wanted: join(folder, "graphical-session.target.wants", "dsign.service"),
    };
  }

  #launchAgent(): string {
    return join(this.#home(), "Library", "LaunchAgents", `${LABEL}.plist`);
  }

  async #disableXdg(): Promise<void> {
    const others = await Promise.all(this.#systemXdg().map(read));
    if (others.some((text) => text !== null)) await write(this.#xdg(), HIDDEN_ENTRY);
    else await remove(this.#xdg());
  }

  async #disableSystemd(): Promise<void> {
    const { unit, wanted } = this.#systemd();
    await remove(wanted);
    await remove(unit);
  }

  /** The Run key's command; null if there is none. */
  async #runKey(): Promise<string | null> {
    const { success, stdout } = await new Deno.Command("reg", {
      args: ["query", RUN_KEY, "/v", RUN_VALUE],
      stdin: "null",
      stderr: "null",
    }).output();
    const line = new TextDecoder().decode(stdout).match(/REG_SZ\s+(.*?)\r?$/m)?.[1];
    return success && line !== undefined ? line : null;
  }
}

async function reg(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("reg", {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  const cause = new TextDecoder().decode(stderr).trim();
  throw new DsignError("storage_failed", `The registry cannot be changed: ${cause}`);
}

/** Writes the file whole or not at all; does nothing if it already holds this text. */
async function write(path: string, text: string): Promise<void> {
  if (await read(path) === text) return;
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
  } catch (error) {
    throw new FileError(dirname(path), error);
  }
  await writeAtomically(path, text);
}

async function linkTo(target: string, path: string): Promise<void> {
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    if (await Deno.readLink(path).catch(() => null) === target) return;
    await remove(path);
    await Deno.symlink(target, path);
  } catch (error) {
    throw error instanceof FileError ? error : new FileError(path, error);
  }
}

async function read(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw new FileError(path, error);
  }
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw new FileError(path, error);
  }
}

/** `dsign autostart` */
export const autostartCommand: AddCommand = (program, { selfCommand }, action) => {
  const group = program.command("autostart")
    .description("Start the agent at login (enable, disable, status).");
  const autostart = () => new Autostart([...selfCommand, "agent"], (name) => Deno.env.get(name));
  const tell = async (json: boolean | undefined) => {
    const status = await autostart().status();
    if (json) printJson(status);
    else if (!status.enabled) console.log("D-Sign does not start at login.");
    else {
      console.log(`D-Sign starts at login (${status.kind}: ${status.place}).`);
      if (!status.current) {
        console.log(
          "That entry starts another copy. To start this one: dsign autostart enable",
        );
      }
    }
  };
  group.command("enable")
    .description("Start the agent at each login.")
    .option(
      "--systemd",
      "use a systemd user unit, which restarts the agent after a crash, not an XDG autostart entry",
    )
    .option("--json", "print the status as one JSON object")
    .action(action(async ({ systemd, json }: { systemd?: boolean; json?: boolean }) => {
      await autostart().enable(systemd);
      await tell(json);
    }));
  group.command("disable")
    .description("Do not start the agent at login.")
    .option("--json", "print the status as one JSON object")
    .action(action(async ({ json }: { json?: boolean }) => {
      await autostart().disable();
      await tell(json);
    }));
  group.command("status", { isDefault: true })
    .description("Show whether the agent starts at login.")
    .option("--json", "print one JSON object: enabled, kind, place, current")
    .action(action(({ json }: { json?: boolean }) => tell(json)));
};
