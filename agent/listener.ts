/** Accepting connections on the loopback address, for as long as the agent runs. */
import { getLogger } from "@logtape/logtape";
import { DsignError } from "../protocol/errors.ts";
import type { TlsIdentity } from "./tls.ts";

const log = getLogger(["dsign", "agent"]);

/** Until the next attempt where accepting failed, in milliseconds. */
const PAUSE = 500;

/** @param port at which the request came in */
type Handle = (request: Request, peerPort: number, port: number) => Response | Promise<Response>;

export interface ListenerOptions {
  /** Tried in turn; 0 takes any free one. */
  ports: readonly number[];
  tls?: TlsIdentity;
  handle: Handle;
  /** The answer where `handle` throws. */
  onError(error: unknown): Response;
}

/**
 * Listens on the first port that is free. Accepting fails while all file descriptors are in use (EMFILE), which any
 * program of this computer can bring about by connecting often enough: open connections stay, and it is tried again.
 */
export class Listener {
  readonly port: number;
  readonly #options: ListenerOptions;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #again: ReturnType<typeof setTimeout> | undefined;

  /** @throws {DsignError} `busy` where no port is free */
  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#server = this.#first();
    this.port = this.#server.addr.port;
  }

  /** Takes no more connections, and ends when those that are open have. */
  async shutdown(): Promise<void> {
    clearTimeout(this.#again);
    await this.#server.shutdown();
  }

  #first(): Deno.HttpServer<Deno.NetAddr> {
    const { ports } = this.#options;
    for (const port of ports) {
      try {
        return this.#serve(port);
      } catch (error) {
        if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      }
    }
    throw new DsignError(
      "busy",
      `Other programs use all of D-Sign's ports (${
        ports.join(", ")
      }). Set "ports" in the configuration.`,
    );
  }

  #serve(port: number): Deno.HttpServer<Deno.NetAddr> {
    const { handle, onError, tls } = this.#options;
    const server = Deno.serve(
      {
        hostname: "127.0.0.1",
        port,
        ...tls && { cert: tls.certificate, key: tls.key },
        onListen() {},
        onError,
      },
      (request, { remoteAddr }) => handle(request, remoteAddr.port, this.port),
    );
    server.finished.catch((error) => this.#failed(error));
    return server;
  }

  #failed(error: unknown): void {
    log.error("Connections cannot be accepted: {error}", { error });
    this.#again = setTimeout(() => {
      try {
        this.#server = this.#serve(this.port);
      } catch (error) {
        this.#failed(error);
      }
    }, PAUSE);
  }
}
