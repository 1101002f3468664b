/** Drivers, key files and their tokens. Never asks for a PIN or tries one. */
import { Pkcs11Client } from "../../pkcs11_ffi/client.ts";
import { stoppedService } from "../../signers/driver_service.ts";
import type { DriverModule } from "../../signers/modules.ts";
import { Pkcs11Provider } from "../../signers/pkcs11.ts";
import { Pkcs12Provider } from "../../signers/pkcs12.ts";
import type { Listing, Provider } from "../../signers/provider.ts";
import { openReaders } from "../../signing/reading.ts";
import { inspectDriver } from "../driver_probe.ts";
import { findDrivers } from "../providers.ts";
import type { Situation } from "./machine.ts";
import { type Finding, ok, orOk } from "./tickets.ts";
import type { InsertedToken } from "./tokens.ts";

export interface Drivers {
  findings: Finding[];
  tokens: InsertedToken[];
  /** Whether any driver could have found a token. */
  works: boolean;
}

/** Lists the tokens as every other command does: by all drivers at once, each in a separate process. */
export async function checkDrivers(situation: Situation): Promise<Drivers> {
  const { machine, settings } = situation;
  const { modules, problems: misplaced } = await findDrivers(settings, machine.env);
  const listings = await listAll(situation, modules);
  const tokens = listings.flatMap(toTokens);
  const problems = listings.flatMap((listing) => listing.problems);
  const hasToken = tokens.some(({ token }) => token.state !== "empty");
  const isFile = (driver: string) => !modules.some(({ name }) => name === driver);
  const works = listings.some((listing) => listing.works) ||
    tokens.some(({ token }) => isFile(token.driver));
  // If another driver works, a broken one that nobody configured is not the person's problem; and once the token is
  // found, no broken driver is.
  const statusOf = (source?: DriverModule["source"]) =>
    !hasToken && (source === "configuration" || !works) ? "error" : "warning";
  const found: Finding[] = [];
  for (const { driver, code, message } of problems) {
    const module = modules.find(({ name }) => name === driver);
    const status = statusOf(module?.source);
    const error = message;
    if (!module) {
      if (misplaced.some((each) => each.driver === driver)) continue;
      found.push({ id: "key_file_broken", status, values: { path: driver, error } });
      continue;
    }
    const { path } = module;
    const service = code === "driver_service_missing" && await stoppedService(path, machine.env);
    if (service) {
      const values = { driver: path, service: service.name, unit: service.unit };
      found.push({ id: "driver_service_missing", status, values });
    } else if (code === "driver_wrong_architecture") {
      const values = {
        driver: path,
        built: inspectDriver(module).builtFor!,
        needed: Deno.build.arch,
      };
      found.push({ id: "driver_wrong_architecture", status, values });
    } else found.push({ id: "driver_broken", status, values: { driver: path, error } });
  }
  const isMissing = !works && modules.length === 0 && misplaced.length === 0 &&
    settings.pkcs12.length === 0 && tokens.length === 0;
  const ofTicket = (id: Finding["id"]) => orOk(id, found.filter((each) => each.id === id));
  return {
    findings: [
      isMissing ? { id: "driver_missing", status: "error" } : ok("driver_missing"),
      ...orOk(
        "driver_path_wrong",
        misplaced.map(({ driver }) => ({
          id: "driver_path_wrong",
          status: hasToken ? "warning" : "error",
          values: { driver },
        })),
      ),
      ...ofTicket("driver_wrong_architecture"),
      ...ofTicket("driver_service_missing"),
      ...ofTicket("driver_broken"),
      ...ofTicket("key_file_broken"),
    ],
    tokens,
    works,
  };
}

/** One listing for each provider. */
async function listAll(
  { machine, settings, paths }: Situation,
  modules: readonly DriverModule[],
): Promise<Listing[]> {
  const list = (providers: readonly Provider[]) =>
    Promise.all(providers.map((provider) => provider.list()));
  if (machine.providers) return await list(machine.providers);
  const clients = modules.map(({ name, path, initArgs }) => ({
    name,
    path,
    client: new Pkcs11Client({ modulePath: path, command: machine.hostCommand, initArgs }),
  }));
  const reader = openReaders(machine.readerCommand, () => {});
  const providers = [
    new Pkcs11Provider(clients),
    new Pkcs12Provider([...settings.pkcs12, paths.keyFiles], reader),
  ];
  try {
    return await list(providers);
  } finally {
    await Promise.all(providers.map((provider) => provider.close()));
    await reader.close();
  }
}

function toTokens({ tokens, keys, problems }: Listing): InsertedToken[] {
  // SoftHSM and some readers always show one more, empty token.
  const isSpare = (driver: string) =>
    tokens.some((token) => token.driver === driver && token.state !== "empty");
  return tokens.filter(({ state, driver }) => state !== "empty" || !isSpare(driver))
    .map((token) => ({
      token,
      certificates: keys
        .filter((key) => key.token.uri === token.uri && key.token.driver === token.driver)
        .map(({ certificate }) => certificate),
      hasProblem: problems.some(({ driver }) => driver === token.driver),
    }));
}
