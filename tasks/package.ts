/**
 * `deno task package [--binary FILE]`: makes this machine's Linux packages in `dist/packages`: .deb, .rpm (where
 * rpmbuild is), a portable .tar.gz, the software bill of materials, and SHA256SUMS over them.
 *
 * The same source, runtime and SOURCE_DATE_EPOCH (default: the last commit's time) make the same bytes.
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { SCRIPTS } from "./build.ts";
import { type File, tarGzip } from "./compile.ts";
import { buildDeb } from "./package/deb.ts";
import { buildRpm } from "./package/rpm.ts";
import { notices, sbom, usedPackages } from "./package/sbom.ts";
import { manPageOf, type PackageFile, packageTree, type Release } from "./package/tree.ts";

const ROOT = new URL("../", import.meta.url);
const ENTRIES = ["main.ts", "web/client.ts", ...Object.keys(SCRIPTS)];
const ARCHITECTURES: Record<string, Release["arch"]> = {
  "x86_64-unknown-linux-gnu": "x64",
  "aarch64-unknown-linux-gnu": "arm64",
};

/** Runs a program whose output is wanted; null if it fails or is not there. */
async function outputOf(program: string, ...args: string[]): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command(program, { args, stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Seconds since 1970 (reproducible-builds.org, SOURCE_DATE_EPOCH); 0 if neither it nor git tells. */
async function sourceDateEpoch(): Promise<number> {
  const said = Deno.env.get("SOURCE_DATE_EPOCH") ??
    await outputOf("git", "log", "-1", "--format=%ct");
  return /^\d{1,10}$/.test(said ?? "") ? Number(said) : 0;
}

/** One folder to be unpacked anywhere: the program and what goes with it. */
async function portable(
  tree: PackageFile[],
  { version, arch }: Release,
  folder: string,
): Promise<string> {
  const name = `dsign-${version}-linux-${arch}`;
  const files: File[] = tree.filter(({ isConfig }) => !isConfig).map(({ path, mode, bytes }) => ({
    name: `${name}/${path.split("/").at(-1)}`,
    mode,
    bytes,
  }));
  const output = `${folder}/${name}.tar.gz`;
  await Deno.writeFile(output, await tarGzip(files));
  return output;
}

/** Makes everything of one build in `folder`; gives the files' names. */
export async function packageAll(
  binary: string,
  release: Release,
  folder: string,
): Promise<string[]> {
  const text = (path: string) => Deno.readTextFile(new URL(path, ROOT));
  const packages = await usedPackages(ENTRIES);
  const tree = await packageTree({
    binary: await Deno.readFile(binary),
    man: await manPageOf(binary, release),
    icon: await text("web/icon.svg"),
    changelog: await text("CHANGELOG.md"),
    notices: notices(packages, await text("LICENSE")),
  });
  await Deno.mkdir(folder, { recursive: true });
  const made = [
    await buildDeb(tree, release, folder),
    ...await outputOf("rpmbuild", "--version") === null
      ? []
      : [await buildRpm(tree, release, folder)],
    await portable(tree, release, folder),
  ];
  const bill = `${folder}/dsign-${release.version}.cdx.json`;
  await Deno.writeTextFile(bill, sbom(packages, release.version, release.epoch));
  const names = [...made, bill].map((path) => path.slice(folder.length + 1)).sort();
  const sums = await Promise.all(names.map(async (name) => {
    const hash = createHash("sha256").update(await Deno.readFile(`${folder}/${name}`));
    return `${hash.digest("hex")}  ${name}\n`;
  }));
  await Deno.writeTextFile(`${folder}/SHA256SUMS`, sums.join(""));
  return [...names, "SHA256SUMS"];
}

if (import.meta.main) {
  Deno.chdir(ROOT);
  const { binary } = parseArgs({ options: { binary: { type: "string" } } }).values;
  const arch = ARCHITECTURES[Deno.build.target];
  if (arch === undefined) {
    console.error(`Packages are made on ${Object.keys(ARCHITECTURES).join(" and ")}.`);
    Deno.exit(2);
  }
  if (binary === undefined) {
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "tasks/compile.ts"],
    }).spawn().status;
    if (!success) Deno.exit(1);
  }
  const { version } = JSON.parse(await Deno.readTextFile("deno.json"));
  const release = { version, arch, epoch: await sourceDateEpoch() };
  const names = await packageAll(binary ?? "dist/dsign", release, "dist/packages");
  console.error(`Made in dist/packages: ${names.join(", ")}`);
}
