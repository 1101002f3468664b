/** Reads the browsers' settings, from administrator and person, for access to programs on this computer. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Machine, Situation } from "./machine.ts";
import { type Finding, orOk, skipped } from "./tickets.ts";

/** A Chromium browser, and where it keeps its profiles and policies. */
interface Browser {
  name: string;
  /** Folder of profiles, relative to the person's folder for application data. */
  data: Partial<Record<typeof Deno.build.os, string>>;
  /** Folder of the administrator's policies (Linux), or their registry key (Windows). */
  policies: Partial<Record<typeof Deno.build.os, string>>;
}

const BROWSERS: readonly Browser[] = [
  {
    name: "Chrome",
    data: {
      linux: "google-chrome",
      darwin: "Google/Chrome",
      windows: "Google\\Chrome\\User Data",
    },
    policies: {
      linux: "/etc/opt/chrome/policies/managed",
      windows: "HKLM\\SOFTWARE\\Policies\\Google\\Chrome",
    },
  },
  {
    name: "Edge",
    data: {
      linux: "microsoft-edge",
      darwin: "Microsoft Edge",
      windows: "Microsoft\\Edge\\User Data",
    },
    policies: {
      linux: "/etc/opt/edge/policies/managed",
      windows: "HKLM\\SOFTWARE\\Policies\\Microsoft\\Edge",
    },
  },
  {
    name: "Chromium",
    data: { linux: "chromium", darwin: "Chromium", windows: "Chromium\\User Data" },
    policies: {
      linux: "/etc/chromium/policies/managed",
      windows: "HKLM\\SOFTWARE\\Policies\\Chromium",
    },
  },
  {
    name: "Brave",
    data: {
      linux: "BraveSoftware/Brave-Browser",
      darwin: "BraveSoftware/Brave-Browser",
      windows: "BraveSoftware\\Brave-Browser\\User Data",
    },
    policies: {
      linux: "/etc/brave/policies/managed",
      windows: "HKLM\\SOFTWARE\\Policies\\BraveSoftware\\Brave",
    },
  },
];

/** Where browsers in a sandbox (snap, Flatpak) keep their profiles, in the home folder. */
const SANDBOXED: Record<string, string[]> = {
  Chrome: [".var/app/com.google.Chrome/config/google-chrome"],
  Edge: [".var/app/com.microsoft.Edge/config/microsoft-edge"],
  Chromium: ["snap/chromium/common/chromium", ".var/app/org.chromium.Chromium/config/chromium"],
  Brave: [
    "snap/brave/current/.config/BraveSoftware/Brave-Browser",
    ".var/app/com.brave.Browser/config/BraveSoftware/Brave-Browser",
  ],
};

/** Policies that let pages reach this computer without a prompt: since Chromium 145, and before. */
const ALLOWING = ["LoopbackNetworkAllowedForUrls", "LocalNetworkAccessAllowedForUrls"];
/** The permission's name in profiles: since Chromium 145, and before; the same in Firefox. */
const PERMISSIONS = ["loopback_network", "local_network_access"];
const FIREFOX_PERMISSIONS = ["loopback-network", "localhost"];
/** Policies of Firefox on Linux. */
const FIREFOX_POLICY = "/etc/firefox/policies/policies.json";
/** CONTENT_SETTING_BLOCK, and DENY_ACTION of Firefox. */
const DENIED = 2;

/** Longest preferences file that is read, in bytes. */
const MAX_PREFERENCES = 64 * 1024 * 1024;

interface Profile {
  browser: Browser;
  path: string;
}

/** The folder in which the person's browsers keep their profiles. */
function dataFolder(machine: Machine): string | undefined {
  const home = machine.env("HOME");
  if (machine.os === "windows") return machine.env("LOCALAPPDATA");
  if (machine.os === "darwin") return home && join(home, "Library", "Application Support");
  return machine.env("XDG_CONFIG_HOME") ?? (home && join(home, ".config"));
}

/** Profiles of Chromium browsers. */
async function chromiumProfiles(machine: Machine): Promise<Profile[]> {
  const folder = dataFolder(machine);
  if (!folder) return [];
  const profiles: Profile[] = [];
  for (const browser of BROWSERS) {
    const data = browser.data[machine.os];
    if (!data) continue;
    const home = machine.env("HOME");
    const sandboxed = machine.os === "linux" && home ? SANDBOXED[browser.name] ?? [] : [];
    for (const place of [join(folder, data), ...sandboxed.map((each) => join(home!, each))]) {
      for (const name of await names(place)) {
        if (name === "Default" || name.startsWith("Profile ")) {
          profiles.push({ browser, path: join(place, name) });
        }
      }
    }
  }
  return profiles;
}

/** Folders of Firefox profiles. */
export async function firefoxProfiles(machine: Machine): Promise<string[]> {
  const home = machine.env("HOME") ?? "";
  const folders = machine.os === "windows"
    ? [join(machine.env("APPDATA") ?? "", "Mozilla", "Firefox", "Profiles")]
    : machine.os === "darwin"
    ? [join(home, "Library", "Application Support", "Firefox", "Profiles")]
    : [
      join(home, ".mozilla", "firefox"),
      join(home, "snap", "firefox", "common", ".mozilla", "firefox"),
      join(home, ".var", "app", "org.mozilla.firefox", ".mozilla", "firefox"),
      join(machine.env("XDG_CONFIG_HOME") ?? join(home, ".config"), "mozilla", "firefox"),
    ];
  const found = await Promise.all(folders.map(async (folder) => {
    const inside = (await names(folder)).map((name) => join(folder, name));
    const isProfile = await Promise.all(
      inside.map((path) => Deno.stat(join(path, "prefs.js")).then(() => true, () => false)),
    );
    return inside.filter((_, i) => isProfile[i]);
  }));
  return found.flat();
}

/** Sites that the person has blocked from reaching this computer. */
export async function checkPermissions({ machine }: Situation): Promise<Finding[]> {
  const findings: Finding[] = [];
  const deny = (browser: string, origins: readonly string[]) => {
    for (const origin of origins) {
      findings.push({
        id: "local_network_access_denied",
        status: "warning",
        values: { browser, origin },
      });
    }
  };
  const [chromium, firefox] = [await chromiumProfiles(machine), await firefoxProfiles(machine)];
  if (chromium.length + firefox.length === 0) return [skipped("local_network_access_denied")];
  for (const { browser, path } of chromium) {
    deny(browser.name, deniedByChromium(await readJson(join(path, "Preferences"))));
  }
  for (const path of firefox) deny("Firefox", deniedByFirefox(join(path, "permissions.sqlite")));
  return orOk("local_network_access_denied", findings);
}

/** Origins denied in a profile's `Preferences`. */
export function deniedByChromium(preferences: unknown): string[] {
  const exceptions = at(preferences, "profile", "content_settings", "exceptions");
  const denied = PERMISSIONS.flatMap((name) =>
    Object.entries(at(exceptions, name) ?? {})
      .filter(([, entry]) => at(entry, "setting") as unknown === DENIED)
      // e.g. `https://portal.example:443,*`
      .map(([pattern]) => pattern.split(",")[0].replace(/(^https:.*):443$/, "$1"))
  );
  return [...new Set(denied)];
}

/** Origins denied in a Firefox profile; none if the file does not exist or is in use. */
function deniedByFirefox(path: string): string[] {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    const rows = database.prepare(
      `SELECT DISTINCT origin FROM moz_perms WHERE permission = ? AND type IN (?, ?)`,
    ).all(DENIED, ...FIREFOX_PERMISSIONS);
    return rows.map(({ origin }) => String(origin));
  } catch {
    return [];
  } finally {
    database?.close();
  }
}

/** Browsers of Flatpak keep their profiles there, and read no policies of the system. */
const isFlatpak = (profile: string) => profile.includes("/.var/app/");

/** Whether a sandbox keeps browsers in use from what the administrator has allowed for everyone. */
export async function checkSandboxes({ machine, settings }: Situation): Promise<Finding[]> {
  if (settings.allowedOrigins.length === 0) return [skipped("browser_sandboxed")];
  const chromium = (await chromiumProfiles(machine)).filter(({ path }) => isFlatpak(path));
  const firefox = (await firefoxProfiles(machine)).some(isFlatpak);
  const names = [...chromium.map(({ browser }) => browser.name), ...firefox ? ["Firefox"] : []];
  return orOk(
    "browser_sandboxed",
    [...new Set(names)].map((browser) => ({
      id: "browser_sandboxed",
      status: "warning",
      values: { browser },
    })),
  );
}

/** Whether the browsers in use let the administrator's portals reach this computer without a prompt. */
export async function checkPolicies({ machine, settings }: Situation): Promise<Finding[]> {
  const portals = settings.allowedOrigins.map(({ origin }) => origin);
  const profiles = (await chromiumProfiles(machine)).filter(({ path }) => !isFlatpak(path));
  const used = new Set(profiles.map(({ browser }) => browser));
  const places = [...used].filter((browser) => browser.policies[machine.os]);
  const hasFirefox = machine.os === "linux" &&
    !(await firefoxProfiles(machine)).every(isFlatpak);
  if (portals.length === 0 || places.length === 0 && !hasFirefox) {
    return [skipped("browser_policy_missing")];
  }
  const findings: Finding[] = [];
  const missing = (browser: string, isAllowed: (origin: string) => boolean) => {
    for (const origin of portals) {
      if (isAllowed(origin)) continue;
      findings.push({
        id: "browser_policy_missing",
        status: "warning",
        values: { browser, origin },
      });
    }
  };
  for (const browser of places) {
    const allowed = await allowedUrls(machine, browser.policies[machine.os]!);
    missing(browser.name, (origin) => allowed.some((url) => covers(url, origin)));
  }
  if (hasFirefox) {
    const policy = await readJson(machine.root + FIREFOX_POLICY);
    const domains = at(policy, "policies", "LocalNetworkAccess", "SkipDomains");
    const hosts = Array.isArray(domains) ? domains : [];
    missing("Firefox", (origin) => hosts.includes(new URL(origin).hostname));
  }
  return orOk("browser_policy_missing", findings);
}

/** URL patterns that the administrator's policies allow. */
async function allowedUrls(machine: Machine, place: string): Promise<string[]> {
  if (machine.os === "windows") {
    const queries = await Promise.all(ALLOWING.map(async (name) => {
      try {
        const { stdout } = await new Deno.Command("reg", {
          args: ["query", `${place}\\${name}`],
          stdin: "null",
          stderr: "null",
        }).output();
        return urlsOfRegistry(new TextDecoder().decode(stdout));
      } catch {
        return [];
      }
    }));
    return queries.flat();
  }
  const folder = machine.root + place;
  const urls: string[] = [];
  for (const name of await names(folder)) {
    if (!name.endsWith(".json")) continue;
    const policy = await readJson(join(folder, name));
    for (const each of ALLOWING) {
      const list = at(policy, each);
      if (Array.isArray(list)) urls.push(...list.filter((url) => typeof url === "string"));
    }
  }
  return urls;
}

/** Values of a list policy, as `reg query` prints them. */
export function urlsOfRegistry(text: string): string[] {
  return [...text.matchAll(/^\s+\d+\s+REG_SZ\s+(\S+)\s*$/gm)].map(([, url]) => url);
}

/** Whether a URL pattern of Chromium's policies covers an origin: a host covers its subdomains. */
export function covers(pattern: string, origin: string): boolean {
  if (pattern === "*" || pattern === origin || pattern === `${origin}/`) return true;
  const [, scheme, dot, host, port] =
    /^(?:([a-z*]+):\/\/)?(\[\*\.\]|\.)?([^:/]+)(?::(\d+|\*))?\/?$/.exec(pattern) ?? [];
  if (!host) return false;
  const url = new URL(origin);
  if (scheme && scheme !== "*" && `${scheme}:` !== url.protocol) return false;
  if (port && port !== "*" && port !== (url.port || (url.protocol === "https:" ? "443" : "80"))) {
    return false;
  }
  // A leading dot means that host only.
  if (dot === ".") return url.hostname === host;
  return url.hostname === host || url.hostname.endsWith(`.${host}`);
}

/** A nested member of an object; undefined if it does not exist. */
function at(value: unknown, ...path: string[]): object | undefined {
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) {
      return undefined;
    }
    value = (value as Record<string, unknown>)[name];
  }
  return value as object;
}

async function readJson(path: string): Promise<unknown> {
  try {
    if ((await Deno.stat(path)).size > MAX_PREFERENCES) return null;
    return JSON.parse(await Deno.readTextFile(path));
  } catch {
    return null; // missing, not readable, or being written right now
  }
}

async function names(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
  } catch {
    return [];
  }
}
