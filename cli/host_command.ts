import { fileURLToPath } from "node:url";

/**
 * The program and arguments that start the `pkcs11-host` role, in which a driver runs.
 *
 * - `deno compile`: the executable itself; the role gives up the compiled-in permissions that it does not need.
 * - a Deno runtime with a bundled main.mjs (the self-extracting form): that runtime and file, nothing else.
 * - `deno run main.ts`: the same with the configuration of the sources.
 *
 * In the last two the child gets only what it needs: `ffi` for the driver, `read` to inspect the library before
 * loading it.
 *
 * @param mainModule URL of main.ts or of its bundle
 */
export function hostCommand(mainModule: string): string[] {
  return roleCommand(mainModule, "pkcs11-host", ["--allow-ffi", "--allow-read"]);
}

/** The same for the `windows-store-host` role, in which a provider of the Windows store runs: `read` to load its code. */
export function storeHostCommand(mainModule: string): string[] {
  return roleCommand(mainModule, "windows-store-host", ["--allow-ffi", "--allow-read"]);
}

/** The same for the `pdf-text` role, which searches a PDF's text: `read` to load its code. */
export function textCommand(mainModule: string): string[] {
  return roleCommand(mainModule, "pdf-text", ["--allow-read"]);
}

/** The same for the `reader` role, which parses untrusted documents: `read` to load its code. */
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
