/** Between the page that opened this window and the agent: frames pass as they are. */
import type { BridgeHello, BridgeNote, BridgeReply } from "../../protocol/bridge.ts";
import type { Status } from "../../protocol/methods.ts";

/** Events that the window shows. */
export interface RelayEvents {
  /** A site is connected, under the origin that the browser attests. */
  connected(origin: string): void;
  refused(origin: string): void;
  lost(): void;
}

/**
 * Offers the bridge to the opener, and serves the first request.
 *
 * @param host of the agent, as in `127.0.0.1:7791`
 */
export function offerBridge(
  opener: Window,
  host: string,
  status: Status,
  events: RelayEvents,
): void {
  const listen = ({ source, origin, data }: MessageEvent) => {
    if (source !== opener || data?.dsign !== "connect") return;
    removeEventListener("message", listen);
    relay(opener, origin, host, events);
  };
  addEventListener("message", listen);
  opener.postMessage({ dsign: "hello", status } satisfies BridgeHello, "*");
}

/** @param origin attested by the browser; a page cannot choose it */
function relay(opener: Window, origin: string, host: string, events: RelayEvents): void {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${host}/bridge?origin=${encodeURIComponent(origin)}`);
  socket.binaryType = "arraybuffer";
  const { port1: port, port2 } = new MessageChannel();
  const reply = (message: BridgeReply, ports: Transferable[] = []) =>
    opener.postMessage(message, origin, ports);
  const closed: BridgeNote = { note: "closed" };
  const close = () => {
    port.postMessage(closed);
    socket.close();
  };
  let open = false;
  socket.onopen = () => {
    open = true;
    port.onmessage = ({ data }) => {
      if (data?.note === "closed") return close();
      if (typeof data === "string" || data instanceof ArrayBuffer) socket.send(data);
    };
    reply({ dsign: "connected" }, [port2]);
    events.connected(origin);
  };
  socket.onmessage = ({ data }) => {
    port.postMessage(data, typeof data === "string" ? [] : [data]);
  };
  socket.onclose = () => {
    if (!open) {
      // `null` is an origin that nothing can be posted to (a sandboxed frame).
      if (origin !== "null") reply({ dsign: "refused" });
      return events.refused(origin);
    }
    port.postMessage(closed);
    events.lost();
  };
  addEventListener("pagehide", close);
}
