/** Mutated bytes on the agent's port: HTTP is answered or refused, and the agent goes on. */
import assert from "node:assert/strict";
import { PORTAL, testAgent } from "../fixtures/agent.ts";

let agent: Awaited<ReturnType<typeof testAgent>> | undefined;
/** After how many milliseconds the sender of an unfinished request hangs up. */
const PATIENCE = 500;
/** The agent reads the table of all sockets once for those that connect together. */
export const together = 32;

let [requests, answered] = [0, 0];

export const words = [
  ...["\r\n", "\r\n\r\n", "\n", "\0", ": ", "GET ", "POST ", "OPTIONS ", " HTTP/1.1", "HTTP/1.0"],
  ...["/status", "/console/", "/consent/", "/bridge?origin=", "/web/", "/../", "%2e%2e/", "%00"],
  ...["Host: localhost", "Origin: null", "Upgrade: websocket", "Content-Length: 5", "chunked"],
  ...["Transfer-Encoding: chunked", "Connection: close", "Expect: 100-continue", "http://a/", "*"],
  ...["Sec-Fetch-Site: same-origin", "Service-Worker: script", "\x80", "\xff\xff"],
];

export async function seeds(): Promise<Uint8Array[]> {
  agent ??= await testAgent();
  const host = `127.0.0.1:${agent.agent.port}`;
  const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
  return [
    `GET /status HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${PORTAL}\r\n\r\n`,
    `OPTIONS /status HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${PORTAL}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${PORTAL}\r\nUpgrade: websocket\r\n` +
    `Connection: Upgrade\r\n${key}\r\n\r\n\x81\x80\0\0\0\0`,
    `GET /bridge?origin=${PORTAL} HTTP/1.1\r\nHost: ${host}\r\nSec-Fetch-Site: none\r\n\r\n`,
    `POST /console/grants HTTP/1.1\r\nHost: ${host}\r\nOrigin: http://${host}\r\n` +
    `Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    `POST /console/state HTTP/1.1\r\nHost: ${host}\r\nOrigin: http://${host}\r\n` +
    `Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    `GET /web/../a HTTP/1.1\r\nHost: localhost:${agent.agent.port}\r\n\r\n`,
  ].map((text) => Uint8Array.from(text, (c) => c.charCodeAt(0)));
}

/** Ends the agent. */
export async function close(): Promise<void> {
  await agent?.[Symbol.asyncDispose]();
  agent = undefined;
}

/** @throws whatever no answer may be */
export async function exercise(bytes: Uint8Array): Promise<void> {
  const { port } = agent!.agent;
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const hangUp = setTimeout(() => connection.close(), PATIENCE);
  try {
    await connection.write(bytes);
    // The agent does not read what a program sends that has closed its side.
    const head = new Uint8Array(256);
    const length = await connection.read(head) ?? 0;
    const text = new TextDecoder().decode(head.subarray(0, length));
    assert.match(text, /^(HTTP\/1\.1 [1-4]\d\d |HTTP\/1\.1 503 |$)/);
    answered++;
  } catch (error) {
    const isEnd = [
      ...[Deno.errors.ConnectionReset, Deno.errors.BrokenPipe, Deno.errors.NotConnected],
      ...[Deno.errors.Interrupted, Deno.errors.BadResource],
    ].some((kind) => error instanceof kind);
    if (!isEnd) throw error;
  } finally {
    clearTimeout(hangUp);
    try {
      connection.close();
    } catch {
      // by then it was hung up
    }
  }
  if (++requests % 1000 === 0) {
    const { name } = await (await fetch(`http://127.0.0.1:${port}/status`)).json();
    assert.equal(name, "dsign");
    assert.ok(answered * 3 >= requests, `${answered} of ${requests} requests were answered`);
  }
}
