/** Drivers and their tokens. Never asks for a PIN or tries one. */
import { stoppedService } from "../../signers/driver_service.ts";
import { type DriverReport, probeDriver } from "../driver_probe.ts";
import { findDrivers } from "../providers.ts";
import type { DriverModule } from "../../signers/modules.ts";
import { Pkcs12Provider } from "../../signers/pkcs12.ts";
import { openReaders } from "../../signing/reading.ts";
import type { Situation } from "./machine.ts";
import { type Finding, ok, orOk } from "./tickets.ts";
import type { InsertedToken } from "./tokens.ts";

export interface Drivers {
  findings: Finding[];
  tokens: InsertedToken[];
  /** Whether any driver could have found a token. */
  works: boolean;
}

/** Loads all drivers at once, each in a separate process. */
export async function checkDrivers({ machine, settings, paths }: Situation): Promise<Drivers> {
  const { modules, problems } = await findDrivers(settings, machine.env);
  const reports = await Promise.all(modules.map((each) => probeDriver(each, machine.hostCommand)));
  const files = await keyFiles([...settings.pkcs12, paths.keyFiles], machine.readerCommand);
  const tokens = [...reports.flatMap(toTokens), ...files];
  const hasToken = tokens.some(({ initialised }) => initialised);
  // Of a driver that works and finds nothing it matters only while no other finds a token.
  const services = await Promise.all(
    reports.map(({ module, message, tokens }) =>
      message !== "" || (tokens.length === 0 && !hasToken)
        ? stoppedService(module.path, machine.env)
        : null
    ),
  );
  const works = reports.some(({ message }, i) => message === "" && !services[i]);
  // If another driver works, a broken one that nobody configured is not the person's problem; and once the token is
  // found, no broken driver is.
  const statusOf = ({ source }: DriverModule) =>
    !hasToken && (source === "configuration" || !works) ? "error" : "warning";
  const missing = modules.length === 0 && problems.length === 0 && settings.pkcs12.length === 0 &&
    files.length === 0;
  const wrong: Finding[] = [];
  const broken: Finding[] = [];
  const stopped: Finding[] = [];
  for (const [i, { module, state, message, builtFor }] of reports.entries()) {
    const status = statusOf(module);
    const service = services[i];
    if (service) {
      const values = { driver: module.path, service: service.name, unit: service.unit };
      stopped.push({ id: "driver_service_missing", status, values });
    } else if (message === "") continue;
    else if (state === "driver_wrong_architecture") {
      const values = { driver: module.path, built: builtFor!, needed: Deno.build.arch };
      wrong.push({ id: "driver_wrong_architecture", status, values });
    } else {
      broken.push({
        id: "driver_broken",
        status,
        values: { driver: module.path, error: message },
      });
    }
  }
  return {
    findings: [
      missing ? { id: "driver_missing", status: "error" } : ok("driver_missing"),
      ...orOk(
        "driver_path_wrong",
        problems.map(({ driver }) => ({
          id: "driver_path_wrong",
          status: hasToken ? "warning" : "error",
          values: { driver },
        })),
      ),
      ...orOk("driver_wrong_architecture", wrong),
      ...orOk("driver_service_missing", stopped),
      ...orOk("driver_broken", broken),
    ],
    tokens,
    works: works || files.length > 0,
  };
}

function toTokens({ module, tokens }: DriverReport): InsertedToken[] {
  // SoftHSM and some readers always show one more, empty token.
  const used = tokens.filter(({ initialised }) => initialised);
  return (used.length > 0 ? used : tokens).map((token) => ({
    driver: module.name,
    label: token.label || token.slotDescription.trim() || token.model,
    initialised: token.initialised,
    pinSet: token.pinInitialised || !token.loginRequired,
    pinToBeChanged: token.pinToBeChanged,
    triesLeft: token.triesLeft,
    certificates: token.certificates.map(({ der }) => der),
  }));
}

/** Key files, seen as tokens. */
async function keyFiles(
  paths: readonly string[],
  readerCommand: readonly string[],
): Promise<InsertedToken[]> {
  const reader = openReaders(readerCommand, () => {});
  const provider = new Pkcs12Provider(paths, reader);
  try {
    const { tokens, keys } = await provider.list();
    return tokens.map(({ driver, label, uri }) => ({
      driver,
      label,
      initialised: true,
      pinSet: true,
      pinToBeChanged: false,
      triesLeft: "unknown",
      certificates: keys.filter(({ token }) => token.uri === uri)
        .flatMap(({ certificate, chain }) => [certificate, ...chain]),
    }));
  } finally {
    await provider.close();
    await reader.close();
  }
}
