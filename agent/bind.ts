/** The agent's ports on the loopback address: taken first, served as soon as everything stands that answers. */
import { getLogger } from "@logtape/logtape";
import { PORTS, SECURE_PORTS } from "../protocol/envelope.ts";
import { DsignError } from "../protocol/errors.ts";
import { Listener, type ListenerOptions } from "./listener.ts";
import { findPeer, openSocketTables } from "./peer.ts";
import { refuse } from "./refuse.ts";
import type { TlsIdentity } from "./tls.ts";

const log = getLogger(["dsign", "agent"]);

export interface PortOptions {
  /** Tried in turn; 0 takes any free one. Default: {@linkcode PORTS}. */
  ports?: readonly number[];
  /** Certificate for wss://; without it only ws:// is answered. */
  tls?: TlsIdentity;
  /** As {@linkcode ports}, for wss://. Where none is free, it is not answered. Default: {@linkcode SECURE_PORTS}. */
  securePorts?: readonly number[];
}

/** The ports that an agent has. Until {@linkcode Bound.serve} every request is answered with 503. */
export interface Bound {
  readonly port: number;
  /** Ports that would have come before it, and that other programs have. */
  readonly taken: readonly number[];
  /** null: wss:// is not answered. */
  readonly securePort: number | null;
  /** Origin of the agent's windows. Its port is new, so no service worker of another program can wait there. */
  readonly windowPort: number;
  serve(handle: ListenerOptions["handle"]): void;
  /** Answers wss:// from now on with this; connections that are open stay. */
  renewTls(tls: TlsIdentity): void;
  close(): Promise<void>;
}

/**
 * Takes the ports. On Linux this needs all permissions, unless peer.ts's `openSocketTables` was called before.
 *
 * @throws {DsignError} `busy` if no port is free
 */
export async function bind(options: PortOptions): Promise<Bound> {
  openSocketTables();
  let handle: ListenerOptions["handle"] = () => refuse(503, "D-Sign is starting.");
  const listen = (ports: readonly number[], tls?: TlsIdentity) =>
    Listener.open({
      ports,
      tls,
      admits,
      handle: (...request) => handle(...request),
      onError(error) {
        log.error("Unforeseen failure: {error}", { error });
        return refuse(500, "Something went wrong in D-Sign. See its log for details.");
      },
    });
  const { ports = PORTS } = options;
  const listener = await listen(ports);
  const { tls } = options;
  // The agent works without TLS.
  const secure = tls && await listen(options.securePorts ?? SECURE_PORTS, tls).catch((error) => {
    if (!(error instanceof DsignError)) throw error;
    log.warn("Without TLS: {error}", { error });
    return undefined;
  });
  const windows = await listen([0]);
  return {
    port: listener.port,
    taken: ports.slice(0, ports.findIndex((each) => each === listener.port || each === 0)),
    securePort: secure?.port ?? null,
    windowPort: windows.port,
    serve: (by) => void (handle = by),
    renewTls: (tls) => secure?.renew(tls),
    async close() {
      await Promise.all([listener, secure, windows].map((each) => each?.shutdown()));
    },
  };
}

/** D-Sign answers only its own user. */
async function admits(peerPort: number, port: number): Promise<boolean> {
  const peer = await findPeer(peerPort, port);
  if (peer === "other") log.warn("Refused a connection of another user of this computer.");
  if (peer === "unknown") {
    log.debug("Refused a connection that has ended, or whose owner is not known.");
  }
  return peer === "ours";
}
