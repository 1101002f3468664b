/**
 * Windows' own Deno, to be run under Wine: it comes from npm, and two things in it are made to suit Wine 8.
 */
import { createHash } from "node:crypto";
import { runtimeProblem, VERSION } from "./runtime.ts";
import { ensure, missing } from "./setup.ts";

/** Kept between runs: the archive has 42 MB. */
const FOLDER = new URL(`../.cache/windows-${VERSION}/`, import.meta.url);

/** `deno.exe`, once {@linkcode prepareWindows} has put it there. */
export const WINDOWS_DENO = new URL("deno.exe", FOLDER);

/** Names of the packages, and `@deno/win32-x64` if that is, which are missing for programs of Windows to run here. */
export async function missingForWindows(): Promise<string[]> {
  const names = await missing("windows");
  const { isFile } = await Deno.stat(WINDOWS_DENO).catch(() => ({ isFile: false }));
  return isFile ? names : [...names, "@deno/win32-x64 (npm)"];
}

/** Installs missing programs as far as possible without a prompt; says why if it cannot. */
export async function prepareWindows(): Promise<void> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return;
  if ((await missingForWindows()).length === 0) return;
  if ((await ensure("windows")).length > 0) return;
  const folder = await Deno.makeTempDir({ prefix: "dsign-windows-" });
  try {
    await run("npm", "pack", `@deno/win32-x64@${VERSION}`, "--pack-destination", folder);
    const archive = `${folder}/deno-win32-x64-${VERSION}.tgz`;
    await run("tar", "-xzf", archive, "-C", folder, "package/deno.exe");
    const exe = await Deno.readFile(`${folder}/package/deno.exe`);
    const sha256 = createHash("sha256").update(exe).digest("hex");
    const target = "x86_64-pc-windows-msvc";
    const problem = runtimeProblem({ version: VERSION, target, sha256 });
    if (problem !== null) throw new Error(problem);
    hideVirtualAlloc2(exe);
    await Deno.mkdir(FOLDER, { recursive: true });
    const unfinished = new URL("deno.exe.new", FOLDER);
    await Deno.writeFile(unfinished, exe);
    await Deno.rename(unfinished, WINDOWS_DENO);
  } catch (error) {
    console.error(`Deno for Windows cannot be had: ${(error as Error).message}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Wine 8 exports VirtualAlloc2, but does not honour all that V8 asks of it. V8 looks it up by its name, and does without
 * if there is none.
 */
function hideVirtualAlloc2(exe: Uint8Array<ArrayBuffer>): void {
  const name = "VirtualAlloc2";
  const text = new TextDecoder("latin1").decode(exe);
  const at = text.indexOf(name);
  if (at < 0 || text.indexOf(name, at + 1) >= 0) throw new Error(`${name} is not there once`);
  exe[at + name.length - 1] = "X".charCodeAt(0);
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr).trim()}`);
}
