/** `dsign otp-service`: runs the service, and adds its subcommands. The service's parts are loaded when needed. */
import { type AddCommand, type Context, repeated } from "../command.ts";
import { printJson } from "../failure.ts";
import { addAudit } from "./audit.ts";
import { type ServiceOptions, serviceOptions, withService } from "./service_command.ts";
import { addInit } from "./init.ts";
import { openFiling } from "./filing.ts";
import type { OtpParts } from "./parts.ts";
import { addPeople } from "./people.ts";
import { addRotate } from "./rotate.ts";
import { addSeal } from "./seal.ts";

interface ServeOptions extends ServiceOptions {
  expect?: string[];
}

const CONFIGURATION = `\
The configuration is a JSON file; \`init\` creates one. See docs/otp-service.md. Settings:
  publicUrl, listen, monitor, database, secretFile, name, organization, country, language, policy,
  authority, keys, keyType, otpDigits, clients, smtp, sms, tsa,
  log  where checkpoints are filed: checkpointFile, mail, url, timestamp, witness, minutes
  esp  an eSign service provider: url, aspId, key, certificatesFile, anchorsFile, auth, origins`;

export const otpServiceCommand: AddCommand = (program, context, action) => {
  const service = program.command("otp-service")
    .description("Run the PIN/OTP service for the department's portal. Stop it with Ctrl-C.")
    .enablePositionalOptions();
  serviceOptions(service, "print one JSON object once it listens")
    .option("--log-json", "write the log as JSON lines, one for each request")
    .option(
      "--expect <file>",
      "a filed checkpoint: start only if the audit goes on from it; repeatable",
      repeated,
    )
    .addHelpText("after", `\n${CONFIGURATION}`)
    .action(
      action((options: ServeOptions) =>
        withService(context, options, (parts) => serve(parts, context, options))
      ),
    );
  addInit(service, action);
  addPeople(service, context, action);
  addAudit(service, action);
  addSeal(service, action);
  addRotate(service, context, action);
};

async function serve(
  { config, service, metrics, pins }: OtpParts,
  { signal }: Context,
  { json, expect }: ServeOptions,
) {
  const { startService } = await import("../../otp_service/server.ts");
  const { startMonitor } = await import("../../otp_service/monitor.ts");
  await service.store.check();
  const { withFiled } = await import("../../otp_service/filing.ts");
  for (const path of expect ?? []) {
    await withFiled(path, (note) => service.store.log.checkFiled(note));
  }
  const filing = await openFiling(config, service);
  await filing?.start(config.log!.minutes * 60_000);
  const address = addressOf(config.listen);
  const inFlight = { known: 0, stranger: 0 };
  metrics.watch({
    pins,
    inFlight: () => inFlight,
    clockDifference: () => service.store.clockDifference(),
    overdue: () => service.store.overdue(),
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
  await filing?.close();
  await running.close();
  if (monitor) await monitor.shutdown();
}

/** @param setting HOST:PORT; an IPv6 address stands in brackets */
function addressOf(setting: string): { hostname: string; port: number } {
  const at = setting.lastIndexOf(":");
  const hostname = setting.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  return { hostname, port: Number(setting.slice(at + 1)) };
}
