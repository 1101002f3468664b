/** `dsign identity`: the agent's keys, by which sites know it again. */
import { AgentIdentity } from "../agent/identity.ts";
import { isWebOrigin } from "../agent/origins.ts";
import { makeStateFolder } from "../settings/config.ts";
import type { AddCommand } from "./command.ts";
import { printJson, UsageError } from "./failure.ts";
import { loadConfig } from "./providers.ts";

/** `dsign identity` */
export const identityCommand: AddCommand = (program, _context, action) => {
  const identity = program.command("identity")
    .description("Show or replace the keys by which sites know this D-Sign (show, rotate).");
  identity.command("show")
    .description("Print the key that a site sees.")
    .argument("<origin>", "the site, e.g. https://portal.example")
    .option("--json", "print one JSON object")
    .action(action(async (origin: string, { json }: { json?: boolean }) => {
      if (!isWebOrigin(origin)) {
        throw new UsageError(`${origin} is not an origin (expected e.g. https://portal.example).`);
      }
      const { key } = await (await loadIdentity()).prove(origin, 0, "");
      if (json) printJson({ origin, key });
      else console.log(key);
    }));
  identity.command("rotate")
    .description("Make new keys. The old ones vouch for them, so sites follow.")
    .option("--json", "print one JSON object")
    .action(action(async ({ json }: { json?: boolean }) => {
      await (await loadIdentity()).rotate();
      if (json) printJson({ rotated: true });
      else console.log("Made new keys. They count when D-Sign starts again.");
    }));
};

/** The identity of this user on this computer, made where there is none. */
export async function loadIdentity(): Promise<AgentIdentity> {
  const { paths } = await loadConfig();
  await makeStateFolder(paths.state);
  return await AgentIdentity.load(paths.identity);
}
