/**
 * `deno task compile [--target T]`: makes `dist/dsign`, the whole product as one file, and beside it the icon for
 * installers.
 *
 * `deno compile` does it where its base program (denort) can be fetched. Where it cannot, the same command is built for
 * this machine as a self-extracting executable: a POSIX shell header (tasks/launcher.sh) before a gzip-compressed tar
 * of this very Deno runtime, the bundled code and the pages.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";

const OUTPUT = "dist/dsign";
const PAGES = "dist/web";
/** The scripts that threads begin with: no other file says that they are needed. */
const THREADS = ["cli/reader_worker.ts", "otp_service/pin_worker.ts", "signing/text_worker.ts"];

/** Runs this Deno; its output is for people. */
async function deno(...args: string[]): Promise<{ success: boolean; output: string }> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  return { success, output: new TextDecoder().decode(stderr) };
}

async function must(...args: string[]): Promise<void> {
  const { success, output } = await deno(...args);
  if (!success) throw new Error(`deno ${args[0]} failed:\n${output}`);
}

/** Names of all files below `folder`, sorted, relative to it. */
async function filesBelow(folder: string, prefix = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${prefix}`)) {
    if (isDirectory) files.push(...await filesBelow(folder, `${prefix}${name}/`));
    else files.push(prefix + name);
  }
  return files.sort();
}

/** A ustar header (POSIX.1-2017 pax, "ustar Interchange Format"); owner and time are left at zero. */
function tarHeader(name: string, size: number, mode: number): Uint8Array {
  if (name.length > 100) throw new Error(`The name is too long for a ustar header: ${name}`);
  const header = new Uint8Array(512);
  const put = (offset: number, text: string) => header.set(new TextEncoder().encode(text), offset);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  put(0, name);
  put(100, octal(mode, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(size, 11));
  put(136, octal(0, 11));
  put(148, " ".repeat(8));
  put(156, "0");
  put(257, "ustar\x0000");
  put(148, `${octal(header.reduce((sum, byte) => sum + byte, 0), 6)}\0 `);
  return header;
}

/** A file of the payload. */
export interface File {
  name: string;
  mode: number;
  bytes: Uint8Array;
}

/** The same files give the same bytes. */
export async function tarGzip(files: File[]): Promise<Uint8Array> {
  const tar = new Blob([
    ...files.flatMap(({ name, mode, bytes }) => [
      tarHeader(name, bytes.length, mode),
      bytes,
      new Uint8Array((512 - bytes.length % 512) % 512),
    ]),
    new Uint8Array(1024),
  ] as BlobPart[]);
  return await new Response(tar.stream().pipeThrough(new CompressionStream("gzip"))).bytes();
}

/**
 * Puts the launcher before the files. At a start it runs `dsign`, the runtime, on `main.js`.
 *
 * @returns the executable's bytes; the same for the same input
 */
export async function selfExtracting(files: File[], version: string): Promise<Uint8Array> {
  const payload = await tarGzip(files);
  const values: Record<string, string> = {
    VERSION: version,
    PLATFORM: Deno.build.target,
    ID: createHash("sha256").update(payload).digest("hex"),
    // where the payload starts, counted from 1; with leading zeros, so that the header's length is known before
    OFFSET: "00000",
  };
  const template = await Deno.readTextFile(new URL("launcher.sh", import.meta.url));
  const header = () =>
    new TextEncoder().encode(template.replaceAll(/@([A-Z]+)@/g, (_, name) => values[name]!));
  values.OFFSET = String(header().length + 1).padStart(5, "0");
  return await new Blob([header(), payload] as BlobPart[]).bytes();
}

/** All files below `folder`, under `prefix`. */
async function load(folder: string, prefix: string): Promise<File[]> {
  const files: File[] = [];
  for (const name of await filesBelow(folder)) {
    const bytes = await Deno.readFile(`${folder}/${name}`);
    files.push({ name: prefix + name, mode: 0o600, bytes });
  }
  return files;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The output of `deno bundle` reveals where this machine keeps npm packages: in comments and names of modules, and by
 * hashes over them in the pieces' names. Without that it is the same wherever it is built.
 *
 * @param npm that place, as the bundle names it: relative to the repository, with a slash at its end
 */
export function withoutPlaces(pieces: File[], npm: string): File[] {
  const texts = new Map(
    pieces.map(({ name, bytes }) => [name, decoder.decode(bytes).replaceAll(npm, "npm/")]),
  );
  const reference = /(?<=["']\.{1,2}\/)[\w.-]+-[A-Z0-9]{8}\.js(?=["'])/g;
  // numbered as they are met from main.js on, then from what threads begin with
  const begin = ["main.js", ...THREADS.map((name) => name.replace(/ts$/, "js"))]
    .filter((name) => texts.has(name));
  const names = new Map(begin.map((name) => [name, name]));
  for (const name of names.keys()) {
    for (const [other] of texts.get(name)!.matchAll(reference)) {
      if (texts.has(other) && !names.has(other)) {
        names.set(other, other.replace(/[A-Z0-9]{8}\.js$/, `${names.size}.js`));
      }
    }
  }
  const lost = [...texts.keys()].filter((name) => !names.has(name));
  if (lost.length > 0) throw new Error(`Nothing refers to ${lost.join(", ")}.`);
  return [...names].map(([name, to]) => {
    const text = texts.get(name)!.replace(reference, (other) => names.get(other) ?? other);
    return { name: to, mode: 0o600, bytes: encoder.encode(text) };
  }).sort((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * The runtime reads and keeps every script that an import() names in a literal, before it starts the first. It shall
 * read only what a role or command needs, when that is needed: 7 MB less for a driver's process, 6 MB for the agent.
 *
 * Hosts and threads give back the permission to read, and could then load no script that was not named.
 */
export function readWhenChosen(pieces: File[]): File[] {
  const texts = new Map(pieces.map(({ name, bytes }) => [name, decoder.decode(bytes)]));
  const begin = [...texts.keys()].filter((name) => /^host-\d+\.js$|\//.test(name));
  const named = new Set(begin);
  for (const name of named) {
    for (const [other] of texts.get(name)!.matchAll(/(?<="\.{1,2}\/)[\w.-]+(?=")/g)) {
      if (texts.has(other)) named.add(other);
    }
  }
  return [...texts].map(([name, text]) => {
    const chosen = named.has(name)
      ? text
      : text.replaceAll(/\bimport\(("\.\/[^"]+")\)/g, "import(String($1))");
    return { name, mode: 0o600, bytes: encoder.encode(chosen) };
  });
}

/** The code and the pages, laid out as main.ts and `deno compile` have them. Run it in the repository's folder. */
export async function programFiles(): Promise<File[]> {
  const code = await Deno.makeTempDir();
  try {
    // in pieces, so that a driver's process loads only its own: 8 MB less of memory than as a whole
    const to = ["--code-splitting", "--outdir", code];
    await must("bundle", "--platform", "deno", ...to, "main.ts", ...THREADS);
    const harfbuzz = createRequire(import.meta.url).resolve("harfbuzzjs");
    const npm = relative(".", harfbuzz.slice(0, harfbuzz.lastIndexOf("harfbuzzjs/")));
    const wasm = await Deno.readFile(join(dirname(harfbuzz), "harfbuzz.wasm"));
    return [
      ...readWhenChosen(withoutPlaces(await load(code, ""), `${npm}/`)),
      // HarfBuzz looks for it beside the code, which in a thread is that of the thread
      ...["", "cli/"].map((folder) => ({
        name: `${folder}harfbuzz.wasm`,
        mode: 0o600,
        bytes: wasm,
      })),
      // no package.json of a folder further up is to say what kind of script they are
      { name: "package.json", mode: 0o600, bytes: encoder.encode('{"type":"module"}\n') },
      ...await load(PAGES, `${PAGES}/`),
    ];
  } finally {
    await Deno.remove(code, { recursive: true });
  }
}

async function main(args: string[]): Promise<number> {
  const { target } = parseArgs({ args, options: { target: { type: "string" } } }).values;
  const { version } = JSON.parse(await Deno.readTextFile("deno.json"));
  await must("run", "-A", "tasks/build.ts");
  // deno compile replaces only what it made itself
  await Deno.remove(OUTPUT).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });

  for (const icon of ["dsign.ico", "dsign.icns"]) {
    await Deno.copyFile(`tasks/package/${icon}`, `dist/${icon}`);
  }
  const isForWindows = (target ?? Deno.build.target).includes("windows");

  const { success, output } = await deno(
    "compile",
    "--no-check",
    "--no-prompt",
    // each role gives up what it does not need (main.ts); to learn who speaks to it, the agent must begin with all
    "--allow-all",
    ...(target === undefined ? [] : ["--target", target]),
    ...(isForWindows ? ["--icon", "dist/dsign.ico"] : []),
    "--include",
    PAGES,
    ...THREADS.flatMap((name) => ["--include", name]),
    "-o",
    OUTPUT,
    "main.ts",
  );
  if (success) {
    console.error(`Made ${OUTPUT} by deno compile.`);
    return 0;
  }
  if (!output.includes("Setting up base binary")) {
    console.error(output);
    return 1;
  }
  if (target !== undefined && target !== Deno.build.target) {
    console.error(`The base program for ${target} (denort) cannot be fetched from this machine.`);
    return 1;
  }
  if (Deno.build.os === "windows") {
    console.error("The base program (denort) cannot be fetched from this machine.");
    return 1;
  }
  console.error(
    "The base program (denort) cannot be fetched from this machine: " +
      "building a self-extracting executable instead.",
  );
  const runtime = { name: "dsign", mode: 0o700, bytes: await Deno.readFile(Deno.execPath()) };
  const executable = await selfExtracting([...await programFiles(), runtime], version);
  await Deno.writeFile(`${OUTPUT}.new`, executable, { mode: 0o755 });
  await Deno.rename(`${OUTPUT}.new`, OUTPUT); // never half written
  const megabytes = Math.round(executable.length / 1e6);
  console.error(`Made ${OUTPUT} (${megabytes} MB) for ${Deno.build.target}.`);
  return 0;
}

if (import.meta.main) {
  Deno.chdir(new URL("..", import.meta.url));
  Deno.exit(await main(Deno.args));
}
