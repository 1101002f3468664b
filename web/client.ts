/**
 * D-Sign for web pages: connects to the signer program on this computer and asks it for signatures.
 *
 * ```ts
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

export type { ErrorCode, MethodName, Params, Result, Scope, Status, TriesLeft };

/** The contract's version that this file speaks. */
export const PROTOCOL = 1;

/** Loopback ports at which the signer program may be found, first choice first. */
export const PORTS: readonly number[] = [7791, 17791, 27791];

/** Milliseconds for one port to answer, unless the browser is asking the person for permission meanwhile. */
const PROBE_TIMEOUT = 3000;

/** Why no connection could be made, or that it broke. */
export type ConnectionCode =
  | "not_installed"
  | "blocked_by_browser"
  | "permission_denied"
  | "outdated"
  | "connection_lost";

const CONNECTION_ERRORS: Record<ConnectionCode, string> = {
  not_installed: "D-Sign does not answer on this computer. Start it, or install it first.",
  blocked_by_browser:
    "The browser keeps this page from reaching D-Sign. Open the page by its https address, outside any frame.",
  permission_denied:
    "The browser was told not to let this site reach programs on this computer. Allow it in the site's settings, next to the address.",
  outdated: "D-Sign on this computer is too old for this page. Install the newest version.",
  connection_lost: "The connection to D-Sign was lost. Check that it is running.",
};

/** The one error of this file: whatever fails, `code` says what, and `message` what a person can do. */
export class DsignClientError extends Error {
  override readonly name = "DsignClientError";

  constructor(
    readonly code: ErrorCode | ConnectionCode,
    message: string,
    /** Whether the same call can succeed later without anything in it being changed. */
    readonly retryable: boolean = false,
    /** With `pin_incorrect`, where the token says so. */
    readonly triesLeft?: TriesLeft,
  ) {
    super(message);
  }
}

const failed = (code: ConnectionCode, message = CONNECTION_ERRORS[code]) =>
  new DsignClientError(code, message, code !== "outdated");

const fromWire = ({ message, data }: ErrorObject) =>
  new DsignClientError(
    data?.code ?? "internal_error",
    message,
    data?.retryable ?? false,
    data?.triesLeft,
  );

const cancelled = () =>
  new DsignClientError("request_cancelled", "The request was cancelled by this page.");

/** Where a call stands. `sending` (bytes) is said by this file, the others by the signer program. */
export type Progress =
  | { phase: "sending"; done: number; total: number }
  | Omit<NotificationParams<"request.progress">, "id">;

export interface CallOptions {
  /** Gives the call up: it rejects with `request_cancelled`, and what the person sees is taken back. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** What {@linkcode Client.signDocument} gives: CAdES, beside the file. */
export type DetachedSignature = Extract<Result<"sign.document">, { signature: string }>;

/** What {@linkcode Client.signPdf} gives. */
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

export interface ConnectOptions {
  /** Gives the attempt up. */
  signal?: AbortSignal;
  /** Other ports than {@linkcode PORTS}. */
  ports?: readonly number[];
}

/**
 * Finds the signer program and opens a connection to it.
 *
 * The browser may ask the person first whether this site may reach programs on this computer (Local Network Access).
 *
 * @throws {DsignClientError} `not_installed`, `blocked_by_browser`, `permission_denied`, `outdated` or
 *   `request_cancelled`
 */
export async function connect({ signal, ports = PORTS }: ConnectOptions = {}): Promise<Client> {
  for (const port of ports) {
    const status = await probe(port, signal);
    if (signal?.aborted) throw cancelled();
    if (!status) continue;
    if (status.protocol < PROTOCOL) throw failed("outdated");
    if (status.protocol > PROTOCOL) {
      throw failed(
        "outdated",
        "This page is too old for the D-Sign on this computer. Its site has to be updated.",
      );
    }
    const socket = await open(`ws://127.0.0.1:${port}/`, signal);
    return new Client(socket, status);
  }
  // Nothing answered. The browser does not tell a page why, but it leaves traces.
  if (browserForbidsLoopback()) throw failed("blocked_by_browser");
  throw failed(
    await loopbackPermission() === "denied" ? "permission_denied" : "not_installed",
  );
}

/** What the browser was told about loopback access; null where it has no such permission. */
async function loopbackPermission(): Promise<PermissionState | null> {
  // Chromium split the first name into the second.
  for (const name of ["loopback-network", "local-network-access"]) {
    try {
      return (await navigator.permissions.query({ name: name as PermissionName })).state;
    } catch {
      // This browser does not know the name.
    }
  }
  return null;
}

/** Local Network Access is for secure contexts, and for frames only where the embedding page allows it. */
function browserForbidsLoopback(): boolean {
  if (globalThis.isSecureContext === false) return true;
  const { featurePolicy } = globalThis.document as unknown as {
    featurePolicy?: { features(): string[]; allowsFeature(name: string): boolean };
  } ?? {};
  return ["loopback-network", "local-network-access"].some((name) =>
    featurePolicy?.features().includes(name) && !featurePolicy.allowsFeature(name)
  );
}

/** `GET /status`; null where no signer program answers. */
async function probe(port: number, signal?: AbortSignal): Promise<Status | null> {
  const patience = new AbortController();
  const timer = setTimeout(async () => {
    // While the browser shows its question, the request hangs, and the person may take the time they need.
    if (await loopbackPermission() !== "prompt") patience.abort();
  }, PROBE_TIMEOUT);
  try {
    const response = await fetch(`http://127.0.0.1:${port}/status`, {
      cache: "no-store",
      credentials: "omit",
      signal: signal ? AbortSignal.any([signal, patience.signal]) : patience.signal,
    });
    const status = await response.json();
    return status?.name === "dsign" ? status : null;
  } catch {
    return null; // refused, blocked or not ours: the browser does not say which
  } finally {
    clearTimeout(timer);
  }
}

function open(url: string, signal?: AbortSignal): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    const abort = () => {
      socket.close();
      reject(cancelled());
    };
    signal?.addEventListener("abort", abort, { once: true });
    socket.onopen = () => {
      signal?.removeEventListener("abort", abort);
      resolve(socket);
    };
    // The probe was answered just now, so it is the browser that refuses the socket.
    socket.onerror = () => {
      signal?.removeEventListener("abort", abort);
      reject(failed("blocked_by_browser"));
    };
  });
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
 * Events: `tokenchanged` when a token was inserted or removed; `disconnect` when the connection has ended.
 */
export class Client extends EventTarget {
  #socket: WebSocket;
  #nextId = 1;
  #calls = new Map<number, Pending>();
  #uploads = new Map<number, Upload>();
  /** The piece of a result that came last, by document: the answer to `document.read` follows it. */
  #pieces = new Map<number, BlobPart>();
  #end: DsignClientError | null = null;

  /** Made by {@linkcode connect}. */
  constructor(
    socket: WebSocket,
    /** Name, version and protocol of the signer program. */
    readonly status: Status,
  ) {
    super();
    this.#socket = socket;
    socket.onmessage = ({ data }) =>
      data instanceof ArrayBuffer ? this.#receivePiece(data) : this.#receive(data);
    socket.onerror = null;
    socket.onclose = () => this.#finish();
  }

  /** Ends the connection. Calls under way reject with `connection_lost`. */
  close(): void {
    this.#socket.close();
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
    return answer.finally(() => signal?.removeEventListener("abort", abort)) as Promise<Result<M>>;
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
    const open = { name, mediaType: "application/pdf", hash };
    return await this.#withDocument(file, open, options, async (document, chunk) => {
      const params = { document, format: "pades", pdf, certificate, purpose } as const;
      const { appended, field, certificate: signer, algorithm } = await this.call(
        "sign.document",
        params,
        options,
      ) as Extract<Result<"sign.document">, { field: string }>;
      const pieces: BlobPart[] = [file];
      for (let offset = 0; offset < appended;) {
        const { length } = await this.call("document.read", { document, offset, length: chunk });
        pieces.push(this.#pieces.get(document)!);
        this.#pieces.delete(document);
        offset += length;
      }
      const signed = new Blob(pieces, { type: "application/pdf" });
      return { pdf: signed, field, certificate: signer, algorithm };
    });
  }

  async #withDocument<T>(
    file: Blob,
    about: Omit<Params<"document.open">, "size">,
    options: CallOptions,
    use: (document: number, chunk: number) => Promise<T>,
  ): Promise<T> {
    const { document, chunk, window } = await this.call(
      "document.open",
      { ...about, size: file.size },
      { signal: options.signal },
    );
    try {
      await this.#upload(file, document, chunk, window, options);
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

  #receivePiece(frame: ArrayBuffer): void {
    this.#pieces.set(new DataView(frame).getUint32(0), new Uint8Array(frame, 4));
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
  }
}
