/** The agent under a flood of connections, and with peers that break the rules of WebSockets. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { LIMITS } from "../protocol/envelope.ts";
import { startAgentProcess } from "./e2e/agent_process.ts";
import { PORTAL, testAgent, TestClient } from "./fixtures/agent.ts";
import { inTempDir } from "./fixtures/openssl.ts";

const FLOOD = fileURLToPath(new URL("fakes/flood.ts", import.meta.url));

Deno.test("the agent answers its sites while 10,000 connections are opened", () =>
  inTempDir(async (dir) => {
    await using agent = await startAgentProcess(dir, { searchModules: false }, {});
    const client = await TestClient.connect(agent.port, PORTAL);
    const flood = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", FLOOD, String(agent.port), "10000", "100"],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).output();
    let flooding = true;
    flood.finally(() => flooding = false);
    const times: number[] = [];
    while (flooding) {
      const before = performance.now();
      await client.call("agent.info", {});
      times.push(performance.now() - before);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const tally = JSON.parse(new TextDecoder().decode((await flood).stdout));
    times.sort((a, b) => a - b);
    const at = (part: number) => times[Math.floor(times.length * part)].toFixed(1);
    console.log(
      `agent.info meanwhile: ${times.length} calls, median ${at(0.5)} ms, p99 ${at(0.99)} ms;`,
      JSON.stringify(tally),
    );
    const total = Object.values(tally).reduce((sum: number, n) => sum + (n as number), 0);
    assert.equal(total, 10_000);
    assert.ok(tally["503"] > 0, "most are refused");
    assert.equal((await client.call("agent.info", {})).name, "dsign");
    client.socket.close();
    await client.closed;
  }));

/** A WebSocket made by hand: it sends frames unchanged. */
async function rawSocket(port: number): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ port, hostname: "127.0.0.1" });
  const lines = [
    "GET / HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    `Origin: ${PORTAL}`,
  ];
  await connection.write(new TextEncoder().encode(lines.join("\r\n") + "\r\n\r\n"));
  const buffer = new Uint8Array(1024);
  const n = await connection.read(buffer);
  assert.match(new TextDecoder().decode(buffer.subarray(0, n!)), /^HTTP\/1.1 101 /);
  return connection;
}

/** RFC 6455 §5.2, masked with zeros; `size` may say more than there is. */
function frame(first: number, payload: Uint8Array, size = payload.length): Uint8Array<ArrayBuffer> {
  const length = size < 126
    ? [size]
    : size < 0x10000
    ? [126, size >> 8, size & 0xff]
    : [127, ...new Uint8Array(new BigUint64Array([BigInt(size)]).buffer).reverse()];
  length[0] |= 0x80;
  return new Uint8Array([first, ...length, 0, 0, 0, 0, ...payload]);
}

const TEXT = 0x1, CONTINUATION = 0x0, BINARY = 0x2, PING = 0x9, FIN = 0x80;

/** Reads until the other side closes, or says that it does (RFC 6455 §5.5.1: it waits for our answer then). */
async function untilClosed(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const n = await connection.read(buffer).catch(() => null);
    if (n === null || buffer.subarray(0, n).includes(FIN | 0x8)) return;
  }
}

async function send(connection: Deno.TcpConn, ...frames: Uint8Array[]): Promise<boolean> {
  try {
    for (const bytes of frames) {
      for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
    }
    return true;
  } catch {
    return false; // closed by the agent
  }
}

Deno.test("a frame that breaks the rules ends its connection and no other", async () => {
  await using test = await testAgent();
  const { port } = test.agent;
  const client = await test.connect();
  const call = new TextEncoder().encode(
    '{"jsonrpc":"2.0","id":1,"method":"agent.info","params":{}}',
  );
  const half = call.length >> 1;
  const breaches: Record<string, Uint8Array[]> = {
    "a message within a message": [
      frame(TEXT, call.subarray(0, half)),
      frame(TEXT | FIN, call),
    ],
    "a continuation of nothing": [frame(CONTINUATION | FIN, call)],
    "reserved bits": [frame(TEXT | FIN | 0x40, call)],
    "a kind that does not exist": [frame(0x3 | FIN, call)],
    "a ping of 200 bytes": [frame(PING | FIN, new Uint8Array(200))],
    "text that is not UTF-8": [frame(TEXT | FIN, Uint8Array.of(0xff, 0xfe))],
    "a frame of 2^62 bytes": [frame(BINARY | FIN, new Uint8Array(10), 2 ** 62)],
    "a frame without a mask": [Uint8Array.of(TEXT | FIN, 2, 0x7b, 0x7d)],
    "a text frame beyond the limit": [
      frame(TEXT | FIN, new Uint8Array(LIMITS.textFrame + 1).fill(0x20)),
    ],
  };
  for (const [breach, frames] of Object.entries(breaches)) {
    const connection = await rawSocket(port);
    await send(connection, ...frames);
    await untilClosed(connection);
    connection.close();
    assert.equal((await client.call("agent.info", {})).name, "dsign", breach);
  }
});

Deno.test("a message in pieces, with a ping between them, is one message", async () => {
  await using test = await testAgent();
  const connection = await rawSocket(test.agent.port);
  const call = new TextEncoder().encode(
    '{"jsonrpc":"2.0","id":7,"method":"agent.info","params":{}}',
  );
  await send(
    connection,
    frame(TEXT, call.subarray(0, 9)),
    frame(PING | FIN, new Uint8Array()),
    frame(CONTINUATION | FIN, call.subarray(9)),
  );
  let text = "";
  const buffer = new Uint8Array(1024);
  while (!text.includes('"id":7')) {
    const read = await connection.read(buffer);
    assert.ok(read !== null, `closed after ${text}`);
    text += new TextDecoder().decode(buffer.subarray(0, read));
  }
  connection.close();
});

Deno.test("a client that does not read its answers gets only a bounded amount", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const { length } = JSON.stringify(await client.call("rpc.discover", {}));
  const reader = await rawSocket(test.agent.port);
  const ask = (id: number) =>
    new TextEncoder().encode(`{"jsonrpc":"2.0","id":${id},"method":"rpc.discover","params":{}}`);
  const count = Math.ceil(256 * 1024 * 1024 / length);
  for (let asked = 0; asked < count; asked++) {
    if (!await send(reader, frame(TEXT | FIN, ask(asked)))) break;
    if (asked % 100 === 0) await client.call("agent.info", {});
  }
  let received = 0;
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const n = await reader.read(buffer).catch(() => null);
    if (n === null) break;
    received += n;
    // The close, behind the last answer: 4 bytes of status and reason (RFC 6455 §7.4.1: 1008) and more.
    if (new TextDecoder("latin1").decode(buffer.subarray(0, n)).includes("\x03\xf0not reading")) {
      break;
    }
  }
  reader.close();
  // Memory held by the agent, and by the system on both sides.
  assert.ok(received < LIMITS.unread + 32 * 1024 * 1024, `${received} bytes waited`);
  assert.equal((await client.call("agent.info", {})).name, "dsign");
});

Deno.test("a message in frames without end is refused at its limit, and others are served", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const flooding = await rawSocket(test.agent.port);
  const piece = new Uint8Array(64 * 1024).fill(0x20);
  await send(flooding, frame(TEXT, piece));
  const next = frame(CONTINUATION, piece);
  let sent = 1;
  const answer = new Response(flooding.readable).text().catch(() => "");
  while (sent < 10_000) {
    // Fails once the agent has closed.
    if (!await send(flooding, next)) break;
    if (++sent % 50 === 0) assert.equal((await client.call("agent.info", {})).name, "dsign");
  }
  assert.match(await answer, /"code":"too_large".*message too large/s);
});
