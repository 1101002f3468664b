/** Drivers, key files, the Windows certificate store and their tokens. Never asks for a PIN or tries one. */
import { isAbsolute } from "node:path";
import { Pkcs11Client } from "../../pkcs11_ffi/client.ts";
import { ERRORS } from "../../protocol/errors.ts";
import { stoppedService } from "../../signers/driver_service.ts";
import type { DriverModule } from "../../signers/modules.ts";
import { Pkcs11Provider } from "../../signers/pkcs11.ts";
import { Pkcs12Provider } from "../../signers/pkcs12.ts";
import type { KeyInfo, Listing, Provider } from "../../signers/provider.ts";
import { openReaders } from "../../signing/reading.ts";
import { inspectDriver } from "../driver_probe.ts";
import { findDrivers, openWindowsStore } from "../providers.ts";
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
      // A file, or a provider of the Windows store.
      found.push(
        isAbsolute(driver)
          ? { id: "key_file_broken", status, values: { path: driver, error } }
          : { id: "provider_broken", status, values: { driver, error } },
      );
      continue;
    }
    const { path } = module;
    const service = code === "driver_service_missing" && await stoppedService(path, machine.env);
    if (service) {
      const values = { driver: path, service: service.name, start: service.start };
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
  for (const [driver, code] of unusableProviders(listings)) {
    const values = { driver, error: ERRORS[code].message };
    found.push({ id: "provider_broken", status: statusOf(), values });
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
      ...machine.os === "windows" ? ofTicket("provider_broken") : [],
    ],
    tokens,
    works,
  };
}

/** Providers of the Windows store whose certificates no other driver can use either. */
function unusableProviders(listings: readonly Listing[]) {
  const keys = listings.flatMap(({ keys }) => keys);
  const used = new Set(
    keys.filter(({ hasKey }) => hasKey).map(({ certificate }) => certificate.toHex()),
  );
  return new Map(
    keys.flatMap(({ token, certificate, missing }) =>
      !missing || !OF_PROVIDERS.has(missing) || used.has(certificate.toHex())
        ? []
        : [[token.label, missing] as const]
    ),
  );
}

const OF_PROVIDERS: ReadonlySet<KeyInfo["missing"]> = new Set([
  "driver_not_found",
  "driver_sha1_only",
  "mechanism_unsupported",
]);

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
  const store = await openWindowsStore(settings, machine.storeHostCommand);
  const providers: Provider[] = [
    new Pkcs11Provider(clients),
    new Pkcs12Provider([...settings.pkcs12, paths.keyFiles], reader),
    ...store ? [store] : [],
  ];
  try {
    return await list(providers);
  } finally {
    await Promise.all(providers.map((provider) => provider.close()));
    await reader.close();
  }
}

function toTokens({ tokens, keys, problems }: Listing): InsertedToken[] {
  return tokens.map((token) => ({
    token,
    certificates: keys
      .filter((key) =>
        key.token.uri === token.uri && key.token.driver === token.driver && !key.missing
      )
      .flatMap(({ certificate, chain }) => [certificate, ...chain]),
    hasProblem: problems.some(({ driver }) => driver === token.driver),
  }));
}
