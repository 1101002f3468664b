import { isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The program and arguments that start this product again, to which a command's are added. Absolute, so that it means
 * the same wherever it is started from.
 *
 * - `deno compile`: the executable itself
 * - the self-extracting form: the file that unpacked itself, as it says in DSIGN_SELF
 * - `deno run main.ts`: the same
 *
 * @param mainModule URL of main.ts, or of what it was bundled into
 */
export function selfCommand(
  mainModule: string,
  env: (name: string) => string | undefined,
): string[] {
  const runtime = Deno.execPath();
  if (Deno.build.standalone) return [runtime];
  const path = fileURLToPath(mainModule);
  const self = path.endsWith(".ts") ? undefined : env("DSIGN_SELF");
  return self && isAbsolute(self)
    ? [resolve(self)]
    : [runtime, "run", "--quiet", "--no-prompt", "--allow-all", path];
}
