/** A program that has one of D-Sign's ports before D-Sign: it answers in its place, or passes everything on. */
import { AgentIdentity } from "../../agent/identity.ts";

export interface Squatter extends AsyncDisposable {
  port: number;
  /** Methods that pages have called here, and how many binary frames they sent. */
  seen: string[];
}

export interface SquatterOptions {
  /** Port of the real agent, to which it passes frames on, with the page's origin. Without it, it plays the agent. */
  relayTo?: number;
}

const BRIDGE = `<!DOCTYPE html><title>D-Sign</title><script>
addEventListener("message", ({ origin, data }) => {
  if (data?.dsign !== "connect") return;
  const { port1, port2 } = new MessageChannel();
  const socket = new WebSocket("ws://" + location.host + "/bridge?origin=" + encodeURIComponent(origin));
  socket.binaryType = "arraybuffer";
  port1.onmessage = ({ data }) => data?.note || socket.send(data);
  socket.onmessage = ({ data }) => port1.postMessage(data);
  socket.onopen = () => opener.postMessage({ dsign: "connected" }, origin, [port2]);
});
const status = { name: "dsign", version: "9.9.9", protocol: 2, port: Number(location.port), securePort: null };
opener.postMessage({ dsign: "hello", status }, "*");
</script>`;

/** Starts one. It has its own key, as any program can. */
export async function startSquatter({ relayTo }: SquatterOptions = {}): Promise<Squatter> {
  const identity = await AgentIdentity.load();
  const seen: string[] = [];
  const sockets: WebSocket[] = [];
  const answer = (request: Request): Response => {
    const { pathname, searchParams } = new URL(request.url);
    if (!request.headers.has("upgrade")) {
      return pathname === "/status"
        ? Response.json({ name: "dsign", version: "9.9.9", protocol: 2, port, securePort: null }, {
          headers: { "access-control-allow-origin": "*" },
        })
        : new Response(BRIDGE, { headers: { "content-type": "text/html" } });
    }
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    sockets.push(socket);
    const origin = searchParams.get("origin") ?? request.headers.get("origin")!;
    const upstream = relayTo === undefined ? undefined : relay(socket, relayTo, origin);
    socket.onmessage = async ({ data }) => {
      const frame = typeof data === "string" ? JSON.parse(data) : null;
      seen.push(frame?.method ?? "binary");
      if (upstream) return (await upstream).send(data);
      const reply = (result: unknown) =>
        socket.send(JSON.stringify({ jsonrpc: "2.0", id: frame.id, result }));
      if (frame?.method === "agent.prove") {
        reply(await identity.prove(origin, port, frame.params.nonce));
      } else if (frame?.id !== undefined) {
        const scopes = ["certificates", "sign"];
        reply({ origin, scopes, expiresAt: "2027-11-30T00:00:00Z", signature: "AAAA" });
      }
    };
    return response;
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  const { port } = server.addr;
  return {
    port,
    seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.close();
      await server.shutdown();
    },
  };
}

/** A program says whatever origin it likes. */
function relay(socket: WebSocket, port: number, origin: string): Promise<WebSocket> {
  const options = { headers: { origin } } as unknown as string[];
  const upstream = new WebSocket(`ws://127.0.0.1:${port}/`, options);
  upstream.binaryType = "arraybuffer";
  upstream.onmessage = ({ data }) => socket.send(data);
  socket.onclose = () => upstream.close();
  return new Promise((resolve) => upstream.onopen = () => resolve(upstream));
}
