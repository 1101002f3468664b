/**
 * Finding PKCS#11 modules: those in the configuration, those registered with p11-kit (Linux), and the installed ones of
 * the known list (modules.json). Nothing else is ever loaded.
 */
import { basename, isAbsolute, join } from "node:path";
import known from "./modules.json" with { type: "json" };
import { p11KitFolders, registeredModules } from "./p11_kit.ts";
import type { Problem } from "./provider.ts";

/** A module in a configuration file. */
export interface ModuleSetting {
  /** Absolute path of the library. */
  path: string;
  /** Display name; default: that of the known product, or of the file. */
  name?: string;
  /** CK_C_INITIALIZE_ARGS.pReserved, which NSS softokn needs. */
  initArgs?: string;
}

/** A module to be used. Names are unique within a result of {@linkcode findModules}. */
export interface DriverModule {
  name: string;
  path: string;
  initArgs?: string;
  /** Where it comes from. */
  source: "configuration" | "p11-kit" | "known";
}

export interface FoundModules {
  modules: DriverModule[];
  /** Further paths to a module that was already found. */
  duplicates: { path: string; of: string }[];
  /** Missing modules that the configuration names, or that p11-kit calls critical. */
  problems: Problem[];
}

export interface FindOptions {
  configured: readonly ModuleSetting[];
  /** Whether to include known and registered modules. */
  search: boolean;
  /** For the person's own p11-kit configuration: HOME and XDG_CONFIG_HOME. */
  env?: (name: string) => string | undefined;
}

interface KnownProduct {
  name: string;
  /** Useless without an argument from the configuration. */
  needsInitArgs?: boolean;
  windows?: string[];
  linux?: string[];
  darwin?: string[];
}

const PRODUCTS: readonly KnownProduct[] = known.products;

/**
 * Finds the modules. A configured path that does not exist is a problem; a known one is merely not installed.
 * Configured modules come first, so that their settings win.
 */
export async function findModules(options: FindOptions): Promise<FoundModules> {
  const found: FoundModules = { modules: [], duplicates: [], problems: [] };
  const seen = new Map<string, string>();
  const add = async (
    setting: ModuleSetting,
    source: DriverModule["source"],
  ): Promise<boolean> => {
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
    found.modules.push({ name, path, initArgs, source });
    return true;
  };
  for (const setting of options.configured) {
    if (await add(setting, "configuration")) continue;
    found.problems.push({
      driver: setting.name ?? setting.path,
      code: "driver_not_found",
      message: `The configured driver ${setting.path} is not there. ` +
        "Install the token's driver or correct the configuration.",
    });
  }
  if (!options.search) return found;
  const registered = Deno.build.os === "linux"
    ? await registeredModules(p11KitFolders(options.env ?? (() => undefined)))
    : [];
  for (const { path, initArgs, critical } of registered) {
    if (await add({ path, initArgs }, "p11-kit") || !critical) continue;
    found.problems.push({
      driver: path,
      code: "driver_not_found",
      message: `The driver ${path} is not there, and p11-kit's configuration calls it critical. ` +
        "Install the token's driver or correct that configuration.",
    });
  }
  for (const { name, path } of await installedProducts()) await add({ name, path }, "known");
  return found;
}

/** The resolved path; null if there is nothing. */
async function realPath(path: string): Promise<string | null> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    // A library that may not be read cannot be loaded either, but then the driver's child says why.
    if (error instanceof Deno.errors.PermissionDenied) return path;
    return null;
  }
}

function uniqueName(name: string, modules: readonly DriverModule[]): string {
  let unique = name;
  for (let n = 2; modules.some((each) => each.name === unique); n++) unique = `${name} (${n})`;
  return unique;
}

/** The display name of a library: that of its product if it is known. */
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

/** Paths of a product on this system, with patterns expanded. */
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

/** Expands `*` in the components of an absolute path. */
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

/** Names in a folder, sorted; none if it cannot be read. */
async function names(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
  } catch {
    return [];
  }
}
