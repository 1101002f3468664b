/** The service over HTTP. It listens on a loopback address; TLS and the outer world are the proxy's before it. */
import { getLogger } from "@logtape/logtape";
import { Hono } from "hono";
import { CscError } from "./error.ts";
import { addCscRoutes } from "./routes_csc.ts";
import { addEsignRoutes } from "./routes_esign.ts";
import { addOAuthRoutes } from "./routes_oauth.ts";
import { addPageRoutes } from "./routes_page.ts";
import { addPortalRoutes } from "./routes_portal.ts";
import { failure, ParameterError, type Service } from "./service.ts";

const log = getLogger(["dsign", "otp-service"]);

/** Requests that are worked on at the same time; more are told to come again. */
const IN_FLIGHT = 256;
/** Between two looks for what is over, in milliseconds. */
const SWEEP = 30_000;

const HEADERS = {
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

/** The service's answer to one request. */
export function createHandler(service: Service): (request: Request) => Promise<Response> {
  const app = new Hono();
  addCscRoutes(app, service);
  addOAuthRoutes(app, service);
  addPageRoutes(app, service);
  addPortalRoutes(app, service);
  if (service.esp) addEsignRoutes(app, service, service.esp);
  app.notFound((context) => failure(context, new CscError("not_found")));
  app.onError((error, context) => {
    const { method, path } = context.req;
    // A CscError's reason and the path say no secret; anything else is a fault of ours.
    if (error instanceof CscError) {
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
  let inFlight = 0;
  return async (request) => {
    if (inFlight >= IN_FLIGHT) {
      const { error, message: error_description } = new CscError("too_many");
      return Response.json({ error, error_description }, {
        status: 429,
        headers: { ...HEADERS, "retry-after": "1" },
      });
    }
    inFlight++;
    try {
      const response = await app.fetch(request);
      for (const [name, value] of Object.entries(HEADERS)) {
        if (!response.headers.has(name)) response.headers.set(name, value);
      }
      return response;
    } finally {
      inFlight--;
    }
  };
}

export interface RunningService {
  readonly port: number;
  /** Ends what is under way in good order. */
  close(): Promise<void>;
}

/** Listens until it is closed. `close` leaves store, keys and deliveries to those who made them. */
export function startService(
  service: Service,
  { hostname, port }: { hostname: string; port: number },
): RunningService {
  const handler = createHandler(service);
  const server = Deno.serve({ hostname, port, onListen() {} }, handler);
  let sweeping: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    sweeping = service.store.sweep().catch((error) => log.error("{error}", { error: `${error}` }));
  }, SWEEP);
  return {
    port: server.addr.port,
    async close() {
      clearInterval(timer);
      await server.shutdown();
      await sweeping;
    },
  };
}
