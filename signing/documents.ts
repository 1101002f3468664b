/**
 * Documents that a page sends in pieces: hashed as they arrive, and not kept but for their beginning, unless they are
 * PDFs.
 */
import type { Hash } from "node:crypto";
import { hasher } from "../formats/digest.ts";
import type { HashName } from "../formats/signer.ts";
import { HEADER_LENGTH, isPdf, SHOWN_LENGTH, shownAs } from "../formats/shown.ts";
import { LIMITS } from "../protocol/envelope.ts";
import type { ConsentItem } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import type { HashAlgorithm } from "../protocol/methods.ts";
import { hashWith } from "./certificates.ts";
import type { Kept } from "./spool.ts";

const PIECE = 1024 * 1024;

function hashOf(kept: Kept, algorithm: HashName): Hash {
  const hash = hasher(algorithm);
  const source = kept.sequential();
  for (let at = 0; at < kept.size; at += PIECE) {
    hash.update(source.read(at, Math.min(PIECE, kept.size - at)));
  }
  return hash;
}

/** Taken bytes are acknowledged when they are this many more, and at the document's end. */
const ACKNOWLEDGE_EVERY = 1024 * 1024;

export class Document {
  readonly #hashes: Map<HashName, Hash>;
  #received = 0;
  #acknowledged = 0;
  #beginning: Uint8Array<ArrayBuffer>;
  #makeRoom: (() => Kept) | undefined;
  #problem: unknown;
  /** Store of its bytes; without it they are only hashed. */
  kept: Kept | undefined;
  /** Of the digest that is shown. */
  readonly algorithm: HashAlgorithm;
  readonly #digests = new Map<HashName, Uint8Array>();
  #holds = 0;
  #closed = false;
  /** Bytes appended by signing, once it is signed. */
  appended: Uint8Array | undefined;

  constructor(
    readonly name: string,
    readonly mediaType: string,
    readonly size: number,
    /** The digest that was asked for; undefined: the one that goes with the key. */
    readonly asked: HashAlgorithm | undefined,
    /** Where its bytes stay, or how room for them is made if it turns out to be a PDF. */
    kept?: Kept | (() => Kept),
    /** Other algorithms, one of which the certificate that is chosen later may need. */
    also: readonly HashName[] = [],
  ) {
    this.algorithm = asked ?? "SHA-256";
    this.#hashes = new Map([this.algorithm, ...also].map((each) => [each, hasher(each)]));
    if (typeof kept === "function") this.#makeRoom = kept;
    else this.kept = kept;
    this.#beginning = new Uint8Array(this.kept ? 0 : Math.min(size, SHOWN_LENGTH));
  }

  get received(): number {
    return this.#received;
  }

  /** @throws {DsignError} `too_large` where more arrives than was announced */
  append(bytes: Uint8Array): void {
    if (this.#received + bytes.length > this.size) {
      throw new DsignError("too_large", "More bytes arrived than were announced for the document.");
    }
    if (this.#received < this.#beginning.length) {
      const room = this.#beginning.length - this.#received;
      this.#beginning.set(bytes.subarray(0, room), this.#received);
    }
    for (const hash of this.#hashes.values()) hash.update(bytes);
    this.#received += bytes.length;
    if (this.kept) return this.kept.append(bytes);
    if (!this.#makeRoom || this.#received < Math.min(this.size, HEADER_LENGTH)) return;
    const before = this.#received - bytes.length;
    if (isPdf(this.#beginning.subarray(0, this.#received))) {
      try {
        this.kept = this.#makeRoom();
        this.kept.append(this.#beginning.subarray(0, before));
        this.kept.append(bytes);
        // What a key needs beside can be read again.
        for (const each of this.#hashes.keys()) {
          if (each !== this.algorithm) this.#hashes.delete(each);
        }
      } catch (error) {
        // No request waits for this frame: the one that wants the document is told.
        this.#problem = error;
      }
    }
    this.#makeRoom = undefined;
  }

  /** Whether it is time to acknowledge the bytes received so far. */
  acknowledgementDue(): boolean {
    const due = this.#received === this.size ||
      this.#received - this.#acknowledged >= ACKNOWLEDGE_EVERY;
    if (due) this.#acknowledged = this.#received;
    return due;
  }

  /**
   * @throws {DsignError} `document_incomplete`; `busy`, `storage_failed` where there was no room for it; `invalid_params`
   *   where it is not kept and was not hashed so
   */
  digest(algorithm: HashName = this.algorithm): Uint8Array {
    return this.#digests.getOrInsertComputed(
      algorithm,
      () => new Uint8Array(this.hashed(algorithm).digest()),
    );
  }

  /**
   * The hash of the whole document in a state that can go on with what follows it.
   *
   * @throws {DsignError} as {@linkcode digest}
   */
  hashed(algorithm: HashName = this.algorithm): Hash {
    if (this.#problem) throw this.#problem;
    if (this.#received < this.size) throw new DsignError("document_incomplete");
    let hash = this.#hashes.get(algorithm);
    if (!hash && this.kept) this.#hashes.set(algorithm, hash = hashOf(this.kept, algorithm));
    if (!hash) {
      throw new DsignError(
        "invalid_params",
        `The document arrived before a key that needs ${algorithm} was there. Send it once more.`,
      );
    }
    return hash.copy();
  }

  /**
   * The digest for a certificate: the one that goes with it. Where its token came after the document, which is not kept,
   * SHA-256 serves any curve.
   *
   * @param certificate DER
   */
  hashFor(certificate: Uint8Array): HashName {
    const hash = hashWith(certificate, this.asked);
    return this.kept || this.#hashes.has(hash) ? hash : this.algorithm;
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

  /** The item shown to the person, judged by the bytes: a page could name a wrong type to hide them. */
  item(): ConsentItem {
    const beginning = this.kept?.read(0, Math.min(this.size, SHOWN_LENGTH)) ?? this.#beginning;
    return {
      name: this.name,
      size: this.size,
      hash: { algorithm: this.algorithm, hex: this.digest().toHex() },
      ...shownItem(beginning, this.size, this.mediaType),
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

  /**
   * Runs `work` on documents, which stay meanwhile even if the page closes them.
   *
   * @throws {DsignError} `document_not_found`
   */
  async held<T>(
    handles: readonly number[],
    work: (documents: Document[]) => Promise<T>,
  ): Promise<T> {
    const documents = handles.map((handle) => this.get(handle));
    return await documents.reduce((inner, each) => () => each.held(inner), () => work(documents))();
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

/**
 * How a document is shown to the person, judged by its bytes. The caller's media type is kept only if they agree.
 *
 * @param beginning its first {@linkcode SHOWN_LENGTH} bytes
 */
export function shownItem(
  beginning: Uint8Array,
  size: number,
  mediaType: string,
): Pick<ConsentItem, "mediaType" | "preview" | "pdf"> {
  const shown = shownAs(beginning, size);
  const isText = /^text\/|[/+](json|xml)\b/i.test(mediaType);
  switch (shown.as) {
    case "pdf":
      return { mediaType: PDF, preview: null, pdf: { adds: null } };
    case "text": {
      const { text, truncated } = shown;
      return { mediaType: isText ? mediaType : "text/plain", preview: { text, truncated } };
    }
    case "nothing":
      return {
        mediaType: isText || isPdfType(mediaType) ? "application/octet-stream" : mediaType,
        preview: null,
      };
  }
}

const PDF = "application/pdf";

/** Whether the caller declares a document to be a PDF. */
export const isPdfType = (mediaType: string): boolean =>
  /^application\/pdf\s*(;|$)/i.test(mediaType);
