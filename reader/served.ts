/** Serves a reader the documents of its question: ranges of bytes, and digests, which are computed where the bytes are. */
import type { Hash } from "node:crypto";
import type { DigestName } from "../formats/signer.ts";
import { hasher } from "../formats/digest.ts";
import type { Ranges, Source } from "../formats/source.ts";
import { MAX_PIECE, type Need } from "./messages.ts";

/** Documents of no more bytes go along with the question. */
const SMALL = 256 * 1024;
const PIECE = 1024 * 1024;
/** How often all digests of one question may read a document in full. */
const MAX_DIGESTED = 8;
/** What a range costs besides its bytes, in bytes. */
const RANGE_COST = 1024;

/** The documents of one question, served to a reader that is not trusted to ask rightly. */
export class Served {
  readonly #documents: readonly Source[];
  /** Read for the reader, which keeps the bytes it receives: each piece is valid until the next one. */
  readonly #pieces: readonly Source[];
  readonly #digests: RangeDigests[];

  constructor(documents: readonly Source[]) {
    this.#documents = documents;
    this.#pieces = documents.map((document) => document.sequential?.() ?? document);
    this.#digests = this.#pieces.map((pieces) => new RangeDigests(pieces));
  }

  /** Whether all documents go along with the question. */
  get areSmall(): boolean {
    return this.#documents.every(({ size }) => size <= SMALL);
  }

  /** Sent along with the question: small documents whole, and the size of others. */
  announced(): { size: number; bytes?: Uint8Array }[] {
    return this.#documents.map((document) => {
      const { size } = document;
      return size > SMALL ? { size } : { size, bytes: document.read(0, size) };
    });
  }

  /**
   * @returns bytes that are valid until the next call
   * @throws {RangeError} if the reader asks for bytes that do not exist
   */
  async serve(need: Need): Promise<Uint8Array> {
    const document = this.#pieces[need.document];
    if (!document) throw new RangeError("The reader asks for a document that there is not.");
    switch (need.need) {
      case "bytes": {
        checkRange(document, need.offset, need.length);
        if (need.length > MAX_PIECE) throw new RangeError("The reader asks for too much at once.");
        return document.read(need.offset, need.length);
      }
      case "digest":
        for (const [offset, length] of need.ranges) checkRange(document, offset, length);
        return await this.#digests[need.document].of(need.hash, need.ranges, need.then);
      default:
        throw new RangeError("The reader asks for what there is not.");
    }
  }
}

function checkRange({ size }: Source, offset: number, length: number): void {
  const isInside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 &&
    length >= 0 && offset + length <= size;
  if (!isInside) throw new RangeError("The reader asks for bytes beyond the document.");
}

/**
 * Digests of ranges of one document. Signatures of a PDF cover the same beginning, which is read once however many
 * there are; between pieces, others get their turn.
 */
class RangeDigests {
  readonly #running = new Map<DigestName, { hash: Hash; at: number }>();
  #left: number;
  /** Bytes since others had their turn. */
  #since = 0;

  constructor(readonly document: Source) {
    this.#left = MAX_DIGESTED * document.size;
  }

  async of(
    name: DigestName,
    ranges: Ranges,
    then: Uint8Array = new Uint8Array(),
  ): Promise<Uint8Array> {
    const [[start, length] = [0, 0], ...rest] = ranges;
    let hash: Hash;
    if (start === 0) {
      let running = this.#running.get(name);
      if (!running || running.at > length) running = { hash: hasher(name), at: 0 };
      await this.#feed(running.hash, running.at, length - running.at);
      running.at = length;
      this.#running.set(name, running);
      hash = running.hash.copy();
    } else {
      hash = hasher(name);
      rest.unshift([start, length]);
    }
    for (const [offset, length] of rest) await this.#feed(hash, offset, length);
    for (let at = 0; at < then.length; at += PIECE) {
      await this.#update(hash, then.subarray(at, at + PIECE));
    }
    return new Uint8Array(hash.digest());
  }

  async #feed(hash: Hash, offset: number, length: number): Promise<void> {
    this.#left -= length + RANGE_COST;
    if (this.#left < 0) throw new RangeError("The reader asks for too many digests.");
    for (let at = 0; at < length; at += PIECE) {
      await this.#update(hash, this.document.read(offset + at, Math.min(PIECE, length - at)));
    }
  }

  /** Of many small ranges too, others wait for a few only. */
  async #update(hash: Hash, bytes: Uint8Array): Promise<void> {
    hash.update(bytes);
    this.#since += bytes.length + RANGE_COST;
    if (this.#since < PIECE) return;
    this.#since = 0;
    await new Promise((resolve) => setTimeout(resolve));
  }
}
