/** A connection to the signer program, and its methods. */
import type { ErrorCode } from "../../protocol/errors.ts";
import type {
  MethodName,
  NotificationParams,
  Params,
  Result,
  Status,
} from "../../protocol/methods.ts";
import { addPin } from "./agent_key.ts";
import type { Agent, Channel } from "./channel.ts";
import { DsignClientError, failed, fromWire, type Messages } from "./errors.ts";

/** Milliseconds between attempts to find a signer program that has gone: at first, and at most. */
const RETRY = 1000;
const MAX_RETRY = 30_000;

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

/** Result of {@linkcode Client.signContainer}. */
export interface SignedContainer {
  /** The whole container. */
  container: Blob;
  /** The signer's certificate, DER, Base64. */
  certificate: string;
  /** JWA name, as in `RS256`. */
  algorithm: string;
}

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

/** Events of {@linkcode Client}. */
export type ClientEvent = "tokenchanged" | "disconnect" | "reconnect";

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
    /** Sentences of errors in the page's language. */
    readonly messages?: Messages,
  ) {
    super();
    this.#socket = socket;
    this.#listen(socket);
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
    { signal, onProgress }: CallOptions = {},
  ): Promise<Result<M>> {
    if (signal?.aborted) return Promise.reject(this.#failed("request_cancelled"));
    if (this.#end) return Promise.reject(this.#end);
    const id = this.#nextId++;
    const abort = () => {
      const call = this.#calls.get(id);
      this.#calls.delete(id);
      if (!this.#end) this.#send({ method: "$/cancelRequest", params: { id } });
      call?.reject(this.#failed("request_cancelled"));
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
      const signed = await this.#appendTo(file, document, appended, chunk, {
        signal: options.signal,
      });
      return { pdf: signed, field, certificate: signer, algorithm };
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
    if (files.length === 0) throw new TypeError("signContainer() takes at least one file.");
    const open: number[] = [];
    try {
      let chunk = 0;
      for (const { name, content } of files) {
        const about = { name, mediaType: content.type || undefined, keep: true };
        const opened = await this.#open(content, about, options);
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
      for (const document of open) this.call("document.close", { document }).catch(() => {});
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
    if (files.length === 0 || !files.every(({ content }) => content instanceof Blob)) {
      throw new TypeError("signBatch() takes a list of { name, content: File or Blob }.");
    }
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
    about: Omit<Params<"document.open">, "size">,
    options: CallOptions,
  ): Promise<{ document: number; chunk: number }> {
    if (!(file instanceof Blob)) {
      throw new TypeError("A document is a File or Blob: write new Blob([bytes]), not text.");
    }
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
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  #receive(frame: string): void {
    const message = JSON.parse(frame);
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
