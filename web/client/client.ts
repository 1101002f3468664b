/** A connection to the signer program, and its methods. */
import type {
  MethodName,
  NotificationParams,
  Params,
  Result,
  Status,
} from "../../protocol/methods.ts";
import { addPin } from "./agent_key.ts";
import {
  type BatchFile,
  type BatchOptions,
  type BatchOutcome,
  type BatchParams,
  type BatchResult,
  checkFiles,
  type DetachedBatchOutcome,
  signBatch,
} from "./batch.ts";
import {
  type CallOptions,
  type CallOptionsWithin,
  checkSignal,
  type DetachedSignature,
  PDF,
  type SignedContainer,
  type SignedPdf,
} from "./calls.ts";
import type { Agent, Channel } from "./channel.ts";
import { DsignClientError, failed, fromWire, type Messages } from "./errors.ts";

/** Milliseconds between attempts to find a signer program that has gone: at first, and at most. */
const RETRY = 1000;
const MAX_RETRY = 30_000;

interface Pending {
  resolve(result: unknown): void;
  reject(error: DsignClientError): void;
  onProgress?: CallOptions["onProgress"];
  onWanted?: CallOptionsWithin["onWanted"];
}

/** What a call opens at the signer program; positive. */
interface Handles {
  document?: number;
  batch?: number;
}

/** An outgoing document: how much of it has arrived, and who waits for more to arrive. */
interface Upload {
  received: number;
  wake(): void;
}

/** Refuses what JSON would leave out, or write as `null` or `{}`: something else would be signed than is meant. */
function plain(name: string, value: unknown): unknown {
  const isPlain = typeof value === "number"
    ? isFinite(value)
    : / (Undefined|Null|Boolean|String|Array|Object)]/.test(Object.prototype.toString.call(value));
  if (isPlain) return value;
  throw new TypeError(`${name}: JSON has no ${String(value)}. Give plain values.`);
}

const EVENTS = ["tokenchanged", "disconnect", "reconnect"] as const;

/** Events of {@linkcode Client}. */
export type ClientEvent = typeof EVENTS[number];

/** An EventTarget whose events are known by name. */
export interface ClientEventTarget {
  addEventListener(
    type: ClientEvent,
    listener: ((event: Event) => void) | EventListenerObject | null,
    options?: AddEventListenerOptions | boolean,
  ): void;
  removeEventListener(
    type: ClientEvent,
    listener: ((event: Event) => void) | EventListenerObject | null,
    options?: EventListenerOptions | boolean,
  ): void;
  dispatchEvent(event: Event): boolean;
}

/**
 * A connection to the signer program.
 *
 * Events: `tokenchanged` when a token was inserted or removed; `disconnect` when the connection has broken or was
 * closed; `reconnect` when it is there again. Between these two, calls reject with `connection_lost`. Nothing is sent a
 * second time: what was under way at the break has failed. A connection through a popup is not opened again, since only
 * a click can do that.
 */
export class Client extends (EventTarget as new () => ClientEventTarget) {
  #socket: Channel;
  #nextId = 0;
  #calls = new Map<number, Pending>();
  #uploads = new Map<number, Upload>();
  /** Pieces of results that have come, by document: the answer to what asked for them follows. */
  #pieces = new Map<number, BlobPart[]>();
  #end: DsignClientError | null = null;
  #closed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Which signer program it is, as it has proven. A portal can keep the key for `agentKeys`. */
  agent: Agent | undefined;
  /** Opens a new connection; without it, one that breaks has ended. */
  reach: (() => Promise<Client>) | undefined;

  /** Made by {@linkcode connect}. */
  constructor(
    socket: Channel,
    /** Name, version and protocol of the signer program. */
    public status: Status,
    /** Sentences of errors in the page's language. */
    readonly messages?: Messages,
  ) {
    super();
    this.#socket = socket;
    this.#listen(socket);
  }

  /** @throws {TypeError} for an event that there is not */
  override addEventListener(...args: Parameters<ClientEventTarget["addEventListener"]>): void {
    if (!EVENTS.includes(args[0])) {
      throw new TypeError(`There is no event ${args[0]}, but ${EVENTS.join(", ")}.`);
    }
    super.addEventListener(...args);
  }

  #failed(what: "request_cancelled" | "connection_lost"): DsignClientError {
    return failed(what, this);
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
    options?: CallOptions,
  ): Promise<Result<M>>;
  async call<M extends MethodName>(
    method: M,
    params: Params<M>,
    { signal, onProgress, onWanted }: CallOptionsWithin = {},
  ): Promise<Result<M>> {
    checkSignal(signal);
    if (signal?.aborted) throw this.#failed("request_cancelled");
    if (this.#end) throw this.#end;
    const id = this.#nextId++;
    const abort = () => {
      const call = this.#calls.get(id);
      this.#calls.set(id, { resolve: (late) => this.#close(late as Handles), reject: () => {} });
      if (!this.#end) this.#send({ method: "$/cancelRequest", params: { id } });
      call?.reject(this.#failed("request_cancelled"));
    };
    try {
      const answer = await new Promise<unknown>((resolve, reject) => {
        this.#send({ id, method: `${method}`, params });
        this.#calls.set(id, { resolve, reject, onProgress, onWanted });
        signal?.addEventListener("abort", abort, { once: true });
      });
      const { agent } = this;
      // The person has said yes at this signer program: this site knows it from now on.
      if (method === "origin.request" && agent?.trust === "first_use") {
        await addPin(agent.key);
        this.agent = { ...agent, trust: "pinned" };
      }
      return answer as Result<M>;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Signs a file of any kind and size: it is sent in pieces, never held in memory as a whole. The result is a
   * detached signature.
   *
   * @throws {DsignClientError}
   */
  async signDocument(
    file: Blob,
    { name, hash, ...params }:
      & Partial<Pick<Params<"document.open">, "name" | "hash">>
      & Pick<Params<"sign.document">, "certificate" | "purpose"> = {},
    options: CallOptions = {},
  ): Promise<DetachedSignature> {
    return await this.#withDocument(
      file,
      { name, hash },
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
      name,
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
      const { appended, ...signed } = await this.call(
        "sign.document",
        params,
        options,
      ) as Extract<Result<"sign.document">, { field: string }>;
      const { signal } = options;
      return { pdf: await this.#appendTo(file, document, appended, chunk, { signal }), ...signed };
    });
  }

  /**
   * Signs files into a container (ASiC-E, or ASiC-S of one file), or adds a signature to a container.
   *
   * @param files together at most 64 MiB
   * @throws {DsignClientError}
   */
  async signContainer(
    files: readonly BatchFile[],
    { container = "asic-e", ...params }:
      & { container?: "asic-s" | "asic-e"; format?: "cades" | "xades" }
      & Pick<Params<"sign.document">, "certificate" | "purpose" | "level"> = {},
    options: CallOptions = {},
  ): Promise<SignedContainer> {
    checkFiles(files);
    const open: number[] = [];
    try {
      let chunk = 0;
      for (const { name, content } of files) {
        const opened = await this.#open(content, { name, keep: true }, options);
        open.push(opened.document);
        chunk = opened.chunk;
      }
      const [document, ...more] = open;
      const { appended, certificate, algorithm } = await this.call(
        "sign.document",
        { document, more, container, ...params },
        options,
      ) as Extract<Result<"sign.document">, { format: "asic-s" | "asic-e" }>;
      const type = `application/vnd.etsi.${container}+zip`;
      const { signal } = options;
      const signed = await this.#appendTo(new Blob(), document, appended, chunk, { signal }, type);
      return { container: signed, certificate, algorithm };
    } finally {
      for (const document of open) this.#close({ document });
    }
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
    return await this.#withDocument(file, { keep: true }, options, async (document) => {
      const ask = (content?: number) =>
        this.call("signature.verify", { document, content, ...params }, options);
      return content
        ? await this.#withDocument(content, { name: "content", keep: true }, options, ask)
        : await ask();
    });
  }

  /**
   * Signs many documents after one consent and with one PIN: PDFs within themselves, or with `format: "cades"` files
   * of any kind beside them. The person sees the list, and any document of it that they open. A document that cannot be
   * signed does not keep the others from being signed.
   *
   * Stopped by `signal`, or by a failure that is not of one document, it can be called again with the same list: what is
   * signed is delivered again, not signed again. `signal` ends what is being sent or waited for; the promise resolves
   * when the token has ended its signature, so that this is not lost.
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
    params: BatchParams = {},
    options: BatchOptions<BatchOutcome & DetachedBatchOutcome> = {},
  ): Promise<BatchResult> {
    const connection = {
      call: this.call.bind(this),
      open: this.#open.bind(this),
      take: this.#takePieces.bind(this),
    };
    return await signBatch(connection, files, params, options);
  }

  /** Fetches what is new, and puts it behind the file. */
  async #appendTo(
    file: Blob,
    document: number,
    appended: number,
    chunk: number,
    options: CallOptions,
    type = PDF,
  ): Promise<Blob> {
    const pieces: BlobPart[] = [file];
    for (let offset = 0; offset < appended;) {
      const part = { document, offset, length: chunk };
      const { length } = await this.call("document.read", part, options);
      pieces.push(...this.#takePieces(document));
      offset += length;
    }
    return new Blob(pieces, { type });
  }

  async #open(
    file: Blob,
    about: Partial<Params<"document.open">>,
    options: CallOptions,
  ): Promise<{ document: number; chunk: number }> {
    if (!(file instanceof Blob)) {
      throw new TypeError("A document is a File or Blob: write new Blob([bytes]).");
    }
    const { document, chunk, window } = await this.call("document.open", {
      mediaType: file.type || undefined,
      ...about,
      name: about.name ?? (file as File).name ?? "document",
      size: file.size,
    }, { signal: options.signal });
    try {
      await this.#upload(file, document, chunk, window, options);
    } catch (error) {
      this.#close({ document });
      throw error;
    }
    return { document, chunk };
  }

  async #withDocument<T>(
    file: Blob,
    about: Partial<Params<"document.open">>,
    options: CallOptions,
    use: (document: number, chunk: number) => Promise<T>,
  ): Promise<T> {
    const { document, chunk } = await this.#open(file, about, options);
    try {
      return await use(document, chunk);
    } finally {
      this.#close({ document });
    }
  }

  /** Closes what a call has opened. Closing what the signer program has forgotten already changes nothing. */
  #close({ document, batch }: Handles): void {
    if (document) this.call("document.close", { document }).catch(() => {});
    if (batch) this.call("batch.close", { batch }).catch(() => {});
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
        if (signal?.aborted) throw this.#failed("request_cancelled");
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
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }, plain));
  }

  #receive(frame: string): void {
    let message;
    try {
      message = JSON.parse(frame) ?? {};
    } catch {
      return; // another program than D-Sign, whose proof will not come
    }
    if (message.method !== undefined) return this.#notified(message.method, message.params);
    const call = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (!message.error) return call?.resolve(message.result);
    if (call) return call.reject(fromWire(message.error, this.messages));
    // Without an id, it is not known which message was refused: a document's piece, most likely. Nothing can be relied on.
    if (message.id === null) this.#finish(fromWire(message.error, this.messages));
  }

  #takePieces(document: number): BlobPart[] {
    const pieces = this.#pieces.get(document) ?? [];
    this.#pieces.delete(document);
    return pieces;
  }

  #receivePiece(frame: ArrayBuffer): void {
    const document = new DataView(frame).getUint32(0);
    const piece = new Uint8Array(frame, 4);
    this.#pieces.set(document, [...this.#takePieces(document), piece]);
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
        this.#calls.get(id as number)?.onWanted?.(id as number, item);
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

  #finish(reason: DsignClientError = this.#failed("connection_lost")): void {
    if (this.#end) return;
    this.#end = reason;
    this.#socket.close();
    for (const call of this.#calls.values()) call.reject(reason);
    this.#calls.clear();
    for (const upload of this.#uploads.values()) upload.wake();
    this.dispatchEvent(new Event("disconnect"));
    if (!this.#closed && this.reach) this.#retry(this.reach, RETRY);
  }

  #retry(reach: NonNullable<Client["reach"]>, wait: number): void {
    this.#timer = setTimeout(async () => {
      const next = await reach().catch(() => null);
      if (this.#closed) return next?.close();
      if (!next) return this.#retry(reach, Math.min(2 * wait, MAX_RETRY));
      this.status = next.status;
      // It may have a new key, for which the old one vouches.
      this.agent = { ...this.agent!, key: next.agent!.key };
      this.#end = null;
      this.#listen(this.#socket = next.#socket);
      this.dispatchEvent(new Event("reconnect"));
    }, wait);
  }
}
