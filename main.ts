/**
 * Entry point. Picks the role and revokes the permissions that it does not need before loading anything else.
 */
import { giveUpPermissions, roleOf } from "./cli/roles.ts";
import configuration from "./deno.json" with { type: "json" };

const role = roleOf(Deno.args);
const web = new URL("dist/web/", import.meta.url);
// Next to this file, also in the bundle (tasks/compile.ts).
const kind = import.meta.url.endsWith(".ts") ? "ts" : "js";
const readerWorker = new URL(`cli/reader_worker.${kind}`, import.meta.url);
const textWorker = new URL(`signing/text_worker.${kind}`, import.meta.url);
// The kernel's table of sockets can only be opened before any permission is revoked.
if (role === "agent" || role === "trial") (await import("./agent/peer.ts")).openSocketTables();
giveUpPermissions(role);

if (role === "pkcs11-host") {
  const { runHost } = await import("./pkcs11_ffi/host.ts");
  runHost();
} else if (role === "windows-store-host") {
  const { runStoreHost } = await import("./windows_ffi/host.ts");
  runStoreHost();
} else if (role === "reader" || role === "pdf-text") {
  const { runReaderHost } = await import("./reader/host.ts");
  runReaderHost(role === "reader" ? readerWorker : textWorker);
} else {
  const { run } = await import("./cli/program.ts");
  const { hostCommand, readerCommand, storeHostCommand, textCommand } = await import(
    "./cli/host_command.ts"
  );
  const { selfCommand } = await import("./cli/self_command.ts");
  const { holdUnpacked, unpackedFolder } = await import("./cli/unpacked.ts");
  const unpacked = unpackedFolder(import.meta.url);
  if (unpacked) holdUnpacked(unpacked);
  Deno.exit(
    await run(Deno.args, {
      version: configuration.version,
      hostCommand: hostCommand(import.meta.url),
      storeHostCommand: storeHostCommand(import.meta.url),
      readerCommand: readerCommand(import.meta.url),
      readerWorker,
      textCommand: textCommand(import.meta.url),
      selfCommand: selfCommand(import.meta.url, (name) => Deno.env.get(name)),
      unpacked,
      web,
    }),
  );
}
