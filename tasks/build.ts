/**
 * `deno task build`: makes what browsers load, in `dist/web/`: one script for each page, the SDK as `client.js` with
 * `client.d.ts`, the pages and their style. `deno bundle` does it; it fetches its bundler from npm at the first use.
 */
import { fileURLToPath } from "node:url";
import { withContract } from "./client_types.ts";

const ROOT = new URL("../", import.meta.url);
const OUTPUT = new URL("dist/web/", ROOT);

/** Source → file in `dist/web`. */
const SCRIPTS = {
  "web/consent/main.tsx": "consent.js",
  "web/console/main.tsx": "console.js",
  "web/portal/main.tsx": "portal.js",
};
const FILES = {
  "web/consent/index.html": "consent.html",
  "web/console/index.html": "index.html",
  "web/portal/index.html": "portal.html",
  "web/icon.svg": "icon.svg",
  "web/style.css": "style.css",
};

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
  await Deno.writeTextFile(types, withContract(await Deno.readTextFile(types)));
  await deno("fmt", "--quiet", "--no-config", "--line-width=100", types);
}

/** Builds all pages, in about a second. What a page is made of is never half written. */
export async function build(): Promise<void> {
  await Deno.mkdir(OUTPUT, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: fileURLToPath(new URL("dist/", ROOT)) });
  try {
    await bundleClient(folder);
    for (const [source, output] of Object.entries(SCRIPTS)) {
      await bundle("--minify", `--output=${folder}/${output}`, source);
    }
    for (const [source, output] of Object.entries(FILES)) {
      await Deno.copyFile(new URL(source, ROOT), `${folder}/${output}`);
    }
    for await (const { name } of Deno.readDir(folder)) {
      await Deno.rename(`${folder}/${name}`, new URL(name, OUTPUT));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) await build();
