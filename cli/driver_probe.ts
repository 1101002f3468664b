/** Looks at one driver: whether it can be loaded, what it says, and what is inserted. Asks for no PIN. */
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

/** A token, and the certificates that it shows to everybody. */
export interface ProbedToken extends TokenInfo {
  certificates: CertificateObject[];
}

export interface DriverReport {
  module: DriverModule;
  /** `ready`: it works and a token is there; `no_token`: it works; else what is wrong. */
  state: "ready" | "no_token" | Pkcs11ErrorCode;
  /** What is wrong, as a sentence, with what the system or the driver says; empty where all is well. */
  message: string;
  /** e.g. `x86_64`, `x86 (32-bit)`; null where the file cannot be read or is no library. */
  builtFor: string | null;
  info: ModuleInfo | null;
  tokens: ProbedToken[];
}

/** A known driver takes seven seconds for its first answer. */
const TIMEOUT = 15_000;

/** What can be said without loading the library. */
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
 * Loads the library in a process of its own and asks it for its tokens and their certificates.
 *
 * @param hostCommand of `hostCommand` (host_command.ts)
 * @returns after at most some 15 seconds a question; never rejects for a bad driver
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
      // A token that was never prepared has nothing to show, and some drivers fail when asked.
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
