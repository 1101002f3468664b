/**
 * `deno task npm`: makes `dist/npm/NAME-VERSION.tgz`, the SDK as an npm package for portals: ES modules with types and
 * source maps, no dependencies. No registry has it: portals install the file, or its address on their own server.
 */
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import configuration from "../deno.json" with { type: "json" };
import { build } from "./build.ts";
import { entryTypes, without } from "./client_types.ts";
import { type File, tarGzip } from "./compile.ts";

/** The package's name. It is nobody's in the npm registry, so the package is never installed from there. */
export const PACKAGE = "dsign-web";

/** Entry → source. */
const ENTRIES = {
  index: "web/client/index.ts",
  popup: "web/client/popup.ts",
  bn: "web/client/bn.ts",
  hi: "web/client/hi.ts",
  react: "web/client/react.ts",
  element: "web/client/element.ts",
  testing: "web/client/testing.ts",
};

/** Most bytes of the core, compressed. */
const CORE_LIMIT = 7000;

const ROOT = new URL("../", import.meta.url);

const manifest = () => ({
  name: PACKAGE,
  version: configuration.version,
  description: "Signatures with tokens, for web pages: the SDK of D-Sign",
  license: configuration.license,
  type: "module",
  sideEffects: false,
  exports: {
    ...Object.fromEntries(
      Object.keys(ENTRIES).map((name) => [
        name === "index" ? "." : `./${name}`,
        { types: `./${name}.d.ts`, default: `./${name}.js` },
      ]),
    ),
    "./package.json": "./package.json",
  },
  peerDependencies: { react: ">=18" },
  peerDependenciesMeta: { react: { optional: true } },
});

/** Where an entry finds what another one exports. */
const SHARED: esbuild.Plugin = {
  name: "shared",
  setup: (build) =>
    build.onResolve({ filter: /^\.\/(client|connect|errors|popup)\.ts$/ }, ({ path, importer }) => {
      const isEntry = ["element.ts", "popup.ts", "react.ts"].some((name) =>
        importer.endsWith(name)
      );
      const from = path === "./popup.ts" ? "./popup.js" : "./index.js";
      return isEntry ? { path: from, external: true } : undefined;
    }),
};

async function scripts(): Promise<File[]> {
  const { outputFiles } = await esbuild.build({
    absWorkingDir: fileURLToPath(ROOT),
    entryPoints: ENTRIES,
    outdir: "out",
    write: false,
    bundle: true,
    format: "esm",
    target: "es2022",
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } }, // shorter
    minify: true,
    charset: "utf8",
    sourcemap: "linked",
    external: ["react", "node:child_process"],
    plugins: [SHARED],
    logLevel: "silent",
  });
  const files = outputFiles.map(({ path, contents }) => ({
    name: path.split("/").at(-1)!,
    mode: 0o644,
    bytes: contents,
  }));
  const size = gzipSync(files.find(({ name }) => name === "index.js")!.bytes).length;
  if (size > CORE_LIMIT) {
    throw new Error(`The core has ${size} bytes compressed, of ${CORE_LIMIT}.`);
  }
  return files;
}

async function types(): Promise<File[]> {
  await build();
  const sdk = await Deno.readTextFile(new URL("dist/web/client.d.ts", ROOT));
  return await Promise.all(
    Object.entries(ENTRIES).map(async ([name, source]) => {
      const declarations = name === "index"
        ? without(sdk, "connectByPopup")
        : entryTypes(await Deno.readTextFile(new URL(source, ROOT)));
      return { name: `${name}.d.ts`, mode: 0o644, bytes: text(declarations) };
    }),
  );
}

const text = (text: string) => new TextEncoder().encode(text);

/** Makes the package. @returns its path */
export async function npmPackage(): Promise<string> {
  try {
    const readme = await Deno.readTextFile(new URL("web/client/README.md", ROOT));
    const files = [
      { name: "package.json", mode: 0o644, bytes: text(JSON.stringify(manifest(), null, 2)) },
      { name: "README.md", mode: 0o644, bytes: text(readme) },
      { name: "LICENSE", mode: 0o644, bytes: await Deno.readFile(new URL("LICENSE", ROOT)) },
      ...await scripts(),
      ...await types(),
    ];
    const archive = await tarGzip(files.map((each) => ({ ...each, name: `package/${each.name}` })));
    const output = new URL(`dist/npm/${PACKAGE}-${configuration.version}.tgz`, ROOT);
    await Deno.mkdir(new URL(".", output), { recursive: true });
    // Whole, since tests that run at the same time make and read it.
    const whole = new URL(`${output.href}.${crypto.randomUUID()}`);
    await Deno.writeFile(whole, archive);
    await Deno.rename(whole, output);
    return fileURLToPath(output);
  } finally {
    await esbuild.stop();
  }
}

if (import.meta.main) console.log(await npmPackage());
