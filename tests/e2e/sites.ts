/** Web sites for tests, each at a separate port and so with a separate origin. */

import type { ConnectOptions } from "../../web/client.ts";

const WEB = new URL("../../dist/web/", import.meta.url);

export interface Site extends AsyncDisposable {
  origin: string;
  port: number;
}

/**
 * Serves an empty page that may load the SDK as `/client.js`.
 *
 * @param body of the page
 * @param headers of the page
 * @param tls certificate and key, PEM: the site is an https one
 */
export function serveSite(
  body = "",
  headers: Record<string, string> = {},
  tls?: { certificate: string; key: string },
): Site {
  const options = {
    ...{ hostname: "127.0.0.1", port: 0, onListen() {} },
    ...tls && { cert: tls.certificate, key: tls.key },
  };
  const server = Deno.serve(options, async ({ url }) => {
    const { pathname } = new URL(url);
    if (pathname === "/favicon.ico") return new Response(null, { status: 204 });
    if (pathname !== "/client.js") {
      return new Response(`<!DOCTYPE html><title>Portal</title><body>${body}`, {
        headers: { "content-type": "text/html", ...headers },
      });
    }
    return new Response(await Deno.readFile(new URL("client.js", WEB)), {
      headers: { "content-type": "text/javascript" },
    });
  });
  const { port } = server.addr;
  return {
    port,
    origin: `${tls ? "https" : "http"}://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Chromium's switch that makes these servers part of the internet: what they serve needs permission for loopback. */
export const asPublic = (...sites: Pick<Site, "port">[]): string =>
  `--ip-address-space-overrides=${sites.map(({ port }) => `127.0.0.1:${port}=public`).join(",")}`;

/** Runs in a page of such a site: `connected` once a request was answered, or the code of the error that `connect()` threw. */
export async function connectOutcome(options: ConnectOptions): Promise<string> {
  const path = "/client.js";
  const { connect }: typeof import("../../web/client.ts") = await import(path);
  try {
    const client = await connect(options);
    await client.call("agent.info", {});
    client.close();
    return "connected";
  } catch (error) {
    return (error as { code: string }).code;
  }
}
