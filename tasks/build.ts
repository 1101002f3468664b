/**
 * `deno task build`: makes what browsers load, in `dist/web/`: one script for each page, the SDK as `client.js` with
 * `client.d.ts`, the pages and their style, pdf.js and the fonts of signatures. `deno bundle` does it; it fetches its bundler from npm at the first use.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as client from "../web/client.ts";
import { withContract } from "./client_types.ts";

const ROOT = new URL("../", import.meta.url);
const OUTPUT = new URL("dist/web/", ROOT);

/** Source → file in `dist/web`. */
export const SCRIPTS = {
  "web/bridge/main.tsx": "bridge.js",
  "web/consent/main.tsx": "consent.js",
  "web/console/main.tsx": "console.js",
  "web/otp/esp.tsx": "esp.js",
  "web/otp/main.tsx": "otp.js",
  "web/portal/install_main.tsx": "install.js",
  "web/portal/main.tsx": "portal.js",
  "web/portal/sanction_main.tsx": "sanction.js",
};
const FILES = {
  "web/bridge/index.html": "bridge.html",
  "web/consent/index.html": "consent.html",
  "web/console/index.html": "index.html",
  "web/console/style.css": "console.css",
  "web/otp/index.html": "otp.html",
  "web/otp/style.css": "otp.css",
  "web/portal/index.html": "portal.html",
  "web/portal/install.css": "install.css",
  "web/portal/install.html": "install.html",
  "web/portal/sanction.css": "sanction.css",
  "web/portal/sanction.html": "sanction.html",
  "web/icon.png": "icon.png",
  "web/icon.svg": "icon.svg",
  "web/screen.css": "screen.css",
  "web/style.css": "style.css",
};

/**
 * A font of signatures, with its licence.
 *
 * @param folder in `dist/web/fonts`; without further names, that of the part that is taken
 * @param files beginning of their names
 */
const font = (folder: string, files: string, ...parts: string[]): [string, ...string[]] => [
  `fonts/${folder}`,
  files.replace(/files\/.*/, "LICENSE"),
  ...(parts.length > 0 ? parts : [folder]).map((part) => `${files}-${part}-400-normal.woff`),
];

/**
 * Files copied from packages → folder in `dist/web`: pdf.js with the fonts and decoders that it loads when a
 * document needs them (those without WebAssembly, which the pages' policy forbids), and the fonts of signatures.
 */
const PACKAGED: [folder: string, ...files: string[]][] = [
  ["pdf", "pdfjs-dist/legacy/build/pdf.min.mjs", "pdfjs-dist/legacy/build/pdf.worker.min.mjs"],
  ["pdf/decoders", "pdfjs-dist/wasm/"],
  ["pdf/fonts", "pdfjs-dist/standard_fonts/"],
  font("latin", "@fontsource/noto-sans/files/noto-sans", "latin", "latin-ext"),
  font("arabic", "@fontsource/noto-naskh-arabic/files/noto-naskh-arabic"),
  font("bengali", "@fontsource/noto-sans-bengali/files/noto-sans-bengali"),
  font("devanagari", "@fontsource/noto-sans-devanagari/files/noto-sans-devanagari"),
  font("gujarati", "@fontsource/noto-sans-gujarati/files/noto-sans-gujarati"),
  font("gurmukhi", "@fontsource/noto-sans-gurmukhi/files/noto-sans-gurmukhi"),
  font("kannada", "@fontsource/noto-sans-kannada/files/noto-sans-kannada"),
  font("malayalam", "@fontsource/noto-sans-malayalam/files/noto-sans-malayalam"),
  font("meetei-mayek", "@fontsource/noto-sans-meetei-mayek/files/noto-sans-meetei-mayek"),
  font("ol-chiki", "@fontsource/noto-sans-ol-chiki/files/noto-sans-ol-chiki"),
  font("oriya", "@fontsource/noto-sans-oriya/files/noto-sans-oriya"),
  font("tamil", "@fontsource/noto-sans-tamil/files/noto-sans-tamil"),
  font("telugu", "@fontsource/noto-sans-telugu/files/noto-sans-telugu"),
];
const NOT_PACKAGED = /\.wasm$|quickjs/i;

/** A file, or with a slash at the end a folder, of a package. */
async function packagedFiles(path: string): Promise<string[]> {
  const name = path.split("/").slice(0, path.startsWith("@") ? 2 : 1).join("/");
  const require = createRequire(import.meta.url);
  const found = join(dirname(require.resolve(`${name}/package.json`)), path.slice(name.length));
  if (!path.endsWith("/")) return [found];
  const entries = await Array.fromAsync(Deno.readDir(found));
  return entries.filter(({ name }) => !NOT_PACKAGED.test(name)).map(({ name }) =>
    join(found, name)
  );
}

/** Puts the files of a folder into another, each as a whole; what an earlier build made beside them goes. */
async function moveAll(from: string, to: URL): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  const made = await Array.fromAsync(Deno.readDir(from));
  for (const { name, isDirectory } of made) {
    if (isDirectory) await moveAll(join(from, name), new URL(`${name}/`, to));
    else await Deno.rename(join(from, name), new URL(name, to));
  }
  const kept = new Set(made.map(({ name }) => name));
  for await (const { name } of Deno.readDir(to)) {
    if (!kept.has(name)) await Deno.remove(new URL(name, to), { recursive: true });
  }
}

/** @throws {Error} with what the command says */
async function deno(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`deno ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}

const bundle = (...args: string[]) => deno("bundle", "--quiet", "--platform=browser", ...args);

/** The SDK, in a form that can be read, with its types. */
async function bundleClient(folder: string): Promise<void> {
  // Types are written only where browsers' and Deno's own are not mixed, as they are in the project's configuration.
  const config = `${folder}/deno.json`;
  const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  await Deno.writeTextFile(
    config,
    JSON.stringify({ compilerOptions: { lib: ["esnext", "dom", "dom.iterable"] }, imports }),
  );
  await bundle(
    "--declaration",
    "--no-lock",
    `--config=${config}`,
    `--output=${folder}/client.js`,
    "web/client.ts",
  );
  await Deno.remove(config);
  const types = `${folder}/client.d.ts`;
  const declarations = await Deno.readTextFile(types);
  await Deno.writeTextFile(types, withContract(declarations, Object.keys(client)));
  await deno("fmt", "--quiet", "--no-config", "--line-width=100", types);
}

/** The pages' scripts, each with all that it needs. */
async function bundleScripts(folder: string): Promise<void> {
  const bundled = `${folder}/bundled`;
  await bundle("--minify", `--outdir=${bundled}`, ...Object.keys(SCRIPTS));
  for (const [source, output] of Object.entries(SCRIPTS)) {
    // named by the part of their paths in which they differ
    const name = source.replace(/^web\//, "").replace(/\.tsx$/, ".js");
    await Deno.rename(`${bundled}/${name}`, `${folder}/${output}`);
  }
  await Deno.remove(bundled, { recursive: true });
}

/** Folders and files that the pages are made of; of packages, the lock file has the hashes. */
const SOURCES = [
  "web/",
  "words/",
  "protocol/",
  "deno.json",
  "deno.lock",
  "tasks/build.ts",
  "tasks/client_types.ts",
];
/** Says from which sources the pages were built. */
const STAMP = new URL("dist/web.sha256", ROOT);

async function hashSources(): Promise<string> {
  const hash = createHash("sha256");
  const add = async (path: string): Promise<void> => {
    if (!path.endsWith("/")) {
      hash.update(`${path}\0`).update(await Deno.readFile(new URL(path, ROOT))).update("\0");
      return;
    }
    const entries = await Array.fromAsync(Deno.readDir(new URL(path, ROOT)));
    const names = entries.map(({ name, isDirectory }) => isDirectory ? `${name}/` : name);
    for (const name of names.sort()) await add(path + name);
  };
  for (const source of SOURCES) await add(source);
  return hash.digest("hex");
}

async function isBuiltFrom(sources: string): Promise<boolean> {
  try {
    for (const output of ["client.js", "client.d.ts", ...Object.values({ ...SCRIPTS, ...FILES })]) {
      await Deno.stat(new URL(output, OUTPUT));
    }
    return await Deno.readTextFile(STAMP) === sources;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Builds all pages, in about a second; at once if they were already built from the same sources. */
export async function build(): Promise<void> {
  const sources = await hashSources();
  if (!await isBuiltFrom(sources)) await buildAnew(sources);
}

/** Writes a file of a page completely or not at all. */
async function buildAnew(sources: string): Promise<void> {
  await Deno.mkdir(OUTPUT, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: fileURLToPath(new URL("dist/", ROOT)) });
  try {
    await bundleClient(folder);
    await bundleScripts(folder);
    for (const [source, output] of Object.entries(FILES)) {
      await Deno.copyFile(new URL(source, ROOT), `${folder}/${output}`);
    }
    for (const [name, ...paths] of PACKAGED) {
      await Deno.mkdir(join(folder, name), { recursive: true });
      for (const file of (await Promise.all(paths.map(packagedFiles))).flat()) {
        await Deno.copyFile(file, join(folder, name, basename(file)));
      }
    }
    await moveAll(folder, OUTPUT);
    await Deno.writeTextFile(STAMP, sources);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) await buildAnew(await hashSources());
