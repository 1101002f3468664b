import { fileURLToPath } from "node:url";

/**
 * The program and arguments that start this product's `pkcs11-host` role, in which a driver runs.
 *
 * - `deno compile`: the executable itself; its permissions are those it was compiled with, and the role gives up what
 *   it does not need.
 * - a Deno runtime with a bundled main.mjs (the self-extracting form): that runtime and file, nothing from outside.
 * - `deno run main.ts`: the same with the sources' own configuration.
 *
 * In the latter two the child gets no more than it needs: `ffi` for the driver, `read` to look at the library before
 * it is loaded.
 *
 * @param mainModule URL of main.ts, or of what it was bundled into
 */
export function hostCommand(mainModule: string): string[] {
  return roleCommand(mainModule, "pkcs11-host", ["--allow-ffi", "--allow-read"]);
}

/** The same for the `pdf-text` role, in which a PDF's text is searched: `read` to load what does it. */
export function textCommand(mainModule: string): string[] {
  return roleCommand(mainModule, "pdf-text", ["--allow-read"]);
}

/** The same for the `reader` role, in which strangers' documents are parsed: `read` to load what does it. */
export function readerCommand(mainModule: string): string[] {
  return roleCommand(mainModule, "reader", ["--allow-read"]);
}

function roleCommand(mainModule: string, role: string, permissions: string[]): string[] {
  const runtime = Deno.execPath();
  if (Deno.build.standalone) return [runtime, role];
  const path = fileURLToPath(mainModule);
  const sealed = path.endsWith(".ts") ? ["--cached-only"] : [
    "--no-config",
    "--no-lock",
    "--no-npm",
    "--no-remote",
  ];
  return [runtime, "run", "--quiet", "--no-prompt", ...sealed, ...permissions, path, role];
}
