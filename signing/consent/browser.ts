/** Showing an address of the agent to the person: in a browser window of its own where that can be had. */
import { join } from "node:path";
import { DsignError } from "../../protocol/errors.ts";
import { endGroup, OWN_GROUP } from "./process.ts";

/** Browsers with windows that show one page alone and may close themselves (`--app=URL`). */
const CHROMIUM_KIND: Partial<Record<typeof Deno.build.os, string[]>> = {
  linux: [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "brave-browser",
  ],
  darwin: ["Google Chrome", "Microsoft Edge", "Chromium", "Brave Browser"].map((name) =>
    `/Applications/${name}.app/Contents/MacOS/${name}`
  ),
  windows: [
    "Google\\Chrome\\Application\\chrome.exe",
    "Microsoft\\Edge\\Application\\msedge.exe",
    "BraveSoftware\\Brave-Browser\\Application\\brave.exe",
  ],
};

/** Command that opens an address in the default browser. */
const DEFAULT_BROWSER: Partial<Record<typeof Deno.build.os, string[]>> = {
  linux: ["xdg-open"],
  darwin: ["open"],
  windows: ["rundll32", "url.dll,FileProtocolHandler"],
};

/** `%s` stands for the address; where there is none, it comes last. */
const withUrl = (command: readonly string[], url: string): string[] =>
  command.some((part) => part.includes("%s"))
    ? command.map((part) => part.replaceAll("%s", url))
    : [...command, url];

/**
 * The command that shows an address: the configured one; else that of the BROWSER variable (its first, if there are
 * several); else a browser of the Chromium kind, in a window of its own; else the default browser.
 *
 * @param env read by this function alone
 */
export async function browserCommand(
  url: string,
  configured: readonly string[] | undefined,
  env: (name: string) => string | undefined,
  os: typeof Deno.build.os = Deno.build.os,
): Promise<string[]> {
  if (configured) return withUrl(configured, url);
  const variable = env("BROWSER")?.split(os === "windows" ? ";" : ":")[0].trim();
  if (variable) return withUrl(variable.split(/\s+/), url);
  const folders = os === "windows"
    ? ["ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA"].flatMap((name) => env(name) ?? [])
    : os === "linux"
    ? (env("PATH") ?? "").split(":").filter((folder) => folder.startsWith("/"))
    : [""];
  for (const name of CHROMIUM_KIND[os] ?? []) {
    for (const folder of folders) {
      const path = folder ? join(folder, name) : name;
      if (await isFile(path)) return [path, `--app=${url}`];
    }
  }
  return withUrl(DEFAULT_BROWSER[os] ?? ["xdg-open"], url);
}

/**
 * Starts a command of {@linkcode browserCommand} and lets it live on its own: what ends the agent, as Ctrl-C at its
 * terminal, is not meant for the person's browser. Other users can read the address in the list of processes; the agent
 * does not answer them (peer.ts).
 *
 * @param unseen fires when the window is wanted no more and has not come: ends the command and all that it started
 * @returns resolves when the command ends well, which may be only when the browser is closed
 * @throws {DsignError} `consent_unavailable` where it cannot be started or says that it failed
 */
export async function openBrowser(
  [program, ...args]: readonly string[],
  unseen?: AbortSignal,
): Promise<void> {
  if (unseen?.aborted) return;
  let child;
  try {
    child = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
      ...OWN_GROUP,
    }).spawn();
  } catch (error) {
    throw new DsignError("consent_unavailable", undefined, { cause: `${program}: ${error}` });
  }
  child.unref();
  const end = () => endGroup(child);
  unseen?.addEventListener("abort", end);
  const status = await child.status;
  unseen?.removeEventListener("abort", end);
  if (!status.success && !unseen?.aborted) {
    throw new DsignError("consent_unavailable", undefined, {
      cause: `${program} ended with ${status.signal ?? status.code}`,
    });
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
