/**
 * Signing many documents with one consent and one PIN. What the person agrees to is the manifest, a list of names,
 * sizes and hashes; the documents come afterwards, and each must be the one that its entry says.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../formats/json/canonical.ts";
import { sameBytes } from "../formats/x509/certificate.ts";
import type { ConsentItem } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import type { BatchItem, ParsedParams, PdfOptions } from "../protocol/methods.ts";
import type { Document } from "./documents.ts";
import type { Journal, Signed } from "./journal.ts";
import { additionsOf } from "./shown_pdf.ts";

/** A batch of which nothing is asked for so long is given up, in milliseconds. */
const PATIENCE = 120_000;
/** How long a page may take to bring a document that the person wants to see, in milliseconds. */
const SHOW_PATIENCE = 30_000;
/** Documents that the person looked at and that are still there. */
const MAX_SHOWN = 4;

/** A batch, as requested by page and command line. */
export type BatchParams = Pick<
  ParsedParams<"sign.batch">,
  "items" | "format" | "level" | "pdf" | "certificate"
>;

/** Gives the document of an item, while the person is being asked. @throws {DsignError} `document_not_found` */
export type Bring = (item: number) => Promise<Document>;

/** SHA-256 (hex) of the items in canonical JSON (RFC 8785): what the person's consent is bound to. */
export const manifestHash = (items: readonly BatchItem[]): string =>
  createHash("sha256").update(canonicalJson(JSON.stringify(items))).digest("hex");

/** Name of the journal: the same asker, list, way of signing and certificate go on with the same journal. */
export function journalName(
  origin: string | null,
  { items, format, level, pdf }: BatchParams,
  certificate: string,
  manifest: string = manifestHash(items),
): string {
  const how = format === "cades" ? { format, level } : { format, pdf: pdf ?? {} };
  const what = { origin, manifest, ...how, certificate };
  return createHash("sha256").update(canonicalJson(JSON.stringify(what))).digest("hex");
}

/** View of a batch's item before its document has arrived. */
export function batchItem(
  { name, mediaType, size, sha256 }: BatchItem,
  format: BatchParams["format"],
  options: PdfOptions,
): ConsentItem {
  return {
    name,
    mediaType,
    size,
    hash: { algorithm: "SHA-256", hex: sha256 },
    preview: null,
    ...format === "pades" && { pdf: { adds: additionsOf(options) } },
  };
}

/** @throws {DsignError} `document_incomplete`; `consent_mismatch` where it is not what was agreed to */
function checkEntry(document: Document, { size, sha256 }: BatchItem): void {
  if (document.asked !== undefined) {
    throw new DsignError(
      "invalid_params",
      "Open a batch's documents without hash: it follows the key.",
    );
  }
  if (document.size !== size || !sameBytes(document.digest(), Uint8Array.fromHex(sha256))) {
    throw new DsignError(
      "consent_mismatch",
      "This document differs from the one in the list. It was not signed.",
    );
  }
}

/** A batch whose key is open. */
export class Batch {
  /** Resolves when nothing more is signed: all is, or the batch is closed. The token is free for others then. */
  readonly over: Promise<void>;
  /** Resolves when results cannot be had again either. */
  readonly closed: Promise<void>;
  #finish: () => void;
  #end: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  readonly #underWay = new Map<number, Promise<Signed & { resumed: boolean }>>();

  constructor(
    readonly items: readonly BatchItem[],
    readonly format: BatchParams["format"],
    readonly signer: { certificate: string; algorithm: string },
    readonly journal: Journal,
    readonly make: (document: Document, item: number) => Promise<Signed>,
  ) {
    const over = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    this.over = over.promise;
    this.closed = closed.promise;
    this.#finish = over.resolve;
    this.#end = closed.resolve;
    this.#wait();
    if (journal.items.length === items.length) this.#finish();
  }

  /** Items that were signed before. */
  get signed(): number[] {
    return this.journal.items;
  }

  /**
   * Signs one item. What has been signed before, or is being signed, is not signed again.
   *
   * @throws {DsignError} `invalid_params`, `consent_mismatch`, `request_cancelled` once the batch is over; what signing
   *   throws
   */
  async sign(item: number, document: Document): Promise<Signed & { resumed: boolean }> {
    if (this.#ended) throw new DsignError("request_cancelled", "This batch has ended.");
    const entry = this.items[item];
    if (!entry) throw new DsignError("invalid_params", `item: unknown item ${item}.`);
    checkEntry(document, entry);
    let work = this.#underWay.get(item);
    if (!work) {
      // A repeated item does not restart the timer: a page could hold the token forever by asking again and again.
      const before = this.journal.find(item);
      if (before) return { ...before, resumed: true };
      clearTimeout(this.#timer);
      work = this.#sign(item, document).finally(() => {
        this.#underWay.delete(item);
        if (this.#underWay.size > 0) return;
        this.#wait();
        if (this.journal.items.length === this.items.length) this.#finish();
      });
      this.#underWay.set(item, work);
    }
    return await work;
  }

  async #sign(item: number, document: Document): Promise<Signed & { resumed: boolean }> {
    const signed = await this.make(document, item);
    this.journal.add(item, signed);
    return { ...signed, resumed: false };
  }

  /**
   * Ends the batch after what is under way.
   *
   * @param forget everything has been received, and nothing will be asked for again
   */
  async close(forget = false): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    await Promise.allSettled(this.#underWay.values());
    this.journal.close(forget);
    this.#finish();
    this.#end();
  }

  #wait(): void {
    clearTimeout(this.#timer);
    if (!this.#ended) this.#timer = setTimeout(() => this.close(), PATIENCE);
  }
}

/** Shows items of a batch while the person is being asked: the page brings a document when it is wanted. */
export class Showing {
  readonly #waiting = new Map<number, PromiseWithResolvers<Document>>();
  readonly #shown = new Map<number, Document>();

  constructor(
    readonly items: readonly BatchItem[],
    readonly want: (item: number) => void,
  ) {}

  /** @throws {DsignError} `document_not_found` where the page does not bring it in time */
  async show(item: number): Promise<Document> {
    const known = this.#shown.get(item);
    if (known) return known;
    if (!this.items[item]) throw new DsignError("document_not_found");
    let waiting = this.#waiting.get(item);
    if (!waiting) {
      waiting = Promise.withResolvers<Document>();
      this.#waiting.set(item, waiting);
      const { reject } = waiting;
      const timer = setTimeout(() => reject(new DsignError("document_not_found")), SHOW_PATIENCE);
      waiting.promise.catch(() => {}).finally(() => {
        clearTimeout(timer);
        this.#waiting.delete(item);
      });
      this.want(item);
    }
    return await waiting.promise;
  }

  /**
   * Takes a document that was wanted.
   *
   * @throws {DsignError} `invalid_params` where it was not; as {@linkcode checkEntry}
   */
  bring(item: number, document: Document): void {
    const waiting = this.#waiting.get(item);
    if (!waiting) throw new DsignError("invalid_params", "Nobody asked for this document.");
    checkEntry(document, this.items[item]);
    if (this.#shown.size >= MAX_SHOWN) {
      const [oldest, gone] = this.#shown.entries().next().value!;
      this.#shown.delete(oldest);
      gone.close();
    }
    this.#shown.set(item, document);
    waiting.resolve(document);
  }

  close(): void {
    for (const { reject } of this.#waiting.values()) reject(new DsignError("request_cancelled"));
    for (const document of this.#shown.values()) document.close();
    this.#shown.clear();
  }
}

/** The batches of one connection, and those that are being asked about. */
export class Batches {
  readonly #open = new Map<number, Batch>();
  readonly #asking = new Map<string | number, Showing>();
  #last = 0;
  #closed = false;

  /** Runs a question during which items can be shown. */
  async asking<T>(id: string | number, showing: Showing, question: () => Promise<T>): Promise<T> {
    this.#asking.set(id, showing);
    try {
      return await question();
    } finally {
      this.#asking.delete(id);
      showing.close();
    }
  }

  /** @throws {DsignError} `invalid_params` where nothing is asked by this id */
  showing(id: string | number): Showing {
    const showing = this.#asking.get(id);
    if (!showing) throw new DsignError("invalid_params", "Nobody asked for this document.");
    return showing;
  }

  /** @throws {DsignError} `request_cancelled` where the connection has ended */
  open(batch: Batch): number {
    if (this.#closed) {
      batch.close();
      throw new DsignError("request_cancelled");
    }
    const handle = ++this.#last;
    this.#open.set(handle, batch);
    batch.closed.then(() => this.#open.delete(handle));
    return handle;
  }

  /** @throws {DsignError} `request_cancelled` */
  get(handle: number): Batch {
    const batch = this.#open.get(handle);
    if (!batch) throw new DsignError("request_cancelled", "This batch has ended.");
    return batch;
  }

  /** Ends them all, because the connection ends. */
  clear(): void {
    this.#closed = true;
    for (const batch of this.#open.values()) batch.close();
  }
}
