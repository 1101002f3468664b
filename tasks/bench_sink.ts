/**
 * Child of `deno task bench sign`: takes documents as the agent does and does nothing with them, so that what is left
 * is the loopback transfer. Standard output: one line, the port; it ends with standard input.
 */
import { formatNotification, formatResult, LIMITS, parseChunk } from "../protocol/envelope.ts";

if (import.meta.main) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    if (!request.headers.has("upgrade")) {
      return Response.json({ name: "dsign", version: "0", protocol: 2 });
    }
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    let received = 0;
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") {
        const { id } = JSON.parse(data);
        received = 0;
        const { chunk, window } = LIMITS;
        socket.send(formatResult(id, { document: 1, chunk, window }));
        return;
      }
      received += parseChunk(new Uint8Array(data)).bytes.length;
      socket.send(formatNotification("document.ack", { document: 1, received }));
    };
    return response;
  });
  console.log(server.addr.port);
  for await (const _ of Deno.stdin.readable);
  Deno.exit(0);
}
