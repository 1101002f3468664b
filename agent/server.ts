/**
 * The agent on the loopback address. Strangers are refused before anything is read from them: other users of the
 * computer, requests by a foreign host name (DNS rebinding), and WebSockets of anything but a web origin.
 */
import { getLogger } from "@logtape/logtape";
import { LIMITS, PORTS, PROTOCOL_VERSION } from "../protocol/envelope.ts";
import type { Status } from "../protocol/methods.ts";
import type { Provider } from "../signers/provider.ts";
import { Appearances } from "./appearance.ts";
import { type ConnectedBy, Connection } from "./connection.ts";
import { Audit } from "./audit.ts";
import type { Consent } from "./consent.ts";
import { type FirstStart, FirstStartPages } from "./first_start.ts";
import { createDispatch } from "./handlers.ts";
import { Listener, type ListenerOptions } from "./listener.ts";
import { Online } from "./online.ts";
import { type AllowedOrigin, isWebOrigin, Origins } from "./origins.ts";
import { SAFE_HEADERS, servePage } from "./pages.ts";
import { isOurUser, openSocketTables } from "./peer.ts";
import type { PkiFetch } from "./pki_http.ts";
import { Signing } from "./sign.ts";
import { Spool } from "./spool.ts";
import { Tokens } from "./tokens.ts";

const log = getLogger(["dsign", "agent"]);

/** A {@linkcode Consent} that also answers requests under `/consent/` of its own page. */
export interface PageConsent extends Consent {
  respond(request: Request, path: string): Promise<Response>;
}

export interface AgentOptions {
  providers: readonly Provider[];
  /** How the person is asked; a function receives the agent's own origin. */
  consent: Consent | ((origin: string) => Consent | PageConsent);
  /** File of the grants. */
  grants: string;
  /** Folder of the audit log. */
  audit: string;
  /** Folder for documents while they are open; the agent's alone. */
  spool: string;
  version: string;
  /** Folder of the built pages, ending in a slash. */
  web: URL;
  /** Tried in turn; 0 takes any free one. Default: {@linkcode PORTS}. */
  ports?: readonly number[];
  /** Milliseconds for which a token stays unlocked after a PIN. Default 0: only for the request. */
  keepLogin?: number;
  /** Grants of the administrator. */
  allowedOrigins?: readonly AllowedOrigin[];
  /** Whether other sites may ask the person for a grant. Default: `ask`. */
  otherOrigins?: "ask" | "refuse";
  /** RFC 3161 service; without it, signatures have no timestamps. */
  timestampAuthority?: string;
  /** How addresses that stand in certificates are fetched. */
  pkiFetch?: PkiFetch;
  /** For the console's part for the first start; without it the part is not shown. */
  firstStart?: FirstStart;
  now?: () => Date;
}

export interface Agent {
  port: number;
  /** `http://127.0.0.1:PORT` */
  origin: string;
  /** Ends connections and logins. The providers stay open: they are the caller's. */
  close(): Promise<void>;
}

/**
 * Starts the agent. On Linux this needs all permissions, unless peer.ts's `openSocketTables` was called before.
 *
 * @throws `DsignError`: `busy` where no port is free; `storage_failed` where the grants cannot be read
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { allowedOrigins = [], now = () => new Date() } = options;
  const tokens = new Tokens(options.providers, now);
  const origins = await Origins.load(options.grants, allowedOrigins, now, options.otherOrigins);
  openSocketTables();
  // What handles requests needs to know the port, which is known once the server is there.
  let handle: ListenerOptions["handle"] = () => refuse(503, "D-Sign is starting.");
  const listener = new Listener({
    ports: options.ports ?? PORTS,
    handle: (request, peerPort) => handle(request, peerPort),
    onError(error) {
      log.error("Unforeseen failure: {error}", { error });
      return refuse(500, "D-Sign made a mistake. Its log says more.");
    },
  });
  const { port } = listener;
  const origin = `http://127.0.0.1:${port}`;
  const consent = typeof options.consent === "function" ? options.consent(origin) : options.consent;
  const { timestampAuthority, pkiFetch } = options;
  const audit = new Audit(options.audit, now);
  const signing = new Signing(tokens, consent, options.keepLogin ?? 0, {
    appearances: new Appearances(options.web),
    online: new Online({ timestampAuthority, pkiFetch, now }),
    audit,
  });
  const spool = Spool.open(options.spool);
  const { version } = options;
  const dispatch = createDispatch({ version, tokens, signing, origins, spool, audit });
  const connections = new Set<Connection>();

  const firstStart = options.firstStart && new FirstStartPages(options.firstStart);

  const hosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);
  const ownOrigins = new Set([...hosts].map((host) => `http://${host}`));

  handle = async (request, peerPort) => {
    if (!isOurUser(peerPort, port)) {
      log.warn("Refused a connection of another user of this computer.");
      return refuse(403, "D-Sign answers only to its own user.");
    }
    const host = request.headers.get("host") ?? "";
    if (!hosts.has(host)) return refuse(421, "D-Sign does not answer by this name.");
    const url = new URL(request.url);
    const { pathname } = url;
    if (request.headers.has("upgrade")) return upgrade(request, url);
    if (pathname === "/status") return status(request, options.version, port);
    if (pathname.startsWith("/consent/")) return await consentPage(request, host, pathname);
    if (pathname.startsWith("/console/") && firstStart) {
      if (!isFromOwnPage(request, `http://${host}`)) return refuse(403, "Not from this page.");
      return await firstStart.respond(request, url);
    }
    return await servePage(request, pathname, options.web, host) ?? refuse(404, "Not found.");
  };

  /** Who connects, and how; null for strangers. Only an own page may speak for another origin. */
  function callerOf(request: Request, url: URL): { caller: string; by: ConnectedBy } | null {
    const mayCall = (origin: string) =>
      isWebOrigin(origin) || allowedOrigins.some((entry) => entry.origin === origin);
    const caller = request.headers.get("origin");
    if (request.method !== "GET" || caller === null || !mayCall(caller)) return null;
    const own = ownOrigins.has(caller);
    if (url.pathname === "/") return { caller, by: own ? "own_page" : "site" };
    const behalf = url.searchParams.get("origin");
    const isBridge = own && url.pathname === "/bridge" && behalf !== null && mayCall(behalf) &&
      !ownOrigins.has(behalf);
    return isBridge ? { caller: behalf, by: "bridge" } : null;
  }

  function upgrade(request: Request, url: URL): Response {
    const found = callerOf(request, url);
    if (!found) {
      const origin = request.headers.get("origin");
      log.warn("Refused a WebSocket from origin {origin}.", { origin });
      return refuse(403, "Only web pages of https sites, or of this computer, may connect.");
    }
    const { caller, by } = found;
    const count = (which: (origin: string) => boolean) =>
      [...connections].filter(({ origin }) => which(origin)).length;
    const isStranger = (origin: string) => !ownOrigins.has(origin) && !origins.get(origin);
    if (
      connections.size >= LIMITS.connections ||
      count((origin) => origin === caller) >= LIMITS.connectionsPerOrigin ||
      isStranger(caller) && count(isStranger) >= LIMITS.connectionsOfStrangers
    ) return refuse(503, "Too many connections.");
    let upgraded;
    try {
      upgraded = Deno.upgradeWebSocket(request);
    } catch {
      return refuse(400, "This is not a WebSocket handshake.");
    }
    const connection = new Connection(
      upgraded.socket,
      caller,
      by,
      dispatch,
      () => connections.delete(connection),
    );
    connections.add(connection);
    return upgraded.response;
  }

  async function consentPage(request: Request, host: string, path: string): Promise<Response> {
    if (!("respond" in consent)) return refuse(404, "Not found.");
    if (!isFromOwnPage(request, `http://${host}`)) return refuse(403, "Not from this page.");
    return await (consent as PageConsent).respond(request, path);
  }

  const unwatch = options.providers.map((provider) =>
    provider.watch(() => {
      for (const connection of connections) {
        const mayKnow = connection.own ||
          origins.get(connection.origin)?.scopes.includes("certificates");
        if (mayKnow) connection.notify("token.changed", {});
      }
    })
  );

  return {
    port,
    origin,
    async close() {
      unwatch.forEach((stop) => stop());
      for (const connection of connections) connection.close();
      await listener.shutdown();
      await signing.close();
    },
  };
}

/** Browsers say where a request comes from, and pages cannot change it (Fetch Metadata; RFC 6454 §7). */
function isFromOwnPage(request: Request, own: string): boolean {
  const site = request.headers.get("sec-fetch-site");
  const origin = request.headers.get("origin");
  if (site !== null && site !== "same-origin") return false;
  if (origin !== null && origin !== own) return false;
  return request.method === "GET" || origin === own;
}

/** Answered to every page: it triggers the browser's permission, and shows whether the agent is there. */
function status(request: Request, version: string, port: number): Response {
  const headers = {
    ...SAFE_HEADERS,
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
  };
  if (request.method === "OPTIONS") {
    return new Response(null, {
      status: 204,
      headers: {
        ...headers,
        "access-control-allow-methods": "GET",
        // Asked for by Chromium 98 to 141; later ones ask the person instead (Local Network Access).
        "access-control-allow-private-network": "true",
        "access-control-max-age": "600",
      },
    });
  }
  if (request.method !== "GET") return refuse(405, "Only GET.");
  const body: Status = {
    name: "dsign",
    version,
    protocol: PROTOCOL_VERSION,
    port,
    securePort: null,
  };
  return Response.json(body, { headers });
}

const refuse = (code: number, why: string): Response =>
  new Response(why + "\n", {
    status: code,
    headers: { ...SAFE_HEADERS, "content-type": "text/plain; charset=utf-8" },
  });
