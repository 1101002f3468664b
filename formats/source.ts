import { Buffer } from "node:buffer";
import { hasher } from "./digest.ts";
import type { DigestName } from "./signer.ts";

/**
 * Random access to the bytes of a document. Synchronous, because a PDF is read by following
 * offsets; the caller gives one over a file, a spool or memory.
 */
export interface Source {
  /** Length in bytes; does not change while the source is in use. */
  readonly size: number;
  /**
   * Bytes from `offset`; fewer than `length` only at the end of the source. They stay as they are,
   * but may be a view into far more memory, so whoever keeps a few for long copies them.
   */
  read(offset: number, length: number): Uint8Array;
  /** The same bytes for reading from beginning to end: a piece is good until the next one only. */
  sequential?(): Source;
  /** The digest of ranges, then of further bytes, where the bytes are elsewhere and it is made there. */
  digest?(hash: DigestName, ranges: Ranges, then?: Uint8Array): Uint8Array;
}

/** Pieces of a source, in order. */
export type Ranges = readonly (readonly [offset: number, length: number])[];

const PIECE = 1 << 20;

/** The digest of ranges of a source. */
export function digestOf(source: Source, hash: DigestName, ranges: Ranges): Uint8Array {
  if (source.digest) return source.digest(hash, ranges);
  const state = hasher(hash);
  for (const [offset, length] of ranges) {
    for (let at = 0; at < length; at += PIECE) {
      state.update(source.read(offset + at, Math.min(PIECE, length - at)));
    }
  }
  return new Uint8Array(state.digest());
}

/** A source over bytes in memory; nothing is copied. */
export function bytesSource(bytes: Uint8Array): Source {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, Math.min(bytes.length, offset + length)),
  };
}

/** The first `size` bytes of a source: a document as it was at an earlier revision. */
export function prefixSource(source: Source, size: number): Source {
  return {
    size,
    read: (offset, length) => source.read(offset, Math.max(0, Math.min(length, size - offset))),
  };
}

/** A source without its first `start` bytes. */
export function suffixSource(source: Source, start: number): Source {
  if (start === 0) return source;
  return {
    size: source.size - start,
    read: (offset, length) => source.read(offset + start, length),
  };
}

/** A source followed by further bytes: a document and its next revision. */
export function appendedSource(source: Source, appended: Uint8Array): Source {
  const size = source.size + appended.length;
  const digest: Source["digest"] = source.digest && ((hash, ranges, then) => {
    const own: [number, number][] = [];
    const after: Uint8Array[] = [];
    for (const [offset, length] of ranges) {
      const inside = Math.max(0, Math.min(length, source.size - offset));
      if (inside > 0) {
        if (after.length > 0) throw new Error("The ranges are not in order.");
        own.push([offset, inside]);
      }
      const start = Math.max(0, offset - source.size);
      if (length > inside) after.push(appended.subarray(start, start + length - inside));
    }
    return source.digest!(hash, own, Buffer.concat([...after, ...then ? [then] : []]));
  });
  return {
    size,
    digest,
    read(offset, length) {
      const end = Math.min(size, offset + length);
      if (end <= source.size) return source.read(offset, length);
      const tail = appended.subarray(Math.max(0, offset - source.size), end - source.size);
      if (offset >= source.size) return tail;
      const out = new Uint8Array(end - offset);
      out.set(source.read(offset, source.size - offset), 0);
      out.set(tail, source.size - offset);
      return out;
    },
  };
}

const BLOCK = 64 * 1024;
const MAX_BLOCKS = 128;
/** Most blocks that are read at a time. */
const MAX_RUN = 16;

/**
 * Random access to bytes that are costly to get: blocks of 64 KiB are read once and 8 MiB of them kept. While it is read
 * from one block to the next, more and more blocks are got at a time.
 */
export class BlockSource implements Source {
  readonly #blocks = new Map<number, Uint8Array>();
  /** Blocks that were got last: how many, and the one behind them. */
  #run = 0;
  #next = 0;

  /**
   * @param size in bytes
   * @param fill fills an array with the bytes from an offset on
   */
  constructor(readonly size: number, readonly fill: (into: Uint8Array, offset: number) => void) {}

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(this.size, offset + length);
    if (end <= offset) return new Uint8Array();
    const first = Math.floor(offset / BLOCK);
    const last = Math.floor((end - 1) / BLOCK);
    if (first === last) {
      return this.#block(first).subarray(offset - first * BLOCK, end - first * BLOCK);
    }
    // Returned bytes are never overwritten: a parser may keep them while it reads elsewhere.
    const bytes = new Uint8Array(end - offset);
    if (last === first + 1) {
      // Parsers read on from there: the second block is wanted next.
      const middle = last * BLOCK;
      bytes.set(this.#block(first).subarray(offset - first * BLOCK));
      bytes.set(this.#block(last).subarray(0, end - middle), middle - offset);
    } else this.fill(bytes, offset);
    return bytes;
  }

  #block(index: number): Uint8Array {
    const block = this.#blocks.get(index);
    if (!block) return this.#get(index);
    this.#blocks.delete(index);
    this.#blocks.set(index, block);
    return block;
  }

  #get(index: number): Uint8Array {
    this.#run = index === this.#next ? Math.min(MAX_RUN, 2 * this.#run || 1) : 1;
    let count = 1;
    while (count < this.#run && !this.#blocks.has(index + count)) count++;
    const start = index * BLOCK;
    const bytes = new Uint8Array(Math.min(count * BLOCK, this.size - start));
    this.fill(bytes, start);
    this.#next = index + count;
    for (let at = 0; at < bytes.length; at += BLOCK) {
      if (this.#blocks.size >= MAX_BLOCKS) this.#blocks.delete(this.#blocks.keys().next().value!);
      // A copy of each, or one that is kept would keep all.
      const block = count === 1 ? bytes : bytes.slice(at, at + BLOCK);
      this.#blocks.set(index + at / BLOCK, block);
    }
    return this.#blocks.get(index)!;
  }
}
