/** A software bill of materials (CycloneDX 1.6) and the licences, from deno.lock and Deno's module graph. */

/** An npm package that the product or its checks use. */
export interface UsedPackage {
  name: string;
  version: string;
  /** SHA-512 of the registry's archive, Base64. */
  integrity: string;
  licence: string | null;
  /** Texts of its licence and notice files. */
  notices: string[];
  /** As in deno.lock. */
  id: string;
  dependencies: string[];
  /** Whether it is in what is installed, and not only used to build and check it. */
  isShipped: boolean;
}

interface Lock {
  npm: Record<string, { integrity: string }>;
}

interface Info {
  modules: { npmPackage?: string }[];
  npmPackages: Record<
    string,
    { name: string; version: string; dependencies: string[]; localPath: string }
  >;
}

/** Of these, files are taken as they are (tasks/build.ts), and nothing of what they could do in Node.js. */
const BY_PATH = [
  "pdfjs-dist",
  "harfbuzzjs",
  "@fontsource/noto-sans-bengali",
  "@fontsource/noto-sans-devanagari",
];

async function graph(entry: string): Promise<Info> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/**
 * All packages of deno.lock, in its order.
 *
 * @param entries where the program and its pages start; to be run in the repository's folder
 */
export async function usedPackages(entries: readonly string[]): Promise<UsedPackage[]> {
  const lock: Lock = JSON.parse(await Deno.readTextFile("deno.lock"));
  const graphs = await Promise.all(entries.map(graph));
  const packages = Object.assign({}, ...graphs.map(({ npmPackages }) => npmPackages)) as Info[
    "npmPackages"
  ];
  const shipped = new Set<string>();
  const ship = (id: string) => {
    if (shipped.has(id)) return;
    shipped.add(id);
    const { name, dependencies } = packages[id];
    if (!BY_PATH.includes(name)) dependencies.forEach(ship);
  };
  for (const { npmPackage } of graphs.flatMap(({ modules }) => modules)) {
    if (npmPackage) ship(npmPackage);
  }
  for (const id of Object.keys(packages)) if (BY_PATH.includes(packages[id].name)) shipped.add(id);
  const all: UsedPackage[] = [];
  for (const [id, { integrity }] of Object.entries(lock.npm)) {
    // `name@1.2.3_peer@4.5.6`
    const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(id)!;
    const { localPath, dependencies = [] } = packages[id] ?? {};
    const isShipped = shipped.has(id);
    all.push({
      id,
      name,
      version,
      integrity: integrity.replace(/^sha512-/, ""),
      licence: localPath ? await licenceOf(localPath) : null,
      notices: localPath && isShipped ? await noticesOf(localPath) : [],
      dependencies,
      isShipped,
    });
  }
  return all;
}

async function licenceOf(folder: string): Promise<string | null> {
  try {
    const { license } = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
    return typeof license === "string" ? license : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null; // not fetched for this kind of machine
    throw error;
  }
}

async function noticesOf(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile && /^(licen[cs]e|notice|copying)/i.test(name)) names.push(name);
  }
  return await Promise.all(names.sort().map((name) => Deno.readTextFile(`${folder}/${name}`)));
}

const purl = ({ name, version }: { name: string; version: string }) =>
  `pkg:npm/${name.replace("@", "%40")}@${version}`;

/** The bill as text; the same for the same input. It has no serial number, which would have to be random. */
export function sbom(packages: UsedPackage[], version: string, epoch: number): string {
  const product = `pkg:generic/dsign@${version}`;
  const runtime = `pkg:generic/deno@${Deno.version.deno}`;
  // One version under several sets of peers is one component.
  const refs = new Map(packages.map((each) => [each.id, purl(each)]));
  const components = new Map(packages.map((each) => [purl(each), each]));
  for (const each of packages) if (each.isShipped) components.set(purl(each), each);
  const bom = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: {
        "bom-ref": product,
        type: "application",
        name: "dsign",
        version,
        licenses: [{ license: { id: "Apache-2.0" } }],
      },
    },
    components: [
      {
        "bom-ref": runtime,
        type: "platform",
        name: "deno",
        version: Deno.version.deno,
        scope: "required",
        licenses: [{ license: { id: "MIT" } }],
      },
      ...[...components].map(([ref, each]) => ({
        "bom-ref": ref,
        type: "library",
        ...each.name.startsWith("@")
          ? { group: each.name.split("/")[0], name: each.name.split("/")[1] }
          : { name: each.name },
        version: each.version,
        scope: each.isShipped ? "required" : "excluded",
        hashes: [{ alg: "SHA-512", content: Uint8Array.fromBase64(each.integrity).toHex() }],
        ...each.licence && { licenses: [{ expression: each.licence }] },
        purl: ref,
      })),
    ],
    dependencies: [
      {
        ref: product,
        dependsOn: [
          runtime,
          ...[...components].filter(([, { isShipped }]) => isShipped).map(([ref]) => ref),
        ],
      },
      ...[...components].map(([ref, { dependencies }]) => ({
        ref,
        dependsOn: [...new Set(dependencies.flatMap((id) => refs.get(id) ?? []))].sort(),
      })),
    ],
  };
  return JSON.stringify(bom, null, 2) + "\n";
}

/** Debian's machine-readable copyright file (DEP 5), with the notices of all that is built in. */
export function notices(packages: UsedPackage[], licence: string): string {
  const indent = (text: string) =>
    text.trim().split("\n").map((line) => line.trim() === "" ? " ." : ` ${line.trimEnd()}`).join(
      "\n",
    );
  const built = packages.filter(({ isShipped }) => isShipped).map((each) =>
    `${each.name} ${each.version} (${each.licence ?? "see below"})\n\n${each.notices.join("\n\n")}`
  );
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: dsign
Comment:
 Built in: the Deno runtime (https://deno.com), Copyright the Deno authors, MIT
 licence, and these packages:
 .
${built.map(indent).join("\n .\n")}

Files: *
Copyright: the D-Sign authors
License: Apache-2.0
${indent(licence)}
`;
}
