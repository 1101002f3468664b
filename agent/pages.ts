/** The agent's own pages: files of one folder, with headers that keep foreign content out. */
import { SAFE_HEADERS } from "../signing/consent/headers.ts";

const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  mjs: "text/javascript; charset=utf-8",
  pfb: "application/octet-stream",
  png: "image/png",
  svg: "image/svg+xml",
  ttf: "font/ttf",
  wasm: "application/wasm",
  woff2: "font/woff2",
};

/** Nothing inline, nothing from elsewhere, in nobody's frame. Not all browsers count ws: as `'self'`. */
function contentSecurityPolicy(host: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    `connect-src 'self' ws://${host} wss://${host}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

const ROUTES: Record<string, string> = {
  "/": "index.html",
  "/bridge": "bridge.html",
  "/consent": "consent.html",
};

/** The only page that keeps its link to its opener, which it exists to relay for. */
const BRIDGE = "/bridge";

/** Allowed file names: no hidden files, no way out of the folder. */
const FILE = /^\/web\/((?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)*[A-Za-z0-9_-][A-Za-z0-9._-]*)$/;

/**
 * Answers a request for a page or one of its files; null if the path is none of theirs.
 *
 * @param folder URL of the built pages, ending in a slash
 * @param host of the request, checked before
 */
export async function servePage(
  request: Request,
  path: string,
  folder: URL,
  host: string,
): Promise<Response | null> {
  const name = Object.hasOwn(ROUTES, path) ? ROUTES[path] : FILE.exec(path)?.[1];
  const type = TYPES[name?.split(".").at(-1) ?? ""];
  if (!name || !type) return null;
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response(null, { status: 405, headers: { ...SAFE_HEADERS, allow: "GET, HEAD" } });
  }
  let bytes;
  try {
    bytes = await Deno.readFile(new URL(name, folder));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  return new Response(request.method === "HEAD" ? null : bytes, {
    headers: {
      ...SAFE_HEADERS,
      ...path === BRIDGE && { "cross-origin-opener-policy": "unsafe-none" },
      "content-security-policy": contentSecurityPolicy(host),
      "content-type": type,
      "x-frame-options": "DENY",
    },
  });
}
