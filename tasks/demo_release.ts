/** The demonstration's download page offers the packages that were built here. */
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import configuration from "../deno.json" with { type: "json" };
import { manifestOf, signManifest } from "./release_manifest.ts";

/** For the demonstration alone: the page does not check it, and no program trusts it. */
const { privateKey } = generateKeyPairSync("ed25519");

export interface DemoRelease {
  /** Signed, as `deno task manifest` makes it. */
  manifest: string;
  /** Paths by name. */
  files: Map<string, string>;
}

/**
 * @param dist folder of the build, ending in a slash
 * @param base address that the files' names follow
 * @returns null if `deno task package` was not run
 */
export async function demoRelease(dist: URL, base: string): Promise<DemoRelease | null> {
  const folder = fileURLToPath(new URL("packages/", dist));
  let names;
  try {
    names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const { version } = configuration;
  const paths = names.filter((name) => name.includes(version)).map((name) => join(folder, name));
  const manifest = await manifestOf(paths, { version, base });
  if (manifest.files.length === 0) return null;
  return {
    manifest: signManifest(manifest, privateKey),
    files: new Map(manifest.files.map(({ name }) => [name, join(folder, name)])),
  };
}
