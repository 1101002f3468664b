/** Proxies that may take requests for this computer away from it. */
import { join } from "node:path";
import type { Situation } from "./machine.ts";
import { type Finding, orOk } from "./tickets.ts";

/** A proxy setting without an exception for the loopback address, e.g. `http_proxy=http://proxy:8080`; null if none. */
export function proxyOfEnvironment(env: (name: string) => string | undefined): string | null {
  const get = (name: string) => env(name) || env(name.toUpperCase());
  const name = ["http_proxy", "all_proxy"].find((each) => get(each));
  if (!name) return null;
  return exceptsLoopback(get("no_proxy")?.split(",") ?? [])
    ? null
    : `${name}=${hidden(get(name)!)}`;
}

/** The same, from `reg query` of Windows' Internet Settings. `<local>` only excepts names without dots. */
export function proxyOfWindows(registry: string): string | null {
  const value = (name: string) =>
    new RegExp(`^\\s*${name}\\s+REG_\\w+\\s+(.*?)\\s*$`, "m").exec(registry)?.[1];
  if (value("ProxyEnable") !== "0x1" || !value("ProxyServer")) return null;
  const overrides = value("ProxyOverride")?.split(";") ?? [];
  return exceptsLoopback(overrides) ? null : `ProxyServer=${hidden(value("ProxyServer")!)}`;
}

/** The same, from `scutil --proxy` of macOS. */
export function proxyOfMac(proxies: string): string | null {
  if (!/^\s*HTTPEnable : 1$/m.test(proxies)) return null;
  const list = /ExceptionsList : <array> \{([^}]*)\}/.exec(proxies)?.[1] ?? "";
  const exceptions = [...list.matchAll(/\d+ : (\S+)/g)].map(([, each]) => each);
  const server = /^\s*HTTPProxy : (\S+)$/m.exec(proxies)?.[1] ?? "";
  return exceptsLoopback(exceptions) ? null : `HTTPProxy=${hidden(server)}`;
}

/** The same, from a Firefox profile's `prefs.js`: Firefox excepts the loopback address by default. */
export function proxyOfFirefox(prefs: string): string | null {
  const pref = (name: string) =>
    new RegExp(`^user_pref\\("${name.replaceAll(".", "\\.")}", (.*)\\);$`, "m").exec(prefs)?.[1];
  const type = pref("network.proxy.type");
  if (type !== "1" && type !== "2") return null;
  return pref("network.proxy.allow_hijacking_localhost") === "true"
    ? "network.proxy.allow_hijacking_localhost"
    : null;
}

function exceptsLoopback(exceptions: readonly string[]): boolean {
  return exceptions.map((each) => each.trim().toLowerCase()).some((each) =>
    ["*", "127.0.0.1", "127.0.0.0/8", "127.*", "127.0.0.*", "127.0.*", "127.0.0.1/8"].includes(each)
  );
}

/** Removes user name and password from an address. */
const hidden = (address: string) => address.replace(/\/\/[^/@]*@/, "//");

/** Checks the environment, the system's settings, and Firefox's. */
export async function checkProxies(
  { machine }: Situation,
  firefoxProfiles: readonly string[],
): Promise<Finding[]> {
  const found = [proxyOfEnvironment(machine.env)];
  if (machine.os === "windows") {
    const key = "HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings";
    found.push(proxyOfWindows(await output("reg", "query", key)));
  } else if (machine.os === "darwin") found.push(proxyOfMac(await output("scutil", "--proxy")));
  for (const profile of firefoxProfiles) {
    const prefs = await Deno.readTextFile(join(profile, "prefs.js")).catch(() => "");
    found.push(proxyOfFirefox(prefs));
  }
  return orOk(
    "proxy_in_the_way",
    found.filter((each) => each !== null).map((setting) => ({
      id: "proxy_in_the_way",
      status: "warning",
      values: { setting },
    })),
  );
}

/** Output of a system program; empty if it does not exist or fails. */
async function output(program: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(program, { args, stdin: "null", stderr: "null" })
      .output();
    return new TextDecoder().decode(stdout);
  } catch {
    return "";
  }
}
