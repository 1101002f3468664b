/**
 * The agent on the loopback address. Strangers are refused before anything is read from them: other users of the
 * computer, requests by a foreign host name (DNS rebinding), and WebSockets of anything but a web origin.
 */
import { getLogger } from "@logtape/logtape";
import { LIMITS, PORTS, PROTOCOL_VERSION, SECURE_PORTS } from "../protocol/envelope.ts";
import { DsignError } from "../protocol/errors.ts";
import type { Status } from "../protocol/methods.ts";
import type { Provider } from "../signers/provider.ts";
import { Appearances } from "../signing/appearance.ts";
import { type ConnectedBy, Connection, MESSAGES } from "./connection.ts";
import { Audit } from "../signing/audit.ts";
import { ConsolePages, type Settings } from "./console.ts";
import { SAFE_HEADERS } from "../signing/consent/headers.ts";
import type { AskBy, PageConsent } from "../signing/consent/port.ts";
import { type FirstStart, FirstStartPages } from "./first_start.ts";
import { createDispatch } from "./handlers.ts";
import { type Caller, Listener, type ListenerOptions } from "./listener.ts";
import { type AllowedOrigin, isWebOrigin, Origins } from "./origins.ts";
import { servePage } from "./pages.ts";
import { Journals } from "../signing/journal.ts";
import { findPeer, openSocketTables } from "./peer.ts";
import type { PkiFetch } from "../online/pki_http.ts";
import type { Signing } from "../signing/sign.ts";
import { Placement } from "../signing/placement.ts";
import { openReaders } from "../signing/reading.ts";
import { Spool } from "../signing/spool.ts";
import type { TlsIdentity } from "./tls.ts";
import { Tokens } from "../signing/tokens.ts";

const log = getLogger(["dsign", "agent"]);

export interface AgentOptions {
  providers: readonly Provider[];
  consent: AskBy;
  /** File of the grants. */
  grants: string;
  /** Folder of the audit log. */
  audit: string;
  /** Folder of what has been signed of batches. */
  batches: string;
  /** Folder for documents while they are open; the agent's alone. */
  spool: string;
  version: string;
  /** Folder of the built pages, ending in a slash. */
  web: URL;
  /** Starts the process in which strangers' documents are parsed (reader/host.ts). */
  readerCommand: readonly string[];
  /** Starts the process in which a PDF's text is searched (text_host.ts). */
  textCommand: readonly string[];
  /** Tried in turn; 0 takes any free one. Default: {@linkcode PORTS}. */
  ports?: readonly number[];
  /** What wss:// is answered with; without it, it is not. */
  tls?: TlsIdentity;
  /** As {@linkcode ports}, for wss://. Where none is free, it is not answered. Default: {@linkcode SECURE_PORTS}. */
  securePorts?: readonly number[];
  /** Milliseconds for which a token stays unlocked after a PIN. Default 0: only for the request. */
  keepLogin?: number;
  /** Grants of the administrator. */
  allowedOrigins?: readonly AllowedOrigin[];
  /** Whether other sites may ask the person for a grant. Default: `ask`. */
  otherOrigins?: "ask" | "refuse";
  /** Sites for which the administrator lets SHA-1 be used. */
  legacyOrigins?: readonly string[];
  /** RFC 3161 service; without it, signatures have no timestamps. */
  timestampAuthority?: string;
  /** How addresses that stand in certificates are fetched. */
  pkiFetch?: PkiFetch;
  /** Folders of the root certificates that are trusted when signatures are verified. */
  trust?: readonly string[];
  /** What the person can set in the console. */
  settings?: Settings;
  /** For the console's part for the first start; without it the part is not shown. */
  firstStart?: FirstStart;
  now?: () => Date;
}

export interface Agent {
  port: number;
  /** Where wss:// is answered; null: nowhere. */
  securePort: number | null;
  /** `http://127.0.0.1:PORT` */
  origin: string;
  /** Answers wss:// from now on with this; connections that are open stay. */
  renewTls(tls: TlsIdentity): void;
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
  const listen = (ports: readonly number[], tls?: TlsIdentity) =>
    Listener.open({
      ports,
      tls,
      admits,
      handle: (...request) => handle(...request),
      onError(error) {
        log.error("Unforeseen failure: {error}", { error });
        return refuse(500, "D-Sign made a mistake. Its log says more.");
      },
    });
  const listener = await listen(options.ports ?? PORTS);
  const { port } = listener;
  const secureListener = options.tls && await listenWithTls(options.tls);
  const securePort = secureListener?.port ?? null;

  /** Without TLS, the agent is still of use. */
  async function listenWithTls(tls: TlsIdentity): Promise<Listener | undefined> {
    try {
      return await listen(options.securePorts ?? SECURE_PORTS, tls);
    } catch (error) {
      if (!(error instanceof DsignError)) throw error;
      log.warn("Without TLS: {error}", { error });
      return undefined;
    }
  }

  const origin = `http://127.0.0.1:${port}`;
  // Windows are opened at a port that no other program can have had in mind before: see endOfWorkers().
  const windows = typeof options.consent === "function" ? await listen([0]) : undefined;
  const consent = typeof options.consent === "function"
    ? options.consent(`http://127.0.0.1:${windows!.port}`)
    : options.consent;
  const { timestampAuthority, pkiFetch } = options;
  const audit = new Audit(options.audit, now);
  const reader = openReaders(
    options.readerCommand,
    (text) => log.error("The reader process says: {text}", { text }),
  );
  // Loaded for the first request that needs it: an agent that waits stays small.
  let loading: Promise<Signing> | undefined;
  const signing = () => loading ??= loadSigning();

  async function loadSigning(): Promise<Signing> {
    const { Signing } = await import("../signing/sign.ts");
    const { Online } = await import("../online/validation_data.ts");
    return new Signing(tokens, consent, options.keepLogin ?? 0, {
      appearances: new Appearances(options.web),
      online: new Online({ timestampAuthority, pkiFetch, now }),
      placement: new Placement(options.textCommand),
      audit,
      journals: new Journals(options.batches),
      legacyOrigins: options.legacyOrigins,
      reader,
    });
  }

  const spool = Spool.open(options.spool);
  const { version } = options;
  const verification = { reader, trust: options.trust ?? [], pkiFetch, now };
  const services = { version, tokens, signing, origins, spool, audit, reader, verification };
  const dispatch = createDispatch(services);
  const connections = new Set<Connection>();

  const consolePages = new ConsolePages(origins, audit, options.settings, (origin) => {
    for (const connection of connections) {
      if (connection.origin === origin) connection.close();
    }
  });
  const firstStart = options.firstStart && new FirstStartPages(options.firstStart);

  const names = ["127.0.0.1", "localhost"];
  const ownOrigins = new Set([
    ...names.map((name) => `http://${name}:${port}`),
    ...names.map((name) => `https://${name}:${securePort}`),
  ]);

  handle = async (request, { port, accept }) => {
    const url = new URL(request.url);
    const host = request.headers.get("host") ?? "";
    if (!names.some((name) => host === `${name}:${port}`)) {
      return refuse(421, "D-Sign does not answer by this name.");
    }
    if (request.headers.get("service-worker") === "script") return endOfWorkers();
    const { pathname } = url;
    if (port === windows?.port && !/^\/(consent|web)(\/|$)/.test(pathname)) {
      return refuse(404, "Not found.");
    }
    if (request.headers.has("upgrade")) return upgrade(request, url, accept);
    if (pathname === "/status") return status(request);
    if (pathname.startsWith("/consent/")) return await consentPage(request, url);
    if (pathname.startsWith("/console/")) {
      if (!isFromOwnPage(request, url.origin)) return refuse(403, "Not from this page.");
      return await consolePages.respond(request, pathname) ??
        await firstStart?.respond(request, url) ?? refuse(404, "Not found.");
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

  function upgrade(request: Request, url: URL, accept: Caller["accept"]): Response | null {
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
    const socket = accept(MESSAGES);
    if (!socket) return refuse(400, "This is not a WebSocket handshake.");
    const connection = new Connection(
      socket,
      caller,
      by,
      dispatch,
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
    });

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
    securePort,
    origin,
    renewTls: (tls) => secureListener?.renew(tls),
    async close() {
      unwatch.forEach((stop) => stop());
      for (const connection of connections) connection.close();
      await Promise.all([listener, secureListener, windows].map((each) => each?.shutdown()));
      await firstStart?.close();
      // Where it could not be loaded, who asked for it has been told.
      await loading?.then((signing) => signing.close(), () => {});
      await reader.close();
      audit.close();
    },
  };
}

/** D-Sign answers only to its own user. */
async function admits(peerPort: number, port: number): Promise<boolean> {
  const peer = await findPeer(peerPort, port);
  if (peer === "other") log.warn("Refused a connection of another user of this computer.");
  if (peer === "unknown") {
    log.debug("Refused a connection that has ended, or whose owner is not known.");
  }
  return peer === "ours";
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

const refuse = (code: number, why: string): Response =>
  new Response(why + "\n", {
    status: code,
    headers: { ...SAFE_HEADERS, "content-type": "text/plain; charset=utf-8" },
  });
