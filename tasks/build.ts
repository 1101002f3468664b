/**
 * `deno task build`: makes what browsers load, in `dist/web/`: one script for each page, the SDK as `client.js`, the
 * pages and their style. `deno bundle` does it; it fetches its bundler from npm at the first use.
 */

const ROOT = new URL("../", import.meta.url);
const OUTPUT = "dist/web";

/** Source → file in `dist/web`. */
const SCRIPTS = {
  "web/client.ts": "client.js",
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

async function bundle(source: string, output: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--platform=browser",
      // The SDK is read by those who use it.
      ...(output === "client.js" ? [] : ["--minify"]),
      `--output=${OUTPUT}/${output}`,
      source,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`${source} cannot be bundled:\n${new TextDecoder().decode(stderr)}`);
  }
}

/** Builds all pages. About 0.1 s a script. */
export async function build(): Promise<void> {
  await Deno.mkdir(new URL(OUTPUT, ROOT), { recursive: true });
  for (const [source, output] of Object.entries(SCRIPTS)) await bundle(source, output);
  for (const [source, output] of Object.entries(FILES)) {
    await Deno.copyFile(new URL(source, ROOT), new URL(`${OUTPUT}/${output}`, ROOT));
  }
}

if (import.meta.main) await build();
