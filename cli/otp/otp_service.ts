/** `dsign otp-service`: runs the service, and adds its subcommands. The service's parts are loaded when needed. */
import type { AddCommand, Context } from "../command.ts";
import { printJson } from "../failure.ts";
import { addAudit } from "./audit.ts";
import { type ServiceOptions, serviceOptions, withService } from "./service_command.ts";
import { addInit } from "./init.ts";
import type { OtpParts } from "./parts.ts";
import { addPeople } from "./people.ts";
import { addSeal } from "./seal.ts";

const CONFIGURATION = `\
The configuration is a JSON file; \`init\` creates one. See docs/otp-service.md. Settings:
  publicUrl, listen, database, secretFile, name, organization, country, language, policy,
  authority, keys, keyType, otpDigits, clients, smtp, sms, tsa,
  esp  an eSign service provider: url, aspId, key, certificatesFile, anchorsFile, auth, origins`;

export const otpServiceCommand: AddCommand = (program, context, action) => {
  const service = program.command("otp-service")
    .description("Run the PIN/OTP service for the department's portal. Stop it with Ctrl-C.")
    .enablePositionalOptions();
  serviceOptions(service, "print one JSON object once it listens")
    .addHelpText("after", `\n${CONFIGURATION}`)
    .action(
      action((options: ServiceOptions) =>
        withService(context, options, (parts) => serve(parts, context, options))
      ),
    );
  addInit(service, action);
  addPeople(service, context, action);
  addAudit(service, context, action);
  addSeal(service, context, action);
};

async function serve({ config, service }: OtpParts, { signal }: Context, { json }: ServiceOptions) {
  const { startService } = await import("../../otp_service/server.ts");
  await service.store.check();
  const at = config.listen.lastIndexOf(":");
  const hostname = config.listen.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  const running = startService(service, { hostname, port: Number(config.listen.slice(at + 1)) });
  const esign = service.esp?.options;
  if (json) {
    printJson({
      port: running.port,
      ...esign && { esign: { url: esign.url, responseUrl: esign.responseUrl } },
    });
  } else {
    console.log(`PIN/OTP service listening on ${hostname}:${running.port}. Press Ctrl-C to stop.`);
    if (esign) {
      console.log(`eSign provider: ${esign.url}; it must send its answers to ${esign.responseUrl}`);
    }
  }
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await running.close();
}
