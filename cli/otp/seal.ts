/** `dsign otp-service seal` */
import type { Command } from "commander";
import type { Action } from "../command.ts";
import { printJson } from "../failure.ts";
import { operator, type ServiceOptions, serviceOptions, withStore } from "./service_command.ts";

export function addSeal(service: Command, action: Action): void {
  serviceOptions(service.command("seal"), "print one JSON object")
    .description(
      "Take over a database that was made before its rows were sealed, or that was restored from a backup.",
    )
    .requiredOption("--proof <text>", "how you checked that it is unchanged; kept in the audit")
    .addHelpText(
      "after",
      "\nStop the service first. Rows whose seal is wrong are named, and nothing is changed.",
    )
    .action(
      action((options: ServiceOptions & { proof: string }) =>
        withStore(options, async ({ store }) => {
          const { SetupError } = await import("../../otp_service/error.ts");
          const rows = await store.seal(operator(), options.proof);
          const { problem } = await store.verifyAudit();
          if (problem) {
            throw new SetupError(`The rows are sealed, but the audit is not whole. ${problem}`);
          }
          if (options.json) printJson({ rows });
          else {
            console.log(
              rows > 0
                ? `Sealed ${rows} rows.`
                : "All rows were sealed already; the service can go on.",
            );
          }
        })
      ),
    );
}
