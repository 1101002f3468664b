/**
 * D-Sign for web pages: connects to the signer program on this computer and asks it for signatures.
 *
 * ```ts ignore
 * import { connect } from "./client.js";
 *
 * const dsign = await connect();
 * await dsign.call("origin.request", { scopes: ["certificates", "sign"] });
 * const { signature } = await dsign.call("sign.data", { content: { json: bill }, purpose: "Bill 7" });
 * ```
 *
 * No PIN passes through here: the person types it into the signer program's own window.
 */
import type { ErrorCode, ErrorObject, TriesLeft } from "../protocol/errors.ts";
import type {
  MethodName,
  NotificationParams,
  Params,
  Result,
  Scope,
  Status,
} from "../protocol/methods.ts";
import { addPin, judge, type Judged, type KnownKeys, pins } from "./agent_key.ts";
import type { Agent, Channel } from "./channel.ts";
import { loopbackPermission, obstacle, open, probe } from "./find.ts";
import { openBridge } from "./popup.ts";

export type { Agent, ErrorCode, MethodName, Params, Result, Scope, Status, TriesLeft };

/** The contract's version that this file speaks. */
export const PROTOCOL = 2;

/** Loopback ports at which the signer program may be found, first choice first. */
export const PORTS: readonly number[] = [7791, 17791, 27791];

/** The same with TLS, for browsers that let a page reach nothing else. */
export const SECURE_PORTS: readonly number[] = [7792, 17792, 27792];

/** Milliseconds between attempts to find a signer program that has gone: at first, and at most. */
const RETRY = 1000;
const MAX_RETRY = 30_000;

/** Why no connection could be made, or that it broke. */
export type ConnectionCode =
  | "not_installed"
  | "cannot_tell"
  | "blocked_by_browser"
  | "permission_denied"
  | "certificate_untrusted"
  | "outdated"
  | "agent_changed"
  | "no_grant"
  | "connection_lost";

const CONNECTION_ERRORS: Record<ConnectionCode | "agent_unproven", string> = {
  not_installed: "D-Sign does not answer on this computer. Start it, or install it first.",
  cannot_tell:
    "This browser does not say whether D-Sign is missing or its certificate is not trusted. Start D-Sign, or install it first. If it runs, type `dsign trust install` in a terminal and restart the browser, or use another browser.",
  blocked_by_browser: "The browser keeps this page from reaching D-Sign.",
  permission_denied:
    "The browser was told not to let this site reach programs on this computer. Allow it in the site's settings, next to the address.",
  certificate_untrusted:
    "The browser does not trust D-Sign's certificate. Run `dsign trust install` on this computer, then restart the browser.",
  outdated: "D-Sign on this computer is too old for this page. Install the newest version.",
  agent_changed:
    "The D-Sign on this computer is not the one that this site knows. If you use a new computer or installed D-Sign anew, confirm it; else ask your help desk.",
  agent_unproven:
    "A program on this computer answers in D-Sign's place and cannot prove to be D-Sign. Close it, or ask your help desk. `dsign doctor` names it.",
  no_grant: "You have not allowed this site to use D-Sign yet.",
  connection_lost: "The connection to D-Sign was lost. Check that it is running.",
};

/** The one error of this file: whatever fails, `code` says what, and `message` what a person can do. */
export class DsignClientError extends Error {
  override readonly name = "DsignClientError";

  constructor(
    readonly code: ErrorCode | ConnectionCode,
    message: string,
    /** Whether the same call, unchanged, can succeed later. */
    readonly retryable: boolean = false,
    /** With `pin_incorrect`, if the token says so. */
    readonly triesLeft?: TriesLeft,
    /** With `not_installed` and `cannot_tell`: where the portal says D-Sign can be had. */
    readonly download?: string,
  ) {
    super(message);
  }
}

/** Trying again changes nothing. */
const FINAL: readonly ConnectionCode[] = ["outdated", "agent_changed"];

const failed = (code: ConnectionCode, message = CONNECTION_ERRORS[code], download?: string) =>
  new DsignClientError(code, message, !FINAL.includes(code), undefined, download);

const fromWire = ({ message, data }: ErrorObject) =>
  new DsignClientError(
    data?.code ?? "internal_error",
    message,
    data?.retryable ?? false,
    data?.triesLeft,
  );

const cancelled = () =>
  new DsignClientError("request_cancelled", "The request was cancelled by this page.");

/** Progress of a call. `sending` (bytes) comes from this file, the others from the signer program. */
export type Progress =
  | { phase: "sending"; done: number; total: number }
  | Omit<NotificationParams<"request.progress">, "id">;

export interface CallOptions {
  /** Gives the call up: it rejects with `request_cancelled`, and what the person sees is taken back. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Result of {@linkcode Client.signDocument}: a detached CAdES signature. */
export type DetachedSignature = Extract<Result<"sign.document">, { signature: string }>;

/** Result of {@linkcode Client.signPdf}. */
export interface SignedPdf {
  /** The PDF with one more signature. */
  pdf: Blob;
  /** Name of the signed field. */
  field: string;
  /** The signer's certificate, DER, Base64. */
  certificate: string;
  /** JWA name, as in `RS256`. */
  algorithm: string;
}

/** A document of a batch. */
export interface BatchFile {
  name: string;
  content: Blob;
}

/** Result of one document of a batch; `item` is its position in the list. */
export type BatchOutcome =
  | { item: number; pdf: Blob; field: string }
  | { item: number; error: DsignClientError };

/** The same with `format: "cades"`: a detached signature, Base64. */
export type DetachedBatchOutcome =
  | { item: number; signature: string }
  | { item: number; error: DsignClientError };

export interface BatchOptions<Outcome = BatchOutcome> extends CallOptions {
  /** Told of each document as soon as it is signed, or not; awaited, so that it can be saved before the next. */
  onItem?: (outcome: Outcome) => void | Promise<void>;
}

/** How a batch ended. Where `left` is not 0, the same call goes on with it, and signs nothing twice. */
export interface BatchResult {
  signed: number;
  failed: number;
  left: number;
  /** The signer's certificate, DER, Base64. */
  certificate: string;
}

const PDF = "application/pdf";

/** Documents of a batch that are under way at a time: so many, and of so many bytes together if the largest allows it. */
const BATCH_PIPELINE = 32;
const BATCH_BYTES = 64 * 1024 * 1024;

/** Failures of one document; any other ends the batch. */
const OF_ONE_DOCUMENT: ReadonlySet<string> = new Set(
  [
    "document_malformed",
    "document_encrypted",
    "document_locked",
    "document_incomplete",
    "consent_mismatch",
    "invalid_params",
    "too_large",
    "mechanism_unsupported",
  ] satisfies ErrorCode[],
);

export interface ConnectOptions {
  /** Gives the attempt up. */
  signal?: AbortSignal;
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
 */
export const connect = (options: ConnectOptions = {}): Promise<Client> => connectTo(options, false);

/**
 * Takes another signer program than those that this site knows, after `agent_changed`: a new computer, or D-Sign
 * installed anew. Call it in the person's click on a button that says so, and only where they expect it: a program that
 * stands in D-Sign's place wants exactly this. It is remembered after the next grant.
 *
 * @throws {DsignClientError} as {@linkcode connect}; `agent_changed` where it is not called in a click
 */
export async function acceptNewAgent(options: ConnectOptions = {}): Promise<Client> {
  const { userActivation } = globalThis.navigator ?? {};
  if (userActivation && !userActivation.isActive) throw failed("agent_changed");
  return await connectTo(options, true);
}

async function connectTo(options: ConnectOptions, acceptNew: boolean): Promise<Client> {
  const known = await knownKeys(options, acceptNew);
  const { socket, status, agent } = await reach(options, known);
  const again = { ...options, signal: undefined, onPrompt: undefined };
  // A connection goes on with the same signer program.
  const same: KnownKeys = { keys: [agent.key], listed: true, acceptNew: false };
  const client = new Client(socket, status, agent, () => reach(again, same));
  return await withGrant(client, options);
}

async function knownKeys(
  { agentKeys }: ConnectOptions,
  acceptNew: boolean,
): Promise<KnownKeys> {
  return agentKeys
    ? { keys: agentKeys, listed: true, acceptNew: false }
    : { keys: await pins(), listed: false, acceptNew };
}

/**
 * Connects through a window of the signer program's own, where the browser keeps pages from reaching it. Call it in the
 * person's click, before anything is waited for; else the browser lets no window open. The window stays open for as
 * long as the connection, and only relays. Pages with `Cross-Origin-Opener-Policy: same-origin` cannot use it:
 * `same-origin-allow-popups` is for them.
 *
 * @throws {DsignClientError} as {@linkcode connect}, and `user_cancelled` if the person closed the window
 */
export async function connectByPopup(options: ConnectOptions = {}): Promise<Client> {
  const { ports = PORTS, signal, download } = options;
  let trouble: DsignClientError | null = null;
  let agent: Agent | undefined;
  const bridge = await openBridge(
    ports,
    (status) => {
      const problem = protocolProblem(status);
      if (problem) trouble = problem;
      return !problem;
    },
    async (channel, port) => {
      const judged = await judge(channel, port, await knownKeys(options, false), signal);
      if (typeof judged === "object") agent = judged;
      else trouble = problemOf(judged);
      return agent !== undefined;
    },
    signal,
  );
  if (signal?.aborted) throw cancelled();
  switch (bridge) {
    case "blocked":
      throw failed("blocked_by_browser", "The browser did not open the window. Allow it to.");
    case "silent":
      throw trouble ?? failed("not_installed", undefined, download);
    case "closed":
      throw new DsignClientError("user_cancelled", "The window was closed.");
    case "refused":
      throw failed("blocked_by_browser", "D-Sign does not talk to pages of this kind.");
  }
  return await withGrant(new Client(bridge.channel, bridge.status, agent), options);
}

async function withGrant(
  client: Client,
  { scopes = [], request, signal }: ConnectOptions,
): Promise<Client> {
  try {
    if (scopes.length === 0) return client;
    const granted = await client.call("origin.status", {}, { signal });
    const isGranted = scopes.every((scope) => granted.scopes.includes(scope));
    // Asked for again, a grant that holds asks nobody; and this site remembers the signer program by it.
    if (isGranted && client.agent?.trust !== "first_use") return client;
    if (!isGranted && request === undefined) throw failed("no_grant");
    await client.call("origin.request", { scopes, purpose: request }, { signal });
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

interface Reached {
  socket: Channel;
  status: Status;
  agent: Agent;
}

/** Every port is asked until a known signer program is found: any program can have the first one. */
async function reach(
  { ports = PORTS, securePorts = SECURE_PORTS, signal, download, onPrompt }: ConnectOptions,
  known: KnownKeys,
): Promise<Reached> {
  let found: Reached | undefined;
  let trouble: DsignClientError | undefined;
  const isKnown = ({ agent: { trust } }: Reached) => trust !== "first_use";
  /** Whether this is the agent to use. */
  const take = async (socket: Channel, port: number, status: Status): Promise<boolean> => {
    const judged = await judge(socket, port, known, signal);
    if (typeof judged !== "object") {
      socket.close();
      trouble ??= problemOf(judged);
      return false;
    }
    const reached = { socket, status, agent: judged };
    if (!found || isKnown(reached)) {
      found?.socket.close();
      found = reached;
    } else socket.close();
    return known.keys.length === 0 || isKnown(found);
  };
  const dial = async (port: number): Promise<boolean> => {
    const status = await probe(`http://127.0.0.1:${port}`, signal, onPrompt);
    if (signal?.aborted) throw cancelled();
    if (!status) return false;
    const unfit = protocolProblem(status);
    if (unfit) {
      trouble ??= unfit;
      return false;
    }
    const socket = await open(`ws://127.0.0.1:${port}/`, signal);
    if (signal?.aborted) throw cancelled();
    if (socket) return await take(socket, port, status);
    // The probe was answered just now, so it is the browser that refuses the socket. It may let one with TLS through.
    const { securePort } = status;
    if (!securePort) {
      trouble ??= failed("blocked_by_browser");
      return false;
    }
    const secure = await open(`wss://127.0.0.1:${securePort}/`, signal);
    if (signal?.aborted) throw cancelled();
    if (secure) return await take(secure, securePort, status);
    const isTrusted = await probe(`https://127.0.0.1:${securePort}`, signal) !== null;
    trouble ??= failed(isTrusted ? "blocked_by_browser" : "certificate_untrusted");
    return false;
  };
  const dialSecure = async (port: number): Promise<boolean> => {
    const status = await probe(`https://127.0.0.1:${port}`, signal, onPrompt);
    if (signal?.aborted) throw cancelled();
    if (!status) return false;
    const unfit = protocolProblem(status);
    const socket = unfit ? null : await open(`wss://127.0.0.1:${port}/`, signal);
    if (signal?.aborted) throw cancelled();
    if (socket) return await take(socket, port, status);
    trouble ??= unfit ?? failed("blocked_by_browser");
    return false;
  };
  for (const port of ports) if (await dial(port)) return found!;
  // Browsers without the permission may be of those that let https pages reach nothing without TLS.
  if (!found && !trouble && (ports.length === 0 || await loopbackPermission() === null)) {
    for (const port of securePorts) if (await dialSecure(port)) return found!;
  }
  if (signal?.aborted) throw cancelled();
  if (found) return found;
  if (trouble) throw trouble;
  switch (await obstacle()) {
    case "insecure_page":
      throw failed(
        "blocked_by_browser",
        `${CONNECTION_ERRORS.blocked_by_browser} Open the page by its https address.`,
      );
    case "frame":
      throw failed(
        "blocked_by_browser",
        `${CONNECTION_ERRORS.blocked_by_browser} It is in a frame, and the page around it has to write allow="loopback-network" on it.`,
      );
    case "permission_denied":
      throw failed("permission_denied");
    case "cannot_tell":
      throw failed("cannot_tell", undefined, download);
    case "not_installed":
      throw failed("not_installed", undefined, download);
  }
}

const problemOf = (judged: Exclude<Judged, Agent>): DsignClientError =>
  judged === "outdated" ? failed("outdated") : failed(
    "agent_changed",
    judged === "stranger" ? undefined : CONNECTION_ERRORS.agent_unproven,
  );

/** Whether this file and the signer program speak the same version of the contract. */
function protocolProblem({ protocol }: Status): DsignClientError | null {
  if (protocol === PROTOCOL) return null;
  return protocol < PROTOCOL ? failed("outdated") : failed(
    "outdated",
    "This page is too old for the D-Sign on this computer. Its site has to be updated.",
  );
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: DsignClientError): void;
  onProgress?: CallOptions["onProgress"];
}

/** An outgoing document: how much of it has arrived, and who waits for more to arrive. */
interface Upload {
  received: number;
  wake(): void;
}

/**
 * A connection to the signer program.
 *
 * Events: `tokenchanged` when a token was inserted or removed; `disconnect` when the connection has broken or was
 * closed; `reconnect` when it is there again. Between these two, calls reject with `connection_lost`. Nothing is sent a
 * second time: what was under way at the break has failed. A connection through a popup is not opened again, since only
 * a click can do that.
 */
export class Client extends EventTarget {
  #socket: Channel;
  #nextId = 1;
  #calls = new Map<number, Pending>();
  #uploads = new Map<number, Upload>();
  /** Brings documents of a batch that the person wants to see; by the id of the call that asks. */
  #wanted = new Map<number, (item: number) => void>();
  /** Pieces of results that have come, by document: the answer to what asked for them follows. */
  #pieces = new Map<number, BlobPart[]>();
  #end: DsignClientError | null = null;
  #closed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Made by {@linkcode connect}. */
  constructor(
    socket: Channel,
    /** Name, version and protocol of the signer program. */
    public status: Status,
    /** Which signer program it is, as it has proven. A portal can keep the key for `agentKeys`. */
    public agent?: Agent,
    /** Opens a new connection; without it, one that breaks has ended. */
    readonly reach?: () => Promise<{ socket: Channel; status: Status; agent: Agent }>,
  ) {
    super();
    this.#socket = socket;
    this.#listen(socket);
  }

  #listen(socket: Channel): void {
    socket.onmessage = ({ data }) =>
      data instanceof ArrayBuffer ? this.#receivePiece(data) : this.#receive(data);
    socket.onclose = () => this.#finish();
  }

  /** Ends the connection. Calls under way reject with `connection_lost`. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#finish();
  }

  /**
   * Calls one method of the contract; `rpc.discover` describes them all.
   *
   * @throws {DsignClientError}
   */
  call<M extends MethodName>(
    method: M,
    params: Params<M>,
    { signal, onProgress }: CallOptions = {},
  ): Promise<Result<M>> {
    if (signal?.aborted) return Promise.reject(cancelled());
    if (this.#end) return Promise.reject(this.#end);
    const id = this.#nextId++;
    const abort = () => {
      const call = this.#calls.get(id);
      this.#calls.delete(id);
      if (!this.#end) this.#send({ method: "$/cancelRequest", params: { id } });
      call?.reject(cancelled());
    };
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, onProgress });
      signal?.addEventListener("abort", abort, { once: true });
      this.#send({ id, method, params });
    });
    const settled = answer.finally(() => signal?.removeEventListener("abort", abort));
    return (method === "origin.request"
      ? settled.then((granted) => this.#granted(granted))
      : settled) as Promise<
        Result<M>
      >;
  }

  /** The person has said yes at this signer program: this site knows it from now on. */
  async #granted(granted: unknown): Promise<unknown> {
    if (this.agent?.trust === "first_use") {
      await addPin(this.agent.key);
      this.agent = { key: this.agent.key, trust: "pinned" };
    }
    return granted;
  }

  /**
   * Signs a file of any kind and size: it is sent in pieces, never held in memory as a whole. The result is a
   * detached signature.
   *
   * @throws {DsignClientError}
   */
  async signDocument(
    file: Blob,
    { name = file instanceof File ? file.name : "document", hash, ...params }:
      & Partial<Pick<Params<"document.open">, "name" | "hash">>
      & Pick<Params<"sign.document">, "certificate" | "purpose"> = {},
    options: CallOptions = {},
  ): Promise<DetachedSignature> {
    const mediaType = file.type || undefined;
    return await this.#withDocument(
      file,
      { name, mediaType, hash },
      options,
      async (document) =>
        await this.call("sign.document", { document, ...params }, options) as DetachedSignature,
    );
  }

  /**
   * Signs a PDF within itself (PAdES). It is sent in pieces, and only what is new comes back: the result is the file
   * itself, followed by that.
   *
   * @throws {DsignClientError}
   */
  async signPdf(
    file: Blob,
    {
      name = file instanceof File ? file.name : "document.pdf",
      hash,
      certificate,
      purpose,
      ...pdf
    }:
      & Partial<Pick<Params<"document.open">, "name" | "hash">>
      & Pick<Params<"sign.document">, "certificate" | "purpose">
      & Params<"sign.document">["pdf"] = {},
    options: CallOptions = {},
  ): Promise<SignedPdf> {
    const open = { name, mediaType: PDF, hash };
    return await this.#withDocument(file, open, options, async (document, chunk) => {
      const params = { document, format: "pades", pdf, certificate, purpose } as const;
      const { appended, field, certificate: signer, algorithm } = await this.call(
        "sign.document",
        params,
        options,
      ) as Extract<Result<"sign.document">, { field: string }>;
      const signed = await this.#appendTo(file, document, appended, chunk);
      return { pdf: signed, field, certificate: signer, algorithm };
    });
  }

  /**
   * Tells what the signatures of a file are worth: PDF, CMS, XML, JSON, signing routes.
   *
   * @param content what a detached signature signs
   * @throws {DsignClientError}
   */
  async verify(
    file: Blob,
    { content, ...params }:
      & { content?: Blob }
      & Pick<
        Params<"signature.verify">,
        "online" | "pan"
      > = {},
    options: CallOptions = {},
  ): Promise<Result<"signature.verify">> {
    const about = { name: file instanceof File ? file.name : "document", keep: true };
    return await this.#withDocument(file, about, options, async (document) => {
      const ask = (content?: number) =>
        this.call("signature.verify", { document, content, ...params }, options);
      return content
        ? await this.#withDocument(content, { ...about, name: "content" }, options, ask)
        : await ask();
    });
  }

  /**
   * Signs many documents after one consent and with one PIN: PDFs within themselves, or with `format: "cades"` files
   * of any kind beside them. The person sees the list, and any document of it that they open. A document that cannot be
   * signed does not keep the others from being signed.
   *
   * Stopped by `signal`, or by a failure that is not of one document, it can be called again with the same list: what is
   * signed is delivered again, not signed again.
   *
   * @throws {DsignClientError} if the batch did not begin, or ended too early
   */
  async signBatch(
    files: readonly BatchFile[],
    params?:
      & { format?: "pades" }
      & Pick<Params<"sign.batch">, "certificate" | "purpose">
      & Params<"sign.batch">["pdf"],
    options?: BatchOptions,
  ): Promise<BatchResult>;
  async signBatch(
    files: readonly BatchFile[],
    params: { format: "cades" } & Pick<Params<"sign.batch">, "certificate" | "purpose" | "level">,
    options?: BatchOptions<DetachedBatchOutcome>,
  ): Promise<BatchResult>;
  async signBatch(
    files: readonly BatchFile[],
    { format = "pades", certificate, purpose, ...how }:
      & { format?: "pades" | "cades" }
      & Pick<Params<"sign.batch">, "certificate" | "purpose">
      & Params<"sign.batch">["pdf"] = {},
    { signal, onProgress, onItem }: BatchOptions<BatchOutcome & DetachedBatchOutcome> = {},
  ): Promise<BatchResult> {
    const isPdf = format === "pades";
    const typeOf = ({ type }: Blob) => isPdf ? PDF : type || "application/octet-stream";
    const items: Params<"sign.batch">["items"] = [];
    const list = async ({ name, content }: BatchFile) => {
      const hash = await crypto.subtle.digest("SHA-256", await content.arrayBuffer());
      const hex = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0"));
      return { name, mediaType: typeOf(content), size: content.size, sha256: hex.join("") };
    };
    const largest = Math.max(...files.map(({ content }) => content.size));
    const width = Math.max(1, Math.min(BATCH_PIPELINE, Math.floor(BATCH_BYTES / largest)));
    while (items.length < files.length) {
      const some = files.slice(items.length, items.length + width);
      items.push(...await Promise.all(some.map(list)));
    }
    const show = async (id: number, item: number) => {
      const { name, content } = files[item]!;
      const about = { name, mediaType: typeOf(content), keep: !isPdf };
      const { document } = await this.#open(content, about, { signal });
      await this.call("batch.show", { id, item, document });
    };
    const id = this.#nextId;
    this.#wanted.set(id, (item) => void show(id, item).catch(() => {})); // the person sees that it is missing
    let started: Result<"sign.batch">;
    try {
      const params = isPdf
        ? { items, format, pdf: how, certificate, purpose }
        : { items, format, level: how.level, certificate, purpose };
      started = await this.call("sign.batch", params, { signal, onProgress });
    } finally {
      this.#wanted.delete(id);
    }
    const { batch } = started;
    const result: BatchResult = {
      signed: 0,
      failed: 0,
      left: files.length,
      certificate: started.certificate,
    };
    let next = 0;
    let fatal: DsignClientError | undefined;
    const worker = async () => {
      while (next < files.length && !fatal && !signal?.aborted) {
        const item = next++;
        let outcome: BatchOutcome | DetachedBatchOutcome;
        try {
          const { content, name } = files[item]!;
          const about = { name, mediaType: typeOf(content) };
          outcome = { item, ...await this.#signItem(batch, item, content, about) };
          result.signed++;
        } catch (error) {
          if (!(error instanceof DsignClientError) || !OF_ONE_DOCUMENT.has(error.code)) throw error;
          outcome = { item, error };
          result.failed++;
        }
        result.left--;
        onProgress?.({ phase: "signing", done: files.length - result.left, total: files.length });
        await onItem?.(outcome as BatchOutcome & DetachedBatchOutcome);
      }
    };
    const workers = Array.from({ length: width }, () =>
      worker().catch((error) => {
        fatal ??= error;
      }));
    await Promise.all(workers);
    const forget = result.left === 0;
    await this.call("batch.close", { batch, forget }).catch(() => {}); // it may be over already
    if (fatal) throw fatal;
    return result;
  }

  async #signItem(
    batch: number,
    item: number,
    content: Blob,
    about: Pick<Params<"document.open">, "name" | "mediaType">,
  ): Promise<{ pdf: Blob; field: string } | { signature: string }> {
    const { document } = await this.#open(content, about, {});
    try {
      const signed = await this.call("batch.sign", { batch, item, document });
      if (signed.format === "cades") return { signature: signed.signature };
      const pieces = [content, ...this.#takePieces(document)];
      return { pdf: new Blob(pieces, { type: PDF }), field: signed.field };
    } finally {
      this.#pieces.delete(document);
    }
  }

  /** Fetches what is new, and puts it behind the file. */
  async #appendTo(file: Blob, document: number, appended: number, chunk: number): Promise<Blob> {
    const pieces: BlobPart[] = [file];
    for (let offset = 0; offset < appended;) {
      const { length } = await this.call("document.read", { document, offset, length: chunk });
      pieces.push(...this.#takePieces(document));
      offset += length;
    }
    return new Blob(pieces, { type: PDF });
  }

  async #open(
    file: Blob,
    about: Omit<Params<"document.open">, "size">,
    options: CallOptions,
  ): Promise<{ document: number; chunk: number }> {
    const { document, chunk, window } = await this.call(
      "document.open",
      { ...about, size: file.size },
      { signal: options.signal },
    );
    try {
      await this.#upload(file, document, chunk, window, options);
    } catch (error) {
      this.call("document.close", { document }).catch(() => {});
      throw error;
    }
    return { document, chunk };
  }

  async #withDocument<T>(
    file: Blob,
    about: Omit<Params<"document.open">, "size">,
    options: CallOptions,
    use: (document: number, chunk: number) => Promise<T>,
  ): Promise<T> {
    const { document, chunk } = await this.#open(file, about, options);
    try {
      return await use(document, chunk);
    } finally {
      // Closing what the signer program has forgotten already changes nothing.
      this.call("document.close", { document }).catch(() => {});
    }
  }

  /** Sends binary frames: `document` (4 bytes, big-endian) || bytes, at most `window` bytes unacknowledged. */
  async #upload(
    file: Blob,
    document: number,
    chunk: number,
    window: number,
    { signal, onProgress }: CallOptions,
  ): Promise<void> {
    const upload: Upload = { received: 0, wake: () => {} };
    const wake = () => upload.wake();
    this.#uploads.set(document, upload);
    signal?.addEventListener("abort", wake);
    try {
      for (let sent = 0; sent < file.size;) {
        const bytes = await file.slice(sent, sent + chunk).arrayBuffer();
        sent += bytes.byteLength;
        while (sent - upload.received > window && !this.#end && !signal?.aborted) {
          await new Promise<void>((resolve) => upload.wake = resolve);
        }
        if (this.#end) throw this.#end;
        if (signal?.aborted) throw cancelled();
        const frame = new Uint8Array(4 + bytes.byteLength);
        new DataView(frame.buffer).setUint32(0, document);
        frame.set(new Uint8Array(bytes), 4);
        this.#socket.send(frame);
        onProgress?.({ phase: "sending", done: sent, total: file.size });
      }
    } finally {
      signal?.removeEventListener("abort", wake);
      this.#uploads.delete(document);
    }
  }

  #send(message: { id?: number; method: string; params: unknown }): void {
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  #receive(frame: string): void {
    const message = JSON.parse(frame);
    if (message.method !== undefined) return this.#notified(message.method, message.params);
    const call = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (!message.error) return call?.resolve(message.result);
    if (call) return call.reject(fromWire(message.error));
    // Without an id, it is not known which message was refused: a document's piece, most likely. Nothing can be relied on.
    if (message.id === null) this.#finish(fromWire(message.error));
  }

  #takePieces(document: number): BlobPart[] {
    const pieces = this.#pieces.get(document) ?? [];
    this.#pieces.delete(document);
    return pieces;
  }

  #receivePiece(frame: ArrayBuffer): void {
    const document = new DataView(frame).getUint32(0);
    const pieces = this.#pieces.get(document) ?? [];
    this.#pieces.set(document, pieces);
    pieces.push(new Uint8Array(frame, 4));
  }

  #notified(method: string, params: unknown): void {
    switch (method) {
      case "token.changed":
        this.dispatchEvent(new Event("tokenchanged"));
        break;
      case "request.progress": {
        const { id, ...progress } = params as NotificationParams<"request.progress">;
        this.#calls.get(id as number)?.onProgress?.(progress);
        break;
      }
      case "batch.wanted": {
        const { id, item } = params as NotificationParams<"batch.wanted">;
        this.#wanted.get(id as number)?.(item);
        break;
      }
      case "document.ack": {
        const { document, received } = params as NotificationParams<"document.ack">;
        const upload = this.#uploads.get(document);
        if (upload) {
          upload.received = received;
          upload.wake();
        }
        break;
      }
    }
  }

  #finish(reason: DsignClientError = failed("connection_lost")): void {
    if (this.#end) return;
    this.#end = reason;
    this.#socket.close();
    for (const call of this.#calls.values()) call.reject(reason);
    this.#calls.clear();
    for (const upload of this.#uploads.values()) upload.wake();
    this.dispatchEvent(new Event("disconnect"));
    if (!this.#closed && this.reach) this.#retry(this.reach, RETRY);
  }

  #retry(reach: () => Promise<Reached>, wait: number): void {
    this.#timer = setTimeout(async () => {
      const reached = await reach().catch(() => null);
      if (this.#closed) return reached?.socket.close();
      if (!reached) return this.#retry(reach, Math.min(2 * wait, MAX_RETRY));
      this.#socket = reached.socket;
      this.status = reached.status;
      // It may have a new key, for which the old one vouches.
      if (this.agent) this.agent = { ...this.agent, key: reached.agent.key };
      this.#end = null;
      this.#listen(reached.socket);
      this.dispatchEvent(new Event("reconnect"));
    }, wait);
  }
}
