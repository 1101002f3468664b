/** A separate Windows for a test: Wine with an empty folder for a disk, and Deno for Windows on it. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WINDOWS_DENO } from "../../tasks/windows.ts";
import { type Finished, run } from "../fixtures/openssl.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const fake = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** For programs that bring all their code. */
export const SEALED = ["--no-config", "--no-lock", "--no-npm", "--no-remote"];

/** How a path of this machine is called on that Windows. */
export const windowsPath = (path: string): string => `Z:${path.replaceAll("/", "\\")}`;

export interface Windows {
  /** Folder of the person's settings, as a path of this machine. */
  appData: string;
  /** Folder of Windows' libraries, as a path of this machine. */
  system32: string;
  /** That Deno, as a path of this machine, and the environment in which `wine` runs it. */
  deno: string;
  env: Record<string, string>;
  /** A program of Windows with its arguments; `deno.exe` stands for that Deno. */
  command(program: string, args: readonly string[], cwd?: string): Deno.Command;
  /** Runs one to its end; output as Windows writes it, but for the ends of lines. */
  run(program: string, args: readonly string[], cwd?: string): Promise<Finished>;
}

/** Compiles for 64-bit Windows. */
export async function compileForWindows(output: string, ...args: string[]): Promise<void> {
  await run("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64", [
    ...["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"],
    ...["-o", output],
    ...args,
  ]);
}

/** Gives a Windows in `dir`, and ends all that runs on it. */
export async function onWindows(
  dir: string,
  work: (windows: Windows) => Promise<void>,
): Promise<void> {
  const programs = join(dir, "programs");
  await Deno.mkdir(programs);
  const deno = join(programs, "deno.exe");
  await Deno.copyFile(WINDOWS_DENO, deno);
  await compileForWindows(
    join(programs, "bcryptprimitives.dll"), // found beside the program
    ...["-shared", fake("bcryptprimitives.c"), "-ladvapi32"],
  );
  const env = {
    WINEPREFIX: join(dir, "wine"),
    WINEDEBUG: "-all",
    // neither .NET nor Internet Explorer, which are not there, nor entries in this machine's menus
    // a test may bring an ncrypt.dll
    WINEDLLOVERRIDES: "mscoree=;mshtml=;winemenubuilder.exe=;ncrypt=n,b",
    NO_COLOR: "1",
    DENO_NO_UPDATE_CHECK: "1",
  };
  const command = (program: string, args: readonly string[], cwd = dir) =>
    new Deno.Command("wine", {
      args: [program === "deno.exe" ? deno : program, ...args],
      cwd,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  const windows: Windows = {
    appData: "",
    system32: join(env.WINEPREFIX, "drive_c/windows/system32"),
    deno,
    env,
    command,
    async run(program, args, cwd) {
      const { code, stdout, stderr } = await command(program, args, cwd).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).replaceAll("\r\n", "\n");
      return { code, stdout: text(stdout), stderr: text(stderr) };
    },
  };
  try {
    await windows.run("wineboot", ["--init"]);
    const script = "console.log(Deno.env.get('APPDATA'))";
    const { stdout } = await windows.run("deno.exe", ["eval", script]);
    windows.appData = join(
      env.WINEPREFIX,
      "drive_c",
      ...stdout.trim().replace(/^C:\\/, "").split("\\"),
    );
    await work(windows);
  } finally {
    for (const flag of ["-k", "-w"]) {
      await run("wineserver", "wine", [flag], { env }).catch(() => {});
    }
  }
}

/** Bundles unit tests into `dir`, each in its room, with the files that they read. */
export async function bundleForWindows(
  dir: string,
  tests: readonly string[],
  files: readonly string[],
): Promise<void> {
  const [room] = tests[0].split("/");
  const output = ["--outdir", join(dir, room)];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "deno", "--code-splitting", ...output, ...tests],
    cwd: ROOT,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  for (const file of files) {
    await Deno.mkdir(dirname(join(dir, file)), { recursive: true });
    await Deno.copyFile(join(ROOT, file), join(dir, file));
  }
}
