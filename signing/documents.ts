/**
 * Documents that a page sends in pieces: hashed as they arrive, and not kept but for their beginning, unless they are
 * PDFs.
 */
import type { Hash } from "node:crypto";
import { hasher } from "../formats/digest.ts";
import { LIMITS } from "../protocol/envelope.ts";
import type { ConsentItem } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import type { HashAlgorithm } from "../protocol/methods.ts";
import type { Kept } from "./spool.ts";

/** How much of a text the person is shown, in bytes. */
export const PREVIEW_LENGTH = 256 * 1024;

/** Taken bytes are acknowledged when they are this many more, and at the document's end. */
const ACKNOWLEDGE_EVERY = 1024 * 1024;

/** Whether documents of a media type are kept, to be shown page by page and to be signed within. */
export const isPdf = (mediaType: string): boolean => /^application\/pdf\s*(;|$)/i.test(mediaType);

/** ISO 32000-2 §7.5.2; junk before the header is refused where a PDF is signed. */
const startsAsPdf = (bytes: Uint8Array): boolean =>
  new TextDecoder("latin1").decode(bytes.subarray(0, 5)) === "%PDF-";

export class Document {
  #hash: Hash;
  #received = 0;
  #acknowledged = 0;
  #beginning: Uint8Array<ArrayBuffer>;
  #digest: Uint8Array | undefined;
  #holds = 0;
  #closed = false;
  /** What signing appends to it, once it is signed. */
  appended: Uint8Array | undefined;

  constructor(
    readonly name: string,
    readonly mediaType: string,
    readonly size: number,
    readonly algorithm: HashAlgorithm,
    /** Where its bytes stay; without it they are only hashed. */
    readonly kept?: Kept,
  ) {
    this.#hash = hasher(algorithm);
    this.#beginning = new Uint8Array(kept ? 0 : Math.min(size, PREVIEW_LENGTH));
  }

  get received(): number {
    return this.#received;
  }

  /** @throws {DsignError} `too_large` where more arrives than was announced */
  append(bytes: Uint8Array): void {
    if (this.#received + bytes.length > this.size) {
      throw new DsignError("too_large", "More bytes arrived than the document was said to have.");
    }
    if (this.#received < this.#beginning.length) {
      const room = this.#beginning.length - this.#received;
      this.#beginning.set(bytes.subarray(0, room), this.#received);
    }
    this.#hash.update(bytes);
    this.kept?.append(bytes);
    this.#received += bytes.length;
  }

  /** Whether the sender is to be told now how much has been taken. */
  acknowledgementDue(): boolean {
    const due = this.#received === this.size ||
      this.#received - this.#acknowledged >= ACKNOWLEDGE_EVERY;
    if (due) this.#acknowledged = this.#received;
    return due;
  }

  /** @throws {DsignError} `document_incomplete` */
  digest(): Uint8Array {
    return this.#digest ??= new Uint8Array(this.hashed().digest());
  }

  /**
   * The hash of the whole document in a state that can go on with what follows it.
   *
   * @throws {DsignError} `document_incomplete`
   */
  hashed(): Hash {
    if (this.#received < this.size) throw new DsignError("document_incomplete");
    return this.#hash.copy();
  }

  /** Forgets the document, at once or when nobody holds it any more. */
  close(): void {
    this.#closed = true;
    if (this.#holds === 0) this.kept?.close();
  }

  /** Runs `work` on the document, which stays meanwhile even if it is closed. */
  async held<T>(work: () => Promise<T>): Promise<T> {
    this.#holds++;
    try {
      return await work();
    } finally {
      this.#holds--;
      if (this.#closed) this.close();
    }
  }

  /** What the person is shown: by what the bytes are, since the page that names the kind may want them hidden. */
  item(): ConsentItem {
    const beginning = this.kept?.read(0, Math.min(this.size, PREVIEW_LENGTH)) ?? this.#beginning;
    const isPages = this.kept !== undefined && startsAsPdf(beginning);
    return {
      name: this.name,
      mediaType: this.mediaType,
      size: this.size,
      hash: { algorithm: this.algorithm, hex: this.digest().toHex() },
      preview: isPages ? null : preview(beginning, this.size),
      ...isPages && { pdf: { adds: null } },
    };
  }
}

/** The documents of one connection. */
export class Documents {
  #open = new Map<number, Document>();
  #last = 0;

  /** @throws {DsignError} `busy` */
  open(document: Document): number {
    if (this.#open.size >= LIMITS.openDocuments) {
      document.close();
      throw new DsignError("busy", "Too many documents are open. Close one first.");
    }
    this.#open.set(++this.#last, document);
    return this.#last;
  }

  /** @throws {DsignError} `document_not_found` */
  get(handle: number): Document {
    const document = this.#open.get(handle);
    if (!document) throw new DsignError("document_not_found");
    return document;
  }

  /** @throws {DsignError} `document_not_found` */
  close(handle: number): void {
    this.get(handle).close();
    this.#open.delete(handle);
  }

  /**
   * Hands a document over: the page can no longer close it.
   *
   * @throws {DsignError} `document_not_found`
   */
  take(handle: number): Document {
    const document = this.get(handle);
    this.#open.delete(handle);
    return document;
  }

  clear(): void {
    for (const handle of [...this.#open.keys()]) this.close(handle);
  }
}

/** The beginning of a text as it can be shown; null where the bytes are no text. */
export function preview(bytes: Uint8Array, size: number): ConsentItem["preview"] {
  const shown = bytes.subarray(0, PREVIEW_LENGTH);
  const truncated = size > shown.length;
  let text: string;
  try {
    // Of a text cut short, the last character may be incomplete: it is left out, not refused.
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(shown, {
      stream: truncated,
    });
  } catch {
    return null;
  }
  // deno-lint-ignore no-control-regex -- control characters are what tells binary files apart
  return /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text) ? null : { text, truncated };
}
