/**
 * Modules registered with p11-kit, as its `pkcs11.conf(5)` has it: one `NAME.module` file a module, of the person
 * (`~/.config/pkcs11/modules`), the administrator (`/etc/pkcs11/modules`) and the packages
 * (`/usr/share/p11-kit/modules`). Settings of the earlier win one by one over those of the later, under the same NAME.
 */
import { basename, isAbsolute, join } from "node:path";

/** A module that p11-kit would load into this program. */
export interface RegisteredModule {
  /** NAME of its file. */
  name: string;
  path: string;
  /** `x-init-reserved`: CK_C_INITIALIZE_ARGS.pReserved. */
  initArgs?: string;
  /** `critical`: declared indispensable. */
  critical: boolean;
}

/** Files and folders of p11-kit. */
export interface P11KitFolders {
  /** `pkcs11.conf` files. */
  system: string;
  user: string | null;
  /** Folders of `*.module` files. */
  packages: string;
  administrator: string;
  person: string | null;
  /** Folders for relative module names, in this order. */
  modules: string[];
}

/** This program's name in `enable-in` and `disable-in`. */
const PROGRAM = "dsign";

/** Longest configuration file, in bytes. */
const MAX_FILE = 64 * 1024;

/**
 * The folders of this system; p11-kit is not used on Windows and macOS.
 *
 * @param env for HOME and XDG_CONFIG_HOME, which replaces `~/.config` for p11-kit
 */
export function p11KitFolders(
  env: (name: string) => string | undefined,
  arch: string = Deno.build.arch,
): P11KitFolders {
  const home = env("HOME");
  const set = env("XDG_CONFIG_HOME");
  const config = set && isAbsolute(set) ? set : home ? join(home, ".config") : null;
  return {
    system: "/etc/pkcs11/pkcs11.conf",
    user: config && join(config, "pkcs11/pkcs11.conf"),
    packages: "/usr/share/p11-kit/modules",
    administrator: "/etc/pkcs11/modules",
    person: config && join(config, "pkcs11/modules"),
    modules: [`/usr/lib/${arch}-linux-gnu/pkcs11`, "/usr/lib64/pkcs11", "/usr/lib/pkcs11"],
  };
}

/**
 * The modules that p11-kit would load into this program, by falling `priority`, then by name. Left out: sources of
 * trust (`trust-policy`), p11-kit's own proxy and client, and modules that run elsewhere (`remote`). Unreadable
 * files are skipped, as by p11-kit.
 */
export async function registeredModules(folders: P11KitFolders): Promise<RegisteredModule[]> {
  const mode = await userMode(folders);
  const order = [
    ...mode === "none" || !folders.person ? [] : [folders.person],
    ...mode === "only" ? [] : [folders.administrator, folders.packages],
  ];
  const merged = new Map<string, Map<string, string>>();
  for (const folder of order) {
    for (const file of await moduleFiles(folder)) {
      const name = file.slice(0, -".module".length);
      const settings = await readSettings(join(folder, file));
      // Apply earlier files last, so that they win.
      merged.set(name, new Map([...settings, ...merged.get(name) ?? []]));
    }
  }
  const found: (RegisteredModule & { priority: number })[] = [];
  for (const [name, settings] of merged) {
    // Blank: switched off.
    const module = settings.get("module");
    if (!module || settings.has("remote") || !isEnabled(settings)) continue;
    if (isYes(settings.get("trust-policy")) || basename(module).startsWith("p11-kit-")) continue;
    const path = isAbsolute(module) ? module : await locate(module, folders.modules);
    if (path === null) continue;
    found.push({
      name,
      path,
      initArgs: settings.get("x-init-reserved"),
      critical: isYes(settings.get("critical")),
      priority: Number.parseInt(settings.get("priority") ?? "0") || 0,
    });
  }
  found.sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
  return found.map(({ priority: _, ...module }) => module);
}

/**
 * Reads a file of settings: `name: value` lines; lines that begin with `#` are comments.
 *
 * @param text of the file; other lines are skipped
 */
export function parseSettings(text: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\s*([A-Za-z0-9._-]+)\s*:\s*(.*?)\s*$/.exec(line);
    if (match) settings.set(match[1], match[2]);
  }
  return settings;
}

type UserMode = "none" | "merge" | "only";

/** The system's file says whether the person's configuration counts; that one may then say more. */
async function userMode({ system, user }: P11KitFolders): Promise<UserMode> {
  const mode = async (path: string, otherwise: UserMode): Promise<UserMode> => {
    const set = (await readSettings(path)).get("user-config");
    return set === "none" || set === "merge" || set === "only" ? set : otherwise;
  };
  const bySystem = await mode(system, "merge");
  return bySystem === "none" || !user ? "none" : await mode(user, bySystem);
}

async function readSettings(path: string): Promise<Map<string, string>> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile || size > MAX_FILE) return new Map();
    return parseSettings(await Deno.readTextFile(path));
  } catch {
    return new Map();
  }
}

/** Names of module files in a folder, sorted; none if it cannot be read. */
async function moduleFiles(folder: string): Promise<string[]> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    return names.filter((name) => /^[A-Za-z0-9][A-Za-z0-9_,.-]*\.module$/.test(name)).sort();
  } catch {
    return [];
  }
}

/** Path in the first folder that has it, or in the first folder at all; null if the name leads out of the folder. */
async function locate(module: string, folders: readonly string[]): Promise<string | null> {
  const paths = folders.map((folder) => join(folder, module));
  if (!paths[0].startsWith(`${folders[0]}/`)) return null;
  for (const path of paths) {
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
  return paths[0];
}

const isYes = (value: string | undefined) => value === "yes";

/** `enable-in` enables only the listed programs; an empty one switches the module off. */
function isEnabled(settings: ReadonlyMap<string, string>): boolean {
  const lists = (name: string) => settings.get(name)?.split(/[\s,]+/).includes(PROGRAM);
  return lists("enable-in") ?? !lists("disable-in");
}
