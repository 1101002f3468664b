/** The files of the service's page. */

const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  pfb: "application/octet-stream",
  png: "image/png",
  svg: "image/svg+xml",
  ttf: "font/ttf",
  woff: "font/woff",
  woff2: "font/woff2",
};

/** Nothing inline, nothing from elsewhere, in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** One file of the built pages, below `web`. */
export async function pageFile(web: URL, name: string): Promise<Response> {
  const type = TYPES[name.split(".").at(-1)!];
  if (!type || /(^|\/)\.|\/\//.test(name)) return new Response(null, { status: 404 });
  try {
    return new Response(await Deno.readFile(new URL(name, web)), {
      headers: {
        "content-type": type,
        "content-security-policy": POLICY,
        // A portal that opened this window cannot reach it: neither move, scroll nor cover it by another address.
        "cross-origin-opener-policy": "same-origin",
      },
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Response(null, { status: 404 });
    throw error;
  }
}
