/** Runs the service from its configuration until it is closed. */
import { getLogger } from "@logtape/logtape";
import { revived } from "../online/error.ts";
import { configuredFetch, type PkiFetch } from "../online/pki_http.ts";
import { Online } from "../online/services.ts";
import { DsignError } from "../protocol/errors.ts";
import { ReaderPool } from "../reader/client.ts";
import type { DocumentQuestions } from "../signing/reading.ts";
import type { VerifyConfig } from "./config.ts";
import { FetchedAnswers } from "./fetched.ts";
import type { questions } from "./questions.ts";
import { createHandler } from "./service.ts";
import { TrustSets } from "./trust_sets.ts";

const log = getLogger(["dsign", "verify-service"]);

/** Milliseconds between two looks at the folders of trust. */
const RELOAD = 5_000;
const REQUESTS_A_READER = 8;

export interface RunningService {
  /** Where it listens, as `fetch` takes it; of a socket, its path. */
  readonly address: string;
  close(): Promise<void>;
}

export interface ServerOptions {
  version: string;
  /** Starts the program's `reader` role. */
  readerCommand: readonly string[];
  /** Asks authorities; default: as configured. */
  pkiFetch?: PkiFetch;
  now?: () => Date;
}

/** @throws {DsignError} where a trust set cannot be used, or the service cannot listen */
export async function startVerifyService(
  config: VerifyConfig,
  { version, readerCommand, pkiFetch, now = () => new Date() }: ServerOptions,
): Promise<RunningService> {
  const sets = await TrustSets.load(config.trust);
  const processes = config.readers ?? navigator.hardwareConcurrency;
  const reader = new ReaderPool<typeof questions & DocumentQuestions>({
    command: readerCommand,
    processes,
    deadline: config.seconds * 1000,
    revive: revived,
    onLog: (text) => log.error("A reader says: {text}", { text }),
  });
  const fetch = pkiFetch ?? configuredFetch(config);
  const fetched = config.online ? new FetchedAnswers(fetch, () => now().getTime()) : undefined;
  const { timestampAuthority } = config;
  const online = new Online({ reader, timestampAuthority, pkiFetch: fetch, now });
  const spool = await Deno.makeTempDir({ dir: config.spool, prefix: "dsign-verify-" });
  const handler = createHandler({
    version,
    sets,
    reader,
    online,
    fetched,
    departmentalPolicies: config.departmentalPolicies,
    now,
    spool,
    requests: config.requests ?? REQUESTS_A_READER * processes,
    uploadBytes: config.uploadBytes,
    diskBytes: config.diskBytes,
    uploadTime: config.uploadSeconds * 1000,
    processes: () => reader.processes,
  });
  let looking = Promise.resolve();
  const timer = setInterval(() => {
    looking = looking.then(() => sets.reload());
  }, RELOAD);
  const cleanUp = async () => {
    clearInterval(timer);
    fetched?.close();
    await looking;
    await reader.close();
    await Deno.remove(spool, { recursive: true });
  };
  try {
    const server = await listen(config.listen, handler);
    const { addr } = server;
    return {
      address: "port" in addr ? `http://${addr.hostname}:${addr.port}` : addr.path,
      async close() {
        await server.shutdown();
        await cleanUp();
      },
    };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

async function listen(
  address: string,
  handler: (request: Request) => Promise<Response>,
): Promise<Deno.HttpServer<Deno.NetAddr | Deno.UnixAddr>> {
  const onListen = () => {};
  try {
    if (address.startsWith("unix:")) {
      const path = address.slice("unix:".length);
      await removeStale(path);
      const server = Deno.serve({ path, onListen }, handler);
      // its folder says who may reach it; of those in its group, each
      Deno.chmodSync(path, 0o660);
      return server;
    }
    const at = address.lastIndexOf(":");
    const hostname = address.slice(0, at).replace(/^\[|\]$/g, "");
    return Deno.serve({ hostname, port: Number(address.slice(at + 1)), onListen }, handler);
  } catch (error) {
    throw new DsignError(
      "busy",
      `Cannot listen on ${address}: ${
        (error as Error).message
      }. Change "listen" in the configuration.`,
    );
  }
}

/** Removes the socket of an instance that was killed; nothing else, and none on which somebody listens. */
async function removeStale(path: string): Promise<void> {
  const { isSocket = false } = await Deno.lstat(path).catch(() => ({ isSocket: null }));
  if (!isSocket) return;
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) await Deno.remove(path);
  }
}
