/** Compression of old PDFs: LZW (ISO 32000-2 §7.4.4) and run lengths (§7.4.5). */

const CLEAR = 256, END = 257, MAX_CODES = 4096;

/**
 * @param early by how many codes before the table is full a code gets another bit: EarlyChange
 * @returns undefined where it is malformed or has no end, or is longer than `max` bytes
 */
export function fromLzw(data: Uint8Array, early: number, max: number): Uint8Array | undefined {
  const out = new Output();
  /** Of each code, where what it stands for is in the output, and how long it is. */
  const starts: number[] = [], lengths: number[] = [];
  let next = END + 1, width = 9, bits = 0, held = 0, isNew = true, at = 0, length = 0;
  for (const byte of data) {
    held = (held << 8) | byte;
    bits += 8;
    if (bits < width) continue;
    bits -= width;
    const code = held >> bits;
    held &= (1 << bits) - 1;
    if (code === END) return out.all;
    if (code === CLEAR) {
      [next, width, isNew] = [END + 1, 9, true];
      continue;
    }
    if (code > next || (code === next && isNew) || out.length + MAX_CODES > max) return undefined;
    // The string before with the first byte of this one is a new entry.
    if (!isNew && next < MAX_CODES) {
      starts[next] = at;
      lengths[next] = length + 1;
      next++;
    }
    const start = out.length;
    out.reserve(MAX_CODES);
    if (code < CLEAR) out.bytes[out.length++] = code;
    else {
      const { bytes } = out;
      for (let i = 0; i < lengths[code]; i++) bytes[out.length++] = bytes[starts[code] + i];
    }
    [at, length, isNew] = [start, out.length - start, false];
    if (next + early >= 1 << width && width < 12) width++;
  }
  return undefined;
}

/** @returns undefined where it has no end, or is longer than `max` bytes */
export function fromRunLengths(data: Uint8Array, max: number): Uint8Array | undefined {
  const out = new Output();
  for (let at = 0; at < data.length && out.length <= max;) {
    const count = data[at++];
    if (count === 128) return out.all;
    out.reserve(128);
    if (count < 128) {
      if (at + count >= data.length) return undefined;
      for (let i = 0; i <= count; i++) out.bytes[out.length++] = data[at++];
    } else {
      if (at >= data.length) return undefined;
      for (let i = 0; i < 257 - count; i++) out.bytes[out.length++] = data[at];
      at++;
    }
  }
  return undefined;
}

/** Bytes, as an array of numbers would take eight times as much. */
class Output {
  bytes = new Uint8Array(1 << 13);
  length = 0;

  /** Makes room for more. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const larger = new Uint8Array(2 * this.bytes.length);
    larger.set(this.bytes);
    this.bytes = larger;
  }

  get all(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}
