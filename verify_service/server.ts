/** Runs the service from its configuration until it is closed. */
import { getLogger } from "@logtape/logtape";
import { Buffer } from "node:buffer";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { revived } from "../online/error.ts";
import { configuredFetch, type PkiFetch } from "../online/pki_http.ts";
import { Online } from "../online/services.ts";
import { DsignError } from "../protocol/errors.ts";
import type { DocumentQuestions } from "../signing/reading.ts";
import type { VerifyConfig } from "./config.ts";
import { FetchedAnswers } from "./fetched.ts";
import { PersistentReaders } from "./persistent_readers.ts";
import type { questions } from "./questions.ts";
import { createHandler, type Incoming, type Reply } from "./service.ts";
import { TrustSets } from "./trust_sets.ts";

const log = getLogger(["dsign", "verify-service"]);

/** Milliseconds between two looks at the folders of trust. */
const RELOAD = 5_000;
const REQUESTS_A_READER = 8;
/** MB for young objects: a reader that never rests spends a fifth of its time on collecting them otherwise. */
const READER_ENV = { DENO_V8_FLAGS: "--min-semi-space-size=16" };

export interface RunningService {
  /** Where it listens, as `fetch` takes it; of a socket, its path. */
  readonly address: string;
  close(): Promise<void>;
}

export interface ServerOptions {
  version: string;
  /** Starts the program's `reader` role. */
  readerCommand: readonly string[];
  /** Whether trust sets may hold roots of trial agents. */
  trial?: boolean;
  /** Asks authorities; default: as configured. */
  pkiFetch?: PkiFetch;
  now?: () => Date;
}

/** @throws {DsignError} where a trust set cannot be used, or the service cannot listen */
export async function startVerifyService(
  config: VerifyConfig,
  { version, readerCommand, trial, pkiFetch, now = () => new Date() }: ServerOptions,
): Promise<RunningService> {
  const sets = await TrustSets.load(config.trust, trial);
  const processes = config.readers ?? navigator.hardwareConcurrency;
  const reader = new PersistentReaders<typeof questions & DocumentQuestions>({
    command: readerCommand,
    env: READER_ENV,
    processes,
    share: processes,
    inLine: true,
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
    const { address, close } = await listen(config, handler);
    return {
      address,
      async close() {
        await close();
        await cleanUp();
      },
    };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

/** Milliseconds for which a connection waits for its next request: longer than nginx does. */
const KEEP_ALIVE = 75_000;

/** By `node:http`: the runtime's own server (Deno 2.9.6) does not tell that a caller has hung up. */
async function listen(
  { listen: address, uploadSeconds }: VerifyConfig,
  handler: (request: Incoming) => Promise<Reply>,
): Promise<RunningService> {
  const serve =
    (proceed: (to: ServerResponse) => void) =>
    async (message: IncomingMessage, to: ServerResponse) => {
      const gone = new AbortController();
      to.on("close", () => to.writableFinished || gone.abort());
      const { method = "", url: target = "", headers } = message;
      const { status, headers: more, body } = await handler({
        ...{ method, target, headers, body: message, signal: gone.signal },
        proceed: () => proceed(to),
      });
      to.writeHead(status, { ...more, "content-length": Buffer.byteLength(body) });
      to.end(body);
      message.resume(); // what is left of it
    };
  const server = http.createServer(
    { keepAliveTimeout: KEEP_ALIVE, requestTimeout: (uploadSeconds + 10) * 1000 },
    serve(() => {}),
  );
  // One who would be refused need not send anything.
  server.on("checkContinue", serve((to) => to.writeContinue()));
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).once("listening", resolve);
  try {
    if (address.startsWith("unix:")) {
      const path = address.slice("unix:".length);
      await removeStale(path);
      server.listen(path);
      await listening;
      // its folder says who may reach it; of those in its group, each
      Deno.chmodSync(path, 0o660);
      address = path;
    } else {
      const at = address.lastIndexOf(":");
      const host = address.slice(0, at);
      server.listen(Number(address.slice(at + 1)), host.replace(/^\[|\]$/g, ""));
      await listening;
      address = `http://${host}:${(server.address() as AddressInfo).port}`;
    }
  } catch (error) {
    throw new DsignError(
      "busy",
      `Cannot listen on ${address}: ${
        (error as Error).message
      }. Change "listen" in the configuration.`,
    );
  }
  return {
    address,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
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
