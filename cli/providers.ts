/** The tokens of a command, as configuration and command line name them. */
import { browserCommand, openBrowser } from "../signing/consent/browser.ts";
import { type Config, findPaths, type Paths, readConfig } from "../settings/config.ts";
import {
  type Policy,
  policyPath,
  readPolicy,
  type Settings,
  underPolicy,
} from "../settings/policy_file.ts";
import { Pkcs11Client, Pkcs11Error } from "../pkcs11_ffi/client.ts";
import { parseUri, type Pkcs11Uri } from "../pkcs11_ffi/uri.ts";
import { findModules, type FoundModules } from "../signers/modules.ts";
import type { KeyFileReader } from "../signers/pkcs12.ts";
import { KeyFolder } from "../signers/key_folder.ts";
import { Pkcs11Provider } from "../signers/pkcs11.ts";
import type { Provider } from "../signers/provider.ts";
import type { Context } from "./command.ts";
import { UsageError } from "./failure.ts";

const env = (name: string) => Deno.env.get(name);

/** The person's configuration, limited by the administrator's policy. */
export async function loadConfig(): Promise<{ config: Settings; paths: Paths; policy: Policy }> {
  const paths = findPaths(env);
  const { policy } = await readPolicy(policyPath(env));
  return { config: underPolicy(await readConfig(paths.config), policy), paths, policy };
}

/** The PKCS#11 modules that the configuration, p11-kit and the known list name. */
export function findDrivers(
  config: Config,
  from: (name: string) => string | undefined = env,
): Promise<FoundModules> {
  return findModules({ configured: config.modules, search: config.searchModules, env: from });
}

/**
 * Opens PKCS#11 modules, key files and the Windows certificate store.
 *
 * @param commands start the processes of drivers
 * @param reader reads key files; the caller closes it
 * @param keyFiles key files from the command line, in addition to the configured ones
 */
export async function openLocal(
  config: Config,
  { hostCommand, storeHostCommand }: Pick<Context, "hostCommand" | "storeHostCommand">,
  reader: KeyFileReader,
  keyFiles: readonly string[] = [],
): Promise<Provider[]> {
  const { modules, problems } = await findDrivers(config);
  const clients = modules.map(({ name, path, initArgs }) => ({
    name,
    path,
    client: new Pkcs11Client({ modulePath: path, command: hostCommand, initArgs }),
  }));
  const providers: Provider[] = [new Pkcs11Provider(clients, { problems })];
  // Loaded only if configured, to keep an idle agent small.
  const files = [...config.pkcs12, ...keyFiles];
  if (files.length > 0) {
    const { Pkcs12Provider } = await import("../signers/pkcs12.ts");
    providers.push(new Pkcs12Provider(files, reader));
  }
  providers.push(new KeyFolder(findPaths(env).keyFiles, reader));
  // After the others: a certificate that one of them shows too is signed with there.
  const store = await openWindowsStore(config, storeHostCommand);
  if (store) providers.push(store);
  return providers;
}

/** Opens PKCS#11 modules, key files, the Windows certificate store and remote signing services. */
export const openProviders = async (
  ...given: Parameters<typeof openLocal>
): Promise<Provider[]> => [
  ...await openLocal(...given),
  ...await openRemote(given[0]),
];

/** Opens remote signing services. */
export async function openRemote(config: Config): Promise<Provider[]> {
  if (config.remote.length === 0) return [];
  const { CscProvider } = await import("../signers/csc.ts");
  const show = async (url: string) => openBrowser(await browserCommand(url, config.browser, env));
  return config.remote.map((service) => new CscProvider(service, show));
}

/** The keys of the Windows certificate store, where there is one and it is not switched off; the caller closes it. */
export async function openWindowsStore(
  { windowsStore: keys, windowsPin: pin }: Pick<Config, "windowsStore" | "windowsPin">,
  command: string[],
): Promise<Provider | null> {
  if (Deno.build.os !== "windows" || keys === "off") return null;
  const { WindowsStoreProvider } = await import("../signers/windows_store.ts");
  return new WindowsStoreProvider({ command, keys, pin });
}

/** Commands use the network only if asked to. */
export const remoteIf = <C extends Config>(wanted: boolean | undefined, config: C): C =>
  wanted ? config : { ...config, remote: [] };

/**
 * Limits providers to the tokens that a PKCS#11 URI names, and to its certificates if the URI has an `id` or `object`.
 *
 * @throws {UsageError} if `uri` is not a PKCS#11 URI (RFC 7512)
 */
export function onlyToken(providers: readonly Provider[], uri: string): Provider[] {
  const wanted = readUri(uri);
  return providers.map((provider) => ({
    async list(signal) {
      const { tokens, keys, ...rest } = await provider.list(signal);
      return {
        ...rest,
        tokens: tokens.filter((token) => matches(wanted, token.uri, ["object", "id", "type"])),
        keys: keys.filter((key) => matches(wanted, key.uri, ["type"])),
        ...tokens.length > 0 && { works: true },
      };
    },
    open: (key, options) => provider.open(key, options),
    reveal: provider.reveal?.bind(provider),
    changePin: provider.changePin?.bind(provider),
    watch: (changed) => provider.watch(changed),
    close: () => provider.close(),
  }));
}

/** Whether `uri` has every wanted attribute, apart from those in `except`. */
function matches(wanted: Pkcs11Uri, uri: string, except: (keyof Pkcs11Uri)[]): boolean {
  const actual = parseUri(uri);
  return (Object.keys(wanted) as (keyof Pkcs11Uri)[]).every((name) =>
    except.includes(name) || wanted[name] === actual[name]
  );
}

function readUri(text: string): Pkcs11Uri {
  try {
    return parseUri(text);
  } catch (error) {
    if (!(error instanceof Pkcs11Error)) throw error;
    throw new UsageError(
      `--token is not a PKCS#11 URI${error.reason ? ` (${error.reason})` : ""}. ` +
        "`dsign tokens` lists the URIs of the inserted tokens.",
    );
  }
}
