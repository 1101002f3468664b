/** `dsign otp-service rotate`: secrets and keys are replaced while the service runs. */
import type { Command } from "commander";
import type { Action, Context } from "../command.ts";
import { printJson, UsageError } from "../failure.ts";
import {
  inWords,
  operator,
  type ServiceOptions,
  serviceOptions,
  withService,
} from "./service_command.ts";

interface SecretOptions extends ServiceOptions {
  prepare?: boolean;
  use?: boolean;
  retire?: boolean;
}

export function addRotate(service: Command, context: Context, action: Action): void {
  const rotate = service.command("rotate")
    .description("Replace a secret or key while the service runs.");
  serviceOptions(rotate.command("secret"), "print one JSON object")
    .description("Rotate the service's secret. Without an option: show the secrets that are kept.")
    .option("--prepare", "add a new secret to the file; nothing is made with it yet")
    .option("--use", "use the new secret, and seal the database's rows with it")
    .option("--retire", "ten minutes later: the old secret counts for PINs alone")
    .addHelpText(
      "after",
      "\nRun the three steps in this order. After --prepare and --use, copy the secret file to all machines " +
        "with instances. Nothing is restarted. A PIN gets the new pepper when its person next signs.",
    )
    .action(action((options: SecretOptions) => rotateSecret(context, options)));
}

async function rotateSecret(context: Context, options: SecretOptions) {
  const { prepare, use, retire, json } = options;
  if ([prepare, use, retire].filter(Boolean).length > 1) {
    throw new UsageError("One step at a time: --prepare, --use or --retire.");
  }
  const { readOtpConfig } = await import("../../otp_service/config.ts");
  const rotation = await import("../../otp_service/rotate_secret.ts");
  return await inWords(async () => {
    const { secretFile } = await readOtpConfig(options.config);
    const done: Record<string, unknown> = {};
    if (prepare) done.prepared = await rotation.prepareSecret(secretFile);
    if (use) await rotation.useNextSecret(secretFile);
    return await withService(context, options, async ({ service: { store } }) => {
      const rotating = { store, by: operator() };
      if (use) done.sealed = await rotation.sealWithCurrent(rotating);
      if (retire) done.removed = await rotation.retireSecrets(secretFile, rotating);
      const states = await rotation.secretStates(secretFile, store);
      if (json) return printJson({ ...done, secrets: states });
      if (prepare) console.log(`Added a secret to ${secretFile}.`);
      if (use) console.log(`Sealed ${done.sealed} rows with the new secret.`);
      for (const { name, use, pins, until } of states) {
        const good = {
          current: "in use",
          next: "can be read; not in use yet",
          old: `can be read; retire it after ${until}`,
          pepper: "for PINs alone",
        };
        console.log(`${name}  ${good[use]}; PINs: ${pins}`);
      }
    });
  });
}
