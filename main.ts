/**
 * Where the program starts. It picks the role, and the role gives up the permissions that it does not need before
 * anything else of it is loaded.
 */
import { giveUpPermissions, roleOf } from "./cli/roles.ts";
import configuration from "./deno.json" with { type: "json" };

const role = roleOf(Deno.args);
const web = new URL("dist/web/", import.meta.url);
// The kernel's table of sockets can be opened only before any permission is given up.
if (role === "agent") (await import("./agent/peer.ts")).openSocketTables();
giveUpPermissions(role);

if (role === "pkcs11-host") {
  const { runHost } = await import("./pkcs11_ffi/host.ts");
  runHost();
} else if (role === "pdf-text") {
  const { runTextHost } = await import("./signing/text_host.ts");
  await runTextHost(web);
} else {
  const { run } = await import("./cli/program.ts");
  const { hostCommand, textCommand } = await import("./cli/host_command.ts");
  const { selfCommand } = await import("./cli/self_command.ts");
  const { holdUnpacked, unpackedFolder } = await import("./cli/unpacked.ts");
  const unpacked = unpackedFolder(import.meta.url);
  if (unpacked) holdUnpacked(unpacked);
  Deno.exit(
    await run(Deno.args, {
      version: configuration.version,
      hostCommand: hostCommand(import.meta.url),
      textCommand: textCommand(import.meta.url),
      selfCommand: selfCommand(import.meta.url, (name) => Deno.env.get(name)),
      unpacked,
      web,
    }),
  );
}
