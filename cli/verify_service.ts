/** `dsign verify-service`: verifies files for portals' servers, over HTTP on this computer. */
import { Option } from "commander";
import type { AddCommand } from "./command.ts";
import { EXIT, printJson } from "./failure.ts";

interface Options {
  config: string;
  json?: boolean;
  trial?: boolean;
}

export const verifyServiceCommand: AddCommand = (
  program,
  { version, readerCommand, signal },
  action,
) => {
  program.command("verify-service")
    .description("Verify files for portals' servers, over HTTP. Stop it with Ctrl-C.")
    .addOption(
      new Option("--config <file>", "configuration of the service")
        .env("DSIGN_VERIFY_CONFIG").default("verify-service.json"),
    )
    .option("--verbose", "log more")
    .option("--json", "print one JSON object once it listens")
    .option("--trial", "for tests: accept a trial agent's root in trust sets")
    .addHelpText(
      "after",
      `
The configuration is a JSON file. See docs/verify-service.md. Settings:
  trust  folders of root certificates, by name; the only one that must be there
  listen, online, intranetServices, timestampAuthority, departmentalPolicies, readers, requests,
  uploadBytes, diskBytes, uploadSeconds, seconds, spool`,
    )
    .action(action(async ({ config, json, trial }: Options) => {
      const { readVerifyConfig } = await import("../verify_service/config.ts");
      const { startVerifyService } = await import("../verify_service/server.ts");
      const service = await startVerifyService(await readVerifyConfig(config), {
        version,
        readerCommand,
        trial,
      });
      if (json) printJson({ address: service.address });
      else console.log(`Listening on ${service.address}. Stop it with Ctrl-C.`);
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve());
      });
      await service.close();
      return EXIT.ok;
    }));
};
