/**
 * The agent on the loopback address. Strangers are refused before anything is read from them: other users of the
 * computer, requests by a foreign host name (DNS rebinding), and WebSockets of anything but a web origin.
 */
import { getLogger } from "@logtape/logtape";
import { LIMITS, PROTOCOL_VERSION } from "../protocol/envelope.ts";
import type { Status } from "../protocol/methods.ts";
import type { Provider } from "../signers/provider.ts";
import type { Audit } from "../signing/audit.ts";
import { SAFE_HEADERS } from "../signing/consent/headers.ts";
import type { Consent, PageConsent } from "../signing/consent/port.ts";
import { siteOf } from "../signing/desk.ts";
import type { Bound } from "./bind.ts";
import type { ConsolePins } from "./console_pins.ts";
import type { KeyFiles } from "./key_files.ts";
import { Connection, MESSAGES } from "./connection.ts";
import { ConsolePages, type Settings } from "./console.ts";
import { type FirstStart, FirstStartPages } from "./first_start.ts";
import type { Dispatch } from "./handlers.ts";
import type { Caller } from "./listener.ts";
import { type AllowedOrigin, isWebOrigin, type Origins } from "./origins.ts";
import { servePage } from "./pages.ts";
import { refuse } from "./refuse.ts";
import { Roots } from "./roots.ts";
import type { TlsIdentity } from "./tls.ts";

const log = getLogger(["dsign", "agent"]);

/** Of the agent's own pages. */
const NAME = "127.0.0.1";

/** The parts of the running agent. */
export interface AgentParts {
  bound: Bound;
  /** Told when tokens come and go. */
  providers: readonly Provider[];
  origins: Origins;
  audit: Audit;
  consent: Consent | PageConsent;
  dispatch: Dispatch;
  version: string;
  /** Folder of the built pages, ending in a slash. */
  web: URL;
  /** Grants of the administrator. */
  allowedOrigins: readonly AllowedOrigin[];
  /** Folders of the trusted root certificates, the person's first. */
  trust: readonly string[];
  /** Of a trial agent: the sites that may connect. */
  trial?: { admits(origin: string): boolean };
  pins: ConsolePins;
  /** The key files that the person adds in the console; without it none is added. */
  keyFiles?: KeyFiles;
  /** The person's settings in the console. */
  settings?: Settings;
  /** For the console's section about the first start; without it the section is hidden. */
  firstStart?: FirstStart;
}

export interface Agent {
  port: number;
  /** Port of wss://; null if there is none. */
  securePort: number | null;
  /** `http://127.0.0.1:PORT` */
  origin: string;
  /** Ports that would have come before it, and that other programs have. */
  taken: readonly number[];
  /** Answers wss:// from now on with this; connections that are open stay. */
  renewTls(tls: TlsIdentity): void;
  /** Ends the connections and gives up the ports. */
  close(): Promise<void>;
}

/** Answers web pages and the agent's own pages. */
export function serve(parts: AgentParts): Agent {
  const { bound, origins, consent, allowedOrigins, version, web } = parts;
  const { port, securePort, windowPort } = bound;
  const connections = new Set<Connection>();

  const consolePages = new ConsolePages(
    origins,
    parts.audit,
    parts.settings,
    bound.taken,
    new Roots(parts.trust),
    parts.pins,
    parts.keyFiles,
    (origin) => {
      for (const connection of connections) {
        if (connection.origin === origin) connection.close();
      }
    },
  );
  const firstStart = parts.firstStart && new FirstStartPages(parts.firstStart);

  // Not localhost: browsers try [::1] first, where another user's program can have our port and serve its own pages.
  const ownOrigins = new Set([`http://${NAME}:${port}`, `https://${NAME}:${securePort}`]);

  bound.serve(async (request, { port, accept }) => {
    const url = new URL(request.url);
    const host = request.headers.get("host") ?? "";
    const isLocalhost = host === `localhost:${port}`;
    if (host !== `${NAME}:${port}` && !isLocalhost) {
      return refuse(421, "D-Sign does not answer to this host name.");
    }
    if (request.headers.get("service-worker") === "script") return endOfWorkers();
    const { pathname } = url;
    const isWindow = port === windowPort;
    if (isWindow && !/^\/(consent|web)(\/|$)/.test(pathname)) return refuse(404, "Not found.");
    if (!isWindow && /^\/consent(\/|$)/.test(pathname)) return refuse(404, "Not found.");
    if (request.headers.has("upgrade")) return upgrade(request, url, { port, accept });
    if (pathname === "/status") return status(request);
    if (isLocalhost) return toOwnName(request, url);
    if (pathname.startsWith("/consent/")) return await consentPage(request, url);
    if (pathname.startsWith("/console/")) {
      if (!isFromOwnPage(request, url.origin)) return refuse(403, "Not from this page.");
      return await consolePages.respond(request, pathname) ??
        await firstStart?.respond(request, url) ?? refuse(404, "Not found.");
    }
    return await servePage(request, pathname, web, host) ?? refuse(404, "Not found.");
  });

  /** The connecting origin; null if it is refused. Only the agent's own page may speak for another origin. */
  function callerOf(request: Request, url: URL): { caller: string; own: boolean } | null {
    const mayCall = (origin: string) =>
      (isWebOrigin(origin) || allowedOrigins.some((entry) => entry.origin === origin)) &&
      (parts.trial?.admits(origin) ?? true);
    const caller = request.headers.get("origin");
    if (request.method !== "GET" || caller === null || !mayCall(caller)) return null;
    const own = ownOrigins.has(caller);
    if (url.pathname === "/") return { caller, own };
    const behalf = url.searchParams.get("origin");
    const isBridge = own && url.pathname === "/bridge" && behalf !== null && mayCall(behalf) &&
      !ownOrigins.has(behalf);
    return isBridge ? { caller: behalf, own: false } : null;
  }

  const isStranger = (origin: string) => !ownOrigins.has(origin) && !origins.get(origin);

  /**
   * Makes room for one more connection of a site without a grant: where there is none, the newest of the site that has
   * most gives way, since a site has as many origins as it likes.
   *
   * @returns false if that would be the caller's own
   */
  function makeRoom(caller: string): boolean {
    const strangers = [...connections].filter(({ origin }) => isStranger(origin));
    if (strangers.length < LIMITS.connectionsOfStrangers) return true;
    const bySite = Map.groupBy(strangers, ({ origin }) => siteOf(origin));
    const most = [...bySite.values()].reduce((a, b) => b.length > a.length ? b : a);
    if (most.length <= (bySite.get(siteOf(caller))?.length ?? 0) + 1) return false;
    const newest = most.at(-1)!;
    connections.delete(newest);
    newest.giveWay();
    return true;
  }

  function upgrade(request: Request, url: URL, { port, accept }: Caller): Response | null {
    const found = callerOf(request, url);
    if (!found) {
      const origin = request.headers.get("origin");
      log.warn("Refused a WebSocket from origin {origin}.", { origin });
      return refuse(403, "Only https pages and pages of this computer may connect.");
    }
    const { caller, own } = found;
    const ofCaller = [...connections].filter(({ origin }) => origin === caller);
    if (
      connections.size >= LIMITS.connections ||
      ofCaller.length >= LIMITS.connectionsPerOrigin ||
      isStranger(caller) && !makeRoom(caller)
    ) return refuse(503, "Too many connections.");
    const socket = accept(MESSAGES);
    if (!socket) return refuse(400, "This is not a WebSocket handshake.");
    const connection = new Connection(
      socket,
      caller,
      port,
      own,
      parts.dispatch,
      () => connections.delete(connection),
    );
    connections.add(connection);
    return null;
  }

  async function consentPage(request: Request, url: URL): Promise<Response> {
    if (!("respond" in consent)) return refuse(404, "Not found.");
    if (!isFromOwnPage(request, url.origin)) return refuse(403, "Not from this page.");
    return await (consent as PageConsent).respond(request, url.pathname);
  }

  const status = (request: Request) =>
    statusResponse(request, {
      name: "dsign",
      version,
      protocol: PROTOCOL_VERSION,
      port,
      securePort,
      ...parts.trial && { trial: true },
    });

  const unwatch = parts.providers.map((provider) =>
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
    securePort,
    origin: `http://127.0.0.1:${port}`,
    taken: bound.taken,
    renewTls: bound.renewTls,
    async close() {
      unwatch.forEach((stop) => stop());
      for (const connection of connections) connection.close();
      await bound.close();
      await firstStart?.close();
    },
  };
}

/** A page that was asked for as localhost opens under the agent's own name. */
function toOwnName(request: Request, url: URL): Response {
  if (request.method !== "GET") return refuse(421, `Ask ${NAME} instead of localhost.`);
  const location = new URL(url);
  location.hostname = NAME;
  return new Response(null, { status: 307, headers: { ...SAFE_HEADERS, location: location.href } });
}

/** Browsers state the origin of a request, and pages cannot change it (Fetch Metadata; RFC 6454 §7). */
function isFromOwnPage(request: Request, own: string): boolean {
  const site = request.headers.get("sec-fetch-site");
  const origin = request.headers.get("origin");
  if (site !== null && site !== "same-origin") return false;
  if (origin !== null && origin !== own) return false;
  return request.method === "GET" || origin === own;
}

/** Answered to every page: it triggers the browser's permission, and shows whether the agent is there. */
function statusResponse(request: Request, body: Status): Response {
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
  return Response.json(body, { headers });
}

/**
 * The agent's pages have no service worker. One that a browser knows for this origin was planted by another program
 * that had the port before, and could show its own page in place of ours: asked for its newest version, which browsers
 * do around every navigation, the agent gives one that goes, and reloads what it controlled. Until then seconds may
 * pass, which the windows that ask for a PIN do not have: their port is another one at each start.
 */
const endOfWorkers = (): Response =>
  new Response(
    `oninstall = () => skipWaiting();
onactivate = (event) => event.waitUntil((async () => {
  await registration.unregister();
  for (const page of await clients.matchAll()) page.navigate(page.url);
})());
`,
    { headers: { ...SAFE_HEADERS, "content-type": "text/javascript; charset=utf-8" } },
  );
