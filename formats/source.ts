/**
 * Random access to the bytes of a document. Synchronous, because a PDF is read by following
 * offsets; the caller gives one over a file, a spool or memory.
 */
export interface Source {
  /** Length in bytes; does not change while the source is in use. */
  readonly size: number;
  /**
   * Bytes from `offset`; fewer than `length` only at the end of the source. The result may be
   * a view into memory that is used again, so whoever keeps it copies it.
   */
  read(offset: number, length: number): Uint8Array;
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

/** A source followed by further bytes: a document and its next revision. */
export function appendedSource(source: Source, appended: Uint8Array): Source {
  const size = source.size + appended.length;
  return {
    size,
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
