/** The site's side of the popup bridge (protocol/bridge.ts). */
import type { BridgeHello, BridgeNote, BridgeReply, BridgeRequest } from "../../protocol/bridge.ts";
import type { Status } from "../../protocol/methods.ts";
import type { Channel } from "./channel.ts";

/** Milliseconds for the window to say hello. */
const HELLO_TIMEOUT = 5000;

/** Milliseconds between looks whether the person has closed the window. */
const WATCH = 500;

const LOOK = "popup,width=560,height=760";

/** One window for this page. A frame within it cannot guess the name, and so not open the window first as its own. */
const NAME = `dsign-bridge-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;

/**
 * Opens the bridge; to be called in the person's click, before anything is waited for.
 *
 * @param isFit whether a hello is accepted
 * @param take whether the program at the other end is; else it has closed the channel, and the next port is tried
 * @returns why none was taken, if so: `silent` (nobody answers at these ports, or none that was accepted), or as the SDK's
 *   words say
 */
export async function openBridge(
  ports: readonly number[],
  isFit: (status: Status) => boolean,
  take: (channel: Channel, port: number, status: Status) => Promise<boolean>,
  signal?: AbortSignal,
): Promise<"silent" | "no_window" | "window_closed" | "page_refused" | undefined> {
  const popup = globalThis.open(`http://127.0.0.1:${ports[0]}/bridge`, NAME, LOOK);
  if (!popup) return "no_window";
  const give = <T>(up: T): T => (popup.close(), up);
  for (const [index, port] of ports.entries()) {
    const origin = `http://127.0.0.1:${port}`;
    if (index > 0) popup.location.href = `${origin}/bridge`;
    const hello = await heard<BridgeHello>(popup, origin, ["hello"], signal, HELLO_TIMEOUT);
    if (signal?.aborted) return give("window_closed");
    if (popup.closed) return "window_closed";
    if (!hello) continue;
    const { status } = hello.data;
    if (!isFit(status)) continue;
    const answered = heard<BridgeReply>(popup, origin, ["connected", "refused"], signal);
    popup.postMessage({ dsign: "connect" } satisfies BridgeRequest, origin);
    const reply = await answered;
    if (!reply) return give("window_closed");
    if (reply.data.dsign === "refused" || !reply.ports[0]) return give("page_refused");
    const channel = new BridgeChannel(popup, reply.ports[0]);
    if (await take(channel, port, status)) return void (channel.isTaken = true);
    if (signal?.aborted || popup.closed) return give("window_closed");
  }
  return give("silent");
}

/** The next such message of the window; null after the time, when the window is closed, or when `signal` fires. */
function heard<M extends { dsign: string }>(
  popup: Window,
  from: string,
  wanted: M["dsign"][],
  signal?: AbortSignal,
  timeout?: number,
): Promise<MessageEvent<M> | null> {
  return new Promise((resolve) => {
    const end = (event: MessageEvent | null) => {
      removeEventListener("message", listen);
      signal?.removeEventListener("abort", abort);
      clearTimeout(timer);
      clearInterval(watch);
      resolve(event);
    };
    const listen = (event: MessageEvent) => {
      if (event.source !== popup || event.origin !== from) return;
      if (wanted.includes(event.data?.dsign)) end(event);
    };
    const abort = () => end(null);
    const timer = timeout === undefined ? undefined : setTimeout(abort, timeout);
    const watch = setInterval(() => popup.closed && end(null), WATCH);
    addEventListener("message", listen);
    signal?.addEventListener("abort", abort);
  });
}

/** Frames through the window. */
class BridgeChannel implements Channel {
  onmessage: Channel["onmessage"] = null;
  onclose: Channel["onclose"] = null;
  #watch: ReturnType<typeof setInterval>;
  #open = true;
  /** Its end closes the window, in which else the next port is tried. */
  isTaken = false;
  readonly #leave = () => this.close();

  constructor(readonly popup: Window, readonly port: MessagePort) {
    port.onmessage = ({ data }: MessageEvent<string | ArrayBuffer | BridgeNote>) => {
      if (typeof data === "string" || data instanceof ArrayBuffer) this.#deliver(data);
      else if (data.note === "closed") this.#end();
    };
    this.#watch = setInterval(() => popup.closed && this.#end(), WATCH);
    // The page goes elsewhere, or is closed: what it asked is taken back, as with a socket of its own.
    addEventListener("pagehide", this.#leave);
  }

  /** Binary frames are given away: they are whole buffers, and whoever sent one has done with it. */
  send(frame: Parameters<WebSocket["send"]>[0]): void {
    if (!this.#open) return;
    if (typeof frame === "string") return this.port.postMessage(frame);
    const { buffer } = frame as Uint8Array<ArrayBuffer>;
    this.port.postMessage(buffer, [buffer]);
  }

  #deliver(data: string | ArrayBuffer): void {
    (this.onmessage as ((event: { data: typeof data }) => void) | null)?.({ data });
  }

  close(): void {
    this.port.postMessage({ note: "closed" } satisfies BridgeNote);
    if (this.isTaken) this.popup.close();
    this.#end();
  }

  #end(): void {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#watch);
    removeEventListener("pagehide", this.#leave);
    (this.onclose as (() => void) | null)?.();
  }
}
