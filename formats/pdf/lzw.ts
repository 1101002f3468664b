/** Compression of old PDFs: LZW (ISO 32000-2 §7.4.4) and run lengths (§7.4.5). */

const CLEAR = 256, END = 257, MAX_CODES = 4096;

/**
 * @param early by how many codes before the table is full a code gets another bit: EarlyChange
 * @returns undefined where it is malformed or has no end, or is longer than `max` bytes
 */
export function fromLzw(data: Uint8Array, early: number, max: number): Uint8Array | undefined {
  const out: number[] = [];
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
    if (code === END) return Uint8Array.from(out);
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
    if (code < CLEAR) out.push(code);
    else for (let i = 0; i < lengths[code]; i++) out.push(out[starts[code] + i]);
    [at, length, isNew] = [start, out.length - start, false];
    if (next + early >= 1 << width && width < 12) width++;
  }
  return undefined;
}

/** @returns undefined where it has no end, or is longer than `max` bytes */
export function fromRunLengths(data: Uint8Array, max: number): Uint8Array | undefined {
  const out: number[] = [];
  for (let at = 0; at < data.length && out.length <= max;) {
    const count = data[at++];
    if (count === 128) return Uint8Array.from(out);
    if (count < 128) {
      if (at + count >= data.length) return undefined;
      for (let i = 0; i <= count; i++) out.push(data[at++]);
    } else {
      if (at >= data.length) return undefined;
      for (let i = 0; i < 257 - count; i++) out.push(data[at]);
      at++;
    }
  }
  return undefined;
}
