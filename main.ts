/**
 * Where the program starts. It picks the role, and the role gives up the permissions that it does not need before
 * anything else of it is loaded.
 */
import configuration from "./deno.json" with { type: "json" };

/** What a role gives up; what it keeps is what the whole program was started with. */
const GIVEN_UP: Readonly<Record<string, readonly Deno.PermissionDescriptor["name"][]>> = {
  // keeps read until the driver is loaded (pkcs11_ffi/host.ts)
  "pkcs11-host": ["net", "run", "write", "env", "sys", "import"],
  // gives up ffi when it listens (cli/agent.ts)
  agent: [],
  tokens: ["ffi", "import", "net", "write"],
  sign: ["ffi", "import", "net"],
  verify: ["ffi", "import", "net", "run", "write"],
  openrpc: ["ffi", "import", "net", "run", "write"],
};

const role = Deno.args[0]?.startsWith("-") ? "openrpc" : Deno.args[0] ?? "agent";
// The kernel's table of sockets can be opened only before any permission is given up.
if (role === "agent") (await import("./agent/peer.ts")).openSocketTables();
for (const name of GIVEN_UP[role] ?? GIVEN_UP.openrpc) Deno.permissions.revokeSync({ name });

if (role === "pkcs11-host") {
  const { runHost } = await import("./pkcs11_ffi/host.ts");
  runHost();
} else {
  const { run } = await import("./cli/program.ts");
  const { hostCommand } = await import("./cli/host_command.ts");
  Deno.exit(
    await run(Deno.args, {
      version: configuration.version,
      hostCommand: hostCommand(import.meta.url),
      web: new URL("dist/web/", import.meta.url),
    }),
  );
}
