/** `dsign otp-service init` */
import { type Command, Option } from "commander";
import type { AuthorityKey } from "../../otp_service/init.ts";
import { type Action, repeated } from "../command.ts";
import { printJson, UsageError } from "../failure.ts";
import { inWords } from "./service_command.ts";

export const keyOption = (): Option =>
  new Option("--authority-key <type>", "key of the issuing authority; ml-dsa: post-quantum")
    .choices(["p-256", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"]).default("p-256");

export function addInit(service: Command, action: Action): void {
  service.command("init <folder>")
    .description("Create a service: secret, issuing authority, configuration.")
    .requiredOption("--organization <name>", "organization in certificates")
    .requiredOption("--policy <oid>", "OID of the department's policy for PIN/OTP signatures")
    .option("--public-url <url>", "the service's address in browsers", "http://127.0.0.1:7795")
    .option(
      "--redirect-uri <url>",
      "where the portal receives returning signatories; repeatable",
      repeated,
      [],
    )
    .addOption(keyOption())
    .option("--database <url>", "postgres://…, for several instances (default: a file)")
    .option(
      "--instances <count>",
      "make configurations of several instances on this computer: 1.json, 2.json …",
    )
    .option("--json", "print one JSON object")
    .action(action(async (
      folder: string,
      options: {
        organization: string;
        policy: string;
        publicUrl: string;
        redirectUri: string[];
        authorityKey: AuthorityKey;
        database?: string;
        instances?: string;
        json?: boolean;
      },
    ) => {
      const { initService } = await import("../../otp_service/init.ts");
      const { redirectUri: redirectUris, json, instances, ...named } = options;
      if (instances !== undefined && !/^[1-9]$/.test(instances)) {
        throw new UsageError("--instances must be 1 to 9.");
      }
      await inWords(async () => {
        const made = await initService(folder, {
          ...named,
          redirectUris,
          ...instances !== undefined && { instances: Number(instances) },
        });
        if (json) return printJson({ folder, ...made });
        console.log(`Created ${folder}.`);
        console.log(`Client ID:      ${made.clientId}`);
        console.log(`Client secret:  ${made.clientSecret}`);
        console.log("The secret is not stored. Give it to the portal now.");
        console.log(
          `Add the setting in ${folder}/policy.json to the policy of the officers' computers, so that D-Sign names these signatures.`,
        );
      });
    }));
}
