/**
 * Which PKCS#11 modules there are: those that the configuration names, those that p11-kit has registered (Linux), and
 * those of the known list (modules.json) that are installed. Nothing else is ever loaded.
 */
import { basename, dirname, isAbsolute, join } from "node:path";
import known from "./modules.json" with { type: "json" };
import type { Problem } from "./provider.ts";

/** A module as a configuration file names it. */
export interface ModuleSetting {
  /** Absolute path of the library. */
  path: string;
  /** For display; otherwise the known product's, or the file's, name. */
  name?: string;
  /** CK_C_INITIALIZE_ARGS.pReserved, as NSS softokn needs it. */
  initArgs?: string;
}

/** A module to be used. Names are unique within a result of {@linkcode findModules}. */
export interface DriverModule {
  name: string;
  path: string;
  initArgs?: string;
}

export interface FoundModules {
  modules: DriverModule[];
  /** Paths that lead to a module found under another path already. */
  duplicates: { path: string; of: string }[];
  /** Configured modules that are not there. */
  problems: Problem[];
}

export interface FindOptions {
  configured: readonly ModuleSetting[];
  /** Whether to look for known and registered modules too. */
  search: boolean;
  /** Home folder, for the person's own p11-kit configuration. */
  home?: string;
}

interface KnownProduct {
  name: string;
  /** Useless without an argument that only a configuration can give. */
  needsInitArgs?: boolean;
  windows?: string[];
  linux?: string[];
  darwin?: string[];
}

const PRODUCTS: readonly KnownProduct[] = known;

/**
 * Finds the modules. A configured path that does not exist is a problem; a known one is merely not installed.
 * Configured modules come first, so that their settings win over the same module found otherwise.
 */
export async function findModules(options: FindOptions): Promise<FoundModules> {
  const found: FoundModules = { modules: [], duplicates: [], problems: [] };
  const seen = new Map<string, string>();
  const add = async (setting: ModuleSetting): Promise<boolean> => {
    const real = await realPath(setting.path);
    if (real === null) return false;
    const earlier = seen.get(real);
    if (earlier !== undefined) {
      const told = [earlier, ...found.duplicates.map(({ path }) => path)].includes(setting.path);
      if (!told) found.duplicates.push({ path: setting.path, of: earlier });
      return true;
    }
    seen.set(real, setting.path);
    const { path, initArgs } = setting;
    const name = uniqueName(setting.name ?? await productName(real), found.modules);
    found.modules.push({ name, path, initArgs });
    return true;
  };
  for (const setting of options.configured) {
    if (await add(setting)) continue;
    found.problems.push({
      driver: setting.name ?? setting.path,
      code: "driver_not_found",
      message: `The configured driver ${setting.path} is not there. ` +
        "Install the token's driver or correct the configuration.",
    });
  }
  if (!options.search) return found;
  for (const { name, path } of await installedProducts()) await add({ name, path });
  for (const path of await registeredModules(options.home)) await add({ path });
  return found;
}

/** The resolved path; null where there is nothing. */
async function realPath(path: string): Promise<string | null> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    // What may not be looked at cannot be loaded either, but then the driver's child says why.
    if (error instanceof Deno.errors.PermissionDenied) return path;
    return null;
  }
}

function uniqueName(name: string, modules: readonly DriverModule[]): string {
  let unique = name;
  for (let n = 2; modules.some((each) => each.name === unique); n++) unique = `${name} (${n})`;
  return unique;
}

/** The display name of a library: its product's where it is a known one. */
async function productName(real: string): Promise<string> {
  for (const product of PRODUCTS) {
    for (const path of await productPaths(product)) {
      if (await realPath(path) === real) return product.name;
    }
  }
  return basename(real);
}

async function installedProducts(): Promise<{ name: string; path: string }[]> {
  const installed = await Promise.all(
    PRODUCTS.filter((product) => !product.needsInitArgs).map(async (product) => {
      const paths = await productPaths(product);
      const real = await Promise.all(paths.map(realPath));
      return paths.filter((_, i) => real[i] !== null).map((path) => ({ name: product.name, path }));
    }),
  );
  return installed.flat();
}

/** The places of a product on this system, patterns filled in. */
async function productPaths(product: KnownProduct): Promise<string[]> {
  const { os, arch } = Deno.build;
  if (os === "windows") {
    const system = join(Deno.env.get("SystemRoot") ?? "C:\\Windows", "System32");
    return (product.windows ?? []).map((path) => isAbsolute(path) ? path : join(system, path));
  }
  const paths = os === "linux" ? product.linux : os === "darwin" ? product.darwin : undefined;
  const filled = (paths ?? []).map((path) => path.replace("$ARCH", `${arch}-linux-gnu`));
  return (await Promise.all(filled.map(expandStars))).flat();
}

/** Expands `*` in the components of an absolute path to what is there. */
async function expandStars(pattern: string): Promise<string[]> {
  const star = pattern.indexOf("*");
  if (star < 0) return [pattern];
  const start = pattern.lastIndexOf("/", star);
  const end = pattern.indexOf("/", star);
  const component = pattern.slice(start + 1, end < 0 ? undefined : end);
  const rest = end < 0 ? "" : pattern.slice(end);
  const [before, after] = [
    component.slice(0, component.indexOf("*")),
    component.split("*").at(-1)!,
  ];
  const paths: string[] = [];
  for (const name of await names(pattern.slice(0, start))) {
    if (!name.startsWith(before) || !name.endsWith(after)) continue;
    paths.push(...await expandStars(`${pattern.slice(0, start)}/${name}${rest}`));
  }
  return paths;
}

/** Names in a folder, sorted; none where it cannot be read. */
async function names(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
  } catch {
    return [];
  }
}

/**
 * Modules registered with p11-kit, pkcs11.conf(5): `*.module` files of the packages, the administrator and the person,
 * later ones overriding the lines of earlier ones of the same name. Trust stores and p11-kit's own modules are no
 * tokens.
 */
async function registeredModules(home: string | undefined): Promise<string[]> {
  if (Deno.build.os !== "linux") return [];
  const folders = ["/usr/share/p11-kit/modules", "/etc/pkcs11/modules"];
  if (home) folders.push(join(home, ".config/pkcs11/modules"));
  const settings = new Map<string, Map<string, string>>();
  for (const folder of folders) {
    for (const name of await names(folder)) {
      if (!name.endsWith(".module")) continue;
      const text = await Deno.readTextFile(join(folder, name)).catch(() => "");
      settings.set(name, new Map([...settings.get(name) ?? [], ...parseModuleFile(text)]));
    }
  }
  const paths: string[] = [];
  for (const setting of settings.values()) {
    const module = setting.get("module");
    if (!module || setting.get("trust-policy") === "yes" || !isEnabled(setting)) continue;
    if (basename(module).startsWith("p11-kit-")) continue;
    if (isAbsolute(module)) paths.push(module);
    else {
      const arch = `/usr/lib/${Deno.build.arch}-linux-gnu`;
      for (const folder of [arch, "/usr/lib64", "/usr/lib"]) {
        const path = join(folder, "pkcs11", module);
        // Not a way out of that folder.
        if (dirname(path) === join(folder, "pkcs11") && await realPath(path)) paths.push(path);
      }
    }
  }
  return paths;
}

/** `name: value` lines; `#` begins a comment. */
export function parseModuleFile(text: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\s*([A-Za-z0-9-]+)\s*:\s*(.*?)\s*$/.exec(line);
    if (match) settings.set(match[1], match[2]);
  }
  return settings;
}

/** `enable-in` and `disable-in` are lists of programs. */
function isEnabled(setting: ReadonlyMap<string, string>): boolean {
  const list = (name: string) => setting.get(name)?.split(/[\s,]+/).filter((each) => each !== "");
  const [enabled, disabled] = [list("enable-in"), list("disable-in")];
  return enabled?.length ? enabled.includes("dsign") : !disabled?.includes("dsign");
}
