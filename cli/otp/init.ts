/** `dsign otp-service init` */
import type { Command } from "commander";
import { type Action, repeated } from "../command.ts";
import { printJson } from "../failure.ts";
import { inWords } from "./service_command.ts";

export function addInit(service: Command, action: Action): void {
  service.command("init <folder>")
    .description("Make a service's files: secret, issuing authority, configuration.")
    .requiredOption("--organization <name>", "stands in certificates")
    .requiredOption("--policy <oid>", "the department's policy for its PIN/OTP signatures")
    .option("--public-url <url>", "as browsers see the service", "http://127.0.0.1:7795")
    .option(
      "--redirect-uri <url>",
      "where the portal gets its signatories back; may be given again",
      repeated,
      [],
    )
    .option("--json", "print one JSON object")
    .action(action(async (
      folder: string,
      options: {
        organization: string;
        policy: string;
        publicUrl: string;
        redirectUri: string[];
        json?: boolean;
      },
    ) => {
      const { initService } = await import("../../otp_service/init.ts");
      const { organization, policy, publicUrl, redirectUri: redirectUris, json } = options;
      await inWords(async () => {
        const made = await initService(folder, { organization, policy, publicUrl, redirectUris });
        if (json) return printJson({ folder, ...made });
        console.log(`Made ${folder}. The portal's client is "${made.clientId}", its secret`);
        console.log(`\n    ${made.clientSecret}\n`);
        console.log("stands nowhere else: give it to the portal now.");
      });
    }));
}
