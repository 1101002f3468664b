/** EU DSS as a judge and a signer: a small program around it, built with Maven. */
import { join } from "node:path";

/** Path of the shared copy of the program. */
const SHARED = join(import.meta.dirname!, "..", "..", "..", "shared", "judges", "dss");

export interface Dss {
  jar: string;
  /** Folder of its libraries, Bouncy Castle among them. */
  libraries: string;
}

/** @returns the reason in words if it is not available */
export async function prepareDss(given: string | undefined, folder: string): Promise<Dss | string> {
  const source = given ?? SHARED;
  const has = (path: string) => Deno.stat(path).then(() => true, () => false);
  const built = (at: string): Dss => ({
    jar: join(at, "target", "dss-judge.jar"),
    libraries: join(at, "target", "lib"),
  });
  if (!await has(join(source, "pom.xml"))) return "its program is not here: give --dss FOLDER";
  if (await has(built(source).jar)) return built(source);
  const copy = join(folder, "dss");
  await run("cp", ["-r", source, copy]);
  await run("chmod", ["-R", "u+w", copy]);
  try {
    await run("mvn", ["-q", "-B", "package"], copy);
  } catch (error) {
    return `Maven could not build it: ${(error as Error).message.slice(0, 200)}`;
  }
  return built(copy);
}

/** @returns standard output @throws {Error} with its output if it fails */
export async function run(
  program: string,
  args: readonly string[],
  cwd?: string,
  isGood: (code: number) => boolean = (code) => code === 0,
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args], cwd })
    .output().catch((cause) => {
      throw new Error(`${program} is missing`, { cause });
    });
  const text = new TextDecoder();
  if (!isGood(code)) throw new Error(text.decode(stderr) || text.decode(stdout));
  return text.decode(stdout);
}

/** DSS's verdict on a file. */
export interface Validated {
  file: string;
  /** How long it took, in milliseconds. */
  ms: number;
  signatures?: { indication: string; format: string; countersignature?: boolean }[];
  error?: string;
}

/** DSS's verdicts, in the order of the list. */
export async function validate(
  { jar }: Dss,
  root: string,
  list: string,
): Promise<Validated[]> {
  const out = await run(
    "java",
    ["-jar", jar, "validate", "--trust", root, "--list", list],
    undefined,
    (code) => code < 2,
  );
  return out.trim().split("\n").map((line) => JSON.parse(line));
}
