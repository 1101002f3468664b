/** Inspects one driver: whether it loads, what it reports, which tokens are inserted. Never asks for a PIN. */
import {
  type CertificateObject,
  type ModuleInfo,
  Pkcs11Client,
  Pkcs11Error,
  type Pkcs11ErrorCode,
  type TokenInfo,
} from "../pkcs11_ffi/client.ts";
import { inspectLibrary, libraryBuild, readHead } from "../pkcs11_ffi/library.ts";
import type { DriverModule } from "../signers/modules.ts";

/** A token, with the certificates that it shows without a login. */
export interface ProbedToken extends TokenInfo {
  certificates: CertificateObject[];
}

export interface DriverReport {
  module: DriverModule;
  /** `ready`: the driver works and a token is inserted; `no_token`: the driver works; otherwise the failure. */
  state: "ready" | "no_token" | Pkcs11ErrorCode;
  /** The failure as a sentence, with the reason given by the system or the driver; empty if there is none. */
  message: string;
  /** e.g. `x86_64`, `x86 (32-bit)`; null if the file cannot be read or is not a library. */
  builtFor: string | null;
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
  const { path, initArgs } = module;
  const client = new Pkcs11Client({
    modulePath: path,
    command: hostCommand,
    initArgs,
    timeouts: { startMs: TIMEOUT, requestMs: TIMEOUT },
  });
  try {
    report.info = await client.info();
    for (const token of await client.tokens()) {
      // An uninitialised token has no certificates, and some drivers fail when asked for them.
      const certificates = token.initialised ? await client.certificates(token.uri) : [];
      report.tokens.push({ ...token, certificates });
    }
    if (report.tokens.length > 0) report.state = "ready";
  } catch (error) {
    fail(report, error);
  } finally {
    await client.close();
  }
  return report;
}

function fail(report: DriverReport, error: unknown): void {
  if (!(error instanceof Pkcs11Error)) throw error;
  report.state = error.code;
  report.message = error.reason ? `${error.message} (${error.reason})` : error.message;
}
