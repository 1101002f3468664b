/**
 * Floods an agent with connections: handshakes of strangers, some of which send nothing, some nothing more, some frames
 * that no browser would. Prints how many were accepted and refused.
 */
const [port, count, concurrency] = Deno.args.map(Number);
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const tally: Record<string, number> = {};
const held: Deno.Conn[] = [];
const note = (what: string) => tally[what] = (tally[what] ?? 0) + 1;

const handshake = (origin: string) =>
  [
    "GET / HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    `Origin: ${origin}`,
    "",
    "",
  ].join("\r\n");

async function one(i: number): Promise<void> {
  const connection = await Deno.connect({ port, hostname: "127.0.0.1" });
  if (i % 50 === 0 && held.length < 200) {
    held.push(connection); // says nothing at all
    note("silent");
    return;
  }
  await connection.write(encoder.encode(handshake(`https://flood-${i % 7}.example`)));
  const buffer = new Uint8Array(512);
  const n = await connection.read(buffer);
  note(n === null ? "closed" : decoder.decode(buffer.subarray(9, 12)));
  // An unmasked frame of reserved kind, which ends a connection that was accepted (RFC 6455 §5.1, §5.2).
  await connection.write(Uint8Array.of(0xff, 0x7f, 1, 2, 3)).catch(() => {});
  connection.close();
}

let next = 0;
await Promise.all(Array.from({ length: concurrency }, async () => {
  while (next < count) await one(next++).catch((error) => note(error.name));
}));
for (const connection of held) connection.close();
console.log(JSON.stringify(tally));
