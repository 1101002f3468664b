/** Accepting connections on the loopback address, for as long as the agent runs. */
import http from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { getLogger } from "@logtape/logtape";
import { DsignError } from "../protocol/errors.ts";
import { refuseUpgrade, requestOf, sendResponse } from "./http_messages.ts";
import type { TlsIdentity } from "./tls.ts";
import { type MessageLimits, ServerSocket } from "./websocket.ts";

const log = getLogger(["dsign", "agent"]);

/** Milliseconds for a TLS handshake, for a request's head, and between requests. */
const PATIENCE = 10_000;

/** Connections that have asked for nothing yet: one more, and the oldest of them is dropped. */
const SILENT = 256;

/** Most connections of all kinds. With everything else that is open, fewer than 1024 descriptors. */
const OPEN = 640;

/**
 * The longest head of a request, in bytes. Cookies have no port: any page of this computer can set 180 of 4 KiB each, and
 * browsers send them all to our pages.
 */
const HEAD = 1024 * 1024;

/** For how long connections that are open may go on after a shutdown, in milliseconds. */
const LINGER = 3_000;

const LOOPBACK = "127.0.0.1";

/** A request, and how it becomes a WebSocket. */
export interface Caller {
  /** At which the request came in. */
  port: number;
  /** null: not a WebSocket handshake, or the sender is gone. */
  accept(limits: MessageLimits): ServerSocket | null;
}

/** @returns null if the request was accepted as a WebSocket */
type Handle = (
  request: Request,
  caller: Caller,
) => Response | null | Promise<Response | null>;

export interface ListenerOptions {
  /** Tried in turn; 0 takes any free one. */
  ports: readonly number[];
  tls?: TlsIdentity;
  /** Whether who connects from `peerPort` to `port` may: of others, nothing is read. */
  admits(peerPort: number, port: number): Promise<boolean>;
  handle: Handle;
  /** The answer if `handle` throws. */
  onError(error: unknown): Response;
}

const NO_LOOPBACK =
  "This computer has no address 127.0.0.1 (IPv4 loopback), at which browsers look for D-Sign. " +
  "The administrator can add it: sudo ip address add 127.0.0.1/8 dev lo";

/**
 * Listens on the first port that is free. Any program of this computer can connect as often as it likes: those that
 * say nothing make room for newer ones, so that file descriptors never run out (the runtime's server, Deno 2.9.6,
 * accepts nothing any more after EMFILE, and does not tell).
 */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: http.Server | https.Server;
  readonly #open = new Set<Socket>();
  /** By the peer's port, in the order in which they came. */
  readonly #silent = new Map<number, Socket>();
  #port = 0;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    const { tls } = options;
    const common = {
      connectionsCheckingInterval: PATIENCE / 2,
      headersTimeout: PATIENCE,
      maxHeaderSize: HEAD,
    };
    this.#server = tls
      ? https.createServer({
        ...common,
        handshakeTimeout: PATIENCE,
        cert: tls.certificate,
        key: tls.key,
      })
      : http.createServer(common);
    this.#server.on("connection", (socket: Socket) => this.#connected(socket));
    this.#server.on(
      tls ? "secureConnection" : "connection",
      (socket: Socket) => this.#admit(socket),
    );
    this.#server.on("request", (message, to) => this.#request(message, to));
    this.#server.on(
      "upgrade",
      (message, socket, head) => this.#upgrade(message, socket, new Uint8Array(head)),
    );
  }

  /** @throws {DsignError} `busy` if no port is free, or there is no loopback address */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    for (const port of options.ports) {
      try {
        await listener.#listen(port);
        return listener;
      } catch (error) {
        const { code } = error as { code?: string };
        // Deno says EINVAL of an address that no interface has.
        if (code === "EADDRNOTAVAIL" || code === "EINVAL") {
          throw new DsignError("busy", NO_LOOPBACK);
        }
        if (code !== "EADDRINUSE") throw error;
      }
    }
    throw new DsignError(
      "busy",
      `Other programs use all of D-Sign's ports (${
        options.ports.join(", ")
      }). Set "ports" in the configuration.`,
    );
  }

  get port(): number {
    return this.#port;
  }

  /** Answers TLS handshakes from now on with this; connections that are open stay. */
  renew({ certificate, key }: TlsIdentity): void {
    (this.#server as https.Server).setSecureContext({ cert: certificate, key });
  }

  /** Takes no more connections, and ends when those that are open have, or soon. */
  async shutdown(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    for (const socket of this.#silent.values()) socket.destroy();
    const late = setTimeout(() => this.#open.forEach((socket) => socket.destroy()), LINGER);
    await closed;
    clearTimeout(late);
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, LOOPBACK, () => {
        this.#server.off("error", reject);
        this.#port = (this.#server.address() as AddressInfo).port;
        this.#server.on(
          "error",
          (error) => log.error("Connections cannot be accepted: {error}", { error }),
        );
        resolve();
      });
    });
  }

  #connected(socket: Socket): void {
    const { remoteAddress, remotePort = 0 } = socket;
    // A program bound to another address of 127.0.0.0/8 may use the same port as one of our own connections, and
    // peer.ts tells connections apart by their port alone.
    if (this.#open.size >= OPEN || remoteAddress !== LOOPBACK) return void socket.destroy();
    socket.setNoDelay(); // an answer does not wait until the one before has been acknowledged
    this.#open.add(socket);
    this.#silent.set(remotePort, socket);
    socket.once("close", () => {
      this.#open.delete(socket);
      if (this.#silent.get(remotePort) === socket) this.#silent.delete(remotePort);
    });
    if (this.#silent.size > SILENT) {
      const [[port, oldest]] = this.#silent;
      this.#silent.delete(port);
      oldest.destroy();
    }
  }

  /** Unread input of a connection could fill the memory before the first request is handled. */
  async #admit(socket: Socket): Promise<void> {
    socket.pause();
    try {
      const { remotePort = 0 } = socket;
      if (await this.#options.admits(remotePort, this.#port)) return void socket.resume();
    } catch (error) {
      log.error("It is not known who connects: {error}", { error });
    }
    socket.destroy();
  }

  async #request(message: http.IncomingMessage, to: http.ServerResponse): Promise<void> {
    const response = await this.#handle(message, () => null);
    await sendResponse(response!, to);
  }

  async #upgrade(
    message: http.IncomingMessage,
    stream: Duplex,
    head: Uint8Array<ArrayBuffer>,
  ): Promise<void> {
    // Nothing to add: an error is always followed by the close.
    stream.on("error", () => {});
    const response = await this.#handle(
      message,
      (limits) => ServerSocket.accept(message, stream, head, limits),
    );
    if (response) refuseUpgrade(response, stream);
  }

  async #handle(message: http.IncomingMessage, accept: Caller["accept"]): Promise<Response | null> {
    const { handle, onError, tls } = this.#options;
    this.#silent.delete(message.socket.remotePort ?? 0);
    const request = requestOf(message, tls ? "https" : "http");
    if (!request) return new Response(null, { status: 400 });
    try {
      return await handle(request, { port: this.#port, accept });
    } catch (error) {
      return onError(error);
    }
  }
}
