/** The service over HTTP. It listens on a loopback address; TLS and the outer world are the proxy's before it. */
import { getLogger, withContext } from "@logtape/logtape";
import { Hono } from "hono";
import { routePath } from "hono/route";
import { DatabaseError } from "./database.ts";
import { CscError, SetupError } from "./error.ts";
import { clockProblem } from "./readiness.ts";
import { type Address, listen } from "./listen.ts";
import { Intake } from "./intake.ts";
import type { Metrics } from "./metrics.ts";
import { addCscRoutes } from "./routes_csc.ts";
import { addEsignRoutes } from "./routes_esign.ts";
import { addOAuthRoutes } from "./routes_oauth.ts";
import { addPageRoutes } from "./routes_page.ts";
import { addPortalRoutes } from "./routes_portal.ts";
import { TamperedError } from "./row_seal.ts";
import { bringsToken, failure, isFromKnown, ParameterError, type Service } from "./service.ts";

const log = getLogger(["dsign", "otp-service"]);

/** Requests that are worked on at the same time; more are told to come again. */
const IN_FLIGHT = 256;
/** Of these so many may be strangers', who bring nothing that this service gave them. */
const STRANGERS = 128;
/** Requests whose tokens are looked up at the same time, to tell which they are. */
const LOOKED_UP = 128;
/** Between two looks for what is over, and for rows that were put back, in milliseconds. */
const SWEEP = 30_000;
const CHECK = 10 * 60_000;
/** Between two looks for lines of the audit that an instance that died has not sealed. */
const SEAL = 2_000;

const HEADERS = {
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

/** A proxy's name for a request, if it is one that a log can hold. */
const REQUEST_ID = /^[\w.:-]{8,64}$/;

export interface HandlerOptions {
  intake?: Intake;
  metrics?: Metrics;
  /** Counts the requests that are worked on, by who asks. */
  inFlight?: { known: number; stranger: number };
}

/** The service's answer to one request. */
export function createHandler(
  service: Service,
  { intake = new Intake(), metrics, inFlight = { known: 0, stranger: 0 } }: HandlerOptions = {},
): (request: Request) => Promise<Response> {
  const app = new Hono();
  app.use(async (context, next) => {
    const start = performance.now();
    const given = context.req.header("x-request-id") ?? "";
    const request = REQUEST_ID.test(given) ? given : crypto.randomUUID();
    await withContext({ request }, async () => {
      await next();
      const { method } = context.req;
      const { status } = context.res;
      const ms = performance.now() - start;
      // the address as the service knows it: what callers write in it may name a person
      const route = routePath(context, -1);
      metrics?.answered(route, status, ms / 1000);
      const text = "{method} {route}: {status} in {ms} ms";
      log.info(text, { method, route, status, ms: Math.round(ms) });
    });
    context.header("x-request-id", request);
  });
  addCscRoutes(app, service);
  addOAuthRoutes(app, service);
  addPageRoutes(app, service);
  addPortalRoutes(app, service);
  if (service.esp) addEsignRoutes(app, service, service.esp);
  app.notFound((context) => failure(context, new CscError("not_found")));
  app.onError((error, context) => {
    const { method, path } = context.req;
    // A CscError's reason and the path say no secret; anything else is a fault of ours.
    if (
      error instanceof DatabaseError || error instanceof TamperedError ||
      error instanceof SetupError
    ) {
      log.error("{method} {path}: {message}", { method, path, message: error.message });
    } else if (error instanceof CscError) {
      log.debug("{method} {path}: {message} ({reason})", {
        method,
        path,
        message: error.message,
        reason: error.reason ?? error.code,
      });
    } else if (!(error instanceof ParameterError)) {
      log.error("{method} {path}: {error}", { method, path, error: error.stack ?? error.message });
    }
    return failure(context, error);
  });
  let lookedUp = 0;
  const refuse = ({ status, error, message: error_description }: CscError) => {
    metrics?.answered("(refused)", status, 0);
    return Response.json({ error, error_description }, {
      status,
      headers: { ...HEADERS, "retry-after": "1" },
    });
  };
  return async (incoming) => {
    let request: Request;
    try {
      request = await intake.receive(incoming);
    } catch (error) {
      if (error instanceof CscError) return refuse(error);
      throw error;
    }
    const tooMany = async () => {
      await request.body?.cancel();
      return refuse(new CscError("too_many"));
    };
    const takesLook = bringsToken(request);
    if (takesLook && lookedUp >= LOOKED_UP) return await tooMany();
    if (takesLook) lookedUp++;
    const isKnown = await isFromKnown(service, request);
    if (takesLook) lookedUp--;
    const who = isKnown ? "known" : "stranger";
    const { known, stranger } = inFlight;
    if (known + stranger >= IN_FLIGHT || (!isKnown && stranger >= STRANGERS)) {
      return await tooMany();
    }
    inFlight[who]++;
    try {
      const response = await app.fetch(request);
      for (const [name, value] of Object.entries(HEADERS)) {
        if (!response.headers.has(name)) response.headers.set(name, value);
      }
      return response;
    } finally {
      inFlight[who]--;
    }
  };
}

/** Says so in the log where this clock and the database's disagree. */
async function checkClock({ store }: Service): Promise<void> {
  const problem = clockProblem(await store.clockDifference());
  if (problem !== null) log.error(problem);
}

export interface RunningService {
  readonly port: number;
  /** Ends what is under way in good order. */
  close(): Promise<void>;
}

/**
 * Listens until it is closed. `close` leaves store, keys and deliveries to those who made them.
 *
 * @throws {SetupError} where it cannot listen there
 */
export function startService(
  service: Service,
  address: Address,
  options: HandlerOptions = {},
): RunningService {
  const server = listen(address, "listen", createHandler(service, options));
  let last: Promise<void> = Promise.resolve();
  const regularly = (work: () => Promise<void>, every: number) =>
    setInterval(() => {
      last = last.then(work).catch((error) => log.error("{error}", { error: `${error}` }));
    }, every);
  const timers = [
    regularly(() => service.store.sweep(), SWEEP),
    regularly(() => service.store.check(), CHECK),
    regularly(() => checkClock(service), SWEEP),
    regularly(() => Promise.resolve(void service.store.secrets.reload()), SWEEP),
    regularly(() => service.store.log.sealAll(), SEAL),
  ];
  return {
    port: server.addr.port,
    async close() {
      for (const timer of timers) clearInterval(timer);
      await server.shutdown();
      await last;
    },
  };
}
