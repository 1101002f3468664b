/** HTTP messages of `node:http` as the Fetch API's, which the rest of the agent speaks. */
import { Buffer } from "node:buffer";
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/**
 * The request, with its body as a stream.
 *
 * @returns null if no browser sends such a request: its target is not a path (RFC 9112 §3.2.1), or the Fetch API knows no such
 * method or header
 */
export function requestOf(message: IncomingMessage, scheme: "http" | "https"): Request | null {
  const { method = "", url: target = "", headers: { host = "" }, rawHeaders } = message;
  if (!target.startsWith("/")) return null;
  try {
    // Every value of a name that comes twice, which `message.headers` does not have.
    const headers = new Headers();
    for (let i = 0; i < rawHeaders.length; i += 2) headers.append(rawHeaders[i], rawHeaders[i + 1]);
    const hasBody = method !== "GET" && method !== "HEAD";
    // Code that checks the host reads the header, which may contain anything.
    const authority = URL.canParse(`${scheme}://${host}`) ? host : "0.0.0.0";
    return new Request(`${scheme}://${authority}${target}`, {
      method,
      headers,
      ...hasBody && { body: Readable.toWeb(message) as ReadableStream, duplex: "half" },
    });
  } catch {
    return null;
  }
}

/** Sends the answer as fast as it is read, and cancels its body if the reader leaves early. */
export async function sendResponse(response: Response, to: ServerResponse): Promise<void> {
  // Close refused connections.
  if (response.status >= 400) to.shouldKeepAlive = false;
  to.writeHead(response.status, [...response.headers].flat());
  if (!response.body) return void to.end();
  // The reader may have left meanwhile.
  if (to.destroyed) return await response.body.cancel();
  // If its maker fails, the connection is ended: a cut answer is not taken for a whole one.
  await pipeline(Readable.fromWeb(response.body), to).catch(() => {});
}

/** Answers a request that wanted another protocol, and ends its connection. */
export async function refuseUpgrade(response: Response, stream: Duplex): Promise<void> {
  const body = Buffer.from(await response.arrayBuffer());
  const lines = [
    `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status]}`,
    ...[...response.headers].map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  stream.end(Buffer.concat([Buffer.from(lines.join("\r\n") + "\r\n\r\n", "latin1"), body]));
  stream.once("finish", () => stream.destroy());
}
