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
/** Most blocks that are read at a time, and that are kept. */
const MAX_RUN = 16;
const MAX_BLOCKS = 128;

/** Neighbouring blocks that were read together. */
interface Run {
  offset: number;
  bytes: Uint8Array;
}

/**
 * Random access to bytes that are costly to get: blocks of 64 KiB are read once and 8 MiB of them kept. While it is read
 * from one block to the next, more and more blocks are got at a time.
 */
export class BlockSource implements Source {
  /** By block, in the order in which they were got. */
  readonly #runs = new Map<number, Run>();
  /** The run that was wanted last: most reads stay within it. */
  #last: Run = { offset: 0, bytes: new Uint8Array() };
  /** Blocks that were got last: how many, and the one behind them. */
  #length = 0;
  #next = 0;

  /**
   * @param size in bytes
   * @param get gives bytes from an offset on, which nobody changes afterwards
   */
  constructor(
    readonly size: number,
    readonly get: (offset: number, length: number) => Uint8Array,
  ) {}

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(this.size, offset + length);
    if (end <= offset) return new Uint8Array();
    const first = this.#run(offset);
    const stop = first.offset + first.bytes.length;
    if (end <= stop) return first.bytes.subarray(offset - first.offset, end - first.offset);
    if (end - stop > BLOCK) return this.get(offset, end - offset);
    // Parsers read on from there: the block behind is wanted next.
    const bytes = new Uint8Array(end - offset);
    bytes.set(first.bytes.subarray(offset - first.offset));
    bytes.set(this.#run(stop).bytes.subarray(0, end - stop), stop - offset);
    return bytes;
  }

  /** The run that has the byte at an offset. */
  #run(offset: number): Run {
    const { offset: start, bytes } = this.#last;
    if (offset >= start && offset < start + bytes.length) return this.#last;
    const block = Math.floor(offset / BLOCK);
    const known = this.#runs.get(block);
    return this.#last = known ?? this.#read(block);
  }

  #read(first: number): Run {
    this.#length = first === this.#next ? Math.min(MAX_RUN, 2 * this.#length || 1) : 1;
    const left = Math.ceil(this.size / BLOCK) - first;
    let count = 1;
    while (count < Math.min(this.#length, left) && !this.#runs.has(first + count)) count++;
    const offset = first * BLOCK;
    const run = { offset, bytes: this.get(offset, Math.min(count * BLOCK, this.size - offset)) };
    this.#next = first + count;
    while (this.#runs.size + count > MAX_BLOCKS) this.#forget(this.#runs.values().next().value!);
    for (let i = 0; i < count; i++) this.#runs.set(first + i, run);
    return run;
  }

  /** Its bytes stand in one piece of memory, so that all of them go. */
  #forget({ offset, bytes }: Run): void {
    for (let at = offset; at < offset + bytes.length; at += BLOCK) this.#runs.delete(at / BLOCK);
  }
}
