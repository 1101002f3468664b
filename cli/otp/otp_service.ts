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
  publicUrl, listen, monitor, database, secretFile, name, organization, country, language, policy,
  authority, keys, keyType, otpDigits, clients, smtp, sms, tsa,
  esp  an eSign service provider: url, aspId, key, certificatesFile, anchorsFile, auth, origins`;

export const otpServiceCommand: AddCommand = (program, context, action) => {
  const service = program.command("otp-service")
    .description("Run the PIN/OTP service for the department's portal. Stop it with Ctrl-C.")
    .enablePositionalOptions();
  serviceOptions(service, "print one JSON object once it listens")
    .option("--log-json", "write the log as JSON lines, one for each request")
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

async function serve(
  { config, service, metrics, pins }: OtpParts,
  { signal }: Context,
  { json }: ServiceOptions,
) {
  const { startService } = await import("../../otp_service/server.ts");
  const { startMonitor } = await import("../../otp_service/monitor.ts");
  await service.store.check();
  const address = addressOf(config.listen);
  const inFlight = { known: 0, stranger: 0 };
  metrics.watch({
    pins,
    inFlight: () => inFlight,
    clockDifference: () => service.store.clockDifference(),
  });
  const running = startService(service, address, { metrics, inFlight });
  const monitor = config.monitor && startMonitor(service, addressOf(config.monitor), metrics);
  const esign = service.esp?.options;
  if (json) {
    printJson({
      port: running.port,
      ...monitor && { monitor: monitor.addr.port },
      ...esign && { esign: { url: esign.url, responseUrl: esign.responseUrl } },
    });
  } else {
    const { hostname } = address;
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
  if (monitor) await monitor.shutdown();
}

/** @param setting HOST:PORT; an IPv6 address stands in brackets */
function addressOf(setting: string): { hostname: string; port: number } {
  const at = setting.lastIndexOf(":");
  const hostname = setting.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  return { hostname, port: Number(setting.slice(at + 1)) };
}
