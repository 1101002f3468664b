/** Finding the signer program, and opening a connection to it. */
import type { Scope, Status } from "../../protocol/methods.ts";
import type { ClientWords } from "../../words/en/client.ts";
import { judge, type Judged, type KnownKeys, pins } from "./agent_key.ts";
import { checkSignal } from "./calls.ts";
import type { openBridge } from "./bridge.ts";
import type { Agent, Channel } from "./channel.ts";
import { Client } from "./client.ts";
import { failed, type Messages } from "./errors.ts";
import { loopbackPermission, obstacle, open, probe } from "./find.ts";

/** The contract's version that this file speaks. */
export const PROTOCOL = 2;

type Trouble = keyof ClientWords;

/** Loopback ports at which the signer program may be found, first choice first. */
export const PORTS: readonly number[] = [7791, 17791, 27791];

/** The same with TLS, for browsers that let a page reach nothing else. */
export const SECURE_PORTS: readonly number[] = [7792, 17792, 27792];

export interface ConnectOptions {
  /** Gives the attempt up. */
  signal?: AbortSignal;
  /** Sentences of errors in the page's language; without them, English. */
  messages?: Messages;
  /** For tests: the port of a `dsign trial`, whose signatures are worth nothing. No other signer program is taken then. */
  trial?: number;
  /** Other ports than {@linkcode PORTS}; with none, only TLS is tried. */
  ports?: readonly number[];
  /** Other ports than {@linkcode SECURE_PORTS}. */
  securePorts?: readonly number[];
  /** Scopes that the page needs; without them the attempt fails with `no_grant`. */
  scopes?: Scope[];
  /** Asks the person for the scopes that are missing, with these words about what for. */
  request?: string;
  /**
   * Keys of the signer programs that this person uses ({@linkcode Client.agent}), as the portal's server knows them: then
   * no other counts, and nothing is remembered in the browser.
   */
  agentKeys?: readonly string[];
  /** Download address for the person; returned with `not_installed`. */
  download?: string;
  /** Called while the browser asks the person whether this site may reach programs on this computer. */
  onPrompt?: () => void;
}

/**
 * Finds the signer program and opens a connection to it. Where the connection breaks, because the signer program was
 * restarted for example, it is opened again by itself (see {@linkcode Client}).
 *
 * The signer program proves which one it is ({@linkcode Client.agent}). One that this site does not know is never taken
 * in the place of one that it knows: that is `agent_changed`, and {@linkcode acceptNewAgent} is for the person to decide.
 *
 * The browser may ask the person first whether this site may reach programs on this computer (Local Network Access). In
 * a frame of another site it does so only where that site has written `allow="loopback-network"` on the frame.
 *
 * @throws {DsignClientError} a {@linkcode ConnectionCode} other than `connection_lost`, `request_cancelled`, and with
 *   `request` what `origin.request` fails with
 * @throws {TypeError} for options that cannot be, and on a server
 */
export function connect(options?: ConnectOptions): Promise<Client>;
export function connect(options: ConnectOptions = {}, bridge?: typeof openBridge): Promise<Client> {
  const connecting = connectTo(options, false, bridge);
  // A page that forgot to wait would be told that `call` is no function.
  for (const name of Object.getOwnPropertyNames(Client.prototype)) {
    (connecting as unknown as Record<string, unknown>)[name] ??= () => {
      throw new TypeError(`Wait for the connection: (await connect()).${name}()`);
    };
  }
  return connecting;
}

/**
 * Takes another signer program than those that this site knows, after `agent_changed`: a new computer, or D-Sign
 * installed anew. Call it in the person's click on a button that says so, and only where they expect it: a program that
 * stands in D-Sign's place wants exactly this. It is remembered after the next grant.
 *
 * @throws {DsignClientError} as {@linkcode connect}; `agent_changed` where it is not called in a click
 */
export async function acceptNewAgent(options: ConnectOptions = {}): Promise<Client> {
  const { userActivation } = globalThis.navigator ?? {};
  if (userActivation && !userActivation.isActive) throw failed("agent_changed", options);
  return await connectTo(options, true);
}

/**
 * Says what to write instead.
 *
 * @throws {TypeError}
 */
function checkUse(options: ConnectOptions): void {
  const runtime = globalThis.navigator?.userAgent ?? "";
  if (!("WebSocket" in globalThis) || /^(Node|Bun)/.test(runtime)) {
    throw new TypeError("connect() works in a page only: call it in an effect or a click.");
  }
  const { scopes, agentKeys, trial, messages, signal } = options;
  if (
    typeof options !== "object" || [scopes, agentKeys].some((each) => each && !Array.isArray(each))
  ) {
    throw new TypeError(
      'Write connect({ scopes: ["sign"], request: "Sign bills" }): scopes is a list.',
    );
  }
  if (typeof messages === "string") {
    throw new TypeError("messages is an import, not its name: messages: bn");
  }
  checkSignal(signal);
  if (trial !== undefined && (!Number.isInteger(trial) || trial < 1 || PORTS.includes(trial))) {
    throw new TypeError("trial is the port that `dsign trial` printed, a number.");
  }
}

async function connectTo(
  options: ConnectOptions,
  acceptNew: boolean,
  bridge?: typeof openBridge,
): Promise<Client> {
  checkUse(options);
  // Local Network Access is for secure contexts, and only they have the cryptography of the agent's proof.
  if (globalThis.isSecureContext === false) throw failed("insecure_page", options);
  // Nothing is waited for before the bridge's window opens: later the browser lets none open.
  const client = await reach(options, knownKeys(options, acceptNew), bridge);
  const again = { ...options, signal: undefined, onPrompt: undefined };
  // A connection goes on with the same signer program; one through a window does not, as only a click opens it.
  const same = Promise.resolve({ keys: [client.agent!.key], listed: true, acceptNew: false });
  if (!bridge) client.reach = () => reach(again, same);
  return await withGrant(client, options);
}

/** A site neither remembers trial agents nor compares them. */
async function knownKeys(
  { agentKeys, trial }: ConnectOptions,
  acceptNew: boolean,
): Promise<KnownKeys> {
  if (trial) return { keys: [], listed: false, acceptNew: true };
  const listed = !!agentKeys;
  return { keys: agentKeys ?? await pins(), listed, acceptNew: acceptNew && !listed };
}

async function withGrant(client: Client, options: ConnectOptions): Promise<Client> {
  const { scopes = [], request, signal } = options;
  try {
    if (scopes.length === 0) return client;
    const granted = await client.call("origin.status", {}, { signal });
    const isGranted = scopes.every((scope) => granted.scopes.includes(scope));
    // Asked for again, a grant that holds asks nobody; and this site remembers the signer program by it.
    if (isGranted && client.agent?.trust !== "first_use") return client;
    if (!isGranted && request === undefined) throw failed("no_grant", options);
    await client.call("origin.request", { scopes, purpose: request }, { signal });
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

/** Every port is asked until a known signer program is found: any program can have the first one. */
async function reach(
  options: ConnectOptions,
  knowing: Promise<KnownKeys>,
  bridge?: typeof openBridge,
): Promise<Client> {
  const { signal, trial, onPrompt } = options;
  const { ports = PORTS, securePorts = SECURE_PORTS } = trial
    ? { ports: [trial], securePorts: [] }
    : options;
  let found: Client | undefined;
  let trouble: Trouble | undefined;
  const ifAborted = () => {
    if (signal?.aborted) throw failed("request_cancelled", options);
  };
  const isKnown = ({ agent }: Client) => agent!.trust !== "first_use";
  /** Whether this is the agent to use. */
  const take = async (socket: Channel, port: number, status: Status): Promise<boolean> => {
    const client = new Client(socket, status, options.messages);
    const known = await knowing;
    const judged = await judge(client, port, known, signal);
    if (typeof judged !== "object") {
      client.close();
      trouble ??= problemOf(judged);
      return false;
    }
    client.agent = trial ? { key: judged.key, trust: "trial" } : judged;
    if (!found || isKnown(client)) {
      found?.close();
      found = client;
    } else client.close();
    return known.keys.length === 0 || isKnown(found);
  };
  /** @param s for TLS */
  const dial = async (port: number, s: "" | "s" = ""): Promise<boolean> => {
    const status = await probe(`http${s}://127.0.0.1:${port}`, signal, onPrompt);
    ifAborted();
    if (!status || isOther(status, options)) return false;
    const unfit = protocolProblem(status);
    const socket = unfit ? null : await open(`ws${s}://127.0.0.1:${port}/`, signal);
    ifAborted();
    if (socket) return await take(socket, port, status);
    const { securePort } = status;
    // The probe was answered just now, so it is the browser that refuses the socket. It may let one with TLS through.
    if (!unfit && !s && securePort) {
      if (await dial(securePort, "s")) return true;
      trouble ??= "certificate_untrusted";
    }
    trouble ??= unfit ?? "blocked_by_browser";
    return false;
  };
  if (bridge) {
    const isFit = (status: Status) => {
      if (isOther(status, options)) return false;
      trouble ??= protocolProblem(status);
      return status.protocol === PROTOCOL;
    };
    const why = await bridge(ports, isFit, take, signal);
    ifAborted();
    if (!why) return found!;
    throw failed(why === "silent" ? trouble ?? "not_installed" : why, options);
  }
  for (const port of ports) if (await dial(port)) return found!;
  // Browsers without the permission may be of those that let https pages reach nothing without TLS.
  if (!found && !trouble && (ports.length === 0 || await loopbackPermission() === null)) {
    for (const port of securePorts) if (await dial(port, "s")) return found!;
  }
  ifAborted();
  if (found) return found;
  throw failed(trouble ?? await obstacle(), options);
}

const problemOf = (judged: Exclude<Judged, Agent>): Trouble =>
  judged === "outdated" ? judged : judged === "stranger" ? "agent_changed" : "agent_unproven";

/** A trial agent where a real one is wanted, or the other way round. */
const isOther = (status: Status, { trial }: ConnectOptions): boolean =>
  Boolean(status.trial) !== Boolean(trial);

/** Whether this file and the signer program speak the same version of the contract. */
const protocolProblem = ({ protocol }: Status): Trouble | undefined =>
  protocol === PROTOCOL ? undefined : protocol < PROTOCOL ? "outdated" : "page_outdated";
