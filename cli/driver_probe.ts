/** Inspects one driver: whether it loads, what it reports, which tokens are inserted. Never asks for a PIN. */
import { type ModuleInfo, Pkcs11Client, Pkcs11Error } from "../pkcs11_ffi/client.ts";
import { inspectLibrary, libraryBuild, readHead } from "../pkcs11_ffi/library.ts";
import type { DriverModule } from "../signers/modules.ts";
import { Pkcs11Provider } from "../signers/pkcs11.ts";
import type { KeyInfo, TokenInfo } from "../signers/provider.ts";

/** A token, with the certificates that it shows without a login. */
export interface ProbedToken extends TokenInfo {
  certificates: KeyInfo[];
}

export interface DriverReport {
  module: DriverModule;
  /** `ready`: the driver works and a token is inserted; `no_token`: the driver works; otherwise the failure. */
  state: "ready" | "no_token" | string;
  /** The failure as a sentence, with the reason given by the system or the driver; empty if there is none. */
  message: string;
  /** e.g. `x86_64`, `x86 (32-bit)`; null if the file cannot be read or is not a library. */
  builtFor: string | null;
  /** null if the driver does not describe itself. */
  info: ModuleInfo | null;
  tokens: ProbedToken[];
}

/** Milliseconds. One known driver takes seven seconds for its first answer. */
const TIMEOUT = 15_000;

/** Inspects the file without loading it. */
export function inspectDriver(module: DriverModule): DriverReport {
  const report: DriverReport = {
    module,
    state: "no_token",
    message: "",
    builtFor: null,
    info: null,
    tokens: [],
  };
  try {
    report.builtFor = libraryBuild(readHead(module.path))?.machines.join(", ") ?? null;
    inspectLibrary(module.path);
  } catch (error) {
    fail(report, error);
  }
  return report;
}

/**
 * Loads the library in a separate process and asks it for its tokens and their certificates.
 *
 * @param hostCommand of `hostCommand` (host_command.ts)
 * @returns after at most about 15 seconds a request; never rejects because of a bad driver
 */
export async function probeDriver(
  module: DriverModule,
  hostCommand: string[],
): Promise<DriverReport> {
  const report = inspectDriver(module);
  if (report.message !== "") return report;
  const { name, path, initArgs } = module;
  const client = new Pkcs11Client({
    modulePath: path,
    command: hostCommand,
    initArgs,
    timeouts: { startMs: TIMEOUT, requestMs: TIMEOUT },
  });
  try {
    report.info = await describe(client);
    const { tokens, keys, problems: [problem] } = await new Pkcs11Provider([{ name, client }])
      .list();
    report.tokens = tokens.map((token) => ({
      ...token,
      certificates: keys.filter((key) => key.token === token),
    }));
    if (problem) Object.assign(report, { state: problem.code, message: problem.message });
    else if (tokens.length > 0) report.state = "ready";
  } catch (error) {
    fail(report, error);
  } finally {
    await client.close();
  }
  return report;
}

/** A driver that cannot describe itself may work all the same. */
async function describe(client: Pkcs11Client): Promise<ModuleInfo | null> {
  try {
    return await client.info();
  } catch (error) {
    if (error instanceof Pkcs11Error && error.functionName === "C_GetInfo") return null;
    throw error;
  }
}

function fail(report: DriverReport, error: unknown): void {
  if (!(error instanceof Pkcs11Error)) throw error;
  report.state = error.code;
  report.message = error.reason ? `${error.message} (${error.reason})` : error.message;
}
